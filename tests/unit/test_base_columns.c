#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/columns.h"

static const struct {
    const char *text;
    size_t columns;
    const char *shown;
    size_t taken;
} cases[] = {
    {"host1", 10, "host1", 5},
    {"host1", 5, "host1", 5},
    {"host12", 5, "host…", 5},
    {"", 5, "", 0},
    {"host1", 0, "", 0},
    {"host1", 1, "…", 1},
    {"grün", 4, "grün", 4},
    {"grüner", 4, "grü…", 4},
    {"東京", 4, "東京", 4}, /* two columns each */
    {"東京", 3, "東…", 3},
    {"東京", 2, "…", 1},
    {"e\u0301t\u00e9", 3, "e\u0301t\u00e9", 3}, /* an accent of its own takes none */
    {"🚀go", 4, "🚀go", 4},
    {"a\x1b[2Jb", 9, "a?[2Jb", 6}, /* what steers a terminal */
    {"a\nb\tc", 9, "a?b?c", 5},
    {"a\xc2\x9b"
     "b",
     9, "a?b", 3},
    {"a\u202eb", 9, "a?b", 3}, /* or turns the order around */
    {"a\u200bb", 9, "a?b", 3},
    {"a\xffz", 9, "a?z", 3}, /* what is no UTF-8 */
    {"a\xe6\x9d", 9, "a??", 3},
    {"\xc0\x80", 9, "??", 2},
    {"\xed\xa0\x80", 9, "???", 3},
};

static void text_takes_its_columns_and_no_more_than_there_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT(1000);
        size_t taken = columns_add(&out, slice_str(cases[i].text), cases[i].columns);
        assert_string_equal(buf_str(&out), cases[i].shown);
        assert_int_equal(taken, cases[i].taken);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_takes_its_columns_and_no_more_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
