/* Limits that are the store's, at the primary and at a host that follows it. */
#include "store_kit.h"

static void the_flags_of_an_environment_are_limited_at_the_primary(void **state)
{
    (void)state;
    char *dir = kit_dir();
    struct store *s =
        kit_open_with(dir, (struct store_options){.write = true, .primary = true, .env_flags = 2});
    struct store_write *w;
    struct store_stats stats;
    kit_set(s, "production", "a", "1");
    kit_set(s, "production", "b", "1");
    struct store_env env = kit_env(s, "production");
    struct kit_edits more = kit_edits(), other = kit_edits();
    kit_put(&more, "c", "1");
    OK(store_write_begin(s, &w));
    IS(kit_change_in(w, env.id, &more, 1, CHANGE_SET), HOIST_ELIMIT);
    assert_non_null(strstr(err_last(), "--env-flags"));
    store_write_abort(w);

    kit_put(&other, "0", "1"); /* the third for a moment, by the order of keys */
    kit_delete(&other, "b");
    OK(store_write_begin(s, &w));
    OK(kit_change_in(w, env.id, &other, 1, CHANGE_SET));
    OK(store_write_commit(w));
    assert_int_equal(kit_env(s, "production").flags, 2);
    store_stats(s, &stats);
    assert_int_equal(stats.env_flags, 2);
    assert_int_equal(stats.env_flags_max, 2);
    assert_true(stats.flag_bytes > 0 && stats.change_bytes > stats.flag_bytes);
    store_close(s);
    kit_remove(dir);
}

static void a_host_beyond_its_own_limit_keeps_the_last_version_it_could_take(void **state)
{
    (void)state;
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here);
    struct store *agent =
        kit_open_with(there, (struct store_options){.write = true, .env_flags = 2});
    kit_set(primary, "production", "a", "1");
    kit_set(primary, "production", "b", "1");
    OK(kit_follow(agent, primary, "production"));
    kit_set(primary, "production", "c", "1");
    IS(kit_follow(agent, primary, "production"), HOIST_ELIMIT);
    assert_int_equal(kit_env(agent, "production").head, 2);
    assert_string_equal(kit_get(agent, "production", "b"), "1");
    assert_string_equal(kit_get(agent, "production", "c"), "(none)");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_flags_of_an_environment_are_limited_at_the_primary),
        cmocka_unit_test(a_host_beyond_its_own_limit_keeps_the_last_version_it_could_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
