/* follower_load.c - one environment, loading: snapshot pages, replay, the switch.
 *
 * Pages are read at different versions, so what they add up to is no version at all until the
 * changes since the first page have been replayed on top: at least up to what upstream had after
 * the last page was read, which the first fetch behind it tells. What is published meanwhile is
 * kept, so that a short log upstream does not run away from a long load.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "repl/follower_int.h"

bool load_is_on(const struct fenv *e)
{
    return e->phase >= PHASE_PAGES;
}

static int64_t first_bound(const struct fenv *e)
{
    return e->present ? FOLLOWER_SNAPSHOT_JITTER_MS : FOLLOWER_FRESH_JITTER_MS;
}

static void wait_for_load(struct follower *f, struct fenv *e)
{
    int64_t bound = e->load_ms ? e->load_ms : first_bound(e);
    load_drop(f, e);
    e->phase = PHASE_WAITING;
    e->due_ms = NEVER;
    e->life++;
    e->failures = 0;
    e->earliest_ms = f->now + follower_random(f, bound);
    env_ask(f, e, e->earliest_ms);
    status_soon(f);
}

/* The next load waits longer: this one failed, or has not been proved right yet. */
static void lengthen(struct fenv *e)
{
    int64_t bound = 2 * (e->load_ms ? e->load_ms : first_bound(e));
    e->load_ms = bound < FOLLOWER_RETRY_MAX_MS ? bound : FOLLOWER_RETRY_MAX_MS;
}

void load_want(struct follower *f, struct fenv *e, const char *why)
{
    if (e->phase == PHASE_WAITING || e->phase == PHASE_FINISHING)
        return;
    if (e->trouble == TROUBLE_DIVERGED && e->hop_epoch <= e->committed.epoch)
        return;
    if (load_is_on(e))
        tell(f, OUT_LOAD_ABORT)->env = e->index;
    if (!e->load_told)
        tell_log(f, LOG_INFO, "repl: environment '%.*s': %s; a snapshot is loaded",
                 SLICE_ARG(e->name), why);
    wait_for_load(f, e);
}

void load_drop(struct follower *f, struct fenv *e)
{
    for (struct kept *k = e->load.first, *next; k; k = next) {
        next = k->next;
        f->kept_bytes -= k->len;
        spend(f, k);
    }
    e->load = (struct load){0};
    e->phase = PHASE_LIVE;
}

/* Begin anew, later. The store has aborted, or is told to. */
static void begin_anew(struct follower *f, struct fenv *e, const char *why, int why_len)
{
    if (!e->load_told)
        tell_log(
            f, LOG_WARN,
            "repl: environment '%.*s': the snapshot could not be loaded (%.*s); beginning anew "
            "until it can",
            SLICE_ARG(e->name), why_len, why);
    e->load_told = true;
    patience_gained_nothing(e);
    lengthen(e);
    wait_for_load(f, e);
}

void load_fail(struct follower *f, struct fenv *e, const char *why)
{
    if (load_is_on(e))
        tell(f, OUT_LOAD_ABORT)->env = e->index;
    begin_anew(f, e, why, (int)strlen(why));
}

/* ---------------------------------------------------------------- pages */

/* The first page names the version from which changes are replayed. */
static bool begin(struct follower *f, struct fenv *e, const struct frame_snapshot_reply *p)
{
    struct change base;
    bool vouched;
    if (change_decode(p->base, &base) != HOIST_OK) {
        env_refuse(f, e, p->version, err_last());
        load_fail(f, e, "its first change cannot be read");
        return false;
    }
    change_vouch(&f->ring.trusted, &base, 1, &vouched);
    if (!vouched) { /* its digest, and those of what is replayed, vouch for the records */
        upstream_forged(f, "a snapshot");
        load_fail(f, e, "no key that this host trusts has signed it");
        return false;
    }
    if (!slice_eq(base.head.env, e->name) || base.head.epoch != p->epoch ||
        base.head.version != p->version || p->version == 0) {
        upstream_garbage(f, COUNT_BAD_FRAME, "a snapshot that names two versions");
        load_fail(f, e, "it names two versions");
        return false;
    }
    if (e->hop_known && p->epoch < e->hop_epoch) {
        tell_count(f, COUNT_WRONG);
        f->leave = true;
        load_fail(f, e, "it is of an older epoch than upstream says it has");
        return false;
    }
    if (e->present && p->epoch < e->committed.epoch) {
        env_upstream_is_behind(f, e, p->epoch);
        load_fail(f, e, "it is of an older epoch");
        return false;
    }
    struct follower_output *o = tell(f, OUT_LOAD_BEGIN);
    o->env = e->index;
    o->change = base;
    e->phase = PHASE_PAGES;
    e->load.began_ms = f->now;
    e->load.at.epoch = p->epoch;
    e->load.at.version = p->version;
    memcpy(e->load.at.hash, base.hash, HASH_SIZE);
    memcpy(e->load.at.digest, base.head.digest, HASH_SIZE);
    if (!e->load_told)
        tell_log(f, LOG_INFO,
                 "repl: environment '%.*s': loading %" PRIu64 " flags of version %" PRIu64,
                 SLICE_ARG(e->name), p->flags_total, p->version);
    return true;
}

/* Keys rise through all pages, so that each page brings the end nearer. */
static bool in_order(const struct fenv *e, const struct frame_snapshot_reply *p)
{
    struct slice before = slice_of(e->load.after, e->load.after_len);
    for (uint32_t i = 0; i < p->count; i++) {
        struct slice key = p->records[i].key;
        if (key.len == 0 || key.len > sizeof e->load.after || slice_cmp(before, key) >= 0)
            return false;
        before = key;
    }
    return p->last || p->count > 0;
}

static void take_page(struct follower *f, struct fenv *e, const struct frame_snapshot_reply *p)
{
    if (e->phase == PHASE_PAGES &&
        (p->epoch != e->load.at.epoch || p->version != e->load.at.version)) {
        load_fail(f, e, "upstream has begun another snapshot");
        return;
    }
    if (e->phase == PHASE_WAITING && !begin(f, e, p))
        return;
    if (!in_order(e, p)) {
        upstream_garbage(f, COUNT_BAD_FRAME, "a snapshot page that is not in order");
        load_fail(f, e, "its pages are not in order");
        return;
    }
    if (p->count > 0) {
        struct follower_output *o = tell(f, OUT_LOAD_RECORDS);
        o->env = e->index;
        o->records = p->records;
        o->record_count = p->count;
        struct slice last = p->records[p->count - 1].key;
        for (uint32_t i = 0; i < p->count; i++)
            patience_gain(e, p->records[i].key.len + p->records[i].record.len);
        memcpy(e->load.after, last.ptr, last.len);
        e->load.after_len = last.len;
    }
    e->failures = 0;
    e->retry_ms = 0;
    if (p->last)
        e->phase = PHASE_REPLAY;
    env_ask(f, e, f->now);
}

void load_page(struct follower *f, struct fenv *e, const struct frame_snapshot_reply *p)
{
    switch (p->status) {
    case REPLY_OK:
        take_page(f, e, p);
        break;
    case REPLY_BUSY:
        env_busy(f, e, p->busy_ms);
        break;
    case REPLY_NO_ENV:
        env_missing(f, e);
        break;
    case REPLY_SNAPSHOT:
        load_fail(f, e, "upstream no longer knows the version it began with");
        break;
    case REPLY_BEHIND:
        env_upstream_is_behind(f, e, p->epoch);
        load_fail(f, e, "upstream is at an older epoch");
        break;
    default:
        upstream_garbage(f, COUNT_BAD_FRAME, "an answer of an unknown status");
        load_fail(f, e, "upstream's answer cannot be read");
    }
}

/* ---------------------------------------------------------------- replay */

static void keep(struct follower *f, struct fenv *e, const struct change *c)
{
    struct kept *k = mem_zalloc(1, sizeof *k);
    uint8_t *bytes = mem_alloc(c->bytes.len);
    if (!k || !bytes) {
        mem_free(k);
        mem_free(bytes);
        f->no_memory = true;
        return;
    }
    memcpy(bytes, c->bytes.ptr, c->bytes.len);
    *k = (struct kept){.version = c->head.version, .bytes = bytes, .len = c->bytes.len};
    if (e->load.last)
        e->load.last->next = k;
    else
        e->load.first = k;
    e->load.last = k;
    f->kept_bytes += k->len;
}

/* The kept change that follows on `version`, taken off the list; the older ones go. NULL: none. */
static struct kept *next_kept(struct follower *f, struct load *l, uint64_t version)
{
    while (l->first && l->first->version <= version + 1) {
        struct kept *k = l->first;
        l->first = k->next;
        if (!l->first)
            l->last = NULL;
        f->kept_bytes -= k->len;
        spend(f, k);
        if (k->version == version + 1)
            return k;
    }
    return NULL;
}

/* Take what was kept as far as it goes on from where the environment is. */
static bool take_kept(struct follower *f, struct fenv *e, struct load *from,
                      const uint64_t *version)
{
    struct kept *k;
    struct change c;
    while ((k = next_kept(f, from, *version)) != NULL)
        if (change_decode(slice_of(k->bytes, k->len), &c) == HOIST_OK && !env_take(f, e, &c))
            return false;
    return true;
}

/* Replayed far enough? Then let the store compare and switch. Never to a version below the served
 * one. */
static void finish_if_complete(struct follower *f, struct fenv *e)
{
    uint64_t target = e->load.target;
    if (e->load.at.epoch == e->committed.epoch && target < e->committed.version)
        target = e->committed.version;
    if (e->load.target == 0 || e->load.at.version < target)
        return;
    tell(f, OUT_LOAD_FINISH)->env = e->index;
    e->phase = PHASE_FINISHING;
    e->due_ms = NEVER;
}

void load_replayed(struct follower *f, struct fenv *e, uint64_t head)
{
    if (e->load.target == 0)
        e->load.target = head > e->load.at.version ? head : e->load.at.version;
    if (!take_kept(f, e, &e->load, &e->load.at.version))
        return;
    finish_if_complete(f, e);
    if (e->phase != PHASE_REPLAY)
        return;
    if (e->due_ms == NEVER)
        env_unanswered(f, e); /* upstream has not got so far itself */
}

void load_published(struct follower *f, struct fenv *e, const struct change *c)
{
    uint64_t newest = e->load.last ? e->load.last->version : e->load.at.version;
    if (c->head.epoch != e->load.at.epoch || c->head.version <= newest || !c->edits.ptr)
        return;
    if (f->kept_bytes + c->bytes.len > FOLLOWER_BUFFER_MAX)
        return; /* it is fetched instead */
    keep(f, e, c);
    if (e->phase == PHASE_REPLAY && take_kept(f, e, &e->load, &e->load.at.version))
        finish_if_complete(f, e);
}

/* ---------------------------------------------------------------- what the store says */

void load_done(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    int64_t took_ms = e->phase == PHASE_FINISHING ? f->now - e->load.began_ms : 0;
    struct load load = e->load;

    if (load_is_on(e) && e->phase != PHASE_FINISHING) /* another was begun meanwhile */
        tell(f, OUT_LOAD_ABORT)->env = e->index;

    env_know(f, e, in);
    e->issued = e->committed;
    e->load = (struct load){0};
    e->phase = PHASE_LIVE;
    e->life++;
    e->resync = e->load_told = false;
    e->corrupt = e->chain_break = 0;
    e->odd = 0;
    e->retry_ms = 0;
    e->earliest_ms = f->now;
    lengthen(e); /* until a heartbeat agrees with what was loaded */
    tell_count(f, COUNT_RESYNC);
    tell_log(f, LOG_INFO,
             "repl: environment '%.*s' is loaded, at version %" PRIu64 " after %" PRId64 " ms",
             SLICE_ARG(e->name), e->committed.version, took_ms);
    env_end_trouble(f, e);

    (void)take_kept(f, e, &load, &e->issued.version);
    e->load.first = load.first;
    e->load.last = load.last;
    load_drop(f, e);
    if (e->hop_epoch == e->issued.epoch && e->issued.version < e->hop_version)
        env_ask(f, e, f->now);
}

void load_failed(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    env_know(f, e, in);
    if (!load_is_on(e))
        return;
    int why_len = (int)(in->why.len < 150 ? in->why.len : 150);
    const char *why = (const char *)in->why.ptr;
    if (in->err == HOIST_ECORRUPT) { /* what it gave is not what it says it is */
        tell_count(f, COUNT_WRONG);
        f->leave = true;
    } else if (in->err != HOIST_ELIMIT) { /* more flags than may be here it can make up, too */
        patience_excuse(e);
    }
    env_set_trouble(f, e, in->err == HOIST_ECORRUPT ? TROUBLE_CHANGE : TROUBLE_STORE,
                    e->load.at.version, "the snapshot of version %" PRIu64 " is refused: %.*s",
                    e->load.at.version, why_len, why);
    begin_anew(f, e, why, why_len);
}
