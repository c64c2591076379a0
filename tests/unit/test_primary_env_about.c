/* Protected environments, and metadata. */
#include "primary_kit.h"

static int setup(void **state)
{
    kit_setup(state);
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed"); /* v2 */
    return 0;
}

static void protect(struct kit *k)
{
    kit_do(k, "env_set", "{\"env\":\"production\",\"protected\":true}", "changed");
}

static void what_is_said_is_kept_and_is_no_version(void **state)
{
    struct kit *k = *state;
    struct store_env before = kit_env(k, "production");
    kit_do(k, "env_set", "{\"metadata\":{\"owner\":\"ana\",\"tier\":1,\"gone\":true}}", "changed");
    kit_do(k, "env_set", "{\"metadata\":{\"owner\":\"ana\"}}", "unchanged");
    kit_do(k, "env_set", "{\"metadata\":{\"gone\":null,\"absent\":null},\"protected\":true}",
           "changed");
    struct told t = kit_ask(k, "env_show", "{\"env\":\"production\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    assert_true(json_is_true(json_object_get(t.body, "protected")));
    char *metadata = json_dumps(json_object_get(t.body, "metadata"), JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(metadata, "{\"owner\":\"ana\",\"tier\":1}");
    free(metadata);
    told_done(&t);
    struct store_env after = kit_env(k, "production");
    assert_int_equal(after.head, before.head);
    assert_memory_equal(after.digest, before.digest, HASH_SIZE);
    kit_do(k, "env_set", "{\"protected\":false}", "changed");
    kit_do(k, "env_set", "{\"protected\":false}", "unchanged");
}

static void what_cannot_be_said_is_refused_and_changes_nothing(void **state)
{
    struct kit *k = *state;
    kit_refused(k, "env_set", "{\"protected\":1}", EXIT_INPUT, "true or false");
    kit_refused(k, "env_set", "{\"metadata\":7}", EXIT_INPUT, "object");
    kit_refused(k, "env_set", "{\"protected\":true,\"metadata\":{\"a\":{}}}", EXIT_INPUT, "'a'");
    kit_refused(k, "env_set", "{\"metadata\":{\"\":1}}", EXIT_INPUT, "name in metadata");
    kit_refused(k, "env_set", "{\"env\":\"nope\",\"protected\":true}", EXIT_INPUT, "'nope'");
    struct buf many = BUF_INIT(1 << 20);
    buf_add_str(&many, "{\"metadata\":{\"first\":0");
    for (int i = 0; i < 64; i++)
        buf_printf(&many, ",\"m%d\":1", i);
    buf_add_str(&many, "}}");
    kit_refused(k, "env_set", buf_str(&many), EXIT_INPUT, "at most 64");
    buf_done(&many);
    struct told t = kit_ask(k, "env_show", "{}");
    assert_true(json_is_false(json_object_get(t.body, "protected")));
    assert_int_equal(json_object_size(json_object_get(t.body, "metadata")), 0);
    told_done(&t);
}

static void a_protected_environment_wants_a_message_and_a_version(void **state)
{
    struct kit *k = *state;
    protect(k);
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", EXIT_INPUT, "needs a message");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"off\",\"message\":\"\"}", EXIT_INPUT,
                "a message");
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"off\",\"message\":\"why\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_string_equal(kit_text(json_object_get(t.body, "error"), "code"), "version-needed");
    assert_non_null(strstr(kit_mend(&t), ":2 now"));
    told_done(&t);
    kit_refused(k, "set",
                "{\"key\":\"k\",\"value\":\"off\",\"message\":\"why\",\"if_version\":\"1\"}",
                EXIT_CONFLICT, "moved on");
    kit_refused(k, "delete", "{\"key\":\"k\"}", EXIT_INPUT, "a message");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\",\"dry_run\":true}", "dry-run");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\",\"message\":\"why\",\"if_version\":\"2\"}",
           "changed");
    assert_int_equal(kit_env(k, "production").head, 3);
}

static void a_new_flag_in_a_protected_environment_is_meant(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"marketplace\",\"value\":\"on\"}", "changed");
    protect(k);
    struct told t = kit_tell(
        k, "set",
        "{\"key\":\"marketpalce\",\"value\":\"on\",\"message\":\"why\",\"if_version\":\"3\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_non_null(strstr(kit_mend(&t), "--create"));
    assert_non_null(strstr(kit_mend(&t), "'marketplace'"));
    told_done(&t);
    kit_do(k, "set",
           "{\"key\":\"another\",\"value\":\"on\",\"message\":\"why\",\"if_version\":\"3\","
           "\"create\":true}",
           "changed");
}

static void what_is_done_at_the_worst_moment_is_never_held_back(void **state)
{
    struct kit *k = *state;
    protect(k);
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "rollback", "{\"last\":true}", "changed");
    kit_do(k, "rollback", "{\"to\":\"2\"}", "changed");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        CASE(what_is_said_is_kept_and_is_no_version),
        CASE(what_cannot_be_said_is_refused_and_changes_nothing),
        CASE(a_protected_environment_wants_a_message_and_a_version),
        CASE(a_new_flag_in_a_protected_environment_is_meant),
        CASE(what_is_done_at_the_worst_moment_is_never_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
