/* How a host gets all flags at once: snapshot and its pages. */
#include "wire/frame_int.h"

enum { SNAPSHOT_FIELDS = 7, SNAPSHOT_REPLY_FIELDS = 10, RECORD_PAIR = 2 };

void frame_put_snapshot(struct buf *out, const struct frame_snapshot *f)
{
    frame_head(out, FRAME_SNAPSHOT, SNAPSHOT_FIELDS);
    mp_put_str(out, f->env);
    mp_put_u64(out, f->epoch);
    mp_put_u64(out, f->version);
    mp_put_str(out, f->after_key);
    mp_put_u64(out, f->budget);
}

enum hoist_err frame_get_snapshot(struct slice in, struct frame_snapshot *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_SNAPSHOT, SNAPSHOT_FIELDS, "snapshot", NULL, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_snapshot q = {0};
    q.env = env_get(&f.r);
    q.epoch = mp_u64(&f.r);
    q.version = mp_u64(&f.r);
    q.after_key = mp_text(&f.r, FLAG_KEY_MAX);
    q.budget = mp_u32(&f.r);
    err = frame_end(&f, SNAPSHOT_FIELDS);
    if (err == HOIST_OK)
        *ret = q;
    return err;
}

void frame_put_snapshot_reply(struct buf *out, const struct frame_snapshot_reply *f)
{
    frame_head(out, FRAME_SNAPSHOT_REPLY, SNAPSHOT_REPLY_FIELDS);
    mp_put_u64(out, f->status);
    mp_put_u64(out, f->busy_ms);
    mp_put_u64(out, f->epoch);
    mp_put_u64(out, f->version);
    mp_put_bin(out, f->base);
    mp_put_array(out, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        mp_put_array(out, RECORD_PAIR);
        mp_put_str(out, f->records[i].key);
        mp_put_bin(out, f->records[i].record);
    }
    mp_put_bool(out, f->last);
    mp_put_u64(out, f->flags_total);
}

/* A page's records, in the order of their keys: so a store can append them, and a page cannot name
 * a key twice. */
static struct edit *records_get(struct frame_reader *f, uint32_t *ret_count)
{
    struct mp_reader *r = &f->r;
    uint32_t count = mp_array(r, FRAME_RECORDS_MAX);
    struct edit *records = frame_alloc(f, count, sizeof *records);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint32_t elements = tuple_begin(r, RECORD_PAIR);
        records[i].put = true;
        records[i].key = key_get(r);
        records[i].record = mp_bin(r);
        tuple_end(r, elements, RECORD_PAIR);
        if (!r->bad && i > 0 && slice_cmp(records[i - 1].key, records[i].key) >= 0)
            mp_fail(r, "keys that are not sorted and distinct");
    }
    *ret_count = count;
    return records;
}

enum hoist_err frame_get_snapshot_reply(struct slice in, struct arena *arena,
                                        struct frame_snapshot_reply *ret)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_SNAPSHOT_REPLY, SNAPSHOT_REPLY_FIELDS, "snapshot reply", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_snapshot_reply a = {0};
    a.status = mp_u32(&f.r);
    a.busy_ms = mp_u32(&f.r);
    a.epoch = mp_u64(&f.r);
    a.version = mp_u64(&f.r);
    a.base = mp_bin(&f.r);
    a.records = records_get(&f, &a.count);
    a.last = mp_bool(&f.r);
    a.flags_total = mp_u64(&f.r);
    err = frame_end(&f, SNAPSHOT_REPLY_FIELDS);
    if (err == HOIST_OK)
        *ret = a;
    return err;
}
