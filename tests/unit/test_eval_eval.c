#include "eval/eval.h"

#include <math.h>

#include "flag_kit.h"

/* What the flag that `fields` and two variants define yields. */
static struct eval_result eval(const char *fields)
{
    char text[512];
    snprintf(text, sizeof text, "{'variants': {'on': true, 'off': false}, %s}", fields);
    struct flag *f = read_flag(text);
    struct eval_result r = eval_flag(f);
    flag_free(f);
    return r;
}

static void yields(struct eval_result r, enum hoist_reason reason, int32_t variant)
{
    assert_int_equal(r.reason, reason);
    assert_int_equal(r.variant, variant);
    assert_int_equal(r.code, HOIST_CODE_NONE);
    assert_null(r.error);
}

static void is_general(struct eval_result r)
{
    assert_int_equal(r.reason, HOIST_ERROR);
    assert_int_equal(r.code, HOIST_CODE_GENERAL);
    assert_int_equal(r.variant, FLAG_NO_VARIANT);
    assert_non_null(r.error);
}

static void a_flag_without_rules_yields_its_default(void **state)
{
    (void)state;
    yields(eval("'state': 'ENABLED', 'defaultVariant': 'off'"), HOIST_STATIC, 1);
    yields(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {}"), HOIST_STATIC, 0);
}

static void a_flag_without_a_default_yields_none(void **state)
{
    (void)state;
    yields(eval("'state': 'ENABLED'"), HOIST_DEFAULT, FLAG_NO_VARIANT);
    yields(eval("'state': 'ENABLED', 'defaultVariant': null"), HOIST_DEFAULT, FLAG_NO_VARIANT);
}

static void a_disabled_flag_yields_none(void **state)
{
    (void)state;
    yields(eval("'state': 'DISABLED', 'defaultVariant': 'on'"), HOIST_DISABLED, FLAG_NO_VARIANT);
    yields(eval("'state': 'DISABLED', 'targeting': {'var': 'x'}"), HOIST_DISABLED, FLAG_NO_VARIANT);
}

static void an_override_wins_over_everything(void **state)
{
    (void)state;
    yields(eval("'state': 'DISABLED', 'defaultVariant': 'on', 'override': 'off',"
                "'targeting': {'var': 'x'}, 'requires': {'flags': {'y': 'on'}, 'otherwise': 'on'}"),
           HOIST_STATIC, 1);
}

static void what_needs_a_rule_or_another_flag_is_an_error_that_says_so(void **state)
{
    (void)state;
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'var': 'x'}"));
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on',"
                    "'requires': {'flags': {'y': 'on'}, 'otherwise': 'off'}"));
    is_general(eval("'state': 'DISABLED', 'requires': {'flags': {'y': 'on'}, 'otherwise': 'on'}"));
}

static void a_value_of_another_type_than_asked_for_is_a_mismatch(void **state)
{
    struct flag *f =
        read_flag("{'state': 'ENABLED', 'variants': {'on': true}, 'defaultVariant': 'on'}");
    struct eval_result r = eval_flag(f);
    (void)state;
    assert_true(eval_want(f, &r, HOIST_BOOL));
    assert_true(eval_want(f, &r, 0));
    yields(r, HOIST_STATIC, 0);
    assert_false(eval_want(f, &r, HOIST_NUMBER));
    assert_int_equal(r.reason, HOIST_ERROR);
    assert_int_equal(r.code, HOIST_CODE_TYPE_MISMATCH);
    assert_int_equal(r.variant, FLAG_NO_VARIANT);
    flag_free(f);
}

static void where_there_is_no_value_the_reason_stays(void **state)
{
    struct flag *f = read_flag("{'state': 'DISABLED', 'variants': {'on': true}}");
    struct eval_result r = eval_flag(f);
    (void)state;
    assert_false(eval_want(f, &r, HOIST_NUMBER));
    yields(r, HOIST_DISABLED, FLAG_NO_VARIANT);
    flag_free(f);
}

static void a_number_is_whole_only_if_nothing_is_lost(void **state)
{
    int64_t v = 7;
    (void)state;
    assert_true(eval_int(10.0, &v));
    assert_int_equal(v, 10);
    assert_true(eval_int(-0x1p63, &v));
    assert_true(v == INT64_MIN);
    assert_true(eval_int(0x1p63 - 1024, &v));
    assert_true(v == INT64_MAX - 1023);
    v = 7;
    assert_false(eval_int(3.5, &v));
    assert_false(eval_int(0x1p63, &v));
    assert_false(eval_int(1e300, &v));
    assert_false(eval_int(NAN, &v));
    assert_false(eval_int(-INFINITY, &v));
    assert_int_equal(v, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_without_rules_yields_its_default),
        cmocka_unit_test(a_flag_without_a_default_yields_none),
        cmocka_unit_test(a_disabled_flag_yields_none),
        cmocka_unit_test(an_override_wins_over_everything),
        cmocka_unit_test(what_needs_a_rule_or_another_flag_is_an_error_that_says_so),
        cmocka_unit_test(a_value_of_another_type_than_asked_for_is_a_mismatch),
        cmocka_unit_test(where_there_is_no_value_the_reason_stays),
        cmocka_unit_test(a_number_is_whole_only_if_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
