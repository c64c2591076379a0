/* Agents that come back in the same moment: what the primary is asked, and how much at once. A few
 * here, HOIST_AGENTS of them where that is set: tests/system has 300.
 *
 * Each agent is a process of its own, forked from this one before it has any thread, since nng does
 * not close hundreds of connections of one process in a moment. The primary is in this process, so
 * that its counters can be looked at every few milliseconds.
 */
#include "../repl_site.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/metrics.h"

/* Sanitized, so many processes are too slow to say anything of rates; and nng (1.5.2) leaks a message
 * when a stream is closed under dozens of subscribers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

enum {
    AGENTS_MAX = 1000,
    AGENTS_FEW = 40,
    LOOK_MS = 5,
    WINDOW_MS = 250, /* a rate is what comes within so long */
    LOOKS = 120000 / LOOK_MS,
    OUTAGE_MS = 3000, /* every agent has noticed, and dials */
    PATIENCE_MS = 120000,
};

static const char *const ENV = "production";
static const char *const kinds[] = {"hello", "fetch", "snapshot", "status"};
enum { HELLO, FETCH, SNAPSHOT, STATUS, KINDS, ALL = KINDS };

struct crowd {
    struct site primary;
    struct server *server;
    char url[64];
    int agents;
    pid_t pids[AGENTS_MAX];
    int leash; /* the agents end when it is closed */

    pthread_mutex_t lock;
    uint64_t has[AGENTS_MAX]; /* the version that each has told */

    pthread_t clerk;
    atomic_bool ending;
    int64_t at_ms[LOOKS];
    double seen[LOOKS][KINDS + 1];
    int looks;
};

/* A free port below those that the system gives to dialling sockets: of hundreds that dial one of
 * these while nobody listens, one would sooner or later be connected to itself, and hold it. */
static void quiet_tcp_url(char out[64])
{
    for (int port = 21000 + getpid() % 4000 * 2; port < 32000; port += 2) {
        bool ok = true;
        for (int i = 0; i < 2; i++) {
            struct sockaddr_in a = {.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)(port + i)),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            ok = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && ok;
            close(fd);
        }
        if (ok) {
            snprintf(out, 64, "tcp://127.0.0.1:%d", port);
            return;
        }
    }
    fail_msg("no two free ports");
}

/* ---------------------------------------------------------------- the agents */

static void be_an_agent(int i, const char *url, int leash)
{
    struct site site;
    struct agent *agent = NULL;
    struct pollfd end = {.fd = leash, .events = POLLIN};
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    snprintf(site.dir, sizeof site.dir, "%s/hoist-crowd-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    struct agent_config config = {.id = id,
                                  .software = "test",
                                  .upstreams = &url,
                                  .upstream_count = 1,
                                  .envs = &ENV,
                                  .env_count = 1};
    log_set_level(LOG_ERROR);
    if (!mkdtemp(site.dir))
        _exit(1);
    site_open(&site, false);
    do { /* one that cannot go on is started anew, as a service would be */
        if (agent && agent_is_broken(agent))
            agent_stop(agent), agent = NULL;
        if (!agent && agent_start(site.store, &config, &agent) != HOIST_OK)
            _exit(1);
    } while (poll(&end, 1, 500) == 0);
    agent_stop(agent);
    site_end(&site);
    _exit(0);
}

static void fork_agents(struct crowd *c)
{
    int leash[2];
    assert_int_equal(pipe(leash), 0);
    for (int i = 0; i < c->agents; i++) {
        c->pids[i] = fork();
        assert_true(c->pids[i] >= 0);
        if (c->pids[i] > 0)
            continue;
        close(leash[1]);
        be_an_agent(i, c->url, leash[0]);
    }
    close(leash[0]);
    c->leash = leash[1];
}

static void end_agents(struct crowd *c)
{
    close(c->leash);
    for (int i = 0; i < c->agents; i++)
        waitpid(c->pids[i], NULL, 0);
}

/* ---------------------------------------------------------------- what the primary is asked */

static double asked(const char *kind)
{
    char label[32];
    snprintf(label, sizeof label, "kind=\"%s\"", kind);
    return metric_value(metric_series(METRIC_COUNTER, "hoist_requests_total", "", label, NULL));
}

static void *look(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->ending) && c->looks < LOOKS) {
        double *seen = c->seen[c->looks];
        c->at_ms[c->looks++] = clock_mono_ms();
        seen[ALL] = 0;
        for (int k = 0; k < KINDS; k++)
            seen[ALL] += seen[k] = asked(kinds[k]);
        usleep(LOOK_MS * 1000);
    }
    return NULL;
}

static void begin_looking(struct crowd *c)
{
    c->looks = 0;
    atomic_store(&c->ending, false);
    assert_int_equal(pthread_create(&c->clerk, NULL, look, c), 0);
}

static void end_looking(struct crowd *c)
{
    atomic_store(&c->ending, true);
    pthread_join(c->clerk, NULL);
}

/* The most that came within WINDOW_MS, per second. Who looked late divides by what it was. */
static double peak(const struct crowd *c, int kind)
{
    double most = 0;
    for (int from = 0, to = 0; to < c->looks; to++) {
        while (c->at_ms[to] - c->at_ms[from + 1] >= WINDOW_MS)
            from++;
        int64_t ms = c->at_ms[to] - c->at_ms[from];
        double rate = (c->seen[to][kind] - c->seen[from][kind]) * 1000 / (double)ms;
        if (ms >= WINDOW_MS && rate > most)
            most = rate;
    }
    return most;
}

static double total(const struct crowd *c, int kind)
{
    return c->seen[c->looks - 1][kind] - c->seen[0][kind];
}

static void show(const struct crowd *c, const char *what)
{
    printf("%s: %d agents have it after %" PRId64 " ms; at most", what, c->agents,
           c->at_ms[c->looks - 1] - c->at_ms[0]);
    for (int k = 0; k < KINDS; k++)
        printf(" %.0f %s/s of %.0f,", peak(c, k), kinds[k], total(c, k));
    printf(" %.0f/s of all\n", peak(c, ALL));
}

static void on_told(void *arg, const struct told_host *told)
{
    struct crowd *c = arg;
    char id[16];
    if (!told->whole)
        return;
    snprintf(id, sizeof id, "%.*s", SLICE_ARG(told->status.id));
    pthread_mutex_lock(&c->lock);
    c->has[atoi(id)] = told->status.envs[0].version;
    pthread_mutex_unlock(&c->lock);
}

static bool all_have(struct crowd *c, uint64_t version)
{
    int have = 0;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->agents; i++)
        have += c->has[i] == version;
    pthread_mutex_unlock(&c->lock);
    return have == c->agents;
}

static void serve_crowd(struct crowd *c)
{
    const char *url = c->url;
    struct server_config config = {.listen = &url,
                                   .listen_count = 1,
                                   .id = "primary",
                                   .software = "test",
                                   .told = on_told,
                                   .arg = c};
    assert_ok(server_start(c->primary.store, &config, &c->server));
}

/* ---------------------------------------------------------------- days */

/* The primary is there until each agent has `version`; then it is away, and every agent dials. */
static void a_day(struct crowd *c, uint64_t version, const char *what)
{
    begin_looking(c);
    serve_crowd(c);
    wait_until(all_have(c, version), PATIENCE_MS);
    end_looking(c);
    show(c, what);
    server_stop(c->server);
    usleep(OUTAGE_MS * 1000);
}

static void they_ask_one_after_the_other(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#endif
    static struct crowd c = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const char *many = getenv("HOIST_AGENTS");
    c.agents = many ? atoi(many) : AGENTS_FEW;
    assert_in_range(c.agents, 1, AGENTS_MAX);
    quiet_tcp_url(c.url);
    fork_agents(&c);
    site_open(&c.primary, true);
    make_env(c.primary.store, ENV, 0x7000000000000001);
    change_flags(c.primary.store, NULL, ENV, 0, 200, 100);
    a_day(&c, 2, "new hosts");

    /* All are connected again within 250 ms, as nng dials. Asked in that time, too, it would be 4
     * hellos a second, and 16 requests, for each agent. */
    for (uint32_t i = 0; i < 20; i++)
        change_flags(c.primary.store, NULL, ENV, i, 2, 100);
    a_day(&c, 22, "after an outage");
    assert_true(total(&c, HELLO) >= c.agents);
    assert_true(peak(&c, HELLO) <= 2.5 * c.agents);
    assert_true(peak(&c, ALL) <= 10.0 * c.agents);
    assert_true(total(&c, SNAPSHOT) == 0);
    assert_true(total(&c, ALL) <= 8.0 * c.agents); /* nobody asks again and again */
    end_agents(&c);
    site_end(&c.primary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_ask_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
