/* A rule by itself, as `flagctl target` takes it. */
#include "flag_kit.h"

static struct arena arena;

/* The rule of `text` is that of a flag whose targeting is `want` (or has none: NULL). */
static void reads(const char *text, const char *file)
{
    struct buf b = json(text);
    struct problems problems = {0};
    struct tree rule = {0};
    if (flag_rule_read(buf_slice(&b), &arena, &rule, &problems) != HOIST_OK)
        fail_msg("%s", err_last());
    buf_done(&b);
    struct flag_file *want = read_flags(file);
    assert_true(tree_equal(rule, want->flags[0]->targeting));
    flag_file_free(want);
    problems_done(&problems);
    arena_done(&arena);
}

static void refuse(const char *text, const char *path, const char *words)
{
    struct buf b = json(text);
    struct problems problems = {0};
    struct tree rule = {NULL, 77};
    bool found = false;
    assert_int_equal(flag_rule_read(buf_slice(&b), &arena, &rule, &problems), HOIST_EINVAL);
    assert_int_equal(rule.count, 77);
    for (size_t i = 0; i < problems.count; i++)
        found |=
            strcmp(problems.items[i].path, path) == 0 &&
            (strstr(problems.items[i].message, words) || strstr(problems.items[i].mend, words));
    if (!found)
        fail_msg("%s: said %s", text, err_last());
    buf_done(&b);
    problems_done(&problems);
    arena_done(&arena);
}

#define FLAG(targeting)                                                                            \
    "{'flags': {'x': {'state': 'ENABLED', 'variants': {'on': true}, 'targeting': " targeting       \
    "}}, '$evaluators': {'internal': {'ends_with': [{'var': 'email'}, '@example.com']}}}"

static void a_rule_stands_alone_or_beside_those_it_refers_to(void **state)
{
    (void)state;
    reads("{'if': [{'var': 'beta'}, 'on']}", FLAG("{'if': [{'var': 'beta'}, 'on']}"));
    reads("\xef\xbb\xbf {'var': 'beta'} ", FLAG("{'var': 'beta'}"));
    reads("{'targeting': {'var': 'beta'}, '$schema': 'x'}", FLAG("{'var': 'beta'}"));
    reads("{'targeting': {'if': [{'$ref': 'internal'}, 'on']}, '$evaluators': {'internal':"
          " {'ends_with': [{'var': 'email'}, '@example.com']}}}",
          FLAG("{'if': [{'$ref': 'internal'}, 'on']}"));
    reads("{}", FLAG("{}"));
    reads("{'targeting': {}}", FLAG("{}"));
}

static void what_is_no_rule_is_refused_with_its_place(void **state)
{
    (void)state;
    refuse("", "line 1, column 1", "nothing in it");
    refuse("{'if': [", "line 1, column 8", "not JSON");
    refuse("[]", "", "an array, not a rule");
    refuse("{'if': [], 'or': []}", "", "2 keys");
    refuse("{'if': [{'sem_verr': []}, 'on']}", "if[0].sem_verr", "did you mean \"sem_ver\"?");
    refuse("{'if': [{'$ref': 'internal'}, 'on']}", "if[0].$ref", "no evaluator");
    refuse("{'targeting': {'if': [{'nope': []}]}}", "targeting.if[0].nope", "no operator");
    refuse("{'targeting': null}", "targeting", "null, not a rule");
    refuse("{'$evaluators': {'a': {'var': 'b'}}}", "targeting", "missing");
    refuse("{'targeting': {}, '$evaluators': {'a': {'nope': 'b'}}}", "$evaluators.a.nope",
           "no operator");
    refuse("{'flags': {}}", "flags", "flagctl apply FILE");
    refuse("{'state': 'ENABLED', 'variants': {}, 'targeting': {}}", "state", "not part of a rule");
    refuse("{'==': [9007199254740993, 1]}", "==[0]", "would be rounded");
}

static void memory_that_is_out_fails_cleanly(void **state)
{
    (void)state;
    struct buf b = json("{'targeting': {'if': [{'$ref': 'a'}, 'on']}, '$evaluators': {'a':"
                        " {'var': 'b'}}}");
    for (int n = 1;; n++) {
        struct problems problems = {0};
        struct tree rule;
        mem_fail_at(n);
        enum hoist_err err = flag_rule_read(buf_slice(&b), &arena, &rule, &problems);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        problems_done(&problems);
        arena_done(&arena);
        if (!failed)
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_stands_alone_or_beside_those_it_refers_to),
        cmocka_unit_test(what_is_no_rule_is_refused_with_its_place),
        cmocka_unit_test(memory_that_is_out_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
