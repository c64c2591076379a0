#include "flag_kit.h"

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"

/* The file in `text`, written; to be freed. */
static char *rewrite(const char *text)
{
    struct flag_file *file = read_flags(text);
    struct buf b = write_file(file);
    char *copy = mem_dup(buf_slice(&b));
    buf_done(&b);
    flag_file_free(file);
    return copy;
}

static void a_file_is_written_with_sorted_keys_and_two_spaces(void **state)
{
    char *text = rewrite("{'flags': {'b': {'variants': {'z': 1, 'a': 2}, 'state': 'DISABLED'},"
                         "'a': {" ON_OFF ", 'defaultVariant': 'on', 'targeting': {'if':"
                         " [{'$ref': 'r'}, 'on']}, 'metadata': {'own': 1}}},"
                         "'metadata': {'set': 'x'}, '$evaluators': {'r': {'var': 'y'}}}");
    struct buf want = json("{\n"
                           "  '$evaluators': {\n"
                           "    'r': {\n"
                           "      'var': 'y'\n"
                           "    }\n"
                           "  },\n"
                           "  '$schema': 'https://flagd.dev/schema/v0/flags.json',\n"
                           "  'flags': {\n"
                           "    'a': {\n"
                           "      'defaultVariant': 'on',\n"
                           "      'metadata': {\n"
                           "        'own': 1\n"
                           "      },\n"
                           "      'state': 'ENABLED',\n"
                           "      'targeting': {\n"
                           "        'if': [\n"
                           "          {\n"
                           "            '$ref': 'r'\n"
                           "          },\n"
                           "          'on'\n"
                           "        ]\n"
                           "      },\n"
                           "      'variants': {\n"
                           "        'on': true,\n"
                           "        'off': false\n"
                           "      }\n"
                           "    },\n"
                           "    'b': {\n"
                           "      'state': 'DISABLED',\n"
                           "      'variants': {\n"
                           "        'z': 1,\n"
                           "        'a': 2\n"
                           "      }\n"
                           "    }\n"
                           "  },\n"
                           "  'metadata': {\n"
                           "    'set': 'x'\n"
                           "  }\n"
                           "}\n");
    (void)state;
    assert_string_equal(text, buf_str(&want));
    buf_done(&want);
    mem_free(text);
}

static void equal_flags_give_equal_bytes(void **state)
{
    char *a = rewrite("{'metadata': {'o': 'me'}, 'flags': {'x': {" ON_OFF "}, 'y': {" ON_OFF
                      ", 'targeting': {'in': [1.50, [1e2, {'b': -0, 'a': '\\u00e9'}]]}}}}");
    char *b = rewrite("{'flags': [{'key': 'y', 'metadata': {'o': 'me'}, 'targeting':"
                      " {'in': [1.5, [100, {'a': '\xc3\xa9', 'b': 0}]]}, " ON_OFF "}, {" ON_OFF
                      ", 'key': 'x', 'metadata': {'o': 'me'}}]}");
    (void)state;
    assert_string_equal(a, b);
    mem_free(a);
    mem_free(b);
}

static void what_is_written_reads_back_equal(void **state)
{
    static const char text[] =
        "{'flags': {'x': {" ON_OFF ", 'defaultVariant': null, 'override': 'off', 'targeting':"
        " {'if': [{'and': []}, {'var': ['a', 3]}, {'var': 'a'}, {'!': [[1]]}, {'!': {'a': {}, 'b':"
        " [{'one': 'key'}]}}, {'$ref': 'e'}, null, true, false, '', 9007199254740993.5, 1e-320]},"
        " 'requires': {'flags': {'z': 'q'}, 'otherwise': 'on'}, 'metadata': {'a': 1.5, 'b': true}},"
        " 'o': {'state': 'ENABLED', 'variants': {'b': {'$ref': 'e'}, 'a': [], 'c': {'x': {'y':"
        " [null, 1e300, 12345678901234567.0]}}}}}, '$evaluators': {'e': {'<': [1, {'var': ''},"
        " 3]}}}";
    struct flag_file *file = read_flags(text);
    struct buf once = write_file(file);
    struct flag_file *again = read_good(buf_slice(&once));
    (void)state;
    assert_int_equal(again->count, file->count);
    for (size_t i = 0; i < file->count; i++)
        assert_true(flag_equal(file->flags[i], again->flags[i]));
    struct buf twice = write_file(again);
    assert_string_equal(buf_str(&once), buf_str(&twice));
    buf_done(&once);
    buf_done(&twice);
    flag_file_free(file);
    flag_file_free(again);
}

static void only_metadata_that_all_flags_share_is_lifted(void **state)
{
    char *text = rewrite("{'flags': {'a': {" ON_OFF ", 'metadata': {'n': 1, 'o': 'x', 's': '1'}},"
                         "'b': {" ON_OFF ", 'metadata': {'n': 2, 'o': 'x', 's': 1}},"
                         "'c': {" ON_OFF ", 'metadata': {'n': 1, 'o': 'x'}}}}");
    const char *shared = strstr(text, "\n  \"metadata\": {\n    \"o\": \"x\"\n  }\n");
    (void)state;
    assert_non_null(shared);
    assert_null(strstr(text, "      \"o\""));
    assert_non_null(strstr(text, "        \"n\": 2,\n        \"s\": 1\n"));
    mem_free(text);

    text = rewrite("{'flags': {'a': {" ON_OFF ", 'metadata': {'o': 'x'}}}}");
    assert_null(strstr(text, "\n  \"metadata\"")); /* one flag alone keeps its own */
    mem_free(text);

    text = rewrite("{'flags': {'a': {" ON_OFF ", 'metadata': {'o': 'x'}}, 'b': {" ON_OFF "}}}");
    assert_null(strstr(text, "\n  \"metadata\""));
    mem_free(text);
}

static void a_rule_of_one_name_that_differs_is_written_in_place(void **state)
{
    static const char *const files[] = {
        "{'flags': {'a': {" ON_OFF ", 'targeting': {'or': [{'$ref': 'r'}, {'$ref': 's'}]}}},"
        " '$evaluators': {'r': {'var': 'x'}, 's': {'var': 'z'}}}",
        "{'flags': {'b': {" ON_OFF ", 'targeting': {'or': [{'$ref': 'r'}, {'$ref': 's'}]}}},"
        " '$evaluators': {'r': {'var': 'y'}, 's': {'var': 'z'}}}",
    };
    struct flag_file *a = read_flags(files[0]), *b = read_flags(files[1]);
    struct flag *both[] = {a->flags[0], b->flags[0]};
    struct buf out = BUF_INIT(1 << 20);
    (void)state;
    assert_int_equal(flag_file_write(both, 2, &out), HOIST_OK);
    struct flag_file *file = read_good(buf_slice(&out));
    for (int i = 0; i < 2; i++) {
        const struct node *n = file->flags[i]->targeting.nodes;
        assert_int_equal(n[1].kind, NODE_OP);
        assert_true(slice_eq(n[2].text, i ? SLICE("y") : SLICE("x")));
        assert_int_equal(n[3].kind, NODE_REF);
        assert_true(slice_eq(n[3].text, SLICE("s")));
    }
    assert_null(strstr(buf_str(&out), "\"r\""));
    buf_done(&out);
    flag_file_free(file);
    flag_file_free(a);
    flag_file_free(b);
}

static void no_flags_are_a_file_too(void **state)
{
    struct buf out = BUF_INIT(1 << 20);
    (void)state;
    assert_int_equal(flag_file_write(NULL, 0, &out), HOIST_OK);
    flag_file_free(read_good(buf_slice(&out)));
    buf_done(&out);
}

static void writing_fails_cleanly_at_every_allocation_and_at_the_limit(void **state)
{
    struct flag_file *file =
        read_flags("{'flags': {'a': {" ON_OFF ", 'targeting': {'$ref': 'r'}}, 'b': {" ON_OFF
                   ", 'targeting': {'$ref': 'r'}}}, 'metadata': {'o': 'me'},"
                   " '$evaluators': {'r': {'var': 'x'}}}");
    int n = 1;
    (void)state;
    for (;; n++) {
        struct buf out = BUF_INIT(1 << 20);
        mem_fail_at(n);
        enum hoist_err err = flag_file_write(file->flags, file->count, &out);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        buf_done(&out);
        if (!failed)
            break;
    }
    assert_true(n > 4);

    struct buf small = BUF_INIT(100);
    assert_int_equal(flag_file_write(file->flags, file->count, &small), HOIST_ELIMIT);
    buf_done(&small);
    flag_file_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_with_sorted_keys_and_two_spaces),
        cmocka_unit_test(equal_flags_give_equal_bytes),
        cmocka_unit_test(what_is_written_reads_back_equal),
        cmocka_unit_test(only_metadata_that_all_flags_share_is_lifted),
        cmocka_unit_test(a_rule_of_one_name_that_differs_is_written_in_place),
        cmocka_unit_test(no_flags_are_a_file_too),
        cmocka_unit_test(writing_fails_cleanly_at_every_allocation_and_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
