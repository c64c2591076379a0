/* Metrics of releases: as many series as there are releases, so they are written when they are asked for. Of
 * several of one name the newest has them. */
#include <inttypes.h>
#include <stdio.h>

#include "primary/primary_int.h"
#include "primary/query_release.h"
#include "release/waiting.h"

struct extra {
    const char *name, *value;
};
static const struct extra none;

/* One series, with up to two labels beside `release` and `env`. */
static void put(struct buf *out, const char *metric, const struct release *r, struct slice env,
                struct extra first, struct extra second, double value)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct buf labels = BUF_INIT(4096);
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(env));
    metric_label(&labels, "release", (const char *)r->plan->name.ptr);
    metric_label(&labels, "env", name);
    if (first.name)
        metric_label(&labels, first.name, first.value);
    if (second.name)
        metric_label(&labels, second.name, second.value);
    buf_printf(out, "%s{%s} %.17g\n", metric, buf_str(&labels), value);
    if (!out->err)
        out->err = labels.err;
    buf_done(&labels);
}

/* The environment of its step, "" if that is of none. */
static struct slice env_of(const struct release *r)
{
    uint8_t env = r->plan->steps[r->record.step].env;
    return env == RELEASE_NO_ENV ? SLICE("") : r->plan->envs[env];
}

/* ------------------------------------------------------------------ each metric */

static void count_active(void *arg, const struct release *r)
{
    *(uint32_t *)arg += r->record.state != RELEASE_ENDED;
}

static void write_active(void *releases, struct buf *out)
{
    uint32_t active = 0;
    releases_show_newest(releases, count_active, &active);
    buf_printf(out, "hoist_release_active %" PRIu32 "\n", active);
}

static void put_state(void *arg, const struct release *r)
{
    enum release_standing is = release_standing(&r->record);
    for (int i = 0; i < RELEASE_STANDINGS; i++)
        put(arg, "hoist_release_state", r, env_of(r), (struct extra){"state", release_standings[i]},
            none, is == (enum release_standing)i);
}

static void write_state(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_state, out);
}

/* The share that the last change of its steps up to now gave, or none once it goes back. */
static double percent_of(const struct release *r, uint8_t env)
{
    uint32_t share = 0;
    bool back = r->record.cause != RELEASE_BY_NOBODY;
    for (uint32_t i = 0; i <= r->record.step && !back; i++)
        if (r->plan->steps[i].env == env && r->plan->steps[i].share != RELEASE_NO_CHANGE)
            share = r->plan->steps[i].share;
    return share * 100.0 / RELEASE_EVERYBODY;
}

static void put_percent(void *arg, const struct release *r)
{
    for (uint8_t i = 0; i < r->plan->env_count; i++)
        put(arg, "hoist_release_stage_percent", r, r->plan->envs[i], none, none, percent_of(r, i));
}

static void write_percent(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_percent, out);
}

static void put_soak_good(void *arg, const struct release *r)
{
    put(arg, "hoist_release_soak_good_seconds", r, env_of(r), none, none,
        (double)r->record.soak_ms / 1000);
}

static void write_soak_good(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_soak_good, out);
}

static void put_soak_target(void *arg, const struct release *r)
{
    put(arg, "hoist_release_soak_target_seconds", r, env_of(r), none, none,
        (double)r->plan->steps[r->record.step].soak_ms / 1000);
}

static void write_soak_target(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_soak_target, out);
}

static void put_hold(void *arg, const struct release *r)
{
    for (int c = 0; c < RELEASE_CONDITIONS; c++) {
        struct extra reason = {"reason", release_condition_name((enum release_condition)c)};
        put(arg, "hoist_release_hold_seconds_total", r, env_of(r), reason, none,
            (double)r->stood_ms[c] / 1000);
    }
}

static void write_hold(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_hold, out);
}

static void put_guard_values(void *arg, const struct release *r)
{
    for (uint32_t i = 0; i < r->plan->guard_count; i++) {
        const struct release_guard_record *g = &r->record.guards[i];
        if (g->verdict != RELEASE_PASS && g->verdict != RELEASE_FAIL)
            continue;
        put(arg, "hoist_release_guard_value", r, env_of(r),
            (struct extra){"guard", (const char *)r->plan->guards[i].name.ptr}, none, g->value);
    }
}

static void write_guard_values(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_guard_values, out);
}

static void put_evaluations(void *arg, const struct release *r)
{
    for (uint32_t i = 0; i < r->plan->guard_count; i++)
        for (int v = RELEASE_PASS; v <= RELEASE_ERROR; v++) {
            struct extra guard = {"guard", (const char *)r->plan->guards[i].name.ptr};
            struct extra verdict = {"verdict", release_verdict_name((enum release_verdict)v)};
            put(arg, "hoist_release_guard_evaluations_total", r, env_of(r), guard, verdict,
                (double)r->verdicts[i][v - RELEASE_PASS]);
        }
}

static void write_evaluations(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_evaluations, out);
}

static void put_aborts_of(struct buf *out, const struct release *r, struct slice env)
{
    static const struct {
        enum release_cause cause;
        const char *name;
    } causes[] = {{RELEASE_BY_GUARD, "guard"},
                  {RELEASE_BY_CRITICAL, "critical"},
                  {RELEASE_BY_ALERT, "alert"},
                  {RELEASE_BY_HAND, "hand"}};
    bool here = slice_eq(env, env_of(r));
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        put(out, "hoist_release_aborts_total", r, env, (struct extra){"reason", causes[i].name},
            none, here && r->record.cause == causes[i].cause);
    }
}

/* Of every environment in which its steps are, so that each series has been 0. */
static void put_aborts(void *arg, const struct release *r)
{
    bool has_none = false; /* a step that is of no environment */
    for (uint32_t i = 0; i < r->plan->step_count; i++)
        has_none |= r->plan->steps[i].env == RELEASE_NO_ENV;
    for (uint32_t i = 0; i < r->plan->env_count; i++)
        put_aborts_of(arg, r, r->plan->envs[i]);
    if (has_none)
        put_aborts_of(arg, r, SLICE(""));
}

static void write_aborts(void *releases, struct buf *out)
{
    releases_show_newest(releases, put_aborts, out);
}

/* ------------------------------------------------------------------ all of them */

static const struct {
    enum metric_type type;
    const char *name, *help;
    void (*write)(void *releases, struct buf *out);
} metrics[] = {
    {METRIC_GAUGE, "hoist_release_active", "Releases that have not ended.", write_active},
    {METRIC_GAUGE, "hoist_release_state", "1 for how a release stands; env is its step's.",
     write_state},
    {METRIC_GAUGE, "hoist_release_stage_percent",
     "Share of everybody that a release has given the new variant, in percent.", write_percent},
    {METRIC_GAUGE, "hoist_release_soak_good_seconds",
     "Time observed in the present step with all guards passing.", write_soak_good},
    {METRIC_GAUGE, "hoist_release_soak_target_seconds", "Time that the present step asks for.",
     write_soak_target},
    {METRIC_COUNTER, "hoist_release_hold_seconds_total",
     "Time that a release stood still, by each condition that was unmet, since the primary "
     "started.",
     write_hold},
    {METRIC_GAUGE, "hoist_release_guard_value",
     "The last value of a guard; none while it has no answer.", write_guard_values},
    {METRIC_COUNTER, "hoist_release_guard_evaluations_total",
     "Rounds of guards, by verdict, since the primary started.", write_evaluations},
    {METRIC_COUNTER, "hoist_release_aborts_total", "Releases that were taken back, by reason.",
     write_aborts},
};

void releasing_metrics(struct releases *rs)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        metric_lines(metrics[i].type, metrics[i].name, metrics[i].help,
                     rs ? metrics[i].write : NULL, rs);
}
