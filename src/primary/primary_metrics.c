#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "primary/primary_int.h"
#include "primary/query.h"
#include "repl/status.h"

static const char *const result_names[CHANGE_RESULTS] = {"applied", "rejected", "conflict"};
static const char *const trigger_names[KILL_TRIGGERS] = {"operator", "alert", "drill"};
static const char *const landing_names[LANDING_KINDS] = {"change", "kill", "rollback"};

/* `label`: NULL: it has none but `env`. */
static struct metric *series(enum metric_type type, const char *name, const char *help,
                             const char *env, const char *label, const char *value,
                             const double *buckets)
{
    struct buf labels = BUF_INIT(512);
    metric_label(&labels, "env", env);
    if (label)
        metric_label(&labels, label, value);
    struct metric *m = metric_series(type, name, help, buf_str(&labels), buckets);
    buf_done(&labels);
    return m;
}

static struct env_metrics *find(struct primary *p, const char *env)
{
    for (size_t i = 0; i < p->env_metrics_count; i++)
        if (strcmp(p->env_metrics[i].env, env) == 0)
            return &p->env_metrics[i];
    return NULL;
}

void primary_metrics_env(struct primary *p, const char *env)
{
    if (find(p, env))
        return;
    struct env_metrics *grown =
        mem_realloc(p->env_metrics, (p->env_metrics_count + 1) * sizeof *grown);
    if (!grown)
        return; /* this environment's changes are not counted, that is all */
    p->env_metrics = grown;
    struct env_metrics *m = &grown[p->env_metrics_count++];
    snprintf(m->env, sizeof m->env, "%s", env);
    for (int i = 0; i < CHANGE_RESULTS; i++)
        m->results[i] = series(METRIC_COUNTER, "hoist_changes_total",
                               "Changes asked of this primary, by what came of them.", env,
                               "result", result_names[i], NULL);
    for (int i = 0; i < LANDING_KINDS; i++)
        m->landings[i] = series(METRIC_HISTOGRAM, "hoist_convergence_duration_seconds",
                                "Time from a commit until the last live host reported it.", env,
                                "kind", landing_names[i], fleet_landing_buckets);
    for (int i = 0; i < KILL_TRIGGERS; i++)
        m->kills[i] = series(METRIC_HISTOGRAM, "hoist_kill_duration_seconds",
                             "Time from asking for a kill until the last live host reported it.",
                             env, "trigger", trigger_names[i], fleet_landing_buckets);
    m->drill =
        series(METRIC_GAUGE, "hoist_last_drill_timestamp_seconds",
               "When flagctl drill last killed or rolled back its flag; 0: the log has none.", env,
               NULL, NULL, NULL);
}

struct metric *primary_metrics_detect(const char *trigger)
{
    static const double buckets[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60, 120, 300, 900, 0};
    char labels[64];
    snprintf(labels, sizeof labels, "trigger=\"%s\"", trigger);
    return metric_series(
        METRIC_HISTOGRAM, "hoist_detect_duration_seconds",
        "Time from the first bad value of a guard, or the begin of an alert, until it was "
        "decided to take back or to kill.",
        labels, buckets);
}

void primary_metrics_drill(struct primary *p, const char *env, int64_t time_ms)
{
    struct env_metrics *m = find(p, env);
    if (m)
        metric_set(m->drill, (double)time_ms / 1000);
}

struct metric *primary_metrics_kill(struct primary *p, const char *env, uint32_t change_kind,
                                    enum kill_trigger trigger)
{
    struct env_metrics *m = find(p, env);
    return m && change_kind == CHANGE_KILL ? m->kills[trigger] : NULL;
}

struct metric *primary_metrics_landing(struct primary *p, const char *env, uint32_t change_kind)
{
    struct env_metrics *m = find(p, env);
    if (!m)
        return NULL;
    if (change_kind == CHANGE_KILL)
        return m->landings[LANDING_KILL];
    return m->landings[change_kind == CHANGE_ROLLBACK ? LANDING_ROLLBACK : LANDING_CHANGE];
}

void primary_metrics_count(struct primary *p, const struct answer *a)
{
    struct env_metrics *m = find(p, a->env);
    if (!m)
        return;
    if (a->changed)
        metric_inc(m->results[CHANGE_APPLIED]);
    else if (a->exit == EXIT_CONFLICT)
        metric_inc(m->results[CHANGE_CONFLICT]);
    else if (a->exit != EXIT_DONE)
        metric_inc(m->results[CHANGE_REJECTED]);
}

static void update_hosts(struct primary *p, const struct store_env *env)
{
    uint32_t counts[FLEET_STATES];
    fleet_counts(p->fleet, env, clock_mono_ms(), counts);
    for (int i = 0; i < FLEET_STATES; i++)
        metric_set(series(METRIC_GAUGE, "hoist_hosts",
                          "Hosts that follow this primary, by how they stand.", env->name, "state",
                          fleet_state_name(i), NULL),
                   counts[i]);
}

void primary_metrics_update(void *primary)
{
    struct primary *p = primary;
    struct status status = {.host = p->id, .role = p->role, .software = p->software};
    status_gauges(p->store, &status);

    struct store_read *r;
    struct store_env env;
    if (store_read_begin(p->store, false, &r) != HOIST_OK)
        return; /* the numbers of the time before stay */
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        update_hosts(p, &env);
    store_read_end(r);
}
