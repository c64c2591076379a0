/* Rules that want too much, or make no sense: a defined answer, within bounds of time and room. */
#include <math.h>
#include <time.h>

#include "base/buf.h"
#include "eval/rule_int.h"
#include "flag_kit.h"

/* EVAL_STEPS_MAX steps of the dearest kind take a fraction of this, also under a sanitizer. */
enum { LIMIT_MS = 3000, TEXT_MAX = 8 << 20 };

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct flag *flag_with(const char *targeting)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    buf_printf(&text,
               "{'state': 'ENABLED', 'variants': {'on': true, 'off': false}, "
               "'defaultVariant': 'off', 'targeting': %s}",
               targeting);
    struct flag *f = read_flag(buf_str(&text));
    buf_done(&text);
    return f;
}

/* What a flag with this rule yields for a context (NULL: none), evaluated and explained. */
static struct eval_result ends(const char *targeting, const char *context)
{
    struct hoist_ctx ctx = {0};
    struct rule *rule = NULL;
    struct buf data = json(context ? context : "{}"), text = BUF_INIT(256 << 10);
    struct flag *f = flag_with(targeting);
    if (ctx_set_json(&ctx, buf_slice(&data)) || rule_new(f->targeting, &rule))
        fail_msg("%s", err_last());
    struct eval_ask ask = {.flag = f, .rule = rule, .ctx = &ctx};
    int64_t begin = cpu_ms();
    struct eval_result r = eval_flag(&ask);
    assert_in_range(cpu_ms() - begin, 0, LIMIT_MS);
    struct eval_result explained = eval_explain(&ask, &text);
    assert_int_equal(explained.reason, r.reason);
    assert_int_equal(explained.variant, r.variant);
    assert_true(r.reason != HOIST_ERROR || r.error);
    rule_free(rule);
    flag_free(f);
    ctx_done(&ctx);
    buf_done(&data);
    buf_done(&text);
    return r;
}

static void repeat(struct buf *out, const char *s, int times)
{
    for (int i = 0; i < times; i++)
        buf_add_str(out, s);
}

/* ------------------------------------------------------------------ rules without sense */

static void nonsense_has_an_answer(void **state)
{
    static const char *const context =
        "{'o': {'a': 1, 'b': 2}, 'l': [1, 2], 's': 'text', 'n': 5, 'nul': null}";
    const struct {
        const char *rule;
        enum hoist_reason reason;
        int32_t variant;
    } cases[] = {
        {"{'if': [{'==': [{'/': [{'var': 'n'}, 0]}, {'/': [1, 0]}]}, 'on']}", HOIST_TARGETING_MATCH,
         0},
        {"{'/': [0, 0]}", HOIST_ERROR, FLAG_NO_VARIANT},
        {"{'if': [{'%': [{'var': 'n'}, 0]}, 'on', 'off']}", HOIST_TARGETING_MATCH, 1},
        {"{'if': [{'<': [{'var': 'o'}, {'var': 'n'}]}, 'on', 'off']}", HOIST_TARGETING_MATCH, 1},
        {"{'if': [{'>=': [{'var': 'o'}, {'var': 'n'}]}, 'on', 'off']}", HOIST_TARGETING_MATCH, 1},
        {"{'if': [{'==': [{'var': 'o'}, {'var': 'o'}]}, 'on', 'off']}", HOIST_TARGETING_MATCH, 0},
        {"{'var': 'l.2'}", HOIST_DEFAULT, 1},
        {"{'var': 'l.99999999999999999999'}", HOIST_DEFAULT, 1},
        {"{'var': 'l.-1'}", HOIST_DEFAULT, 1},
        {"{'var': 's.4'}", HOIST_DEFAULT, 1},
        {"{'substr': [{'var': 's'}, 1e300, -1e300]}", HOIST_ERROR, FLAG_NO_VARIANT},
        {"{'var': 'nul.nul.nul'}", HOIST_DEFAULT, 1},
        {"{'max': [{'var': 'o'}, {'var': 'l'}]}", HOIST_ERROR, FLAG_NO_VARIANT},
        {"{'reduce': [{'var': 'o'}, {'var': 'accumulator'}, 'on']}", HOIST_TARGETING_MATCH, 0},
        {"{'fractional': [[{'var': 'o'}, {'var': 'l'}]]}", HOIST_DEFAULT, 1},
        {"{'sem_ver': [{'var': 'o'}, {'var': 'l'}, {'var': 'n'}]}", HOIST_DEFAULT, 1},
        {"{'var': {'var': ''}}", HOIST_DEFAULT, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eval_result r = ends(cases[i].rule, context);
        if (r.reason != cases[i].reason || r.variant != cases[i].variant)
            fail_msg("%s: %s, variant %d", cases[i].rule, r.error ? r.error : "no error",
                     (int)r.variant);
    }
}

static void a_rule_that_refers_to_itself_is_refused(void **state)
{
    struct problems problems = {0};
    struct flag_file *file;
    struct buf text =
        json("{'flags': {'x': {'state': 'ENABLED', 'variants': {'on': true}, 'targeting': "
             "{'$ref': 'r'}}}, '$evaluators': {'r': {'!': {'$ref': 'r'}}}}");
    (void)state;
    assert_int_equal(flag_file_read(buf_slice(&text), &file, &problems), HOIST_EINVAL);
    assert_true(problems.count > 0);
    problems_done(&problems);
    buf_done(&text);
}

/* ------------------------------------------------------------------ rules that want too much */

static void the_deepest_rule_is_evaluated(void **state)
{
    struct buf rule = BUF_INIT(TEXT_MAX);
    (void)state;
    repeat(&rule, "{'if': [1, ", TREE_DEPTH_MAX - 2);
    buf_add_str(&rule, "'on'");
    repeat(&rule, "]}", TREE_DEPTH_MAX - 2);
    struct eval_result r = ends(buf_str(&rule), NULL);
    assert_int_equal(r.reason, HOIST_TARGETING_MATCH);
    assert_int_equal(r.variant, 0);
    buf_done(&rule);
}

static void the_largest_rule_is_evaluated(void **state)
{
    struct buf rule = BUF_INIT(TEXT_MAX);
    (void)state;
    buf_add_str(&rule, "{'or': ["); /* 3 nodes each, and one for the whole */
    repeat(&rule, "{'==': [{'var': 'a'}, 1]}, ", (TREE_NODES_MAX - 3) / 4);
    buf_add_str(&rule, "'on']}");
    struct eval_result r = ends(buf_str(&rule), "{'a': 0}");
    assert_int_equal(r.reason, HOIST_TARGETING_MATCH);
    assert_int_equal(r.variant, 0);
    buf_done(&rule);
}

/* `count` times `s`, as the text that attribute 't' is. */
static struct buf long_text(const char *s, int count)
{
    struct buf b = BUF_INIT(TEXT_MAX);
    buf_add_str(&b, "{'t': '");
    repeat(&b, s, count);
    buf_printf(&b, "', 'l': [0");
    for (int i = 1; i < 5000; i++)
        buf_printf(&b, ",%d", i);
    buf_add_str(&b, "]}");
    return b;
}

/* The text's length counts, so that no operator does the work of many for the price of one. */
static void long_texts_are_paid_for(void **state)
{
    static const char *const each[] = {
        "{'in': [{'substr': [{'var': 'accumulator.t'}, 1, 9000]}, {'var': 'accumulator.t'}]}",
        "{'==': [{'var': 'accumulator.t'}, {'var': 'accumulator.t'}]}",
        "{'===': [{'var': 'accumulator.t'}, {'var': 'accumulator.t'}]}",
        "{'in': [{'var': 'accumulator.t'}, [{'var': 'accumulator.t'}]]}",
        "{'<=': [{'var': 'accumulator.t'}, {'var': 'accumulator.t'}]}",
        "{'starts_with': [{'var': 'accumulator.t'}, {'var': 'accumulator.t'}]}",
        "{'ends_with': [{'var': 'accumulator.t'}, {'var': 'accumulator.t'}]}",
        "{'+': [{'var': 'accumulator.t'}, 1]}",
        "{'-': [{'var': 'accumulator.t'}, 1]}",
        "{'fractional': [{'var': 'accumulator.t'}, ['on', 1]]}",
        "{'var': 'accumulator.t.length'}",
        "{'var': 'accumulator.t.500000'}",
    };
    struct buf ones = long_text("1", 700000), as = long_text("a", 700000);
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        char rule[256];
        snprintf(rule, sizeof rule,
                 "{'reduce': [{'var': 'l'}, {'if': [%s, {'var': 'accumulator'}, "
                 "{'var': 'accumulator'}]}, {'var': ''}]}",
                 each[i]);
        assert_true(ends(rule, buf_str(&ones)).limited);
        assert_true(ends(rule, buf_str(&as)).limited);
    }
    buf_done(&ones);
    buf_done(&as);
}

/* What would take a naive search the square of the length. */
static void a_search_takes_no_longer_than_its_text_is(void **state)
{
    struct buf rule = BUF_INIT(TEXT_MAX), data = long_text("a", 1000000);
    (void)state;
    buf_add_str(&rule, "{'if': [{'in': ['");
    repeat(&rule, "a", 100000);
    buf_add_str(&rule, "b");
    repeat(&rule, "a", 100000);
    buf_add_str(&rule, "', {'var': 't'}]}, 'on', 'off']}");
    assert_int_equal(ends(buf_str(&rule), buf_str(&data)).variant, 1);
    buf_done(&rule);
    buf_done(&data);
}

/* ------------------------------------------------------------------ ten thousand of them */

static uint32_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

static void any_value(struct buf *out, int depth)
{
    static const char *const values[] = {"{'var': 'current'}",
                                         "{'var': 'accumulator'}",
                                         "{'var': 'l'}",
                                         "{'var': ''}",
                                         "0",
                                         "1.5",
                                         "'x'",
                                         "'on'",
                                         "null",
                                         "true",
                                         "[]",
                                         "[1, [2, 'x']]",
                                         "{'var': 'accumulator.0'}",
                                         "{'var': 'accumulator.length'}"};
    static const char *const operators[] = {
        "+",  "-",  "*",  "/", "%",      "cat",     "merge", "max",    "if",  "and",
        "or", "in", "==", "<", "substr", "missing", "map",   "filter", "all", "reduce"};
    if (depth == 0 || below(4) == 0) {
        buf_add_str(out, values[below(sizeof values / sizeof *values)]);
        return;
    }
    buf_printf(out, "{'%s': [", operators[below(sizeof operators / sizeof *operators)]);
    for (uint32_t i = 0, count = 1 + below(3); i < count; i++) {
        buf_add_str(out, i ? ", " : "");
        any_value(out, depth - 1);
    }
    buf_add_str(out, "]}");
}

static void ten_thousand_variants_of_reduce_end(void **state)
{
    struct buf rule = BUF_INIT(TEXT_MAX);
    int64_t begin = cpu_ms();
    (void)state;
    seed = 7;
    for (int i = 0; i < 10000; i++) {
        buf_clear(&rule);
        buf_add_str(&rule, "{'reduce': [{'var': 'l'}, ");
        any_value(&rule, 4);
        buf_add_str(&rule, ", ");
        any_value(&rule, 1);
        buf_add_str(&rule, "]}");
        ends(buf_str(&rule),
             "{'l': [1, '2', null, [3, 4], {'a': 5, 'b': 6}, 'seven', 1e300, -0.5]}");
    }
    assert_in_range(cpu_ms() - begin, 0, 20 * LIMIT_MS);
    buf_done(&rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_has_an_answer),
        cmocka_unit_test(a_rule_that_refers_to_itself_is_refused),
        cmocka_unit_test(the_deepest_rule_is_evaluated),
        cmocka_unit_test(the_largest_rule_is_evaluated),
        cmocka_unit_test(long_texts_are_paid_for),
        cmocka_unit_test(a_search_takes_no_longer_than_its_text_is),
        cmocka_unit_test(ten_thousand_variants_of_reduce_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
