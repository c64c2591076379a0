/* What users get of the rules that `set --percent` writes. */
#include "eval/eval.h"
#include "flag_kit.h"

enum { USERS = 100000 };

static char mend[1024];

#define WISH(v, p, ...)                                                                            \
    ((struct flag_wish){.key = SLICE("x"), .value = SLICE(v), .percent = SLICE(p), ##__VA_ARGS__})

/* Frees `old`. */
static struct flag *set(struct flag *old, struct flag_wish wish)
{
    struct flag *f = NULL;
    if (flag_edit_set(old, &wish, &f, mend, sizeof mend) != HOIST_OK)
        fail_msg("%s", err_last());
    flag_free(old);
    return f;
}

static bool is_on(const struct flag *f, const struct rule *rule, const struct hoist_ctx *ctx)
{
    struct eval_ask ask = {.flag = f, .rule = rule, .ctx = ctx, .now_s = 1700000000};
    struct eval_result r = eval_flag(&ask);
    assert_int_not_equal(r.reason, HOIST_ERROR);
    return slice_eq(f->variants[r.variant].name, SLICE("on"));
}

/* Whether one whose context is that gets on. */
static bool gets(const struct flag *f, const char *context)
{
    struct buf data = json(context);
    struct hoist_ctx ctx = {0};
    struct rule *rule;
    assert_int_equal(ctx_set_json(&ctx, buf_slice(&data)), HOIST_OK);
    assert_int_equal(rule_new(f->targeting, &rule), HOIST_OK);
    bool on = is_on(f, rule, &ctx);
    rule_free(rule);
    ctx_done(&ctx);
    buf_done(&data);
    return on;
}

/* Who of the users, told apart by attribute `by`, gets on: into `in`. Gives how many. */
static int ask_all(const struct flag *f, const char *by, bool in[USERS])
{
    struct hoist_ctx ctx = {0};
    struct rule *rule;
    int count = 0;
    char id[32];
    assert_int_equal(rule_new(f->targeting, &rule), HOIST_OK);
    for (int i = 0; i < USERS; i++) {
        snprintf(id, sizeof id, "user-%d", i);
        struct node n = {.kind = NODE_STRING, .span = 1, .text = slice_str(id)};
        assert_int_equal(ctx_set_node(&ctx, slice_str(by), n), HOIST_OK);
        in[i] = is_on(f, rule, &ctx);
        count += in[i];
    }
    rule_free(rule);
    ctx_done(&ctx);
    return count;
}

static bool before[USERS], now[USERS];

/* Six standard deviations of a binomial share. */
static void is_about(int count, double share)
{
    double mean = USERS * share, off = count - mean;
    if (off * off > 36 * mean * (1 - share) + 1)
        fail_msg("%d of %d, where %g are due", count, USERS, mean);
}

static void grow(const char *by)
{
    static const struct {
        const char *percent;
        double share;
    } steps[] = {{"0", 0},        {"0.1", 0.001}, {"1", 0.01},       {"5", 0.05}, {"10", 0.10},
                 {"12.5", 0.125}, {"50", 0.5},    {"99.99", 0.9999}, {"100", 1}};
    struct flag *f = NULL;
    memset(before, 0, sizeof before);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct flag_wish wish = WISH("on", "");
        wish.percent = slice_str(steps[i].percent);
        if (strcmp(by, "targetingKey") != 0)
            wish.by = slice_str(by);
        f = set(f, wish);
        is_about(ask_all(f, by, now), steps[i].share);
        for (int u = 0; u < USERS; u++)
            assert_true(now[u] || !before[u]);
        memcpy(before, now, sizeof before);
    }
    flag_free(f);
}

static void whoever_is_in_stays_in_while_it_grows(void **state)
{
    (void)state;
    grow("targetingKey");
    grow("account");
}

static void the_other_variant_takes_from_those_who_came_last(void **state)
{
    (void)state;
    struct flag *f = set(NULL, WISH("on", "30"));
    ask_all(f, "targetingKey", before);
    f = set(f, WISH("off", "80"));
    is_about(ask_all(f, "targetingKey", now), 0.2);
    for (int u = 0; u < USERS; u++)
        assert_true(before[u] || !now[u]);
    flag_free(f);
}

static void who_cannot_be_placed_gets_what_the_rest_gets(void **state)
{
    (void)state;
    struct flag *f = set(NULL, WISH("on", "99.99"));
    assert_false(gets(f, "{}"));
    f = set(f, WISH("on", "100"));
    assert_true(gets(f, "{}"));
    f = set(f, WISH("on", "0"));
    assert_false(gets(f, "{}"));
    flag_free(f);
}

static void a_condition_narrows_or_widens(void **state)
{
    (void)state;
    struct flag *f = set(NULL, WISH("on", "100", .only_if = SLICE("plan = pro")));
    assert_true(gets(f, "{'targetingKey': 'a', 'plan': 'pro'}"));
    assert_false(gets(f, "{'targetingKey': 'a', 'plan': 'free'}"));
    assert_false(gets(f, "{'plan': 'pro'}")); /* there is no telling */
    f = set(f, WISH("on", "0", .also = SLICE("plan = pro")));
    assert_true(gets(f, "{'plan': 'pro'}"));
    assert_false(gets(f, "{'targetingKey': 'a', 'plan': 'free'}"));
    flag_free(f);
}

static void typed_conditions_mean_what_they_say(void **state)
{
    static const struct {
        const char *condition, *yes, *no;
    } cases[] = {
        {"plan = pro", "{'plan': 'pro'}", "{}"},
        {"plan != pro", "{}", "{'plan': 'pro'}"},
        {"n = 5", "{'n': '5'}", "{'n': 6}"},
        {"zip = \"05\"", "{'zip': '05'}", "{'zip': '06'}"},
        {"beta = true", "{'beta': true}", "{'beta': false}"},
        {"company.size > 9", "{'company': {'size': 10}}", "{'company': {'size': 9}}"},
        {"age < 18", "{'age': 17}", "{}"},
        {"age < 18", "{'age': 0}", "{'age': 18}"},
        {"age >= -1", "{'age': -1}", "{}"},
        {"country in se, no", "{'country': 'no'}", "{'country': 'n'}"},
        {"n in 1, 2", "{'n': 2}", "{'n': '2'}"},
        {"email ends_with @example.com", "{'email': 'a@example.com'}",
         "{'email': 'a@example.org'}"},
        {"email starts_with ana", "{'email': 'ana@x'}", "{}"},
        {"version sem_ver >= 2.1.0", "{'version': '2.10.0'}", "{'version': '2.0.9'}"},
        {"version sem_ver ^2", "{'version': '2.9.9'}", "{'version': '3.0.0'}"},
        {"version sem_ver 2.1.0", "{'version': 'v2.1'}", "{}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flag_wish wish = WISH("on", "0");
        wish.also = slice_str(cases[i].condition);
        struct flag *f = set(NULL, wish);
        if (!gets(f, cases[i].yes) || gets(f, cases[i].no))
            fail_msg("%s", cases[i].condition);
        flag_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_in_stays_in_while_it_grows),
        cmocka_unit_test(the_other_variant_takes_from_those_who_came_last),
        cmocka_unit_test(who_cannot_be_placed_gets_what_the_rest_gets),
        cmocka_unit_test(a_condition_narrows_or_widens),
        cmocka_unit_test(typed_conditions_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
