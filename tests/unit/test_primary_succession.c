#include "check_kit.h"

#include "primary/succession.h"

/* A follower's store that holds back a record which this version cannot read. */
static void make_follower(const char *dir, const char *primary_dir)
{
    struct store *from = kit_open(primary_dir), *to = kit_open(dir);
    struct kit_edits e = kit_edits();
    kit_set(from, "production", "a", "1");
    kit_set(from, "production", "b", "1");
    kit_set(from, "staging", "a", "1");
    kit_put_raw(&e, "a", SLICE("of a newer Hoist"));
    kit_change(from, "production", &e);
    OK(kit_follow(to, from, "production"));
    OK(kit_follow(to, from, "staging"));
    store_close(from);
    store_close(to);
}

static struct store *open_primary(const char *dir, bool take_over)
{
    return kit_open_with(dir, (struct store_options){.primary = true, .take_over = take_over});
}

static void what_was_held_back_is_served_on_as_it_is(void **state)
{
    char *dir = kit_dir(), *old_dir = kit_dir();
    struct store_read *r;
    struct slice record;
    make_follower(dir, old_dir);
    struct store *s = open_primary(dir, true), *old = kit_open(old_dir);
    OK(succession_take_over(s, NULL));
    struct store_env now = kit_env(s, "production"), before = kit_env(old, "production");
    assert_int_equal(now.head, before.head + 1);
    assert_true(now.epoch > before.epoch);
    assert_int_equal(now.held, 1);
    assert_memory_equal(now.digest, before.digest, HASH_SIZE);
    assert_true(kit_env(s, "staging").epoch > kit_env(old, "staging").epoch);
    kit_clean(s);
    OK(store_read_begin(s, false, &r));
    OK(store_record_get(r, now.id, SLICE("a"), &record));
    assert_true(slice_eq(record, SLICE("of a newer Hoist")));
    store_read_end(r);
    assert_string_equal(kit_get(s, "production", "a"), "1"); /* the last that could be read */

    /* Edited by somebody who can, it is held back no more; and hosts follow all along. */
    OK(kit_follow(old, s, "production"));
    kit_set(s, "production", "a", "2");
    kit_clean(s);
    assert_int_equal(kit_env(s, "production").held, 0);
    OK(kit_follow(old, s, "production"));
    assert_string_equal(kit_get(old, "production", "a"), "2");
    store_close(old);
    store_close(s);
    kit_remove(dir);
    kit_remove(old_dir);
    (void)state;
}

static void a_primarys_own_store_is_not_taken_over(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir, true);
    kit_set(s, "production", "a", "1");
    OK(succession_take_over(s, NULL));
    assert_int_equal(kit_env(s, "production").head, 1);
    store_close(s);
    s = open_primary(dir, true);
    OK(succession_take_over(s, NULL));
    assert_int_equal(kit_env(s, "production").head, 1);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* An allocation that fails leaves it a follower's, whole, to be taken over again. */
static void taking_over_is_done_whole_or_not_at_all(void **state)
{
    char *dir = kit_dir(), *old_dir = kit_dir();
    make_follower(dir, old_dir);
    for (int n = 1;; n++) {
        struct store *s = open_primary(dir, true);
        uint64_t head = kit_env(s, "production").head;
        assert_true(store_was_follower(s));
        mem_fail_at(n);
        enum hoist_err err = succession_take_over(s, NULL);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        bool done = err == HOIST_OK;
        assert_int_equal(kit_env(s, "production").head, head + done);
        kit_clean(s);
        store_close(s);
        if (done)
            break; /* what only says that flags are held may fail */
        assert_true(failed);
        IS(err, HOIST_ENOMEM);
    }
    store_close(open_primary(dir, false));
    kit_remove(dir);
    kit_remove(old_dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_held_back_is_served_on_as_it_is),
        cmocka_unit_test(a_primarys_own_store_is_not_taken_over),
        cmocka_unit_test(taking_over_is_done_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
