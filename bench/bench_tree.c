/* bench_tree.c - how long until the last of 1,000 hosts behind 4 relays has committed a change or a
 * kill, what that costs in messages; a rollback on 100 hosts; and what a fleet at rest sends.
 *
 * The primary is this process; each relay is a process of its own; the agents are threads with a
 * store of their own each, 250 of them to a process. The time runs from sending the command on an
 * open connection to the last agent's commit.
 *
 * The peer is one level of plain nng: a PUB socket in this process sends the very same bytes of each
 * change to as many SUB sockets, in as many processes, each with a thread that applies them to the
 * same kind of store by the same function. It has no history, no acknowledgement and no command:
 * what it measures is this machine. Both take turns in each round. All stores are on tmpfs, since
 * real hosts have a disk each.
 */
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "bench.h"
#include "flag/json.h"
#include "primary/primary.h"
#include "repl/net.h"
#include "repl/relay.h"
#include "store/store.h"
#include "wire/frame.h"

enum {
    RELAYS_MAX = 4,
    PROCESSES = 4, /* of agents */
    HOSTS_MAX = 1000,
    CHANGES = 20,
    PAUSE_MS = 50,
    BIG = 10000,
    IDLE_MS = 20000,
    PATIENCE_S = 60,
    PATIENT_MS = 2000, /* between heartbeats, as agents expect: so many are late on one machine */
};

static const char env_name[] = "production";

enum asked { ASKED_STATUS, ASKED_SUBTREE, ASKED_FETCH, ASKED_KINDS };
static const char *const asked_labels[] = {"kind=\"status\"", "kind=\"subtree\"", "kind=\"fetch\""};

static struct shared { /* by all processes */
    struct bench_line ours, plain;
    _Atomic bool primary_is_up;
    _Atomic int relays_up, ready;                    /* processes */
    _Atomic uint64_t asked[RELAYS_MAX][ASKED_KINDS]; /* of each relay */
    _Atomic uint64_t beat; /* counts up: relays look at their counters again */
    _Atomic int looked;
} * shared;

struct rig {
    int relays, hosts, flags;
    char *dir;
    char url[64], plain_url[64], relay_urls[RELAYS_MAX][64];
    int leash; /* all processes end when it is closed */
    pid_t pids[RELAYS_MAX + PROCESSES];
    int processes;
    struct store *store;
    struct primary *primary;
    nng_socket commands, plain;
    uint64_t version;
};

static void nap(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* ------------------------------------------------------------------ the processes */

struct subscriber { /* of the peer */
    struct store *store;
    const char *url;
    int hosts;
};

static void *subscribe(void *arg)
{
    struct subscriber *s = arg;
    uint64_t have = 0;
    nng_socket sub;
    nng_msg *m;
    if (nng_sub0_open(&sub) != 0 || nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "", 0) != 0 ||
        nng_socket_set_int(sub, NNG_OPT_RECVBUF, NET_QUEUE) != 0 ||
        net_dial(sub, s->url, CHANGE_BYTES_MAX, NULL, NULL) != HOIST_OK)
        bench_die("subscriber");
    while (nng_recvmsg(sub, &m, 0) == 0) {
        struct change c;
        if (change_decode(net_msg_bytes(m), &c) == HOIST_OK && c.head.version == have + 1) {
            bench_apply(s->store, c.bytes);
            have++;
            bench_committed(&shared->plain, s->hosts, have);
        }
        nng_msg_free(m);
    }
    return NULL;
}

static void agent_committed(void *arg, const struct change *const *changes, uint32_t count)
{
    struct rig *rig = arg;
    for (uint32_t i = 0; i < count; i++)
        bench_committed(&shared->ours, rig->hosts, changes[i]->head.version);
}

static void start_agent(struct rig *rig, int i, struct store *store, struct agent **ret)
{
    char id[16];
    snprintf(id, sizeof id, "host%d", i);
    const char *url = rig->relays ? rig->relay_urls[i % rig->relays] : rig->url;
    const char *env = env_name;
    struct agent_config config = {.id = id,
                                  .software = "bench",
                                  .upstreams = &url,
                                  .upstream_count = 1,
                                  .envs = &env,
                                  .env_count = 1,
                                  .heartbeat_ms = PATIENT_MS,
                                  .applied = agent_committed,
                                  .applied_arg = rig};
    if (agent_start(store, &config, ret) != HOIST_OK)
        bench_die("agent");
}

static void be_hosts(struct rig *rig, int process, int leash)
{
    struct agent *agents[HOSTS_MAX];
    struct store *stores[HOSTS_MAX];
    int first = rig->hosts * process / PROCESSES, end = rig->hosts * (process + 1) / PROCESSES;
    while (!atomic_load(&shared->primary_is_up) || atomic_load(&shared->relays_up) < rig->relays)
        nap(10);
    for (int i = first; i < end; i++) {
        pthread_t thread;
        struct subscriber *s = malloc(sizeof *s);
        *s = (struct subscriber){bench_store(rig->dir, "plain", i, false), rig->plain_url,
                                 rig->hosts};
        stores[i] = bench_store(rig->dir, "agent", i, false);
        start_agent(rig, i, stores[i], &agents[i]);
        pthread_create(&thread, NULL, subscribe, s);
    }
    for (int i = first; i < end; i++) {
        struct buf why = BUF_INIT(1024);
        while (!agent_is_ready(agents[i], &why))
            nap(10);
        buf_done(&why);
    }
    atomic_fetch_add(&shared->ready, 1);
    while (poll(&(struct pollfd){.fd = leash, .events = POLLIN}, 1, 500) == 0)
        for (int i = first; i < end; i++)
            if (agent_is_broken(agents[i])) { /* started anew, as a service would be */
                agent_stop(agents[i]);
                start_agent(rig, i, stores[i], &agents[i]);
            }
    _exit(0); /* all of it goes with the directory */
}

static uint64_t asked_here(enum asked kind)
{
    return (uint64_t)metric_value(
        metric_series(METRIC_COUNTER, "hoist_requests_total", "", asked_labels[kind], NULL));
}

static void be_relay(struct rig *rig, int n, int leash)
{
    char id[16];
    snprintf(id, sizeof id, "relay%d", n);
    const char *url = rig->url, *listen = rig->relay_urls[n], *env = env_name;
    struct relay *relay;
    struct relay_config config = {.agent = {.id = id,
                                            .software = "bench",
                                            .upstreams = &url,
                                            .upstream_count = 1,
                                            .envs = &env,
                                            .env_count = 1,
                                            .heartbeat_ms = PATIENT_MS / 2},
                                  .listen = &listen,
                                  .listen_count = 1};
    while (!atomic_load(&shared->primary_is_up))
        nap(10);
    if (relay_start(bench_store(rig->dir, "relay", n, false), &config, &relay) != HOIST_OK)
        bench_die("relay");
    atomic_fetch_add(&shared->relays_up, 1);
    uint64_t beat = 0;
    while (poll(&(struct pollfd){.fd = leash, .events = POLLIN}, 1, 20) == 0) {
        uint64_t now = atomic_load(&shared->beat);
        for (int k = 0; k < ASKED_KINDS; k++)
            atomic_store(&shared->asked[n][k], asked_here(k));
        if (now != beat)
            atomic_fetch_add(&shared->looked, 1);
        beat = now;
    }
    _exit(0);
}

static void fork_all(struct rig *rig)
{
    int leash[2];
    if (pipe(leash) != 0)
        bench_die("pipe");
    for (int i = 0; i < rig->relays + PROCESSES; i++) {
        pid_t pid = fork();
        if (pid < 0)
            bench_die("fork");
        if (pid == 0) {
            close(leash[1]);
            log_set_level(LOG_ERROR);
            if (i < rig->relays)
                be_relay(rig, i, leash[0]);
            be_hosts(rig, i - rig->relays, leash[0]);
        }
        rig->pids[rig->processes++] = pid;
    }
    close(leash[0]);
    rig->leash = leash[1];
}

/* ------------------------------------------------------------------ commands */

/* The milliseconds from sending it until every agent has committed it. */
static double timed(struct rig *rig, const char *name, struct slice body)
{
    bench_expect(&shared->ours, ++rig->version);
    int64_t start = clock_mono_ns();
    bench_command(rig->commands, name, body, NULL);
    return (double)(bench_wait_for_all(&shared->ours, "agents") - start) / 1e6;
}

static double timed_json(struct rig *rig, const char *name, const char *json)
{
    return timed(rig, name, slice_str(json));
}

static double set(struct rig *rig, int flag, const char *value)
{
    char body[160];
    snprintf(body, sizeof body, "{\"env\":\"%s\",\"key\":\"" BENCH_KEY "\",\"value\":\"%s\"}",
             env_name, flag, value);
    return timed_json(rig, "set", body);
}

/* All flags to `variant`, in one change. */
static void put_flags(struct buf *out, int count, const char *variant)
{
    struct buf file = BUF_INIT(FRAME_COMMAND_MAX);
    struct json_writer w = JSON_WRITER(out, 0);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&file,
                   "%s\"" BENCH_KEY "\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,"
                   "\"off\":false},\"defaultVariant\":\"%s\"}",
                   i ? "," : "", i, variant);
    buf_add_str(&file, "}}");
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env_name);
    json_key(&w, "force");
    json_put_bool(&w, true);
    json_key(&w, "file");
    json_put_slice(&w, buf_slice(&file));
    json_object_end(&w);
    buf_done(&file);
    if (buf_err(out) != HOIST_OK)
        bench_die("a file of flags");
}

static void set_all(struct rig *rig, int count, const char *variant)
{
    struct buf body = BUF_INIT(FRAME_COMMAND_MAX);
    put_flags(&body, count, variant);
    timed(rig, "apply", buf_slice(&body));
    buf_done(&body);
}

/* ------------------------------------------------------------------ the peer */

static void publish(struct rig *rig, struct slice bytes)
{
    nng_msg *m = net_msg(bytes);
    if (!m || nng_sendmsg(rig->plain, m, 0) != 0)
        bench_die("publish");
}

/* The same bytes, from sending them until every subscriber has committed them. */
static double plain_change(struct rig *rig, uint64_t version)
{
    struct slice bytes = bench_change(rig->store, version);
    bench_expect(&shared->plain, version);
    int64_t start = clock_mono_ns();
    publish(rig, bytes);
    double ms = (double)(bench_wait_for_all(&shared->plain, "plain nng") - start) / 1e6;
    mem_free((void *)bytes.ptr);
    return ms;
}

/* The first change comes again and again until all are connected. */
static void connect_plain(struct rig *rig)
{
    struct slice first = bench_change(rig->store, 1);
    bench_expect(&shared->plain, 1);
    for (int i = 0; i < PATIENCE_S; i++) {
        publish(rig, first);
        if (bench_have_all(&shared->plain, 1000))
            break;
    }
    mem_free((void *)first.ptr);
    bench_wait_for_all(&shared->plain, "plain nng");
}

/* ------------------------------------------------------------------ life */

static void free_url(char out[64])
{
    static int next;
    if (next == 0)
        next = bench_port();
    snprintf(out, 64, "tcp://127.0.0.1:%d", next);
    next += 2;
}

static void start_primary(struct rig *rig)
{
    const char *url = rig->url, *env = env_name;
    struct primary_config config = {.envs = &env,
                                    .env_count = 1,
                                    .listen = &url,
                                    .listen_count = 1,
                                    .id = "primary",
                                    .software = "bench",
                                    .role = "primary"};
    rig->store = bench_store(rig->dir, "primary", 0, true);
    if (primary_start(rig->store, &config, &rig->primary) != HOIST_OK)
        bench_die("primary");
    if (nng_req0_open(&rig->commands) != 0 ||
        net_dial(rig->commands, rig->url, FRAME_COMMAND_MAX, NULL, NULL) != HOIST_OK ||
        nng_pub0_open(&rig->plain) != 0 ||
        nng_socket_set_int(rig->plain, NNG_OPT_SENDBUF, NET_QUEUE) != 0 ||
        net_listen(rig->plain, rig->plain_url, CHANGE_BYTES_MAX, NULL, NULL) != HOIST_OK)
        bench_die("sockets");
}

static void rig_begin(struct rig *rig, int relays, int hosts, int flags)
{
    *rig = (struct rig){.relays = relays, .hosts = hosts, .flags = flags};
    rig->dir = bench_directory("/dev/shm");
    memset(shared, 0, sizeof *shared);
    free_url(rig->url);
    free_url(rig->plain_url);
    for (int i = 0; i < relays; i++)
        free_url(rig->relay_urls[i]);
    fork_all(rig);
    start_primary(rig);
    atomic_store(&shared->primary_is_up, true);
    rig->version = 1;
    for (int ms = 0; atomic_load(&shared->ready) < PROCESSES; ms += 10) {
        if (ms > PATIENCE_S * 1000)
            bench_die("not all agents are ready");
        nap(10);
    }
    set_all(rig, flags, "off");
    connect_plain(rig);
    for (uint64_t v = 2; v <= rig->version; v++)
        plain_change(rig, v);
}

static void rig_end(struct rig *rig)
{
    close(rig->leash);
    for (int i = 0; i < rig->processes; i++)
        waitpid(rig->pids[i], NULL, 0);
    primary_stop(rig->primary);
    nng_close(rig->commands);
    nng_close(rig->plain);
    store_close(rig->store);
    bench_remove(rig->dir);
    free(rig->dir);
}

/* What primary and relays were asked so far. */
static void look(struct rig *rig, uint64_t primary[ASKED_KINDS], uint64_t relays[ASKED_KINDS])
{
    atomic_store(&shared->looked, 0);
    atomic_fetch_add(&shared->beat, 1);
    while (atomic_load(&shared->looked) < rig->relays)
        nap(1);
    for (int k = 0; k < ASKED_KINDS; k++) {
        primary[k] = asked_here(k);
        relays[k] = 0;
        for (int i = 0; i < rig->relays; i++)
            relays[k] += atomic_load(&shared->asked[i][k]);
    }
}

/* ------------------------------------------------------------------ measures */

struct rounds {
    double p50[2][BENCH_ROUNDS], p99[2][BENCH_ROUNDS]; /* Hoist's and the peer's */
};

static void print_rounds(const char *name, const char *with, struct rounds *r)
{
    char params[80];
    for (int q = 0; q < 2; q++) {
        double(*v)[BENCH_ROUNDS] = q == 0 ? r->p50 : r->p99;
        double own = bench_median(v[0], BENCH_ROUNDS), peer = bench_median(v[1], BENCH_ROUNDS);
        snprintf(params, sizeof params, "%s, %s", with, q == 0 ? "p50" : "p99");
        bench_print(name, params, own, "ms", "plain nng, one level", own / peer);
    }
}

static void end_round(struct rounds *r, int round, double *ours, double *plain, int count)
{
    r->p50[0][round] = bench_quantile(ours, (size_t)count, 0.5);
    r->p99[0][round] = bench_quantile(ours, (size_t)count, 0.99);
    r->p50[1][round] = bench_quantile(plain, (size_t)count, 0.5);
    r->p99[1][round] = bench_quantile(plain, (size_t)count, 0.99);
}

static void print_messages(struct rig *rig, const char *name, int changes,
                           const uint64_t before[2][ASKED_KINDS],
                           const uint64_t after[2][ASKED_KINDS])
{
    static const struct {
        const char *params;
        int whose;
        enum asked kind;
    } shown[] = {
        {"statuses told to relays, a change", 1, ASKED_STATUS},
        {"frames from relays to primary, a change", 0, ASKED_SUBTREE},
        {"fetches, a change", 1, ASKED_FETCH},
    };
    bench_print(name, "messages down, a change", rig->relays + rig->hosts, "", NULL, 0);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double n =
            (double)(after[shown[i].whose][shown[i].kind] - before[shown[i].whose][shown[i].kind]);
        bench_print(name, shown[i].params, n / changes, "", NULL, 0);
    }
}

static void converge(struct rig *rig)
{
    struct rounds r;
    uint64_t before[2][ASKED_KINDS], after[2][ASKED_KINDS];
    uint64_t asked[2][ASKED_KINDS] = {0};
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double ours[CHANGES], plain[CHANGES];
        uint64_t first = rig->version + 1;
        look(rig, before[0], before[1]);
        for (int i = 0; i < CHANGES; i++, nap(PAUSE_MS))
            ours[i] = set(rig, i, round % 2 ? "off" : "on");
        look(rig, after[0], after[1]);
        for (int w = 0; w < 2; w++)
            for (int k = 0; k < ASKED_KINDS; k++)
                asked[w][k] += after[w][k] - before[w][k];
        for (int i = 0; i < CHANGES; i++, nap(PAUSE_MS))
            plain[i] = plain_change(rig, first + (uint64_t)i);
        end_round(&r, round, ours, plain, CHANGES);
    }
    uint64_t nothing[2][ASKED_KINDS] = {0};
    print_rounds("converge_tree", "1,000 agents behind 4 relays", &r);
    print_messages(rig, "converge_tree", BENCH_ROUNDS * CHANGES, nothing, asked);
}

static void kill_flags(struct rig *rig)
{
    struct rounds r;
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double ours[CHANGES], plain[2 * CHANGES];
        uint64_t first = rig->version + 1;
        for (int i = 0; i < CHANGES; i++) {
            char body[160];
            snprintf(body, sizeof body, "{\"env\":\"%s\",\"keys\":[\"" BENCH_KEY "\"]}", env_name,
                     i);
            ours[i] = timed_json(rig, "kill", body);
            nap(PAUSE_MS);
            timed_json(rig, "restore", body);
            nap(PAUSE_MS);
        }
        for (int i = 0; i < 2 * CHANGES; i++, nap(PAUSE_MS))
            plain[i] = plain_change(rig, first + (uint64_t)i);
        end_round(&r, round, ours, plain, CHANGES);
    }
    print_rounds("kill_tree", "1,000 agents behind 4 relays", &r);
}

static void print_rollback(const char *flags, double *ours, double *plain)
{
    char params[80];
    double own = bench_median(ours, BENCH_ROUNDS);
    snprintf(params, sizeof params, "of %s, 100 agents", flags);
    bench_print("rollback", params, own, "ms", "plain nng, one level",
                own / bench_median(plain, BENCH_ROUNDS));
}

static void rollback(struct rig *rig)
{
    double ours[2][BENCH_ROUNDS], plain[2][BENCH_ROUNDS];
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (int big = 0; big < 2; big++) {
            if (big)
                set_all(rig, BIG, "on");
            else
                set(rig, round, "on");
            plain_change(rig, rig->version);
            nap(200);
            char body[80];
            snprintf(body, sizeof body, "{\"env\":\"%s\",\"last\":true,\"force\":true}", env_name);
            ours[big][round] = timed_json(rig, "rollback", body);
            plain[big][round] = plain_change(rig, rig->version);
            nap(200);
        }
    print_rollback("1 flag", ours[0], plain[0]);
    print_rollback("10,000 flags", ours[1], plain[1]);
}

/* ------------------------------------------------------------------ at rest */

/* The bytes of a frame on a connection, without TCP: length, and for requests the id. */
static double on_the_wire(const struct buf *frame, bool request)
{
    return (double)frame->len + 8 + (request ? 4 : 0);
}

/* What a host of this bench says, and the heartbeat that it hears, as the programs make them. */
static void frame_sizes(double *status, double *reply, double *heartbeat)
{
    struct env_head head = {.name = slice_str(env_name),
                            .epoch = UINT64_MAX >> 8,
                            .version = 1000,
                            .state = ENV_CURRENT};
    struct buf out = BUF_INIT(4096), origin = BUF_INIT(4096), hop = BUF_INIT(4096);
    frame_put_status(&out, &(struct frame_status){.id = SLICE("host500"),
                                                  .incarnation = UINT64_MAX,
                                                  .software = SLICE("bench"),
                                                  .envs = &head,
                                                  .env_count = 1});
    *status = on_the_wire(&out, true);
    buf_clear(&out);
    frame_put_status_reply(&out, REPLY_OK);
    *reply = on_the_wire(&out, true);
    buf_clear(&out);
    heartbeat_put_origin(&origin, UINT64_C(1) << 33, clock_wall_ms(), &head, 1);
    heartbeat_put_hop(&hop, 1, SLICE("relay1"), &head, 1);
    frame_put_heartbeat(&out, buf_slice(&origin), SLICE(""), buf_slice(&hop));
    *heartbeat = on_the_wire(&out, false);
    buf_done(&out);
    buf_done(&origin);
    buf_done(&hop);
}

static void idle(struct rig *rig)
{
    uint64_t before[2][ASKED_KINDS], after[2][ASKED_KINDS];
    double status, reply, heartbeat;
    nap(5000); /* what was told at once has been told again */
    look(rig, before[0], before[1]);
    int64_t start = clock_mono_ms();
    nap(IDLE_MS);
    look(rig, after[0], after[1]);
    double host_hours = (double)(clock_mono_ms() - start) / 3600000 * rig->hosts;
    double told = (double)(after[1][ASKED_STATUS] - before[1][ASKED_STATUS]);
    double frames = (double)(after[0][ASKED_SUBTREE] - before[0][ASKED_SUBTREE]);
    frame_sizes(&status, &reply, &heartbeat);
    bench_print("idle", "statuses told to relays, a host and hour", told / host_hours, "", NULL, 0);
    bench_print("idle", "their bytes and the replies', a host and hour",
                told * (status + reply) / host_hours, "bytes", NULL, 0);
    bench_print("idle", "frames from relays to primary, a host and hour", frames / host_hours, "",
                "a frame for each status", frames / told);
    bench_print("idle", "frames from relays to primary, a second", frames * 1000 / IDLE_MS, "",
                NULL, 0);
    bench_print("idle", "bytes of heartbeats heard, a host and hour", heartbeat * 5 * 3600, "bytes",
                NULL, 0);
}

int main(int argc, char **argv)
{
    struct rig rig;
    bool tree = bench_wants(argc, argv, "converge_tree"),
         kills = bench_wants(argc, argv, "kill_tree");
    bool rest = bench_wants(argc, argv, "idle"), back = bench_wants(argc, argv, "rollback");
    hash_init();
    log_set_level(LOG_ERROR);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        bench_die("shared memory");
    /* Each rig is begun in a process that has no threads yet. */
    for (int which = 0; which < 2; which++) {
        if (which == 0 ? !(tree || kills || rest) : !back)
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            rig_begin(&rig, which == 0 ? RELAYS_MAX : 0, which == 0 ? HOSTS_MAX : 100,
                      which == 0 ? 100 : BIG);
            if (which == 0 && tree)
                converge(&rig);
            if (which == 0 && kills)
                kill_flags(&rig);
            if (which == 0 && rest)
                idle(&rig);
            if (which == 1)
                rollback(&rig);
            rig_end(&rig);
            exit(0);
        }
        int status;
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
            return 1;
    }
    return 0;
}
