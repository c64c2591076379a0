/* bench_release.c - what running releases costs a primary, and how fast one of them goes back.
 *
 *   release_rest   processor time of a primary with 200 live releases, a round each 15 s, in percent of one core;
 *                  beside it the same primary without them, at the same time. The guards answer at once: what it
 *                  costs to ask a Prometheus is not in it
 *   release_abort  from sending `release_abort` on an open connection until the last of 100 hosts has committed the
 *                  baseline; beside it a kill of the same flag. Stores on tmpfs
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "bench.h"
#include "primary/primary.h"
#include "release/event.h"
#include "repl/agent.h"
#include "wire/frame.h"

enum { HOSTS = 100, LIVE = 200, ABORTS = 40, PAUSE_US = 20000, WINDOW_S = 15, SETTLE_S = 3 };
static const char env_name[] = "production";

/* ------------------------------------------------------------------ a primary */

struct site {
    char *dir, url[64];
    struct store *store;
    struct primary *primary;
    nng_socket commands;
};

static enum hoist_err all_pass(void *arg, const struct release_plan *plan, uint32_t guards,
                               void (*done)(void *done_arg, const struct release_answer *answers),
                               void *done_arg)
{
    struct release_answer answers[RELEASE_GUARDS_MAX];
    (void)arg;
    (void)plan;
    (void)guards;
    for (int i = 0; i < RELEASE_GUARDS_MAX; i++)
        answers[i] = (struct release_answer){RELEASE_PASS, 0};
    done(done_arg, answers);
    return HOIST_OK;
}

static void site_open(struct site *s, int flags)
{
    s->dir = bench_directory("/dev/shm");
    snprintf(s->url, sizeof s->url, "tcp://127.0.0.1:%d", bench_port());
    s->store = bench_store(s->dir, "primary", 0, true);
    const char *urls[] = {s->url}, *envs[] = {env_name};
    struct primary_config config = {.envs = envs,
                                    .env_count = 1,
                                    .listen = urls,
                                    .listen_count = 1,
                                    .id = "primary",
                                    .software = "bench",
                                    .role = "primary",
                                    .guards = {.ask = all_pass}};
    if (primary_start(s->store, &config, &s->primary) != HOIST_OK)
        bench_die("primary");
    if (nng_req0_open(&s->commands) != 0 || nng_dial(s->commands, s->url, NULL, 0) != 0)
        bench_die("dial");
    struct buf body = BUF_INIT(FRAME_COMMAND_MAX);
    bench_import_body(&body, env_name, flags);
    bench_command(s->commands, "apply", buf_slice(&body), NULL);
    buf_done(&body);
}

static void site_close(struct site *s)
{
    nng_close(s->commands);
    primary_stop(s->primary);
    store_close(s->store);
    bench_remove(s->dir);
    free(s->dir);
}

static void nap(int64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* ------------------------------------------------------------------ releases */

/* Its first step gives everybody flag number `n`. */
static void start_release(struct site *s, int n)
{
    char body[2048];
    int len = snprintf(
        body, sizeof body,
        "{\"commit\":\"c0ffee\",\"plan\":\"release: r%d\\ntitle: t\\nowner: mara\\nauthor: mara\\n"
        "flags: [" BENCH_KEY "]\\ninterval: 15s\\n"
        "guards: [{name: freshness, query: 'time() - min(timestamp(up == 1))', pass: '<= 30'}]\\n"
        "announce: {contact: mara}\\nphases:\\n  flags: {steps: []}\\n  monitoring: {steps: []}\\n"
        "  staging: {steps: []}\\n  production: {env: %s, steps: [{percent: 100, soak: 100d, "
        "exposed: 1}]}\\n  watch: {steps: []}\\n\"}",
        n, n, env_name);
    bench_command(s->commands, "release_start", slice_of(body, (size_t)len), NULL);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ------------------------------------------------------------------ at rest */

/* A process of its own with so many releases, that writes what each window took, in percent. */
static int start_resting(int releases)
{
    int ends[2];
    if (pipe(ends) != 0)
        bench_die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        bench_die("fork");
    if (pid > 0) {
        close(ends[1]);
        return ends[0];
    }
    struct site s;
    site_open(&s, LIVE);
    for (int i = 0; i < releases; i++)
        start_release(&s, i);
    nap(SETTLE_S * 1000000);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        double before = cpu_ms();
        nap(WINDOW_S * 1000000);
        double percent = (cpu_ms() - before) / (WINDOW_S * 10.0);
        if (write(ends[1], &percent, sizeof percent) != sizeof percent)
            bench_die("pipe");
    }
    site_close(&s);
    exit(0);
}

static void read_all(int fd, double v[BENCH_ROUNDS])
{
    for (int i = 0; i < BENCH_ROUNDS; i++)
        if (read(fd, &v[i], sizeof v[i]) != sizeof v[i])
            bench_die("a primary at rest");
    close(fd);
}

static void measure_rest(void)
{
    double with[BENCH_ROUNDS], without[BENCH_ROUNDS];
    int busy = start_resting(LIVE), idle = start_resting(0);
    read_all(busy, with);
    read_all(idle, without);
    double own = bench_median(with, BENCH_ROUNDS);
    bench_print("release_rest", "200 releases, a round each 15 s", own, "% core",
                "without releases", own / bench_median(without, BENCH_ROUNDS));
}

/* ------------------------------------------------------------------ going back */

static struct bench_line line;

static void agent_committed(void *arg, const struct change *const *changes, uint32_t count)
{
    (void)arg;
    for (uint32_t i = 0; i < count; i++)
        bench_committed(&line, HOSTS, changes[i]->head.version);
}

/* A command that makes `version`, and the time until all have that. */
static double until_all(struct site *s, uint64_t version, const char *name, const char *body)
{
    bench_expect(&line, version);
    int64_t start = clock_mono_ns();
    bench_command(s->commands, name, slice_str(body), NULL);
    double ms = (double)(bench_wait_for_all(&line, name) - start) / 1e6;
    nap(PAUSE_US);
    return ms;
}

/* One release, and one kill, of flag number `n`. */
static void go_back(struct site *s, int n, uint64_t *version, double *ret_abort, double *ret_kill)
{
    char body[200];
    bench_expect(&line, ++*version);
    start_release(s, n);
    (void)bench_wait_for_all(&line, "start");
    nap(PAUSE_US);
    snprintf(body, sizeof body, "{\"release\":\"r%d\",\"message\":\"it burns\"}", n);
    *ret_abort = until_all(s, ++*version, "release_abort", body);
    snprintf(body, sizeof body, "{\"env\":\"%s\",\"keys\":[\"" BENCH_KEY "\"]}", env_name, n);
    *ret_kill = until_all(s, ++*version, "kill", body);
    (void)until_all(s, ++*version, "restore", body);
}

static void measure_abort(void)
{
    static struct agent *agents[HOSTS];
    static struct store *stores[HOSTS];
    double p50[2][BENCH_ROUNDS], p99[2][BENCH_ROUNDS];
    uint64_t version = 2;
    struct site s;
    site_open(&s, BENCH_ROUNDS * ABORTS);
    const char *urls[] = {s.url}, *envs[] = {env_name};
    bench_expect(&line, version);
    for (int i = 0; i < HOSTS; i++) {
        char id[16];
        snprintf(id, sizeof id, "host%d", i);
        struct agent_config config = {.id = id,
                                      .software = "bench",
                                      .upstreams = urls,
                                      .upstream_count = 1,
                                      .envs = envs,
                                      .env_count = 1,
                                      .applied = agent_committed};
        stores[i] = bench_store(s.dir, "agent", i, false);
        if (agent_start(stores[i], &config, &agents[i]) != HOIST_OK)
            bench_die("agent");
    }
    nap(2000000); /* all have connected and loaded */
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double ms[2][ABORTS];
        for (int i = 0; i < ABORTS; i++)
            go_back(&s, round * ABORTS + i, &version, &ms[0][i], &ms[1][i]);
        for (int who = 0; who < 2; who++) {
            p50[who][round] = bench_quantile(ms[who], ABORTS, 0.5);
            p99[who][round] = bench_quantile(ms[who], ABORTS, 0.99);
        }
    }
    double own = bench_median(p50[0], BENCH_ROUNDS);
    bench_print("release_abort", "100 agents, stores on tmpfs, p50", own, "ms", "kill",
                own / bench_median(p50[1], BENCH_ROUNDS));
    own = bench_median(p99[0], BENCH_ROUNDS);
    bench_print("release_abort", "100 agents, stores on tmpfs, p99", own, "ms", "kill",
                own / bench_median(p99[1], BENCH_ROUNDS));
    for (int i = 0; i < HOSTS; i++) {
        agent_stop(agents[i]);
        store_close(stores[i]);
    }
    site_close(&s);
}

int main(int argc, char **argv)
{
    if (!bench_wants(argc, argv, "release"))
        return 0;
    hash_init();
    measure_rest();
    measure_abort();
    return 0;
}
