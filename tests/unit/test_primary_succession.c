#include "check_kit.h"

#include <sys/mman.h>

#include "primary/keys.h"
#include "primary/succession.h"
#include "store/backup.h"

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
    OK(succession_take_over(s, NULL, false));
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
    OK(succession_take_over(s, NULL, false));
    assert_int_equal(kit_env(s, "production").head, 1);
    store_close(s);
    s = open_primary(dir, true);
    OK(succession_take_over(s, NULL, false));
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
        enum hoist_err err = succession_take_over(s, NULL, false);
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

/* A follower's store whose last changes `key` has signed. */
static struct store *open_signed(const char *dir, const char *primary_dir,
                                 const struct sign_key *key)
{
    uint32_t count;
    make_follower(dir, primary_dir);
    struct store *from = open_primary(primary_dir, true), *to = kit_open(dir);
    OK(succession_begin(from, key, "signed", &count));
    OK(kit_follow(to, from, "production"));
    OK(kit_follow(to, from, "staging"));
    store_close(from);
    store_close(to);
    return open_primary(dir, true);
}

static void bring_in(struct store *s, const struct sign_key *to, const struct sign_key *by)
{
    struct store_write *w;
    struct keys keys;
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    OK(certificate_put(CERTIFICATE_ROTATE, to->public, 1, by, &certificate));
    OK(store_write_begin(s, &w));
    OK(keys_read(store_write_read(w), &keys));
    OK(keys_add(&keys, w, buf_slice(&certificate)));
    OK(store_write_commit(w));
    keys_done(&keys);
    buf_done(&certificate);
}

static void a_key_that_hosts_trust_takes_over_only_what_it_has_signed(void **state)
{
    char *dir = kit_dir(), *old_dir = kit_dir();
    struct sign_key ours, theirs;
    sign_key_random(&ours);
    sign_key_random(&theirs);
    struct store *s = open_signed(dir, old_dir, &theirs);
    uint64_t head = kit_env(s, "production").head;
    IS(succession_take_over(s, &ours, true), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "signed neither by this key"));
    bring_in(s, &ours, &theirs); /* whoever leads to us is not ours */
    IS(succession_take_over(s, &ours, true), HOIST_EINVAL);
    assert_int_equal(kit_env(s, "production").head, head);
    assert_true(store_was_follower(s));
    bring_in(s, &theirs, &ours);
    OK(succession_take_over(s, &ours, true));
    assert_int_equal(kit_env(s, "production").head, head + 1);
    store_close(s);
    kit_remove(dir);
    kit_remove(old_dir);
    (void)state;
}

static void a_key_that_nobody_trusts_yet_takes_over_anything(void **state)
{
    char *dir = kit_dir(), *old_dir = kit_dir();
    struct sign_key made;
    sign_key_random(&made);
    make_follower(dir, old_dir);
    struct store *s = open_primary(dir, true);
    IS(succession_take_over(s, &made, true), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "is not signed"));
    OK(succession_take_over(s, &made, false));
    store_close(s);
    kit_remove(dir);
    kit_remove(old_dir);
    (void)state;
}

static int backup_of(struct store *s)
{
    struct store_read *r;
    struct store_backup_info info;
    int fd = memfd_create("backup", MFD_CLOEXEC);
    assert_true(fd >= 0);
    OK(store_read_begin(s, false, &r));
    OK(store_backup_write(r, fd, &info));
    store_read_end(r);
    return fd;
}

static void try_backup(struct store *of, const struct sign_key *key, bool force,
                       enum hoist_err expected)
{
    struct store_backup_info info;
    char *dir = kit_dir();
    int fd = backup_of(of);
    IS(succession_recover(dir, fd, key, force, &info), expected);
    assert_int_equal(access(kit_path(dir, "current"), F_OK) == 0, expected == HOIST_OK);
    close(fd);
    kit_remove(dir);
}

static void what_a_key_has_not_signed_is_recovered_by_force_alone(void **state)
{
    char *dir = kit_dir(), *old_dir = kit_dir(), *bare_dir = kit_dir(), *bare_old = kit_dir();
    struct sign_key ours, theirs;
    sign_key_random(&ours);
    sign_key_random(&theirs);
    struct store *s = open_signed(dir, old_dir, &ours);
    try_backup(s, &ours, false, HOIST_OK);
    try_backup(s, &theirs, false, HOIST_EINVAL);
    try_backup(s, &theirs, true, HOIST_OK);
    try_backup(s, NULL, false, HOIST_OK);
    make_follower(bare_dir, bare_old);
    struct store *bare = open_primary(bare_dir, true); /* with the signatures gone */
    try_backup(bare, &ours, false, HOIST_EINVAL);
    try_backup(bare, &ours, true, HOIST_OK);
    store_close(s);
    store_close(bare);
    kit_remove(dir);
    kit_remove(old_dir);
    kit_remove(bare_dir);
    kit_remove(bare_old);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_held_back_is_served_on_as_it_is),
        cmocka_unit_test(a_primarys_own_store_is_not_taken_over),
        cmocka_unit_test(taking_over_is_done_whole_or_not_at_all),
        cmocka_unit_test(a_key_that_hosts_trust_takes_over_only_what_it_has_signed),
        cmocka_unit_test(a_key_that_nobody_trusts_yet_takes_over_anything),
        cmocka_unit_test(what_a_key_has_not_signed_is_recovered_by_force_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
