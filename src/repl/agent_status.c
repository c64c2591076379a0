#include "base/clock.h"
#include "base/log.h"
#include "repl/agent_int.h"

static bool is_in_ring(struct agent *a)
{
    int64_t round_ms = atomic_load(&a->round_ms);
    return round_ms != 0 && clock_mono_ms() - round_ms < AGENT_ROUND_MS;
}

/* Fill *ret from the follower. The lock is held until the caller has used it up: its sentences are
 * the follower's. */
static void status_fill(struct agent *a, struct status *ret)
{
    struct follower_view view;
    follower_look(a->follower, clock_mono_ms(), &view);
    for (uint32_t i = 0; i < view.env_count; i++)
        a->status_envs[i] = (struct status_env){
            .name = a->envs[i].name,
            .state = view.envs[i].state,
            .head = view.envs[i].head,
            .behind_ms = view.envs[i].behind_ms,
            .why = view.envs[i].why,
        };
    *ret = (struct status){
        .host = a->config.id,
        .role = a->config.relay ? "relay" : "agent",
        .software = a->config.software,
        .upstream = a->config.upstreams[view.upstream],
        .connected = view.connected,
        .unreachable = view.connected || !*a->unreachable ? NULL : a->unreachable,
        .last_word_ms = view.last_word_ms,
        .stale = view.stale,
        .lags = view.lags,
        .news_ms = view.news_ms,
        .signed_ms = view.signed_ms,
        .distance = view.distance,
        .ring = is_in_ring(a),
        .envs = a->status_envs,
        .env_count = view.env_count,
    };
}

static enum hoist_err status_put(struct agent *a, size_t limit, struct buf *out)
{
    struct status status;
    pthread_mutex_lock(&a->lock);
    status_fill(a, &status);
    enum hoist_err err = status_write(a->store, &status, limit, out);
    pthread_mutex_unlock(&a->lock);
    return err;
}

enum hoist_err agent_status(struct agent *a, struct buf *out)
{
    return status_put(a, 0, out);
}

enum hoist_err agent_standing(void *agent, struct arena *arena, struct standing *ret)
{
    struct agent *a = agent;
    pthread_mutex_lock(&a->lock);
    enum hoist_err err = follower_standing(a->follower, arena, ret);
    pthread_mutex_unlock(&a->lock);
    return err;
}

bool agent_is_own(struct agent *a, const struct told_host *told)
{
    struct slice id = slice_str(a->config.id);
    bool itself = slice_eq(told->status.id, id) && told->status.incarnation == a->incarnation;
    if (!itself && !slice_eq(told->via, id))
        return false;
    int64_t now = clock_mono_ms(), before = atomic_exchange(&a->round_ms, now);
    if (before == 0 || now - before >= AGENT_ROUND_QUIET_MS)
        log_warn("repl: what this relay tells its upstream comes back to it: relays follow each "
                 "other in a ring, which has no way to the primary, or another has the id '%s'; it "
                 "serves what it has; give one of them another --upstream first",
                 a->config.id);
    return true;
}

const char *const *agent_envs(const struct agent *a, uint32_t *ret_count)
{
    *ret_count = a->config.env_count;
    return a->config.envs;
}

const char *agent_upstream(struct agent *a, struct net_tls **ret_tls, uint32_t *ret_losses)
{
    struct follower_view view;
    pthread_mutex_lock(&a->lock);
    follower_look(a->follower, clock_mono_ms(), &view);
    *ret_tls = net_tls_hold(a->tls);
    *ret_losses = a->losses;
    pthread_mutex_unlock(&a->lock);
    return a->config.upstreams[view.upstream];
}

bool agent_is_ready(struct agent *a, struct buf *why_not)
{
    struct status status;
    pthread_mutex_lock(&a->lock);
    status_fill(a, &status);
    bool ready = status_is_ready(a->store, &status, why_not);
    pthread_mutex_unlock(&a->lock);
    return ready;
}

void agent_status_leave(struct agent *a)
{
    struct buf json = BUF_INIT(STATUS_STORED_MAX);
    enum hoist_err err = status_put(a, STATUS_STORED_MAX, &json);
    if (err == HOIST_OK)
        err = store_status_put(a->store, buf_slice(&json));
    if (err != HOIST_OK && err != HOIST_EAGAIN)
        log_debug("repl: the status was not left in the store: %s", err_last());
    buf_done(&json);
}

/* ---------------------------------------------------------------- metrics */

static void gauges_update(void *arg)
{
    struct agent *a = arg;
    struct status status;
    pthread_mutex_lock(&a->lock);
    status_fill(a, &status);
    status_gauges(a->store, &status);
    pthread_mutex_unlock(&a->lock);
    double last =
        status.last_word_ms < 0 ? 0 : (double)(clock_wall_ms() - status.last_word_ms) / 1000;
    metric_set(metric_series(METRIC_GAUGE, "hoist_last_heartbeat_timestamp_seconds",
                             "When upstream was last heard; 0: never.", "", NULL),
               last);
}

static struct metric *frames_refused(const char *labels)
{
    return metric_series(METRIC_COUNTER, "hoist_frames_refused_total",
                         "Frames that could not be read or were not believed.", labels, NULL);
}

static struct metric *counter_of(const char *env, const char *name, const char *help,
                                 const char *label, const char *value)
{
    struct buf labels = BUF_INIT(1024);
    metric_label(&labels, "env", env);
    if (label)
        metric_label(&labels, label, value);
    struct metric *m = metric_series(METRIC_COUNTER, name, help, buf_str(&labels), NULL);
    buf_done(&labels);
    return m;
}

static void env_metrics_begin(struct agent_env *e)
{
    const char *changes = "Changes that came to this store.";
    const char *resyncs = "Times that this store had to ask for what it had missed.";
    e->applied = counter_of(e->name, "hoist_changes_total", changes, "result", "applied");
    e->rejected = counter_of(e->name, "hoist_changes_total", changes, "result", "rejected");
    e->holes = counter_of(e->name, "hoist_resyncs_total", resyncs, "reason", "hole");
    e->snapshots = counter_of(e->name, "hoist_resyncs_total", resyncs, "reason", "snapshot");
    e->diverged = counter_of(e->name, "hoist_diverged_total",
                             "Times that upstream's history was found to be another.", NULL, NULL);
}

static void faults_begin(struct agent *a)
{
    static const char *const reasons[] = {
        "reason=\"silent\"", "reason=\"mute\"",     "reason=\"frozen\"",     "reason=\"replay\"",
        "reason=\"behind\"", "reason=\"forged\"",   "reason=\"unreadable\"", "reason=\"wrong\"",
        "reason=\"older\"",  "reason=\"withholds\""};
    _Static_assert(sizeof reasons / sizeof *reasons == COUNT_END - COUNT_FAULTS, "one for each");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        a->faults[i] = metric_series(
            METRIC_COUNTER, "hoist_upstream_faults_total",
            "Times that an upstream was found at fault, which the log names.", reasons[i], NULL);
}

void agent_metrics_begin(struct agent *a)
{
    faults_begin(a);
    a->bad_frames = frames_refused("reason=\"frame\"");
    a->bad_changes = frames_refused("reason=\"change\"");
    a->forged = frames_refused("reason=\"forged\"");
    a->keys =
        metric_series(METRIC_COUNTER, "hoist_key_certificates_total",
                      "Rotations and revocations of signing keys that were believed.", "", NULL);
    a->stale = frames_refused("reason=\"stale\"");
    a->switches =
        metric_series(METRIC_COUNTER, "hoist_upstream_switches_total",
                      "Times that upstream was dialled anew or another one was taken.", "", NULL);
    for (uint32_t i = 0; i < a->config.env_count; i++)
        env_metrics_begin(&a->envs[i]);
    metrics_on_write(gauges_update, a);
}

void agent_metrics_end(struct agent *a)
{
    metrics_off_write(gauges_update, a);
}
