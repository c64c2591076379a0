#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repl/agent_int.h"

/* ---------------------------------------------------------------- reports */

/* Room for one more: NULL when memory is out, which breaks the agent. A report that is lost would
 * leave the follower waiting for ever. */
static struct report *report_new(struct agent *a, enum follower_in kind)
{
    if (a->report_count == a->report_cap) {
        struct report *more = mem_grow(a->reports, &a->report_cap, 16, sizeof *more);
        if (!more) {
            agent_break(a, "out of memory");
            return NULL;
        }
        a->reports = more;
    }
    struct report *p = &a->reports[a->report_count++];
    memset(p, 0, sizeof *p);
    p->in.kind = kind;
    return p;
}

static void report_env(struct report *p, const struct store_env *env)
{
    p->in.epoch = env->epoch;
    p->in.version = env->head;
    p->in.held = (uint32_t)env->held;
    memcpy(p->in.hash, env->hash, HASH_SIZE);
    memcpy(p->in.digest, env->digest, HASH_SIZE);
}

/* What the store has of environment `i` now; all zero when it has nothing. */
static struct store_env env_now(struct agent *a, uint32_t i)
{
    struct store_env env = {0};
    struct store_read *r;
    enum hoist_err err = HOIST_EAGAIN;
    /* The pool of read transactions can be empty for a moment only: nobody keeps one for long. */
    for (int tries = 0; tries < 1000 && err == HOIST_EAGAIN; tries++)
        err = store_read_begin(a->store, false, &r);
    if (err == HOIST_OK) {
        err = store_env_get(r, a->envs[i].name, &env);
        store_read_end(r);
    }
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        agent_break(a, err_last());
    return err == HOIST_OK ? env : (struct store_env){0};
}

/* Tell the follower how it went with environment `i`; for a failure, with this thread's sentence.
 */
static void report_store(struct agent *a, enum follower_in kind, uint32_t i, enum hoist_err err)
{
    struct report *p = report_new(a, kind);
    if (!p)
        return;
    if (err != HOIST_OK)
        snprintf(p->why, sizeof p->why, "%s", err_last());
    struct store_env env = env_now(a, i);
    report_env(p, &env);
    p->in.env = i;
    p->in.err = err;
    a->changed = true;
}

static void report_no_reply(struct agent *a, uint64_t tag)
{
    struct report *p = report_new(a, IN_NO_REPLY);
    if (p)
        p->in.tag = tag;
}

/* Without one the follower asks again. */
static void report_proof(struct agent *a, uint32_t i)
{
    struct follower_input in;
    if (agent_proof(a, i, &a->report_room, &in) != HOIST_OK)
        return;
    struct report *p = report_new(a, IN_PROOF);
    if (p)
        p->in = in;
}

/* ---------------------------------------------------------------- changes */

static enum hoist_err apply_one(struct agent *a, struct store_write *w,
                                const struct follower_output *o)
{
    struct store_env env;
    enum hoist_err err = store_env_get(store_write_read(w), a->envs[o->env].name, &env);
    if (err == HOIST_ENOTFOUND)
        return err_set(HOIST_ECORRUPT, "repl: change %" PRIu64 " of %s, which is not in the store",
                       o->change.head.version, a->envs[o->env].name);
    if (err == HOIST_OK)
        err = store_change_apply(w, env.id, &o->change);
    return err;
}

/* `n` changes in one transaction. */
static enum hoist_err apply_together(struct agent *a, const struct follower_output *o, uint32_t n)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(a->store, &w);
    if (err != HOIST_OK)
        return err;
    for (uint32_t i = 0; i < n && err == HOIST_OK; i++)
        err = apply_one(a, w, &o[i]);
    if (err != HOIST_OK) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

static bool committed_room(struct agent *a, uint32_t n)
{
    if (n <= a->committed_cap)
        return true;
    const struct change **more = mem_realloc(a->committed, n * sizeof *more);
    if (!more)
        return false;
    a->committed = more;
    a->committed_cap = n;
    return true;
}

/* `n` changes are committed: whoever wants them gets them. For want of memory nobody does, and those
 * who follow this host see by the next heartbeat that there is something to fetch. */
static void applied(struct agent *a, const struct follower_output *o, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        metric_inc(a->envs[o[i].env].applied);
    if (!a->config.applied || !committed_room(a, n))
        return;
    for (uint32_t i = 0; i < n; i++)
        a->committed[i] = &o[i].change;
    a->config.applied(a->config.applied_arg, a->committed, n);
}

/* Whether a later one of the `n` changes is of the same environment as `o`. */
static bool comes_again(const struct follower_output *o, const struct follower_output *end)
{
    for (const struct follower_output *p = o + 1; p < end; p++)
        if (p->env == o->env)
            return true;
    return false;
}

static bool failed_before(const struct follower_output *first, const struct follower_output *o,
                          const bool *failed)
{
    for (const struct follower_output *p = first; p < o; p++)
        if (p->env == o->env && failed[p - first])
            return true;
    return false;
}

/* One of several could not be applied. Each by itself: those before it are kept, those behind it in
 * its environment are not tried, other environments go on. */
static void apply_singly(struct agent *a, const struct follower_output *first, uint32_t n)
{
    bool *failed = mem_zalloc(n, sizeof *failed);
    if (!failed) {
        agent_break(a, "out of memory");
        return;
    }
    for (const struct follower_output *o = first; o < first + n && !a->broken; o++) {
        if (failed_before(first, o, failed))
            continue;
        enum hoist_err err = apply_together(a, o, 1);
        if (err == HOIST_OK) {
            applied(a, o, 1);
            if (!comes_again(o, first + n))
                report_store(a, IN_APPLIED, o->env, HOIST_OK);
            continue;
        }
        failed[o - first] = true;
        metric_inc(a->envs[o->env].rejected);
        if (err == HOIST_EUNKNOWN)
            agent_break(a, err_last());
        report_store(a, IN_APPLY_FAILED, o->env, err);
    }
    mem_free(failed);
}

static void apply(struct agent *a, const struct follower_output *first, uint32_t n)
{
    enum hoist_err err = apply_together(a, first, n);
    if (err == HOIST_EUNKNOWN) {
        agent_break(a, err_last());
        return;
    }
    if (err != HOIST_OK) {
        apply_singly(a, first, n);
        return;
    }
    applied(a, first, n);
    for (const struct follower_output *o = first; o < first + n; o++)
        if (!comes_again(o, first + n))
            report_store(a, IN_APPLIED, o->env, HOIST_OK);
}

/* ---------------------------------------------------------------- loading */

/* The names' order in the store is the one they were given in, which programs go by. */
static enum hoist_err order_envs(struct agent *a)
{
    return store_env_order(a->store, a->config.envs, a->config.env_count);
}

static void load_abort(struct agent_env *e)
{
    store_load_abort(e->load);
    e->load = NULL;
}

static enum hoist_err load_finish(struct agent *a, struct agent_env *e)
{
    struct store_load *load = e->load;
    e->load = NULL; /* finishing frees it, whatever comes of it */
    enum hoist_err err = store_load_finish(load);
    return err == HOIST_OK ? order_envs(a) : err;
}

static enum hoist_err load_step(struct agent *a, struct agent_env *e,
                                const struct follower_output *o)
{
    if (o->kind != OUT_LOAD_BEGIN && !e->load)
        return err_set(HOIST_EIO, "repl: %s is not being loaded", e->name);
    switch (o->kind) {
    case OUT_LOAD_BEGIN:
        load_abort(e);
        return store_load_begin(a->store, e->name, &o->change, &e->load);
    case OUT_LOAD_RECORDS:
        return store_load_records(e->load, o->records, o->record_count);
    case OUT_LOAD_CHANGE:
        return store_load_change(e->load, &o->change);
    default:
        return load_finish(a, e);
    }
}

static void load(struct agent *a, const struct follower_output *o)
{
    struct agent_env *e = &a->envs[o->env];
    if (o->kind == OUT_LOAD_BEGIN || o->kind == OUT_LOAD_ABORT)
        e->load_failed = false;
    if (o->kind == OUT_LOAD_ABORT)
        load_abort(e);
    if (o->kind == OUT_LOAD_ABORT || e->load_failed)
        return;

    enum hoist_err err = load_step(a, e, o);
    if (err == HOIST_OK && o->kind == OUT_LOAD_FINISH)
        report_store(a, IN_LOADED, o->env, HOIST_OK);
    if (err == HOIST_OK)
        return;
    e->load_failed = true;
    report_store(a, IN_LOAD_FAILED, o->env, err);
    load_abort(e);
    if (err == HOIST_EUNKNOWN)
        agent_break(a, a->reports ? a->reports[a->report_count - 1].why : "out of memory");
}

/* ---------------------------------------------------------------- upstream and counting */

static struct net_tls *tls_now(struct agent *a)
{
    pthread_mutex_lock(&a->lock);
    struct net_tls *tls = net_tls_hold(a->tls);
    pthread_mutex_unlock(&a->lock);
    return tls;
}

static void keep_why(struct agent *a, const char *why)
{
    pthread_mutex_lock(&a->lock);
    snprintf(a->unreachable, sizeof a->unreachable, "%s", why);
    pthread_mutex_unlock(&a->lock);
}

/* Why upstream, which never spoke, does not: for the log and for status. This may take a second, in
 * which there is nothing to hear. */
static void look_into(struct agent *a, struct net_tls *tls)
{
    int64_t now = clock_mono_ms();
    if (a->asked_why_ms && now < a->asked_why_ms + AGENT_UNREACHABLE_MS)
        return;
    const char *url = a->config.upstreams[a->upstream_number];
    struct buf why = BUF_INIT(AGENT_WHY_MAX);
    a->asked_why_ms = now;
    net_tls_why(tls, url, &why);
    keep_why(a, buf_str(&why));
    if (why.len)
        log_warn("repl: no connection to %s: %s", url, buf_str(&why));
    buf_done(&why);
}

static void dial(struct agent *a, uint32_t upstream, struct net_tls *tls)
{
    a->upstream_number = upstream;
    if (upstream_open(upstream, a->config.upstreams[upstream], tls, &a->queue, &a->upstream) !=
        HOIST_OK)
        log_warn("repl: %s; it is dialled again when it stays silent", err_last());
}

static void follow(struct agent *a, uint32_t upstream)
{
    struct upstream *before = a->upstream;
    struct net_tls *tls = tls_now(a);
    if (before && upstream_spoke(before))
        keep_why(a, "");
    else if (before)
        look_into(a, tls);
    a->upstream = NULL;
    a->usage_open = false;
    a->usage_ms = 0;
    a->changed = true;
    if (upstream_close(before)) {
        dial(a, upstream, tls);
    } else {
        atomic_store(&a->stuck, true);
        agent_break(a, "nng does not let go of a connection");
    }
    net_tls_drop(tls);
}

void agent_redial(struct agent *a)
{
    a->asked_why_ms = 0;
    if (a->upstream)
        follow(a, a->upstream_number);
}

/* It listens beside the one that is followed; where it cannot be dialled nothing is heard. */
static void probe(struct agent *a, uint32_t upstream)
{
    struct net_tls *tls = tls_now(a);
    if (upstream_open(upstream, a->config.upstreams[upstream], tls, &a->queue,
                      &a->probes[upstream]) != HOIST_OK)
        log_debug("repl: %s", err_last());
    net_tls_drop(tls);
}

void agent_end_probe(struct agent *a, uint32_t upstream)
{
    struct upstream *u = a->probes[upstream];
    a->probes[upstream] = NULL;
    if (!upstream_close(u))
        log_warn("repl: nng does not let go of a connection; it ends with this process");
}

static void request(struct agent *a, const struct follower_output *o)
{
    if (!a->upstream || upstream_request(a->upstream, o->tag, o->bytes, o->deadline_ms) != HOIST_OK)
        report_no_reply(a, o->tag);
}

static void count(struct agent *a, const struct follower_output *o)
{
    struct agent_env *e = &a->envs[o->env < a->config.env_count ? o->env : 0];
    struct metric *const metrics[COUNT_FAULTS] = {
        [COUNT_BAD_FRAME] = a->bad_frames,
        [COUNT_BAD_CHANGE] = a->bad_changes,
        [COUNT_HOLE] = e->holes,
        [COUNT_RESYNC] = e->snapshots,
        [COUNT_DIVERGED] = e->diverged,
        [COUNT_SWITCH] = a->switches,
        [COUNT_STALE] = a->stale,
        [COUNT_FORGED] = a->forged,
        [COUNT_KEY] = a->keys,
    };
    if (o->what >= COUNT_FAULTS && o->what < COUNT_END)
        metric_inc(a->faults[o->what - COUNT_FAULTS]);
    else if (o->what < COUNT_FAULTS)
        metric_inc(metrics[o->what]);
}

void agent_carry_out(struct agent *a, const struct follower_outputs *outs)
{
    for (uint32_t i = 0; i < outs->count && !a->broken; i++) {
        const struct follower_output *o = &outs->items[i];
        uint32_t n = 1;
        switch (o->kind) {
        case OUT_PROBE:
            probe(a, o->upstream);
            break;
        case OUT_PROBED:
            agent_end_probe(a, o->upstream);
            break;
        case OUT_FOLLOW:
            follow(a, o->upstream);
            break;
        case OUT_REQUEST:
            request(a, o);
            break;
        case OUT_APPLY:
            while (i + n < outs->count && o[n].kind == OUT_APPLY)
                n++;
            apply(a, o, n);
            i += n - 1;
            break;
        case OUT_LOAD_BEGIN:
        case OUT_LOAD_RECORDS:
        case OUT_LOAD_CHANGE:
        case OUT_LOAD_FINISH:
        case OUT_LOAD_ABORT:
            load(a, o);
            break;
        case OUT_PROVE:
            report_proof(a, o->env);
            break;
        case OUT_KEYS:
            agent_keep_keys(a, o->bytes);
            break;
        case OUT_LOG:
            log_line(o->level, "%.*s", SLICE_ARG(o->text));
            break;
        case OUT_COUNT:
            count(a, o);
            break;
        }
    }
}
