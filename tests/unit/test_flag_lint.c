/* What is odd about a flag file, though it may be meant. */
#include "flag_kit.h"

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"

static struct problems problems, warnings;
static size_t flags;

static void forget(void)
{
    problems_done(&problems);
    problems_done(&warnings);
}

static void lint(const char *text)
{
    struct buf b = json(text);
    forget();
    assert_int_equal(flag_file_lint(buf_slice(&b), &problems, &warnings, &flags), HOIST_OK);
    buf_done(&b);
}

/* Flag x with that rule, in a good file. */
static void lint_rule(const char *rule, const char *more)
{
    struct buf b = BUF_INIT(65536);
    buf_printf(&b, "{'flags': {'x': {" ON_OFF ", 'targeting': %s%s}}}", rule, more);
    lint(buf_str(&b));
    assert_int_equal(problems.total, 0);
    buf_done(&b);
}

static void warns(const char *path, const char *words)
{
    for (size_t i = 0; i < warnings.count; i++)
        if (strcmp(warnings.items[i].path, path) == 0 && strstr(warnings.items[i].message, words))
            return;
    for (size_t i = 0; i < warnings.count; i++)
        print_error("%s: %s\n", warnings.items[i].path, warnings.items[i].message);
    fail_msg("no warning at %s of \"%s\"", path, words);
}

static void warns_only(const char *path, const char *words)
{
    warns(path, words);
    assert_int_equal(warnings.total, 1);
}

static void is_clean(const char *rule)
{
    lint_rule(rule, "");
    for (size_t i = 0; i < warnings.count; i++)
        print_error("%s: %s\n", warnings.items[i].path, warnings.items[i].message);
    assert_int_equal(warnings.total, 0);
}

#define X "flags.x.targeting"

/* ------------------------------------------------------------------ conditions */

static void conditions_that_ask_for_nothing(void **state)
{
    (void)state;
    lint_rule("{'if': [true, 'on', {'var': 'a'}, 'off']}", "");
    warns_only(X ".if[0]", "always true, so that nothing behind it");
    lint_rule("{'if': [{'var': 'a'}, 'on', {'!': ['x']}, 'off']}", "");
    warns_only(X ".if[2]", "never true");
    lint_rule("{'if': [{'==': [1, 1]}, 'on']}", "");
    warns_only(X ".if[0]", "same for every context");
    lint_rule("{'?:': [{'or': [{'var': 'a'}, 1]}, 'on', 'off']}", "");
    warns(X ".?:[0]", "always true");
    lint_rule("{'if': [{'and': [{'var': 'a'}, {'or': ['', null]}]}, 'on']}", "");
    warns(X ".if[0]", "never true");
    lint_rule("{'if': [{'and': [{'<': [1, 2]}, {'var': 'a'}]}, 'on']}", "");
    warns_only(X ".if[0].and[0]", "same for every context");
    lint_rule("{'if': [{'!': {'!!': [[]]}}, 'on']}", "");
    warns_only(X ".if[0]", "always true");
    lint_rule("{'cat': ['o', 'n']}", "");
    warns_only(X, "the rule is the same for every context");
    lint_rule("{'if': [{'var': 'a'}, 'on', {'var': 'b'}, 'off', {'var': 'a'}, 'off']}", "");
    warns_only(X ".if[4]", "the same one stands at [0]");
}

static void conditions_that_ask_for_something(void **state)
{
    (void)state;
    is_clean("{'if': [{'==': [{'var': 'a'}, 1]}, 'on', {'in': ['x', {'var': 'b'}]}, 'off']}");
    is_clean("{'or': [{'var': 'plan'}, 'on']}");
    is_clean("{'if': [{'missing': ['a']}, 'on', {'missing_some': [1, ['b', 'c']]}, 'off']}");
    is_clean("{'if': [{'some': [{'var': 'list'}, {'==': [{'var': ''}, 1]}]}, 'on']}");
    is_clean("{}");
    is_clean("{'if': [{'var': 'a'}, 'on', 'off']}");
}

static void named_rules_are_looked_at_once(void **state)
{
    (void)state;
    lint("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'$ref': 'e'}, 'on']}}, 'y': {" ON_OFF
         ", 'targeting': {'if': [{'$ref': 'e'}, 'on']}}}, '$evaluators': {'e': {'and': [{'==': [1, "
         "1]},"
         " {'var': 'a'}]}}}");
    warns_only("$evaluators.e.and[0]", "same for every context");
    lint("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'$ref': 'e'}, 'on']}}},"
         " '$evaluators': {'e': {'==': [1, 1]}}}");
    warns("$evaluators.e", "the rule is the same");
    warns(X ".if[0]", "same for every context");
}

/* ------------------------------------------------------------------ weights */

static void weights_that_are_no_percentages(void **state)
{
    (void)state;
    lint_rule("{'fractional': [['on', 10], ['off', 80]]}", "");
    warns_only(X ".fractional", "add up to 90,");
    lint_rule("{'fractional': [{'var': 'u'}, ['on', 10], ['off']]}", "");
    warns_only(X ".fractional", "add up to 11,");
    lint_rule("{'fractional': [['on', 0], ['off', -5]]}", "");
    warns_only(X ".fractional", "divides nobody");
    is_clean("{'fractional': [['on', 10], ['off', 90]]}");
    is_clean("{'fractional': [['on', 1], ['off', 999]]}");
    is_clean("{'fractional': [['on'], ['off']]}");
    is_clean("{'fractional': [['on', {'var': 'w'}], ['off', 7]]}");
    is_clean("{'if': [{'var': 'a'}, {'fractional': [['on', 25], ['off', 75]]}]}");
}

/* ------------------------------------------------------------------ outcomes */

static void a_default_that_nobody_gets(void **state)
{
    (void)state;
    lint_rule("{'if': [{'var': 'a'}, 'on', 'on']}", ", 'defaultVariant': 'off'");
    warns_only(X, "hides the default: nobody gets \"off\"");
    lint("{'flags': {'y': {" ON_OFF "}, 'x': {" ON_OFF
         ", 'targeting': {'if': [{'var': 'a'}, 'on', 'on']},"
         " 'defaultVariant': 'off', 'requires': {'flags': {'y': 'on'}, 'otherwise': 'on'}}}}");
    warns_only(X, "hides the default: nobody gets \"off\"");
    lint("{'flags': {'y': {" ON_OFF "}, 'x': {" ON_OFF
         ", 'targeting': {'if': [{'var': 'a'}, 'on', 'on']},"
         " 'defaultVariant': 'off', 'requires': {'flags': {'y': 'on'}, 'otherwise': 'off'}}}}");
    assert_int_equal(warnings.total, 0); /* whom the requirement is not met for, gets it */
    lint_rule("{'if': [{'var': 'a'}, 'on', 'on']}", ", 'defaultVariant': 'off', 'override': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on']}", ", 'defaultVariant': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on', 'off']}", ", 'defaultVariant': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on', {'fractional': [['on']]}]}",
              ", 'defaultVariant': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on', {'var': 'b'}]}", ", 'defaultVariant': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on', null]}", ", 'defaultVariant': 'off'");
    assert_int_equal(warnings.total, 0);
    lint_rule("{'if': [{'var': 'a'}, 'on', 'on']}", "");
    assert_int_equal(warnings.total, 0);
}

static void what_is_no_variant(void **state)
{
    (void)state;
    lint_rule("{'if': [{'var': 'a'}, 'onn', {'if': [{'var': 'b'}, true, 5]}]}", "");
    warns(X ".if[1]", "\"onn\", which is no variant");
    warns(X ".if[2].if[1]", "\"true\", which is no variant");
    warns(X ".if[2].if[2]", "no variant's name");
    assert_string_equal(warnings.items[0].mend, "name one of: on, off");
    lint_rule("{'fractional': [['on', 50], ['of', 50]]}", "");
    warns_only(X ".fractional[1][0]", "\"of\"");
    lint("{'flags': {'x': {'state': 'ENABLED', 'variants': {'true': 1, 'false': 2}, 'targeting':"
         " {'if': [{'var': 'a'}, true, false]}}}}");
    assert_int_equal(warnings.total, 0);
}

/* ------------------------------------------------------------------ names */

static void attributes_that_differ_by_case(void **state)
{
    (void)state;
    lint("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'var': 'Email'}, 'on']}},"
         " 'y': {" ON_OFF ", 'targeting': {'if': [{'var': ['email', 1]}, 'on', {'missing': ['a',"
         " 'EMAIL']}, 'off']}}}, '$evaluators': {'e': {'ends_with': [{'var': 'email'}, 'x']}}}");
    warns(X ".if[0].var", "\"Email\" is \"email\" elsewhere, as at flags.y.targeting.if[0].var");
    warns("flags.y.targeting.if[2].missing", "\"EMAIL\"");
    assert_int_equal(warnings.total, 2);
    is_clean("{'if': [{'some': [{'var': 'Items'}, {'var': 'items'}]}, 'on']}");
}

static void keys_and_requirements(void **state)
{
    (void)state;
    lint("{'flags': {'a b': {" ON_OFF "}, 'A-z.0_:/9': {" ON_OFF ", 'requires': {'flags': {'a b':"
         " 'on', 'elsewhere': 'on'}, 'otherwise': 'off'}}}}");
    warns("flags.a b", "other characters");
    warns("flags.A-z.0_:/9.requires.flags.elsewhere", "not in this file");
    assert_int_equal(warnings.total, 2);
}

/* ------------------------------------------------------------------ beside problems */

static void the_good_flags_of_a_bad_file_are_looked_at_too(void **state)
{
    (void)state;
    lint("{'flags': {\n'bad': {'state': 1, 'variants': {'on': true}},\n"
         "'x': {" ON_OFF
         ",\n 'targeting': {'if': [true, 'on']}, 'requires': {'flags': {'bad': 'on'},"
         " 'otherwise': 'off'}}}, 'metadata': 5}");
    assert_int_equal(problems.total, 2);
    warns_only(X ".if[0]", "always true");
    assert_int_equal(warnings.items[0].line, 4);
    assert_int_equal(warnings.items[0].column, 23);
    assert_int_equal(flags, 0); /* none could be taken: the metadata is everybody's */
    lint("{");
    assert_int_equal(problems.total, 1);
    lint("{'flags': {'bad': 1, 'x': {" ON_OFF "}}}");
    assert_int_equal(flags, 1);
    lint("{'flags': [{'key': 'x', " ON_OFF ", 'targeting': {'if': [1, 'on']}}]}");
    warns_only("flags[0].targeting.if[0]", "always");
}

static void memory_that_is_out_fails_cleanly(void **state)
{
    (void)state;
    struct buf b = json("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'var': 'A'}, 'on',"
                        " {'var': 'a'}, 'onn', 1, 'off']}}, 'y': 1}}");
    for (int n = 1;; n++) {
        forget();
        mem_fail_at(n);
        enum hoist_err err = flag_file_lint(buf_slice(&b), &problems, &warnings, &flags);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed)
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    forget();
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_that_ask_for_nothing),
        cmocka_unit_test(conditions_that_ask_for_something),
        cmocka_unit_test(named_rules_are_looked_at_once),
        cmocka_unit_test(weights_that_are_no_percentages),
        cmocka_unit_test(a_default_that_nobody_gets),
        cmocka_unit_test(what_is_no_variant),
        cmocka_unit_test(attributes_that_differ_by_case),
        cmocka_unit_test(keys_and_requirements),
        cmocka_unit_test(the_good_flags_of_a_bad_file_are_looked_at_too),
        cmocka_unit_test(memory_that_is_out_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
