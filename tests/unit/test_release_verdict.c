/* What a value of a guard means. */
#include "release/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_bound_is_kept_on_its_side(void **state)
{
    static const struct {
        enum release_op op;
        bool below, at, above;
    } sides[] = {{RELEASE_LT, true, false, false},
                 {RELEASE_LE, true, true, false},
                 {RELEASE_GT, false, false, true},
                 {RELEASE_GE, false, true, true},
                 {RELEASE_ANY, false, false, false}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        struct release_bound b = {sides[i].op, 2};
        assert_int_equal(release_within(b, nextafter(2, 0)), sides[i].below);
        assert_int_equal(release_within(b, 2), sides[i].at);
        assert_int_equal(release_within(b, nextafter(2, 3)), sides[i].above);
    }
    (void)state;
}

static void a_value_passes_or_fails(void **state)
{
    struct release_bound pass = {RELEASE_LE, 0.02};
    assert_int_equal(release_judge(pass, 0.02), RELEASE_PASS);
    assert_int_equal(release_judge(pass, -1e300), RELEASE_PASS);
    assert_int_equal(release_judge(pass, 0.021), RELEASE_FAIL);
    assert_int_equal(release_judge((struct release_bound){0}, 0), RELEASE_FAIL);
    (void)state;
}

static void what_is_not_finite_was_not_measured(void **state)
{
    for (int op = RELEASE_ANY; op <= RELEASE_GE; op++) {
        struct release_bound b = {(enum release_op)op, 1};
        assert_int_equal(release_judge(b, NAN), RELEASE_NODATA);
        assert_int_equal(release_judge(b, INFINITY), RELEASE_NODATA);
        assert_int_equal(release_judge(b, -INFINITY), RELEASE_NODATA);
    }
    (void)state;
}

static void verdicts_have_names(void **state)
{
    assert_string_equal(release_verdict_name(RELEASE_PASS), "PASS");
    assert_string_equal(release_verdict_name(RELEASE_FAIL), "FAIL");
    assert_string_equal(release_verdict_name(RELEASE_NODATA), "NODATA");
    assert_string_equal(release_verdict_name(RELEASE_ERROR), "ERROR");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bound_is_kept_on_its_side),
        cmocka_unit_test(a_value_passes_or_fails),
        cmocka_unit_test(what_is_not_finite_was_not_measured),
        cmocka_unit_test(verdicts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
