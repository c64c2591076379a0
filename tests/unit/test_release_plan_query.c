/* What is seen of a PromQL expression without parsing it. */
#include "plan_kit.h"
#include "release/plan_int.h"

static struct query_traits of(const char *query)
{
    return query_traits(slice_str(query));
}

static void a_ratio_of_rates_is_one_wherever_it_stands(void **state)
{
    static const char *const ratios[] = {
        "rate(a[5m]) / rate(b[5m])",
        "1 - (sum(increase(a[5m])) / sum(increase(b[5m])))",
        "histogram_quantile(0.99, a) / histogram_quantile(0.99, b)",
        "max(app:errors:ratio5m)",
        "app:p99{variant=\"on\"} / app:p99{variant=\"off\"}",
    };
    static const char *const others[] = {
        "min(remaining) / min(limit)",        "sum(rate(a[5m]))",
        "sum(rate(a{path=\"/api/v1\"}[5m]))", "sum(rate(a[5m])) # / sum(rate(b[5m]))",
        "sum(rate(a{path='/x'}[1h:5m]))",     "max(compression_ratio)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++)
        if (!of(ratios[i]).divides_rates)
            fail_msg("no ratio: %s", ratios[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (of(others[i]).divides_rates || of(others[i]).broken)
            fail_msg("a ratio, or broken: %s", others[i]);
}

static void a_floor_is_a_comparison_behind_an_and(void **state)
{
    (void)state;
    assert_true(of("a / b and on () (sum(n) >= 50)").has_floor);
    assert_true(of("a / b and on () (sum(n) > 50)").has_floor);
    assert_false(of("a / b > 0").has_floor);
    assert_false(of("a / b and on () n").has_floor);
    assert_false(of("a{x=\"and\"} / b > 0").has_floor);
    assert_false(of("a / b and on () n{x=\">\"}").has_floor);
    assert_false(of("brand > 1").has_floor);
}

static void a_number_made_of_no_answer_is_seen(void **state)
{
    (void)state;
    assert_true(of("sum(a) or vector(0)").hides_absence);
    assert_true(of("sum(a) or on () vector(1)").hides_absence);
    assert_true(of("sum(a) OR vector(0)").hides_absence);
    assert_true(of("sum(a) or (vector(0))").hides_absence);
    assert_true(of("sum(a) or on () ((vector(0)))").hides_absence);
    assert_true(of("(sum(a) or vector(0))").hides_absence);
    assert_true(of(" ( (sum(a) / sum(b)) or vector(0) ) # always there").hides_absence);
    assert_true(of("# always there\n((sum(a)) or (vector(0)))").hides_absence);
    assert_true(of("max(sum(a{x=\")\"}) or vector(0))").hides_absence);
    assert_false(of("(sum(a) or vector(0)) / sum(b)").hides_absence);
    assert_false(of("(sum(a) or vector(0)) / (sum(b))").hides_absence);
    assert_false(of("((sum(a) or vector(0)) / sum(b))").hides_absence);
    assert_false(of("sum(b) - (sum(a) or vector(0))").hides_absence);
    assert_false(of("(sum(a))").hides_absence);
    assert_false(of("()").hides_absence);
    assert_false(of("sum(a) or sum(b)").hides_absence);
    assert_false(of("vector(1) - sum(a)").hides_absence);
    assert_false(of("a{x=\"or vector(0)\"}").hides_absence);
}

static void freshness_compares_now_with_a_sample(void **state)
{
    (void)state;
    assert_true(of("time() - min(timestamp(up) and up == 1)").is_fresh);
    assert_true(of("time() - timestamp(up{a=\"(==)\"})").is_fresh);
    assert_false(of("time() - min(timestamp(up == 1))").is_fresh); /* when it is asked */
    assert_false(of("time() - min(timestamp(sum(up)))").is_fresh);
    assert_false(of("time() - min(timestamp(up[5m]))").is_fresh);
    assert_false(of("time() - last_success_timestamp_seconds").is_fresh);
    assert_false(of("up{job=\"time timestamp\"}").is_fresh);
}

static void what_is_open_at_the_end_is_told(void **state)
{
    static const char *const broken[] = {"sum(a",     "sum(a))", "a{b=\"c}", "a[5m",
                                         "a{b='\\'}", "`a",      "a}",       "a{b=\"\\"};
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        if (!of(broken[i]).broken)
            fail_msg("not broken: %s", broken[i]);
    assert_null(of("a{b=\"\\\"\"} # \"").broken);
    assert_null(of("a{b=`\\`}").broken);
    assert_null(of("").broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_of_rates_is_one_wherever_it_stands),
        cmocka_unit_test(a_floor_is_a_comparison_behind_an_and),
        cmocka_unit_test(a_number_made_of_no_answer_is_seen),
        cmocka_unit_test(freshness_compares_now_with_a_sample),
        cmocka_unit_test(what_is_open_at_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
