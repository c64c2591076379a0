/* A release's guards and alerts, asked of a Prometheus about hours that are over. */
#include "release_compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "release_run.h"

enum { DAY_MS = 86400000, KEPT_PERCENT = 95, ALERT_QUERY_MAX = 256 };

struct asking {
    const struct prometheus_config *config;
    char away[PROMETHEUS_WHY_SIZE]; /* why nobody answers: then nothing more is asked; "" */
};

/* Series to be given back; NULL: no answer, and `why` says so. */
static json_t *ask_range(struct asking *a, const char *query, const struct prometheus_range *range,
                         char why[PROMETHEUS_WHY_SIZE])
{
    json_t *series = NULL;
    enum hoist_err err = HOIST_EIO;
    if (!*a->away) {
        err = prometheus_range_ask(a->config, query, range, &series);
        if (err == HOIST_EIO)
            snprintf(a->away, sizeof a->away, "%s", err_last());
        if (err)
            snprintf(why, PROMETHEUS_WHY_SIZE, "%s", err_last());
    } else {
        snprintf(why, PROMETHEUS_WHY_SIZE, "%s", a->away);
    }
    return err ? NULL : series;
}

/* ------------------------------------------------------------------ two windows */

struct story_window compare_window(const struct story *t)
{
    const struct release_record *r = &t->history.record;
    struct story_window w = {0};
    int64_t from = release_history_watch_ms(&t->history), to = t->at_ms;
    if (!from)
        return w;
    if (t->history.abort.decided_ms)
        to = t->history.abort.decided_ms;
    else if (r->ended_ms)
        to = r->ended_ms;
    if (to < from)
        to = from; /* the clock was set back */
    int64_t step = prometheus_range_step(to - from, t->plan->interval_ms);
    w.days = to > r->started_ms ? (to - r->started_ms + DAY_MS - 1) / DAY_MS : 1;
    int64_t earlier = w.days * DAY_MS;
    w.watch = (struct prometheus_range){from, to, step};
    w.before = (struct prometheus_range){from - earlier, to - earlier, step};
    return w;
}

static json_t *window_json(const struct prometheus_range *r)
{
    char from[TEXT_TIME_SIZE], to[TEXT_TIME_SIZE];
    text_time(from, r->from_ms);
    text_time(to, r->to_ms);
    return json_pack("{ss ss}", "from", from, "to", to);
}

/* ------------------------------------------------------------------ one guard, one window */

struct points { /* a value for each moment that was asked about; NaN: none, or not one */
    double *values;
    bool *seen;
    uint32_t count;
};

static bool points_init(struct points *p, uint32_t count)
{
    *p = (struct points){.values = mem_alloc(count * sizeof *p->values),
                         .seen = mem_zalloc(count, sizeof *p->seen),
                         .count = count};
    for (uint32_t i = 0; p->values && i < count; i++)
        p->values[i] = NAN;
    return p->values && p->seen;
}

static void points_done(struct points *p)
{
    mem_free(p->values);
    mem_free(p->seen);
}

/* Several series at one moment are no answer of a guard, then as at any time. */
static void points_fill(struct points *p, const json_t *all, const struct prometheus_range *range)
{
    size_t s, i;
    json_t *series;
    json_array_foreach(all, s, series)
    {
        size_t count = json_array_size(json_object_get(series, "values"));
        for (i = 0; i < count; i++) {
            int64_t ms;
            double value;
            prometheus_range_value(series, i, &ms, &value);
            int64_t at = (ms - range->from_ms + range->step_ms / 2) / range->step_ms;
            if (ms < range->from_ms || at >= p->count)
                continue;
            p->values[at] = p->seen[at] ? NAN : value;
            p->seen[at] = true;
        }
    }
}

static json_t *numbers_json(const struct points *p, struct release_bound pass,
                            const struct prometheus_range *range)
{
    char at[TEXT_TIME_SIZE];
    struct values v = {0};
    uint64_t kept = 0;
    uint32_t least = 0;
    bool ok = true;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!isfinite(p->values[i]))
            continue;
        kept += release_within(pass, p->values[i]);
        if (v.count == 0 || p->values[i] < p->values[least])
            least = i;
        ok = ok && values_add(&v, p->values[i]);
    }
    json_t *out = json_pack("{sI sI sI sn}", "points", (json_int_t)p->count, "with_data",
                            (json_int_t)v.count, "kept", (json_int_t)kept, "why");
    if (v.count == 0)
        json_object_set_new(out, "why", json_string("no data"));
    text_time(at, range->from_ms + least * range->step_ms);
    json_object_set_new(out, "min_at", v.count ? json_string(at) : json_null());
    values_put(&v, out);
    values_done(&v);
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}

/* NULL: no memory. */
static json_t *numbers_of(struct asking *a, const struct release_guard *g,
                          const struct prometheus_range *range)
{
    char why[PROMETHEUS_WHY_SIZE];
    struct points p;
    json_t *out = NULL, *series = ask_range(a, (const char *)g->query.ptr, range, why);
    if (!series) {
        struct values none = {0};
        out = json_pack("{si si si ss sn}", "points", 0, "with_data", 0, "kept", 0, "why", why,
                        "min_at");
        values_put(&none, out);
        return out;
    }
    if (points_init(&p, prometheus_range_points(range))) {
        points_fill(&p, series, range);
        out = numbers_json(&p, g->pass, range);
    }
    points_done(&p);
    json_decref(series);
    return out;
}

/* ------------------------------------------------------------------ met, or not */

/* Of all moments of the watch so many have to keep the bound; one without data does not. What lacks data
 * and could have kept it is unknown. */
static const char *baseline_of(const json_t *watch)
{
    uint64_t points = number_of(watch, "points"), kept = number_of(watch, "kept");
    uint64_t broken = number_of(watch, "with_data") - kept;
    if (points && kept * 100 >= points * KEPT_PERCENT)
        return "met";
    return broken * 100 > points * (100 - KEPT_PERCENT) ? "not-met" : "unknown";
}

static uint32_t watched_guards(const struct release_plan *plan)
{
    const struct release_phase_head *watch = &plan->phases[RELEASE_WATCH];
    uint32_t set = 0;
    for (uint32_t i = watch->first; i < watch->first + watch->count; i++)
        set |= plan->steps[i].guards;
    return set;
}

static json_t *guard_json(struct asking *a, const struct story *t, uint32_t i,
                          const struct story_window *w)
{
    const struct release_guard *g = &t->plan->guards[i];
    struct slice title = g->title.len ? g->title : g->name;
    bool watched = watched_guards(t->plan) >> i & 1;
    json_t *watch = numbers_of(a, g, &w->watch), *before = numbers_of(a, g, &w->before);
    if (!watch || !before) {
        json_decref(watch);
        json_decref(before);
        return NULL;
    }
    return json_pack(
        "{ss# ss# ss sb sb so so ss}", "guard", (const char *)g->name.ptr, (int)g->name.len,
        "title", (const char *)title.ptr, (int)title.len, "pass", release_bound_text(g->pass).text,
        "is_floor", g->pass.op == RELEASE_GT || g->pass.op == RELEASE_GE, "is_watched", watched,
        "watch", watch, "before", before, "baseline", watched ? baseline_of(watch) : "not-watched");
}

static const char *baseline_of_all(const json_t *guards)
{
    size_t i;
    json_t *g;
    bool any = false, unknown = false;
    json_array_foreach(guards, i, g)
    {
        const char *one = text_of(g, "baseline");
        if (strcmp(one, "not-met") == 0)
            return one;
        any |= strcmp(one, "met") == 0;
        unknown |= strcmp(one, "unknown") == 0;
    }
    return any && !unknown ? "met" : "unknown";
}

json_t *compare_guards(const struct story *t, const struct prometheus_config *config)
{
    struct asking a = {.config = config};
    struct story_window w = compare_window(t);
    json_t *guards = json_array();
    if (!config || !w.watch.step_ms) {
        const char *result = config ? "no-watch" : "not-asked";
        return json_pack("{ss sn sn sn sn so ss}", "result", result, "watch", "before", "days",
                         "step_ms", "guards", guards, "baseline", "unknown");
    }
    for (uint32_t i = 0; i < t->plan->guard_count; i++)
        json_array_append_new(guards, guard_json(&a, t, i, &w));
    const char *all = baseline_of_all(guards);
    return json_pack("{ss so so sI sI so ss}", "result", "compared", "watch", window_json(&w.watch),
                     "before", window_json(&w.before), "days", (json_int_t)w.days, "step_ms",
                     (json_int_t)w.watch.step_ms, "guards", guards, "baseline", all);
}

/* ------------------------------------------------------------------ alerts */

static json_t *labels_of(const json_t *metric)
{
    static const char *const own[] = {"__name__", "alertname", "alertstate"};
    json_t *labels = json_copy((json_t *)metric);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        json_object_del(labels, own[i]);
    return labels;
}

static void add_fired(json_t *out, const json_t *metric, int64_t from_ms, int64_t to_ms, bool still)
{
    char from[TEXT_TIME_SIZE], to[TEXT_TIME_SIZE];
    text_time(from, from_ms);
    text_time(to, to_ms);
    json_array_append_new(out,
                          json_pack("{ss so ss ss sI sb}", "alert", text_of(metric, "alertname"),
                                    "labels", labels_of(metric), "from", from, "to", to, "ms",
                                    (json_int_t)(to_ms - from_ms), "still", still));
}

/* Moments in a row are one time that it fired. */
static void add_times(json_t *out, const json_t *series, const struct prometheus_range *range)
{
    const json_t *metric = json_object_get(series, "metric");
    size_t count = json_array_size(json_object_get(series, "values"));
    int64_t from = 0, last = 0, ms;
    double value;
    for (size_t i = 0; i < count; i++) {
        prometheus_range_value(series, i, &ms, &value);
        if (i > 0 && ms - last > range->step_ms + range->step_ms / 2) {
            add_fired(out, metric, from, last, false);
            from = ms;
        }
        from = i == 0 ? ms : from;
        last = ms;
    }
    if (count)
        add_fired(out, metric, from, last, last + range->step_ms > range->to_ms);
}

json_t *compare_alerts(const struct story *t, const struct prometheus_config *config)
{
    struct asking a = {.config = config};
    char query[ALERT_QUERY_MAX], why[PROMETHEUS_WHY_SIZE] = "";
    int64_t from = t->history.record.started_ms, to = t->history.record.ended_ms;
    size_t i;
    json_t *one, *series, *fired = json_array();
    if (!config)
        return json_pack("{ss sn so sn}", "result", "not-asked", "why", "alerts", fired, "step_ms");
    if (!to || to > t->at_ms)
        to = t->at_ms;
    struct prometheus_range range = {from, to > from ? to : from, 0};
    range.step_ms = prometheus_range_step(range.to_ms - range.from_ms, t->plan->interval_ms);
    /* The second half has what began and ended between two moments. */
    snprintf(query, sizeof query,
             "ALERTS{alertstate=\"firing\"} or "
             "last_over_time(ALERTS{alertstate=\"firing\"}[%" PRId64 "ms])",
             range.step_ms);
    series = ask_range(&a, query, &range, why);
    json_array_foreach(series, i, one)
    {
        add_times(fired, one, &range);
    }
    json_t *out =
        json_pack("{ss ss* so sI}", "result", series ? "asked" : "no-answer", "why",
                  *why ? why : NULL, "alerts", fired, "step_ms", (json_int_t)range.step_ms);
    json_decref(series);
    return out;
}
