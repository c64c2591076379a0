/* A rollout to a share of 100,000 users. */
#include <math.h>

#include "eval/eval.h"
#include "flag_kit.h"

enum { USERS = 100000, PARTS = 4 };

struct rollout {
    struct flag *flag;
    struct rule *rule;
};

static struct rollout rollout_open(const char *rule)
{
    char text[512];
    struct rollout r;
    snprintf(text, sizeof text,
             "{'state': 'ENABLED', 'variants': {'a': 0, 'b': 1, 'c': 2, 'd': 3}, 'targeting': %s}",
             rule);
    r.flag = read_flag(text);
    assert_int_equal(rule_new(r.flag->targeting, &r.rule), HOIST_OK);
    return r;
}

static void rollout_close(struct rollout *r)
{
    rule_free(r->rule);
    flag_free(r->flag);
}

/* The variant of user `i`, or FLAG_NO_VARIANT. */
static int32_t ask(const struct rollout *r, int i)
{
    struct hoist_ctx ctx = {0};
    char who[32];
    snprintf(who, sizeof who, "user-%d@example.com", i);
    struct node n = {.kind = NODE_STRING, .text = slice_str(who)};
    assert_int_equal(ctx_set_node(&ctx, SLICE("targetingKey"), n), HOIST_OK);
    struct eval_ask question = {.flag = r->flag, .rule = r->rule, .ctx = &ctx};
    struct eval_result result = eval_flag(&question);
    ctx_done(&ctx);
    assert_int_not_equal(result.reason, HOIST_ERROR);
    return result.variant;
}

/* Within four standard deviations of what is due: of 16,000 tests, one fails by chance. */
static void is_due(int count, double share)
{
    double due = USERS * share, sigma = sqrt(due * (1 - share));
    if (fabs(count - due) > 4 * sigma)
        fail_msg("%d users, not %.0f ± %.0f", count, due, 4 * sigma);
}

static void whoever_is_in_stays_in_when_the_rollout_grows(void **state)
{
    static const int percents[] = {1, 5, 10, 50, 100};
    static bool in[USERS];
    (void)state;
    memset(in, 0, sizeof in);
    for (size_t p = 0; p < sizeof percents / sizeof *percents; p++) {
        char rule[64];
        int count = 0;
        snprintf(rule, sizeof rule, "{'fractional': [['a', %d], ['b', %d]]}", percents[p],
                 100 - percents[p]);
        struct rollout r = rollout_open(rule);
        for (int i = 0; i < USERS; i++) {
            bool now = ask(&r, i) == 0;
            assert_true(now || !in[i]);
            count += in[i] = now;
        }
        is_due(count, percents[p] / 100.0);
        rollout_close(&r);
    }
}

static void each_variant_gets_its_share(void **state)
{
    static const int weights[PARTS] = {10, 20, 30, 40};
    int counts[PARTS] = {0};
    double chi = 0;
    struct rollout r = rollout_open("{'fractional': [['a', 10], ['b', 20], ['c', 30], ['d', 40]]}");
    (void)state;
    for (int i = 0; i < USERS; i++)
        counts[ask(&r, i)]++;
    for (int i = 0; i < PARTS; i++) {
        double due = USERS * weights[i] / 100.0;
        chi += (counts[i] - due) * (counts[i] - due) / due;
        is_due(counts[i], weights[i] / 100.0);
    }
    assert_true(chi < 21.1); /* chi-square, 3 degrees of freedom: p = 0.0001 */
    rollout_close(&r);
}

/* What is in of one rollout says nothing about who is in of another. */
static void rollouts_of_other_flags_are_independent(void **state)
{
    int both = 0;
    struct rollout r = rollout_open("{'fractional': [['a', 20], ['b', 80]]}");
    struct rollout other = rollout_open("{'fractional': [{'cat': ['other', {'var': "
                                        "'targetingKey'}]}, ['a', 20], ['b', 80]]}");
    (void)state;
    for (int i = 0; i < USERS; i++)
        both += ask(&r, i) == 0 && ask(&other, i) == 0;
    is_due(both, 0.04);
    rollout_close(&r);
    rollout_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_in_stays_in_when_the_rollout_grows),
        cmocka_unit_test(each_variant_gets_its_share),
        cmocka_unit_test(rollouts_of_other_flags_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
