/* bench_trust.c - what it costs that commands and changes are signed and checked, and that connections
 * are encrypted by mutual TLS: the first three measures below are taken plain, with signatures alone,
 * and with both, in turns.
 *
 * trust_converge:  from sending a command on an open connection to the last agent's commit, as in
 *                  bench_converge.c. All three fleets stand at once and take turns change by change.
 *                  Stores are on tmpfs, since real hosts have a disk each. Beside it the processor
 *                  time of all, the primary's too, for each agent and change.
 * trust_bootstrap: from starting a new agent to its commit of the last page of 100,000 flags.
 * trust_command:   a command on a connection of its own, as flagctl makes them.
 * trust_sign:      signing a change, checking one, and checking each of a run of 1,000, in which
 *                  the last one's signature vouches for those that it follows on; signing a command
 *                  and checking that. Processor time.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sign.h"
#include "base/text.h"
#include "base/tls.h"
#include "base/uuid.h"
#include "bench.h"
#include "primary/primary.h"
#include "repl/agent.h"
#include "repl/net.h"
#include "repl/rpc.h"
#include "store/store.h"
#include "wire/change.h"
#include "wire/statement.h"

enum {
    HOSTS_MAX = 100,
    CHANGES = 100, /* a round, of each kind */
    WARM_UP = 20,
    PAUSE_US = 20000,
    HEARTBEAT_MS = 1000, /* so that the two fleets that wait leave the third alone */
    FLAGS = 1000,
    MANY_FLAGS = 100000,
    COMMANDS = 20,
    COMMAND_MS = 120000,
    RUN = 1000,
};

static const char env_name[] = "production";

#define COMMAND_BODY "{\"env\":\"production\",\"key\":\"team.flag000000\",\"value\":\"on\"}"

enum kind { PLAIN, SIGNED, WHOLE, KINDS };
static const char *const kind_names[] = {"plain", "signed", "signed and TLS"};

static void nap(int64_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static double processor_us(clockid_t whose)
{
    struct timespec t;
    clock_gettime(whose, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ------------------------------------------------------------------ keys and certificates */

static struct sign_key key;
static struct trust trust;
static struct net_tls *tls;

static void run(char *const argv[])
{
    int status = -1, pid = bench_spawn(argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bench_die("openssl does not make a certificate (make deps-bench)");
}

/* A CA, and one certificate of it for both sides of every connection. */
static void make_certificates(const char *dir)
{
    char ca[300], ca_key[300], cert[300], cert_key[300];
    struct tls_files files;
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", dir);
    snprintf(cert, sizeof cert, "%s/host.pem", dir);
    snprintf(cert_key, sizeof cert_key, "%s/host.key", dir);
    char *make_ca[] = {
        "openssl", "req",   "-x509",  "-newkey", "ec",   "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes",  "-subj", "/CN=ca", "-keyout", ca_key, "-out",     ca,
        NULL};
    char *issue[] = {"openssl",
                     "req",
                     "-x509",
                     "-newkey",
                     "ec",
                     "-pkeyopt",
                     "ec_paramgen_curve:prime256v1",
                     "-nodes",
                     "-subj",
                     "/CN=host",
                     "-keyout",
                     cert_key,
                     "-out",
                     cert,
                     "-CA",
                     ca,
                     "-CAkey",
                     ca_key,
                     "-addext",
                     "basicConstraints=critical,CA:false",
                     "-addext",
                     "subjectAltName=DNS:127.0.0.1",
                     NULL};
    run(make_ca);
    run(issue);
    if (tls_files_read(cert, cert_key, ca, &files) != HOIST_OK ||
        net_tls_new(&files, NULL, &tls) != HOIST_OK)
        bench_die("certificates");
    tls_files_done(&files);
}

static void make_trust(void)
{
    char *dir = bench_directory(NULL);
    make_certificates(dir);
    sign_key_random(&key);
    trust.count = 1;
    memcpy(trust.keys[0], key.public, SIGN_PUBLIC_SIZE);
    bench_remove(dir);
    free(dir);
}

/* ------------------------------------------------------------------ a fleet of each kind */

struct fleet {
    enum kind kind;
    const char *dir;
    char url[64];
    const char *urls[1];
    struct store *store, *stores[HOSTS_MAX];
    struct primary *primary;
    struct agent *agents[HOSTS_MAX];
    int hosts;
    nng_socket commands;
    struct rpc_signer signer; /* of commands, unless the fleet is plain */
    struct bench_line line;
    uint64_t version;
};

static struct fleet fleets[KINDS];

static void start_primary(struct fleet *f, enum kind kind, const char *dir, int port)
{
    const char *env = env_name;
    *f = (struct fleet){.kind = kind, .dir = dir, .signer.key = key};
    snprintf(f->url, sizeof f->url, "%s127.0.0.1:%d", kind == WHOLE ? NET_TLS_SCHEME : "tcp://",
             port);
    f->urls[0] = f->url;
    struct primary_config config = {.envs = &env,
                                    .env_count = 1,
                                    .listen = f->urls,
                                    .listen_count = 1,
                                    .tls = kind == WHOLE ? tls : NULL,
                                    .id = "primary",
                                    .software = "bench",
                                    .role = "primary",
                                    .heartbeat_ms = HEARTBEAT_MS,
                                    .key = kind == PLAIN ? NULL : &key};
    f->store = bench_store(dir, kind_names[kind], 0, true);
    if (primary_start(f->store, &config, &f->primary) != HOIST_OK)
        bench_die("primary");
}

static struct rpc_signer *signer_of(struct fleet *f)
{
    return f->kind == PLAIN ? NULL : &f->signer;
}

static void ask(struct fleet *f, const char *name, struct slice body)
{
    struct frame_command c = {.name = slice_str(name), .author = SLICE("bench"), .body = body};
    struct rpc_answer answer;
    uuid_new(c.request, clock_wall_ms());
    f->signer.knows = false; /* as in a flagctl that was just started */
    if (rpc_signed_command(f->url, tls, &c, signer_of(f), COMMAND_MS, &answer) != HOIST_OK)
        bench_die(name);
    if (answer.exit != 0) {
        fprintf(stderr, "bench: %s: %s\n", name, buf_str(&answer.body));
        exit(1);
    }
    rpc_answer_done(&answer);
}

/* From now on only signed commands are carried out. */
static void grant(struct fleet *f)
{
    char body[160], hex[2 * SIGN_PUBLIC_SIZE + 1];
    text_hex(hex, slice_of(key.public, sizeof key.public));
    int len =
        snprintf(body, sizeof body, "{\"name\":\"bench\",\"role\":\"admin\",\"key\":\"%s\"}", hex);
    ask(f, "access_grant", slice_of(body, (size_t)len));
}

static void start_primaries(const char *dir)
{
    int port = bench_port();
    for (enum kind k = 0; k < KINDS; k++)
        start_primary(&fleets[k], k, dir, port + 2 * (int)k);
    grant(&fleets[SIGNED]);
    grant(&fleets[WHOLE]);
}

static void import(struct fleet *f, int count)
{
    struct buf body = BUF_INIT(FRAME_COMMAND_MAX);
    bench_import_body(&body, env_name, count);
    ask(f, "apply", buf_slice(&body));
    f->version = 2;
    buf_done(&body);
}

static void committed(void *arg, const struct change *const *changes, uint32_t count)
{
    struct fleet *f = arg;
    for (uint32_t i = 0; i < count; i++)
        bench_committed(&f->line, f->hosts, changes[i]->head.version);
}

static struct agent *start_agent(struct fleet *f, int i, struct store *s)
{
    char id[16];
    const char *env = env_name;
    struct agent *a;
    snprintf(id, sizeof id, "host%d", i);
    struct agent_config config = {.id = id,
                                  .software = "bench",
                                  .upstreams = f->urls,
                                  .upstream_count = 1,
                                  .tls = f->kind == WHOLE ? tls : NULL,
                                  .envs = &env,
                                  .env_count = 1,
                                  .heartbeat_ms = HEARTBEAT_MS,
                                  .applied = committed,
                                  .applied_arg = f};
    if (f->kind != PLAIN)
        config.trust = trust;
    if (agent_start(s, &config, &a) != HOIST_OK)
        bench_die("agent");
    return a;
}

static void stop_primary(struct fleet *f)
{
    primary_stop(f->primary);
    store_close(f->store);
}

/* ------------------------------------------------------------------ converge */

/* The time of one change until every agent has it. */
static double change_ms(struct fleet *f)
{
    char body[160];
    int n = (int)f->version - 2;
    int len =
        snprintf(body, sizeof body, "{\"env\":\"%s\",\"key\":\"" BENCH_KEY "\",\"value\":\"%s\"}",
                 env_name, n % FLAGS, n / FLAGS % 2 ? "off" : "on");
    bench_expect(&f->line, ++f->version);
    int64_t start = clock_mono_ns();
    bench_command(f->commands, "set", slice_of(body, (size_t)len), signer_of(f));
    return (double)(bench_wait_for_all(&f->line, kind_names[f->kind]) - start) / 1e6;
}

static void start_hosts(struct fleet *f, int hosts)
{
    char name[32];
    import(f, FLAGS);
    if (nng_req0_open(&f->commands) != 0 ||
        net_dial(f->commands, f->url, FRAME_COMMAND_MAX, tls, NULL) != HOIST_OK)
        bench_die("dial");
    snprintf(name, sizeof name, "%s, agent", kind_names[f->kind]);
    f->hosts = hosts;
    for (int i = 0; i < hosts; i++) {
        f->stores[i] = bench_store(f->dir, name, i, false);
        f->agents[i] = start_agent(f, i, f->stores[i]);
    }
    for (int i = 0; i < hosts; i++) {
        struct buf why = BUF_INIT(1024);
        while (!agent_is_ready(f->agents[i], &why))
            nap(10000);
        buf_done(&why);
    }
    for (int i = 0; i < WARM_UP; i++)
        change_ms(f);
}

static void stop_hosts(struct fleet *f)
{
    for (int i = 0; i < f->hosts; i++) {
        agent_stop(f->agents[i]);
        store_close(f->stores[i]);
    }
    nng_close(f->commands);
}

/* A round: every kind's change in turn, and every other time in the other order; and how much
 * processor time a kind took until the next one's turn. */
static void converge_round(double ms[KINDS][CHANGES], double us[KINDS])
{
    for (int i = 0; i < CHANGES; i++)
        for (int k = 0; k < KINDS; k++) {
            int kind = i % 2 ? KINDS - 1 - k : k;
            double start = processor_us(CLOCK_PROCESS_CPUTIME_ID);
            ms[kind][i] = change_ms(&fleets[kind]);
            nap(PAUSE_US);
            us[kind] += processor_us(CLOCK_PROCESS_CPUTIME_ID) - start;
        }
}

/* Each kind's time, and its ratio to the plain one's. */
static void print_kinds(const char *name, const char *with, double v[KINDS][BENCH_ROUNDS],
                        const char *unit)
{
    char params[96];
    double plain = bench_median(v[PLAIN], BENCH_ROUNDS);
    for (enum kind k = 0; k < KINDS; k++) {
        double own = bench_median(v[k], BENCH_ROUNDS);
        snprintf(params, sizeof params, "%s, %s", with, kind_names[k]);
        bench_print(name, params, own, unit, k == PLAIN ? NULL : "plain", own / plain);
    }
}

static void measure_converge(int hosts)
{
    char *dir = bench_directory("/dev/shm"), with[48];
    double p50[KINDS][BENCH_ROUNDS], p99[KINDS][BENCH_ROUNDS], ms[KINDS][CHANGES];
    double host[KINDS][BENCH_ROUNDS];
    start_primaries(dir);
    for (enum kind k = 0; k < KINDS; k++)
        start_hosts(&fleets[k], hosts);
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double us[KINDS] = {0};
        converge_round(ms, us);
        for (enum kind k = 0; k < KINDS; k++) {
            host[k][round] = us[k] / CHANGES / hosts;
            p50[k][round] = bench_quantile(ms[k], CHANGES, 0.5);
            p99[k][round] = bench_quantile(ms[k], CHANGES, 0.99);
        }
    }
    snprintf(with, sizeof with, "%d agents, p50", hosts);
    print_kinds("trust_converge", with, p50, "ms");
    snprintf(with, sizeof with, "%d agents, p99", hosts);
    print_kinds("trust_converge", with, p99, "ms");
    snprintf(with, sizeof with, "%d agents, processor/agent", hosts);
    print_kinds("trust_converge", with, host, "us");
    for (enum kind k = 0; k < KINDS; k++) {
        stop_hosts(&fleets[k]);
        stop_primary(&fleets[k]);
    }
    bench_remove(dir);
    free(dir);
}

/* ------------------------------------------------------------------ bootstrap, and commands */

/* Whether the store has the import. */
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

static double bootstrap_ms(struct fleet *f, int round)
{
    char name[32];
    snprintf(name, sizeof name, "%s, new", kind_names[f->kind]);
    int64_t start = clock_mono_ns();
    struct store *s = bench_store(f->dir, name, round, false);
    struct agent *a = start_agent(f, round, s);
    while (!is_filled(s))
        nap(200);
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    agent_stop(a);
    store_close(s);
    return ms;
}

static void measure_bootstrap(int flags)
{
    char *dir = bench_directory(NULL), with[48];
    double ms[KINDS][BENCH_ROUNDS];
    start_primaries(dir);
    for (enum kind k = 0; k < KINDS; k++)
        import(&fleets[k], flags);
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (enum kind k = 0; k < KINDS; k++)
            ms[k][round] = bootstrap_ms(&fleets[k], round);
    snprintf(with, sizeof with, "%d flags", flags);
    print_kinds("trust_bootstrap", with, ms, "ms");
    for (enum kind k = 0; k < KINDS; k++)
        stop_primary(&fleets[k]);
    bench_remove(dir);
    free(dir);
}

/* ------------------------------------------------------------------ a command */

static double command_ms(struct fleet *f)
{
    int64_t start = clock_mono_ns();
    ask(f, "list", SLICE("{\"env\":\"production\"}"));
    return (double)(clock_mono_ns() - start) / 1e6;
}

static void measure_command(void)
{
    char *dir = bench_directory("/dev/shm");
    double p50[KINDS][BENCH_ROUNDS], ms[KINDS][COMMANDS];
    start_primaries(dir);
    for (enum kind k = 0; k < KINDS; k++)
        import(&fleets[k], 1);
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        for (int i = 0; i < COMMANDS; i++)
            for (enum kind k = 0; k < KINDS; k++)
                ms[k][i] = command_ms(&fleets[k]);
        for (enum kind k = 0; k < KINDS; k++)
            p50[k][round] = bench_median(ms[k], COMMANDS);
    }
    print_kinds("trust_command", "a connection of its own, p50", p50, "ms");
    for (enum kind k = 0; k < KINDS; k++)
        stop_primary(&fleets[k]);
    bench_remove(dir);
    free(dir);
}

/* ------------------------------------------------------------------ signing and checking */

struct chain { /* changes, each of which follows on the one before */
    struct buf bytes[RUN];
    struct change changes[RUN];
};

static void make_change(struct buf *out, uint64_t version, const uint8_t prev[HASH_SIZE])
{
    struct change_header head = {.env = slice_str(env_name),
                                 .epoch = 1,
                                 .version = version,
                                 .author = SLICE("bench"),
                                 .kind = CHANGE_SET,
                                 .edits_count = 1};
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    uint8_t record[200] = {0};
    memcpy(head.prev, prev, HASH_SIZE);
    edits_begin(&edits, 1);
    edits_put(&edits, SLICE("team.flag000000"), slice_of(record, sizeof record));
    if (change_encode(&head, buf_slice(&edits), change_unsigned, out, NULL) != HOIST_OK)
        bench_die("a change");
    buf_done(&edits);
}

static void read_change(struct chain *c, int i)
{
    if (change_decode(buf_slice(&c->bytes[i]), &c->changes[i]) != HOIST_OK)
        bench_die("a change");
}

static void make_chain(struct chain *c)
{
    uint8_t prev[HASH_SIZE] = {0};
    for (int i = 0; i < RUN; i++) {
        c->bytes[i] = BUF_INIT(CHANGE_BYTES_MAX);
        make_change(&c->bytes[i], (uint64_t)i + 1, prev);
        read_change(c, i);
        memcpy(prev, c->changes[i].hash, HASH_SIZE);
    }
}

static void vouch(const struct change *changes, uint32_t count)
{
    bool vouched[RUN];
    change_vouch(&trust, changes, count, vouched);
    for (uint32_t i = 0; i < count; i++)
        if (!vouched[i])
            bench_die("nobody has signed a change");
}

static void sign_command(void)
{
    uint8_t signature[SIGNATURE_SIZE];
    struct frame_command c = {.name = SLICE("set"), .body = SLICE(COMMAND_BODY)};
    if (frame_command_sign(&c, &key, signature) != HOIST_OK)
        bench_die("sign");
}

static void check_command(void)
{
    static uint8_t signature[SIGNATURE_SIZE];
    static struct frame_command c = {.name = SLICE("set"), .body = SLICE(COMMAND_BODY)};
    if (!c.key.ptr && frame_command_sign(&c, &key, signature) != HOIST_OK)
        bench_die("sign");
    if (!frame_command_is_signed(&c))
        bench_die("nobody has signed a command");
}

enum step { READ, SIGN, CHECK, CHECK_RUN, SIGN_COMMAND, CHECK_COMMAND, STEPS };

static void take(enum step step, struct chain *c, int i)
{
    switch (step) {
    case READ:
        read_change(c, i);
        return;
    case SIGN:
        if (change_sign(c->bytes[i].ptr, c->bytes[i].len, &key) != HOIST_OK)
            bench_die("sign");
        return;
    case CHECK:
        vouch(&c->changes[i], 1);
        return;
    case CHECK_RUN:
        if (i == 0)
            vouch(c->changes, RUN);
        return;
    case SIGN_COMMAND:
        sign_command();
        return;
    default:
        check_command();
    }
}

/* The microseconds of each step, for one change or command. */
static void measure_sign(void)
{
    static const char *const names[] = {[SIGN] = "signing a change",
                                        [CHECK] = "checking a change",
                                        [CHECK_RUN] = "checking a run of 1000, a change",
                                        [SIGN_COMMAND] = "signing a command",
                                        [CHECK_COMMAND] = "checking a command"};
    static struct chain c;
    double us[STEPS][BENCH_ROUNDS];
    make_chain(&c);
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (enum step s = 0; s < STEPS; s++) {
            double start = processor_us(CLOCK_THREAD_CPUTIME_ID);
            for (int i = 0; i < RUN; i++)
                take(s, &c, i);
            us[s][round] = (processor_us(CLOCK_THREAD_CPUTIME_ID) - start) / RUN;
        }
    double read = bench_median(us[READ], BENCH_ROUNDS);
    for (enum step s = SIGN; s < STEPS; s++) {
        double own = bench_median(us[s], BENCH_ROUNDS);
        bench_print("trust_sign", names[s], own, "us", "decoding and hashing a change", own / read);
    }
    for (int i = 0; i < RUN; i++)
        buf_done(&c.bytes[i]);
}

static void converge(void)
{
    measure_converge(1);
    measure_converge(HOSTS_MAX);
}

static void bootstrap(void)
{
    measure_bootstrap(MANY_FLAGS);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*measure)(void);
    } all[] = {{"trust_converge", converge},
               {"trust_bootstrap", bootstrap},
               {"trust_command", measure_command},
               {"trust_sign", measure_sign}};
    hash_init();
    log_set_level(LOG_ERROR);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!bench_wants(argc, argv, "trust") && !bench_wants(argc, argv, all[i].name))
            continue;
        if (!tls)
            make_trust();
        all[i].measure();
    }
    net_tls_drop(tls);
    return 0;
}
