#include "store_kit.h"

/* Pages of `from`, as a server would read them, put into `l`; between pages, `between` is called.
 */
static void load_pages(struct store_load *l, struct store *from, size_t per_page,
                       void (*between)(struct store *from, int page))
{
    char last[256] = "";
    for (int page = 0;; page++) {
        struct store_env env;
        struct store_read *r;
        struct edit records[64];
        size_t n = 0;
        OK(store_read_begin(from, false, &r));
        OK(store_env_get(r, "production", &env));
        struct slice after = slice_str(last);
        while (n < per_page) {
            struct slice key, record;
            enum hoist_err err = store_record_next(r, env.id, after, &key, &record);
            if (err == HOIST_ENOTFOUND)
                break;
            OK(err);
            records[n++] = (struct edit){.put = true, .key = key, .record = record};
            after = key;
        }
        if (n > 0) {
            OK(store_load_records(l, records, n));
            snprintf(last, sizeof last, "%.*s", SLICE_ARG(after));
        }
        store_read_end(r);
        if (n < per_page)
            return;
        if (between)
            between(from, page);
    }
}

/* Begin to load what `from` has now into `to`. */
static struct store_load *begin(struct store *to, struct store *from)
{
    struct store_read *r;
    struct store_load *l = NULL;
    struct store_env env;
    struct slice bytes;
    struct change base, bare;
    struct buf without = BUF_INIT(CHANGE_BYTES_MAX);
    OK(store_read_begin(from, false, &r));
    OK(store_env_get(r, "production", &env));
    OK(store_log_get(r, env.id, env.head, &bytes));
    OK(change_decode(bytes, &base));
    OK(change_without_edits(&base, &without));
    OK(change_decode(buf_slice(&without), &bare));
    OK(store_load_begin(to, "production", &bare, &l));
    buf_done(&without);
    store_read_end(r);
    return l;
}

static enum hoist_err replay(struct store_load *l, struct store *from)
{
    struct store_read *r;
    struct store_env env;
    enum hoist_err err = HOIST_OK;
    OK(store_read_begin(from, false, &r));
    OK(store_env_get(r, "production", &env));
    while (!err && store_load_version(l) < env.head) {
        struct slice bytes;
        struct change c;
        OK(store_log_get(r, env.id, store_load_version(l) + 1, &bytes));
        OK(change_decode(bytes, &c));
        err = store_load_change(l, &c);
    }
    store_read_end(r);
    return err;
}

static void fill(struct store *s, int from, int to, const char *text)
{
    struct kit_edits e = kit_edits();
    char key[16];
    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "k%05d", i);
        kit_put(&e, key, text);
    }
    kit_change(s, "production", &e);
}

static void change_between_pages(struct store *from, int page)
{
    char key[16], text[16];
    snprintf(text, sizeof text, "page %d", page);
    snprintf(key, sizeof key, "k%05d", (page * 37) % 300);
    kit_set(from, "production", key, text);
    snprintf(key, sizeof key, "k%05d", (page * 53 + 11) % 300);
    kit_unset(from, "production", key);
    snprintf(key, sizeof key, "n%05d", page);
    kit_set(from, "production", key, text);
}

/* The two stores hold the same flags, key by key. */
static void assert_same_flags(struct store *a, struct store *b)
{
    struct store_env ea = kit_env(a, "production"), eb = kit_env(b, "production");
    assert_int_equal(ea.head, eb.head);
    assert_int_equal(ea.epoch, eb.epoch);
    assert_int_equal(ea.flags, eb.flags);
    assert_int_equal(ea.bytes, eb.bytes);
    assert_memory_equal(ea.digest, eb.digest, HASH_SIZE);
    assert_memory_equal(ea.hash, eb.hash, HASH_SIZE);
    struct store_read *ra, *rb;
    OK(store_read_begin(a, false, &ra));
    OK(store_read_begin(b, false, &rb));
    struct slice after = {0}, ka, kb, va, vb;
    for (;;) {
        enum hoist_err err = store_record_next(ra, ea.id, after, &ka, &va);
        IS(store_record_next(rb, eb.id, after, &kb, &vb), err);
        if (err)
            break;
        assert_true(slice_eq(ka, kb) && slice_eq(va, vb));
        after = ka;
    }
    store_read_end(ra);
    store_read_end(rb);
}

static void settle(struct store *s)
{
    bool more = true;
    for (int i = 0; more && i < 10000; i++)
        OK(store_tick(s, clock_wall_ms(), &more));
    assert_false(more);
}

static void pages_read_while_changes_land_become_exact_by_replaying_these(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    fill(primary, 0, 300, "old");
    kit_set(agent, "production", "mine", "before"); /* another history */
    kit_set(agent, "staging", "s", "1");
    uint16_t old_id = kit_env(agent, "production").id;
    uint64_t base = kit_env(primary, "production").head;

    struct store_load *l = begin(agent, primary);
    load_pages(l, primary, 16, change_between_pages);
    kit_set(agent, "staging", "s", "2"); /* others go on meanwhile */
    assert_string_equal(kit_get(agent, "production", "mine"), "before");
    OK(replay(l, primary));
    OK(store_load_finish(l));

    assert_same_flags(primary, agent);
    assert_string_equal(kit_get(agent, "staging", "s"), "2");
    struct store_env env = kit_env(agent, "production");
    assert_int_not_equal(env.id, old_id);
    assert_int_equal(env.order, 0); /* keeps its place */
    assert_int_equal(env.log_first, base + 1);
    settle(agent);
    struct store_read *r;
    struct slice key, record;
    OK(store_read_begin(agent, false, &r));
    IS(store_record_next(r, old_id, (struct slice){0}, &key, &record), HOIST_ENOTFOUND);
    IS(store_log_get(r, old_id, 1, &record), HOIST_ENOTFOUND);
    /* What a key was before it was loaded cannot be told; what it is and has been since, can. */
    IS(store_record_at(r, env.id, SLICE("n00000"), base, &record), HOIST_ELIMIT);
    OK(store_record_at(r, env.id, SLICE("n00000"), env.head, &record));
    store_read_end(r);
    /* The next change follows as if the agent had always been there. */
    kit_set(primary, "production", "k00001", "after");
    OK(kit_follow(agent, primary, "production"));
    assert_same_flags(primary, agent);
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void what_was_filled_by_a_snapshot_can_begin_another_at_once(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *relay = kit_open(there);
    struct store_read *r, *of_primary;
    struct slice bytes, whole;
    struct change head, want;
    fill(primary, 0, 30, "v");
    struct store_load *l = begin(relay, primary);
    load_pages(l, primary, 16, NULL);
    OK(store_load_finish(l));

    struct store_env env = kit_env(relay, "production");
    OK(store_read_begin(relay, false, &r));
    OK(store_read_begin(primary, false, &of_primary));
    IS(store_log_get(r, env.id, env.head, &bytes), HOIST_ENOTFOUND);
    OK(store_head_get(r, &env, &bytes));
    OK(change_decode(bytes, &head));
    assert_null(head.edits.ptr);
    struct store_env truth = kit_env(primary, "production");
    OK(store_head_get(of_primary, &truth, &whole));
    OK(change_decode(whole, &want));
    assert_non_null(want.edits.ptr);
    assert_memory_equal(head.hash, want.hash, HASH_SIZE);
    store_read_end(r);
    store_read_end(of_primary);

    /* It goes with the environment that it belongs to. */
    l = begin(relay, primary);
    load_pages(l, primary, 16, NULL);
    OK(store_load_finish(l));
    settle(relay);
    OK(store_read_begin(relay, false, &r));
    IS(store_head_get(r, &env, &bytes), HOIST_ENOTFOUND);
    store_read_end(r);
    store_close(primary);
    store_close(relay);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void a_load_that_lacks_a_flag_is_refused_and_leaves_what_was(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    fill(primary, 0, 20, "x");
    kit_set(agent, "production", "mine", "before");
    struct store_load *l = begin(agent, primary);
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    kit_record(&record, "k00001", "x");
    const struct edit one = {.put = true, .key = SLICE("k00001"), .record = buf_slice(&record)};
    OK(store_load_records(l, &one, 1));
    IS(store_load_finish(l), HOIST_ECORRUPT);
    assert_string_equal(kit_get(agent, "production", "mine"), "before");
    settle(agent);
    assert_int_equal(kit_env(agent, "production").flags, 1);
    buf_done(&record);
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void pages_in_any_order_and_twice_load_the_same(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here), *agent = kit_open(there);
    fill(primary, 0, 50, "x");
    struct store_load *l = begin(agent, primary);
    for (int i = 49; i >= 0; i--) {
        char key[16];
        struct buf record = BUF_INIT(FLAG_RECORD_MAX);
        snprintf(key, sizeof key, "k%05d", i);
        kit_record(&record, key, "x");
        const struct edit e = {.put = true, .key = slice_str(key), .record = buf_slice(&record)};
        OK(store_load_records(l, &e, 1));
        buf_done(&record);
    }
    load_pages(l, primary, 10, NULL);
    OK(store_load_finish(l));
    assert_same_flags(primary, agent);
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void what_a_crash_left_of_a_load_is_deleted(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here);
    fill(primary, 0, 200, "x");
    pid_t child = fork();
    if (child == 0) {
        store_abandon(primary);
        struct store *p, *agent;
        if (store_open_reader(here, 0, &p) != HOIST_OK ||
            store_open(there, &(struct store_options){.write = true}, &agent) != HOIST_OK)
            _exit(2);
        load_pages(begin(agent, p), p, 16, NULL);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct store *agent = kit_open(there);
    settle(agent);
    struct store_read *r;
    struct slice key, record;
    OK(store_read_begin(agent, false, &r));
    for (uint16_t id = 0; id < 20; id++)
        IS(store_record_next(r, id, (struct slice){0}, &key, &record), HOIST_ENOTFOUND);
    store_read_end(r);
    struct store_load *l = begin(agent, primary);
    load_pages(l, primary, 16, NULL);
    OK(store_load_finish(l));
    assert_same_flags(primary, agent);
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

static void a_load_is_within_the_quota_though_it_stands_beside_what_it_replaces(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *primary = kit_open(here);
    fill(primary, 0, 300, "x");
    uint64_t bytes = kit_env(primary, "production").bytes;
    struct store *agent =
        kit_open_with(there, (struct store_options){.quota_bytes = bytes + bytes / 2});
    for (int i = 0; i < 2; i++) {
        struct store_load *l = begin(agent, primary);
        load_pages(l, primary, 16, NULL);
        OK(store_load_finish(l));
    }
    assert_same_flags(primary, agent);
    fill(primary, 300, 600, "x");
    struct store_load *l = begin(agent, primary);
    struct store_env env = kit_env(primary, "production");
    struct store_read *r;
    struct slice after = {0}, key, record;
    enum hoist_err err = HOIST_OK;
    OK(store_read_begin(primary, false, &r));
    while (!err && store_record_next(r, env.id, after, &key, &record) == HOIST_OK) {
        const struct edit e = {.put = true, .key = key, .record = record};
        err = store_load_records(l, &e, 1);
        after = key;
    }
    store_read_end(r);
    IS(err, HOIST_ENOSPC);
    assert_non_null(strstr(err_last(), "quota"));
    store_load_abort(l);
    settle(agent);
    assert_int_equal(kit_env(agent, "production").flags, 300);
    store_close(primary);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_read_while_changes_land_become_exact_by_replaying_these),
        cmocka_unit_test(what_was_filled_by_a_snapshot_can_begin_another_at_once),
        cmocka_unit_test(a_load_that_lacks_a_flag_is_refused_and_leaves_what_was),
        cmocka_unit_test(pages_in_any_order_and_twice_load_the_same),
        cmocka_unit_test(what_a_crash_left_of_a_load_is_deleted),
        cmocka_unit_test(a_load_is_within_the_quota_though_it_stands_beside_what_it_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
