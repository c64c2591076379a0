#include "primary_kit.h"

static void set(struct kit *k, const char *key, const char *value)
{
    char body[256];
    snprintf(body, sizeof body, "{\"key\":\"%s\",\"value\":\"%s\"}", key, value);
    kit_do(k, "set", body, "changed");
}

static void get_tells_value_definition_and_who_touched_it(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    set(k, "other", "on");
    struct told t = kit_ask(k, "get", "{\"key\":\"k\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    assert_string_equal(kit_text(t.body, "env"), "production");
    assert_int_equal(json_integer_value(json_object_get(t.body, "version")), 3);
    assert_int_equal(json_integer_value(json_object_get(t.body, "touched")), 2);
    assert_string_equal(kit_text(t.body, "author"), "ana");
    assert_true(json_is_true(json_object_get(t.body, "value")));
    assert_string_equal(kit_text(t.body, "variant"), "on");
    assert_string_equal(kit_text(t.body, "reason"), "STATIC");
    assert_string_equal(kit_text(json_object_get(t.body, "definition"), "defaultVariant"), "on");
    told_done(&t);
}

enum { LAYERS = 15, LAYER = 30 };

/* Each flag of a layer requires all of the next one; and is on either way, so that no requirement that
 * is not met ends the search. */
static void add_layers(struct buf *file)
{
    for (int layer = 0; layer < LAYERS; layer++)
        for (int i = 0; i < LAYER; i++) {
            buf_printf(file,
                       "%s\"layer%d.%d\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,"
                       "\"off\":false},\"defaultVariant\":\"on\"",
                       layer || i ? "," : "", layer, i);
            for (int n = 0; layer + 1 < LAYERS && n < LAYER; n++)
                buf_printf(file, "%s\"layer%d.%d\":\"on\"", n ? "," : ",\"requires\":{\"flags\":{",
                           layer + 1, n);
            buf_add_str(file, layer + 1 < LAYERS ? "},\"otherwise\":\"on\"}}" : "}");
        }
}

static void one_decision_looks_at_so_many_flags_and_at_no_more(void **state)
{
    struct kit *k = *state;
    struct buf file = BUF_INIT(4 << 20);
    buf_add_str(&file, "{\"flags\":{");
    add_layers(&file);
    buf_add_str(&file, "}}");
    char *body = kit_file(buf_str(&file), "{\"env\":\"production\"}");
    kit_do(k, "apply", body, "changed");
    free(body);
    buf_done(&file);
    alarm(20); /* who looks at all of them never comes to an end */
    struct told t = kit_ask(k, "get", "{\"key\":\"layer0.0\"}");
    assert_true(json_is_true(json_object_get(t.body, "value")));
    told_done(&t);
    alarm(0);
}

static void a_flag_that_is_not_there_is_a_no_that_names_a_near_one(void **state)
{
    struct kit *k = *state;
    set(k, "marketplace", "on");
    struct told t = kit_ask(k, "get", "{\"key\":\"marketplcae\"}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_mend(&t), "marketplace"));
    told_done(&t);
    t = kit_ask(k, "is", "{\"key\":\"nobody\"}");
    assert_int_equal(t.exit, EXIT_NO);
    told_done(&t);
}

static void an_unknown_environment_is_bad_input_that_lists_the_known(void **state)
{
    struct kit *k = *state;
    static const char *const names[] = {"get", "is", "list", "export", "log"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct told t = kit_ask(k, names[i], "{\"key\":\"k\",\"env\":\"nowhere\"}");
        assert_int_equal(t.exit, EXIT_INPUT);
        assert_non_null(strstr(kit_mend(&t), "production"));
        told_done(&t);
    }
}

static void arguments_of_another_type_are_bad_input(void **state)
{
    struct kit *k = *state;
    static const char *const asked[][2] = {
        {"get", "{\"key\":5}"},      {"get", "{}"},
        {"is", "{\"key\":null}"},    {"is", "{\"key\":\"k\",\"variant\":1}"},
        {"list", "{\"prefix\":[]}"}, {"export", "{\"env\":{}}"},
        {"log", "{\"limit\":-1}"},   {"log", "{\"since\":\"x\"}"},
        {"get", "{\"key\":\"\"}"},   {"nonsense", "{}"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct told t = kit_ask(k, asked[i][0], asked[i][1]);
        assert_int_equal(t.exit, EXIT_INPUT);
        assert_true(*kit_error(&t));
        told_done(&t);
    }
}

static void is_answers_yes_and_no(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *args;
        uint32_t exit;
    } asked[] = {
        {"{\"key\":\"k\"}", EXIT_DONE},
        {"{\"key\":\"k\",\"variant\":\"on\"}", EXIT_DONE},
        {"{\"key\":\"k\",\"variant\":\"off\"}", EXIT_NO},
        {"{\"key\":\"k\",\"variant\":\"maybe\"}", EXIT_INPUT},
        {"{\"key\":\"n\"}", EXIT_INPUT}, /* neither on nor off */
        {"{\"key\":\"n\",\"variant\":\"value\"}", EXIT_DONE},
    };
    set(k, "k", "on");
    kit_do(k, "set", "{\"key\":\"n\",\"value\":\"5\",\"type\":\"number\"}", "changed");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct told t = kit_ask(k, "is", asked[i].args);
        assert_int_equal(t.exit, asked[i].exit);
        told_done(&t);
    }
}

static void list_takes_a_prefix_and_is_sorted(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *args, *keys;
    } asked[] = {{"{}", "a a.one a.two b"},
                 {"{\"prefix\":\"a\"}", "a a.one a.two"},
                 {"{\"prefix\":\"a.\"}", "a.one a.two"},
                 {"{\"prefix\":\"c\"}", ""},
                 {"{\"prefix\":\"\"}", "a a.one a.two b"}};
    set(k, "b", "on");
    set(k, "a.two", "on");
    set(k, "a", "on");
    set(k, "a.one", "off");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct told t = kit_ask(k, "list", asked[i].args);
        struct buf keys = BUF_INIT(1024);
        size_t n;
        json_t *flag;
        json_array_foreach(json_object_get(t.body, "flags"), n, flag)
        {
            buf_printf(&keys, "%s%s", n ? " " : "", kit_text(flag, "key"));
        }
        assert_string_equal(buf_str(&keys), asked[i].keys);
        buf_done(&keys);
        told_done(&t);
    }
}

/* The first flag of the list with that prefix is `key`, and has this text in `field`. */
static void lists_first(struct kit *k, const char *key, const char *field, const char *want)
{
    char args[64];
    snprintf(args, sizeof args, "{\"prefix\":\"%s\"}", key);
    struct told t = kit_ask(k, "list", args);
    const json_t *flag = json_array_get(json_object_get(t.body, "flags"), 0);
    assert_string_equal(kit_text(flag, "key"), key);
    assert_string_equal(kit_text(flag, field), want);
    told_done(&t);
}

static void list_names_a_flag_that_cannot_be_read_though_it_is_the_prefix(void **state)
{
    struct kit *k = *state;
    set(k, "a", "on");
    set(k, "a.one", "off");
    kit_put_record(k, "production", "a", SLICE("junk"));
    assert_int_equal(kit_env(k, "production").held, 1);
    lists_first(k, "a", "variant", "on"); /* as it was read last */
    kit_put_record(k, "production", "b", SLICE("junk"));
    struct told t = kit_ask(k, "list", "{\"prefix\":\"b\"}");
    const json_t *flags = json_object_get(t.body, "flags");
    assert_int_equal(json_array_size(flags), 1);
    assert_non_null(json_object_get(json_array_get(flags, 0), "error"));
    told_done(&t);
}

static void an_export_imports_to_the_same_bytes(void **state)
{
    struct kit *k = *state;
    set(k, "z", "on");
    set(k, "a", "off");
    kit_do(k, "set", "{\"key\":\"n\",\"value\":\"0.1\",\"type\":\"number\"}", "changed");
    struct told first = kit_ask(k, "export", "{}");
    char *body = kit_file(kit_text(first.body, "file"), "{\"prune\":true}");
    kit_do(k, "apply", body, "unchanged");
    set(k, "a", "on");
    set(k, "a", "off");
    struct told second = kit_ask(k, "export", "{}");
    assert_string_equal(kit_text(first.body, "file"), kit_text(second.body, "file"));
    free(body);
    told_done(&first);
    told_done(&second);
}

/* Versions of a log's answer, newest first, with spaces. */
static void assert_log(struct kit *k, const char *args, const char *want)
{
    struct told t = kit_ask(k, "log", args);
    struct buf versions = BUF_INIT(1024);
    size_t i;
    json_t *change;
    assert_int_equal(t.exit, EXIT_DONE);
    json_array_foreach(json_object_get(t.body, "changes"), i, change)
    {
        buf_printf(&versions, "%s%d", i ? " " : "",
                   (int)json_integer_value(json_object_get(change, "version")));
    }
    assert_string_equal(buf_str(&versions), want);
    buf_done(&versions);
    told_done(&t);
}

/* One change of 20 flags, whose records make an answer of 8 MiB with those before. */
static void change_much(struct kit *k, char letter)
{
    enum { FLAGS = 20, VALUE = 200 << 10 };
    struct buf file = BUF_INIT(8 << 20);
    char *value = mem_zalloc(VALUE + 1, 1);
    memset(value, letter, VALUE);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < FLAGS; i++)
        buf_printf(&file, "%s\"f%d\":{\"state\":\"ENABLED\",\"variants\":{\"v\":\"%s\"}}",
                   i ? "," : "", i, value);
    buf_add_str(&file, "}}");
    char *body = kit_file(buf_str(&file), "");
    kit_do(k, "apply", body, "changed");
    free(body);
    mem_free(value);
    buf_done(&file);
}

/* What a watcher that has seen `since` gets; the last version of it. The oldest comes first. */
static uint64_t watch_on(struct kit *k, uint64_t since)
{
    struct store_read *r;
    struct buf out = BUF_INIT(128 << 20);
    json_t *args = json_pack("{sIsi}", "since", (json_int_t)since, "limit", 1000);
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(query_run(r, SLICE("log"), args, &out), EXIT_DONE);
    store_read_end(r);
    json_t *log = kit_json(&out);
    const json_t *changes = json_object_get(log, "changes");
    size_t count = json_array_size(changes);
    assert_true(count > 0);
    for (size_t i = count; i > 0; i--) {
        const json_t *version = json_object_get(json_array_get(changes, i - 1), "version");
        assert_int_equal(json_integer_value(version), ++since);
    }
    json_decref(log);
    json_decref(args);
    buf_done(&out);
    return since;
}

static void who_watches_misses_no_change_of_many_bytes(void **state)
{
    struct kit *k = *state;
    for (char c = 'a'; c < 'l'; c++)
        change_much(k, c);
    uint64_t seen = watch_on(k, 1);
    assert_true(seen < 12); /* they are too much for one answer */
    while (seen < 12)
        seen = watch_on(k, seen);
}

static void log_gives_the_newest_or_what_came_since(void **state)
{
    struct kit *k = *state;
    for (int i = 0; i < 5; i++)
        set(k, "k", i % 2 ? "off" : "on");
    assert_log(k, "{}", "6 5 4 3 2 1");
    assert_log(k, "{\"limit\":2}", "6 5");
    assert_log(k, "{\"limit\":0}", "");
    assert_log(k, "{\"since\":3}", "6 5 4");
    assert_log(k, "{\"since\":3,\"limit\":2}", "5 4"); /* none may be missed */
    assert_log(k, "{\"since\":6}", "");
    assert_log(k, "{\"since\":600}", "");
    assert_log(k, "{\"since\":0,\"limit\":1}", "1");
}

static void log_shows_each_edit_before_and_after(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"message\":\"why not\"}", "changed");
    set(k, "k", "off");
    kit_do(k, "delete", "{\"key\":\"k\"}", "changed");
    struct told t = kit_ask(k, "log", "{}");
    const json_t *changes = json_object_get(t.body, "changes");
    const json_t *deleted = json_array_get(changes, 0), *moved = json_array_get(changes, 1),
                 *made = json_array_get(changes, 2);
    assert_string_equal(kit_text(deleted, "kind"), "delete");
    assert_string_equal(kit_text(made, "message"), "why not");
    const json_t *e = json_array_get(json_object_get(moved, "edits"), 0);
    assert_string_equal(kit_text(e, "key"), "k");
    assert_string_equal(kit_text(json_object_get(e, "before"), "defaultVariant"), "on");
    assert_string_equal(kit_text(json_object_get(e, "after"), "defaultVariant"), "off");
    e = json_array_get(json_object_get(deleted, "edits"), 0);
    assert_true(json_is_null(json_object_get(e, "after")));
    e = json_array_get(json_object_get(made, "edits"), 0);
    assert_true(json_is_null(json_object_get(e, "before")));
    told_done(&t);
}

static void envs_lists_all_of_them(void **state)
{
    struct kit *k = *state;
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    struct told t = kit_ask(k, "envs", "{}");
    const json_t *envs = json_object_get(t.body, "environments");
    assert_int_equal(json_array_size(envs), 2);
    assert_string_equal(kit_text(json_array_get(envs, 1), "env"), "staging");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(envs, 1), "version")), 1);
    told_done(&t);
}

static void an_answer_over_its_limit_is_an_error_and_no_torn_json(void **state)
{
    struct kit *k = *state;
    struct store_read *r;
    struct buf out = BUF_INIT(300);
    json_t *args = json_object();
    set(k, "one", "on");
    set(k, "two", "on");
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(query_run(r, SLICE("list"), args, &out), EXIT_GATE);
    store_read_end(r);
    json_decref(kit_json(&out));
    json_decref(args);
    buf_done(&out);
}

static void errors_have_an_exit_a_code_and_a_mend(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    (void)err_set(HOIST_ENOSPC, "no room for \"k\"");
    assert_int_equal(query_fail(&out, HOIST_ENOSPC, "make room"), EXIT_NO);
    json_t *v = kit_json(&out);
    const json_t *error = json_object_get(v, "error");
    assert_int_equal(json_integer_value(json_object_get(error, "exit")), EXIT_NO);
    assert_string_equal(kit_text(error, "code"), "no-room");
    assert_string_equal(kit_text(error, "message"), "no room for \"k\"");
    assert_string_equal(kit_text(error, "mend"), "make room");
    assert_null(json_object_get(error, "at"));
    json_decref(v);
    buf_done(&out);
    assert_int_equal(query_fail(&out, HOIST_EUNKNOWN, NULL), EXIT_NO_ANSWER);
    assert_int_equal(query_fail(&out, HOIST_ECONFLICT, NULL), EXIT_CONFLICT);
    assert_int_equal(query_fail(&out, HOIST_EINVAL, NULL), EXIT_INPUT);
    buf_done(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(get_tells_value_definition_and_who_touched_it),
        T(one_decision_looks_at_so_many_flags_and_at_no_more),
        T(a_flag_that_is_not_there_is_a_no_that_names_a_near_one),
        T(an_unknown_environment_is_bad_input_that_lists_the_known),
        T(arguments_of_another_type_are_bad_input),
        T(is_answers_yes_and_no),
        T(list_takes_a_prefix_and_is_sorted),
        T(list_names_a_flag_that_cannot_be_read_though_it_is_the_prefix),
        T(an_export_imports_to_the_same_bytes),
        T(who_watches_misses_no_change_of_many_bytes),
        T(log_gives_the_newest_or_what_came_since),
        T(log_shows_each_edit_before_and_after),
        T(envs_lists_all_of_them),
        T(an_answer_over_its_limit_is_an_error_and_no_torn_json),
        T(errors_have_an_exit_a_code_and_a_mend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
