#include "flag_kit.h"

static void keys_are_short_text_without_control_characters(void **state)
{
    char longest[FLAG_KEY_MAX + 1];
    (void)state;
    memset(longest, 'k', sizeof longest);
    assert_int_equal(flag_key_check(SLICE("marketplace.enabled")), HOIST_OK);
    assert_int_equal(flag_key_check(SLICE("k\xc3\xa9y with a space")), HOIST_OK);
    assert_int_equal(flag_key_check(slice_of(longest, FLAG_KEY_MAX)), HOIST_OK);

    assert_int_equal(flag_key_check(slice_of(longest, FLAG_KEY_MAX + 1)), HOIST_EINVAL);
    assert_string_equal(err_last(), "the key has 256 bytes, more than 255");
    assert_int_equal(flag_key_check(SLICE("")), HOIST_EINVAL);
    assert_int_equal(flag_key_check(SLICE("a\nb")), HOIST_EINVAL);
    assert_int_equal(flag_key_check(SLICE("a\0b")), HOIST_EINVAL);
    assert_int_equal(flag_key_check(SLICE("a\x7f")), HOIST_EINVAL);
    assert_int_equal(flag_key_check(SLICE("a\xc2\x85")), HOIST_EINVAL); /* U+0085 */
    assert_int_equal(flag_key_check(SLICE("a\xff")), HOIST_EINVAL);
}

static void environments_have_plain_names(void **state)
{
    char longest[FLAG_ENV_MAX + 1];
    (void)state;
    memset(longest, 'e', sizeof longest);
    assert_int_equal(flag_env_check(SLICE("production")), HOIST_OK);
    assert_int_equal(flag_env_check(SLICE("0.eu-west_1")), HOIST_OK);
    assert_int_equal(flag_env_check(slice_of(longest, FLAG_ENV_MAX)), HOIST_OK);

    assert_int_equal(flag_env_check(slice_of(longest, FLAG_ENV_MAX + 1)), HOIST_EINVAL);
    assert_int_equal(flag_env_check(SLICE("")), HOIST_EINVAL);
    assert_int_equal(flag_env_check(SLICE("-x")), HOIST_EINVAL);
    assert_int_equal(flag_env_check(SLICE("Production")), HOIST_EINVAL);
    assert_int_equal(flag_env_check(SLICE("a/b")), HOIST_EINVAL);
}

static const char *const whole =
    "{'state': 'ENABLED', 'variants': {'on': {'n': [1, null]}, 'off': {}}, 'defaultVariant': 'on',"
    " 'override': 'off', 'targeting': {'if': [{'var': 'a'}, 'on', {'x': 1, 'y': 2}]},"
    " 'metadata': {'owner': 'me', 'n': 1},"
    " 'requires': {'flags': {'other': 'on'}, 'otherwise': 'off'}}";

static void a_copy_is_equal_and_outlives_what_it_was_made_of(void **state)
{
    struct flag *f = read_flag(whole), *same = read_flag(whole);
    struct flag *copy = flag_copy(f);
    (void)state;
    flag_free(f);
    assert_true(flag_equal(copy, same));
    flag_free(copy);
    flag_free(same);
}

static void a_copy_fails_cleanly_at_every_allocation(void **state)
{
    struct flag *f = read_flag(whole);
    int n = 1;
    (void)state;
    for (;; n++) {
        mem_fail_at(n);
        struct flag *copy = flag_copy(f);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_true(failed == !copy);
        flag_free(copy);
        if (!failed)
            break;
    }
    assert_true(n > 2);
    flag_free(f);
}

/* Whether a flag with `field` in place of another flag's differs from it. */
static void every_part_of_a_flag_counts_when_two_are_compared(void **state)
{
    static const char *const others[] = {
        "{'state': 'DISABLED', 'variants': {'a': 1, 'b': 2}}",
        "{'state': 'ENABLED', 'variants': {'b': 2, 'a': 1}}", /* order counts */
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 3}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'c': 2}}",
        "{'state': 'ENABLED', 'variants': {'a': 1}}",
        "{'state': 'ENABLED', 'variants': {'a': '1', 'b': '2'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'defaultVariant': 'a'}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'override': 'a'}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'targeting': {'var': 'x'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'targeting': {'var': ['x']}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'targeting': {'var': 'y'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'metadata': {'m': true}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}, 'metadata': {'m': false}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2},"
        " 'requires': {'flags': {'o': 'on'}, 'otherwise': 'a'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2},"
        " 'requires': {'flags': {'o': 'off'}, 'otherwise': 'a'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2},"
        " 'requires': {'flags': {'o': 'on'}, 'otherwise': 'b'}}",
        "{'state': 'ENABLED', 'variants': {'a': 1, 'b': 2}}",
    };
    enum { COUNT = sizeof others / sizeof *others };
    struct flag *flags[COUNT];
    (void)state;
    for (int i = 0; i < COUNT; i++)
        flags[i] = read_flag(others[i]);
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            assert_true(flag_equal(flags[i], flags[j]) == (i == j));
    for (int i = 0; i < COUNT; i++)
        flag_free(flags[i]);
}

static void a_variant_is_found_by_its_name(void **state)
{
    struct flag *f = read_flag("{'state': 'ENABLED', 'variants': {'on': true, 'off': false}}");
    (void)state;
    assert_int_equal(flag_variant(f, SLICE("on")), 0);
    assert_int_equal(flag_variant(f, SLICE("off")), 1);
    assert_int_equal(flag_variant(f, SLICE("of")), FLAG_NO_VARIANT);
    flag_free(f);
    flag_free(NULL);
}

static void problems_are_counted_beyond_those_that_are_kept(void **state)
{
    struct problems p = {0};
    (void)state;
    for (int i = 0; i < 1500; i++)
        problems_add(&p, "flags.x", "mend it", "number %d", i);
    assert_int_equal(p.total, 1500);
    assert_int_equal(p.count, 1000);
    assert_string_equal(p.items[999].path, "flags.x");
    assert_string_equal(p.items[999].message, "number 999");
    assert_string_equal(p.items[999].mend, "mend it");
    problems_done(&p);
    assert_int_equal(p.total, 0);
}

static void a_problem_that_finds_no_memory_is_counted_and_said(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        struct problems p = {0};
        mem_fail_at(n);
        problems_add(&p, "flags.x", "mend it", "wrong");
        mem_fail_at(0);
        assert_int_equal(p.total, 1);
        assert_int_equal(p.count, 0);
        assert_true(p.no_memory);
        problems_done(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_short_text_without_control_characters),
        cmocka_unit_test(environments_have_plain_names),
        cmocka_unit_test(a_copy_is_equal_and_outlives_what_it_was_made_of),
        cmocka_unit_test(a_copy_fails_cleanly_at_every_allocation),
        cmocka_unit_test(every_part_of_a_flag_counts_when_two_are_compared),
        cmocka_unit_test(a_variant_is_found_by_its_name),
        cmocka_unit_test(problems_are_counted_beyond_those_that_are_kept),
        cmocka_unit_test(a_problem_that_finds_no_memory_is_counted_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
