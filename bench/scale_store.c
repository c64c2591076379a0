/* scale_store.c - the history that all stores of the simulation are prefixes of, and store.h's
 * reading half on it. Linked before the store's archive, so that nothing of LMDB comes in. */
#include "scale_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "bench.h"
#include "wire/record.h"

enum { RECORD_KILLED = 2, RECORDS = 4, KEY_DIGITS = 6 };

/* A boolean flag whose variants are on and off: docs/protocol.md spells it out. */
static const uint8_t PLAIN[] = {0x9b, 0x01, 0x00, 0xc3, 0x01, 0x82, 0xa2, 'o',  'n',  0xc3, 0xa3,
                                'o',  'f',  'f',  0xc2, 0x01, 0xc0, 0xc0, 0x80, 0x80, 0xc0};
enum { PLAIN_DEFAULT = 15 };

static struct slice key_of(const struct scale_history *h, uint32_t i)
{
    return slice_str(h->keys[i]);
}

static struct slice record_of(const struct scale_history *h, uint8_t record)
{
    return buf_slice(&h->records[record]);
}

/* ---------------------------------------------------------------- the history */

static void make_records(struct scale_history *h)
{
    for (uint8_t i = 0; i < RECORDS; i++) {
        uint8_t plain[sizeof PLAIN];
        memcpy(plain, PLAIN, sizeof plain);
        plain[PLAIN_DEFAULT] = i % 2 == 0;
        h->records[i] = BUF_INIT(sizeof plain * 2);
        struct slice record = {plain, sizeof plain};
        if (record_override(record, i >= RECORD_KILLED ? 1 : FLAG_NO_VARIANT, &h->records[i]) !=
            HOIST_OK)
            bench_die("a record");
    }
}

static void write_version(struct scale_history *h, const struct buf *edits, uint32_t count,
                          enum change_kind kind)
{
    if (h->head == SCALE_HISTORY)
        bench_die("the history is full");
    const struct scale_written *before = h->head ? &h->all[h->head - 1] : NULL;
    struct scale_written *w = &h->all[h->head];
    struct change_header head = {
        .env = SLICE(SCALE_ENV),
        .epoch = h->epoch,
        .version = h->head + 1,
        .time_ms = h->time_ms += 20,
        .author = SLICE("ana@example.com"),
        .message = SLICE("a change as people make it"),
        .kind = kind,
        .edits_count = count,
    };
    lthash_digest(&h->state, w->digest);
    memcpy(head.digest, w->digest, HASH_SIZE);
    if (before)
        memcpy(head.prev, before->hash, HASH_SIZE);
    w->bytes = BUF_INIT(CHANGE_BYTES_MAX);
    if (change_encode(&head, buf_slice(edits), (struct slice){0}, &w->bytes, w->hash) != HOIST_OK)
        bench_die("a change");
    h->head++;
}

void scale_history_begin(struct scale_history *h)
{
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    *h = (struct scale_history){.epoch = 1700000000ull << 24, .time_ms = 1700000000000};
    make_records(h);
    h->all[0].key = h->all[1].key = SCALE_FLAGS;
    edits_begin(&edits, 0);
    write_version(h, &edits, 0, CHANGE_CREATE);
    buf_clear(&edits);
    edits_begin(&edits, SCALE_FLAGS);
    for (uint32_t i = 0; i < SCALE_FLAGS; i++) {
        snprintf(h->keys[i], sizeof h->keys[i], BENCH_KEY, (int)i);
        edits_put(&edits, key_of(h, i), record_of(h, 0));
        lthash_add(&h->state, key_of(h, i), record_of(h, 0));
    }
    write_version(h, &edits, SCALE_FLAGS, CHANGE_APPLY);
    buf_done(&edits);
}

void scale_history_end(struct scale_history *h)
{
    for (uint64_t v = 0; v < h->head; v++)
        buf_done(&h->all[v].bytes);
    for (int i = 0; i < RECORDS; i++)
        buf_done(&h->records[i]);
}

void scale_write(struct scale_history *h, uint32_t key, enum change_kind kind)
{
    struct slice name = key_of(h, key);
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    uint8_t record = kind == CHANGE_KILL ? h->now[key] | RECORD_KILLED : h->now[key] ^ 1;
    edits_begin(&edits, 1);
    edits_put(&edits, name, record_of(h, record));
    lthash_sub(&h->state, name, record_of(h, h->now[key]));
    lthash_add(&h->state, name, record_of(h, record));
    h->now[key] = record;
    write_version(h, &edits, 1, kind);
    h->all[h->head - 1].key = key;
    h->all[h->head - 1].record = record;
    h->touched[key] = h->head;
    buf_done(&edits);
}

struct slice scale_bytes(const struct scale_history *h, uint64_t v)
{
    return buf_slice(&h->all[v - 1].bytes);
}

/* The record of flag `key` at version `v`. */
static uint8_t record_at(const struct scale_history *h, uint32_t key, uint64_t v)
{
    if (v >= h->touched[key])
        return h->now[key];
    for (; v > 2; v--)
        if (h->all[v - 1].key == key)
            return h->all[v - 1].record;
    return 0;
}

bool scale_is_next(const struct scale_history *h, uint64_t version, const struct change *c)
{
    return c->head.version == version + 1 && c->head.version <= h->head &&
           slice_eq(c->bytes, scale_bytes(h, version + 1));
}

/* ---------------------------------------------------------------- loading */

bool scale_load_begin(struct store *s, const struct change *base)
{
    uint64_t v = base->head.version;
    s->load_base = s->load_version = v;
    s->load_records = 0;
    return v > 0 && v <= s->history->head &&
           memcmp(base->hash, s->history->all[v - 1].hash, HASH_SIZE) == 0;
}

/* A page may be read at any version since the base. */
static bool was_written(const struct store *s, uint32_t key, struct slice record)
{
    if (slice_eq(record, record_of(s->history, s->history->now[key])))
        return true;
    for (uint64_t v = s->load_base; v <= s->history->head; v++)
        if (v == s->load_base || s->history->all[v - 1].key == key)
            if (slice_eq(record, record_of(s->history, record_at(s->history, key, v))))
                return true;
    return false;
}

bool scale_load_records(struct store *s, const struct edit *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, s->load_records++)
        if (s->load_records >= SCALE_FLAGS ||
            !slice_eq(records[i].key, key_of(s->history, s->load_records)) ||
            !was_written(s, s->load_records, records[i].record))
            return false;
    return true;
}

bool scale_load_change(struct store *s, const struct change *c)
{
    if (!scale_is_next(s->history, s->load_version, c))
        return false;
    s->load_version++;
    return true;
}

bool scale_load_finish(struct store *s)
{
    bool whole = s->load_records == SCALE_FLAGS || s->load_base == 1;
    if (whole) {
        s->version = s->load_version;
        s->log_first = s->load_base + 1;
    }
    s->load_base = s->load_version = 0;
    return whole;
}

/* ---------------------------------------------------------------- store.h, reading */

struct store_read {
    struct store *s;
};

uint64_t store_starts(const struct store *s)
{
    return s->starts;
}

void store_log_pin(struct store *s, uint16_t env, uint64_t version)
{
    (void)s, (void)env, (void)version; /* nothing is cut here */
}

enum hoist_err store_read_begin(struct store *s, bool view, struct store_read **ret)
{
    (void)view;
    struct store_read *r = mem_alloc(sizeof *r);
    if (!r)
        return err_set(HOIST_ENOMEM, "out of memory");
    r->s = s;
    *ret = r;
    return HOIST_OK;
}

void store_read_end(struct store_read *r)
{
    mem_free(r);
}

enum hoist_err store_env_at(struct store_read *r, uint32_t n, struct store_env *ret)
{
    const struct store *s = r->s;
    if (n > 0)
        return HOIST_ENOTFOUND;
    *ret = (struct store_env){
        .name = SCALE_ENV,
        .epoch = s->version ? s->history->epoch : 0,
        .head = s->version,
        .flags = s->version > 1 ? SCALE_FLAGS : 0,
        .log_first = s->log_first,
    };
    if (s->version) {
        memcpy(ret->hash, s->history->all[s->version - 1].hash, HASH_SIZE);
        memcpy(ret->digest, s->history->all[s->version - 1].digest, HASH_SIZE);
    }
    return HOIST_OK;
}

enum hoist_err store_env_get(struct store_read *r, const char *name, struct store_env *ret)
{
    return strcmp(name, SCALE_ENV) == 0 ? store_env_at(r, 0, ret) : HOIST_ENOTFOUND;
}

enum hoist_err store_log_get(struct store_read *r, uint16_t env, uint64_t version,
                             struct slice *ret_change)
{
    (void)env;
    if (version < r->s->log_first || version > r->s->version)
        return HOIST_ENOTFOUND;
    *ret_change = scale_bytes(r->s->history, version);
    return HOIST_OK;
}

enum hoist_err store_head_get(struct store_read *r, const struct store_env *env,
                              struct slice *ret_change)
{
    *ret_change = scale_bytes(r->s->history, env->head);
    return HOIST_OK;
}

enum hoist_err store_keys_get(struct store_read *r, struct slice *ret)
{
    (void)r, (void)ret;
    return HOIST_ENOTFOUND;
}

bool store_was_follower(const struct store *s)
{
    (void)s;
    return false;
}

enum hoist_err store_keys_put(struct store_write *w, struct slice certificates)
{
    (void)w, (void)certificates;
    return HOIST_OK;
}

enum hoist_err store_origin_get(struct store_read *r, uint64_t *ret)
{
    (void)r, (void)ret;
    return HOIST_ENOTFOUND;
}

enum hoist_err store_origin_put(struct store_write *w, uint64_t counter)
{
    (void)w, (void)counter;
    return HOIST_OK;
}

enum hoist_err store_record_next(struct store_read *r, uint16_t env, struct slice after,
                                 struct slice *ret_key, struct slice *ret_record)
{
    (void)env;
    uint64_t next = 0;
    if (after.len > KEY_DIGITS) {
        char text[KEY_DIGITS + 1] = {0};
        memcpy(text, after.ptr + after.len - KEY_DIGITS, KEY_DIGITS);
        if (text_u64(text, &next) != HOIST_OK)
            return err_set(HOIST_ECORRUPT, "not a key of this history");
        next++;
    }
    if (next >= SCALE_FLAGS || r->s->version < 2)
        return HOIST_ENOTFOUND;
    *ret_record = record_of(r->s->history, record_at(r->s->history, (uint32_t)next, r->s->version));
    *ret_key = key_of(r->s->history, (uint32_t)next);
    return HOIST_OK;
}
