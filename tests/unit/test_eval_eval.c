#include "eval/eval.h"

#include <math.h>

#include "flag_kit.h"

/* What `f` yields for nobody in particular. */
static struct eval_result eval_it(const struct flag *f)
{
    struct rule *rule;
    assert_int_equal(rule_new(f->targeting, &rule), HOIST_OK);
    struct eval_result r = eval_flag(&(struct eval_ask){.flag = f, .rule = rule});
    rule_free(rule);
    return r;
}

/* What the flag that `fields` and two variants define yields. */
static struct eval_result eval(const char *fields)
{
    char text[512];
    snprintf(text, sizeof text, "{'variants': {'on': true, 'off': false}, %s}", fields);
    struct flag *f = read_flag(text);
    struct eval_result r = eval_it(f);
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

static void a_rule_chooses_a_variant_by_its_name(void **state)
{
    (void)state;
    yields(eval("'state': 'ENABLED', 'defaultVariant': 'on',"
                "'targeting': {'if': [true, 'off']}"),
           HOIST_TARGETING_MATCH, 1);
}

static void a_rule_that_yields_null_leaves_the_default(void **state)
{
    (void)state;
    yields(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'var': 'x'}"),
           HOIST_DEFAULT, 0);
    yields(eval("'state': 'ENABLED', 'targeting': {'var': 'x'}"), HOIST_DEFAULT, FLAG_NO_VARIANT);
}

static void true_and_false_name_variants(void **state)
{
    struct flag *f = read_flag("{'state': 'ENABLED', 'variants': {'true': 1, 'false': 2},"
                               "'targeting': {'==': [1, 1]}}");
    struct eval_result r = eval_it(f);
    (void)state;
    yields(r, HOIST_TARGETING_MATCH, 0);
    flag_free(f);
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'==': [1, 1]}"));
}

static void a_rule_that_yields_anything_else_is_an_error(void **state)
{
    (void)state;
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'+': [1, 1]}"));
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'cat': ['gone']}"));
    is_general(eval("'state': 'ENABLED', 'defaultVariant': 'on', 'targeting': {'merge': ['on']}"));
}

static bool says(void *of, struct slice key, struct slice variant)
{
    assert_true(slice_eq(key, SLICE("y")));
    assert_true(slice_eq(variant, SLICE("on")));
    return *(bool *)of;
}

static void what_is_required_comes_before_state_and_rules(void **state)
{
    struct flag *f = read_flag("{'state': 'DISABLED', 'variants': {'on': true, 'off': false},"
                               "'requires': {'flags': {'y': 'on'}, 'otherwise': 'off'}}");
    bool met = false;
    struct eval_ask ask = {.flag = f, .yields = says, .of = &met};
    (void)state;
    yields(eval_flag(&ask), HOIST_DEFAULT, 1);
    met = true;
    yields(eval_flag(&ask), HOIST_DISABLED, FLAG_NO_VARIANT);
    ask.yields = NULL;
    yields(eval_flag(&ask), HOIST_DEFAULT, 1);
    flag_free(f);
}

static void an_explanation_has_a_line_for_each_operator(void **state)
{
    struct flag *f =
        read_flag("{'state': 'ENABLED', 'variants': {'on': true, 'off': false}, 'targeting':"
                  "{'if': [{'ends_with': [{'var': 'email'}, '@example.com']}, 'on', 'off']}}");
    struct hoist_ctx ctx = {0};
    struct rule *rule;
    struct buf text = BUF_INIT(10000);
    (void)state;
    assert_int_equal(ctx_set_json(&ctx, SLICE("{\"email\": \"ana@example.com\"}")), HOIST_OK);
    assert_int_equal(rule_new(f->targeting, &rule), HOIST_OK);
    struct eval_ask ask = {.flag = f, .rule = rule, .ctx = &ctx};
    yields(eval_explain(&ask, &text), HOIST_TARGETING_MATCH, 0);
    assert_string_equal(
        buf_str(&text),
        "    {\"var\":\"email\"} is \"ana@example.com\"\n"
        "  {\"ends_with\":[\"ana@example.com\",\"@example.com\"]} is true\n"
        "{\"if\":[{\"ends_with\":[{\"var\":\"email\"},\"@example.com\"]},\"on\",\"off\"]}"
        " is \"on\"\n");
    buf_done(&text);
    rule_free(rule);
    ctx_done(&ctx);
    flag_free(f);
}

static void a_value_of_another_type_than_asked_for_is_a_mismatch(void **state)
{
    struct flag *f =
        read_flag("{'state': 'ENABLED', 'variants': {'on': true}, 'defaultVariant': 'on'}");
    struct eval_result r = eval_it(f);
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
    struct eval_result r = eval_it(f);
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
        cmocka_unit_test(a_rule_chooses_a_variant_by_its_name),
        cmocka_unit_test(a_rule_that_yields_null_leaves_the_default),
        cmocka_unit_test(true_and_false_name_variants),
        cmocka_unit_test(a_rule_that_yields_anything_else_is_an_error),
        cmocka_unit_test(what_is_required_comes_before_state_and_rules),
        cmocka_unit_test(an_explanation_has_a_line_for_each_operator),
        cmocka_unit_test(a_value_of_another_type_than_asked_for_is_a_mismatch),
        cmocka_unit_test(where_there_is_no_value_the_reason_stays),
        cmocka_unit_test(a_number_is_whole_only_if_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
