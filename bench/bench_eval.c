/* bench_eval - what a decision costs, through libhoist by key and with a context.
 *
 *   eval_static      no rule; against an atomic load
 *   eval_fractional  half of the users; against the hash of the same text alone
 *   eval_rules5      five comparisons of texts, the last one holds; against memcmp() of those alone
 *   eval_semver      one comparison of versions
 *   eval_reduce      the sum of ten numbers, compared
 *
 * Each says what it allocates, too. Beside them the same decisions in node, by what others sell or
 * give away (bench/eval.mjs): a process a round, between two rounds of our own. Their ratio is to
 * Hoist's figure of the round. All in processor time, medians of rounds.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "eval/fractional.h"
#include "hoist.h"
#include "store/store.h"
#include "wire/record.h"

enum { ROUNDS = BENCH_ROUNDS, READS = 2000000, PEERS_MAX = 4, NAME_SIZE = 32 };

static const char env_name[] = "production";

#define SWITCH                                                                                     \
    "{\"state\": \"ENABLED\", \"variants\": {\"on\": true, \"off\": false}, \"defaultVariant\": "  \
    "\"off\", \"targeting\": "
#define COUNTRY(name, yields) "{\"==\": [{\"var\": \"country\"}, \"" name "\"]}, \"" yields "\", "

static const char file_text[] =
    "{\"flags\": {"
    "\"static\": {\"state\": \"ENABLED\", \"variants\": {\"on\": true, \"off\": false}, "
    "\"defaultVariant\": \"on\"},"
    "\"fractional\": " SWITCH "{\"fractional\": [[\"on\", 50], [\"off\", 50]]}},"
    "\"rules5\": " SWITCH
    "{\"if\": [" COUNTRY("de", "off") COUNTRY("fr", "off") COUNTRY("it", "off") COUNTRY("pl", "off")
        COUNTRY("se", "on") "\"off\"]}},"
                            "\"semver\": " SWITCH
                            "{\"if\": [{\"sem_ver\": [{\"var\": \"version\"}, \">=\", \"2.3.0\"]}, "
                            "\"on\", \"off\"]}},"
                            "\"reduce\": " SWITCH
                            "{\"if\": [{\">\": [{\"reduce\": [{\"var\": \"counts\"}, {\"+\": "
                            "[{\"var\": \"current\"}, {\"var\": \"accumulator\"}]}, 0]}, 50]}, "
                            "\"on\", \"off\"]}}}}";

static const char context_text[] =
    "{\"targetingKey\": \"user-12345\", \"country\": \"se\", \"version\": \"2.10.1\", \"email\": "
    "\"ana@example.com\", \"plan\": \"pro\", \"counts\": [1,2,3,4,5,6,7,8,9,10]}";

/* ------------------------------------------------------------------ counting allocations */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *ptr, size_t size);

static _Atomic uint64_t allocations;

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_realloc(ptr, size);
}

/* ------------------------------------------------------------------ the store */

static void write_store(const char *dir)
{
    struct problems problems = {0};
    struct flag_file *file;
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX), bytes = BUF_INIT(CHANGE_BYTES_MAX);
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct store *s;
    struct store_write *w;
    struct store_env env;
    struct change c;
    if (flag_file_read(slice_str(file_text), &file, &problems))
        bench_die("the flags");
    edits_begin(&edits, (uint32_t)file->count);
    for (size_t i = 0; i < file->count; i++) {
        buf_clear(&record);
        if (record_encode(file->flags[i], &record))
            bench_die("a record");
        edits_put(&edits, file->flags[i]->key, buf_slice(&record));
    }
    if (store_open(dir, &(struct store_options){.write = true}, &s) || store_write_begin(s, &w) ||
        store_env_create(w, env_name, &env))
        bench_die("a store");
    struct change_header head = {.env = slice_str(env_name),
                                 .epoch = 1,
                                 .version = 1,
                                 .kind = CHANGE_SET,
                                 .edits_count = (uint32_t)file->count};
    memcpy(head.prev, env.hash, HASH_SIZE);
    if (store_change_stage(w, env.id, buf_slice(&edits), head.version, head.digest) ||
        change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL) ||
        change_decode(buf_slice(&bytes), &c) || store_change_log(w, env.id, &c) ||
        store_write_commit(w))
        bench_die("a change");
    store_close(s);
}

/* In a process of its own, which has ended before anybody reads. */
static void make_store(const char *dir)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        write_store(dir);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bench_die("the writing process");
}

/* ------------------------------------------------------------------ what is measured */

struct subject {
    hoist *hoist;
    hoist_ctx *ctx;
    char text[64]; /* what `fractional` hashes */
    _Atomic(const bool *) cached;
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds a decision. All of these flags are on for the context, but for `fractional`. */
static double run_hoist(struct subject *s, const char *key, double *ret_allocations)
{
    uint64_t before = atomic_load(&allocations);
    int64_t begin = cpu_ns();
    int yes = 0;
    for (int i = 0; i < READS; i++)
        yes += hoist_bool(s->hoist, key, s->ctx, false);
    int64_t took = cpu_ns() - begin;
    *ret_allocations = (double)(atomic_load(&allocations) - before) / READS;
    if (yes != READS && strcmp(key, "fractional") != 0) {
        fprintf(stderr, "bench_eval: %s: %d of %d answers were right\n", key, yes, READS);
        exit(1);
    }
    return (double)took / READS;
}

static double run_load(struct subject *s)
{
    int yes = 0;
    int64_t begin = cpu_ns();
    for (int i = 0; i < READS; i++)
        yes += *atomic_load_explicit(&s->cached, memory_order_acquire);
    return yes == READS ? (double)(cpu_ns() - begin) / READS : -1;
}

static double run_hash(struct subject *s)
{
    uint32_t sum = 0;
    struct slice text = slice_str(s->text);
    int64_t begin = cpu_ns();
    for (int i = 0; i < READS; i++) {
        __asm__ volatile("" : "+r"(text.ptr));
        sum += bucket_of(BUCKET_FLAGD, text, 100);
    }
    __asm__ volatile("" : : "r"(sum));
    return (double)(cpu_ns() - begin) / READS;
}

static double run_compares(struct subject *s)
{
    static const char *const names[] = {"de", "fr", "it", "pl", "se"};
    int yes = 0;
    struct slice country = SLICE("se");
    int64_t begin = cpu_ns();
    (void)s;
    for (int i = 0; i < READS; i++) {
        for (int n = 0; n < 5; n++) {
            struct slice name = {(const uint8_t *)names[n], 2};
            __asm__ volatile("" : "+r"(country.ptr), "+r"(name.ptr), "+r"(name.len));
            yes += slice_eq(country, name);
        }
    }
    return yes == READS ? (double)(cpu_ns() - begin) / READS : -1;
}

static struct measure {
    const char *name, *key;
    const char *limit; /* what it is beside, or NULL */
    double (*run_limit)(struct subject *s);
    double value[ROUNDS], ratio[ROUNDS], allocations;
    struct peer {
        char name[NAME_SIZE];
        double value[ROUNDS], ratio[ROUNDS];
        int rounds;
    } peers[PEERS_MAX];
} measures[] = {
    {.name = "eval_static", .key = "static", .limit = "atomic load", .run_limit = run_load},
    {.name = "eval_fractional",
     .key = "fractional",
     .limit = "murmur3 of the text",
     .run_limit = run_hash},
    {.name = "eval_rules5", .key = "rules5", .limit = "five memcmp()", .run_limit = run_compares},
    {.name = "eval_semver", .key = "semver"},
    {.name = "eval_reduce", .key = "reduce"},
};

enum { MEASURES = sizeof measures / sizeof *measures };

static struct peer *peer_of(struct measure *m, const char *name)
{
    for (int i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &m->peers[i];
        if (!*p->name)
            snprintf(p->name, sizeof p->name, "%s", name);
        if (strcmp(p->name, name) == 0)
            return p;
    }
    bench_die("too many peers");
}

/* Lines of KEY NAME NANOSECONDS. */
static void run_peers(int round, const bool *wanted)
{
    const char *modules = getenv("HOIST_BENCH_NODE");
    char command[512], key[NAME_SIZE], name[NAME_SIZE];
    double ns;
    if (!modules)
        return;
    snprintf(command, sizeof command, "exec node bench/eval.mjs '%s'", modules);
    FILE *f = popen(command, "r");
    while (f && fscanf(f, "%31s %31s %lf", key, name, &ns) == 3) {
        for (int i = 0; i < MEASURES; i++) {
            if (!wanted[i] || strcmp(measures[i].key, key) != 0)
                continue;
            struct peer *p = peer_of(&measures[i], name);
            p->value[p->rounds] = ns;
            p->ratio[p->rounds++] = ns / measures[i].value[round];
        }
    }
    if (!f || pclose(f) != 0)
        fprintf(stderr, "bench_eval: node could not measure the others\n");
}

static void print_measure(struct measure *m)
{
    bench_print(m->name, "by key", bench_median(m->value, ROUNDS), "ns", m->limit,
                m->limit ? bench_median(m->ratio, ROUNDS) : 0);
    bench_print(m->name, "allocations", m->allocations, "", NULL, 0);
    for (int i = 0; i < PEERS_MAX && m->peers[i].rounds; i++)
        bench_print(m->name, m->peers[i].name, bench_median(m->peers[i].value, m->peers[i].rounds),
                    "ns", "Hoist", bench_median(m->peers[i].ratio, m->peers[i].rounds));
}

int main(int argc, char **argv)
{
    bool wanted[MEASURES], any = false;
    double unused;
    static const bool yes = true;
    struct subject s = {.text = "fractionaluser-12345"};
    for (int i = 0; i < MEASURES; i++)
        any |= wanted[i] =
            bench_wants(argc, argv, measures[i].name) || bench_wants(argc, argv, "eval");
    if (!any)
        return 0;
    char *dir = bench_directory(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
    make_store(dir);
    s.ctx = hoist_ctx_new();
    if (hoist_open(&s.hoist, dir, env_name) || hoist_ctx_set_json(s.ctx, context_text))
        bench_die("open");
    atomic_store(&s.cached, &yes);
    for (int i = 0; i < MEASURES; i++) /* does not count */
        if (wanted[i])
            run_hoist(&s, measures[i].key, &unused);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < MEASURES; i++) {
            struct measure *m = &measures[i];
            if (!wanted[i])
                continue;
            double limit = m->run_limit ? m->run_limit(&s) : 1;
            m->value[round] = run_hoist(&s, m->key, &m->allocations);
            m->ratio[round] = m->value[round] / limit;
        }
        run_peers(round, wanted);
    }
    for (int i = 0; i < MEASURES; i++)
        if (wanted[i])
            print_measure(&measures[i]);
    hoist_ctx_free(s.ctx);
    hoist_close(s.hoist);
    bench_remove(dir);
    return 0;
}
