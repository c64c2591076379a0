/* bench_read - what it costs to read a flag.
 *
 *   read_bound  a bound boolean, against an atomic pointer load of a cached value; and the same
 *               while another process lands 1,000 changes a second, against itself without
 *   count       what counting its answers adds to a bound boolean
 *   read_key    by key, against a lookup in a plain hash table of this process
 *   read_cold   with the cache off, against mdb_get() in a renewed transaction
 *   read_redis  Redis GET over a Unix socket, one connection a thread; peer: read_key
 *
 * Flags are read in one random order, the same for subject and peer. Each round measures both, one
 * right after the other; the figures are medians of rounds. Reads of this process are counted in
 * processor time of the reading threads, so that what else runs on the machine does not count;
 * Redis, which is another process, by the clock.
 */
#include <hiredis/hiredis.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "client/table.h"
#include "hoist.h"
#include "store/lmdb_os.h"
#include "store/store.h"
#include "wire/record.h"

enum { ROUNDS = 9, THREADS_MAX = 2, KEY_SIZE = 32, CHANGES_PER_S = 1000, SETTLE_MS = 30 };

static const char env_name[] = "production";

/* ------------------------------------------------------------------ the store and who writes it */

struct writer {
    pid_t pid;
    int orders[2];  /* 's' start changing, 'e' end changing */
    int answers[2]; /* the number of changes landed */
};

static void record_of(struct buf *out, int number)
{
    struct node on = {.kind = NODE_TRUE, .span = 1}, off = {.kind = NODE_FALSE, .span = 1};
    struct variant variants[] = {{SLICE("on"), {&on, 1}}, {SLICE("off"), {&off, 1}}};
    char key[KEY_SIZE];
    snprintf(key, sizeof key, BENCH_KEY, number);
    struct flag f = {.key = slice_str(key),
                     .type = HOIST_BOOL,
                     .enabled = true,
                     .variants = variants,
                     .variant_count = 2,
                     .override = FLAG_NO_VARIANT,
                     .otherwise = FLAG_NO_VARIANT};
    buf_clear(out);
    if (record_encode(&f, out))
        bench_die("a record");
}

/* One change of flags first … first + count - 1, all of them on. */
static void change(struct store *s, int first, int count)
{
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX), bytes = BUF_INIT(CHANGE_BYTES_MAX);
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct store_write *w;
    struct store_env env;
    struct change c;
    char key[KEY_SIZE];
    edits_begin(&edits, (uint32_t)count);
    for (int i = first; i < first + count; i++) {
        snprintf(key, sizeof key, BENCH_KEY, i);
        record_of(&record, i);
        edits_put(&edits, slice_str(key), buf_slice(&record));
    }
    if (store_write_begin(s, &w))
        bench_die("begin to write");
    if (store_env_get(store_write_read(w), env_name, &env) && store_env_create(w, env_name, &env))
        bench_die("an environment");
    struct change_header head = {.env = slice_str(env_name),
                                 .epoch = env.epoch ? env.epoch : 1,
                                 .version = env.head + 1,
                                 .kind = CHANGE_SET,
                                 .edits_count = (uint32_t)count};
    memcpy(head.prev, env.hash, HASH_SIZE);
    if (store_change_stage(w, env.id, buf_slice(&edits), head.version, head.digest) ||
        change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL) ||
        change_decode(buf_slice(&bytes), &c) || store_change_log(w, env.id, &c) ||
        store_write_commit(w))
        bench_die("a change");
    buf_done(&edits);
    buf_done(&bytes);
    buf_done(&record);
}

/* Land changes at an even pace until something comes through `orders`. */
static uint32_t change_on(struct store *s, int flags, int orders)
{
    uint32_t landed = 0;
    int64_t begin = clock_mono_ns();
    fd_set set;
    for (;;) {
        struct timeval now = {0};
        FD_ZERO(&set);
        FD_SET(orders, &set);
        if (select(orders + 1, &set, NULL, NULL, &now) != 0)
            return landed;
        change(s, (int)((landed * UINT64_C(2654435761)) % (unsigned)flags), 1);
        landed++;
        int64_t left = begin + (int64_t)landed * (1000000000 / CHANGES_PER_S) - clock_mono_ns();
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = left}, NULL);
    }
}

static _Noreturn void write_store(const struct writer *w, const char *dir, int flags)
{
    struct store *s;
    char order = 0;
    uint32_t landed = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (store_open(dir, &(struct store_options){.write = true}, &s))
        bench_die("a store");
    change(s, 0, flags);
    do {
        if (order == 's')
            landed = change_on(s, flags, w->orders[0]);
        if (order != 's' && write(w->answers[1], &landed, sizeof landed) < 0)
            break;
    } while (read(w->orders[0], &order, 1) == 1);
    store_close(s);
    _exit(0);
}

static uint32_t writer_answer(struct writer *w)
{
    uint32_t landed;
    if (read(w->answers[0], &landed, sizeof landed) != sizeof landed)
        bench_die("the writing process");
    return landed;
}

static struct writer writer_begin(const char *dir, int flags)
{
    struct writer w;
    if (pipe(w.orders) || pipe(w.answers) || (w.pid = fork()) < 0)
        bench_die("a process");
    if (w.pid == 0) {
        close(w.orders[1]);
        write_store(&w, dir, flags);
    }
    close(w.orders[0]);
    close(w.answers[1]);
    (void)writer_answer(&w);
    return w;
}

static void writer_order(struct writer *w, char order)
{
    if (write(w->orders[1], &order, 1) != 1)
        bench_die("the writing process");
}

static void writer_end(struct writer *w)
{
    close(w->orders[1]);
    close(w->answers[0]);
    waitpid(w->pid, NULL, 0);
}

/* ------------------------------------------------------------------ what is measured */

struct cached { /* read_bound's peer */
    alignas(64) _Atomic(const bool *) value;
    bool storage;
};

struct entry { /* read_key's peer */
    uint64_t hash;
    struct plain *plain;
};

struct plain {
    bool value;
    uint32_t len;
    char key[KEY_SIZE];
};

struct bench {
    int flags;
    int *order;
    char (*keys)[KEY_SIZE]; /* in the order in which they are read */
    hoist *hoist, *cold;
    hoist_flag **bound;
    struct cached **cached;
    struct entry *table;
    uint32_t mask;
    MDB_env *raw;
    MDB_dbi dbi;
    char redis[128]; /* the socket's path */
};

struct job {
    struct bench *b;
    int (*run)(struct bench *b, int thread, int reads);
    int thread, reads;
    int yes; /* flags read as on: all of them */
    int64_t cpu_ns;
    pthread_barrier_t *start;
};

static int run_bound(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += hoist_flag_bool(b->bound[i], NULL, false);
    return yes;
}

/* hoist_flag_bool() without counting the answer: count's peer. */
static __attribute__((noinline)) bool uncounted_get(hoist_flag *f, bool fallback)
{
    bool value;
    uint32_t slot;
    return f && cell_read_bool(&f->cell, &value, &slot) ? value
                                                        : hoist_flag_bool(f, NULL, fallback);
}

static int run_uncounted(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += uncounted_get(b->bound[i], false);
    return yes;
}

static __attribute__((noinline)) bool cached_get(const struct cached *c)
{
    return *atomic_load_explicit(&c->value, memory_order_acquire);
}

static int run_cached(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += cached_get(b->cached[i]);
    return yes;
}

static int run_key(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += hoist_bool(b->hoist, b->keys[i], NULL, false);
    return yes;
}

static __attribute__((noinline)) bool table_get(const struct bench *b, const char *key)
{
    size_t len = strlen(key);
    uint64_t hash = table_hash(slice_of(key, len));
    for (uint32_t i = (uint32_t)hash & b->mask; b->table[i].plain; i = (i + 1) & b->mask)
        if (b->table[i].hash == hash && b->table[i].plain->len == len &&
            memcmp(b->table[i].plain->key, key, len) == 0)
            return b->table[i].plain->value;
    return false;
}

static int run_table(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += table_get(b, b->keys[i]);
    return yes;
}

static int run_cold(struct bench *b, int thread, int reads)
{
    int yes = 0;
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0)
        yes += hoist_bool(b->cold, b->keys[i], NULL, false);
    return yes;
}

static int run_raw(struct bench *b, int thread, int reads)
{
    int yes = 0;
    MDB_txn *txn;
    if (mdb_txn_begin(b->raw, NULL, MDB_RDONLY, &txn))
        return 0;
    mdb_txn_reset(txn);
    for (int n = 0, i = thread; n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0) {
        MDB_val key = {strlen(b->keys[i]), b->keys[i]}, record;
        yes += mdb_txn_renew(txn) == 0 && mdb_get(txn, b->dbi, &key, &record) == 0;
        mdb_txn_reset(txn);
    }
    mdb_txn_abort(txn);
    return yes;
}

static int run_redis(struct bench *b, int thread, int reads)
{
    int yes = 0;
    redisContext *c = redisConnectUnix(b->redis);
    for (int n = 0, i = thread; c && !c->err && n < reads; n++, i = i + 1 < b->flags ? i + 1 : 0) {
        redisReply *r = redisCommand(c, "GET %s", b->keys[i]);
        yes += r && r->type == REDIS_REPLY_STRING && r->str[0] == '1';
        freeReplyObject(r);
    }
    if (c)
        redisFree(c);
    return yes;
}

/* ------------------------------------------------------------------ measuring */

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *work(void *arg)
{
    struct job *j = arg;
    pthread_barrier_wait(j->start);
    int64_t begin = cpu_ns();
    j->yes = j->run(j->b, j->thread, j->reads);
    j->cpu_ns = cpu_ns() - begin;
    return NULL;
}

/* Nanoseconds a read, of one thread. */
static double measure(struct bench *b, int threads, int reads, bool by_clock,
                      int (*run)(struct bench *b, int thread, int reads))
{
    struct job jobs[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    pthread_barrier_t start;
    double cpu = 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    for (int t = 0; t < threads; t++) {
        jobs[t] = (struct job){
            .b = b, .run = run, .thread = t * b->flags / threads, .reads = reads, .start = &start};
        if (pthread_create(&ids[t], NULL, work, &jobs[t]) != 0)
            bench_die("a thread");
    }
    pthread_barrier_wait(&start);
    int64_t begin = clock_mono_ns();
    for (int t = 0; t < threads; t++) {
        pthread_join(ids[t], NULL);
        cpu += (double)jobs[t].cpu_ns / threads;
        if (jobs[t].yes != reads) {
            fprintf(stderr, "bench_read: %d of %d reads were right\n", jobs[t].yes, reads);
            exit(1);
        }
    }
    double wall = (double)(clock_mono_ns() - begin);
    pthread_barrier_destroy(&start);
    return (by_clock ? wall : cpu) / reads;
}

struct pair { /* a subject and its peer */
    const char *name, *peer;
    int (*run)(struct bench *, int, int);
    int (*peer_run)(struct bench *, int, int);
    int reads, peer_reads;
    bool by_clock; /* the subject; the peer never is */
};

static void params(char out[80], const struct bench *b, int threads, const char *more)
{
    snprintf(out, 80, "%d flags, %d thread%s%s", b->flags, threads, threads > 1 ? "s" : "", more);
}

static void compare(struct bench *b, const struct pair *p, int threads)
{
    double value[ROUNDS], ratio[ROUNDS];
    char with[80];
    /* One of each that does not count: caches, and the first touch of everything. */
    measure(b, threads, p->peer_reads / 10 + b->flags, false, p->peer_run);
    if (!p->by_clock)
        measure(b, threads, p->reads / 10 + b->flags, false, p->run);
    for (int i = 0; i < ROUNDS; i++) {
        double peer = measure(b, threads, p->peer_reads, false, p->peer_run);
        value[i] = measure(b, threads, p->reads, p->by_clock, p->run);
        ratio[i] = value[i] / peer;
    }
    params(with, b, threads, "");
    bench_print(p->name, with, bench_median(value, ROUNDS), "ns", p->peer,
                bench_median(ratio, ROUNDS));
}

/* A bound flag while changes land, against the same while none do. */
static void compare_under_load(struct bench *b, struct writer *w, int threads, int reads)
{
    double value[ROUNDS], ratio[ROUNDS], rate[ROUNDS];
    char with[80], more[40];
    for (int i = 0; i < ROUNDS; i++) {
        double quiet = measure(b, threads, reads, false, run_bound);
        int64_t begin = clock_mono_ns();
        writer_order(w, 's');
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_MS * 1000000}, NULL);
        value[i] = measure(b, threads, reads, false, run_bound);
        writer_order(w, 'e');
        rate[i] = writer_answer(w) * 1e9 / (double)(clock_mono_ns() - begin);
        ratio[i] = value[i] / quiet;
    }
    snprintf(more, sizeof more, ", %.0f changes/s", bench_median(rate, ROUNDS));
    params(with, b, threads, more);
    bench_print("read_bound", with, bench_median(value, ROUNDS), "ns", "itself without changes",
                bench_median(ratio, ROUNDS));
}

/* What counting adds to a bound flag, in nanoseconds a read. */
static void compare_counting(struct bench *b, int threads, int reads)
{
    double more[ROUNDS], ratio[ROUNDS];
    char with[80];
    for (int i = 0; i < ROUNDS; i++) {
        double peer = measure(b, threads, reads, false, run_uncounted);
        double counted = measure(b, threads, reads, false, run_bound);
        more[i] = counted - peer;
        ratio[i] = counted / peer;
    }
    params(with, b, threads, "");
    bench_print("count", with, bench_median(more, ROUNDS), "ns more", "read_bound, not counted",
                bench_median(ratio, ROUNDS));
}

/* ------------------------------------------------------------------ setting up */

static void shuffle(struct bench *b)
{
    uint64_t random = 42;
    b->order = mem_zalloc((size_t)b->flags, sizeof *b->order);
    b->keys = mem_zalloc((size_t)b->flags, sizeof *b->keys);
    if (!b->order || !b->keys)
        bench_die("memory");
    for (int i = 0; i < b->flags; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        int other = (int)((random >> 33) % (unsigned)(i + 1));
        b->order[i] = b->order[other];
        b->order[other] = i;
    }
    for (int i = 0; i < b->flags; i++)
        snprintf(b->keys[i], sizeof b->keys[i], BENCH_KEY, b->order[i]);
}

/* Subjects and peers are made in the order of keys and read in a random one. */
static void fill_handles(struct bench *b, const char *dir)
{
    if (hoist_open(&b->hoist, dir, env_name) ||
        hoist_open_with(&b->cold, dir, env_name, HOIST_NO_CACHE))
        bench_die("open");
    hoist_flag **made = mem_zalloc((size_t)b->flags, sizeof *made);
    b->bound = mem_zalloc((size_t)b->flags, sizeof *b->bound);
    b->cached = mem_zalloc((size_t)b->flags, sizeof *b->cached);
    struct cached *cached =
        aligned_alloc(alignof(struct cached), (size_t)b->flags * sizeof *cached);
    if (!made || !b->bound || !b->cached || !cached)
        bench_die("memory");
    char key[KEY_SIZE];
    for (int i = 0; i < b->flags; i++) {
        snprintf(key, sizeof key, BENCH_KEY, i);
        made[i] = hoist_bind(b->hoist, key);
        cached[i].storage = true;
        atomic_store(&cached[i].value, &cached[i].storage);
    }
    for (int i = 0; i < b->flags; i++) {
        b->bound[i] = made[b->order[i]];
        b->cached[i] = &cached[b->order[i]];
    }
    mem_free(made);
}

static void fill_table(struct bench *b)
{
    uint32_t slots = 64;
    while (slots < 2 * (uint32_t)b->flags)
        slots *= 2;
    b->mask = slots - 1;
    b->table = mem_zalloc(slots, sizeof *b->table);
    struct plain *plain = mem_zalloc((size_t)b->flags, sizeof *plain);
    if (!b->table || !plain)
        bench_die("memory");
    for (int n = 0; n < b->flags; n++) {
        struct plain *p = &plain[n];
        p->len = (uint32_t)snprintf(p->key, sizeof p->key, BENCH_KEY, n);
        p->value = true;
        uint64_t hash = table_hash(slice_of(p->key, p->len));
        uint32_t i = (uint32_t)hash & b->mask;
        while (b->table[i].plain)
            i = (i + 1) & b->mask;
        b->table[i] = (struct entry){hash, p};
    }
}

static void check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "bench_read: LMDB: %s\n", mdb_strerror(rc));
        exit(1);
    }
}

/* The same records in an LMDB of their own, as small as one can be made. */
static void fill_raw(struct bench *b, const char *dir, struct lmdb_os *os)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    MDB_txn *txn;
    char name[KEY_SIZE];
    lmdb_os_enter(os);
    check(mdb_env_create(&b->raw));
    check(mdb_env_set_mapsize(b->raw, (size_t)1 << 30));
    check(mdb_env_set_maxdbs(b->raw, 1));
    if (mkdir(dir, 0700) != 0)
        bench_die("a directory");
    check(mdb_env_open(b->raw, dir, MDB_NOTLS | MDB_NOSYNC, 0600));
    lmdb_os_leave();
    check(mdb_txn_begin(b->raw, NULL, 0, &txn));
    check(mdb_dbi_open(txn, "flags", MDB_CREATE, &b->dbi));
    for (int i = 0; i < b->flags; i++) {
        size_t len = (size_t)snprintf(name, sizeof name, BENCH_KEY, i);
        record_of(&record, i);
        MDB_val key = {len, name}, value = {record.len, record.ptr};
        check(mdb_put(txn, b->dbi, &key, &value, 0));
    }
    check(mdb_txn_commit(txn));
    buf_done(&record);
}

/* A redis-server of our own: a socket in `dir`, no port, nothing on disk. Its process id. */
static int redis_begin(struct bench *b, const char *dir)
{
    snprintf(b->redis, sizeof b->redis, "%s/redis.sock", dir);
    char *argv[] = {"redis-server", "--port", "0",     "--unixsocket", b->redis, "--save", "",
                    "--appendonly", "no",     "--dir", (char *)dir,    NULL};
    int pid = bench_spawn(argv);
    redisContext *c = NULL;
    for (int i = 0; pid > 0 && i < 500; i++) {
        c = redisConnectUnix(b->redis);
        if (c && !c->err)
            break;
        if (c)
            redisFree(c);
        c = NULL;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (!c) {
        fprintf(stderr, "bench_read: redis-server does not start; read_redis is left out\n");
        bench_end(pid);
        return -1;
    }
    for (int i = 0; i < b->flags; i++)
        redisAppendCommand(c, "SET %s 1", b->keys[i]);
    for (int i = 0; i < b->flags; i++) {
        void *reply = NULL;
        redisGetReply(c, &reply);
        freeReplyObject(reply);
    }
    redisFree(c);
    return pid;
}

static void bench_flags(int flags, int argc, char **argv)
{
    char *dir = bench_directory(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
    char store[200], raw[200];
    snprintf(store, sizeof store, "%s/store", dir);
    snprintf(raw, sizeof raw, "%s/raw", dir);
    struct bench b = {.flags = flags};
    static struct lmdb_os os = {.lock_fd = -1, .spare_fd = -1};
    os.id = lmdb_os_draw_id(false);
    shuffle(&b);
    struct writer w = writer_begin(store, flags);
    fill_raw(&b, raw, &os);
    fill_handles(&b, store);
    fill_table(&b);

    const struct pair bound = {
        "read_bound", "atomic pointer load", run_bound, run_cached, 5000000, 5000000, false};
    const struct pair key = {"read_key", "plain hash table", run_key, run_table, 1000000, 1000000,
                             false};
    const struct pair cold = {"read_cold", "mdb_get, renewed", run_cold, run_raw, 200000, 200000,
                              false};
    const struct pair redis = {"read_redis", "read_key", run_redis, run_key, 3000, 1000000, true};
    for (int threads = 1; threads <= THREADS_MAX; threads++) {
        if (bench_wants(argc, argv, "read_bound")) {
            compare(&b, &bound, threads);
            compare_under_load(&b, &w, threads, 50000000);
        }
        if (bench_wants(argc, argv, "count"))
            compare_counting(&b, threads, 5000000);
        if (bench_wants(argc, argv, "read_key"))
            compare(&b, &key, threads);
        if (bench_wants(argc, argv, "read_cold"))
            compare(&b, &cold, threads);
    }
    int redis_pid = bench_wants(argc, argv, "read_redis") ? redis_begin(&b, dir) : -1;
    for (int threads = 1; redis_pid > 0 && threads <= THREADS_MAX; threads++)
        compare(&b, &redis, threads);
    bench_end(redis_pid);
    hoist_close(b.hoist);
    hoist_close(b.cold);
    lmdb_os_enter(&os);
    mdb_env_close(b.raw);
    lmdb_os_leave();
    lmdb_os_remove(&os);
    writer_end(&w);
    bench_remove(dir);
}

int main(int argc, char **argv)
{
    static const int flags[] = {1000, 10000, 100000};
    bool any = false;
    for (int i = 0; i < 5; i++)
        any |= bench_wants(
            argc, argv,
            (const char *[]){"read_bound", "count", "read_key", "read_cold", "read_redis"}[i]);
    for (int i = 0; any && i < 3; i++)
        bench_flags(flags[i], argc, argv);
    return 0;
}
