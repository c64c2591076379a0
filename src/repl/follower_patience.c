/* follower_patience.c - how long upstream may take to give what the primary has.
 *
 * Who passes the primary's heartbeats on and keeps its changes back says nothing that is wrong: time
 * alone shows it. So an environment waits from the moment at which the primary's signed word, or a
 * load, goes beyond what is here, until that much has been given. Meanwhile enough must come every
 * PATIENCE_MS, and all of it in PATIENCE_TOTALS times as long. A slow link and a busy server are
 * honest all the same: each time that patience ends, the next one lasts twice as long, until what was
 * waited for is here. Only time counts in which this host runs, and upstream speaks and claims to be
 * well: one that is silent, stale or behind by its own word is left for that.
 */
#include "repl/follower_int.h"

static bool is_here(const struct fenv *e, uint64_t epoch, uint64_t version)
{
    const struct point *p = &e->committed;
    return e->phase == PHASE_LIVE &&
           (p->epoch > epoch || (p->epoch == epoch && p->version >= version));
}

static bool has_to_wait(const struct follower *f, const struct fenv *e)
{
    if (e->trouble == TROUBLE_DIVERGED)
        return false;
    if (!f->hello_done || (e->phase != PHASE_LIVE && e->trouble != TROUBLE_MISSING))
        return true;
    return e->origin_known && !is_here(e, e->origin_epoch, e->origin_version);
}

static void begin(struct patience *p, const struct fenv *e)
{
    p->waits = true;
    p->epoch = e->origin_known ? e->origin_epoch : e->issued.epoch;
    p->version = e->origin_known ? e->origin_version : e->issued.version;
    p->idle_ms = p->total_ms = 0;
    p->bytes = 0;
}

/* And not the store's. Whoever is behind by its own word may go on with a load. */
static bool is_upstreams_turn(const struct follower *f, const struct fenv *e)
{
    if (load_is_on(e))
        return e->phase != PHASE_FINISHING;
    return e->issued.version == e->committed.version && f->lags_since_ms == NEVER &&
           !upstream_is_stale(f);
}

static void keep(struct follower *f, struct fenv *e, int64_t passed_ms)
{
    struct patience *p = &e->patience;
    if (p->waits && f->hello_done && is_here(e, p->epoch, p->version))
        *p = (struct patience){0};
    if (!has_to_wait(f, e)) {
        p->waits = false;
    } else if (!p->waits) {
        begin(p, e);
    } else if (is_upstreams_turn(f, e)) {
        p->idle_ms += passed_ms;
        p->total_ms += passed_ms;
    }
}

void patience_keep(struct follower *f)
{
    int64_t passed_ms = f->now - f->patience_ms;
    if (passed_ms > PATIENCE_STEP_MS)
        passed_ms = PATIENCE_STEP_MS; /* this host stood still, not upstream */
    f->patience_ms = f->now;
    for (uint32_t i = 0; i < f->config.env_count; i++)
        keep(f, &f->envs[i], f->heard ? passed_ms : 0);
}

struct fenv *patience_ended(struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        const struct patience *p = &f->envs[i].patience;
        int64_t patience_ms = (int64_t)PATIENCE_MS << p->doublings;
        if (p->waits && (p->idle_ms >= patience_ms || p->total_ms >= PATIENCE_TOTALS * patience_ms))
            return &f->envs[i];
    }
    return NULL;
}

void patience_begin_anew(struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++)
        f->envs[i].patience.waits = false;
}

void patience_lengthen(struct fenv *e)
{
    if (e->patience.doublings < PATIENCE_DOUBLINGS)
        e->patience.doublings++;
}

void patience_gain(struct fenv *e, size_t bytes)
{
    struct patience *p = &e->patience;
    p->bytes += bytes;
    if (p->bytes < PATIENCE_BYTES)
        return;
    p->bytes = 0;
    p->idle_ms = p->idle_ms < 0 ? p->idle_ms : 0;
}

void patience_gained_nothing(struct fenv *e)
{
    e->patience.idle_ms = e->patience.total_ms;
}

void patience_excuse(struct fenv *e)
{
    e->patience.idle_ms = e->patience.total_ms = -FOLLOWER_RETRY_MAX_MS;
}
