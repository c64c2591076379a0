#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* What `write_lines` puts on stderr. */
static char *caught(void (*write_lines)(void))
{
    static char text[1 << 16];
    FILE *f = tmpfile();
    assert_non_null(f);
    int kept = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(f), STDERR_FILENO);
    write_lines();
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(f);
    size_t len = fread(text, 1, sizeof text - 1, f);
    text[len] = '\0';
    fclose(f);
    return text;
}

static int log_reset(void **state)
{
    (void)state;
    log_set_level(LOG_WARN);
    log_set_format(LOG_LOGFMT);
    return 0;
}

static void write_awkward(void)
{
    log_error("room: say \"%s\"\\ and\nthen\t\x01%s", "hi", "\xc3\xa9");
}

static void a_line_stays_one_line_whatever_is_in_it(void **state)
{
    (void)state;
    const char *line = caught(write_awkward);
    assert_non_null(strstr(line, " level=error msg=\"room: say \\\"hi\\\"\\\\ and\\u000athen\\u0009"
                                 "\\u0001\xc3\xa9\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_int_equal(strncmp(line, "time=20", 7), 0);
}

static void json_lines_are_objects(void **state)
{
    (void)state;
    log_set_format(LOG_JSON);
    const char *line = caught(write_awkward);
    assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
    assert_non_null(
        strstr(line, "\",\"level\":\"error\",\"msg\":\"room: say \\\"hi\\\"\\\\ and\\u000a"));
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
}

static void write_broken_utf8(void)
{
    log_error("cut: \xc3");
}

static void what_is_not_utf8_shows_as_such(void **state)
{
    (void)state;
    assert_non_null(strstr(caught(write_broken_utf8), "msg=\"cut: \\ufffd\"\n"));
}

static void write_long(void)
{
    char text[5000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_error("%s", text);
}

static void a_long_line_is_cut_and_ends(void **state)
{
    (void)state;
    const char *line = caught(write_long);
    size_t len = strlen(line);
    assert_true(len > 1000 && len < 2300);
    assert_string_equal(line + len - 2, "\"\n");
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void write_all_levels(void)
{
    log_error("e");
    log_warn("w");
    log_info("i");
    log_debug("d %d", count_evaluation());
}

static void the_level_says_what_is_written(void **state)
{
    (void)state;
    const char *lines = caught(write_all_levels);
    assert_non_null(strstr(lines, "level=warn"));
    assert_null(strstr(lines, "level=info"));
    assert_int_equal(evaluated, 0); /* nor is the work for a line done that nobody wants */
    log_set_level(LOG_DEBUG);
    assert_non_null(strstr(caught(write_all_levels), "level=debug msg=\"d 1\""));
    log_set_level(LOG_ERROR);
    assert_null(strstr(caught(write_all_levels), "level=warn"));
}

static void a_level_is_one_of_four_words(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    assert_int_equal(log_level_parse("warn", &level), HOIST_OK);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("loud", &level), HOIST_EINVAL);
    assert_int_equal(log_level_parse("", &level), HOIST_EINVAL);
    assert_int_equal(level, LOG_WARN);
    assert_non_null(strstr(err_last(), "error, warn, info, debug"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_stays_one_line_whatever_is_in_it, log_reset),
        cmocka_unit_test_setup(json_lines_are_objects, log_reset),
        cmocka_unit_test_setup(what_is_not_utf8_shows_as_such, log_reset),
        cmocka_unit_test_setup(a_long_line_is_cut_and_ends, log_reset),
        cmocka_unit_test_setup(the_level_says_what_is_written, log_reset),
        cmocka_unit_test(a_level_is_one_of_four_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
