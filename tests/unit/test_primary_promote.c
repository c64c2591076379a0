#include "primary_kit.h"

#define FLAG(def)                                                                                  \
    "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"" def    \
    "\"}"
#define ROLLOUT(n, m)                                                                              \
    "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\","  \
    "\"targeting\":{\"fractional\":[[\"on\"," #n "],[\"off\"," #m "]]}}"

static void apply(struct kit *k, const char *env, const char *file)
{
    char more[64];
    snprintf(more, sizeof more, "{\"env\":\"%s\"}", env);
    char *body = kit_file(file, more);
    kit_do(k, "apply", body, "changed");
    free(body);
}

static int setup(void **state)
{
    kit_setup(state);
    struct kit *k = *state;
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    apply(k, "staging",
          "{\"flags\":{\"a\":" FLAG("on") ",\"b\":" FLAG("on") ",\"roll\":" ROLLOUT(80, 20) "}}");
    return 0;
}

static void assert_list(const struct told *t, const char *list, const char *want)
{
    char *have = json_dumps(json_object_get(t->body, list), JSON_COMPACT);
    assert_non_null(have);
    assert_string_equal(have, want);
    free(have);
}

static struct told promote(struct kit *k, const char *more, const char *result)
{
    char body[256];
    snprintf(body, sizeof body, "{\"from\":\"staging\",\"env\":\"production\"%s}", more);
    struct told t = kit_tell(k, "promote", body);
    if (t.exit != EXIT_DONE)
        print_error("promote: %s\n", kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    assert_string_equal(kit_text(t.body, "result"), result);
    return t;
}

static uint32_t env_diff(struct kit *k, size_t *ret_edits)
{
    struct told t = kit_ask(k, "env_diff", "{\"env\":\"production\",\"other\":\"staging\"}");
    *ret_edits = json_array_size(json_object_get(t.body, "edits"));
    assert_int_equal(json_integer_value(json_object_get(t.body, "edits_count")), *ret_edits);
    uint32_t exit = t.exit;
    told_done(&t);
    return exit;
}

static void all_flags_become_those_of_the_source_in_one_change(void **state)
{
    struct kit *k = *state;
    size_t edits;
    uint64_t head = kit_env(k, "production").head;
    assert_int_equal(env_diff(k, &edits), EXIT_NO);
    assert_int_equal(edits, 3);
    struct told t = promote(k, "", "changed");
    assert_list(&t, "created", "[\"a\",\"b\",\"roll\"]");
    assert_string_equal(kit_text(t.body, "from"), "staging");
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, head + 1);
    assert_memory_equal(kit_env(k, "production").digest, kit_env(k, "staging").digest, HASH_SIZE);
    assert_int_equal(env_diff(k, &edits), EXIT_DONE);
    assert_int_equal(edits, 0);
    t = promote(k, "", "unchanged");
    told_done(&t);
}

static void only_those_named_go_along(void **state)
{
    struct kit *k = *state;
    struct told t = promote(k, ",\"keys\":[\"b\",\"b\"]", "changed");
    assert_list(&t, "created", "[\"b\"]");
    told_done(&t);
    assert_int_equal(kit_env(k, "production").flags, 1);
    kit_refused(k, "promote",
                "{\"from\":\"staging\",\"env\":\"production\",\"keys\":[\"a\",\"c\"]}", EXIT_NO,
                "no flag 'c' in staging");
    assert_int_equal(kit_env(k, "production").flags, 1);
}

static void the_target_keeps_its_override_and_its_percentages(void **state)
{
    struct kit *k = *state;
    apply(k, "production", "{\"flags\":{\"a\":" FLAG("on") ",\"roll\":" ROLLOUT(5, 95) "}}");
    kit_do(k, "kill", "{\"keys\":[\"a\"],\"env\":\"production\"}", "changed");
    kit_do(k, "kill", "{\"keys\":[\"b\"],\"env\":\"staging\"}", "changed");
    apply(k, "staging", "{\"flags\":{\"a\":" FLAG("off") "}}");
    struct told t = promote(k, "", "changed");
    assert_list(&t, "changed", "[\"a\"]");
    assert_list(&t, "created", "[\"b\"]");
    assert_list(&t, "override_kept", "[\"a\"]");
    assert_list(&t, "percentages_kept", "[\"roll\"]");
    told_done(&t);
    struct told list = kit_ask(k, "list", "{\"env\":\"production\"}");
    const json_t *flags = json_object_get(list.body, "flags");
    assert_string_equal(kit_text(json_array_get(flags, 0), "override"), "off");
    assert_true(json_is_null(json_object_get(json_array_get(flags, 1), "override")));
    told_done(&list);
    t = promote(k, ",\"with_percentages\":true", "changed");
    assert_list(&t, "changed", "[\"roll\"]");
    told_done(&t);
}

static void what_the_source_lacks_goes_when_that_is_asked(void **state)
{
    struct kit *k = *state;
    apply(k, "production", "{\"flags\":{\"old\":" FLAG("on") "}}");
    struct told t = promote(k, "", "changed");
    assert_list(&t, "deleted", "[]");
    told_done(&t);
    t = promote(k, ",\"prune\":true,\"dry_run\":true", "dry-run");
    assert_list(&t, "deleted", "[\"old\"]");
    told_done(&t);
    t = promote(k, ",\"prune\":true", "changed");
    assert_list(&t, "deleted", "[\"old\"]");
    told_done(&t);
    size_t edits;
    assert_int_equal(env_diff(k, &edits), EXIT_DONE);
}

static void a_record_of_a_newer_program_is_not_promoted(void **state)
{
    struct kit *k = *state;
    kit_make_newer(k, "staging", "b");
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"production\"}", EXIT_NO,
                "flag 'b' is a record of version");
    assert_int_equal(kit_env(k, "production").flags, 0);
    struct told t = promote(k, ",\"keys\":[\"a\"]", "changed");
    assert_list(&t, "created", "[\"a\"]");
    told_done(&t);
}

static void wrong_arguments_are_refused(void **state)
{
    struct kit *k = *state;
    kit_refused(k, "promote", "{\"env\":\"production\"}", EXIT_INPUT, "promote from");
    kit_refused(k, "promote", "{\"from\":\"nope\",\"env\":\"production\"}", EXIT_INPUT, "'nope'");
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"nope\"}", EXIT_INPUT, "'nope'");
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"staging\"}", EXIT_INPUT, "itself");
    kit_refused(k, "promote", "{\"from\":\"staging\"}", EXIT_INPUT, "more than one");
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"production\",\"keys\":[7]}",
                EXIT_INPUT, "keys");
    kit_refused(k, "promote",
                "{\"from\":\"staging\",\"env\":\"production\",\"keys\":[\"a\"],\"prune\":true}",
                EXIT_INPUT, "prune");
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"production\",\"if_version\":\"7\"}",
                EXIT_CONFLICT, "moved on");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        CASE(all_flags_become_those_of_the_source_in_one_change),
        CASE(only_those_named_go_along),
        CASE(the_target_keeps_its_override_and_its_percentages),
        CASE(what_the_source_lacks_goes_when_that_is_asked),
        CASE(a_record_of_a_newer_program_is_not_promoted),
        CASE(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
