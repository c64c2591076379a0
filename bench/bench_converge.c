/* bench_converge.c - how long until the last of N hosts has committed a change.
 *
 * Hoist: a primary and N agents, each with a store of its own, in this process; the time runs from
 * sending the command on an open connection to the last agent's commit, and holds the primary's
 * parsing, numbering, hashing and commit. Peers: the very same bytes, published over Redis pub/sub
 * and over NATS to N subscribers, each a thread that applies them to the same kind of store by the
 * same function. Neither keeps a history.
 *
 * All take turns in each round, on the same changes. For many agents all stores are on tmpfs, since
 * real hosts have a disk each.
 */
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "bench.h"
#include "primary/primary.h"
#include "repl/agent.h"
#include "store/store.h"
#include "wire/frame.h"

enum { HOSTS_MAX = 100, CHANGES = 100, FLAGS = 1000, PAUSE_US = 20000 };
static const char env_name[] = "production";

struct host { /* one subscriber of a peer, or one agent */
    struct store *store;
    struct agent *agent;
    pthread_t thread;
    int fd;              /* NATS */
    redisContext *redis; /* Redis */
};

struct fleet {
    const char *name;
    struct host hosts[HOSTS_MAX];
    int count;
    struct bench_line line;
    _Atomic bool ending;
};

static void nap(int64_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void committed(struct fleet *f, uint64_t version)
{
    bench_committed(&f->line, f->count, version);
}

static void agent_committed(void *arg, const struct change *const *changes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        committed(arg, changes[i]->head.version);
}

/* ------------------------------------------------------------------ stores */

static void received(struct fleet *f, struct host *h, struct slice bytes)
{
    struct change c;
    bench_apply(h->store, bytes);
    if (change_decode(bytes, &c) == HOIST_OK)
        committed(f, c.head.version);
}

/* ------------------------------------------------------------------ Hoist */

static nng_socket commands;

static void import_flags(int count)
{
    struct buf body = BUF_INIT(FRAME_COMMAND_MAX);
    bench_import_body(&body, env_name, count);
    bench_command(commands, "apply", buf_slice(&body), NULL);
    buf_done(&body);
}

/* One change, and the time until every agent has it. */
static double hoist_change(struct fleet *f, uint64_t version)
{
    char body[160];
    int len =
        snprintf(body, sizeof body, "{\"env\":\"%s\",\"key\":\"" BENCH_KEY "\",\"value\":\"%s\"}",
                 env_name, (int)((version - 3) % FLAGS), (version - 3) / FLAGS % 2 ? "off" : "on");
    bench_expect(&f->line, version);
    int64_t start = clock_mono_ns();
    bench_command(commands, "set", slice_of(body, (size_t)len), NULL);
    return (double)(bench_wait_for_all(&f->line, f->name) - start) / 1e6;
}

/* ------------------------------------------------------------------ Redis */

struct subscriber {
    struct fleet *fleet;
    struct host *host;
};

static void *redis_subscriber(void *arg)
{
    struct subscriber *s = arg;
    redisReply *r = NULL;
    while (redisGetReply(s->host->redis, (void **)&r) == REDIS_OK) {
        bool message = r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
                       r->element[2]->type == REDIS_REPLY_STRING;
        struct slice bytes = message ? slice_of(r->element[2]->str, r->element[2]->len) : SLICE("");
        if (atomic_load(&s->fleet->ending)) {
            freeReplyObject(r);
            break;
        }
        if (message)
            received(s->fleet, s->host, bytes);
        freeReplyObject(r);
    }
    free(s);
    return NULL;
}

static redisContext *redis_dial(const char *path)
{
    for (int i = 0; i < 200; i++) {
        redisContext *c = redisConnectUnix(path);
        if (c && !c->err)
            return c;
        redisFree(c);
        nap(20000);
    }
    bench_die("redis-server does not answer (make deps-bench)");
}

/* ------------------------------------------------------------------ NATS: its text protocol */

static int nats_dial(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            return fd;
        }
        close(fd);
        nap(20000);
    }
    bench_die("nats-server does not answer (make deps-bench)");
}

static void write_all(int fd, const void *ptr, size_t len)
{
    for (const char *p = ptr; len > 0;) {
        ssize_t n = write(fd, p, len);
        if (n <= 0)
            bench_die("nats: write");
        p += n;
        len -= (size_t)n;
    }
}

static void *nats_subscriber(void *arg)
{
    struct subscriber *s = arg;
    FILE *in = fdopen(dup(s->host->fd), "r");
    char *line = NULL;
    size_t room = 0;
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB flags 1\r\n";
    write_all(s->host->fd, hello, sizeof hello - 1);
    while (in && getline(&line, &room, in) > 0) {
        size_t len;
        if (strncmp(line, "PING", 4) == 0)
            write_all(s->host->fd, "PONG\r\n", 6);
        if (sscanf(line, "MSG flags 1 %zu", &len) != 1)
            continue;
        uint8_t *bytes = mem_alloc(len + 2);
        if (!bytes || fread(bytes, 1, len + 2, in) != len + 2)
            bench_die("nats: read");
        received(s->fleet, s->host, slice_of(bytes, len));
        mem_free(bytes);
    }
    free(line);
    if (in)
        fclose(in);
    free(s);
    return NULL;
}

/* ------------------------------------------------------------------ a run */

static void start_subscriber(struct fleet *f, struct host *h, void *(*loop)(void *))
{
    struct subscriber *s = malloc(sizeof *s);
    if (!s)
        bench_die("memory");
    *s = (struct subscriber){f, h};
    pthread_create(&h->thread, NULL, loop, s);
}

struct rig {
    const char *dir;
    char redis_path[300];
    int nats_port;
    redisContext *redis;
    int nats;
    int redis_pid, nats_pid;
};

static void start_brokers(struct rig *rig)
{
    char port[16];
    snprintf(rig->redis_path, sizeof rig->redis_path, "%s/redis.sock", rig->dir);
    rig->nats_port = bench_port();
    snprintf(port, sizeof port, "%d", rig->nats_port);
    char *redis[] = {"redis-server", "--port", "0", "--unixsocket", rig->redis_path, "--save", "",
                     "--appendonly", "no",     NULL};
    char *nats[] = {"nats-server", "-a", "127.0.0.1", "-p", port, NULL};
    rig->redis_pid = bench_spawn(redis);
    rig->nats_pid = bench_spawn(nats);
    rig->redis = redis_dial(rig->redis_path);
    rig->nats = nats_dial(rig->nats_port);
    write_all(rig->nats, "CONNECT {\"verbose\":false}\r\n", 27);
}

static double redis_change(struct rig *rig, struct fleet *f, uint64_t version, struct slice bytes)
{
    bench_expect(&f->line, version);
    int64_t start = clock_mono_ns();
    redisReply *r = redisCommand(rig->redis, "PUBLISH flags %b", bytes.ptr, bytes.len);
    freeReplyObject(r);
    return (double)(bench_wait_for_all(&f->line, f->name) - start) / 1e6;
}

static double nats_change(struct rig *rig, struct fleet *f, uint64_t version, struct slice bytes)
{
    char head[48];
    int len = snprintf(head, sizeof head, "PUB flags %zu\r\n", bytes.len);
    struct buf out = BUF_INIT(FRAME_COMMAND_MAX);
    buf_add(&out, head, (size_t)len);
    buf_add_slice(&out, bytes);
    buf_add_str(&out, "\r\n");
    bench_expect(&f->line, version);
    int64_t start = clock_mono_ns();
    write_all(rig->nats, out.ptr, out.len);
    double ms = (double)(bench_wait_for_all(&f->line, f->name) - start) / 1e6;
    buf_done(&out);
    return ms;
}

static void measure(const char *base, int hosts)
{
    static struct fleet agents, redis, nats;
    agents = (struct fleet){.name = "hoist", .count = hosts};
    redis = (struct fleet){.name = "redis", .count = hosts};
    nats = (struct fleet){.name = "nats", .count = hosts};
    struct rig rig = {.dir = bench_directory(base)};
    struct fleet *peers[] = {&redis, &nats};

    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", bench_port());
    const char *urls[] = {url}, *envs[] = {env_name};
    struct store *store = bench_store(rig.dir, "primary", 0, true);
    struct primary *primary;
    struct primary_config pc = {.envs = envs,
                                .env_count = 1,
                                .listen = urls,
                                .listen_count = 1,
                                .id = "primary",
                                .software = "bench",
                                .role = "primary"};
    if (primary_start(store, &pc, &primary) != HOIST_OK)
        bench_die("primary");
    if (nng_req0_open(&commands) != 0 ||
        nng_socket_set_size(commands, NNG_OPT_RECVMAXSZ, FRAME_COMMAND_MAX) != 0 ||
        nng_dial(commands, url, NULL, 0) != 0)
        bench_die("dial");
    import_flags(FLAGS);

    for (int i = 0; i < hosts; i++) {
        char id[16];
        snprintf(id, sizeof id, "host%d", i);
        struct agent_config ac = {.id = id,
                                  .software = "bench",
                                  .upstreams = urls,
                                  .upstream_count = 1,
                                  .envs = envs,
                                  .env_count = 1,
                                  .applied = agent_committed,
                                  .applied_arg = &agents};
        agents.hosts[i].store = bench_store(rig.dir, "agent", i, false);
        bench_expect(&agents.line, 2);
        if (agent_start(agents.hosts[i].store, &ac, &agents.hosts[i].agent) != HOIST_OK)
            bench_die("agent");
    }
    start_brokers(&rig);
    struct slice created = bench_change(store, 1), imported = bench_change(store, 2);
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < hosts; i++) {
            struct host *h = &peers[p]->hosts[i];
            h->store = bench_store(rig.dir, peers[p]->name, i, false);
            bench_apply(h->store, created);
            bench_apply(h->store, imported);
            if (p == 0) {
                h->redis = redis_dial(rig.redis_path);
                redisAppendCommand(h->redis, "SUBSCRIBE flags");
            } else {
                h->fd = nats_dial(rig.nats_port);
            }
            start_subscriber(peers[p], h, p == 0 ? redis_subscriber : nats_subscriber);
        }
    mem_free((void *)created.ptr);
    mem_free((void *)imported.ptr);
    nap(900000);
    nap(900000); /* everybody has connected and, among the agents, loaded */

    double p50[3][BENCH_ROUNDS], p99[3][BENCH_ROUNDS];
    uint64_t version = 2;
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double ms[3][CHANGES];
        struct slice bytes[CHANGES];
        for (int i = 0; i < CHANGES; i++, nap(PAUSE_US)) {
            ms[0][i] = hoist_change(&agents, version + (uint64_t)i + 1);
            bytes[i] = bench_change(store, version + (uint64_t)i + 1);
        }
        for (int i = 0; i < CHANGES; i++, nap(PAUSE_US))
            ms[1][i] = redis_change(&rig, &redis, version + (uint64_t)i + 1, bytes[i]);
        for (int i = 0; i < CHANGES; i++, nap(PAUSE_US))
            ms[2][i] = nats_change(&rig, &nats, version + (uint64_t)i + 1, bytes[i]);
        version += CHANGES;
        for (int i = 0; i < CHANGES; i++)
            mem_free((void *)bytes[i].ptr);
        for (int who = 0; who < 3; who++) {
            p50[who][round] = bench_quantile(ms[who], CHANGES, 0.5);
            p99[who][round] = bench_quantile(ms[who], CHANGES, 0.99);
        }
    }
    char params[80];
    for (int q = 0; q < 2; q++) {
        double(*v)[BENCH_ROUNDS] = q == 0 ? p50 : p99;
        double own = bench_median(v[0], BENCH_ROUNDS);
        snprintf(params, sizeof params, "%d agents, stores on %s, %s", hosts,
                 base ? "tmpfs" : "disk", q == 0 ? "p50" : "p99");
        bench_print("converge", params, own, "ms", "Redis pub/sub",
                    own / bench_median(v[1], BENCH_ROUNDS));
        bench_print("converge", params, own, "ms", "NATS", own / bench_median(v[2], BENCH_ROUNDS));
    }

    for (int i = 0; i < hosts; i++)
        agent_stop(agents.hosts[i].agent);
    primary_stop(primary);
    nng_close(commands);
    atomic_store(&redis.ending, true);
    freeReplyObject(redisCommand(rig.redis, "PUBLISH flags end"));
    bench_end(rig.nats_pid);
    for (int i = 0; i < hosts; i++) {
        pthread_join(redis.hosts[i].thread, NULL);
        pthread_join(nats.hosts[i].thread, NULL);
        redisFree(redis.hosts[i].redis);
        close(nats.hosts[i].fd);
        store_close(agents.hosts[i].store);
        store_close(redis.hosts[i].store);
        store_close(nats.hosts[i].store);
    }
    redisFree(rig.redis);
    close(rig.nats);
    bench_end(rig.redis_pid);
    store_close(store);
    bench_remove(rig.dir);
    free((void *)rig.dir);
}

int main(int argc, char **argv)
{
    if (!bench_wants(argc, argv, "converge"))
        return 0;
    hash_init();
    measure(NULL, 1);
    measure("/dev/shm", 1);
    measure("/dev/shm", HOSTS_MAX);
    return 0;
}
