#include "store_kit.h"

#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>

enum { KEYS = 64, READERS = 3 };

static char names[KEYS][8]; /* before there are threads */

static void make_names(void)
{
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "k%d", i);
}

/* ------------------------------------------------------------------ what is marked, and when */

static void a_change_marks_the_shards_it_touches_with_its_transaction(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    kit_set(w, "production", "a", "1");
    uint16_t id = kit_env(w, "production").id;
    const _Atomic uint64_t *words = store_words(s), *envs = store_envs_word(s);
    uint32_t a = store_shard(id, SLICE("a")), b = store_shard(id, SLICE("b"));
    assert_int_not_equal(a, b);
    uint64_t b_before = atomic_load(&words[b]), envs_before = atomic_load(envs);
    kit_set(w, "production", "a", "2");
    struct store_read *r;
    OK(store_read_begin(s, false, &r));
    assert_int_equal(atomic_load(&words[a]), store_read_txn(r));
    store_read_end(r);
    assert_int_equal(atomic_load(&words[b]), b_before);
    assert_int_equal(atomic_load(envs), envs_before);
    kit_set(w, "another", "a", "1"); /* an environment more */
    assert_true(atomic_load(envs) > envs_before);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void a_start_marks_everything(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    struct store_read *r;
    kit_set(w, "production", "a", "1");
    OK(store_read_begin(s, false, &r));
    uint64_t before = store_read_txn(r);
    store_read_end(r);
    store_close(w);
    w = kit_open(dir);
    OK(store_read_begin(s, false, &r));
    uint64_t after = store_read_txn(r);
    store_read_end(r);
    assert_true(after > before);
    for (int i = 0; i < STORE_SHARDS; i++)
        assert_int_equal(atomic_load(&store_words(s)[i]), after);
    assert_int_equal(atomic_load(store_envs_word(s)), after);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void a_commit_wakes_who_waits_on_the_counters(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    kit_set(w, "production", "a", "1");
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(fd, store_counters_path(s), IN_MODIFY) >= 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    kit_set(w, "production", "a", "2");
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_string_equal(kit_get(s, "production", "a"), "2"); /* and it is there by then */
    close(fd);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

/* ------------------------------------------------------------------ the rule, under way */

struct shared {
    struct store *store;
    uint16_t env;
    _Atomic bool stop;
    _Atomic uint64_t reads, cached, mixed, stale, failed;
    _Atomic uint64_t newest; /* a version that is certainly committed */
};

/* What a careful client keeps of a flag: decoded in transaction `txn`. */
struct cached {
    uint64_t txn;
    long value;
};

static long value_of(struct slice record)
{
    char text[16] = "";
    memcpy(text, record.ptr, record.len < sizeof text ? record.len : sizeof text - 1);
    return strtol(text, NULL, 10);
}

/* A flag's value in a view: from the cache by the rule of store.h, else from the transaction. */
static long read_flag(struct shared *sh, struct store_read *view, struct cached *cache, int i)
{
    uint64_t pinned = store_read_txn(view);
    uint64_t word = atomic_load_explicit(
        &store_words(sh->store)[store_shard(sh->env, slice_str(names[i]))], memory_order_acquire);
    if (cache[i].txn && word <= cache[i].txn && word <= pinned) {
        atomic_fetch_add_explicit(&sh->cached, 1, memory_order_relaxed);
        return cache[i].value;
    }
    struct slice record;
    if (store_flag_get(view, sh->env, false, slice_str(names[i]), &record)) {
        atomic_fetch_add(&sh->failed, 1);
        return 0;
    }
    cache[i] = (struct cached){.txn = pinned, .value = value_of(record)};
    return cache[i].value;
}

/* Every flag gets the same number with each change: who sees two numbers has mixed two versions. */
static void *read_views(void *arg)
{
    struct shared *sh = arg;
    struct cached cache[KEYS] = {0};
    unsigned seed = (unsigned)(uintptr_t)&cache;
    while (!atomic_load(&sh->stop)) {
        uint64_t committed = atomic_load(&sh->newest);
        struct store_read *view;
        enum hoist_err err = store_read_begin(sh->store, true, &view);
        if (err)
            continue;
        long pinned = -1;
        for (int n = 0; n < 8; n++) {
            long value = read_flag(sh, view, cache, rand_r(&seed) % KEYS);
            if (pinned < 0)
                pinned = value;
            if (value != pinned)
                atomic_fetch_add(&sh->mixed, 1);
            if (value < (long)committed)
                atomic_fetch_add(&sh->stale, 1);
        }
        store_read_end(view);
        atomic_fetch_add_explicit(&sh->reads, 8, memory_order_relaxed);
    }
    return NULL;
}

static void set_all(struct store *w, int number)
{
    struct kit_edits e = kit_edits();
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    for (int i = 0; i < KEYS; i++)
        kit_put_raw(&e, names[i], slice_str(text));
    kit_change(w, "production", &e);
}

/* A transaction that touches a key, and then is not committed. */
static void change_in_vain(struct store *w, uint16_t env)
{
    struct store_write *txn;
    struct kit_edits e = kit_edits();
    kit_put_raw(&e, names[0], SLICE("-7"));
    OK(store_write_begin(w, &txn));
    OK(kit_change_in(txn, env, &e, 1, CHANGE_SET));
    store_write_abort(txn);
}

static void no_view_ever_mixes_two_versions_or_is_stale(void **state)
{
    enum { CHANGES = 400 };
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *other = kit_open_reader(dir);
    make_names();
    set_all(w, 0);
    /* Readers in the writer's own process, and as another would. */
    struct shared sh[2] = {{.store = w}, {.store = other}};
    pthread_t threads[2][READERS];
    for (int k = 0; k < 2; k++) {
        sh[k].env = kit_env(w, "production").id;
        for (int t = 0; t < READERS; t++)
            assert_int_equal(pthread_create(&threads[k][t], NULL, read_views, &sh[k]), 0);
    }
    for (int change = 1; change < CHANGES; change++) {
        set_all(w, change);
        for (int k = 0; k < 2; k++)
            atomic_store(&sh[k].newest, (uint64_t)change);
        if (change % 20 == 0) { /* a pause, in which caches fill */
            change_in_vain(w, sh[0].env);
            kit_sleep(2);
        }
    }
    for (int k = 0; k < 2; k++) {
        atomic_store(&sh[k].stop, true);
        for (int t = 0; t < READERS; t++)
            pthread_join(threads[k][t], NULL);
        assert_int_equal(atomic_load(&sh[k].failed), 0);
        assert_int_equal(atomic_load(&sh[k].mixed), 0);
        assert_int_equal(atomic_load(&sh[k].stale), 0);
        assert_true(atomic_load(&sh[k].reads) > 100);
        assert_true(atomic_load(&sh[k].cached) > 0);
    }
    store_close(other);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

/* ------------------------------------------------------------------ the status text */

static void *say(void *arg)
{
    struct shared *sh = arg;
    static char text[8000];
    for (int n = 0; !atomic_load(&sh->stop); n++) {
        size_t len = 100 + (size_t)n % 7000;
        memset(text, 'a' + n % 26, len);
        if (store_status_put(sh->store, slice_of(text, len)))
            return (void *)1;
        /* Who talks without a pause cannot be listened to. */
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return NULL;
}

static void the_status_is_never_torn(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    struct shared sh = {.store = w};
    pthread_t thread;
    void *failed;
    OK(store_status_put(w, SLICE("a")));
    assert_int_equal(pthread_create(&thread, NULL, say, &sh), 0);
    struct buf out = BUF_INIT(1 << 20);
    for (int i = 0; i < 2000; i++) {
        buf_clear(&out);
        OK(store_status_get(s, &out));
        for (size_t k = 1; k < out.len; k++)
            if (out.ptr[k] != out.ptr[0])
                fail_msg("torn at %zu of %zu", k, out.len);
    }
    atomic_store(&sh.stop, true);
    pthread_join(thread, &failed);
    assert_null(failed);
    buf_done(&out);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void keys_spread_over_the_shards(void **state)
{
    static int used[STORE_SHARDS];
    int most = 0;
    for (int i = 0; i < 100000; i++) {
        char key[32];
        snprintf(key, sizeof key, "marketplace.flag.%d", i);
        uint32_t shard = store_shard(1, slice_str(key));
        assert_true(shard < STORE_SHARDS);
        used[shard]++;
        most = used[shard] > most ? used[shard] : most;
    }
    assert_true(most < 60); /* 24 on average */
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_marks_the_shards_it_touches_with_its_transaction),
        cmocka_unit_test(a_start_marks_everything),
        cmocka_unit_test(a_commit_wakes_who_waits_on_the_counters),
        cmocka_unit_test(no_view_ever_mixes_two_versions_or_is_stale),
        cmocka_unit_test(the_status_is_never_torn),
        cmocka_unit_test(keys_spread_over_the_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
