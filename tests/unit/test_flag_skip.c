/* Taking the flags of a file that are right. */
#include "flag_kit.h"

#define GOOD "{'state': 'ENABLED', 'variants': {'on': true, 'off': false}}"
#define NEEDS(key, variant)                                                                        \
    "{'state': 'ENABLED', 'variants': {'on': true, 'off': false}, 'requires': {'flags': {'" key    \
    "': '" variant "'}, 'otherwise': 'off'}}"

/* The keys that were taken, a bar, and the keys that were left out. */
static void takes(const char *text, const char *want)
{
    struct buf b = json(text), keys = BUF_INIT(4096);
    struct problems problems = {0};
    struct flag_file *file = NULL;
    if (flag_file_read_valid(buf_slice(&b), &file, &problems) != HOIST_OK)
        fail_msg("%s", err_last());
    for (size_t i = 0; i < file->count; i++)
        buf_printf(&keys, "%.*s ", SLICE_ARG(file->flags[i]->key));
    buf_add_str(&keys, "|");
    for (size_t i = 0; i < file->skipped_count; i++) {
        bool told = false;
        for (size_t n = 0; n < problems.count; n++)
            told |= problems.items[n].flag_len == strlen(file->skipped[i].path) &&
                    strncmp(problems.items[n].path, file->skipped[i].path,
                            problems.items[n].flag_len) == 0;
        assert_true(told);
        buf_printf(&keys, " %s", file->skipped[i].key);
    }
    assert_string_equal(buf_str(&keys), want);
    flag_file_free(file);
    problems_done(&problems);
    buf_done(&keys);
    buf_done(&b);
}

static void flags_with_problems_are_left_out(void **state)
{
    (void)state;
    takes("{'flags': {}}", "|");
    takes("{'flags': {'a': " GOOD ", 'b': 5, 'c': {}, 'd': " GOOD "}}", "a d | b c");
    takes("{'flags': {'a': " GOOD ", 'a.b': {'state': 1}, 'a.b.c': " GOOD "}}", "a a.b.c | a.b");
    takes("{'flags': {'a': {'state': 'ENABLED', 'variants': {'v': 9007199254740993}}, 'b': " GOOD
          ", 'c': " GOOD ", 'c': " GOOD "}}",
          "b | a c");
    takes("{'flags': {'a': " NEEDS("b", "onn") ", 'b': " GOOD ", 'c': " NEEDS(
              "d", "on") ", 'd': " NEEDS("c", "on") "}}",
          "b d | a c");
    takes("{'flags': [{'key': 'x', 'state': 'ENABLED', 'variants': {'on': 1}}, {'key': 'x'}, 7,"
          " {'key': 'a', 'state': 'ENABLED', 'variants': {'on': 1}}]}",
          "a x |  x");
}

#define BIG(key) "'" key "': {'state': 'ENABLED', 'variants': {'v': 9007199254740993}}"

static void a_flag_whose_key_has_escapes_is_left_out_like_any(void **state)
{
    (void)state;
    takes("{'flags': {" BIG("caf\\u00e9") ", 'b': " GOOD "}}", "b | caf\xc3\xa9");
    takes("{'flags': {" BIG("a\\/b") ", " BIG("\\ud83d\\ude00") ", " BIG("q\\\"") "}}",
          "| a/b q\" \xf0\x9f\x98\x80");
    takes("{'fl\\u0061gs': {" BIG("x") "}}", "| x");
    takes("{'flags': {'\\u0061': {'state': 'ENABLED', 'variants': {'on': true, 'off': false},"
          " 'targeting': {'if': [{'==': [{'var': 'x'}, 9007199254740993]}, 'on', 'off']}}}}",
          "| a");
    takes("{'flags': {" BIG("x") ", 'a': " GOOD ", '\\u0061': " GOOD "}}", "| a x");
}

#define LONG "a.key.of.more.bytes.than.are.shown.of.one.in.a.path.since.terminals.are.narrow."

static void flags_whose_long_keys_begin_alike_are_told_apart(void **state)
{
    (void)state;
    takes("{'flags': {'" LONG "one': " GOOD ", '" LONG "two': 5, " BIG(LONG "three") "}}",
          LONG "one | " LONG "three " LONG "two");
}

static void a_problem_of_a_flag_that_is_not_found_is_in_the_way(void **state)
{
    (void)state;
    struct buf b = json("{'flags': {'a': " GOOD "}}");
    struct problems problems = {.flag_len = sizeof "flags.gone" - 1};
    struct flag_file *file = NULL;
    problems_add(&problems, "flags.gone.state", "", "it is of no flag");
    problems.flag_len = 0;
    assert_int_equal(flag_file_read_valid(buf_slice(&b), &file, &problems), HOIST_EINVAL);
    assert_null(file);
    problems_done(&problems);
    buf_done(&b);
}

static void what_is_wrong_with_the_file_itself_is_in_the_way(void **state)
{
    static const char *const bad[] = {"",
                                      "{'flags': {",
                                      "[]",
                                      "{}",
                                      "{'flags': 1}",
                                      "{'flags': {}, 'metadata': 1}",
                                      "{'flags': {}, '$evaluators': {'a': {'nope': 1}}}",
                                      "{'flags': {}, 'flags': {}}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = json(bad[i]);
        struct problems problems = {0};
        struct flag_file *file = NULL;
        assert_int_equal(flag_file_read_valid(buf_slice(&b), &file, &problems), HOIST_EINVAL);
        assert_null(file);
        assert_true(problems.total > 0);
        problems_done(&problems);
        buf_done(&b);
    }
}

static void more_problems_than_are_kept_are_in_the_way(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    struct problems problems = {0};
    struct flag_file *file = NULL;
    buf_add_str(&b, "{\"flags\": {\"a\": 1");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, ", \"f%d\": 1", i);
    buf_add_str(&b, "}}");
    assert_int_equal(flag_file_read_valid(buf_slice(&b), &file, &problems), HOIST_EINVAL);
    assert_int_equal(problems.total, 1001);
    problems_done(&problems);
    buf_done(&b);
}

static void memory_that_is_out_fails_cleanly(void **state)
{
    (void)state;
    struct buf b = json("{'flags': {'a': " GOOD ", 'b': 5, 'c': " NEEDS("b", "on") "}}");
    for (int n = 1;; n++) {
        struct problems problems = {0};
        struct flag_file *file = NULL;
        mem_fail_at(n);
        enum hoist_err err = flag_file_read_valid(buf_slice(&b), &file, &problems);
        if (err == HOIST_OK)
            err = flag_file_skip(file, 1, &problems, "", "it requires what is not there");
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed)
            assert_int_equal(file->count, 1);
        flag_file_free(file);
        problems_done(&problems);
        if (!failed)
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_with_problems_are_left_out),
        cmocka_unit_test(a_flag_whose_key_has_escapes_is_left_out_like_any),
        cmocka_unit_test(flags_whose_long_keys_begin_alike_are_told_apart),
        cmocka_unit_test(a_problem_of_a_flag_that_is_not_found_is_in_the_way),
        cmocka_unit_test(what_is_wrong_with_the_file_itself_is_in_the_way),
        cmocka_unit_test(more_problems_than_are_kept_are_in_the_way),
        cmocka_unit_test(memory_that_is_out_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
