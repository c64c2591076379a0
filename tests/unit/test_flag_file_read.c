#include "flag_kit.h"

/* ------------------------------------------------------------------ help */

static struct problems found;

static int begin(void **state)
{
    (void)state;
    found = (struct problems){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    problems_done(&found);
    return 0;
}

/* Read what must be refused; what is wrong is in `found`. */
static void refuse(struct slice text)
{
    struct flag_file *file = (struct flag_file *)&found; /* anything but NULL */
    problems_done(&found);
    assert_int_equal(flag_file_read(text, &file, &found), HOIST_EINVAL);
    assert_ptr_equal(file, &found);
    assert_true(found.total > 0);
    assert_string_not_equal(err_last(), "");
}

static void refuse_json(const char *text)
{
    struct buf b = json(text);
    refuse(buf_slice(&b));
    buf_done(&b);
}

/* Flag `x`, defined by `definition`, is refused. */
static void refuse_flag(const char *definition)
{
    struct buf b = BUF_INIT(64 << 20);
    buf_printf(&b, "{'flags': {'x': %s}}", definition);
    refuse_json(buf_str(&b));
    buf_done(&b);
}

static const struct problem *problem_at(const char *path)
{
    for (size_t i = 0; i < found.count; i++)
        if (strcmp(found.items[i].path, path) == 0)
            return &found.items[i];
    return NULL;
}

/* A problem at `path` says `part` in its message or mend. */
static void says(const char *path, const char *part)
{
    for (size_t i = 0; i < found.count; i++) {
        const struct problem *p = &found.items[i];
        if (strcmp(p->path, path) == 0 && (strstr(p->message, part) || strstr(p->mend, part)))
            return;
    }
    const struct problem *p = problem_at(path);
    fail_msg("nothing at %s says \"%s\"; %s", path, part, p ? p->message : "nothing is said there");
}

static void says_only(const char *path, const char *part)
{
    says(path, part);
    assert_int_equal(found.total, 1);
}

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"

/* ------------------------------------------------------------------ what is good */

static void a_file_gives_its_flags_sorted_with_all_their_parts(void **state)
{
    struct flag_file *file = read_flags(
        "{'$schema': 'https://flagd.dev/schema/v0/flags.json', '$comment': 'mine', 'flags': {"
        "'z': {'state': 'DISABLED', 'variants': {'small': 1, 'large': 2.5}, '$comment': 1},"
        "'a': {" ON_OFF ", 'defaultVariant': 'off', 'override': 'on',"
        "      'targeting': {'if': [{'==': [{'var': 'x'}, null]}, 'on']},"
        "      'metadata': {'team': 'me', 'n': 3, 'b': true},"
        "      'requires': {'flags': {'z': 'large', 'elsewhere': 'v'}, 'otherwise': 'on'}}},"
        "'metadata': {'team': 'all', 'set': 'production'}}");
    (void)state;
    assert_int_equal(file->count, 2);
    const struct flag *a = file->flags[0], *z = file->flags[1];
    assert_true(slice_eq(a->key, SLICE("a")));
    assert_true(a->enabled);
    assert_int_equal(a->type, HOIST_BOOL);
    assert_int_equal(a->default_variant, 1);
    assert_int_equal(a->override, 0);
    assert_int_equal(a->otherwise, 0);
    assert_int_equal(a->requires_count, 2);
    assert_true(slice_eq(a->requires[0].flag, SLICE("elsewhere")));
    assert_true(slice_eq(a->requires[1].variant, SLICE("large")));

    /* The file's metadata stands under the flag's own. */
    assert_int_equal(a->metadata_count, 4);
    assert_true(slice_eq(a->metadata[0].name, SLICE("b")));
    assert_true(slice_eq(a->metadata[2].name, SLICE("set")));
    assert_true(slice_eq(a->metadata[3].value.text, SLICE("me")));
    assert_int_equal(z->metadata_count, 2);
    assert_true(slice_eq(z->metadata[1].value.text, SLICE("all")));

    assert_false(z->enabled);
    assert_int_equal(z->type, HOIST_NUMBER);
    assert_true(slice_eq(z->variants[0].name, SLICE("small"))); /* as written */
    assert_true(z->variants[1].value.nodes[0].number == 2.5);
    assert_int_equal(z->default_variant, FLAG_NO_VARIANT);
    assert_int_equal(z->targeting.count, 0);
    flag_file_free(file);
}

static void flags_may_stand_in_an_array(void **state)
{
    struct flag_file *map = read_flags("{'flags': {'a': {" ON_OFF "}, 'b': {" ON_OFF "}}}");
    struct flag_file *array =
        read_flags("{'flags': [{'key': 'b', " ON_OFF "}, {" ON_OFF ", 'key': 'a'}]}");
    (void)state;
    assert_int_equal(array->count, 2);
    for (int i = 0; i < 2; i++)
        assert_true(flag_equal(map->flags[i], array->flags[i]));
    flag_file_free(map);
    flag_file_free(array);
}

static void a_file_may_have_no_flags(void **state)
{
    struct flag_file *file = read_flags("{'flags': {}}");
    (void)state;
    assert_int_equal(file->count, 0);
    flag_file_free(file);
    file = read_good(SLICE("\xef\xbb\xbf{\"flags\": []}")); /* an editor's byte order mark */
    assert_int_equal(file->count, 0);
    flag_file_free(file);
    flag_file_free(NULL);
}

static void a_rule_is_laid_flat(void **state)
{
    struct flag *f = read_flag("{" ON_OFF ", 'targeting': {'in': [{'var': 'a.b'}, ['x', 1, null,"
                               " {'q': {'var': 'raw'}, 'p': true}]]}}");
    static const struct node want[] = {
        {.kind = NODE_OP, .count = 2, .span = 12},
        {.kind = NODE_OP, .bare = true, .count = 1, .span = 2},
        {.kind = NODE_STRING, .span = 1},
        {.kind = NODE_ARRAY, .count = 4, .span = 9},
        {.kind = NODE_STRING, .span = 1},
        {.kind = NODE_NUMBER, .span = 1},
        {.kind = NODE_NULL, .span = 1},
        {.kind = NODE_OBJECT, .count = 2, .span = 5}, /* two keys: data, and all in it */
        {.kind = NODE_STRING, .span = 1},
        {.kind = NODE_TRUE, .span = 1},
        {.kind = NODE_STRING, .span = 1},
        {.kind = NODE_OBJECT, .count = 1, .span = 3},
    };
    (void)state;
    /* the last object's key and value stand behind it */
    assert_int_equal(f->targeting.count, 14);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct node *n = &f->targeting.nodes[i];
        assert_int_equal(n->kind, want[i].kind);
        assert_int_equal(n->bare, want[i].bare);
        assert_int_equal(n->count, want[i].count);
        if (i > 0 && i != 3 && i != 7)
            assert_int_equal(n->span, want[i].span);
    }
    assert_int_equal(f->targeting.nodes[0].span, 14);
    assert_int_equal(f->targeting.nodes[3].span, 11);
    assert_int_equal(f->targeting.nodes[7].span, 7);
    assert_true(slice_eq(f->targeting.nodes[8].text, SLICE("p"))); /* keys are sorted */
    flag_free(f);
}

static void every_operator_of_the_format_is_known(void **state)
{
    static const char *const operators[] = {
        "var", "missing", "missing_some", "if",        "?:",      "==",        "!=",    "===",
        "!==", "!",       "!!",           "and",       "or",      "<",         "<=",    ">",
        ">=",  "max",     "min",          "+",         "-",       "*",         "/",     "%",
        "map", "filter",  "reduce",       "all",       "some",    "none",      "merge", "in",
        "cat", "substr",  "starts_with",  "ends_with", "sem_ver", "fractional"};
    (void)state;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        char text[128];
        snprintf(text, sizeof text, "{" ON_OFF ", 'targeting': {'%s': []}}", operators[i]);
        flag_free(read_flag(text));
    }
}

static void an_empty_targeting_is_none(void **state)
{
    struct flag *f = read_flag("{" ON_OFF ", 'targeting': {}}");
    (void)state;
    assert_int_equal(f->targeting.count, 0);
    flag_free(f);
}

static void a_reference_is_kept_by_name_with_its_rule_behind_it(void **state)
{
    struct flag_file *file = read_flags(
        "{'$evaluators': {'staff': {'in': ['@x', {'var': 'email'}]}, 'unused': {'var': 'y'}},"
        " 'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'$ref': 'staff'}, 'on']}}}}");
    const struct node *n = file->flags[0]->targeting.nodes;
    (void)state;
    assert_int_equal(file->flags[0]->targeting.count, 7);
    assert_int_equal(n[1].kind, NODE_REF);
    assert_true(slice_eq(n[1].text, SLICE("staff")));
    assert_int_equal(n[1].span, 5);
    assert_int_equal(n[2].kind, NODE_OP);
    assert_true(slice_eq(n[2].text, SLICE("in")));
    assert_int_equal(n[6].kind, NODE_STRING);
    flag_file_free(file);
}

static void an_object_value_may_look_like_a_rule(void **state)
{
    struct flag *f = read_flag("{'state': 'ENABLED', 'variants': {'a': {'$ref': 'x'},"
                               " 'b': [{'no_op': [9007199254740991, -1e300]}]}}");
    (void)state;
    assert_int_equal(f->type, HOIST_OBJECT);
    assert_int_equal(f->variants[0].value.nodes[0].kind, NODE_OBJECT);
    assert_int_equal(f->variants[1].value.count, 6);
    flag_free(f);
}

static void example_files_read(const char *path)
{
    struct buf b = BUF_INIT(1 << 20);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&b, piece, n);
    fclose(f);
    struct flag_file *file = read_good(buf_slice(&b));
    assert_int_equal(file->count, 3);
    int hanging = 0;
    for (size_t i = 0; i < file->count; i++) {
        const struct flag *flag = file->flags[i];
        assert_true(flag->enabled);
        assert_int_equal(flag->default_variant, flag_variant(flag, SLICE("off")));
        assert_int_equal(flag->targeting.count, 0);
        if (flag->requires_count == 0)
            continue; /* it is what the others hang on */
        assert_int_equal(flag->requires_count, 1);
        assert_true(slice_eq(flag->requires[0].flag, SLICE("marketplace.enabled")));
        assert_true(slice_eq(flag->requires[0].variant, SLICE("on")));
        assert_int_equal(flag->otherwise, flag_variant(flag, SLICE("off")));
        hanging++;
    }
    assert_int_equal(hanging, 2);
    struct buf again = write_file(file);
    assert_string_equal(buf_str(&again), buf_str(&b)); /* as an export would write them */
    buf_done(&again);
    flag_file_free(file);
    buf_done(&b);
}

static void the_marketplace_flags_are_good_and_written_as_an_export_would(void **state)
{
    (void)state;
    example_files_read("examples/marketplace/flags/staging.json");
    example_files_read("examples/marketplace/flags/production.json");
}

/* ------------------------------------------------------------------ what is not JSON */

static void an_empty_file_is_refused(void **state)
{
    (void)state;
    refuse((struct slice){0});
    says_only("line 1, column 1", "nothing");
    refuse(SLICE(" \n\t"));
    says_only("line 1, column 1", "nothing");
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    refuse(SLICE("flags: x"));
    says_only("line 1, column 5", "not JSON"); /* where the word ends */
    refuse(SLICE("{\"flags\": {\n  \"x\": {,}\n}}"));
    says_only("line 2, column 9", "not JSON");
    refuse(SLICE("{\"flags\": {"));
    says_only("line 1, column 11", "end of file");
    refuse(SLICE("{\"flags\": {}} {}"));
    says("line 1, column 15", "not JSON");
    refuse(SLICE("{\"flags\": \"\n\"}"));
    says("line 1, column 11", "newline");
    refuse(SLICE("{\"flags\": {}}\0"));
    refuse(SLICE("{\"flags\": \"\\ud800\"}"));
    refuse(SLICE("{\"flags\": nul}"));
    refuse(SLICE("{\"flags\": 01}"));
    refuse(SLICE("\xff"));
    refuse(SLICE("[]"));
    says_only("line 1, column 1", "array");
}

static void brackets_without_end_are_refused(void **state)
{
    char deep[100000];
    (void)state;
    memset(deep, '[', sizeof deep);
    refuse(slice_of(deep, sizeof deep));
    for (size_t i = 0; i + 5 <= sizeof deep; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    refuse(slice_of(deep, sizeof deep));
}

static void what_came_before_bad_json_is_said_too(void **state)
{
    (void)state;
    refuse_json("{'flags': {'a': {'n': 9007199254740993}, 'a': 1,, }");
    says("flags.a.n", "would be rounded");
    says("line 1, column 49", "not JSON");
}

static void bad_utf8_is_refused_with_its_path(void **state)
{
    (void)state;
    refuse(SLICE("{\"flags\": {\"x\": {\"state\": \"EN\xc3\", \"variants\": {\"\xff\": 1}}}}"));
    says("flags.x.state", "UTF-8");
    says("flags.x.variants.?", "UTF-8");
    says("flags.x.state", "no state"); /* and reading went on */
}

static void a_nul_character_is_refused(void **state)
{
    (void)state;
    refuse_flag("{'state': 'ENABLED', 'variants': {'on': 'a\\u0000b', '\\u0000': '\\\\u0000'}}");
    says("flags.x.variants.on", "NUL");
    says("flags.x.variants. ", "NUL");
    assert_int_equal(found.total, 2); /* a backslash before u0000 is not one */
}

/* ------------------------------------------------------------------ keys that stand twice */

static void every_key_that_stands_twice_is_named(void **state)
{
    (void)state;
    refuse_json("{'flags': {'a': {" ON_OFF "}, 'b': {" ON_OFF "}, 'a': {" ON_OFF "},"
                "          'c': {" ON_OFF ", 'state': 'ENABLED'}, 'a': {" ON_OFF "}},"
                " '$evaluators': {'r': {'var': 'x'}, 'r': {'var': 'y'}}}");
    says("flags.a", "more than once");
    says("flags.c.state", "more than once");
    says("$evaluators.r", "more than once");
    assert_int_equal(found.total, 3); /* `a` once, though it stands three times */
}

static void a_key_spelled_with_an_escape_is_the_same_key(void **state)
{
    (void)state;
    refuse_json("{'flags': {'a': {" ON_OFF "}, '\\u0061': {" ON_OFF "}}}");
    says("flags.a", "more than once");
    refuse_json("{'flags': {'a': {" ON_OFF ", 'state': 'ENABLED'}, 'b': 5, '\\u0061': {" ON_OFF
                "}}}");
    says("flags.a", "more than once");
    assert_int_equal(found.total, 3); /* that is told with whatever else is wrong */
}

static void the_same_key_in_two_objects_is_no_problem(void **state)
{
    (void)state;
    flag_free(read_flag("{'state': 'ENABLED', 'variants': {'a': {'k': {'k': 1}}, 'b': {'k': 2},"
                        " 'c': [{'k': 1}, {'k': 1}]}}"));
}

static void flags_of_an_array_with_one_key_are_refused(void **state)
{
    (void)state;
    refuse_json("{'flags': [{'key': 'a', " ON_OFF "}, {'key': 'b', 'state': 1},"
                " {'key': 'a', " ON_OFF "}, {'key': 'b', 'state': 1}, {" ON_OFF "}, 7]}");
    says("flags[2]", "stands at [0] already");
    says("flags[3]", "stands at [1] already");
    says("flags[4]", "no key");
    says("flags[5]", "no flag");
}

/* ------------------------------------------------------------------ numbers */

static void integers_that_a_double_rounds_are_refused_anywhere(void **state)
{
    (void)state;
    refuse_json("{'flags': {'x': {'state': 'ENABLED', 'variants':"
                " {'a': 9007199254740991, 'b': 9007199254740992, 'c': -9007199254740992,"
                "  'd': 123456789012345678901234567890, 'e': -9007199254740991},"
                " 'targeting': {'==': [{'var': 'id'}, 9007199254740993]},"
                " 'metadata': {'n': 10000000000000000}}}, 'metadata': {'n': 99999999999999999}}");
    says("flags.x.variants.b", "9007199254740992 would be rounded");
    says("flags.x.variants.c", "rounded");
    says("flags.x.variants.d", "rounded");
    says("flags.x.targeting.==[1]", "rounded");
    says("flags.x.metadata.n", "as a string");
    says("metadata.n", "rounded");
    assert_int_equal(found.total, 6);
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    refuse_flag("{'state': 'ENABLED', 'variants': {'a': 1e308, 'b': 1e309, 'c': -2e999}}");
    says("flags.x.variants.b", "1e309");
    says("flags.x.variants.c", "-2e999");
    assert_int_equal(found.total, 2);
    refuse_flag("{'state': 'ENABLED', 'variants': {'a': NaN}}");
}

/* ------------------------------------------------------------------ fields */

static void a_misspelled_field_names_the_one_that_was_meant(void **state)
{
    (void)state;
    refuse_json("{'flag': {}, 'flags': {'x': {" ON_OFF ", 'defaultVarient': 'on', 'key': 'x',"
                " 'wholly_other': 1}}, 'evaluators': {}, 'metadata': {}}");
    says("flag", "did you mean \"flags\"?");
    says("flags.x.defaultVarient", "did you mean \"defaultVariant\"?");
    says("flags.x.wholly_other", "a flag has state, variants");
    says("flags.x.key", "no field");
    says("evaluators", "did you mean \"$evaluators\"?");
    assert_int_equal(found.total, 5);
    refuse_json("{'flag': {}, 'wholly_other': 1, 'flags': {}}");
    says("wholly_other", "a flag file has flags");
}

static void fields_that_are_missing_or_of_a_wrong_type_are_named(void **state)
{
    (void)state;
    refuse_json("{}");
    says_only("flags", "missing");
    refuse_json("{'flags': 3, 'metadata': [], '$evaluators': 'x'}");
    says("flags", "a number");
    says("metadata", "an array");
    says("$evaluators", "a string");
    refuse_flag("true");
    says_only("flags.x", "a boolean");
    refuse_flag("{}");
    says("flags.x.state", "missing");
    says("flags.x.variants", "missing");
    refuse_flag("{'state': true, 'variants': {}, 'targeting': [], 'metadata': 1, 'requires': 2}");
    says("flags.x.state", "a boolean");
    says("flags.x.variants", "no variant");
    says("flags.x.targeting", "an array");
    says("flags.x.metadata", "a number");
    says("flags.x.requires", "a number");
    refuse_flag("{'state': 'enabled', 'variants': 1}");
    says("flags.x.state", "ENABLED");
    says("flags.x.variants", "a number");
}

static void a_default_that_is_no_variant_is_refused_with_the_variants(void **state)
{
    (void)state;
    refuse_flag("{" ON_OFF ", 'defaultVariant': 'onn', 'override': 'kill'}");
    says("flags.x.defaultVariant", "no variant \"onn\"");
    says("flags.x.defaultVariant", "name one of: on, off");
    says("flags.x.override", "no variant \"kill\"");
    assert_int_equal(found.total, 2);
    refuse_flag("{" ON_OFF ", 'defaultVariant': true}");
    says_only("flags.x.defaultVariant", "a boolean");
}

static void variants_of_mixed_types_are_refused(void **state)
{
    (void)state;
    refuse_flag("{'state': 'ENABLED', 'variants': {'a': null, 'b': true, 'c': 'x', 'd': 1, 'e':"
                " {}, 'f': false}}");
    says("flags.x.variants.a", "null");
    says("flags.x.variants.c", "a string, unlike that of \"b\"");
    says("flags.x.variants.d", "a number");
    says("flags.x.variants.e", "an object");
    assert_int_equal(found.total, 4);
}

static void names_are_held_to_their_limits(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    char longer[FLAG_KEY_MAX + 2] = "";
    (void)state;
    memset(longer, 'k', FLAG_KEY_MAX + 1);
    buf_printf(&b,
               "{'flags': {'%s': {" ON_OFF "}, 'a\\nb': {" ON_OFF "}, '': {" ON_OFF "},"
               " 'x': {'state': 'ENABLED', 'variants': {'%s': 1, '\\u007f': 2}}}}",
               longer, longer);
    refuse_json(buf_str(&b));
    says("flags.a\\u000ab", "control character");
    says("flags.", "empty");
    says("flags.x.variants.\\u007f", "control character");
    assert_int_equal(found.total, 5);
    assert_non_null(strstr(found.items[0].message, "256 bytes"));
    assert_true(strlen(found.items[0].path) < 100); /* cut short */
    buf_done(&b);
}

static void metadata_has_plain_values_only(void **state)
{
    (void)state;
    refuse_flag("{" ON_OFF ", 'metadata': {'a': null, 'b': {}, 'c': [], 'd': 'fine', '': 1}}");
    says("flags.x.metadata.a", "null");
    says("flags.x.metadata.b", "an object");
    says("flags.x.metadata.c", "an array");
    says("flags.x.metadata.", "empty");
    assert_int_equal(found.total, 4);
}

/* ------------------------------------------------------------------ rules */

static void unknown_operators_are_named_wherever_they_stand(void **state)
{
    (void)state;
    refuse_json("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'start_with': ['a', 'b']},"
                " {'log': 1}, [{'nope': [{'vra': 'y'}]}]]}}},"
                " '$evaluators': {'r': {'and': [{'equals': [1, 2]}]}}}");
    says("flags.x.targeting.if[0].start_with", "did you mean \"starts_with\"?");
    says("flags.x.targeting.if[1].log", "no operator \"log\"");
    says("flags.x.targeting.if[2][0].nope", "no operator");
    says("flags.x.targeting.if[2][0].nope[0].vra", "did you mean \"var\"?");
    says("$evaluators.r.and[0].equals", "no operator");
    assert_int_equal(found.total, 5);
}

static void references_that_lead_nowhere_or_nest_are_refused(void **state)
{
    (void)state;
    refuse_json("{'flags': {'x': {" ON_OFF ", 'targeting': {'if': [{'$ref': 'a'}, {'$ref': 'no'},"
                " {'$ref': ['a']}]}}, 'y': {" ON_OFF ", 'targeting': {'$ref': 'no'}}},"
                " '$evaluators': {'a': {'!': {'$ref': 'b'}}, 'b': {'var': 'x'}, 'c': 'text',"
                " 'd': {}}}");
    says("flags.x.targeting.if[1].$ref", "no evaluator \"no\"");
    says("flags.x.targeting.if[2].$ref", "an array");
    says("flags.y.targeting.$ref", "no evaluator");
    says("$evaluators.a.!.$ref", "within $evaluators");
    says("$evaluators.c", "one operator");
    says("$evaluators.d", "one operator");
    assert_int_equal(found.total, 6); /* `a` is known, although it could not be read */
}

static void a_rule_of_two_operators_is_refused(void **state)
{
    (void)state;
    refuse_flag("{" ON_OFF ", 'targeting': {'var': 'x', 'in': []}}");
    says_only("flags.x.targeting", "one operator");
}

/* ------------------------------------------------------------------ limits */

/* `open`, `depth` times, then `middle`, then `close` as often. */
static void nest(struct buf *b, const char *open, int depth, const char *middle, const char *close)
{
    for (int i = 0; i < depth; i++)
        buf_add_str(b, open);
    buf_add_str(b, middle);
    for (int i = 0; i < depth; i++)
        buf_add_str(b, close);
}

static void trees_go_64_levels_deep(void **state)
{
    static const char start[] = "{" ON_OFF ", 'targeting': ";
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&b, start);
    nest(&b, "{'!':[", TREE_DEPTH_MAX - 1, "1", "]}");
    buf_add_str(&b, "}");
    flag_free(read_flag(buf_str(&b)));

    buf_clear(&b);
    buf_add_str(&b, start);
    nest(&b, "{'!':[", TREE_DEPTH_MAX, "1,2,3", "]}");
    buf_add_str(&b, "}");
    refuse_flag(buf_str(&b));
    assert_int_equal(found.total, 1);
    assert_non_null(strstr(found.items[0].message, "too many levels: 64 at most"));

    buf_clear(&b);
    buf_add_str(&b, "{'state': 'ENABLED', 'variants': {'a': ");
    nest(&b, "[", 1000, "", "]");
    buf_add_str(&b, "}}");
    refuse_flag(buf_str(&b));
    assert_int_equal(found.total, 1);
    buf_done(&b);
}

static void a_reference_counts_as_deep_as_its_rule(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    for (int more = 0; more < 2; more++) {
        buf_clear(&b);
        buf_add_str(&b, "{'$evaluators': {'r': ");
        nest(&b, "{'!':", 31, "1", "}"); /* 32 levels */
        buf_add_str(&b, "}, 'flags': {'x': {" ON_OFF ", 'targeting': ");
        nest(&b, "{'!':", 31 + more, "{'$ref': 'r'}", "}"); /* 31 and the reference itself */
        buf_add_str(&b, "}}}");
        if (more)
            refuse_json(buf_str(&b));
        else
            flag_file_free(read_flags(buf_str(&b)));
    }
    assert_int_equal(found.total, 1);
    assert_non_null(strstr(found.items[0].message, "levels"));
    buf_done(&b);
}

static void trees_have_16384_nodes_at_most(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    for (int more = 0; more < 2; more++) {
        buf_clear(&b);
        buf_add_str(&b, "{'state': 'ENABLED', 'variants': {'a': [0");
        for (int i = 2; i < TREE_NODES_MAX + more; i++)
            buf_add_str(&b, ",0");
        buf_add_str(&b, "], 'b': {}}}");
        if (more)
            refuse_flag(buf_str(&b));
        else
            flag_free(read_flag(buf_str(&b)));
    }
    says_only("flags.x.variants.a[16383]", "16384 at most");
    buf_done(&b);
}

static void references_cannot_multiply_a_rule_beyond_the_limit(void **state)
{
    struct buf b = BUF_INIT(8 << 20);
    (void)state;
    buf_add_str(&b, "{'$evaluators': {'r': {'in': [1, [0");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, ",0");
    buf_add_str(&b, "]]}}, 'flags': {'x': {" ON_OFF ", 'targeting': {'and': [1");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, ",{'$ref': 'r'}");
    buf_add_str(&b, "]}}}}");
    refuse_json(buf_str(&b));
    says_only("flags.x.targeting.and[4].$ref", "16384 at most");
    buf_done(&b);
}

static void a_flag_has_1024_variants_at_most(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    for (int more = 0; more < 2; more++) {
        buf_clear(&b);
        buf_add_str(&b, "{'state': 'ENABLED', 'defaultVariant': 'v0', 'variants': {'v0': 0");
        for (int i = 1; i < FLAG_VARIANTS_MAX + more; i++)
            buf_printf(&b, ",'v%d':%d", i, i);
        buf_add_str(&b, "}}");
        if (more)
            refuse_flag(buf_str(&b));
        else
            flag_free(read_flag(buf_str(&b)));
    }
    says_only("flags.x.variants", "there are 1025 variants: 1024 at most");
    buf_done(&b);
}

static void a_flag_of_300_kib_is_refused_and_one_of_255_is_not(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    for (int kib = 255; kib <= 300; kib += 45) {
        buf_clear(&b);
        buf_add_str(&b, "{'state': 'ENABLED', 'variants': {'a': 'x");
        for (int i = 0; i < kib * 1024; i++)
            buf_add_byte(&b, 'y');
        buf_add_str(&b, "'}}");
        if (kib > 256)
            refuse_flag(buf_str(&b));
        else
            flag_free(read_flag(buf_str(&b)));
    }
    says_only("flags.x", "300 KiB, more than 256");
    buf_done(&b);
}

/* ------------------------------------------------------------------ requirements */

static void requirements_are_checked_one_by_one(void **state)
{
    (void)state;
    refuse_flag("{" ON_OFF ", 'requires': {'flags': {'a\\n': 'on', 'b': 1}, 'otherwise': 'no',"
                " 'else': 'on'}}");
    says("flags.x.requires.flags.a\\u000a", "control character");
    says("flags.x.requires.flags.b", "a number");
    says("flags.x.requires.otherwise", "name one of: on, off");
    says("flags.x.requires", "no field \"else\"");
    assert_int_equal(found.total, 4);
    refuse_flag("{" ON_OFF ", 'requires': {'flags': {'a': '', 'b': 'o\\n'}, 'otherwise': 'on'}}");
    says("flags.x.requires.flags.a", "the variant's name is empty");
    says("flags.x.requires.flags.b", "control character");
    assert_int_equal(found.total, 2);
    refuse_flag("{" ON_OFF ", 'requires': {}}");
    says("flags.x.requires.flags", "missing");
    says("flags.x.requires.otherwise", "otherwise");
    refuse_flag("{" ON_OFF ", 'requires': {'flags': {}, 'otherwise': 'on'}}");
    says_only("flags.x.requires.flags", "no flag");
}

static void a_required_variant_must_exist_where_its_flag_does(void **state)
{
    (void)state;
    refuse_json("{'flags': {'a': {" ON_OFF "}, 'b': {" ON_OFF ", 'requires': {'flags':"
                " {'a': 'onn', 'elsewhere': 'x'}, 'otherwise': 'off'}}}}");
    says_only("flags.b.requires.flags.a", "the flag \"a\" has no variant \"onn\"");
}

/* Flag `key`, which requires those in `flags`. */
static void add_needy(struct buf *b, const char *key, const char *flags)
{
    buf_printf(b, ", '%s': {" ON_OFF ", 'requires': {'flags': {%s}, 'otherwise': 'off'}}", key,
               flags);
}

static void circles_of_requirements_are_refused(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&b, "{'flags': {'z': {" ON_OFF "}");
    add_needy(&b, "a", "'b': 'on'");
    add_needy(&b, "b", "'c': 'on', 'd': 'on'");
    add_needy(&b, "c", "'a': 'on'");
    add_needy(&b, "d", "'d': 'on'");
    add_needy(&b, "e", "'a': 'on'");
    buf_add_str(&b, "}}");
    refuse_json(buf_str(&b));
    says("flags.a.requires", "\"a\" requires \"b\" requires \"c\" requires \"a\"");
    says("flags.d.requires", "\"d\" requires \"d\"");
    assert_int_equal(found.total, 2);
    buf_done(&b);
}

static void two_ways_to_one_required_flag_are_no_circle(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&b, "{'flags': {'a': {" ON_OFF "}");
    add_needy(&b, "b", "'a': 'on'");
    add_needy(&b, "c", "'a': 'on', 'b': 'on'");
    buf_add_str(&b, "}}");
    flag_file_free(read_flags(buf_str(&b)));
    buf_done(&b);
}

static void a_long_chain_of_requirements_is_followed_to_its_end(void **state)
{
    struct buf b = BUF_INIT(64 << 20);
    enum { LENGTH = 20000 };
    (void)state;
    for (int round = 0; round < 2; round++) {
        buf_clear(&b);
        buf_add_str(&b, "{'flags': {'last': {" ON_OFF "}");
        for (int i = 0; i < LENGTH; i++) {
            char key[16], flags[32];
            snprintf(key, sizeof key, "f%d", i);
            snprintf(flags, sizeof flags, "'f%d': 'on'", (i + 1) % (LENGTH + !round));
            add_needy(&b, key, flags);
        }
        buf_add_str(&b, "}}");
        if (round)
            refuse_json(buf_str(&b));
        else
            flag_file_free(read_flags(buf_str(&b)));
    }
    assert_int_equal(found.total, 1);
    assert_non_null(strstr(found.items[0].message, "a circle"));
    buf_done(&b);
}

/* ------------------------------------------------------------------ all of it at once */

static void problems_of_all_kinds_are_listed_together(void **state)
{
    (void)state;
    refuse_json("{'flags': {"
                "'a': {'state': 'ENABLED', 'variants': {'on': true, 'off': 'no'}},"
                "'b': {'state': 'ENABLED', 'variants': {'on': 9007199254740993}},"
                "'c': {" ON_OFF ", 'defaultVariant': 'x', 'targeting': {'nope': 1}},"
                "'c': {" ON_OFF ", 'defaultVariant': 'x', 'targeting': {'nope': 1}},"
                "'d': {" ON_OFF "}}}");
    says("flags.a.variants.off", "unlike");
    says("flags.b.variants.on", "rounded");
    says("flags.c", "more than once");
    says("flags.c.defaultVariant", "no variant");
    says("flags.c.targeting.nope", "no operator");
    assert_int_equal(found.total, 5);
    for (size_t i = 0; i < found.count; i++)
        assert_string_not_equal(found.items[i].mend, "");
}

static void reading_fails_cleanly_at_every_allocation(void **state)
{
    static const char *const files[] = {
        "{'$evaluators': {'s': {'in': ['@x', {'var': 'email'}]}}, 'flags': {'a': {" ON_OFF ","
        " 'targeting': {'if': [{'$ref': 's'}, 'on', {'x': 1, 'y': [null]}]}, 'metadata':"
        " {'o': 'me'}, 'requires': {'flags': {'b': 'v'}, 'otherwise': 'off'}}, 'b': {'state':"
        " 'ENABLED', 'variants': {'v': {'k': [1, 'a long text that fills some bytes']}}}},"
        " 'metadata': {'set': 'x'}}",
        "{'flags': {'a': {'state': 1, 'state': 2, 'variants': {'v': {'k': 9007199254740993}}}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf b = json(files[i]);
        int n = 1;
        for (;; n++) {
            struct problems problems = {0};
            struct flag_file *file = NULL;
            mem_fail_at(n);
            enum hoist_err err = flag_file_read(buf_slice(&b), &file, &problems);
            bool failed = mem_did_fail();
            mem_fail_at(0);
            if (failed)
                assert_int_equal(err, HOIST_ENOMEM);
            else
                assert_int_equal(err, i == 0 ? HOIST_OK : HOIST_EINVAL);
            assert_true((err == HOIST_OK) == (file != NULL));
            flag_file_free(file);
            problems_done(&problems);
            if (!failed)
                break;
        }
        assert_true(n > 20);
        buf_done(&b);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_gives_its_flags_sorted_with_all_their_parts),
        TEST(flags_may_stand_in_an_array),
        TEST(a_file_may_have_no_flags),
        TEST(a_rule_is_laid_flat),
        TEST(every_operator_of_the_format_is_known),
        TEST(an_empty_targeting_is_none),
        TEST(a_reference_is_kept_by_name_with_its_rule_behind_it),
        TEST(an_object_value_may_look_like_a_rule),
        TEST(the_marketplace_flags_are_good_and_written_as_an_export_would),
        TEST(an_empty_file_is_refused),
        TEST(what_is_not_json_is_refused_with_its_place),
        TEST(brackets_without_end_are_refused),
        TEST(what_came_before_bad_json_is_said_too),
        TEST(bad_utf8_is_refused_with_its_path),
        TEST(a_nul_character_is_refused),
        TEST(every_key_that_stands_twice_is_named),
        TEST(a_key_spelled_with_an_escape_is_the_same_key),
        TEST(the_same_key_in_two_objects_is_no_problem),
        TEST(flags_of_an_array_with_one_key_are_refused),
        TEST(integers_that_a_double_rounds_are_refused_anywhere),
        TEST(numbers_that_are_not_finite_are_refused),
        TEST(a_misspelled_field_names_the_one_that_was_meant),
        TEST(fields_that_are_missing_or_of_a_wrong_type_are_named),
        TEST(a_default_that_is_no_variant_is_refused_with_the_variants),
        TEST(variants_of_mixed_types_are_refused),
        TEST(names_are_held_to_their_limits),
        TEST(metadata_has_plain_values_only),
        TEST(unknown_operators_are_named_wherever_they_stand),
        TEST(references_that_lead_nowhere_or_nest_are_refused),
        TEST(a_rule_of_two_operators_is_refused),
        TEST(trees_go_64_levels_deep),
        TEST(a_reference_counts_as_deep_as_its_rule),
        TEST(trees_have_16384_nodes_at_most),
        TEST(references_cannot_multiply_a_rule_beyond_the_limit),
        TEST(a_flag_has_1024_variants_at_most),
        TEST(a_flag_of_300_kib_is_refused_and_one_of_255_is_not),
        TEST(requirements_are_checked_one_by_one),
        TEST(a_required_variant_must_exist_where_its_flag_does),
        TEST(circles_of_requirements_are_refused),
        TEST(two_ways_to_one_required_flag_are_no_circle),
        TEST(a_long_chain_of_requirements_is_followed_to_its_end),
        TEST(problems_of_all_kinds_are_listed_together),
        TEST(reading_fails_cleanly_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
