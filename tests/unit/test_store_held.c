#include "store_kit.h"

/* A record of a major version that nobody knows yet. */
static struct slice later_record(void)
{
    return SLICE("\x9b\x09\x00\xc3\x01\x90\xc0\xc0\xc0\xc0\xc0\xc0");
}

static void put_raw(struct store *primary, const char *key, struct slice record)
{
    struct kit_edits e = kit_edits();
    kit_put_raw(&e, key, record);
    kit_change(primary, "production", &e);
}

static void a_record_that_cannot_be_read_is_kept_and_the_last_good_one_served(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    kit_set(primary, "production", "a", "good");
    kit_set(primary, "production", "b", "fine");
    OK(kit_follow(agent, primary, "production"));
    uint64_t envs = atomic_load(store_envs_word(agent));
    put_raw(primary, "a", later_record());
    put_raw(primary, "new", SLICE("junk"));
    kit_set(primary, "production", "b", "better");
    OK(kit_follow(agent, primary, "production"));

    struct store_env env = kit_env(agent, "production");
    assert_int_equal(env.head, 5); /* all the rest was taken */
    assert_int_equal(env.held, 2);
    assert_memory_equal(env.digest, kit_env(primary, "production").digest, HASH_SIZE);
    assert_true(atomic_load(store_envs_word(agent)) > envs);
    assert_string_equal(kit_get(agent, "production", "a"), "good");
    assert_string_equal(kit_get(agent, "production", "new"), "(none)");
    assert_string_equal(kit_get(agent, "production", "b"), "better");
    struct store_read *r;
    struct slice key, why, record;
    uint64_t version;
    OK(store_read_begin(agent, false, &r));
    OK(store_record_get(r, env.id, SLICE("a"), &record)); /* as published */
    assert_true(slice_eq(record, later_record()));
    OK(store_held_next(r, env.id, (struct slice){0}, &key, &why, &version));
    assert_true(slice_eq(key, SLICE("a")));
    assert_int_equal(version, 3);
    assert_true(why.len > 0);
    OK(store_held_next(r, env.id, SLICE("a"), &key, &why, &version));
    assert_true(slice_eq(key, SLICE("new")));
    IS(store_held_next(r, env.id, SLICE("new"), &key, &why, &version), HOIST_ENOTFOUND);
    store_read_end(r);

    put_raw(primary, "a", SLICE("worse still")); /* the last good one stays */
    OK(kit_follow(agent, primary, "production"));
    assert_string_equal(kit_get(agent, "production", "a"), "good");
    assert_int_equal(kit_env(agent, "production").held, 2);

    kit_set(primary, "production", "a", "good again");
    kit_unset(primary, "production", "new");
    OK(kit_follow(agent, primary, "production"));
    assert_int_equal(kit_env(agent, "production").held, 0);
    assert_string_equal(kit_get(agent, "production", "a"), "good again");
    assert_string_equal(kit_get(agent, "production", "new"), "(none)");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void a_host_that_starts_tries_again_what_it_held_back(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    kit_set(primary, "production", "a", "good");
    for (int i = 0; i < 700; i++) {
        char key[16];
        snprintf(key, sizeof key, "h%03d", i);
        put_raw(primary, key, later_record());
    }
    OK(kit_follow(agent, primary, "production"));
    assert_int_equal(kit_env(agent, "production").held, 700);
    store_close(agent);
    agent = kit_open(there);
    bool more = true;
    for (int i = 0; more && i < 100; i++)
        OK(store_tick(agent, clock_wall_ms(), &more));
    assert_false(more);
    /* This program is no newer: they stay. */
    assert_int_equal(kit_env(agent, "production").held, 700);
    assert_string_equal(kit_get(agent, "production", "a"), "good");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

/* ------------------------------------------------------------------ refusing */

struct altered {
    struct buf bytes;
    struct change c;
};

/* Change `version` of `s`, its header altered by `alter` and encoded again. */
static void alter(struct store *s, uint64_t version, void (*edit)(struct change_header *h),
                  struct altered *ret)
{
    struct store_read *r;
    struct store_env env = kit_env(s, "production");
    struct slice bytes;
    struct change c;
    *ret = (struct altered){.bytes = BUF_INIT(CHANGE_BYTES_MAX)};
    OK(store_read_begin(s, false, &r));
    OK(store_log_get(r, env.id, version, &bytes));
    OK(change_decode(bytes, &c));
    struct change_header h = c.head;
    edit(&h);
    OK(change_encode(&h, c.edits, (struct slice){0}, &ret->bytes, NULL));
    store_read_end(r);
    OK(change_decode(buf_slice(&ret->bytes), &ret->c));
}

static void wrong_prev(struct change_header *h)
{
    static uint8_t other[HASH_SIZE] = {1};
    memcpy(h->prev, other, HASH_SIZE);
}

static void wrong_digest(struct change_header *h)
{
    h->digest[5] ^= 1;
}

static void wrong_epoch(struct change_header *h)
{
    h->epoch++;
}

static void wrong_env(struct change_header *h)
{
    h->env = SLICE("staging");
}

static void later_version(struct change_header *h)
{
    h->version++;
}

static void a_change_whose_envelope_is_wrong_leaves_the_store_as_it_was(void **state)
{
    static const struct {
        void (*edit)(struct change_header *h);
        enum hoist_err expected;
    } cases[] = {{wrong_prev, HOIST_ECORRUPT},
                 {wrong_digest, HOIST_ECORRUPT},
                 {wrong_epoch, HOIST_ECORRUPT},
                 {wrong_env, HOIST_ECORRUPT},
                 {later_version, HOIST_EAGAIN}};
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    kit_set(primary, "production", "a", "1");
    OK(kit_follow(agent, primary, "production"));
    kit_set(primary, "production", "a", "2");
    struct store_env before = kit_env(agent, "production");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct altered a;
        struct store_write *w;
        alter(primary, 2, cases[i].edit, &a);
        OK(store_write_begin(agent, &w));
        IS(store_change_apply(w, before.id, &a.c), cases[i].expected);
        store_write_abort(w);
        buf_done(&a.bytes);
        struct store_env after = kit_env(agent, "production");
        assert_memory_equal(&before, &after, sizeof before);
        assert_string_equal(kit_get(agent, "production", "a"), "1");
    }
    OK(kit_follow(agent, primary, "production"));
    assert_string_equal(kit_get(agent, "production", "a"), "2");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void apply_survives_every_failing_allocation(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    kit_set(primary, "production", "a", "1");
    OK(kit_follow(agent, primary, "production"));
    put_raw(primary, "a", later_record());
    kit_unset(primary, "production", "a");
    kit_set(primary, "production", "a", "2");
    struct store_env before = kit_env(agent, "production"), theirs = kit_env(primary, "production");
    struct store_read *r;
    OK(store_read_begin(primary, false, &r));
    for (int n = 1;; n++) {
        struct store_write *w = NULL;
        mem_fail_at(n);
        enum hoist_err err = store_write_begin(agent, &w);
        for (uint64_t v = 2; !err && v <= theirs.head; v++) {
            struct slice bytes;
            struct change c;
            err = store_log_get(r, theirs.id, v, &bytes);
            if (!err)
                err = change_decode(bytes, &c);
            if (!err)
                err = store_change_apply(w, before.id, &c);
        }
        if (err)
            store_write_abort(w);
        else
            err = store_write_commit(w);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        struct store_env after = kit_env(agent, "production");
        if (!failed) {
            OK(err);
            assert_int_equal(after.head, 4);
            break;
        }
        IS(err, HOIST_ENOMEM);
        assert_memory_equal(&before, &after, sizeof before);
    }
    store_read_end(r);
    assert_string_equal(kit_get(agent, "production", "a"), "2");
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void the_quota_is_named_and_leaves_room_for_a_kill(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.quota_bytes = 20000});
    enum hoist_err err = HOIST_OK;
    int n = 0;
    while (!err) {
        char key[16];
        struct kit_edits e = kit_edits();
        snprintf(key, sizeof key, "k%d", n++);
        kit_put(&e, key, "a text of some length, so that it is soon over");
        err = kit_try_change(s, "production", &e);
    }
    IS(err, HOIST_ENOSPC);
    assert_non_null(strstr(err_last(), "quota"));
    assert_true(kit_env(s, "production").bytes <= 20000);
    kit_set(s, "production", "k0", "a text of some length, so that it is soon over: overridden");
    kit_unset(s, "production", "k1");
    kit_unset(s, "production", "k2");
    kit_set(s, "production", "k1", "there is room again");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_cannot_be_read_is_kept_and_the_last_good_one_served),
        cmocka_unit_test(a_host_that_starts_tries_again_what_it_held_back),
        cmocka_unit_test(a_change_whose_envelope_is_wrong_leaves_the_store_as_it_was),
        cmocka_unit_test(apply_survives_every_failing_allocation),
        cmocka_unit_test(the_quota_is_named_and_leaves_room_for_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
