/* sim_main.c - sim SEED STEPS: storms and calms until so many steps are done. A step is an event that
 * came to somebody: a message, a request, a reply, a turn of a host's loop, a command. */
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "sim.h"

enum {
    STORM_MS = 25000,
    HEAL_MS = 200000, /* two retries of 30 s, and a minute until an upstream is asked again */
    LIES_MS = 130000, /* for so long the one that lies goes on */
    CALM_MS = 6000,
    WEATHER_MS = 500,
    COMMAND_MS = 150,
    ROUNDS = 20, /* storms in one world; then another begins */
    STEPS = 1000000,
};

struct sim sim;

/* ---------------------------------------------------------------- what is said */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    nftw(sim.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void tell_seed(void)
{
    printf("\nsim: that was seed %" PRIu64 ", step %" PRIu64 "; make sim SEED=%" PRIu64
           " STEPS=%" PRIu64 " plays it again, and HOIST_LOG=info shows what the hosts say\n",
           sim.seed, sim.steps, sim.seed, sim.steps + 1);
    fflush(stdout);
    remove_dir();
}

void sim_wrong(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("sim: at %" PRId64 " ms: ", sim.now);
    vprintf(fmt, args);
    va_end(args);
    tell_seed();
    exit(1);
}

/* An assertion of the product failed, or worse. */
static void on_signal(int number)
{
    signal(number, SIG_DFL);
    tell_seed();
    raise(number);
}

void sim_ok(enum hoist_err err, const char *what)
{
    if (err != HOIST_OK)
        sim_wrong("%s: %s: %s", what, err_word(err), err_last());
}

void sim_trace(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        sim.trace = (sim.trace ^ at[i]) * 0x100000001b3u;
}

/* ---------------------------------------------------------------- a world */

/* Each host follows honest ones in an order of its own, and perhaps the one that lies. */
static void choose_upstreams(struct sim_node *n)
{
    uint32_t honest = n->index > SIM_RELAYS ? SIM_RELAYS + 1 : n->index; /* no ring of relays */
    uint32_t all[SIM_RELAYS + 2], count = 0;
    for (uint32_t i = 0; i < honest; i++)
        all[count++] = i;
    if (sim_chance(600))
        all[count++] = SIM_ROGUE;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = sim_dice(i), t = all[k];
        all[k] = all[i - 1];
        all[i - 1] = t;
    }
    bool lies = true;
    n->upstreams = 0;
    for (uint32_t i = 0; i < count && n->upstreams < SIM_UPSTREAMS; i++) {
        if (n->upstreams == SIM_UPSTREAMS - 1 && lies && all[i] == SIM_ROGUE)
            continue;
        sim_url(all[i], n->urls[n->upstreams++]);
        lies = lies && all[i] == SIM_ROGUE;
    }
}

static void world_begin(void)
{
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        struct sim_node *n = &sim.nodes[i];
        struct buf copy = n->copy;
        *n = (struct sim_node){.index = i, .life = n->life, .copy = copy};
        buf_clear(&n->copy);
        snprintf(n->id, sizeof n->id, "%s%u",
                 i == 0            ? "primary"
                 : i <= SIM_RELAYS ? "relay"
                                   : "host",
                 i);
        snprintf(n->dir, sizeof n->dir, "%s/%u", sim.dir, i);
    }
    weather_heal();
    sim_clock_set(sim.now, 0);
    primary_begin();
    for (uint32_t i = 1; i <= SIM_HOSTS; i++) {
        sim.here = i;
        choose_upstreams(&sim.nodes[i]);
        host_start(&sim.nodes[i]);
    }
    sim_put((struct sim_event){.kind = SIM_COMMAND});
    sim_put((struct sim_event){.kind = SIM_WEATHER});
}

static void world_end(void)
{
    for (uint32_t i = 1; i <= SIM_HOSTS; i++)
        if (sim.nodes[i].up)
            host_stop(&sim.nodes[i]);
    rogue_end();
    primary_end();
    truth_end();
    sim_forget_events();
    for (uint32_t i = 0; i < SIM_NODES; i++)
        nftw(sim.nodes[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---------------------------------------------------------------- a step */

static void turn(const struct sim_event *e)
{
    struct sim_node *n = &sim.nodes[e->node];
    n->turn_at = INT64_MAX;
    host_turn(n);
}

static void command(void)
{
    if (sim.storm) {
        primary_command();
        rogue_command();
    }
    sim_put((struct sim_event){.kind = SIM_COMMAND, .at = 1 + sim_dice(COMMAND_MS)});
}

static void weather(void)
{
    if (sim.storm)
        weather_change();
    sim_put((struct sim_event){.kind = SIM_WEATHER, .at = WEATHER_MS});
}

/* Whether there is still somebody to whom it happens. */
static bool is_of_now(const struct sim_event *e)
{
    const struct sim_node *n = &sim.nodes[e->node];
    switch (e->kind) {
    case SIM_TURN:
        return n->life == e->life && n->turn_at == e->at;
    case SIM_BEAT:
    case SIM_START:
        return n->life == e->life;
    default:
        return true;
    }
}

static void happen(struct sim_event *e)
{
    switch (e->kind) {
    case SIM_MESSAGE:
        sim_message(e);
        break;
    case SIM_REQUEST:
    case SIM_UP_REQUEST:
        sim.here = e->peer;
        site_asked(e);
        break;
    case SIM_REPLY:
        sim_reply(e);
        break;
    case SIM_DEADLINE:
        sim_deadline(e);
        break;
    case SIM_UP_REPLY:
    case SIM_UP_LATE:
        site_passed_up(e);
        break;
    case SIM_TURN:
        turn(e);
        break;
    case SIM_BEAT:
        site_beat(&sim.nodes[e->node]);
        break;
    case SIM_COMMAND:
        command();
        break;
    case SIM_WEATHER:
        weather();
        break;
    case SIM_START:
        host_start(&sim.nodes[e->node]);
        break;
    }
}

static void step(void)
{
    struct sim_event e;
    if (!sim_next(&e))
        sim_wrong("nothing happens any more");
    if (is_of_now(&e)) {
        uint64_t told[] = {(uint64_t)e.at, e.kind, e.node, e.peer, e.bytes.len};
        sim_trace(told, sizeof told);
        sim.steps++;
        sim.here = e.node;
        sim_clock_set(sim.now, sim.nodes[e.node].skew_ms);
        happen(&e);
    }
    buf_done(&e.bytes);
}

/* ---------------------------------------------------------------- when all is well again */

static bool env_is_equal(struct store_read *p, struct store_read *r, uint32_t k)
{
    struct store_env mine, its;
    bool here = store_env_get(p, sim_envs[k], &mine) == HOIST_OK && mine.head > 0;
    bool there = store_env_get(r, sim_envs[k], &its) == HOIST_OK && its.head > 0;
    return here == there && (!here || (mine.epoch == its.epoch && mine.head == its.head &&
                                       hash_equal(mine.hash, its.hash)));
}

static bool is_equal(const struct sim_node *n)
{
    struct store_read *p, *r;
    if (!n->up)
        return false;
    sim_ok(store_read_begin(sim.nodes[SIM_PRIMARY].store, false, &p), "the primary's store");
    sim_ok(store_read_begin(n->store, false, &r), n->id);
    bool equal = true;
    for (uint32_t k = 0; k < SIM_ENVS && equal; k++)
        equal = env_is_equal(p, r, k);
    store_read_end(r);
    store_read_end(p);
    return equal;
}

static const struct sim_node *first_unequal(void)
{
    for (uint32_t i = 1; i <= SIM_HOSTS; i++)
        if (!is_equal(&sim.nodes[i]))
            return &sim.nodes[i];
    return NULL;
}

static void tell_fault(void *arg, const struct store_fault *fault)
{
    const struct sim_node *n = arg;
    if (n->index == SIM_PRIMARY && strstr(fault->what, "the record cannot be read"))
        return; /* bad records are its own writing */
    sim_wrong("the store of %s has a fault in '%s': %s", n->id, fault->database, fault->what);
}

/* As `flagctl fsck` does. */
static void check_store(struct sim_node *n)
{
    struct store_read *r;
    struct store_checked sums;
    sim_ok(store_read_begin(n->store, false, &r), n->id);
    sim_ok(store_check(r, tell_fault, n, &sums), n->id);
    store_read_end(r);
    sim.figures.stores_checked++;
}

struct current { /* how many hosts the primary has heard of that have what it has */
    const struct store_env *env;
    uint32_t hosts;
};

static void count_current(void *arg, const struct fleet_host *host)
{
    struct current *c = arg;
    c->hosts += host->state != FLEET_SILENT && host->epoch == c->env->epoch &&
                host->version == c->env->head;
}

/* Whether the primary has heard of each host that it has everything. */
static bool ledger_knows(void)
{
    struct store_read *r;
    struct store_env env;
    bool knows = true;
    sim_ok(store_read_begin(sim.nodes[SIM_PRIMARY].store, false, &r), "the primary's store");
    for (uint32_t k = 0; k < SIM_ENVS && knows; k++) {
        struct current current = {.env = &env};
        if (store_env_get(r, sim_envs[k], &env) != HOIST_OK)
            continue;
        fleet_each(sim.fleet, &env, count_current, &current);
        knows = current.hosts == SIM_HOSTS;
    }
    store_read_end(r);
    return knows;
}

static void run_until(int64_t end, uint64_t steps)
{
    while (sim.now < end && sim.steps < steps)
        step();
}

/* Who of the hosts is not where the primary is, 200 s after the last fault. */
static void give_up(void)
{
    const struct sim_node *n = first_unequal();
    if (n)
        sim_wrong("%s, which follows node %u, has not what the primary has, %d ms after the last "
                  "fault",
                  n->id, n->agent && n->agent->upstream ? n->agent->upstream->server : 0, HEAL_MS);
    sim_wrong("all have what the primary has, which does not know, %d ms after the last fault",
              HEAL_MS);
}

/* Who passes on what the primary says, and keeps back what it has, is found out by then. */
static void end_lies(void)
{
    const struct sim_node *n = first_unequal();
    if (n && sim.nodes[SIM_ROGUE].up && sim.lie >= LIE_WITHHOLDS)
        sim_wrong("%s, which follows node %u, has not what the primary has, %d ms after the last "
                  "fault but one that keeps back what it has",
                  n->id, n->agent && n->agent->upstream ? n->agent->upstream->server : 0, LIES_MS);
    rogue_end();
}

static void calm(uint64_t steps)
{
    int64_t healed = sim.now;
    weather_heal();
    while (sim.steps < steps && (first_unequal() || !ledger_knows())) {
        if (sim.now > healed + HEAL_MS)
            give_up();
        if (sim.now > healed + LIES_MS)
            end_lies();
        if (primary_is_set_back())
            primary_new_epochs();
        run_until(sim.now + 20, steps);
    }
    if ((uint64_t)(sim.now - healed) > sim.figures.worst_heal_ms)
        sim.figures.worst_heal_ms = (uint64_t)(sim.now - healed);
    run_until(sim.now + CALM_MS, steps);
    if (sim.steps >= steps)
        return;
    if (first_unequal())
        sim_wrong("%s was equal to the primary, and is no more", first_unequal()->id);
    for (uint32_t i = 0; i <= SIM_HOSTS; i++)
        check_store(&sim.nodes[i]);
}

static void play(uint64_t steps)
{
    while (sim.steps < steps) {
        world_begin();
        for (uint32_t i = 0; i < ROUNDS && sim.steps < steps; i++) {
            sim.storm = true;
            run_until(sim.now + STORM_MS, steps);
            sim.storm = false;
            calm(steps);
        }
        world_end();
    }
}

/* ---------------------------------------------------------------- the program */

static uint64_t number(const char *text, const char *what)
{
    uint64_t n;
    if (text_u64(text, &n) == HOIST_OK)
        return n;
    fprintf(stderr, "sim: %s '%s' is no number; usage: sim [SEED [STEPS]]\n", what, text);
    exit(2);
}

static double count_of(const char *name, const char *labels)
{
    return metric_value(metric_series(METRIC_COUNTER, name, "", labels, NULL));
}

static void tell(double seconds)
{
    const struct sim_figures *f = &sim.figures;
    printf("sim: seed %" PRIu64 ", %" PRIu64 " steps in %.1f s of CPU, trace %016" PRIx64 "\n",
           sim.seed, sim.steps, seconds, sim.trace);
    printf("  %" PRIu64 " commands, %" PRIu64 " changes, %" PRIu64 " bad records, %" PRIu64
           " new epochs; lost %" PRIu64 ", twice %" PRIu64 ", altered %" PRIu64
           ", links cut %" PRIu64 "\n",
           f->commands, f->changed, f->bad_records, f->epochs, f->lost, f->doubled, f->mangled,
           f->cut);
    printf("  %" PRIu64 " crashes, %" PRIu64 " restarts, %" PRIu64
           " primaries taken over from a copy, %" PRIu64 " set back; %.0f forged and %.0f bad "
           "messages refused, %" PRIu64 " stores checked; healed within %" PRIu64
           " ms; lost changes 0\n",
           f->crashes, f->restarts, f->set_back, f->forks,
           count_of("hoist_frames_refused_total", "reason=\"forged\""),
           count_of("hoist_frames_refused_total", "reason=\"frame\""), f->stores_checked,
           f->worst_heal_ms);
}

static void begin(uint64_t seed)
{
    enum log_level level;
    const char *log = getenv("HOIST_LOG");
    snprintf(sim.dir, sizeof sim.dir, "/dev/shm/hoist-sim-XXXXXX");
    if (!mkdtemp(sim.dir)) {
        perror(sim.dir);
        exit(1);
    }
    if (log && log_level_parse(log, &level) == HOIST_OK)
        log_set_level(level);
    else
        log_set_level((enum log_level)(LOG_ERROR - 1)); /* not a word */
    sim.seed = sim.random = seed;
    sim.now = 1000000;
    sim.trace = 0xcbf29ce484222325u;
    sim.out = BUF_INIT(FRAME_COMMAND_MAX);
    sim.copied_origin = sim.copied_signature = BUF_INIT(1 << 20);
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    sim_random_begin(seed);
    hash_init();
    sign_key_random(&sim.key);
    sign_key_random(&sim.forged_key);
}

int main(int argc, char **argv)
{
    struct timespec before, after;
    begin(argc > 1 ? number(argv[1], "SEED") : (uint64_t)time(NULL));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    play(argc > 2 ? number(argv[2], "STEPS") : STEPS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    tell((double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9);
    remove_dir();
    return 0;
}
