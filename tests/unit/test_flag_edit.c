#include "flag_kit.h"

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"

static char mend[1024];

/* `set x VALUE`, with the rest of the wish: the new flag, which must be one. */
static struct flag *set(const struct flag *old, struct flag_wish wish)
{
    struct flag *f = NULL;
    wish.key = SLICE("x");
    mend[0] = '?';
    if (flag_edit_set(old, &wish, &f, mend, sizeof mend) != HOIST_OK)
        fail_msg("%s", err_last());
    assert_string_equal(mend, "");
    return f;
}

/* The same, refused; `message` and `advice` are part of what is said. */
static void refuse(const struct flag *old, struct flag_wish wish, const char *message,
                   const char *advice)
{
    struct flag *f = (struct flag *)mend; /* anything but NULL */
    wish.key = wish.key.ptr ? wish.key : SLICE("x");
    assert_int_equal(flag_edit_set(old, &wish, &f, mend, sizeof mend), HOIST_EINVAL);
    assert_ptr_equal(f, mend);
    if (!strstr(err_last(), message) || !strstr(mend, advice))
        fail_msg("said \"%s\" and \"%s\"", err_last(), mend);
}

#define WISH(text, ...) ((struct flag_wish){.value = SLICE(text), ##__VA_ARGS__})

/* `f` is the flag that `definition` makes; frees `f`. */
static void is(struct flag *f, const char *definition)
{
    struct flag *want = read_flag(definition);
    assert_true(flag_equal(f, want));
    flag_free(want);
    flag_free(f);
}

/* ------------------------------------------------------------------ creating */

static void on_and_off_create_a_switch(void **state)
{
    (void)state;
    is(set(NULL, WISH("on")), "{" ON_OFF ", 'defaultVariant': 'on'}");
    is(set(NULL, WISH("true")), "{" ON_OFF ", 'defaultVariant': 'on'}");
    is(set(NULL, WISH("off")), "{" ON_OFF ", 'defaultVariant': 'off'}");
    is(set(NULL, WISH("false")), "{" ON_OFF ", 'defaultVariant': 'off'}");
    is(set(NULL, WISH("true", .type = HOIST_BOOL)), "{" ON_OFF ", 'defaultVariant': 'on'}");
}

static void a_type_creates_one_variant_called_value(void **state)
{
    (void)state;
    is(set(NULL, WISH("50", .type = HOIST_NUMBER)),
       "{'state': 'ENABLED', 'variants': {'value': 50}, 'defaultVariant': 'value'}");
    is(set(NULL, WISH("50", .type = HOIST_STRING)),
       "{'state': 'ENABLED', 'variants': {'value': '50'}, 'defaultVariant': 'value'}");
    is(set(NULL, WISH("on", .type = HOIST_STRING)),
       "{'state': 'ENABLED', 'variants': {'value': 'on'}, 'defaultVariant': 'value'}");
    is(set(NULL, WISH("", .type = HOIST_STRING)),
       "{'state': 'ENABLED', 'variants': {'value': ''}, 'defaultVariant': 'value'}");
    is(set(NULL, WISH("{\"b\": 1, \"a\": [2]}", .type = HOIST_OBJECT)),
       "{'state': 'ENABLED', 'variants': {'value': {'a': [2], 'b': 1}}, 'defaultVariant':"
       " 'value'}");
}

static void a_new_value_of_no_type_is_refused_with_the_command_to_type(void **state)
{
    (void)state;
    refuse(NULL, WISH("blue"), "there is no flag \"x\" yet", "flagctl set x blue --type string");
    refuse(NULL, WISH("50"), "does not say its type", "flagctl set x 50 --type number");
    refuse(NULL, WISH("[1, 2]"), "does not say its type", "flagctl set x '[1, 2]' --type object");
    refuse(NULL, WISH("it's"), "does not say its type", "flagctl set x 'it'\\''s' --type string");
    refuse(NULL, WISH("maybe", .type = HOIST_BOOL), "\"maybe\" is no boolean", "on, off, true");
    refuse(NULL, WISH("on", .type = 9), "no such type", "boolean, string");
}

static void a_bad_key_is_refused(void **state)
{
    (void)state;
    refuse(NULL, (struct flag_wish){.key = SLICE("a\nb"), .value = SLICE("on")},
           "control character", "keys are");
    refuse(NULL, (struct flag_wish){.key = SLICE(""), .value = SLICE("on")}, "empty", "keys are");
}

/* ------------------------------------------------------------------ values */

static void numbers_are_json_numbers_that_a_double_holds(void **state)
{
    static const char *const none[] = {"",    "x",   "0x10", "inf",   "nan",  " 1",
                                       "1 ",  "+1",  "01",   ".5",    "5.",   "1e",
                                       "1e+", "--1", "-",    "1.5.2", "1,000"};
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},       {"-0", 0},        {"9007199254740991", 9007199254740991},
                {"-2.5", -2.5}, {"1e6", 1e6},     {"1E-3", 1e-3},
                {"0.10", 0.1},  {"1e308", 1e308}, {"9007199254740993.0", 9007199254740992}};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refuse(NULL, (struct flag_wish){.value = slice_str(none[i]), .type = HOIST_NUMBER},
               "is not a number", "10, -2.5 or 1e6");
    refuse(NULL, WISH("9007199254740992", .type = HOIST_NUMBER), "would be rounded", "as a string");
    refuse(NULL, WISH("-9007199254740992", .type = HOIST_NUMBER), "would be rounded",
           "as a string");
    refuse(NULL, WISH("1e309", .type = HOIST_NUMBER), "more than a number can hold", "1.8e308");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct flag *f =
            set(NULL, (struct flag_wish){.value = slice_str(good[i].text), .type = HOIST_NUMBER});
        assert_true(f->variants[0].value.nodes[0].number == good[i].value);
        flag_free(f);
    }
}

static void text_must_be_utf8_without_nul(void **state)
{
    (void)state;
    refuse(NULL, WISH("a\xff", .type = HOIST_STRING), "not valid text", "UTF-8");
    refuse(NULL, WISH("a\0b", .type = HOIST_STRING), "not valid text", "NUL");
}

static void objects_are_json_of_an_object_or_array(void **state)
{
    (void)state;
    refuse(NULL, WISH("{\"a\": }", .type = HOIST_OBJECT), "line 1, column 7", "'{\"limit\": 10}'");
    refuse(NULL, WISH("3", .type = HOIST_OBJECT), "not JSON", "JSON");
    refuse(NULL, WISH("", .type = HOIST_OBJECT), "nothing", "JSON");
    refuse(NULL, WISH("{\"a\": 9007199254740993}", .type = HOIST_OBJECT),
           "at a: 9007199254740993 would be rounded", "as a string");
    refuse(NULL, WISH("{\"a\": 1, \"a\": 2}", .type = HOIST_OBJECT), "more than once", "keep one");
}

/* ------------------------------------------------------------------ changing */

static void a_variant_becomes_the_default(void **state)
{
    struct flag *old = read_flag("{'state': 'ENABLED', 'variants': {'a': 'x', 'b': 'y', 'on': 'z'},"
                                 " 'defaultVariant': 'a', 'metadata': {'o': 'me'},"
                                 " 'override': 'a', 'requires': {'flags': {'y': 'on'},"
                                 " 'otherwise': 'a'}}");
    (void)state;
    struct flag *f = set(old, WISH("b"));
    assert_int_equal(f->default_variant, 1);
    assert_int_equal(f->override, 0); /* only restore clears it */
    assert_int_equal(f->requires_count, 1);
    f->default_variant = 0;
    assert_true(flag_equal(f, old)); /* and nothing else has changed */
    flag_free(f);

    f = set(old, WISH("b", .type = HOIST_STRING));
    assert_int_equal(f->default_variant, 1);
    flag_free(f);
    flag_free(old);
}

static void a_variant_that_is_not_there_is_refused_with_those_that_are(void **state)
{
    struct flag *old = read_flag("{'state': 'ENABLED', 'variants': {'a': 'x', 'b': 'y'}}");
    (void)state;
    refuse(old, WISH("x"), "the flag \"x\" has no variant \"x\"", "name one of: a, b");
    refuse(old, WISH("on"), "no variant \"on\"", "name one of: a, b");
    flag_free(old);
}

static void the_variants_of_a_flag_with_hundreds_are_cut_short(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&b, "{'state': 'ENABLED', 'variants': {'v0': 0");
    for (int i = 1; i < 300; i++)
        buf_printf(&b, ", 'v%d': 0", i);
    buf_add_str(&b, "}}");
    struct flag *old = read_flag(buf_str(&b));
    refuse(old, WISH("w"), "no variant",
           "v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, and 288");
    flag_free(old);
    buf_done(&b);
}

static void true_and_on_choose_the_variant_that_has_the_value(void **state)
{
    struct flag *words = read_flag("{'state': 'ENABLED', 'variants': {'yes': true, 'no': false}}");
    struct flag *many =
        read_flag("{'state': 'ENABLED', 'variants': {'on': true, 'beta': true, 'off': false}}");
    struct flag *crossed = read_flag("{'state': 'ENABLED', 'variants': {'on': false, 'x': true}}");
    (void)state;
    static const struct {
        const char *value;
        int32_t variant;
    } choices[] = {{"true", 0}, {"on", 0}, {"false", 1}, {"off", 1}, {"no", 1}};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct flag *f = set(words, (struct flag_wish){.value = slice_str(choices[i].value)});
        assert_int_equal(f->default_variant, choices[i].variant);
        flag_free(f);
    }
    struct flag *f = set(many, WISH("on")); /* a name comes first */
    assert_int_equal(f->default_variant, 0);
    flag_free(f);
    refuse(many, WISH("true"), "any of 2 variants", "name one of: on, beta, off");
    f = set(crossed, WISH("on"));
    assert_int_equal(f->default_variant, 0);
    flag_free(f);
    flag_free(words);
    flag_free(many);
    flag_free(crossed);
}

static void a_value_is_replaced_without_saying_its_type_again(void **state)
{
    struct flag *number = set(NULL, WISH("50", .type = HOIST_NUMBER));
    struct flag *text = set(NULL, WISH("blue", .type = HOIST_STRING));
    struct flag *object = set(NULL, WISH("{}", .type = HOIST_OBJECT));
    (void)state;
    is(set(number, WISH("51")),
       "{'state': 'ENABLED', 'variants': {'value': 51}, 'defaultVariant': 'value'}");
    is(set(text, WISH("value")),
       "{'state': 'ENABLED', 'variants': {'value': 'value'}, 'defaultVariant': 'value'}");
    is(set(object, WISH("[1]", .type = HOIST_OBJECT)),
       "{'state': 'ENABLED', 'variants': {'value': [1]}, 'defaultVariant': 'value'}");
    refuse(number, WISH("many"), "is not a number", "10, -2.5");
    refuse(number, WISH("x", .type = HOIST_STRING), "is of type number", "flagctl delete x");
    flag_free(number);
    flag_free(text);
    flag_free(object);
}

static void setting_what_is_so_gives_an_equal_flag(void **state)
{
    struct flag *old = set(NULL, WISH("on")), *value = set(NULL, WISH("7", .type = HOIST_NUMBER));
    (void)state;
    struct flag *f = set(old, WISH("true"));
    assert_true(flag_equal(f, old));
    flag_free(f);
    f = set(value, WISH("7.0"));
    assert_true(flag_equal(f, value));
    flag_free(f);
    flag_free(old);
    flag_free(value);
}

static void a_disabled_flag_that_is_set_for_everybody_is_enabled(void **state)
{
    struct flag *old = read_flag("{'state': 'DISABLED', 'variants': {'on': true, 'off': false}}");
    (void)state;
    is(set(old, WISH("on")), "{" ON_OFF ", 'defaultVariant': 'on'}");
    is(set(old, WISH("on", .only_default = true)),
       "{'state': 'DISABLED', 'variants': {'on': true, 'off': false}, 'defaultVariant': 'on'}");
    flag_free(old);
}

/* ------------------------------------------------------------------ targeting */

static void targeting_in_the_way_is_refused_with_the_three_commands(void **state)
{
    struct flag *old = read_flag("{" ON_OFF ", 'defaultVariant': 'on', 'targeting': {'var': 'x'}}");
    (void)state;
    refuse(old, WISH("off"), "has targeting", "flagctl set x off --everyone");
    refuse(old, WISH("off"), "has targeting", "flagctl set x off --default");
    refuse(old, WISH("off"), "has targeting", "flagctl kill x");
    refuse(old, WISH("on"), "has targeting", ""); /* the default as it is reaches not everybody */
    refuse(old, WISH("no"), "no variant \"no\"", ""); /* what no flag would take comes first */
    flag_free(old);
}

static void everyone_drops_the_targeting_and_default_keeps_it(void **state)
{
    struct flag *old = read_flag("{" ON_OFF ", 'defaultVariant': 'on', 'targeting': {'var': 'x'}}");
    (void)state;
    is(set(old, WISH("off", .everyone = true)), "{" ON_OFF ", 'defaultVariant': 'off'}");
    is(set(old, WISH("off", .only_default = true)),
       "{" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'var': 'x'}}");
    refuse(old, WISH("off", .everyone = true, .only_default = true), "exclude", "choose one");
    flag_free(old);
}

static void what_is_said_is_safe_for_a_terminal(void **state)
{
    struct flag *old = read_flag("{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}}");
    (void)state;
    refuse(old, WISH("\x1b[2J\xc2\x9b\xff"), "\\u001b[2J\\u009b?", "name one of");
    flag_free(old);
}

static void a_mend_is_cut_to_the_room_there_is(void **state)
{
    struct flag *old = read_flag("{" ON_OFF ", 'targeting': {'var': 'x'}}"), *f = NULL;
    char key[FLAG_KEY_MAX], small[16];
    struct flag_wish wish = {.key = {(uint8_t *)key, sizeof key}, .value = SLICE("on")};
    (void)state;
    memset(key, '\'', sizeof key); /* each takes four bytes in a shell */
    assert_int_equal(flag_edit_set(old, &wish, &f, mend, sizeof mend), HOIST_EINVAL);
    assert_true(strlen(mend) < sizeof mend);
    assert_int_equal(flag_edit_set(old, &wish, &f, small, sizeof small), HOIST_EINVAL);
    assert_int_equal(strlen(small), sizeof small - 1);
    flag_free(old);
}

static void editing_fails_cleanly_at_every_allocation(void **state)
{
    struct flag *old = read_flag("{'state': 'ENABLED', 'variants': {'value': {'a': 1}}}");
    const struct flag_wish wishes[] = {
        {.key = SLICE("x"), .value = SLICE("{\"a\": [1, \"b\"]}"), .type = HOIST_OBJECT},
        {.key = SLICE("x"), .value = SLICE("on")},
    };
    (void)state;
    for (int i = 0; i < 3; i++) {
        int n = 1;
        for (;; n++) {
            struct flag *f = NULL;
            mem_fail_at(n);
            enum hoist_err err =
                flag_edit_set(i == 2 ? old : NULL, &wishes[i % 2], &f, mend, sizeof mend);
            bool failed = mem_did_fail();
            mem_fail_at(0);
            assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
            assert_true((err == HOIST_OK) == (f != NULL));
            flag_free(f);
            if (!failed)
                break;
        }
        assert_true(n > 2);
    }
    flag_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_and_off_create_a_switch),
        cmocka_unit_test(a_type_creates_one_variant_called_value),
        cmocka_unit_test(a_new_value_of_no_type_is_refused_with_the_command_to_type),
        cmocka_unit_test(a_bad_key_is_refused),
        cmocka_unit_test(numbers_are_json_numbers_that_a_double_holds),
        cmocka_unit_test(text_must_be_utf8_without_nul),
        cmocka_unit_test(objects_are_json_of_an_object_or_array),
        cmocka_unit_test(a_variant_becomes_the_default),
        cmocka_unit_test(a_variant_that_is_not_there_is_refused_with_those_that_are),
        cmocka_unit_test(the_variants_of_a_flag_with_hundreds_are_cut_short),
        cmocka_unit_test(true_and_on_choose_the_variant_that_has_the_value),
        cmocka_unit_test(a_value_is_replaced_without_saying_its_type_again),
        cmocka_unit_test(setting_what_is_so_gives_an_equal_flag),
        cmocka_unit_test(a_disabled_flag_that_is_set_for_everybody_is_enabled),
        cmocka_unit_test(targeting_in_the_way_is_refused_with_the_three_commands),
        cmocka_unit_test(everyone_drops_the_targeting_and_default_keeps_it),
        cmocka_unit_test(what_is_said_is_safe_for_a_terminal),
        cmocka_unit_test(a_mend_is_cut_to_the_room_there_is),
        cmocka_unit_test(editing_fails_cleanly_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
