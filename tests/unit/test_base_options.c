#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/options.h"

static const struct option table[] = {
    {.name = "store", .arg = "DIR", .env = "T_STORE", .help = "where\nthe flags are"},
    {.name = "http", .arg = "HOST:PORT", .fallback = "127.0.0.1:1", .help = "serve there"},
    {.name = "heartbeat-ms", .arg = "N", .fallback = "200", .help = "how often"},
    {.name = "env", .arg = "NAME", .many = true, .fallback = "production", .help = "which"},
    {.name = "label", .arg = "K=V", .many = true, .env = "T_LABEL", .help = "a label"},
    {.name = "json", .env = "T_JSON", .help = "as JSON"},
    {.name = "config", .arg = "FILE", .no_file = true, .help = "read it"},
    {.name = "m", .arg = "MESSAGE", .no_file = true, .help = "why"},
    {.name = "v", .help = "more"},
    {.name = "wait", .arg = "[=all|N%]", .help = "for the others"},
    {.name = "colour", .arg = "NAME", .env = "T_STORE", .fallback = "red"},
    {0},
};

struct place { /* a directory with files, and what was read last */
    char dir[64];
    char config[100], other[100];
    struct options *o;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    snprintf(p->dir, sizeof p->dir, "/tmp/hoist-options.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->config, sizeof p->config, "%s/config.yaml", p->dir);
    snprintf(p->other, sizeof p->other, "%s/other.yaml", p->dir);
    unsetenv("T_STORE");
    unsetenv("T_LABEL");
    unsetenv("T_JSON");
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    options_free(p->o);
    unlink(p->config);
    unlink(p->other);
    rmdir(p->dir);
    free(p);
    return 0;
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

/* Read these arguments, separated by single blanks, and the files of `p`. */
static enum hoist_err read_line(struct place *p, const char *line)
{
    static char words[4096];
    char *argv[64], *rest = words;
    int argc = 0;
    const char *const files[] = {p->config, p->other, NULL};
    options_free(p->o);
    p->o = NULL;
    snprintf(words, sizeof words, "%s", line);
    while (*line && rest)
        argv[argc++] = strsep(&rest, " ");
    return options_read(table, argc, argv, "config", files, &p->o);
}

static void assert_says(const char *part)
{
    if (!strstr(err_last(), part))
        fail_msg("'%s' is not in: %s", part, err_last());
}

static void assert_wrong(struct place *p, const char *line, const char *says)
{
    assert_int_equal(read_line(p, line), HOIST_EINVAL);
    assert_null(p->o);
    assert_says(says);
}

/* A file of this text must be refused at `where` with `says`. */
static void assert_wrong_file(struct place *p, const char *text, const char *where,
                              const char *says)
{
    write_file(p->config, text, strlen(text));
    assert_wrong(p, "", says);
    assert_says(where);
    assert_says("config.yaml");
}

/* ------------------------------------------------------------------ arguments */

static void an_option_takes_its_value_in_either_way(void **state)
{
    struct place *p = *state;
    assert_int_equal(read_line(p, "--store /a --http=b=c -m why -v"), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "/a");
    assert_string_equal(options_get(p->o, "http"), "b=c");
    assert_string_equal(options_get(p->o, "m"), "why");
    assert_true(options_on(p->o, "v"));
    assert_false(options_on(p->o, "json"));
    assert_string_equal(options_origin(p->o, "store"), "argument");
    assert_int_equal(read_line(p, "-mwhy --store="), HOIST_OK);
    assert_string_equal(options_get(p->o, "m"), "why");
    assert_string_equal(options_get(p->o, "store"), "");
}

static void a_value_that_may_be_left_out_stands_behind_an_equals_sign(void **state)
{
    struct place *p = *state;
    const char *const *words;
    assert_int_equal(read_line(p, "--wait 99%"), HOIST_OK);
    assert_string_equal(options_get(p->o, "wait"), "");
    assert_int_equal(options_words(p->o, &words), 1);
    assert_string_equal(words[0], "99%");
    assert_int_equal(read_line(p, "--wait=99% --json"), HOIST_OK);
    assert_string_equal(options_get(p->o, "wait"), "99%");
    assert_true(options_on(p->o, "json"));
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_null(options_get(p->o, "wait"));
    assert_wrong(p, "--wait --wait=all", "--wait: given twice");
}

static void defaults_hold_where_nothing_is_said(void **state)
{
    struct place *p = *state;
    const char *const *list;
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_string_equal(options_get(p->o, "http"), "127.0.0.1:1");
    assert_string_equal(options_origin(p->o, "http"), "default");
    assert_null(options_get(p->o, "store"));
    assert_null(options_origin(p->o, "store"));
    assert_int_equal(options_list(p->o, "env", &list), 1);
    assert_string_equal(list[0], "production");
    assert_int_equal(options_list(p->o, "label", &list), 0);
}

static void a_repeated_option_is_a_list_in_order(void **state)
{
    struct place *p = *state;
    const char *const *list;
    assert_int_equal(read_line(p, "--env b --label x=1 --env a --env=b"), HOIST_OK);
    assert_int_equal(options_list(p->o, "env", &list), 3);
    assert_string_equal(list[0], "b");
    assert_string_equal(list[1], "a");
    assert_string_equal(list[2], "b");
    assert_wrong(p, "--store a --store b", "--store: given twice");
    assert_int_equal(read_line(p, "-v -v"), HOIST_OK);
}

static void words_are_kept_in_order(void **state)
{
    struct place *p = *state;
    const char *const *words;
    assert_int_equal(read_line(p, "set -v k -5 - -.5 -- --store -m"), HOIST_OK);
    assert_int_equal(options_words(p->o, &words), 7);
    static const char *const expected[] = {"set", "k", "-5", "-", "-.5", "--store", "-m"};
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(words[i], expected[i]);
    assert_null(options_get(p->o, "store"));
}

static void a_typo_names_the_near_option(void **state)
{
    struct place *p = *state;
    assert_wrong(p, "--stoer x", "no option --stoer (did you mean --store?)");
    assert_wrong(p, "--heart 5", "(did you mean --heartbeat-ms?)");
    assert_wrong(p, "--xyzzy", "no option --xyzzy; see --help");
    assert_wrong(p, "-x", "no option -x");
    assert_wrong(p, "--m x", "no option --m");
    assert_wrong(p, "-store", "no option -s");
}

static void a_forgotten_value_does_not_swallow_an_option(void **state)
{
    struct place *p = *state;
    assert_wrong(p, "--store", "--store needs a value: DIR");
    assert_wrong(p, "--store --json", "--store needs a value: DIR");
    assert_int_equal(read_line(p, "--store=--json"), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "--json");
    assert_int_equal(read_line(p, "--store -5"), HOIST_OK);
    assert_wrong(p, "--json=yes", "--json is a switch");
}

static void an_option_that_the_table_does_not_have_was_not_given(void **state)
{
    struct place *p = *state;
    const char *const *list = (const char *const *)p;
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_null(options_get(p->o, "other"));
    assert_false(options_on(p->o, "other"));
    assert_null(options_origin(p->o, "other"));
    assert_int_equal(options_list(p->o, "other", &list), 0);
    assert_null(list);
}

/* ------------------------------------------------------------------ precedence */

static void an_argument_goes_before_environment_file_and_default(void **state)
{
    struct place *p = *state;
    static const char text[] = "store: /file\nhttp: file\nenv: [f1, f2]\njson: true\n";
    const char *const *list;
    write_file(p->config, text, sizeof text - 1);
    setenv("T_STORE", "/environment", 1);
    setenv("T_LABEL", "", 1); /* empty is not set */

    assert_int_equal(read_line(p, "--store /argument"), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "/argument");
    assert_string_equal(options_get(p->o, "http"), "file");
    assert_string_equal(options_origin(p->o, "http"), "file");
    assert_string_equal(options_get(p->o, "heartbeat-ms"), "200");
    assert_int_equal(options_list(p->o, "label", &list), 0);
    assert_true(options_on(p->o, "json"));

    assert_int_equal(read_line(p, "--env a"), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "/environment");
    assert_string_equal(options_origin(p->o, "store"), "environment");
    assert_int_equal(options_list(p->o, "env", &list), 1); /* replaced, not added to */
    assert_string_equal(list[0], "a");
}

static void the_environment_switches_on_and_off(void **state)
{
    struct place *p = *state;
    write_file(p->config, "json: true\n", 11);
    setenv("T_JSON", "0", 1);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_false(options_on(p->o, "json"));
    setenv("T_JSON", "yes", 1);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_true(options_on(p->o, "json"));
    setenv("T_JSON", "perhaps", 1);
    assert_wrong(p, "", "$T_JSON: 'perhaps' is neither true nor false");
}

static void what_another_command_takes_may_stand_in_the_file_and_nowhere_else(void **state)
{
    struct place *p = *state;
    write_file(p->config, "colour: blue\nstore: /first\n", 27);
    setenv("T_STORE", "/environment", 1);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "/environment");
    assert_null(options_get(p->o, "colour"));
    assert_wrong(p, "--colour blue", "there is no option --colour");
    assert_wrong_file(p, "colour: [blue]\n", ":1:9:", "one value, not a list");
    struct buf help = BUF_INIT(64 << 10);
    options_help(table, &help);
    assert_null(strstr(buf_str(&help), "colour"));
    buf_done(&help);
}

static void the_first_of_two_files_wins(void **state)
{
    struct place *p = *state;
    write_file(p->config, "store: /first\n", 14);
    write_file(p->other, "store: /second\nhttp: second\n", 28);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_string_equal(options_get(p->o, "store"), "/first");
    assert_string_equal(options_get(p->o, "http"), "second");
}

static void a_named_file_takes_the_place_of_the_others(void **state)
{
    struct place *p = *state;
    char line[200];
    write_file(p->config, "store: /first\n", 14);
    write_file(p->other, "http: other\n", 12);
    snprintf(line, sizeof line, "--config %s", p->other);
    assert_int_equal(read_line(p, line), HOIST_OK);
    assert_null(options_get(p->o, "store"));
    assert_string_equal(options_get(p->o, "http"), "other");
    snprintf(line, sizeof line, "--config %s/none.yaml", p->dir);
    assert_wrong(p, line, "none.yaml: there is no such file");
    snprintf(line, sizeof line, "--config %s", p->dir);
    assert_wrong(p, line, "not a file");
}

static void a_default_file_that_may_not_be_read_is_passed_over(void **state)
{
    struct place *p = *state;
    char line[200];
    bool root = geteuid() == 0; /* who may read everything: be somebody else meanwhile */
    write_file(p->config, "store: /first\n", 14);
    chmod(p->config, 0);
    snprintf(line, sizeof line, "--config %s", p->config);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    enum hoist_err by_default = read_line(p, ""), by_name = read_line(p, line);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(by_default, HOIST_OK);
    assert_int_equal(by_name, HOIST_EACCES);
}

/* ------------------------------------------------------------------ the file */

static void a_file_may_be_written_in_several_ways(void **state)
{
    struct place *p = *state;
    static const char text[] = "---\n# a comment\nheartbeat_ms: 500\n\"store\": 'with # and: '\n"
                               "env:\n  - a\n  - \"b\"\nlabel: one=1\njson: no\nhttp: \"\"\n";
    const char *const *list;
    write_file(p->config, text, sizeof text - 1);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_string_equal(options_get(p->o, "heartbeat-ms"), "500");
    assert_string_equal(options_get(p->o, "store"), "with # and: ");
    assert_string_equal(options_get(p->o, "http"), "");
    assert_int_equal(options_list(p->o, "env", &list), 2);
    assert_string_equal(list[1], "b");
    assert_int_equal(options_list(p->o, "label", &list), 1);
    assert_false(options_on(p->o, "json"));
    write_file(p->config, "heartbeat-ms: 7\n", 16);
    assert_int_equal(read_line(p, ""), HOIST_OK);
    assert_string_equal(options_get(p->o, "heartbeat-ms"), "7");
}

static void a_file_without_keys_is_fine(void **state)
{
    struct place *p = *state;
    static const char *const texts[] = {"",      "\n\n",       "# only a comment\n",
                                        "---\n", "---\n...\n", "{}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(p->config, texts[i], strlen(texts[i]));
        assert_int_equal(read_line(p, ""), HOIST_OK);
    }
}

static void what_is_wrong_in_a_file_is_told_with_line_and_column(void **state)
{
    struct place *p = *state;
    assert_wrong_file(p, "http: a\nstoer: /x\n",
                      ":2:1:", "'stoer' is no option (did you mean store?)");
    assert_wrong_file(p, "http: a\nhttp: b\n", ":2:1:", "'http' is there twice");
    assert_wrong_file(p, "heartbeat-ms: 1\nheartbeat_ms: 2\n", ":2:1:", "there twice");
    assert_wrong_file(p, "config: x\n", ":1:1:", "as an argument only");
    assert_wrong_file(p, "http: [a]\n", ":1:7:", "one value, not a list");
    assert_wrong_file(p, "http: {a: b}\n", ":1:7:", "not a list or a mapping");
    assert_wrong_file(p, "env: [[a]]\n", ":1:7:", "not a list or a mapping");
    assert_wrong_file(p, "http:\n", ":1:6:", "the value is missing");
    assert_wrong_file(p, "http: ~\n", ":1:7:", "the value is missing");
    assert_wrong_file(p, "json: 7\n", ":1:7:", "'7' is neither true nor false");
    assert_wrong_file(p, "http: &x a\n", ":1:7:", "anchors");
    assert_wrong_file(p, "http: *x\n", ":1:7:", "anchors");
    assert_wrong_file(p, "http: !!str a\n", ":1:7:", "tags");
    assert_wrong_file(p, "? [a]\n: b\n", ":1:3:", "name of an option");
    assert_wrong_file(p, "- a\n", ":1:1:", "store: ");
    assert_wrong_file(p, "text\n", ":1:1:", "store: ");
    assert_wrong_file(p, "http: a\n---\nhttp: b\n", ":2:1:", "second document");
    assert_wrong_file(p, "http: \"a\n", ":2:1:", "not YAML");
    assert_wrong_file(p, "\thttp: a\n", ":1:1:", "not YAML");
    assert_wrong_file(p, "http: \"a\\0b\"\n", ":1:7:", "NUL");
}

static void what_an_argument_said_is_checked_in_the_file_all_the_same(void **state)
{
    struct place *p = *state;
    write_file(p->config, "http: [a]\n", 10);
    assert_wrong(p, "--http x", "one value, not a list");
}

static void noise_is_refused_and_not_followed(void **state)
{
    struct place *p = *state;
    char noise[2000];
    unsigned seed = 3;
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < sizeof noise; i++) {
            seed = seed * 1103515245 + 12345;
            noise[i] = "ab: -[]{}\n\"'#&*!|>%@`\t,?\\\xc3\x01"[(seed >> 16) % 26];
        }
        write_file(p->config, noise, sizeof noise);
        assert_int_equal(read_line(p, ""), HOIST_EINVAL);
    }
    char *deep = malloc(900000);
    memset(deep, '[', 900000);
    write_file(p->config, deep, 900000);
    assert_int_equal(read_line(p, ""), HOIST_EINVAL);
    free(deep);
}

static void a_file_over_a_mebibyte_is_refused(void **state)
{
    struct place *p = *state;
    char *big = malloc(1100000);
    memset(big, '\n', 1100000);
    write_file(p->config, big, 1100000);
    free(big);
    assert_int_equal(read_line(p, ""), HOIST_ELIMIT);
    assert_says("config.yaml");
}

/* ------------------------------------------------------------------ help and memory */

static void help_shows_every_option_with_default_and_variable(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(10000);
    options_help(table, &out);
    const char *text = buf_str(&out);
    static const char *const parts[] = {
        "      --store DIR           where\n                            the flags are\n"
        "                            ($T_STORE)\n",
        "      --http HOST:PORT      serve there\n                            (default "
        "127.0.0.1:1)\n",
        "(default production; may be repeated)\n",
        "(may be repeated; $T_LABEL)\n",
        "  -m MESSAGE                why\n",
        "      --json                as JSON\n",
        "      --wait[=all|N%]       for the others\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("'%s' is not in:\n%s", parts[i], text);
    buf_done(&out);
}

static void every_allocation_may_fail(void **state)
{
    struct place *p = *state;
    static const char text[] = "store: /file\nenv: [a, b, c, d, e]\n";
    write_file(p->config, text, sizeof text - 1);
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = read_line(p, "--label a=1 --label b=2 word");
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed) {
            assert_int_equal(err, HOIST_OK);
            assert_true(n > 5);
            return;
        }
        assert_int_equal(err, HOIST_ENOMEM);
        assert_null(p->o);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_option_takes_its_value_in_either_way),
        T(a_value_that_may_be_left_out_stands_behind_an_equals_sign),
        T(defaults_hold_where_nothing_is_said),
        T(a_repeated_option_is_a_list_in_order),
        T(words_are_kept_in_order),
        T(a_typo_names_the_near_option),
        T(a_forgotten_value_does_not_swallow_an_option),
        T(an_option_that_the_table_does_not_have_was_not_given),
        T(an_argument_goes_before_environment_file_and_default),
        T(the_environment_switches_on_and_off),
        T(what_another_command_takes_may_stand_in_the_file_and_nowhere_else),
        T(the_first_of_two_files_wins),
        T(a_named_file_takes_the_place_of_the_others),
        T(a_default_file_that_may_not_be_read_is_passed_over),
        T(a_file_may_be_written_in_several_ways),
        T(a_file_without_keys_is_fine),
        T(what_is_wrong_in_a_file_is_told_with_line_and_column),
        T(what_an_argument_said_is_checked_in_the_file_all_the_same),
        T(noise_is_refused_and_not_followed),
        T(a_file_over_a_mebibyte_is_refused),
        T(help_shows_every_option_with_default_and_variable),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
