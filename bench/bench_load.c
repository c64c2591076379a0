/* bench_load.c - much at once: a new agent and 100,000 flags, an import of 100,000 flags, and the
 * memory of an idle agent and of a program that reads 10,000 flags.
 *
 * bootstrap: from starting the agent to its commit of the last page, against copying the LMDB file.
 * import:    from sending the command (JSON) to the answer, against putting the same records with
 * bare LMDB in one transaction, synced.
 */
#include <fcntl.h>
#include <lmdb.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "bench.h"
#include "primary/primary.h"
#include "repl/agent.h"
#include "repl/rpc.h"
#include "store/store.h"

static const char env_name[] = "production";

static void nap(int64_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

struct rig {
    char *dir;
    char url[64];
    const char *urls[1];
    struct store *store;
    struct primary *primary;
};

static void rig_start(struct rig *rig)
{
    char path[256];
    rig->dir = bench_directory(NULL);
    snprintf(rig->url, sizeof rig->url, "tcp://127.0.0.1:%d", bench_port());
    rig->urls[0] = rig->url;
    snprintf(path, sizeof path, "%s/primary", rig->dir);
    struct store_options options = {.write = true, .primary = true};
    const char *envs[] = {env_name};
    struct primary_config config = {.envs = envs,
                                    .env_count = 1,
                                    .listen = rig->urls,
                                    .listen_count = 1,
                                    .id = "primary",
                                    .software = "bench",
                                    .role = "primary"};
    if (store_open(path, &options, &rig->store) != HOIST_OK ||
        primary_start(rig->store, &config, &rig->primary) != HOIST_OK)
        bench_die("primary");
}

static void rig_stop(struct rig *rig)
{
    primary_stop(rig->primary);
    store_close(rig->store);
    bench_remove(rig->dir);
    free(rig->dir);
}

/* Import `count` flags by one command; the milliseconds it took. */
static double import(struct rig *rig, int count)
{
    struct buf body = BUF_INIT(FRAME_COMMAND_MAX);
    bench_import_body(&body, env_name, count);
    struct frame_command f = {
        .name = SLICE("apply"), .author = SLICE("bench"), .body = buf_slice(&body)};
    struct rpc_answer answer;
    uuid_new(f.request, clock_wall_ms());
    int64_t start = clock_mono_ns();
    if (buf_err(&body) != HOIST_OK ||
        rpc_command(rig->url, NULL, &f, 120000, &answer) != HOIST_OK || answer.exit != 0)
        bench_die("import");
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    rpc_answer_done(&answer);
    buf_done(&body);
    return ms;
}

/* ------------------------------------------------------------------ import */

/* The primary's records into a bare LMDB file, in one transaction, synced. */
static double bare_load(struct rig *rig, int round)
{
    char path[256];
    snprintf(path, sizeof path, "%s/bare%d", rig->dir, round);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    struct store_read *r;
    struct store_env e;
    struct slice key = {0}, record;
    if (mkdir(path, 0700) != 0 || mdb_env_create(&env) != 0 ||
        mdb_env_set_mapsize(env, (size_t)1 << 30) != 0 || mdb_env_open(env, path, 0, 0600) != 0)
        bench_die("bare LMDB");
    if (store_read_begin(rig->store, false, &r) != HOIST_OK ||
        store_env_get(r, env_name, &e) != HOIST_OK)
        bench_die("read");
    int64_t start = clock_mono_ns();
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    rc = rc ? rc : mdb_dbi_open(txn, NULL, 0, &dbi);
    while (rc == 0 && store_record_next(r, e.id, key, &key, &record) == HOIST_OK) {
        MDB_val k = {key.len, (void *)key.ptr}, v = {record.len, (void *)record.ptr};
        rc = mdb_put(txn, dbi, &k, &v, 0);
    }
    rc = rc ? rc : mdb_txn_commit(txn);
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    if (rc != 0)
        bench_die(mdb_strerror(rc));
    store_read_end(r);
    mdb_env_close(env);
    return ms;
}

static void measure_import(int count)
{
    double own[BENCH_ROUNDS], bare[BENCH_ROUNDS];
    char params[64];
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        struct rig rig;
        rig_start(&rig);
        own[round] = import(&rig, count);
        bare[round] = bare_load(&rig, round);
        rig_stop(&rig);
    }
    double ms = bench_median(own, BENCH_ROUNDS);
    snprintf(params, sizeof params, "%d flags from JSON", count);
    bench_print("import", params, ms, "ms", "bare LMDB puts",
                ms / bench_median(bare, BENCH_ROUNDS));
}

/* ------------------------------------------------------------------ bootstrap */

/* Whether the store has the import, which is version 2. */
static bool is_filled(struct store *s)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(s, false, &r) != HOIST_OK)
        return false;
    bool filled = store_env_get(r, env_name, &env) == HOIST_OK && env.head >= 2;
    store_read_end(r);
    return filled;
}

static double copy_file(const char *from, const char *to, double *ret_mib)
{
    enum { PIECE = 1 << 20 };
    uint8_t *piece = mem_alloc(PIECE);
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t total = 0;
    ssize_t n = 0;
    int64_t start = clock_mono_ns();
    while (piece && in >= 0 && out >= 0 && (n = read(in, piece, PIECE)) > 0) {
        if (write(out, piece, (size_t)n) != n)
            bench_die("copy");
        total += (size_t)n;
    }
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    if (n != 0 || total == 0)
        bench_die("copy");
    close(in);
    close(out);
    mem_free(piece);
    *ret_mib = (double)total / (1 << 20);
    return ms;
}

static double packed_mib(struct store *s)
{
    struct store_read *r;
    struct store_env e;
    if (store_read_begin(s, false, &r) != HOIST_OK || store_env_get(r, env_name, &e) != HOIST_OK)
        bench_die("read");
    store_read_end(r);
    return (double)e.bytes / (1 << 20);
}

static void measure_bootstrap(int count)
{
    struct rig rig;
    double own[BENCH_ROUNDS], copy[BENCH_ROUNDS], file_mib = 0;
    char path[300], data[300], params[64];
    const char *envs[] = {env_name};
    rig_start(&rig);
    import(&rig, count);
    snprintf(data, sizeof data, "%s/primary/current/data.mdb", rig.dir);
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        struct store *s;
        struct agent *a;
        struct store_options options = {.write = true};
        struct agent_config config = {.id = "new",
                                      .software = "bench",
                                      .upstreams = rig.urls,
                                      .upstream_count = 1,
                                      .envs = envs,
                                      .env_count = 1};
        snprintf(path, sizeof path, "%s/agent%d", rig.dir, round);
        int64_t start = clock_mono_ns();
        if (store_open(path, &options, &s) != HOIST_OK || agent_start(s, &config, &a) != HOIST_OK)
            bench_die("agent");
        while (!is_filled(s))
            nap(200);
        own[round] = (double)(clock_mono_ns() - start) / 1e6;
        agent_stop(a);
        store_close(s);
        snprintf(path, sizeof path, "%s/copy%d", rig.dir, round);
        copy[round] = copy_file(data, path, &file_mib);
    }
    double ms = bench_median(own, BENCH_ROUNDS), mib = packed_mib(rig.store);
    snprintf(params, sizeof params, "%d flags, time", count);
    bench_print("bootstrap", params, ms, "ms", "copying the LMDB file",
                ms / bench_median(copy, BENCH_ROUNDS));
    snprintf(params, sizeof params, "%d flags, keys and records sent", count);
    bench_print("bootstrap", params, mib, "MiB", "the LMDB file's size", mib / file_mib);
    rig_stop(&rig);
}

/* ------------------------------------------------------------------ memory */

/* In a process of its own, so that its peak is its own: read every flag once, wait to be looked at.
 */
static int read_all(const char *dir, int count)
{
    hoist *h;
    int on = 0;
    if (hoist_open(&h, dir, env_name) != HOIST_OK)
        return 1;
    for (int i = 0; i < count; i++) {
        char key[48];
        snprintf(key, sizeof key, BENCH_KEY, i);
        on += hoist_bool(h, key, NULL, true);
    }
    if (on != 0)
        return 1;
    pause();
    return 0;
}

static void measure_memory(char *self, int count)
{
    struct rig rig;
    char dir[300], number[16], hoistd[300];
    rig_start(&rig);
    import(&rig, count);
    snprintf(dir, sizeof dir, "%s/agent", rig.dir);
    snprintf(number, sizeof number, "%d", count);
    char *slash = strrchr(self, '/');
    snprintf(hoistd, sizeof hoistd, "%.*s/../hoistd", (int)(slash ? slash - self : 1),
             slash ? self : ".");
    char *agent[] = {hoistd, "agent", "--upstream", rig.url, "--store", dir, "--http", "off", NULL};
    char *reader[] = {self, "--read", dir, number, NULL};
    char params[64];
    int pid = bench_spawn(agent);
    for (int i = 0; i < 25; i++)
        nap(200000);
    snprintf(params, sizeof params, "idle agent, %d flags, peak resident", count);
    bench_print("memory", params, (double)bench_proc_kib(pid, "VmHWM:") / 1024, "MiB", NULL, 0);
    snprintf(params, sizeof params, "idle agent, %d flags, its own now", count);
    bench_print("memory", params, (double)bench_proc_kib(pid, "RssAnon:") / 1024, "MiB", NULL, 0);
    int other = bench_spawn(reader);
    for (int i = 0; i < 5; i++)
        nap(200000);
    snprintf(params, sizeof params, "program that read %d flags, peak resident", count);
    bench_print("memory", params, (double)bench_proc_kib(other, "VmHWM:") / 1024, "MiB", NULL, 0);
    snprintf(params, sizeof params, "program that read %d flags, its own now", count);
    bench_print("memory", params, (double)bench_proc_kib(other, "RssAnon:") / 1024, "MiB", NULL, 0);
    bench_end(other);
    bench_end(pid);
    rig_stop(&rig);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--read") == 0)
        return read_all(argv[2], (int)strtol(argv[3], NULL, 10));
    hash_init();
    if (bench_wants(argc, argv, "bootstrap"))
        measure_bootstrap(100000);
    if (bench_wants(argc, argv, "import"))
        measure_import(100000);
    if (bench_wants(argc, argv, "memory"))
        measure_memory(argv[0], 10000);
    return 0;
}
