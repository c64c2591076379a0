/* What each operator yields: as json-logic-js 2.0.5 does for the same rule and data (the tables were run
 * through it), but where docs/flag-format.md says otherwise; and as flagd specifies its own. */
#include <math.h>

#include "eval/rule_int.h"
#include "flag/json.h"
#include "flag_kit.h"

/* ------------------------------------------------------------------ running a rule */

static uint8_t scratch[EVAL_SCRATCH_SIZE] __attribute__((aligned(SCRATCH_ALIGN)));

static void put(struct json_writer *w, struct value v)
{
    struct value item;
    switch (v.kind) {
    case VALUE_STRING:
        json_put_slice(w, value_slice(v));
        break;
    case VALUE_NUMBER:
        if (isfinite(v.number))
            json_put_number(w, v.number);
        else
            json_put_str(w, isnan(v.number) ? "NaN" : v.number < 0 ? "-Infinity" : "Infinity");
        break;
    case VALUE_TRUE:
    case VALUE_FALSE:
        json_put_bool(w, v.kind == VALUE_TRUE);
        break;
    case VALUE_ARRAY:
    case VALUE_LIST:
        json_array_begin(w);
        for (struct items i = items_of(v); items_next(&i, &item);)
            put(w, item);
        json_array_end(w);
        break;
    case VALUE_OBJECT:
        json_put_tree(w, (struct tree){(struct node *)v.node, v.node->span});
        break;
    case VALUE_FOLD:
    case VALUE_CONTEXT:
        json_put_str(w, "an object");
        break;
    default:
        json_put_null(w);
    }
}

/* What `rule` yields for `context`, as JSON with ' for "; to be freed. */
static struct buf result_of(const char *rule, const char *context, const char **ret_error)
{
    struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20), data = json(context);
    buf_printf(&text, "{'state': 'ENABLED', 'variants': {'on': true}, 'targeting': %s}", rule);
    struct flag *f = read_flag(buf_str(&text));
    struct hoist_ctx ctx = {0};
    struct rule *compiled;
    assert_int_equal(ctx_set_json(&ctx, buf_slice(&data)), HOIST_OK);
    assert_int_equal(rule_new(f->targeting, &compiled), HOIST_OK);
    struct eval_ask ask = {.flag = f, .rule = compiled, .ctx = &ctx, .now_s = 1700000000};
    struct machine m = {
        .ask = &ask, .scratch = scratch, .size = sizeof scratch, .steps = EVAL_STEPS_MAX};
    struct value v = run(&m, compiled->steps, value_of_kind(VALUE_CONTEXT));
    *ret_error = m.error;
    struct json_writer w = JSON_WRITER(&out, 0);
    put(&w, v);
    buf_add_byte(&out, '\0');
    for (size_t i = 0; i < out.len; i++)
        if (out.ptr[i] == '"')
            out.ptr[i] = '\'';
    rule_free(compiled);
    ctx_done(&ctx);
    flag_free(f);
    buf_done(&text);
    buf_done(&data);
    return out;
}

struct example {
    const char *rule, *context, *yields;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *error, *context = examples[i].context ? examples[i].context : "{}";
        struct buf out = result_of(examples[i].rule, context, &error);
        if (error || strcmp((const char *)out.ptr, examples[i].yields) != 0)
            fail_msg("%s for %s yields %s (%s), not %s", examples[i].rule, context,
                     (const char *)out.ptr, error ? error : "no error", examples[i].yields);
        buf_done(&out);
    }
}

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        const struct example examples[] = {__VA_ARGS__};                                           \
        check(examples, sizeof examples / sizeof *examples);                                       \
    } while (0)

/* ------------------------------------------------------------------ the operators */

static void var_follows_a_path(void **state)
{
    const char *data = "{'a': 1, 'b': {'c': ['x', {'d': null}]}, 'e': 'tea', '': 9, 'n': null}";
    (void)state;
    CHECK({"{'var': 'a'}", data, "1"}, {"{'var': ['a']}", data, "1"},
          {"{'var': 'b.c.0'}", data, "'x'"}, {"{'var': 'b.c.1.d'}", data, "null"},
          {"{'var': 'b.c.2'}", data, "null"}, {"{'var': 'b.c.00'}", data, "null"},
          {"{'var': ['z', 5]}", data, "5"}, {"{'var': ['z', {'var': 'a'}]}", data, "1"},
          {"{'var': ['n', 5]}", data, "null"}, {"{'var': ['n.m', 5]}", data, "5"},
          {"{'var': ''}", data, "'an object'"}, {"{'var': null}", data, "'an object'"},
          {"{'var': []}", data, "'an object'"}, {"{'var': {'cat': ['b', '.c.', 0]}}", data, "'x'"},
          {"{'var': 'b.c.length'}", data, "2"}, {"{'var': 'e.length'}", data, "3"},
          {"{'var': 'e.1'}", data, "'e'"}, {"{'var': 'e.9'}", data, "null"},
          {"{'var': '.'}", data, "null"}, {"{'var': [[]]}", data, "9"},
          {"{'var': 1}", "{'1': 'one'}", "'one'"}, {"{'var': 1.5}", "{'1': {'5': 'x'}}", "'x'"},
          {"{'var': true}", "{'true': 4}", "4"});
}

static void the_context_gains_flagd_and_hoist(void **state)
{
    (void)state;
    CHECK({"{'var': '$flagd.flagKey'}", NULL, "'x'"},
          {"{'var': '$flagd.timestamp'}", NULL, "1700000000"},
          {"{'var': '$flagd.flagKey'}", "{'$flagd': {'flagKey': 'mine'}}", "'x'"},
          {"{'var': '$hoist.host'}", "{'$hoist': {'host': 'mine'}}", "null"},
          {"{'var': '$hoist.labels.ring'}", NULL, "null"},
          {"{'var': '$other'}", "{'$other': 1}", "1"});
}

static void if_takes_any_number_of_arms(void **state)
{
    (void)state;
    CHECK({"{'if': []}", NULL, "null"}, {"{'if': ['a']}", NULL, "'a'"},
          {"{'if': [true, 'a']}", NULL, "'a'"}, {"{'if': [false, 'a']}", NULL, "null"},
          {"{'if': [false, 'a', 'b']}", NULL, "'b'"},
          {"{'if': [false, 'a', 0, 'b', 'c']}", NULL, "'c'"},
          {"{'if': [false, 'a', '0', 'b', 'c']}", NULL, "'b'"},
          {"{'?:': [[], 'a', 'b']}", NULL, "'b'"}, {"{'?:': [[0], 'a', 'b']}", NULL, "'a'"},
          {"{'if': [{'var': ''}, 'a', 'b']}", NULL, "'a'"});
}

static void and_and_or_yield_the_deciding_value(void **state)
{
    (void)state;
    CHECK({"{'and': [1, 'a', true]}", NULL, "true"}, {"{'and': [1, '', true]}", NULL, "''"},
          {"{'and': []}", NULL, "null"}, {"{'or': [0, '', 'x', 1]}", NULL, "'x'"},
          {"{'===': [{'and': []}, null]}", NULL, "false"}, {"{'-': {'and': []}}", NULL, "'NaN'"},
          {"{'===': [{'var': ['x', {'and': []}]}, null]}", NULL, "true"},
          {"{'===': [{'var': [{'cat': 'x'}, {'and': []}]}, null]}", NULL, "true"},
          {"{'or': [0, '', []]}", NULL, "[]"}, {"{'or': []}", NULL, "null"},
          {"{'!': [[]]}", NULL, "true"}, {"{'!': '0'}", NULL, "false"}, {"{'!': []}", NULL, "true"},
          {"{'!!': ['0']}", NULL, "true"}, {"{'!!': {'-': [1, 1]}}", NULL, "false"},
          {"{'!!': [{'/': [0, 0]}]}", NULL, "false"}, {"{'!!': [{'/': [1, 0]}]}", NULL, "true"});
}

static void equality_is_javascripts(void **state)
{
    (void)state;
    CHECK({"{'==': [1, '1']}", NULL, "true"}, {"{'==': [1, '1.0']}", NULL, "true"},
          {"{'==': [0, '']}", NULL, "true"}, {"{'==': [0, ' \\n']}", NULL, "true"},
          {"{'==': [null, 0]}", NULL, "false"}, {"{'==': [null, null]}", NULL, "true"},
          {"{'==': [null]}", NULL, "true"}, {"{'==': [true, 1]}", NULL, "true"},
          {"{'==': [true, 'true']}", NULL, "false"}, {"{'==': ['a', 'a']}", NULL, "true"},
          {"{'==': [255, '0xff']}", NULL, "true"}, {"{'==': [5, '0b101']}", NULL, "true"},
          {"{'==': [1000, '1e3']}", NULL, "true"}, {"{'==': [0.5, '.5']}", NULL, "true"},
          {"{'==': [5, '5.']}", NULL, "true"}, {"{'==': [1, '1x']}", NULL, "false"},
          {"{'==': [[1, 2], '1,2']}", NULL, "true"}, {"{'==': [[], '']}", NULL, "true"},
          {"{'==': [[], 0]}", NULL, "true"}, {"{'==': [[1], 1]}", NULL, "true"},
          {"{'==': [[1], [1]]}", NULL, "false"},
          {"{'==': [{'var': 'l'}, {'var': 'l'}]}", "{'l': [1]}", "true"},
          {"{'==': [{'var': 'o'}, '[object Object]']}", "{'o': {'a': 1, 'b': 2}}", "true"},
          {"{'==': [{'/': [0, 0]}, {'/': [0, 0]}]}", NULL, "false"},
          {"{'===': [1, '1']}", NULL, "false"}, {"{'===': [1, 1]}", NULL, "true"},
          {"{'===': [null, null]}", NULL, "true"},
          {"{'===': [{'merge': []}, {'merge': []}]}", NULL, "false"},
          {"{'===': [{'map': [5, 1]}, {'filter': [5, 1]}]}", NULL, "false"},
          {"{'!=': [1, '1']}", NULL, "false"}, {"{'!==': [1, '1']}", NULL, "true"});
}

static void order_is_javascripts(void **state)
{
    (void)state;
    CHECK({"{'<': [1, 2]}", NULL, "true"}, {"{'<': ['10', '9']}", NULL, "true"},
          {"{'<': ['10', 9]}", NULL, "false"}, {"{'<': [null, 1]}", NULL, "true"},
          {"{'<': ['a', 1]}", NULL, "false"}, {"{'>=': ['a', 1]}", NULL, "false"},
          {"{'<': [1, 2, 3]}", NULL, "true"}, {"{'<': [1, 1, 3]}", NULL, "false"},
          {"{'<=': [1, 1, 3]}", NULL, "true"}, {"{'<=': [1, 4, 3]}", NULL, "false"},
          {"{'<': [1]}", NULL, "false"}, {"{'>': ['b', 'a']}", NULL, "true"},
          {"{'>': [[2], 1]}", NULL, "true"}, {"{'<': [[2], '10']}", NULL, "false"},
          {"{'<=': [null, 0]}", NULL, "true"}, {"{'>': [1, 2, 3]}", NULL, "false"},
          /* U+1F600 is D83D DE00 in UTF-16, and so before U+FFFD */
          {"{'<': ['\xf0\x9f\x98\x80', '\xef\xbf\xbd']}", NULL, "true"},
          {"{'<': ['\xef\xbf\xbd', '\xf0\x9f\x98\x80']}", NULL, "false"});
}

static void numbers_are_calculated_as_javascript_does(void **state)
{
    (void)state;
    CHECK({"{'+': [1, 2, '3']}", NULL, "6"}, {"{'+': '3.5kg'}", NULL, "3.5"},
          {"{'+': ['']}", NULL, "'NaN'"}, {"{'+': [true]}", NULL, "'NaN'"},
          {"{'+': []}", NULL, "0"}, {"{'+': [[4, 5]]}", NULL, "4"},
          {"{'+': ['-Infinity and more']}", NULL, "'-Infinity'"}, {"{'-': [5, '2']}", NULL, "3"},
          {"{'-': '5'}", NULL, "-5"}, {"{'-': [null, 1]}", NULL, "-1"},
          {"{'-': []}", NULL, "'NaN'"}, {"{'*': [2, '3', 4]}", NULL, "24"},
          {"{'*': ['7']}", NULL, "'7'"}, {"{'*': []}", NULL, "null"},
          {"{'/': [7, 2]}", NULL, "3.5"}, {"{'/': [1, 0]}", NULL, "'Infinity'"},
          {"{'/': [0, 0]}", NULL, "'NaN'"}, {"{'/': [1]}", NULL, "'NaN'"},
          {"{'%': [7, 3]}", NULL, "1"}, {"{'%': [-7, 3]}", NULL, "-1"},
          {"{'%': [1, 0]}", NULL, "'NaN'"}, {"{'max': [1, '3', 2]}", NULL, "3"},
          {"{'min': [1, null, 2]}", NULL, "0"}, {"{'max': []}", NULL, "'-Infinity'"},
          {"{'min': []}", NULL, "'Infinity'"}, {"{'max': [1, 'a', 9]}", NULL, "'NaN'"},
          /* 0 and −0 */
          {"{'/': [1, {'*': [{'*': [-1, 0]}, 1]}]}", NULL, "'Infinity'"},
          {"{'/': [1, {'max': [{'*': [-1, 0]}, 0]}]}", NULL, "'Infinity'"},
          {"{'/': [1, {'min': [0, {'*': [-1, 0]}]}]}", NULL, "'-Infinity'"});
}

static void texts_are_joined_and_cut(void **state)
{
    (void)state;
    CHECK(
        {"{'cat': ['a', 1, null, true, 1.5]}", NULL, "'a1true1.5'"}, {"{'cat': 'x'}", NULL, "'x'"},
        {"{'cat': [[1, [2, null]], 'z']}", NULL, "'1,2,z'"}, {"{'cat': []}", NULL, "''"},
        {"{'cat': [1e21, ' ', 123456789012345680000.0, ' ', 1e-7, ' ', 0.000001, ' ', -0.1]}", NULL,
         "'1e+21 123456789012345680000 1e-7 0.000001 -0.1'"},
        {"{'cat': [5e-324, ' ', 6.290184345309701e-235]}", NULL, "'5e-324 6.290184345309701e-235'"},
        {"{'cat': [{'/': [1, 0]}, {'/': [0, 0]}]}", NULL, "'InfinityNaN'"},
        {"{'cat': [{'var': 'o'}]}", "{'o': {'a': 1, 'b': 2}}", "'[object Object]'"},
        {"{'substr': ['jsonlogic', 4]}", NULL, "'logic'"},
        {"{'substr': ['jsonlogic', -5]}", NULL, "'logic'"},
        {"{'substr': ['jsonlogic', 1, 3]}", NULL, "'son'"},
        {"{'substr': ['jsonlogic', 4, -2]}", NULL, "'log'"},
        {"{'substr': ['jsonlogic', -5, -2]}", NULL, "'log'"},
        {"{'substr': ['jsonlogic', 4, '-2']}", NULL, "''"},
        {"{'substr': ['jsonlogic', '4', '2']}", NULL, "'lo'"},
        {"{'substr': ['abc', 5]}", NULL, "''"}, {"{'substr': ['abc', 0, -9]}", NULL, "''"},
        {"{'substr': [12345, 1, 2]}", NULL, "'23'"},
        {"{'substr': ['a\xf0\x9f\x98\x80z', 3]}", NULL, "'z'"},
        {"{'substr': ['a\xf0\x9f\x98\x80z', 0, 2]}", NULL, "'a'"},
        {"{'in': ['b', 'abc']}", NULL, "true"}, {"{'in': ['', 'abc']}", NULL, "true"},
        {"{'in': ['', '']}", NULL, "false"}, {"{'in': [1, 'a1']}", NULL, "true"},
        {"{'in': ['b', ['a', 'b']]}", NULL, "true"}, {"{'in': [1, ['1']]}", NULL, "false"},
        {"{'in': [null, [null]]}", NULL, "true"}, {"{'in': ['a', null]}", NULL, "false"},
        {"{'in': ['a', 5]}", NULL, "false"}, {"{'in': ['a']}", NULL, "false"});
}

static void lists_are_walked(void **state)
{
    const char *data = "{'l': [1, 2, 3, 4], 'p': [{'q': 1}, {'q': 2}], 'e': []}";
    (void)state;
    CHECK({"{'map': [{'var': 'l'}, {'*': [{'var': ''}, 2]}]}", data, "[2,4,6,8]"},
          {"{'map': [{'var': 'p'}, {'var': 'q'}]}", data, "[1,2]"},
          {"{'map': [{'var': 'none'}, 1]}", data, "[]"},
          {"{'map': [{'var': 'l'}]}", data, "[null,null,null,null]"},
          {"{'reduce': [{'map': [{'var': 'l'}]}, {'var': ['current', 7]}]}", data, "7"},
          {"{'filter': [{'var': 'l'}, {'%': [{'var': ''}, 2]}]}", data, "[1,3]"},
          {"{'filter': ['abc', true]}", data, "[]"},
          {"{'reduce': [{'var': 'l'}, {'+': [{'var': 'current'}, {'var': 'accumulator'}]}, 0]}",
           data, "10"},
          {"{'reduce': [{'var': 'l'}, {'cat': [{'var': 'accumulator'}, {'var': 'current'}]}, '']}",
           data, "'1234'"},
          {"{'reduce': [{'var': 'l'}, {'var': 'accumulator'}]}", data, "null"},
          {"{'reduce': [5, {'var': 'current'}, 7]}", data, "7"}, {"{'reduce': []}", data, "null"},
          {"{'all': [{'var': 'l'}, {'>': [{'var': ''}, 0]}]}", data, "true"},
          {"{'all': [{'var': 'l'}, {'>': [{'var': ''}, 1]}]}", data, "false"},
          {"{'all': [{'var': 'e'}, true]}", data, "false"},
          {"{'all': [{'var': 'none'}, true]}", data, "false"},
          {"{'some': [{'var': 'p'}, {'==': [{'var': 'q'}, 2]}]}", data, "true"},
          {"{'some': [{'var': 'e'}, true]}", data, "false"},
          {"{'none': [{'var': 'e'}, true]}", data, "true"},
          {"{'none': [{'var': 'l'}, {'>': [{'var': ''}, 3]}]}", data, "false"},
          {"{'merge': [[1, 2], 3, [[4]]]}", data, "[1,2,3,[4]]"}, {"{'merge': []}", data, "[]"},
          {"{'merge': [{'var': 'l'}, {'var': 'none'}]}", data, "[1,2,3,4,null]"},
          {"{'map': [{'var': 'l'}, {'var': '$flagd.flagKey'}]}", data, "[null,null,null,null]"});
}

static void missing_names_what_is_not_there(void **state)
{
    const char *data = "{'a': 1, 'b': '', 'c': null, 'd': {'e': false}}";
    (void)state;
    CHECK({"{'missing': ['a', 'z']}", data, "['z']"}, {"{'missing': 'z'}", data, "['z']"},
          {"{'missing': [['a', 'b', 'c', 'd.e', 'd.f']]}", data, "['b','c','d.f']"},
          {"{'missing': {'merge': ['a', 'y']}}", data, "['y']"}, {"{'missing': []}", data, "[]"},
          {"{'missing_some': [1, ['a', 'y', 'z']]}", data, "[]"},
          {"{'missing_some': [2, ['a', 'y', 'z']]}", data, "['y','z']"},
          {"{'missing_some': [1, 'a']}", data, "null"}, {"{'missing_some': []}", data, "null"});
}

static void flagds_text_operators_take_two_texts(void **state)
{
    (void)state;
    CHECK({"{'starts_with': ['abc', 'ab']}", NULL, "true"},
          {"{'starts_with': ['abc', 'bc']}", NULL, "false"},
          {"{'ends_with': ['abc', 'bc']}", NULL, "true"},
          {"{'ends_with': ['abc', '']}", NULL, "true"},
          {"{'ends_with': ['c', 'abc']}", NULL, "false"}, {"{'ends_with': ['abc']}", NULL, "null"},
          {"{'starts_with': ['1', 1]}", NULL, "null"},
          {"{'starts_with': ['a', 'a', 'a']}", NULL, "null"},
          {"{'ends_with': 'abc'}", NULL, "null"},
          {"{'ends_with': [{'var': 'none'}, 'x']}", NULL, "null"});
}

static void versions_are_compared_as_semver_says(void **state)
{
    (void)state;
    CHECK({"{'sem_ver': ['1.2.3', '=', '1.2.3']}", NULL, "true"},
          {"{'sem_ver': ['1.2.3', '=', '1.2.3+build.5']}", NULL, "true"},
          {"{'sem_ver': ['v1.2.3', '=', '1.2.3']}", NULL, "true"},
          {"{'sem_ver': ['1.2', '=', '1.2.0']}", NULL, "true"},
          {"{'sem_ver': ['1', '=', '1.0.0']}", NULL, "true"},
          {"{'sem_ver': [2, '>', 1]}", NULL, "true"},
          {"{'sem_ver': ['1.10.0', '>', '1.9.0']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0-alpha', '<', '1.0.0']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0-alpha', '<', '1.0.0-alpha.1']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0-alpha.1', '<', '1.0.0-alpha.beta']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0-beta.2', '<', '1.0.0-beta.11']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0-rc.1', '>', '1.0.0-beta.11']}", NULL, "true"},
          {"{'sem_ver': ['1.5.0', '~', '1.5.9']}", NULL, "true"},
          {"{'sem_ver': ['1.5.0', '~', '1.6.0']}", NULL, "false"},
          {"{'sem_ver': ['1.5.0', '^', '1.9.9']}", NULL, "true"},
          {"{'sem_ver': ['2.0.0', '^', '1.9.9']}", NULL, "false"},
          {"{'sem_ver': ['1.0.0', '!=', '1.0.1']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0', '<=', '1.0.0']}", NULL, "true"},
          {"{'sem_ver': ['1.0.0', '>=', '1.0.1']}", NULL, "false"},
          {"{'sem_ver': ['1.0.0', '==', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['1.0.0.0', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['01.0.0', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['1.0.0-01', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['1.0.0-', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['x', '=', '1.0.0']}", NULL, "null"},
          {"{'sem_ver': ['1.0.0', '=']}", NULL, "null"});
}

static void fractional_divides_by_the_bucketing_text(void **state)
{
    const char *ana = "{'targetingKey': 'ana', 'email': 'ana@example.com'}";
    (void)state;
    CHECK({"{'fractional': [['on', 100], ['off', 0]]}", ana, "'on'"},
          {"{'fractional': [['on', 0], ['off', 100]]}", ana, "'off'"},
          {"{'fractional': [['on']]}", ana, "'on'"},
          {"{'fractional': [{'var': 'email'}, ['on', 1]]}", ana, "'on'"},
          {"{'fractional': ['', ['on', 1]]}", ana, "'on'"},
          {"{'fractional': [['on', 1]]}", "{}", "null"},
          {"{'fractional': [['on', 1]]}", "{'targetingKey': ''}", "null"},
          {"{'fractional': [{'var': 'gone'}, ['on', 1]]}", ana, "null"},
          {"{'fractional': [['on', 0], ['off', 0]]}", ana, "null"},
          {"{'fractional': [['on', -5], ['off', 1]]}", ana, "'off'"},
          {"{'fractional': [['on', 1.5]]}", ana, "null"},
          {"{'fractional': [['on', '1']]}", ana, "null"},
          {"{'fractional': [['on', {'max': []}], ['off', 1]]}", ana, "null"},
          {"{'fractional': [['on', 1, 2]]}", ana, "null"}, {"{'fractional': [[]]}", ana, "null"},
          {"{'fractional': []}", ana, "null"}, {"{'fractional': 'on'}", ana, "null"},
          {"{'fractional': [['on', 2147483647]]}", ana, "'on'"},
          {"{'fractional': [['on', 2147483647], ['off', 1]]}", ana, "null"},
          {"{'fractional': [[{'if': [true, 'on']}, {'+': [1, 1]}]]}", ana, "'on'"},
          {"{'fractional': [[null, 1]]}", ana, "null"}, {"{'fractional': [[7, 1]]}", ana, "7"});
}

/* ------------------------------------------------------------------ limits */

static void fails_with(const char *rule, const char *context, const char *sentence)
{
    const char *error;
    struct buf out = result_of(rule, context, &error);
    if (!error || !strstr(error, sentence))
        fail_msg("%s: %s", rule, error ? error : "no error");
    buf_done(&out);
}

static void a_rule_that_takes_too_long_ends(void **state)
{
    struct buf data = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&data, "{'l': [0");
    for (int i = 1; i < 1000; i++)
        buf_printf(&data, ",%d", i);
    buf_add_str(&data, "]}");
    const char *l = buf_str(&data);
    fails_with("{'some': [{'var': 'l'}, {'some': [[1,2,3,4,5,6,7,8,9,10], {'some': "
               "[[1,2,3,4,5,6,7,8,9,10], {'==': [{'var': ''}, 11]}]}]}]}",
               l, "too many steps");
    fails_with(
        "{'reduce': [{'var': 'l'}, {'cat': [{'var': 'accumulator'}, 'xxxxxxxxxxxxxxxx']}, '']}", l,
        "longer texts");
    fails_with("{'map': [{'var': 'l'}, {'map': [[1,2,3,4], {'var': ''}]}]}", l, "longer texts");
    buf_done(&data);
}

static void memory_may_run_out_anywhere_while_a_rule_is_compiled(void **state)
{
    struct flag *f = read_flag("{'state': 'ENABLED', 'variants': {'on': true}, 'targeting':"
                               "{'if': [{'var': ['a.b', {'var': 1}]}, 'on', {'cat': ['a', 2]}]}}");
    (void)state;
    for (int n = 1;; n++) {
        struct rule *r = NULL;
        mem_fail_at(n);
        enum hoist_err err = rule_new(f->targeting, &r);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        rule_free(r);
        if (!failed)
            break;
    }
    flag_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(var_follows_a_path),
        cmocka_unit_test(the_context_gains_flagd_and_hoist),
        cmocka_unit_test(if_takes_any_number_of_arms),
        cmocka_unit_test(and_and_or_yield_the_deciding_value),
        cmocka_unit_test(equality_is_javascripts),
        cmocka_unit_test(order_is_javascripts),
        cmocka_unit_test(numbers_are_calculated_as_javascript_does),
        cmocka_unit_test(texts_are_joined_and_cut),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(missing_names_what_is_not_there),
        cmocka_unit_test(flagds_text_operators_take_two_texts),
        cmocka_unit_test(versions_are_compared_as_semver_says),
        cmocka_unit_test(fractional_divides_by_the_bucketing_text),
        cmocka_unit_test(a_rule_that_takes_too_long_ends),
        cmocka_unit_test(memory_may_run_out_anywhere_while_a_rule_is_compiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
