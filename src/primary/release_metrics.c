/* Metrics of releases: as many series as there are releases, so they are written when they are asked for. */
#include <inttypes.h>
#include <stdio.h>

#include "primary/primary_int.h"
#include "primary/query_release.h"

struct writing {
    struct buf *out;
    const char *name;
};

static void put_labels(struct buf *out, const char *name, const struct release *r, struct slice env)
{
    char text[STORE_ENV_NAME_MAX + 1];
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(env));
    buf_printf(out, "%s{", name);
    metric_label(out, "release", (const char *)r->plan->name.ptr);
    metric_label(out, "env", text);
}

static void put_value(struct buf *out, const char *label, const char *value, double v)
{
    if (label)
        metric_label(out, label, value);
    buf_printf(out, "} %.17g\n", v);
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
    releases_show(releases, SLICE(""), count_active, &active);
    buf_printf(out, "hoist_release_active %" PRIu32 "\n", active);
}

static void put_state(void *arg, const struct release *r)
{
    enum release_standing is = release_standing(&r->record);
    for (int i = 0; i < RELEASE_STANDINGS; i++) {
        put_labels(arg, "hoist_release_state", r, env_of(r));
        put_value(arg, "state", release_standings[i], is == (enum release_standing)i);
    }
}

static void write_state(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_state, out);
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
    for (uint8_t i = 0; i < r->plan->env_count; i++) {
        put_labels(arg, "hoist_release_stage_percent", r, r->plan->envs[i]);
        put_value(arg, NULL, NULL, percent_of(r, i));
    }
}

static void write_percent(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_percent, out);
}

static void put_soak_good(void *arg, const struct release *r)
{
    put_labels(arg, "hoist_release_soak_good_seconds", r, env_of(r));
    put_value(arg, NULL, NULL, (double)r->record.soak_ms / 1000);
}

static void write_soak_good(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_soak_good, out);
}

static void put_soak_target(void *arg, const struct release *r)
{
    put_labels(arg, "hoist_release_soak_target_seconds", r, env_of(r));
    put_value(arg, NULL, NULL, (double)r->plan->steps[r->record.step].soak_ms / 1000);
}

static void write_soak_target(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_soak_target, out);
}

static void put_guard_values(void *arg, const struct release *r)
{
    for (uint32_t i = 0; i < r->plan->guard_count; i++) {
        const struct release_guard_record *g = &r->record.guards[i];
        if (g->verdict != RELEASE_PASS && g->verdict != RELEASE_FAIL)
            continue;
        put_labels(arg, "hoist_release_guard_value", r, env_of(r));
        put_value(arg, "guard", (const char *)r->plan->guards[i].name.ptr, g->value);
    }
}

static void write_guard_values(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_guard_values, out);
}

static void put_evaluations(void *arg, const struct release *r)
{
    for (uint32_t i = 0; i < r->plan->guard_count; i++)
        for (int v = RELEASE_PASS; v <= RELEASE_ERROR; v++) {
            put_labels(arg, "hoist_release_guard_evaluations_total", r, env_of(r));
            metric_label(arg, "guard", (const char *)r->plan->guards[i].name.ptr);
            put_value(arg, "verdict", release_verdict_name((enum release_verdict)v),
                      (double)r->verdicts[i][v - RELEASE_PASS]);
        }
}

static void write_evaluations(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_evaluations, out);
}

static void put_aborts(void *arg, const struct release *r)
{
    static const struct {
        enum release_cause cause;
        const char *name;
    } causes[] = {{RELEASE_BY_GUARD, "guard"},
                  {RELEASE_BY_CRITICAL, "critical"},
                  {RELEASE_BY_ALERT, "alert"},
                  {RELEASE_BY_HAND, "hand"}};
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        put_labels(arg, "hoist_release_aborts_total", r, env_of(r));
        put_value(arg, "reason", causes[i].name, r->record.cause == causes[i].cause);
    }
}

static void write_aborts(void *releases, struct buf *out)
{
    releases_show(releases, SLICE(""), put_aborts, out);
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
