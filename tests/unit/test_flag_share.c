/* set KEY VARIANT --percent N. */
#include "flag_kit.h"

#include "flag/rollout.h"

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"
#define COLOURS "'state': 'ENABLED', 'variants': {'red': 'r', 'green': 'g', 'blue': 'b'}"
#define BY_USER "{'cat': [{'var': '$flagd.flagKey'}, {'var': 'userId'}]}"
#define PRO "{'==': [{'var': 'plan'}, 'pro']}"

static char mend[1024];

#define WISH(v, p, ...)                                                                            \
    ((struct flag_wish){.key = SLICE("x"), .value = SLICE(v), .percent = SLICE(p), ##__VA_ARGS__})

/* Frees `old`. */
static struct flag *set(struct flag *old, struct flag_wish wish)
{
    struct flag *f = NULL;
    mend[0] = '?';
    if (flag_edit_set(old, &wish, &f, mend, sizeof mend) != HOIST_OK)
        fail_msg("%s", err_last());
    assert_string_equal(mend, "");
    flag_free(old);
    return f;
}

static void refuse(const struct flag *old, struct flag_wish wish, const char *message,
                   const char *advice)
{
    struct flag *f = (struct flag *)mend; /* anything but NULL */
    assert_int_equal(flag_edit_set(old, &wish, &f, mend, sizeof mend), HOIST_EINVAL);
    assert_ptr_equal(f, mend);
    if (!strstr(err_last(), message) || !strstr(mend, advice))
        fail_msg("said \"%s\" and \"%s\"", err_last(), mend);
}

/* `f` is the flag that `definition` makes. */
static struct flag *is(struct flag *f, const char *definition)
{
    struct flag *want = read_flag(definition), *both[] = {f, want};
    if (!flag_equal(f, want)) {
        for (int i = 0; i < 2; i++) {
            struct buf b = BUF_INIT(1 << 20);
            assert_int_equal(flag_file_write(&both[i], 1, &b), HOIST_OK);
            print_error("%s\n", buf_str(&b));
            buf_done(&b);
        }
        fail_msg("not the flag that was expected");
    }
    flag_free(want);
    return f;
}

/* ------------------------------------------------------------------ a new rollout */

static void a_percentage_creates_a_switch(void **state)
{
    (void)state;
    flag_free(is(set(NULL, WISH("on", "10")), "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                                              " {'fractional': [['on', 10], ['off', 90]]}}"));
    flag_free(is(set(NULL, WISH("off", "10", .type = HOIST_BOOL)),
                 "{" ON_OFF ", 'defaultVariant': 'on', 'targeting':"
                 " {'fractional': [['off', 10], ['on', 90]]}}"));
    flag_free(is(set(NULL, WISH("on", "100")), "{" ON_OFF ", 'defaultVariant': 'on', 'targeting':"
                                               " {'fractional': [['on', 100], ['off', 0]]}}"));
    refuse(NULL, WISH("blue", "10"), "takes two variants", "flagctl set x on --percent 10");
    refuse(NULL, WISH("5", "10", .type = HOIST_NUMBER), "takes two variants", "flagctl apply");
}

static void the_default_and_the_state_become_what_the_rest_gets(void **state)
{
    (void)state;
    struct flag *f = read_flag("{'state': 'DISABLED', 'variants': {'on': true, 'off': false},"
                               " 'defaultVariant': 'on', 'override': 'off', 'metadata': {'a': 1}}");
    flag_free(is(set(f, WISH("on", "25")),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'override': 'off', 'metadata': {'a': 1},"
                 " 'targeting': {'fractional': [['on', 25], ['off', 75]]}}"));
}

static void decimals_scale_the_weights(void **state)
{
    static const struct {
        const char *typed;
        int weight, rest;
    } good[] = {
        {"0", 0, 100},      {"0.1", 1, 999}, {"12.50", 125, 875},          {"10.0", 10, 90},
        {"10.00%", 10, 90}, {"007", 7, 93},  {"99.9999999", 999999999, 1}, {"100.0", 100, 0}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "101",
                                      "100.1",
                                      "x",
                                      "1e1",
                                      "10.",
                                      ".",
                                      ".5",
                                      "1,5",
                                      " 1",
                                      "1.2.3",
                                      "0.123456789",
                                      "%",
                                      "0x",
                                      "nan",
                                      "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct flag_wish wish = WISH("on", "");
        struct rollout r;
        wish.percent = slice_str(good[i].typed);
        struct flag *f = set(NULL, wish);
        assert_true(rollout_read(f->targeting, &r));
        assert_int_equal(r.weight, good[i].weight);
        assert_int_equal(r.whole - r.weight, good[i].rest);
        flag_free(f);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct flag_wish wish = WISH("on", "");
        wish.percent = slice_str(bad[i]);
        refuse(NULL, wish, "is no percentage", "10 or 0.1");
    }
}

static void an_attribute_is_salted_by_the_key(void **state)
{
    (void)state;
    flag_free(is(set(NULL, WISH("on", "5", .by = SLICE("userId"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                 " {'fractional': [" BY_USER ", ['on', 5], ['off', 95]]}}"));
    flag_free(is(set(NULL, WISH("on", "5", .by = SLICE("targetingKey"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                 " {'fractional': [['on', 5], ['off', 95]]}}"));
    refuse(NULL, WISH("on", "5", .by = SLICE("")), "no attribute", "--by userId");
}

static void the_rest_of_several_variants_gets_the_default(void **state)
{
    (void)state;
    struct flag *f = read_flag("{" COLOURS ", 'defaultVariant': 'red'}");
    f = is(set(f, WISH("blue", "30")), "{" COLOURS ", 'defaultVariant': 'red', 'targeting':"
                                       " {'fractional': [['blue', 30], ['red', 70]]}}");
    refuse(f, WISH("green", "5"), "between \"blue\" and \"red\"", "--everyone");
    f = is(set(f, WISH("green", "5", .everyone = true)),
           "{" COLOURS ", 'defaultVariant': 'red', 'targeting':"
           " {'fractional': [['green', 5], ['red', 95]]}}");
    flag_free(f);

    f = read_flag("{" COLOURS ", 'defaultVariant': 'red'}");
    refuse(f, WISH("red", "30"), "not said which variant", "flagctl set x VARIANT --default");
    flag_free(f);
    f = read_flag("{" COLOURS "}");
    refuse(f, WISH("red", "30"), "not said which variant", "red, green, blue");
    flag_free(f);
    f = read_flag("{'state': 'ENABLED', 'variants': {'value': 5}, 'defaultVariant': 'value'}");
    refuse(f, WISH("value", "30"), "one variant", "flagctl apply");
    flag_free(f);
}

/* ------------------------------------------------------------------ conditions */

static void if_narrows_and_also_widens(void **state)
{
    (void)state;
    flag_free(is(set(NULL, WISH("on", "20", .only_if = SLICE("plan = pro"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
                 ", {'fractional': [['on', 20], ['off', 80]]}, 'off']}}"));
    flag_free(is(set(NULL, WISH("on", "20", .also = SLICE("plan = pro"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
                 ", 'on', {'fractional': [['on', 20], ['off', 80]]}]}}"));
    flag_free(is(set(NULL, WISH("on", "100", .only_if = SLICE("plan = pro"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
                 ", {'fractional': [['on', 100], ['off', 0]]}, 'off']}}"));
    flag_free(is(set(NULL, WISH("on", "0", .also = SLICE("plan = pro"))),
                 "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
                 ", 'on', {'fractional': [['on', 0], ['off', 100]]}]}}"));
    refuse(NULL, WISH("on", "1", .only_if = SLICE("a = 1"), .also = SLICE("a = 2")),
           "exclude each other", "flagctl target x");
}

/* `typed` narrows to the rule `want`. */
static void condition_is(const char *typed, const char *want)
{
    struct buf definition = BUF_INIT(65536);
    struct flag_wish wish = WISH("on", "1");
    wish.only_if = slice_str(typed);
    buf_printf(&definition,
               "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [%s,"
               " {'fractional': [['on', 1], ['off', 99]]}, 'off']}}",
               want);
    flag_free(is(set(NULL, wish), buf_str(&definition)));
    buf_done(&definition);
}

static void conditions_are_typed_in_three_words(void **state)
{
    (void)state;
    condition_is("plan = pro", PRO);
    condition_is("  plan ==   pro ", PRO);
    condition_is("plan = \"pro\"", PRO);
    condition_is("{\"==\": [{\"var\": \"plan\"}, \"pro\"]}", PRO);
    condition_is("plan != two words", "{'!=': [{'var': 'plan'}, 'two words']}");
    condition_is("company.size = 5", "{'==': [{'var': 'company.size'}, 5]}");
    condition_is("zip = \"05\"", "{'==': [{'var': 'zip'}, '05']}");
    condition_is("zip = 05", "{'==': [{'var': 'zip'}, '05']}");
    condition_is("beta = true", "{'==': [{'var': 'beta'}, true]}");
    condition_is("beta = null", "{'==': [{'var': 'beta'}, null]}");
    condition_is("age < 18",
                 "{'and': [{'!==': [{'var': 'age'}, null]}, {'<': [{'var': 'age'}, 18]}]}");
    condition_is("age >= 1.5",
                 "{'and': [{'!==': [{'var': 'age'}, null]}, {'>=': [{'var': 'age'}, 1.5]}]}");
    condition_is("country in se, no,dk", "{'in': [{'var': 'country'}, ['se', 'no', 'dk']]}");
    condition_is("n in 1, \"2\"", "{'in': [{'var': 'n'}, [1, '2']]}");
    condition_is("city in \"Washington, DC\", Boston,\"x,\" , 5\" pipe",
                 "{'in': [{'var': 'city'}, ['Washington, DC', 'Boston', 'x,', '5\\\" pipe']]}");
    condition_is("city in \"a, b\"", "{'in': [{'var': 'city'}, ['a, b']]}");
    condition_is("n in [\"a, b\", 2]", "{'in': [{'var': 'n'}, ['a, b', 2]]}");
    condition_is("email ends_with @example.com",
                 "{'ends_with': [{'var': 'email'}, '@example.com']}");
    condition_is("id starts_with 42", "{'starts_with': [{'var': 'id'}, '42']}");
    condition_is("version sem_ver >= 2.1.0", "{'sem_ver': [{'var': 'version'}, '>=', '2.1.0']}");
    condition_is("version sem_ver \">=2.1.0\"", "{'sem_ver': [{'var': 'version'}, '>=', '2.1.0']}");
    condition_is("version sem_ver ^v2", "{'sem_ver': [{'var': 'version'}, '^', 'v2']}");
    condition_is("version sem_ver 2.1.0-rc.1+b",
                 "{'sem_ver': [{'var': 'version'}, '=', '2.1.0-rc.1+b']}");
}

static void what_is_no_condition_is_refused_with_the_way_to_write_it(void **state)
{
    static const struct {
        const char *typed, *message, *advice;
    } bad[] = {
        {"", "is no condition", "ATTRIBUTE OPERATOR VALUE"},
        {"plan=pro", "is no condition", "with spaces between"},
        {"plan =", "is no condition", "email ends_with"},
        {"plan ~ pro", "no operator \"~\"", "starts_with"},
        {"age < young", "compares numbers", "sem_ver"},
        {"c in a,,b", "an empty place", "se, no"},
        {"c in \"a, b", "a quote that does not end", "Washington, DC"},
        {"c in a, \"b\"c\", d", "a quote that does not end", "JSON array"},
        {"c in [1", "the rule", "missing quote"},
        {"v sem_ver >= new", "is no version", "sem_ver >= 2.1.0"},
        {"v sem_ver >= 2.x", "is no version", "sem_ver >= 2.1.0"},
        {"v sem_ver = 1.2.3.4", "is no version", "and minor"},
        {"v sem_ver ~ 01.2", "is no version", "sem_ver >= 2.1.0"},
        {"v sem_ver >=", "is no version", "same major"},
        {"{\"==\": ", "not JSON", ""},
        {"{}", "one operator", "plan = pro"},
        {"{\"equals\": [1]}", "no operator \"equals\"", "operators are"},
        {"{\"$ref\": \"internal\"}", "no evaluator \"internal\"", ""},
        {"plan = \xff", "not valid text", "UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct flag_wish wish = WISH("on", "1");
        wish.also = slice_str(bad[i].typed);
        refuse(NULL, wish, bad[i].message, bad[i].advice);
    }
}

static void a_condition_that_fills_its_limits_is_refused(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(1 << 20);
    struct flag_wish wish = WISH("on", "1");
    for (int i = 0; i < 63; i++)
        buf_add_str(&text, "{\"!\":");
    buf_add_str(&text, "1");
    for (int i = 0; i < 63; i++)
        buf_add_str(&text, "}");
    wish.only_if = buf_slice(&text);
    refuse(NULL, wish, "too many levels", "smaller");
    buf_clear(&text);
    buf_add_str(&text, "a in 0");
    for (int i = 0; i < 16370; i++)
        buf_add_str(&text, ",1");
    wish.only_if = buf_slice(&text);
    refuse(NULL, wish, "together", "smaller");
    buf_clear(&text);
    buf_add_str(&text, "a = ");
    for (int i = 0; i < 300000; i++)
        buf_add_str(&text, "x");
    wish.only_if = buf_slice(&text);
    refuse(NULL, wish, "more than a flag can hold", "keep lists");
    buf_done(&text);
}

/* ------------------------------------------------------------------ moving one */

static void a_rollout_moves_and_keeps_what_is_not_said_anew(void **state)
{
    (void)state;
    struct flag *f =
        set(NULL, WISH("on", "5", .by = SLICE("userId"), .only_if = SLICE("plan = pro")));
    f = is(set(f, WISH("on", "50")),
           "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
           ", {'fractional': [" BY_USER ", ['on', 50], ['off', 50]]}, 'off']}}");
    f = is(set(f, WISH("on", "0.5", .also = SLICE("plan = pro"))),
           "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
           ", 'on', {'fractional': [" BY_USER ", ['on', 5], ['off', 995]]}]}}");
    f = is(set(f, WISH("on", "7", .by = SLICE("targetingKey"))),
           "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [" PRO
           ", 'on', {'fractional': [['on', 7], ['off', 93]]}]}}");
    f = is(set(f, WISH("on", "7", .everyone = true)),
           "{" ON_OFF
           ", 'defaultVariant': 'off', 'targeting': {'fractional': [['on', 7], ['off', 93]]}}");
    flag_free(f);
}

static void a_named_condition_keeps_its_name(void **state)
{
    (void)state;
    struct flag_file *file = read_flags(
        "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [{'$ref': 'e'},"
        " {'fractional': [['on', 5], ['off', 95]]}, 'off']}}}, '$evaluators': {'e': " PRO "}}");
    struct flag_wish wish = WISH("on", "6");
    struct flag *f = NULL;
    assert_int_equal(flag_edit_set(file->flags[0], &wish, &f, mend, sizeof mend), HOIST_OK);
    assert_int_equal(f->targeting.nodes[1].kind, NODE_REF);
    flag_free(f);
    flag_file_free(file);
}

static void the_other_variants_share_is_what_is_left(void **state)
{
    (void)state;
    struct flag *f = set(NULL, WISH("on", "10"));
    f = is(set(f, WISH("off", "30")), "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                                      " {'fractional': [['on', 70], ['off', 30]]}}");
    f = is(set(f, WISH("off", "0")), "{" ON_OFF ", 'defaultVariant': 'on', 'targeting':"
                                     " {'fractional': [['on', 100], ['off', 0]]}}");
    f = is(set(f, WISH("on", "60")), "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                                     " {'fractional': [['on', 60], ['off', 40]]}}");
    flag_free(f);
}

static void a_default_that_was_moved_stays_until_all_or_none(void **state)
{
    (void)state;
    struct flag *f = set(NULL, WISH("on", "10"));
    f = set(f, (struct flag_wish){.key = SLICE("x"), .value = SLICE("on"), .only_default = true});
    f = is(set(f, WISH("on", "20")), "{" ON_OFF ", 'defaultVariant': 'on', 'targeting':"
                                     " {'fractional': [['on', 20], ['off', 80]]}}");
    f = is(set(f, WISH("on", "0")), "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                                    " {'fractional': [['on', 0], ['off', 100]]}}");
    flag_free(f);
}

static void the_same_share_in_other_weights_is_no_change(void **state)
{
    static const char same[] = "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                               " {'fractional': [['on', 1], ['off', 9]]}}";
    (void)state;
    struct flag *f = is(set(read_flag(same), WISH("on", "10")), same);
    f = is(set(f, WISH("off", "90.0")), same);
    flag_free(f);
}

static void a_hand_written_rule_is_in_the_way(void **state)
{
    static const char *const rules[] = {
        PRO,
        "{'if': [" PRO ", 'on']}",
        "{'if': [" PRO ", 'on', 'off']}",
        "{'if': [" PRO ", 'off', {'fractional': [['on', 1], ['off', 9]]}]}",
        "{'if': [" PRO ", {'fractional': [['on', 1], ['off', 9]]}, 'on']}",
        "{'if': [" PRO ", {'fractional': [['on', 1], ['off', 9]]}]}",
        "{'fractional': [['on', 1], ['off', 9], ['on', 3]]}",
        "{'fractional': [['on'], ['off']]}",
        "{'fractional': [['on', 1.5], ['off', 9]]}",
        "{'fractional': [['on', 0], ['off', 0]]}",
        "{'fractional': [['on', 1], ['gone', 9]]}",
        "{'fractional': [{'var': 'userId'}, ['on', 1], ['off', 9]]}",
        "{'fractional': [['on', 1], ['on', 9]]}",
        "{'fractional': [['on', {'var': 'w'}], ['off', 9]]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct buf b = BUF_INIT(4096);
        buf_printf(&b, "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': %s}", rules[i]);
        struct flag *f = read_flag(buf_str(&b));
        refuse(f, WISH("on", "10"), "that --percent did not write", "--percent 10 --everyone");
        assert_non_null(strstr(mend, "flagctl target x --file"));
        assert_non_null(strstr(mend, "flagctl kill x"));
        flag_free(is(set(f, WISH("on", "10", .everyone = true)),
                     "{" ON_OFF ", 'defaultVariant': 'off', 'targeting':"
                     " {'fractional': [['on', 10], ['off', 90]]}}"));
        buf_done(&b);
    }
}

static void what_goes_without_a_percentage_is_refused(void **state)
{
    (void)state;
    struct flag_wish wish = {.key = SLICE("x"), .value = SLICE("on"), .by = SLICE("userId")};
    refuse(NULL, wish, "go with --percent", "--percent 100");
    refuse(NULL, WISH("on", "5", .only_default = true), "exclude each other", "choose one");
    struct flag *f = read_flag("{" ON_OFF "}");
    refuse(f, WISH("onn", "5"), "no variant \"onn\"", "on, off");
    refuse(f, WISH("on", "5", .type = HOIST_NUMBER), "of type boolean", "leave --type out");
    flag_free(f);
}

/* ------------------------------------------------------------------ promoting */

static void what_a_promotion_keeps_of_a_rollout_is_its_default_too(void **state)
{
    (void)state;
    struct flag *from = set(NULL, WISH("on", "100")), *at = set(NULL, WISH("on", "10"));
    assert_true(flag_keep_percentages(from, at));
    assert_true(flag_equal(from, at));
    flag_free(from);
    flag_free(at);
}

static void memory_that_is_out_fails_cleanly(void **state)
{
    (void)state;
    struct flag *old = set(NULL, WISH("on", "5", .only_if = SLICE("plan = pro")));
    for (int n = 1;; n++) {
        struct flag_wish wish = WISH("on", "6", .by = SLICE("userId"), .also = SLICE("c in a, b"));
        struct flag *f = NULL;
        mem_fail_at(n);
        enum hoist_err err = flag_edit_set(old, &wish, &f, mend, sizeof mend);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        flag_free(f);
        if (!failed)
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    flag_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentage_creates_a_switch),
        cmocka_unit_test(the_default_and_the_state_become_what_the_rest_gets),
        cmocka_unit_test(decimals_scale_the_weights),
        cmocka_unit_test(an_attribute_is_salted_by_the_key),
        cmocka_unit_test(the_rest_of_several_variants_gets_the_default),
        cmocka_unit_test(if_narrows_and_also_widens),
        cmocka_unit_test(conditions_are_typed_in_three_words),
        cmocka_unit_test(what_is_no_condition_is_refused_with_the_way_to_write_it),
        cmocka_unit_test(a_condition_that_fills_its_limits_is_refused),
        cmocka_unit_test(a_rollout_moves_and_keeps_what_is_not_said_anew),
        cmocka_unit_test(a_named_condition_keeps_its_name),
        cmocka_unit_test(the_other_variants_share_is_what_is_left),
        cmocka_unit_test(a_default_that_was_moved_stays_until_all_or_none),
        cmocka_unit_test(the_same_share_in_other_weights_is_no_change),
        cmocka_unit_test(a_hand_written_rule_is_in_the_way),
        cmocka_unit_test(what_goes_without_a_percentage_is_refused),
        cmocka_unit_test(what_a_promotion_keeps_of_a_rollout_is_its_default_too),
        cmocka_unit_test(memory_that_is_out_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
