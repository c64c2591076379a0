#include "repl/status.h"

#include "access/grants.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/expiry.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flag/json.h"

enum { REFUSED_MAX = 16, WHY_MAX = 256, DAY_MS = 86400000 };

const char *status_state_name(enum env_state state)
{
    switch (state) {
    case ENV_CURRENT:
        return "current";
    case ENV_BEHIND:
        return "behind";
    case ENV_REFUSING:
        return "refusing";
    case ENV_DIVERGED:
        return "diverged";
    case ENV_LOADING:
        return "loading";
    }
    return "unknown";
}

/* One environment as the store and the role know it together. */
struct entry {
    struct store_env env; /* head 0: not filled yet */
    struct status_env told;
};

static enum hoist_err entries_told(struct store_read *r, const struct status *status,
                                   struct entry *entries)
{
    for (uint32_t i = 0; i < status->env_count; i++) {
        struct entry *e = &entries[i];
        e->told = status->envs[i];
        enum hoist_err err = store_env_get(r, e->told.name, &e->env);
        if (err == HOIST_ENOTFOUND)
            e->env = (struct store_env){0};
        else if (err != HOIST_OK)
            return err;
        if (e->told.head < e->env.head)
            e->told.head = e->env.head;
    }
    return HOIST_OK;
}

static enum hoist_err entries_stored(struct store_read *r, struct entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        enum hoist_err err = store_env_at(r, i, &e->env);
        if (err != HOIST_OK)
            return err;
        e->told = (struct status_env){
            .name = e->env.name, .state = ENV_CURRENT, .head = e->env.head, .why = ""};
    }
    return HOIST_OK;
}

static enum hoist_err entries_read(struct store_read *r, const struct status *status,
                                   struct entry **ret, uint32_t *ret_count)
{
    struct store_env env;
    uint32_t count = status->env_count;
    if (!status->envs)
        for (count = 0; count < FRAME_ENVS_MAX && store_env_at(r, count, &env) == HOIST_OK;)
            count++;
    struct entry *entries = mem_zalloc(count, sizeof *entries);
    if (!entries)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    enum hoist_err err =
        status->envs ? entries_told(r, status, entries) : entries_stored(r, entries, count);
    if (err != HOIST_OK) {
        mem_free(entries);
        return err;
    }
    *ret = entries;
    *ret_count = count;
    return HOIST_OK;
}

/* Hoist's own environments may not be there yet, and no program waits for them. */
static const struct entry *not_ready(const struct entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].env.head == 0 && !access_env_is_own(slice_str(entries[i].told.name)))
            return &entries[i];
    return NULL;
}

/* ---------------------------------------------------------------- JSON */

static void put_entry(struct json_writer *w, const struct entry *e)
{
    uint64_t lag = e->told.head - e->env.head;
    json_object_begin(w);
    json_key(w, "env");
    json_put_str(w, e->told.name);
    json_key(w, "epoch");
    json_put_hex64(w, e->env.epoch);
    json_key(w, "version");
    json_put_u64(w, e->env.head);
    json_key(w, "head");
    json_put_u64(w, e->told.head);
    json_key(w, "lag");
    json_put_u64(w, lag);
    json_key(w, "behind_ms");
    json_put_i64(w, e->told.behind_ms);
    json_key(w, "digest");
    json_put_hex(w, slice_of(e->env.digest, HASH_SIZE));
    json_key(w, "flags");
    json_put_u64(w, e->env.flags);
    json_key(w, "held");
    json_put_u64(w, e->env.held);
    json_key(w, "state");
    json_put_str(w, status_state_name(e->told.state));
    if (e->told.why && *e->told.why) {
        json_key(w, "why");
        json_put_str(w, e->told.why);
    }
    json_object_end(w);
}

/* An environment's place when not all fit: what needs attention first. */
static bool goes_first(const struct entry *e)
{
    return e->told.state != ENV_CURRENT;
}

static void put_entries(struct json_writer *w, const struct entry *entries, uint32_t count,
                        size_t limit)
{
    uint32_t left_out = 0;
    json_key(w, "environments");
    json_array_begin(w);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < count; i++) {
            if (goes_first(&entries[i]) != (pass == 0))
                continue;
            if (limit && w->out->len >= limit)
                left_out++;
            else
                put_entry(w, &entries[i]);
        }
    json_array_end(w);
    if (left_out) {
        json_key(w, "environments_left_out");
        json_put_u64(w, left_out);
    }
}

static bool is_told(const struct status *status, const char *name)
{
    for (uint32_t i = 0; i < status->env_count; i++)
        if (strcmp(status->envs[i].name, name) == 0)
            return true;
    return !status->envs;
}

/* What was followed once and still is in the store: programs that read it read what was. */
static void put_unfollowed(struct json_writer *w, struct store_read *r, const struct status *status,
                           size_t limit)
{
    struct store_env env;
    bool any = false;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++) {
        if (is_told(status, env.name) || (limit && w->out->len >= limit))
            continue;
        if (!any) {
            json_key(w, "unfollowed");
            json_array_begin(w);
        }
        any = true;
        json_object_begin(w);
        json_key(w, "env");
        json_put_str(w, env.name);
        json_key(w, "version");
        json_put_u64(w, env.head);
        json_object_end(w);
    }
    if (any)
        json_array_end(w);
}

static void put_refusal(struct json_writer *w, const char *env, struct slice key, uint64_t version,
                        struct slice why)
{
    if (why.len > WHY_MAX)
        why.len = WHY_MAX;
    json_object_begin(w);
    json_key(w, "env");
    json_put_str(w, env);
    json_key(w, "key");
    json_put_slice(w, key);
    json_key(w, "version");
    json_put_u64(w, version);
    json_key(w, "why");
    json_put_slice(w, why);
    json_object_end(w);
}

/* The first flags that are held back here, of all environments. */
static void put_refused(struct json_writer *w, struct store_read *r, const struct entry *entries,
                        uint32_t count, size_t limit)
{
    uint32_t told = 0;
    json_key(w, "refused");
    json_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        struct slice key = {0}, why;
        uint64_t version;
        while (entries[i].env.held > 0 && told < REFUSED_MAX && !(limit && w->out->len >= limit) &&
               store_held_next(r, entries[i].env.id, key, &key, &why, &version) == HOIST_OK) {
            put_refusal(w, entries[i].env.name, key, version, why);
            told++;
        }
    }
    json_array_end(w);
}

static void put_stuck(struct json_writer *w, struct store *s)
{
    struct store_stats stats;
    store_stats(s, &stats);
    if (stats.stuck_count == 0)
        return;
    json_key(w, "stuck_readers");
    json_array_begin(w);
    for (uint32_t i = 0; i < stats.stuck_count && i < sizeof stats.stuck / sizeof *stats.stuck;
         i++) {
        json_object_begin(w);
        json_key(w, "pid");
        json_put_i64(w, stats.stuck[i].pid);
        json_key(w, "txn");
        json_put_u64(w, stats.stuck[i].txn);
        json_key(w, "since_ms");
        json_put_i64(w, stats.stuck[i].since_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

/* `ms`; null: never. */
static void put_since(struct json_writer *w, const char *name, int64_t ms)
{
    json_key(w, name);
    if (ms < 0)
        json_put_null(w);
    else
        json_put_i64(w, ms);
}

static void put_upstream(struct json_writer *w, const struct status *status)
{
    json_key(w, "upstream");
    if (!status->upstream) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    json_key(w, "url");
    json_put_str(w, status->upstream);
    json_key(w, "connected");
    json_put_bool(w, status->connected);
    json_key(w, "why");
    if (status->unreachable)
        json_put_str(w, status->unreachable);
    else
        json_put_null(w);
    put_since(w, "last_word_ms", status->last_word_ms);
    json_key(w, "stale");
    json_put_bool(w, status->stale);
    json_key(w, "lags");
    json_put_bool(w, status->lags);
    put_since(w, "news_ms", status->news_ms);
    json_key(w, "signed_age_ms"); /* by this host's clock, so the clocks' difference is in it */
    if (status->signed_ms == INT64_MIN)
        json_put_null(w);
    else
        json_put_i64(w, clock_wall_ms() - status->signed_ms);
    json_key(w, "distance");
    json_put_u64(w, status->distance);
    json_key(w, "ring");
    json_put_bool(w, status->ring);
    json_object_end(w);
}

/* Our own. */
static void put_certificate(struct json_writer *w)
{
    int64_t until = expiry_until_ms();
    json_key(w, "certificate");
    if (!until) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    json_key(w, "until");
    json_put_time(w, until);
    json_key(w, "days_left");
    json_put_i64(w, (until - clock_wall_ms()) / DAY_MS);
    json_object_end(w);
}

static void put_all(struct json_writer *w, struct store *s, struct store_read *r,
                    const struct status *status, const struct entry *entries, uint32_t count,
                    size_t limit)
{
    /* Leave room for what stands behind the environments. */
    size_t most = limit ? w->out->len + limit / 2 : 0;
    json_object_begin(w);
    json_key(w, "host");
    json_put_str(w, status->host);
    json_key(w, "role");
    json_put_str(w, status->role);
    json_key(w, "software");
    json_put_str(w, status->software);
    json_key(w, "store");
    json_put_str(w, store_dir(s));
    json_key(w, "as_of");
    json_put_time(w, clock_wall_ms());
    json_key(w, "running");
    json_put_bool(w, true);
    json_key(w, "ready");
    json_put_bool(w, !not_ready(entries, count));
    put_certificate(w);
    put_upstream(w, status);
    put_entries(w, entries, count, most);
    put_unfollowed(w, r, status, most ? most + limit / 16 : 0);
    put_refused(w, r, entries, count, most ? most + limit / 8 : 0);
    put_stuck(w, s);
    json_object_end(w);
}

enum hoist_err status_write(struct store *s, const struct status *status, size_t limit,
                            struct buf *out)
{
    struct store_read *r = NULL;
    struct entry *entries = NULL;
    uint32_t count = 0;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err == HOIST_OK)
        err = entries_read(r, status, &entries, &count);
    if (err == HOIST_OK) {
        struct json_writer w = JSON_WRITER(out, 0);
        put_all(&w, s, r, status, entries, count, limit);
        err = buf_err(out);
    }
    mem_free(entries);
    store_read_end(r);
    return err;
}

bool status_is_ready(struct store *s, const struct status *status, struct buf *why_not)
{
    struct store_read *r = NULL;
    struct entry *entries = NULL;
    uint32_t count = 0;
    bool ready = false;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err == HOIST_OK)
        err = entries_read(r, status, &entries, &count);
    const struct entry *empty = err == HOIST_OK ? not_ready(entries, count) : NULL;
    if (err != HOIST_OK)
        buf_add_str(why_not, err == HOIST_EAGAIN ? "the store is busy" : err_last());
    else if (empty)
        buf_printf(why_not, "environment '%s' has not been filled yet", empty->told.name);
    else
        ready = true;
    mem_free(entries);
    store_read_end(r);
    return ready;
}

/* ---------------------------------------------------------------- gauges */

static void set_gauge(const char *name, const char *help, const char *labels, double v)
{
    metric_set(metric_series(METRIC_GAUGE, name, help, labels, NULL), v);
}

static void set_epoch_info(const struct store_env *env)
{
    struct buf labels = BUF_INIT(1024);
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, env->epoch);
    metric_label(&labels, "env", env->name);
    metric_label(&labels, "epoch", epoch);
    set_gauge("hoist_epoch_info", "1 for the epoch that the environment is in.", buf_str(&labels),
              1);
    buf_done(&labels);
}

static void set_env_gauges(const struct entry *e)
{
    struct buf labels = BUF_INIT(1024);
    metric_label(&labels, "env", e->told.name);
    const char *env = buf_str(&labels);
    set_gauge("hoist_store_version", "Version of the environment that this store has.", env,
              (double)e->env.head);
    set_gauge("hoist_head_version", "Newest version of the environment, as far as is known here.",
              env, (double)e->told.head);
    set_gauge("hoist_replication_lag_versions", "Versions that this store is behind.", env,
              (double)(e->told.head - e->env.head));
    set_gauge("hoist_replication_lag_seconds", "How long this store has been behind.", env,
              (double)e->told.behind_ms / 1000);
    if (e->env.epoch)
        set_epoch_info(&e->env);
    set_gauge("hoist_store_flags", "Flags of the environment in this store.", env,
              (double)e->env.flags);
    set_gauge("hoist_store_held_flags", "Flags held back here: the newest record is not readable.",
              env, (double)e->env.held);
    buf_done(&labels);
}

static void set_store_gauges(struct store *s)
{
    struct store_stats stats;
    store_stats(s, &stats);
    set_gauge("hoist_store_used_bytes", "Bytes of the store's file in use.", "",
              (double)stats.used_bytes);
    set_gauge("hoist_store_map_bytes", "Address space mapped for the store.", "",
              (double)stats.map_bytes);
    set_gauge("hoist_store_file_bytes", "Size of the store's file.", "", (double)stats.file_bytes);
    set_gauge("hoist_store_record_bytes", "Bytes of keys and records, which the quota limits.", "",
              (double)stats.record_bytes);
    set_gauge("hoist_store_quota_bytes", "The most bytes of keys and records.", "",
              (double)stats.quota_bytes);
    set_gauge("hoist_store_readers", "Readers' slots in use.", "", (double)stats.readers);
    set_gauge("hoist_store_readers_max", "Readers' slots there are.", "",
              (double)stats.readers_max);
    set_gauge("hoist_store_stuck_readers", "Readers in one transaction for more than 5 seconds.",
              "", (double)stats.stuck_count);
    metric_set(metric_series(METRIC_COUNTER, "hoist_store_readers_cleared_total",
                             "Slots of dead readers that were cleared.", "", NULL),
               (double)stats.cleared);
    metric_set(metric_series(METRIC_COUNTER, "hoist_store_rotations_total",
                             "Times the store was copied out of a stuck reader's way.", "", NULL),
               (double)stats.rotations);
}

void status_gauges(struct store *s, const struct status *status)
{
    struct store_read *r = NULL;
    struct entry *entries = NULL;
    uint32_t count = 0;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err == HOIST_OK)
        err = entries_read(r, status, &entries, &count);
    if (err == HOIST_OK)
        metric_clear("hoist_epoch_info");
    for (uint32_t i = 0; err == HOIST_OK && i < count; i++)
        set_env_gauges(&entries[i]);
    set_store_gauges(s);
    mem_free(entries);
    store_read_end(r);
}
