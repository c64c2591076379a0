/* What a plan comes to: the rules of its steps, its times, its message, and the flags it needs. */
#include "base/text.h"
#include "eval/eval.h"
#include "flag/json.h"
#include "plan_kit.h"

/* The steps of good.yaml. */
enum { CHECKED, STAGED, COHORT, SOME, EVERYBODY, WATCHED, STEPS };

static struct release_plan *plan;

static int open_plan(void **state)
{
    (void)state;
    plan = read_plan_file(GOOD_PLAN);
    assert_int_equal(plan->step_count, STEPS);
    return 0;
}

static int close_plan(void **state)
{
    (void)state;
    release_plan_free(plan);
    return 0;
}

/* ------------------------------------------------------------------ rules */

static void rule_is(uint32_t step, uint32_t flag, const char *json)
{
    struct arena arena = {0};
    struct buf text = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&text, 0);
    struct tree rule;
    assert_int_equal(release_plan_rule(plan, step, flag, &arena, &rule), HOIST_OK);
    if (rule.count)
        json_put_tree(&w, rule);
    assert_string_equal(buf_str(&text), json);
    buf_done(&text);
    arena_done(&arena);
}

#define INTERNAL "{\"ends_with\":[{\"var\":\"email\"},\"@example.com\"]}"
#define BUCKET "{\"cat\":[\"salt-1\",{\"var\":\"account\"}]}"

static void a_step_gives_the_cohorts_so_far_and_then_the_share(void **state)
{
    (void)state;
    rule_is(CHECKED, 0, "");
    rule_is(STAGED, 0, "{\"if\":[true,\"on\"]}");
    rule_is(COHORT, 0, "{\"if\":[" INTERNAL ",\"on\",\"off\"]}");
    rule_is(SOME, 0,
            "{\"if\":[" INTERNAL ",\"on\",{\"fractional\":[" BUCKET
            ",[\"on\",12500],[\"off\",87500]]}]}");
    rule_is(SOME, 1,
            "{\"if\":[" INTERNAL ",\"wide\",{\"fractional\":[" BUCKET
            ",[\"wide\",12500],[\"narrow\",87500]]}]}");
    rule_is(EVERYBODY, 1, "{\"if\":[true,\"wide\"]}");
    rule_is(WATCHED, 1, "{\"if\":[true,\"wide\"]}"); /* what production came to */
}

static void a_share_with_no_cohort_is_a_fractional_of_a_hundred(void **state)
{
    char *text = replaced(load_text(GOOD_PLAN),
                          "      - {if: {ends_with: [{var: email}, \"@example.com\"]}, soak: 30m, "
                          "exposed: 50, guards: [freshness]}\n",
                          "");
    struct release_plan *good = plan;
    (void)state;
    text = replaced(text, "percent: 12.5", "percent: 7");
    plan = read_plan(text);
    rule_is(2, 0, "{\"fractional\":[" BUCKET ",[\"on\",7],[\"off\",93]]}");
    release_plan_free(plan);
    plan = good;
    mem_free(text);
}

static bool yields_on(const struct flag *f, const struct rule *rule, const char *account,
                      const char *email)
{
    struct hoist_ctx ctx = {0};
    struct node n = {.kind = NODE_STRING, .text = slice_str(account)};
    if (account)
        assert_int_equal(ctx_set_node(&ctx, SLICE("account"), n), HOIST_OK);
    n.text = slice_str(email);
    assert_int_equal(ctx_set_node(&ctx, SLICE("email"), n), HOIST_OK);
    struct eval_ask ask = {.flag = f, .rule = rule, .ctx = &ctx};
    struct eval_result result = eval_flag(&ask);
    ctx_done(&ctx);
    assert_int_not_equal(result.reason, HOIST_ERROR);
    return result.variant == 0;
}

static struct flag *flag_with(const char *key, const char *on, const char *off)
{
    struct flag *f = flag_new(slice_str(key));
    f->type = HOIST_STRING;
    f->enabled = true;
    f->variants = arena_alloc(&f->arena, 2, sizeof *f->variants);
    f->variants[0].name = slice_str(on);
    f->variants[1].name = slice_str(off);
    f->variant_count = 2;
    f->default_variant = 1;
    f->override = f->otherwise = FLAG_NO_VARIANT;
    return f;
}

static void whoever_is_in_stays_in_and_both_flags_have_the_same_people(void **state)
{
    enum { ACCOUNTS = 2000 };
    static bool in[ACCOUNTS];
    struct flag *flags[] = {flag_with("listings.enabled", "on", "off"),
                            flag_with("listings.layout", "wide", "narrow")};
    (void)state;
    for (uint32_t step = COHORT; step < STEPS; step++) {
        struct arena arena = {0};
        struct rule *rules[2];
        int count = 0;
        for (uint32_t f = 0; f < 2; f++) {
            struct tree rule;
            assert_int_equal(release_plan_rule(plan, step, f, &arena, &rule), HOIST_OK);
            assert_int_equal(rule_new(rule, &rules[f]), HOIST_OK);
        }
        for (int i = 0; i < ACCOUNTS; i++) {
            char account[16];
            const char *email = i % 100 ? "eve@example.org" : "ana@example.com";
            snprintf(account, sizeof account, "%d", i);
            bool now = yields_on(flags[0], rules[0], account, email);
            assert_true(now == yields_on(flags[1], rules[1], account, email));
            assert_true(now || !in[i]);
            count += in[i] = now;
        }
        /* 20 of the cohort; 12.5 % of the others are 247, give or take 60 (four deviations) */
        int least[] = {[COHORT] = 20, [SOME] = 207, [EVERYBODY] = 2000, [WATCHED] = 2000},
            most[] = {[COHORT] = 20, [SOME] = 327, [EVERYBODY] = 2000, [WATCHED] = 2000};
        assert_in_range(count, least[step], most[step]);
        assert_true(yields_on(flags[0], rules[0], NULL, "") == (step >= EVERYBODY));
        rule_free(rules[0]);
        rule_free(rules[1]);
        arena_done(&arena);
    }
    flag_free(flags[0]);
    flag_free(flags[1]);
}

static void memory_may_be_out_while_a_rule_is_made(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct arena arena = {0};
        struct tree rule = {0};
        mem_fail_at(n);
        enum hoist_err err = release_plan_rule(plan, SOME, 0, &arena, &rule);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        arena_done(&arena);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        if (!failed)
            break;
    }
}

/* ------------------------------------------------------------------ times */

static int64_t moment(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(text_time_read(text, &ms), HOIST_OK);
    return ms;
}

static void time_is(int64_t ms, const char *expected)
{
    char text[TEXT_TIME_SIZE];
    text_time(text, ms);
    assert_string_equal(text, expected);
}

static void steps_wait_for_their_window_and_their_soak(void **state)
{
    struct release_times times[STEPS];
    (void)state;
    release_plan_times(plan, moment("2026-12-03T14:00:00Z"), times); /* a Thursday */
    time_is(times[CHECKED].begins_ms, "2026-12-03T14:00:00.000Z");
    time_is(times[CHECKED].ends_ms, "2026-12-03T14:00:00.000Z");
    time_is(times[STAGED].ends_ms, "2026-12-03T14:30:00.000Z");
    time_is(times[COHORT].begins_ms, "2026-12-03T14:30:00.000Z");
    time_is(times[SOME].begins_ms, "2026-12-03T15:00:00.000Z");
    /* 16:00 is too late, and Friday no day of the window */
    time_is(times[EVERYBODY].begins_ms, "2026-12-07T09:00:00.000Z");
    time_is(times[EVERYBODY].ends_ms, "2026-12-07T11:30:00.000Z");
    time_is(times[WATCHED].ends_ms, "2026-12-08T11:30:00.000Z");
}

/* ------------------------------------------------------------------ the message */

static char *announced(enum release_audience audience)
{
    struct buf text = BUF_INIT(1 << 20);
    assert_int_equal(release_announce(plan, audience, moment("2026-12-07T08:00:00Z"), &text),
                     HOIST_OK);
    char *copy = mem_dup(buf_slice(&text));
    buf_done(&text);
    return copy;
}

static void support_is_told_all_and_users_what_they_see(void **state)
{
    (void)state;
    char *support = announced(RELEASE_FOR_SUPPORT), *users = announced(RELEASE_FOR_USERS);
    static const char *const both[] = {"# Listings\n", "## When",
                                       "| 2026-12-07 09:30 UTC | 12.5 % |\n",
                                       "| 2026-12-07 10:30 UTC | everybody |\n", "#listings"};
    static const char *const inside[] = {
        "Listings come to some.",
        "`listings.layout`: from `narrow` to `wide`",
        "DEPLOY-004",
        "flagctl release abort listings -m 'WHY'",
        "flagctl kill listings.layout --env production --variant narrow -m 'WHY'",
        "errors: good while <= 0.02, ended at once when > 0.2; else it is undone",
        "freshness: good while <= 30; else it waits",
        "| 2026-12-07 08:00 UTC | 2026-12-08 08:00 UTC | bo |",
        "@example.com"};
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        assert_non_null(strstr(support, both[i]));
        assert_non_null(strstr(users, both[i]));
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        assert_non_null(strstr(support, inside[i]));
        assert_null(strstr(users, inside[i]));
    }
    assert_non_null(strstr(users, "Listings come.\n"));
    assert_non_null(strstr(users, "a first group"));
    mem_free(support);
    mem_free(users);
}

/* ------------------------------------------------------------------ beside flags */

static void flags_that_do_not_fit_are_named(void **state)
{
    struct problems problems = {0};
    struct flag *flags[] = {flag_with("listings.enabled", "on", "off"),
                            flag_with("listings.layout", "wide", "narrow")};
    struct arena arena = {0};
    (void)state;
    release_plan_check_flags(plan, flags, 2, &problems);
    assert_int_equal(problems.total, 0);

    flags[0]->default_variant = 0;
    flags[0]->override = 1;
    flags[0]->enabled = false;
    assert_int_equal(release_plan_rule(plan, EVERYBODY, 0, &arena, &flags[0]->targeting), HOIST_OK);
    flags[1]->variants[1].name = SLICE("slim");
    release_plan_check_flags(plan, flags, 2, &problems);
    assert_int_equal(problems.total, 5);
    assert_string_equal(problems.items[0].path, "flags.listings.enabled");
    assert_non_null(strstr(problems.items[0].message, "rule"));
    assert_non_null(strstr(problems.items[1].message, "default"));
    assert_non_null(strstr(problems.items[2].message, "killed, and yields \"off\""));
    assert_non_null(strstr(problems.items[3].message, "disabled"));
    assert_non_null(strstr(problems.items[4].message, "narrow"));
    assert_string_equal(problems.items[4].mend, "name one of: wide, slim");
    problems_done(&problems);

    release_plan_check_flags(plan, flags, 1, &problems);
    assert_string_equal(problems.items[4].message, "there is no flag \"listings.layout\"");
    problems_done(&problems);
    release_plan_check_flags(plan, NULL, 0, &problems);
    assert_int_equal(problems.total, 2);
    problems_done(&problems);
    arena_done(&arena);
    flag_free(flags[0]);
    flag_free(flags[1]);
}

int main(void)
{
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_gives_the_cohorts_so_far_and_then_the_share),
        cmocka_unit_test(a_share_with_no_cohort_is_a_fractional_of_a_hundred),
        cmocka_unit_test(whoever_is_in_stays_in_and_both_flags_have_the_same_people),
        cmocka_unit_test(memory_may_be_out_while_a_rule_is_made),
        cmocka_unit_test(steps_wait_for_their_window_and_their_soak),
        cmocka_unit_test(support_is_told_all_and_users_what_they_see),
        cmocka_unit_test(flags_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, open_plan, close_plan);
}
