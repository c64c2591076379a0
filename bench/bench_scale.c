/* How a fleet of up to 100,000 hosts behaves, simulated: the protocol's code over a virtual network
 * and clock (scale.h says what is real and what is made up). docs/scale.md explains the figures.
 *
 *   HOIST_SEED=N            another history; 1
 *   HOIST_SCALE_HOSTS=N     one fleet of so many hosts, instead of the four and the fan-outs …
 *   HOIST_SCALE_FANOUT=N    … of so many under each publisher; 100; 0: all under the primary
 *   HOIST_SCALE_ROOM=N      … whose ledger has room for so many; as in src/primary/fleet.h
 *
 * Times are virtual, so the same seed gives the same figures on any machine, but for what is named
 * real. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "bench.h"
#include "scale.h"

enum {
    KILL_BEHIND = 12, /* changes committed together with the kill, and before it */
    REST_S = 10,      /* until what all told at once is spread over time */
    IDLE_S = 4,
    ECHO_S = 5,
    RETURN_BEHIND = 10,
    LIMIT_S = 15,
    FANOUT = 100,
    FANOUT_HOSTS = 10000, /* with which fan-outs are compared */
    WHO_SIZE = 64,
    TEXT_SIZE = 96,
    PARAMS_SIZE = TEXT_SIZE + WHO_SIZE,
};

struct run {
    struct scale *w;
    struct scale_config config;
    char who[WHO_SIZE];
};

static double ms(int64_t ns)
{
    return (double)ns / SCALE_MS;
}

static void put(const struct run *r, const char *what, double value, const char *unit)
{
    char params[PARAMS_SIZE];
    snprintf(params, sizeof params, "%s %s", r->who, what);
    bench_print("scale", params, value, unit, NULL, 0);
}

static void put_of(const struct run *r, const char *scenario, const char *what, double value,
                   const char *unit)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s, %s", scenario, what);
    put(r, text, value, unit);
}

/* A time that did not come within the limit is not printed; how many have it is. */
static void put_time(const struct run *r, const char *scenario, const char *what, int64_t ns)
{
    if (ns >= 0)
        put_of(r, scenario, what, ms(ns), "ms");
}

static void put_took(const struct run *r, const char *scenario, const struct scale_took *t)
{
    put_time(r, scenario, "50 %", t->half_ns);
    put_time(r, scenario, "99 %", t->most_ns);
    put_time(r, scenario, "100 %", t->all_ns);
    put_time(r, scenario, "known", t->known_ns);
    if (t->all_ns < 0)
        put_of(r, scenario, "have not", t->hosts - t->have, "hosts");
}

static void settle(struct run *r, const char *scenario)
{
    struct scale_took t = scale_settle(r->w, (int64_t)LIMIT_S * SCALE_S);
    put_took(r, scenario, &t);
}

static uint64_t requests(const struct scale_traffic *t)
{
    return t->hellos + t->fetches + t->snapshots + t->statuses + t->subtrees;
}

static double each(double sum, uint32_t count)
{
    return count ? sum / count : 0;
}

/* ---------------------------------------------------------------- scenarios */

/* Relays and hosts with empty stores, all at once. */
static void begin(struct run *r)
{
    scale_forget(r->w);
    scale_watch(r->w);
    scale_start_all(r->w, 0);
    settle(r, "empty");
    struct scale_seen s = scale_seen(r->w);
    put_of(r, "empty", "primary's peak", s.primary_peak * 10.0, "req/s");
    put_of(r, "empty", "a relay's peak", s.relay_peak * 10.0, "req/s");
    scale_run(r->w, (int64_t)REST_S * SCALE_S);
}

static void idle(struct run *r)
{
    uint32_t relays = scale_relays(r->w);
    scale_forget(r->w);
    scale_run(r->w, (int64_t)IDLE_S * SCALE_S);
    struct scale_seen s = scale_seen(r->w);
    const struct scale_traffic *p = &s.primary, *q = &s.relays;
    put(r, "idle, primary sends", (double)p->beats / IDLE_S, "msg/s");
    put(r, "idle, primary sends B", (double)p->beat_bytes / IDLE_S, "B/s");
    put(r, "idle, primary is asked", (double)requests(p) / IDLE_S, "req/s");
    put(r, "idle, primary is asked B", (double)p->request_bytes / IDLE_S, "B/s");
    put(r, "idle, primary is told of", (double)s.ledger_words / IDLE_S, "hosts/s");
    put(r, "idle, primary's core", (double)p->work_ns / 1e7 / IDLE_S, "%");
    put(r, "idle, longest wait at the primary", ms(s.primary_wait_ns), "ms");
    put(r, "idle, ledger, real", each((double)s.ledger_real_ns / 1e3, (uint32_t)s.ledger_words),
        "us/host");
    if (relays) {
        put(r, "idle, a relay is asked", each((double)requests(q) / IDLE_S, relays), "req/s");
        put(r, "idle, a relay's peak", s.relay_peak * 10.0, "req/s");
        put(r, "idle, longest wait at a relay", ms(s.relay_wait_ns), "ms");
        put(r, "idle, a relay's core", each((double)q->work_ns / 1e7 / IDLE_S, relays), "%");
    }
    put(r, "idle, a host hears", each((double)s.host_bytes / IDLE_S, r->config.hosts), "B/s");
    put(r, "idle, a host sends", each((double)s.host_request_bytes / IDLE_S, r->config.hosts),
        "B/s");
}

static void change(struct run *r)
{
    uint32_t relays = scale_relays(r->w);
    scale_forget(r->w);
    scale_change(r->w, 1, CHANGE_SET);
    settle(r, "change");
    struct scale_seen s = scale_seen(r->w);
    const struct scale_traffic *p = &s.primary, *q = &s.relays;
    put(r, "change, primary sends", (double)p->changes, "msg");
    put(r, "change, primary sends B", (double)p->change_bytes, "B");
    put(r, "change, primary is told in", (double)(p->subtrees + p->statuses), "req");
    put(r, "change, primary is told B", (double)p->request_bytes, "B");
    if (relays) {
        put(r, "change, a relay sends", each((double)q->changes, relays), "msg");
        put(r, "change, a relay sends B", each((double)q->change_bytes, relays), "B");
        put(r, "change, a relay is told in", each((double)(q->subtrees + q->statuses), relays),
            "req");
    }
    put(r, "change, a host hears",
        each((double)(p->change_bytes + q->change_bytes), r->config.hosts + relays), "B");
    scale_run(r->w, SCALE_S);
}

/* What all told at once is told again, by hosts and then by relays, from 1.5 s after it: how much of
 * that comes at once, and how long it makes anything else wait. */
static void echo(struct run *r)
{
    scale_change(r->w, 1, CHANGE_SET);
    (void)scale_settle(r->w, (int64_t)LIMIT_S * SCALE_S);
    scale_run(r->w, SCALE_S);
    scale_forget(r->w);
    scale_run(r->w, (int64_t)ECHO_S * SCALE_S);
    struct scale_seen s = scale_seen(r->w);
    put_of(r, "echo", "primary's peak", s.primary_peak * 10.0, "req/s");
    put_of(r, "echo", "longest wait at the primary", ms(s.primary_wait_ns), "ms");
    if (scale_relays(r->w)) {
        put_of(r, "echo", "a relay's peak", s.relay_peak * 10.0, "req/s");
        put_of(r, "echo", "longest wait at a relay", ms(s.relay_wait_ns), "ms");
    }
}

/* The kill is the last of several that are committed together. */
static void kill_behind(struct run *r)
{
    scale_change(r->w, KILL_BEHIND + 1, CHANGE_KILL);
    settle(r, "kill");
    scale_run(r->w, SCALE_S);
}

static void rough(struct run *r)
{
    scale_set_weather(r->w, &scale_rough);
    scale_run(r->w, SCALE_S);
    scale_forget(r->w);
    scale_change(r->w, 1, CHANGE_SET);
    settle(r, "rough");
    put_of(r, "rough", "holes", (double)scale_seen(r->w).counts[COUNT_HOLE], "");
    scale_set_weather(r->w, &scale_calm);
    scale_run(r->w, SCALE_S);
}

/* Two hosts of a hundred stop each second, and are back within two. */
static void churn(struct run *r)
{
    scale_churn(r->w, r->config.hosts / 50 > 20 ? r->config.hosts / 50 : 20);
    scale_run(r->w, SCALE_S);
    scale_change(r->w, 1, CHANGE_SET);
    settle(r, "churn");
    scale_churn(r->w, 0);
    scale_run(r->w, (int64_t)3 * SCALE_S);
}

/* A tenth of the relays die at the moment of the change. */
static void relays_die(struct run *r)
{
    scale_forget(r->w);
    scale_kill_domain(r->w);
    scale_change(r->w, 1, CHANGE_SET);
    settle(r, "relays die");
    put_of(r, "relays die", "a relay's peak", scale_seen(r->w).relay_peak * 10.0, "req/s");
    scale_revive(r->w);
    scale_run(r->w, (int64_t)2 * SCALE_S);
}

/* The primary is away for 3 s; the change is its first word. */
static void restart(struct run *r)
{
    scale_stop_primary(r->w);
    scale_run(r->w, (int64_t)3 * SCALE_S);
    scale_forget(r->w);
    scale_start_primary(r->w);
    scale_change(r->w, 1, CHANGE_SET);
    settle(r, "restart");
    put_of(r, "restart", "primary's peak", scale_seen(r->w).primary_peak * 10.0, "req/s");
    scale_run(r->w, SCALE_S);
}

/* All relays and hosts were off, and come back in the same moment, some changes behind. */
static void all_return(struct run *r)
{
    scale_stop_all(r->w);
    scale_run(r->w, SCALE_S);
    scale_change(r->w, RETURN_BEHIND, CHANGE_SET);
    scale_forget(r->w);
    scale_watch(r->w);
    scale_start_all(r->w, 0);
    settle(r, "return");
    struct scale_seen s = scale_seen(r->w);
    put_of(r, "return", "primary's peak", s.primary_peak * 10.0, "req/s");
    put_of(r, "return", "a relay's peak", s.relay_peak * 10.0, "req/s");
}

/* ---------------------------------------------------------------- runs */

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void play(const struct scale_config *config, bool all)
{
    double began = cpu_s();
    struct run r = {.config = *config, .w = scale_new(config)};
    snprintf(r.who, sizeof r.who, "%" PRIu32 "/%" PRIu32, config->hosts, config->fanout);
    put(&r, "relays", scale_relays(r.w), "");
    begin(&r);
    idle(&r);
    change(&r);
    echo(&r);
    kill_behind(&r);
    if (all) {
        rough(&r);
        churn(&r);
        relays_die(&r);
        restart(&r);
    }
    all_return(&r);
    scale_run(r.w, (int64_t)5 * SCALE_S);
    put(&r, "not equal in the end", scale_unequal(r.w), "nodes");
    put(&r, "simulated", (double)scale_now(r.w) / SCALE_S, "s");
    put(&r, "events", (double)scale_happened(r.w), "");
    put(&r, "CPU, real", cpu_s() - began, "s");
    put(&r, "memory, real, peak so far", (double)bench_proc_kib(getpid(), "VmHWM:") / 1024, "MiB");
    scale_free(r.w);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t n;
    return text && text_u64(text, &n) == HOIST_OK ? n : fallback;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {100, 1000, 10000, 100000};
    static const uint32_t fanouts[] = {0, 30, 300, 1000};
    struct scale_config config = {
        .hosts = (uint32_t)number_from("HOIST_SCALE_HOSTS", 0),
        .fanout = (uint32_t)number_from("HOIST_SCALE_FANOUT", FANOUT),
        .seed = number_from("HOIST_SEED", 1),
        .room = (uint32_t)number_from("HOIST_SCALE_ROOM", 0),
    };
    if (!bench_wants(argc, argv, "scale"))
        return 0;
    log_set_level(LOG_ERROR);
    bench_print("scale", "seed", (double)config.seed, "", NULL, 0);
    if (config.hosts) {
        play(&config, config.fanout > 0);
        return 0;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        play(&(struct scale_config){sizes[i], FANOUT, config.seed, 0}, true);
    play(&(struct scale_config){1000, 0, config.seed, 0}, false);
    for (size_t i = 0; i < sizeof fanouts / sizeof *fanouts; i++)
        play(&(struct scale_config){FANOUT_HOSTS, fanouts[i], config.seed, 0}, false);
    return 0;
}
