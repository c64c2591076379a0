/* follower_kit.h - what follower tests play with: histories, servers that answer from them, and
 * hosts, which are a follower with a store of a few words. All in memory, no clock.
 *
 * A host checks, at every commit, that what it has now is exactly what some history had at that
 * version: so "never out of order" and "never a mixture" hold in every test.
 */
#ifndef FOLLOWER_KIT_H
#define FOLLOWER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "repl/follower.h"

enum {
    KEYS = 8,          /* flags of a history: k0 … k7 */
    HISTORY = 600,     /* changes that one can hold, of all epochs */
    ENVS = 4,          /* environments of a server or host */
    LONG_RECORD = 700, /* a record of a value that ends in 9 */
    HEARTBEAT_MS = 200,
};

/* ---------------------------------------------------------------- histories */

struct written { /* a change, and what was there after it */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint64_t flags[KEYS]; /* 0: no such flag */
    struct buf bytes;
};

struct history { /* of one environment */
    char name[16];
    struct written *all[HISTORY]; /* also those of epochs that ended */
    uint32_t all_count;
    uint32_t line[HISTORY]; /* version - 1 → index into `all`, of the present epoch's past */
    uint64_t head, epoch, log_first;
};

static inline struct slice kit_key(uint32_t i, char room[8])
{
    snprintf(room, 8, "k%u", i);
    return slice_str(room);
}

static inline struct slice kit_record(uint64_t value, uint8_t room[LONG_RECORD])
{
    memset(room, 'r', LONG_RECORD);
    be64_write(room, value);
    return slice_of(room, value % 10 == 9 ? LONG_RECORD : 8);
}

static inline void kit_digest(const uint64_t flags[KEYS], uint8_t out[HASH_SIZE])
{
    struct lthash h = {0};
    uint8_t record[LONG_RECORD];
    char key[8];
    for (uint32_t i = 0; i < KEYS; i++)
        if (flags[i])
            lthash_add(&h, kit_key(i, key), kit_record(flags[i], record));
    lthash_digest(&h, out);
}

static inline struct written *at_version(const struct history *h, uint64_t version)
{
    return h->all[h->line[version - 1]];
}

static inline struct written *find_written(const struct history *h, uint64_t epoch,
                                           uint64_t version)
{
    for (uint32_t i = h->all_count; i-- > 0;)
        if (h->all[i]->epoch == epoch && h->all[i]->version == version)
            return h->all[i];
    return NULL;
}

/* Write a change that makes the flags `flags`; touches those that differ from the last version. */
static inline struct written *write_flags(struct history *h, const uint64_t flags[KEYS],
                                          uint32_t kind)
{
    const struct written *before = h->head ? at_version(h, h->head) : NULL;
    struct written *w = mem_zalloc(1, sizeof *w);
    assert_non_null(w);
    assert_true(h->all_count < HISTORY && h->head < HISTORY);

    struct buf edits = BUF_INIT(1 << 20), list = BUF_INIT(1 << 20);
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t record[LONG_RECORD];
        char key[8];
        if (flags[i] == (before ? before->flags[i] : 0))
            continue;
        if (flags[i])
            edits_put(&list, kit_key(i, key), kit_record(flags[i], record));
        else
            edits_delete(&list, kit_key(i, key));
        count++;
    }
    edits_begin(&edits, count);
    buf_add_slice(&edits, buf_slice(&list));

    w->epoch = h->epoch;
    w->version = h->head + 1;
    memcpy(w->flags, flags, sizeof w->flags);
    kit_digest(flags, w->digest);
    struct change_header head = {
        .env = slice_str(h->name),
        .epoch = w->epoch,
        .version = w->version,
        .author = SLICE("ana"),
        .kind = kind,
        .edits_count = count,
        .old_epoch = kind == CHANGE_EPOCH && before ? before->epoch : 0,
    };
    memcpy(head.digest, w->digest, HASH_SIZE);
    if (before)
        memcpy(head.prev, before->hash, HASH_SIZE);
    w->bytes = BUF_INIT(CHANGE_BYTES_MAX);
    assert_int_equal(change_encode(&head, buf_slice(&edits), (struct slice){0}, &w->bytes, w->hash),
                     HOIST_OK);
    buf_done(&edits);
    buf_done(&list);
    h->line[h->head++] = h->all_count;
    h->all[h->all_count++] = w;
    return w;
}

static inline struct written *write_flag(struct history *h, uint32_t key, uint64_t value)
{
    uint64_t flags[KEYS];
    memcpy(flags, at_version(h, h->head)->flags, sizeof flags);
    flags[key % KEYS] = value;
    return write_flags(h, flags, value ? CHANGE_SET : CHANGE_DELETE);
}

/* `count` more changes. */
static inline void write_some(struct history *h, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        write_flag(h, i, 1000 + 10 * h->head);
}

/* Begin a greater epoch on top of version `back_to`. */
static inline struct written *write_epoch(struct history *h, uint64_t back_to)
{
    h->epoch++;
    h->head = back_to;
    if (h->log_first > back_to)
        h->log_first = back_to;
    return write_flags(h, at_version(h, back_to)->flags, CHANGE_EPOCH);
}

/* The same line with another last change: a history that went another way. */
static inline void write_other_head(struct history *h)
{
    h->head--;
    write_flag(h, 7, 777000 + h->all_count * 10);
}

static inline void history_init(struct history *h, const char *name, uint64_t epoch,
                                uint32_t changes)
{
    static const uint64_t none[KEYS];
    *h = (struct history){.epoch = epoch, .log_first = 1};
    snprintf(h->name, sizeof h->name, "%s", name);
    write_flags(h, none, CHANGE_CREATE);
    if (changes > 1)
        write_some(h, changes - 1);
}

static inline void history_done(struct history *h)
{
    for (uint32_t i = 0; i < h->all_count; i++) {
        buf_done(&h->all[i]->bytes);
        mem_free(h->all[i]);
    }
    h->all_count = 0;
}

/* ---------------------------------------------------------------- servers */

struct server {
    const struct history *env[ENVS];
    uint32_t envs;
    uint64_t behind[ENVS]; /* a relay: how many changes it is behind its history's head */
    uint32_t distance;
    uint32_t busy_ms; /* fetch and snapshot are answered "busy" */
    bool forgets;     /* later snapshot pages are answered "snapshot needed" */
    uint32_t page;    /* records, or changes, on a page; 0: 3 */
    uint32_t part;    /* a change longer than this comes in parts of this; 0: no such change */
};

static inline uint64_t server_head(const struct server *s, uint32_t i)
{
    return s->env[i]->head > s->behind[i] ? s->env[i]->head - s->behind[i] : 1;
}

static inline uint32_t kit_heads(const struct server *s, struct env_head heads[ENVS])
{
    for (uint32_t i = 0; i < s->envs; i++) {
        const struct written *w = at_version(s->env[i], server_head(s, i));
        heads[i] = (struct env_head){
            .name = slice_str(s->env[i]->name),
            .epoch = w->epoch,
            .version = w->version,
            .state = s->behind[i] ? ENV_BEHIND : ENV_CURRENT,
        };
        memcpy(heads[i].hash, w->hash, HASH_SIZE);
        memcpy(heads[i].digest, w->digest, HASH_SIZE);
    }
    return s->envs;
}

/* The heartbeat of `hop`, whose origin is `origin`; NULL: it has heard none. */
static inline void kit_heartbeat(const struct server *origin, const struct server *hop,
                                 uint64_t counter, struct buf *out)
{
    struct env_head heads[ENVS];
    struct buf o = BUF_INIT(1 << 16), p = BUF_INIT(1 << 16);
    if (origin)
        heartbeat_put_origin(&o, counter, 0, heads, kit_heads(origin, heads));
    heartbeat_put_hop(&p, hop->distance, SLICE("server"), heads, kit_heads(hop, heads));
    frame_put_heartbeat(out, buf_slice(&o), (struct slice){0}, buf_slice(&p));
    buf_done(&o);
    buf_done(&p);
}

/* Changes first … last as they are published: a long one without its edits. */
static inline void kit_publish(const struct server *s, const struct history *h, uint64_t first,
                               uint64_t last, struct buf *out)
{
    struct slice list[HISTORY];
    struct buf bare = BUF_INIT(1 << 16);
    uint32_t count = 0;
    for (uint64_t v = first; v <= last; v++) {
        list[count] = buf_slice(&at_version(h, v)->bytes);
        if (s->part && list[count].len > s->part) {
            struct change c;
            assert_int_equal(change_decode(list[count], &c), HOIST_OK);
            buf_clear(&bare);
            assert_int_equal(change_without_edits(&c, &bare), HOIST_OK);
            frame_put_changes(out, &(struct slice){bare.ptr, bare.len}, 1);
            buf_done(&bare);
            assert_int_equal(first, last); /* alone in its message */
            return;
        }
        count++;
    }
    frame_put_changes(out, list, count);
}

static inline const struct history *find_history(const struct server *s, struct slice name,
                                                 uint64_t *ret_head)
{
    for (uint32_t i = 0; i < s->envs; i++)
        if (slice_eq(slice_str(s->env[i]->name), name)) {
            *ret_head = server_head(s, i);
            return s->env[i];
        }
    return NULL;
}

static inline void answer_fetch(const struct server *s, struct slice in, struct buf *out)
{
    struct frame_fetch q;
    struct slice list[HISTORY];
    uint64_t head = 0;
    assert_int_equal(frame_get_fetch(in, &q), HOIST_OK);
    const struct history *h = find_history(s, q.env, &head);
    struct frame_fetch_reply p = {.changes = list};
    if (!h) {
        p.status = REPLY_NO_ENV;
    } else if (s->busy_ms) {
        p.status = REPLY_BUSY;
        p.busy_ms = s->busy_ms;
    } else if (at_version(h, head)->epoch < q.epoch) {
        p.status = REPLY_BEHIND;
        p.epoch = at_version(h, head)->epoch;
    } else if (at_version(h, head)->epoch > q.epoch || q.after + 1 < h->log_first) {
        p.status = REPLY_SNAPSHOT;
        p.epoch = at_version(h, head)->epoch;
    } else {
        p.epoch = q.epoch;
        p.head = head;
        struct slice next =
            q.after < head ? buf_slice(&at_version(h, q.after + 1)->bytes) : (struct slice){0};
        if (s->part && next.len > s->part) {
            size_t left = next.len - q.offset;
            p.part = slice_of(next.ptr + q.offset, left < s->part ? left : s->part);
            p.part_offset = q.offset;
            p.part_total = next.len;
        } else {
            for (uint64_t v = q.after + 1; v <= head && p.count < (s->page ? s->page : 3); v++) {
                list[p.count] = buf_slice(&at_version(h, v)->bytes);
                if (s->part && list[p.count].len > s->part)
                    break;
                p.count++;
            }
        }
    }
    frame_put_fetch_reply(out, &p);
}

static inline void answer_snapshot(const struct server *s, struct slice in, struct buf *out)
{
    struct frame_snapshot q;
    struct edit records[KEYS];
    char keys[KEYS][8];
    uint8_t values[KEYS][LONG_RECORD];
    struct buf base = BUF_INIT(1 << 16);
    uint64_t head = 0;
    assert_int_equal(frame_get_snapshot(in, &q), HOIST_OK);
    const struct history *h = find_history(s, q.env, &head);
    struct frame_snapshot_reply p = {.records = records};
    bool first = q.version == 0;
    if (!h) {
        p.status = REPLY_NO_ENV;
    } else if (s->busy_ms) {
        p.status = REPLY_BUSY;
        p.busy_ms = s->busy_ms;
    } else if (!first && (s->forgets || q.epoch != at_version(h, head)->epoch ||
                          q.version + 1 < h->log_first)) {
        p.status = REPLY_SNAPSHOT;
    } else {
        const struct written *w = at_version(h, head);
        p.epoch = first ? w->epoch : q.epoch;
        p.version = first ? head : q.version;
        if (first) {
            struct change c;
            assert_int_equal(change_decode(buf_slice(&w->bytes), &c), HOIST_OK);
            assert_int_equal(change_without_edits(&c, &base), HOIST_OK);
            p.base = buf_slice(&base);
        }
        p.last = true;
        p.flags_total = KEYS;
        for (uint32_t i = 0; i < KEYS; i++) {
            struct slice key = kit_key(i, keys[i]);
            if (w->flags[i] == 0 || slice_cmp(key, q.after_key) <= 0)
                continue;
            if (p.count == (s->page ? s->page : 3)) {
                p.last = false;
                break;
            }
            records[p.count++] = (struct edit){
                .put = true, .key = key, .record = kit_record(w->flags[i], values[i])};
        }
    }
    frame_put_snapshot_reply(out, &p);
    buf_done(&base);
}

/* What `s` answers to request `in`. */
static inline void server_answer(const struct server *s, struct slice in, struct buf *out)
{
    enum frame_kind kind;
    struct env_head heads[ENVS];
    assert_int_equal(frame_kind_of(in, &kind), HOIST_OK);
    switch (kind) {
    case FRAME_HELLO:
        frame_put_hello(out, FRAME_HELLO_REPLY,
                        &(struct frame_hello){
                            .id = SLICE("server"),
                            .software = SLICE("0.1.0"),
                            .role = s->distance ? SLICE("relay") : SLICE("primary"),
                            .envs = heads,
                            .env_count = kit_heads(s, heads),
                        });
        break;
    case FRAME_FETCH:
        answer_fetch(s, in, out);
        break;
    case FRAME_SNAPSHOT:
        answer_snapshot(s, in, out);
        break;
    default:
        assert_int_equal(kind, FRAME_STATUS);
        frame_put_status_reply(out, REPLY_OK);
    }
}

/* ---------------------------------------------------------------- hosts */

struct state { /* of one environment */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint64_t flags[KEYS];
};

struct host_env {
    char name[16];
    const struct history *truth;
    struct state now, load;
    bool loading;
    enum hoist_err apply_err, load_err; /* what the store fails with; OK: it does not */
    uint32_t applied, loaded;
};

struct result { /* what the store made of the outputs, to be told once they are all carried out */
    enum follower_in kind;
    uint32_t env;
    enum hoist_err err;
};

struct host {
    struct follower *f;
    int64_t now, next_ms;
    struct host_env env[ENVS];
    uint32_t envs, upstreams;
    uint64_t seed, counter;
    bool relay;             /* others follow it */
    struct trust trust;     /* who may sign; none: anybody */
    bool late;              /* what the store has done is told by host_commit() only */
    uint32_t waiting[ENVS]; /* how much of that there is, and the newest */
    struct result untold[ENVS];

    /* what the follower wanted, newest */
    uint32_t upstream, follows;
    uint32_t probes;    /* upstreams that it listens to beside that one, a bit for each */
    struct buf request; /* empty: none is outstanding */
    uint64_t tag;
    uint32_t requests, fetches, snapshots, statuses, hellos;
    uint32_t aborts, proves;
    uint32_t counts[COUNT_END];
    struct buf log;
    enum hoist_err err; /* of the last step */
};

static inline void host_step(struct host *h, struct follower_input in);

static inline void state_put(struct state *s, struct slice key, struct slice record)
{
    assert_true(key.len == 2 && key.ptr[0] == 'k' && key.ptr[1] < '0' + KEYS);
    assert_true(record.len == 0 || record.len >= 8);
    s->flags[key.ptr[1] - '0'] = record.len ? be64_read(record.ptr) : 0;
}

/* Put change `c` on top of `s`: it must be the very next one. */
static inline void state_apply(struct state *s, const struct change *c)
{
    struct edits_reader r;
    struct edit e;
    assert_int_equal(c->head.epoch, s->epoch);
    assert_int_equal(c->head.version, s->version + 1);
    assert_memory_equal(c->head.prev, s->hash, HASH_SIZE);
    assert_non_null(c->edits.ptr);
    assert_int_equal(edits_open(c->edits, &r), HOIST_OK);
    while (edits_next(&r, &e) == HOIST_OK)
        state_put(s, e.key, e.put ? e.record : (struct slice){0});
    s->version++;
    memcpy(s->hash, c->hash, HASH_SIZE);
    memcpy(s->digest, c->head.digest, HASH_SIZE);
}

/* What is served is a version that the primary had, whole. */
static inline void check_state(const struct host_env *e)
{
    const struct written *w = find_written(e->truth, e->now.epoch, e->now.version);
    assert_non_null(w);
    assert_memory_equal(e->now.flags, w->flags, sizeof w->flags);
    assert_memory_equal(e->now.hash, w->hash, HASH_SIZE);
}

static inline enum hoist_err host_apply(struct host_env *e, const struct change *c)
{
    assert_false(e->loading);
    if (e->apply_err != HOIST_OK)
        return e->apply_err;
    state_apply(&e->now, c);
    e->applied++;
    check_state(e);
    return HOIST_OK;
}

static inline enum hoist_err host_finish(struct host_env *e)
{
    assert_true(e->loading);
    e->loading = false;
    if (e->load_err != HOIST_OK)
        return e->load_err;
    const struct written *w = find_written(e->truth, e->load.epoch, e->load.version);
    assert_non_null(w);
    if (memcmp(e->load.flags, w->flags, sizeof w->flags) != 0)
        return HOIST_ECORRUPT;
    assert_true(e->load.epoch > e->now.epoch ||
                (e->load.epoch == e->now.epoch && e->load.version >= e->now.version));
    e->now = e->load;
    e->loaded++;
    check_state(e);
    return HOIST_OK;
}

static inline void host_request(struct host *h, const struct follower_output *o)
{
    enum frame_kind kind;
    assert_int_equal(h->request.len, 0); /* one at a time */
    assert_int_equal(o->upstream, h->upstream);
    assert_int_equal(frame_kind_of(o->bytes, &kind), HOIST_OK);
    buf_add_slice(&h->request, o->bytes);
    h->tag = o->tag;
    h->requests++;
    h->hellos += kind == FRAME_HELLO;
    h->fetches += kind == FRAME_FETCH;
    h->snapshots += kind == FRAME_SNAPSHOT;
    h->statuses += kind == FRAME_STATUS;
}

/* Carry out one output. True: *ret is to be told. */
static inline bool host_carry_out(struct host *h, const struct follower_output *o,
                                  struct result *ret)
{
    struct host_env *e = &h->env[o->env];
    *ret = (struct result){.env = o->env};
    switch (o->kind) {
    case OUT_FOLLOW:
        assert_true(o->upstream < h->upstreams);
        h->upstream = o->upstream;
        h->follows++;
        buf_clear(&h->request);
        return false;
    case OUT_REQUEST:
        host_request(h, o);
        return false;
    case OUT_APPLY:
        ret->err = host_apply(e, &o->change);
        ret->kind = ret->err == HOIST_OK ? IN_APPLIED : IN_APPLY_FAILED;
        return true;
    case OUT_LOAD_BEGIN:
        assert_false(e->loading);
        e->loading = true;
        e->load = (struct state){.epoch = o->change.head.epoch, .version = o->change.head.version};
        memcpy(e->load.hash, o->change.hash, HASH_SIZE);
        memcpy(e->load.digest, o->change.head.digest, HASH_SIZE);
        return false;
    case OUT_LOAD_RECORDS:
        assert_true(e->loading);
        for (uint32_t i = 0; i < o->record_count; i++)
            state_put(&e->load, o->records[i].key, o->records[i].record);
        return false;
    case OUT_LOAD_CHANGE:
        assert_true(e->loading);
        state_apply(&e->load, &o->change);
        return false;
    case OUT_LOAD_FINISH:
        ret->err = host_finish(e);
        ret->kind = ret->err == HOIST_OK ? IN_LOADED : IN_LOAD_FAILED;
        return true;
    case OUT_LOAD_ABORT:
        h->aborts += e->loading;
        e->loading = false;
        return false;
    case OUT_PROBE:
        h->probes |= 1u << o->upstream;
        return false;
    case OUT_PROBED:
        assert_true(h->probes >> o->upstream & 1);
        h->probes &= ~(1u << o->upstream);
        return false;
    case OUT_PROVE:
        h->proves++;
        return false;
    case OUT_KEYS:
        return false;
    case OUT_LOG:
        buf_add_slice(&h->log, o->text);
        buf_add_byte(&h->log, '\n');
        return false;
    case OUT_COUNT:
        h->counts[o->what]++;
        return false;
    }
    return false;
}

static inline void host_tell(struct host *h, struct result r)
{
    const struct state *s = &h->env[r.env].now;
    struct follower_input in = {
        .kind = r.kind,
        .env = r.env,
        .epoch = s->epoch,
        .version = s->version,
        .err = r.err,
        .why = slice_str(err_word(r.err)),
    };
    memcpy(in.hash, s->hash, HASH_SIZE);
    memcpy(in.digest, s->digest, HASH_SIZE);
    host_step(h, in);
}

static inline void host_step(struct host *h, struct follower_input in)
{
    struct follower_outputs out;
    struct result told[ENVS], r;
    bool fell[ENVS] = {0};
    uint32_t count = 0;

    h->err = follower_step(h->f, h->now, &in, &out);
    if (h->err != HOIST_OK)
        return;
    h->next_ms = out.next_ms;
    assert_true(out.next_ms > h->now);
    for (uint32_t i = 0; i < out.count; i++) {
        const struct follower_output *o = &out.items[i];
        bool failed =
            fell[o->env] || (h->waiting[o->env] && h->untold[o->env].kind == IN_APPLY_FAILED);
        if (o->kind == OUT_APPLY && failed)
            continue; /* behind one that failed */
        if (!host_carry_out(h, o, &r))
            continue;
        if (h->late) {
            h->waiting[r.env]++;
            h->untold[r.env] = r;
            continue;
        }
        fell[r.env] = fell[r.env] || r.kind == IN_APPLY_FAILED;
        /* Applies of one environment in a row are told once. */
        if (count && told[count - 1].env == r.env && told[count - 1].kind == IN_APPLIED)
            count--;
        assert_true(count < ENVS);
        told[count++] = r;
    }
    for (uint32_t i = 0; i < count; i++)
        host_tell(h, told[i]);
}

/* Tell what was kept back. */
static inline void host_commit(struct host *h)
{
    for (uint32_t i = 0; i < h->envs; i++)
        if (h->waiting[i]) {
            h->waiting[i] = 0;
            host_tell(h, h->untold[i]);
        }
}

static inline void host_start(struct host *h)
{
    struct follower_env envs[ENVS];
    for (uint32_t i = 0; i < h->envs; i++) {
        struct state *s = &h->env[i].now;
        h->env[i].loading = false;
        h->waiting[i] = 0;
        envs[i] = (struct follower_env){
            .name = slice_str(h->env[i].name),
            .present = s->version > 0,
            .epoch = s->epoch,
            .version = s->version,
        };
        memcpy(envs[i].hash, s->hash, HASH_SIZE);
        memcpy(envs[i].digest, s->digest, HASH_SIZE);
    }
    buf_clear(&h->request);
    follower_free(h->f);
    h->f = NULL;
    assert_int_equal(follower_new(&(struct follower_config){.id = SLICE("host1"),
                                                            .software = SLICE("0.1.0"),
                                                            .incarnation = 1,
                                                            .envs = envs,
                                                            .env_count = h->envs,
                                                            .upstreams = h->upstreams,
                                                            .heartbeat_ms = HEARTBEAT_MS,
                                                            .relay = h->relay,
                                                            .trust = h->trust,
                                                            .seed = h->seed,
                                                            .counter = h->counter},
                                  h->now, &h->f),
                     HOIST_OK);
}

/* A host that follows `truth`, and has its first `version` changes (0: nothing). */
static inline void host_add_env(struct host *h, const struct history *truth, uint64_t version)
{
    struct host_env *e = &h->env[h->envs++];
    *e = (struct host_env){.truth = truth};
    snprintf(e->name, sizeof e->name, "%s", truth->name);
    if (version) {
        const struct written *w = at_version(truth, version);
        e->now.epoch = w->epoch;
        e->now.version = w->version;
        memcpy(e->now.hash, w->hash, HASH_SIZE);
        memcpy(e->now.digest, w->digest, HASH_SIZE);
        memcpy(e->now.flags, w->flags, sizeof w->flags);
    }
}

static inline void host_init(struct host *h, const struct history *truth, uint64_t version)
{
    *h = (struct host){.upstreams = 1, .seed = 1, .now = 1000000};
    h->request = BUF_INIT(FRAME_REPLY_MAX);
    h->log = BUF_INIT(1 << 20);
    host_add_env(h, truth, version);
}

static inline void host_done(struct host *h)
{
    follower_free(h->f);
    buf_done(&h->request);
    buf_done(&h->log);
    h->f = NULL;
}

static inline void host_tick(struct host *h)
{
    host_step(h, (struct follower_input){.kind = IN_TICK});
}

static inline void host_message(struct host *h, struct slice bytes)
{
    host_step(h,
              (struct follower_input){.kind = IN_MESSAGE, .upstream = h->upstream, .bytes = bytes});
}

static inline void host_reply(struct host *h, struct slice bytes)
{
    buf_clear(&h->request);
    host_step(h, (struct follower_input){.kind = IN_REPLY, .tag = h->tag, .bytes = bytes});
}

static inline void host_no_reply(struct host *h)
{
    buf_clear(&h->request);
    host_step(h, (struct follower_input){.kind = IN_NO_REPLY, .tag = h->tag});
}

static inline void host_lost(struct host *h)
{
    host_step(h, (struct follower_input){.kind = IN_LOST});
}

static inline enum frame_kind host_asks(const struct host *h)
{
    enum frame_kind kind = 0;
    if (h->request.len)
        assert_int_equal(frame_kind_of(buf_slice(&h->request), &kind), HOIST_OK);
    return kind;
}

static inline bool host_said(struct host *h, const char *text)
{
    return strstr(buf_str(&h->log), text) != NULL;
}

static inline uint32_t host_said_times(struct host *h, const char *text)
{
    uint32_t n = 0;
    for (const char *p = buf_str(&h->log); (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static inline struct follower_view host_view(const struct host *h)
{
    struct follower_view v;
    follower_look(h->f, h->now, &v);
    return v;
}

static inline bool host_equals(const struct host *h, uint32_t env, const struct history *with)
{
    const struct written *w = at_version(with, with->head);
    const struct state *s = &h->env[env].now;
    return s->epoch == with->epoch && s->version == w->version &&
           memcmp(s->hash, w->hash, HASH_SIZE) == 0 &&
           memcmp(s->digest, w->digest, HASH_SIZE) == 0 &&
           memcmp(s->flags, w->flags, sizeof w->flags) == 0;
}

#endif
