/* follower_env.c - one environment, live: what is published, fetched, applied, refused. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repl/follower_int.h"

/* Where the changes go on: on top of what is served, or of what is being loaded. */
static struct point *at(struct fenv *e)
{
    return load_is_on(e) ? &e->load.at : &e->issued;
}

static void point_of_change(struct point *p, const struct change *c)
{
    p->epoch = c->head.epoch;
    p->version = c->head.version;
    memcpy(p->hash, c->hash, HASH_SIZE);
    memcpy(p->digest, c->head.digest, HASH_SIZE);
}

/* ---------------------------------------------------------------- what others have */

static void reckon(struct follower *f, struct fenv *e)
{
    bool behind =
        !e->present || !e->origin_known || e->origin_epoch > e->committed.epoch ||
        (e->origin_epoch == e->committed.epoch && e->origin_version > e->committed.version);
    if (!behind)
        e->behind_since_ms = NEVER;
    else if (e->behind_since_ms == NEVER)
        e->behind_since_ms = f->now;
}

/* The primary is known to have this. */
static void raise_origin(struct follower *f, struct fenv *e, uint64_t epoch, uint64_t version)
{
    if (e->origin_known &&
        (epoch < e->origin_epoch || (epoch == e->origin_epoch && version <= e->origin_version)))
        return;
    e->origin_known = true;
    e->origin_epoch = epoch;
    e->origin_version = version;
    reckon(f, e);
}

/* Upstream is known to have this. */
static void raise_hop(struct fenv *e, uint64_t epoch, uint64_t version)
{
    if (e->hop_known && epoch == e->hop_epoch && version < e->hop_version)
        return;
    e->hop_known = true;
    e->hop_epoch = epoch;
    e->hop_version = version;
}

/* What the primary says of the version that is here: the same, or something is wrong. It takes two
 * to say so, since there is no way back. */
void env_origin(struct follower *f, struct fenv *e, const struct env_head *o, bool moved)
{
    if (moved) { /* news of the primary itself, so it overrules what changes let expect */
        e->origin_known = false;
        raise_origin(f, e, o->epoch, o->version);
    }
    bool comparable = moved && e->present && e->phase == PHASE_LIVE &&
                      e->trouble != TROUBLE_DIVERGED && o->epoch == e->committed.epoch &&
                      o->version == e->committed.version;
    if (!comparable)
        return;
    bool other_hash = memcmp(o->hash, e->committed.hash, HASH_SIZE) != 0;
    bool other_digest = memcmp(o->digest, e->committed.digest, HASH_SIZE) != 0;
    if (!other_hash && !other_digest) {
        e->odd = 0;
        e->load_ms = 0;
        return;
    }
    if (++e->odd < 2)
        return;
    e->odd = 0;
    if (other_hash) {
        env_diverge(f, e, "the primary has another change of this version");
    } else {
        e->resync = true;
        load_want(f, e, "its flags are not those of this version (another state digest)");
    }
}

/* Hello is answered after it was asked, so what it says is newer than what was here then. */
static bool is_diverged(const struct follower *f, const struct fenv *e, const struct env_head *h,
                        const char **ret_how)
{
    if (!f->primary || h->epoch != e->asked.epoch)
        return false;
    if (h->version < e->asked.version) {
        *ret_how = "this host is ahead of the primary";
        return true;
    }
    *ret_how = "the primary has another change of this version";
    return h->version == e->asked.version && memcmp(h->hash, e->asked.hash, HASH_SIZE) != 0;
}

/* Whether the history here is upstream's, as far as one can tell. Nobody has signed a hello, so there may
 * be a better upstream than one that is at odds with it; and one that is not ends that trouble. */
static bool agrees(struct follower *f, struct fenv *e, const struct env_head *h, enum heard how)
{
    const char *why;
    bool was_diverged = e->trouble == TROUBLE_DIVERGED;
    if (how != HEARD_HELLO)
        return !was_diverged;
    bool diverged = is_diverged(f, e, h, &why);
    if (diverged && !was_diverged) {
        env_diverge(f, e, why);
        f->leave = true;
    } else if (was_diverged && !diverged) {
        env_end_trouble(f, e);
    }
    return !diverged;
}

void env_hop(struct follower *f, struct fenv *e, const struct env_head *h, enum heard how)
{
    proof_hop(e, h);
    if (h->version == 0) { /* a relay that waits for its first snapshot */
        if (how != HEARD_OLD)
            env_missing(f, e);
        return;
    }
    if (e->trouble == TROUBLE_MISSING)
        env_end_trouble(f, e);

    uint64_t mine = load_is_on(e) ? e->load.at.epoch : e->committed.epoch;
    if (h->epoch > mine) {
        raise_hop(e, h->epoch, h->version);
        load_want(f, e, e->present ? "a newer epoch has begun" : "there is nothing here yet");
        return;
    }
    if (h->epoch < mine) {
        if (how == HEARD_HELLO && e->asked.epoch > h->epoch)
            env_upstream_is_behind(f, e, h->epoch);
        else if (how != HEARD_HELLO && e->trouble != TROUBLE_UPSTREAM)
            upstream_doubt(f); /* one that took upstream's place may count heartbeats from before */
        return;
    }
    if (e->trouble == TROUBLE_UPSTREAM)
        env_end_trouble(f, e);
    raise_hop(e, h->epoch, h->version);
    if (e->phase != PHASE_LIVE && env_is_idle(f, e)) /* upstream was at another epoch in between */
        env_ask(f, e, f->now + follower_random(f, FOLLOWER_FETCH_JITTER_MS));
    if (e->phase != PHASE_LIVE)
        return;
    if (e->resync && e->trouble != TROUBLE_DIVERGED) {
        load_want(f, e, "its flags are not those of this version (another state digest)");
    } else if (!agrees(f, e, h, how)) {
        return;
    } else if (h->version > e->issued.version) {
        e->hole = e->hole || (how != HEARD_HELLO && env_is_idle(f, e));
        env_ask(f, e, f->now + follower_random(f, FOLLOWER_FETCH_JITTER_MS));
    } else if (how == HEARD_HEARTBEAT && f->distance == 0 && h->version < e->committed.version)
        upstream_doubt(f);
}

/* ---------------------------------------------------------------- changes */

/* Give the next change in line to the store. False: it does not fit, and was refused. */
bool env_take(struct follower *f, struct fenv *e, const struct change *c)
{
    struct point *p = at(e);
    if (memcmp(c->head.prev, p->hash, HASH_SIZE) != 0) {
        char why[WHY_SIZE];
        snprintf(why, sizeof why, "it follows another change %" PRIu64 " than the one here",
                 p->version);
        env_refuse(f, e, c->head.version, why);
        return false;
    }
    patience_gain(e, c->bytes.len);
    struct follower_output *o = tell(f, load_is_on(e) ? OUT_LOAD_CHANGE : OUT_APPLY);
    o->env = e->index;
    o->change = *c;
    point_of_change(p, c);
    if (e->phase == PHASE_LIVE && e->retry_ms == 0 && p->version >= e->hop_version) {
        e->due_ms = NEVER; /* what was missing came by itself */
        e->hole = false;
    }
    return true;
}

void env_published(struct follower *f, struct fenv *e, const struct change *c)
{
    raise_origin(f, e, c->head.epoch, c->head.version);
    if (load_is_on(e)) {
        load_published(f, e, c);
        return;
    }
    if (!e->present || e->resync || e->phase != PHASE_LIVE || e->trouble == TROUBLE_DIVERGED)
        return; /* heartbeats tell what is to be done */
    if (c->head.epoch != e->committed.epoch || c->head.version <= e->issued.version)
        return;
    raise_hop(e, c->head.epoch, c->head.version);
    if (c->head.version == e->issued.version + 1 && c->edits.ptr) {
        (void)env_take(f, e, c);
        return;
    }
    e->hole = e->hole || (c->head.version > e->issued.version + 1 && env_is_idle(f, e));
    env_ask(f, e, f->now);
}

/* ---------------------------------------------------------------- fetched */

/* A fetched change that can be read. False: it is wrong, and was refused. */
static bool take_fetched(struct follower *f, struct fenv *e, const struct change *fetched,
                         bool vouched)
{
    struct change c = *fetched;
    struct point *p = at(e);
    uint64_t next = p->version + 1;

    if (!vouched && keys_were_trusted(f, &c)) {
        load_want(f, e, "the changes up to here were signed by a key that is revoked now");
        return false;
    }
    if (!vouched) {
        upstream_forged(f, "a change");
        env_refuse(f, e, next, "no key that this host trusts has signed it");
        return false;
    }
    if (!slice_eq(c.head.env, e->name) || c.head.epoch != p->epoch || c.head.version > next ||
        !c.edits.ptr) {
        env_refuse(f, e, next, "upstream gave another one in its place");
        return false;
    }
    if (c.head.version < next)
        return true; /* it was published meanwhile, and taken */
    bool breaks = memcmp(c.head.prev, p->hash, HASH_SIZE) != 0;
    if (breaks && f->primary && e->phase == PHASE_LIVE && e->chain_break == next) {
        env_diverge(f, e, "the primary has another change of this version");
        return false;
    }
    e->chain_break = breaks ? next : 0;
    return env_take(f, e, &c);
}

/* Fetched changes, as far as they can be read and are right. False: one was refused. */
static bool take_run(struct follower *f, struct fenv *e, const struct slice *bytes, uint32_t count)
{
    struct change *changes = arena_alloc(&f->arena, count, sizeof *changes);
    bool *vouched = arena_alloc(&f->arena, count, sizeof *vouched);
    uint32_t read = 0;
    if (!changes || !vouched) {
        f->no_memory = true;
        return false;
    }
    while (read < count && change_decode(bytes[read], &changes[read]) == HOIST_OK)
        read++;
    struct slice why = slice_str(err_last());
    if (read < count && arena_own(&f->arena, &why) != HOIST_OK)
        f->no_memory = true;
    keys_of_changes(f, changes, read);
    change_vouch(&f->ring.trusted, changes, read, vouched);
    for (uint32_t i = 0; i < read; i++)
        if (!take_fetched(f, e, &changes[i], vouched[i]))
            return false;
    if (read < count)
        env_refuse(f, e, at(e)->version + 1, (const char *)why.ptr);
    return read == count;
}

/* The change is complete: outputs borrow its bytes, so they live until the next step. */
static bool take_whole_part(struct follower *f, struct fenv *e)
{
    struct kept *k = mem_zalloc(1, sizeof *k);
    if (!k) {
        f->no_memory = true;
        return false;
    }
    k->bytes = e->part.ptr;
    k->len = e->part.len;
    e->part = BUF_INIT(CHANGE_BYTES_MAX);
    env_drop_part(e);
    spend(f, k);
    struct slice whole = slice_of(k->bytes, k->len);
    return take_run(f, e, &whole, 1);
}

/* A part of a change too long for one page. False: it does not fit to what is here. */
static bool take_part(struct follower *f, struct fenv *e, const struct frame_fetch_reply *p)
{
    uint64_t next = at(e)->version + 1;
    if (e->part.len == 0) {
        e->part_version = next;
        e->part_total = p->part_total;
    }
    bool fits = e->part_version == next && p->part_total == e->part_total &&
                p->part_total <= CHANGE_BYTES_MAX && p->part_offset == e->part.len &&
                p->part.len > 0 && p->part.len <= p->part_total - p->part_offset;
    if (!fits) {
        env_drop_part(e);
        upstream_garbage(f, COUNT_BAD_FRAME, "a part of a change that fits to no other");
        env_ask_later(f, e);
        return false;
    }
    patience_gain(e, p->part.len);
    buf_add_slice(&e->part, p->part);
    if (e->part.err != HOIST_OK) {
        env_drop_part(e);
        f->no_memory = true;
        return false;
    }
    if (e->part.len == e->part_total)
        return take_whole_part(f, e);
    return true;
}

/* After an answer that was taken: is there more? `progress`: it brought anything. */
static void ask_for_more(struct follower *f, struct fenv *e, uint64_t head, bool progress)
{
    /* While something is in its way, only the store's word that it is over counts. */
    if (load_is_on(e) ? progress
                      : e->trouble == TROUBLE_NONE && (progress || at(e)->version >= head))
        env_went_well(e);
    if (head < e->hop_version && !progress)
        e->hop_version = head; /* a rumour of more: its own word counts */
    else
        raise_hop(e, at(e)->epoch, head);
    if (at(e)->version < e->hop_version) {
        if (progress)
            env_ask(f, e, f->now);
        else
            env_ask_later(f, e);
    } else if (!load_is_on(e) && (e->trouble == TROUBLE_CHANGE || e->trouble == TROUBLE_STORE)) {
        env_ask_later(f, e);
    }
}

static void take_reply(struct follower *f, struct fenv *e, const struct request *r,
                       const struct frame_fetch_reply *p)
{
    if (e->trouble == TROUBLE_MISSING)
        env_end_trouble(f, e);
    uint64_t before = at(e)->version;
    if (p->part_total > 0) {
        if (r->after == before && !take_part(f, e, p))
            return;
    } else if (!take_run(f, e, p->changes, p->count)) {
        return;
    }
    if (e->phase == PHASE_LIVE && f->primary && p->head < r->after)
        upstream_doubt(f);
    bool progress = at(e)->version > r->after || (p->part_total > 0 && r->after == before);
    ask_for_more(f, e, p->head, progress);
    if (e->phase == PHASE_REPLAY)
        load_replayed(f, e, p->head);
}

void env_fetched(struct follower *f, struct fenv *e, const struct request *r,
                 const struct frame_fetch_reply *p)
{
    switch (p->status) {
    case REPLY_OK:
        if (p->epoch == at(e)->epoch)
            take_reply(f, e, r, p);
        else
            upstream_doubt(f); /* it has begun another: hello tells which */
        break;
    case REPLY_BUSY:
        env_busy(f, e, p->busy_ms);
        break;
    case REPLY_SNAPSHOT:
        if (load_is_on(e))
            load_fail(f, e, "upstream's log was cut before the changes were replayed");
        else
            load_want(f, e, "upstream's log does not reach back so far");
        break;
    case REPLY_NO_ENV:
        env_missing(f, e);
        break;
    case REPLY_BEHIND:
        env_upstream_is_behind(f, e, p->epoch);
        break;
    default:
        upstream_garbage(f, COUNT_BAD_FRAME, "an answer of an unknown status");
        env_ask_later(f, e);
    }
}

/* ---------------------------------------------------------------- what the store says */

void env_know(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    e->committed.epoch = in->epoch;
    e->committed.version = in->version;
    memcpy(e->committed.hash, in->hash, HASH_SIZE);
    memcpy(e->committed.digest, in->digest, HASH_SIZE);
    e->held = in->held;
    if (e->held == 0)
        held_done(e);
    e->present = in->version > 0;
    e->ahead = false;
    reckon(f, e);
    status_soon(f);
}

void env_applied(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    env_know(f, e, in);
    if (e->issued.epoch != e->committed.epoch || e->issued.version < e->committed.version)
        e->issued = e->committed;
    if (e->corrupt && e->corrupt <= in->version)
        e->corrupt = 0;
    bool over = (e->trouble == TROUBLE_CHANGE || e->trouble == TROUBLE_STORE) &&
                e->trouble_version <= in->version;
    if (!over)
        return;
    env_went_well(e);
    e->earliest_ms = f->now;
    env_end_trouble(f, e);
    if (e->issued.version < e->hop_version)
        env_ask(f, e, f->now);
}

void env_apply_failed(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    env_know(f, e, in);
    e->issued = e->committed;
    if (e->phase != PHASE_LIVE)
        return;
    env_set_back(e);
    uint64_t version = e->committed.version + 1;
    switch (in->err) {
    case HOIST_EAGAIN: /* the store was further on, or back: now that is known */
        env_ask_later(f, e);
        break;
    case HOIST_ECORRUPT:
        if (e->corrupt == version) {
            e->resync = true;
            load_want(f, e, "a change does not lead to the state that it names");
            break;
        }
        e->corrupt = version;
        char why[WHY_SIZE];
        snprintf(why, sizeof why, "%.*s", (int)(in->why.len < 200 ? in->why.len : 200),
                 (const char *)in->why.ptr);
        env_refuse(f, e, version, why);
        break;
    default:
        patience_excuse(e);
        env_set_trouble(f, e, TROUBLE_STORE, version,
                        "the store cannot take change %" PRIu64 " (%.*s), trying again", version,
                        (int)(in->why.len < 150 ? in->why.len : 150), (const char *)in->why.ptr);
        env_ask_later(f, e);
    }
}
