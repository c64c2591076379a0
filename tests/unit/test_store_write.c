#include "store_kit.h"

static void a_new_store_has_no_environment(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_read *r;
    struct store_env env;
    OK(store_read_begin(s, false, &r));
    IS(store_env_get(r, NULL, &env), HOIST_ENOTFOUND);
    IS(store_env_get(r, "production", &env), HOIST_ENOTFOUND);
    store_read_end(r);
    assert_int_equal(strlen(store_host_id(s)), 32);
    assert_int_equal(store_starts(s), 1);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void what_was_committed_is_there_after_opening_again(void **state)
{
    char *dir = kit_dir(), id[33];
    struct store *s = kit_open(dir);
    strcpy(id, store_host_id(s));
    kit_set(s, "production", "sync", "on");
    kit_set(s, "production", "sync", "off");
    store_close(s);

    s = kit_open(dir);
    assert_string_equal(store_host_id(s), id);
    assert_int_equal(store_starts(s), 2);
    struct store_env env = kit_env(s, "production");
    assert_int_equal(env.head, 2);
    assert_int_equal(env.epoch, KIT_EPOCH);
    assert_int_equal(env.flags, 1);
    assert_int_equal(env.log_first, 1);
    assert_string_equal(kit_get(s, "production", "sync"), "off");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    kit_set(s, "production", "sync", "on");
    struct store_env before = kit_env(s, "production"), after;

    struct store_write *w;
    struct kit_edits e = kit_edits();
    kit_put(&e, "sync", "off");
    kit_put(&e, "other", "1");
    OK(store_write_begin(s, &w));
    OK(kit_change_in(w, before.id, &e, 1, CHANGE_SET));
    OK(store_env_get(store_write_read(w), "production", &after));
    assert_int_equal(after.head, 2); /* the transaction sees itself */
    assert_int_equal(after.flags, 2);
    store_write_abort(w);

    after = kit_env(s, "production");
    assert_memory_equal(&before, &after, sizeof before);
    assert_string_equal(kit_get(s, "production", "sync"), "on");
    assert_string_equal(kit_get(s, "production", "other"), "(none)");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_agent_that_applies_the_changes_has_the_same_state(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    kit_set(primary, "production", "a", "1");
    kit_set(primary, "production", "b", "2");
    kit_unset(primary, "production", "a");
    OK(kit_follow(agent, primary, "production"));
    struct store_env p = kit_env(primary, "production"), a = kit_env(agent, "production");
    assert_int_equal(a.head, 3);
    assert_memory_equal(p.digest, a.digest, HASH_SIZE);
    assert_memory_equal(p.hash, a.hash, HASH_SIZE);
    assert_int_equal(a.flags, 1);
    assert_int_equal(a.bytes, p.bytes);
    assert_string_equal(kit_get(agent, "production", "b"), "2");
    assert_string_equal(kit_get(agent, "production", "a"), "(none)");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_store_has_no_environment),
        cmocka_unit_test(what_was_committed_is_there_after_opening_again),
        cmocka_unit_test(an_aborted_transaction_leaves_nothing),
        cmocka_unit_test(an_agent_that_applies_the_changes_has_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
