/* The lines and columns of what is wrong with a file. */
#include "flag_kit.h"

static struct problems problems;

static void refuse(const char *text)
{
    struct buf b = json(text);
    struct flag_file *file = NULL;
    problems_done(&problems);
    assert_int_equal(flag_file_read(buf_slice(&b), &file, &problems), HOIST_EINVAL);
    buf_done(&b);
}

/* There is a problem at `path`; it is there in the text, and so much of the path names its flag. */
static void at(const char *path, uint32_t line, uint32_t column, const char *flag)
{
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *p = &problems.items[i];
        if (strcmp(p->path, path) != 0)
            continue;
        if (p->line != line || p->column != column)
            fail_msg("%s: line %u, column %u", path, p->line, p->column);
        assert_int_equal(p->flag_len, strlen(flag));
        assert_memory_equal(p->path, flag, p->flag_len);
        return;
    }
    fail_msg("no problem at %s", path);
}

static void a_problem_is_where_its_key_is(void **state)
{
    (void)state;
    refuse("{\n"
           "  'flags': {\n"
           "    'a': {'state': 'MAYBE', 'variants': {'on': true, 'off': 5}},\n"
           "    'b.c': {'state': 'ENABLED', 'variants': {'on': true},\n"
           "            'targeting': {'if': [\n"
           "              {'==': [1, {'nope': []}]}, {'$ref': 'x'}]}},\n"
           "    'no \xc3\xa9': 7, 'd': {}\n"
           "  },\n"
           "  'extra': 1,\n"
           "  '$evaluators': {'e': []}\n"
           "}\n");
    at("flags.a.state", 3, 11, "flags.a");
    at("flags.a.variants.off", 3, 54, "flags.a");
    at("flags.b.c.targeting.if[0].==[1].nope", 6, 27, "flags.b.c");
    at("flags.b.c.targeting.if[1].$ref", 6, 43, "flags.b.c");
    at("flags.no \xc3\xa9", 7, 5, "flags.no \xc3\xa9");
    at("extra", 9, 3, "");
    at("$evaluators.e", 10, 19, "");
    at("flags.d.state", 7, 16, "flags.d"); /* it is not there: where the flag is */
    at("flags.d.variants", 7, 16, "flags.d");
    problems_done(&problems);
}

static void flags_in_an_array_have_lines_too(void **state)
{
    (void)state;
    refuse("{'flags': [\n"
           " {'key': 'z', 'state': 'ENABLED', 'variants': {'on': true}, 'requires':\n"
           "   {'flags': {'a': 'onn'}, 'otherwise': 'on'}},\n"
           " {'key': 'a', 'state': 'ENABLED', 'variants': {'on': true}},\n"
           " {'key': 'a', 'state': 'ENABLED', 'variants': {'on': true}},\n"
           "   {}]}");
    at("flags[0].requires.flags.a", 3, 15, "flags[0]");
    at("flags[2]", 5, 2, "flags[2]");
    at("flags[3]", 6, 4, "flags[3]");
    problems_done(&problems);
}

static void what_the_scan_finds_has_a_line_and_a_flag(void **state)
{
    (void)state;
    refuse("{'flags': {\n"
           "'a': {'state': 'ENABLED', 'variants': {'v': 9007199254740993}},\n"
           "'b': {'state': 'ENABLED', 'state': 'ENABLED', 'variants': {'v': 'x\\u0000'}},\n"
           "'c': 1, 'c': 2},\n"
           "'metadata': {'n': 9007199254740993}}");
    at("flags.a.variants.v", 2, 40, "flags.a");
    at("flags.b.state", 3, 7, "flags.b");
    at("flags.b.variants.v", 3, 60, "flags.b");
    at("flags.c", 4, 1, "flags.c");
    at("metadata.n", 5, 14, "");
    problems_done(&problems);
}

static void what_is_no_json_is_where_its_error_is(void **state)
{
    (void)state;
    refuse("{'flags': {\n  'a': {'state' 'ENABLED'}}}");
    assert_int_equal(problems.items[0].line, 2);
    assert_true(problems.items[0].column > 1);
    refuse("");
    at("line 1, column 1", 1, 1, "");
    refuse("\n\n  []");
    at("line 1, column 1", 1, 1, "");
    refuse("\n {}");
    at("flags", 2, 2, "");
    problems_done(&problems);
}

static void a_byte_order_mark_takes_no_column(void **state)
{
    (void)state;
    refuse("\xef\xbb\xbf{'flags': 1}");
    at("flags", 1, 2, "");
    problems_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_is_where_its_key_is),
        cmocka_unit_test(flags_in_an_array_have_lines_too),
        cmocka_unit_test(what_the_scan_finds_has_a_line_and_a_flag),
        cmocka_unit_test(what_is_no_json_is_where_its_error_is),
        cmocka_unit_test(a_byte_order_mark_takes_no_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
