/* How a host catches up change by change: fetch and its reply. */
#include "wire/frame_int.h"

enum { FETCH_FIELDS = 7, FETCH_REPLY_FIELDS = 10 };

void frame_put_fetch(struct buf *out, const struct frame_fetch *f)
{
    frame_head(out, FRAME_FETCH, FETCH_FIELDS);
    mp_put_str(out, f->env);
    mp_put_u64(out, f->epoch);
    mp_put_u64(out, f->after);
    mp_put_u64(out, f->offset);
    mp_put_u64(out, f->budget);
}

enum hoist_err frame_get_fetch(struct slice in, struct frame_fetch *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_FETCH, FETCH_FIELDS, "fetch", NULL, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_fetch q = {0};
    q.env = env_get(&f.r);
    q.epoch = mp_u64(&f.r);
    q.after = mp_u64(&f.r);
    q.offset = mp_u64(&f.r);
    if (q.offset > CHANGE_BYTES_MAX)
        mp_limit(&f.r, "an offset beyond the longest change");
    q.budget = mp_u32(&f.r);
    err = frame_end(&f, FETCH_FIELDS);
    if (err == HOIST_OK)
        *ret = q;
    return err;
}

void frame_put_fetch_reply(struct buf *out, const struct frame_fetch_reply *f)
{
    frame_head(out, FRAME_FETCH_REPLY, FETCH_REPLY_FIELDS);
    mp_put_u64(out, f->status);
    mp_put_u64(out, f->busy_ms);
    mp_put_u64(out, f->epoch);
    mp_put_u64(out, f->head);
    changes_put(out, f->changes, f->count);
    mp_put_bin(out, f->part);
    mp_put_u64(out, f->part_offset);
    mp_put_u64(out, f->part_total);
}

/* A part must be one that brings its asker on, and must lie within its change. */
static void part_check(struct mp_reader *r, const struct frame_fetch_reply *f)
{
    if (f->part_total > CHANGE_BYTES_MAX)
        mp_limit(r, "a part of a change that is longer than allowed");
    else if (f->part_total == 0) {
        if (f->part.len > 0 || f->part_offset > 0)
            mp_fail(r, "a part of a change that has no bytes");
    } else if (f->count > 0)
        mp_fail(r, "changes and a part of one at once");
    else if (f->part.len == 0 || f->part_offset > f->part_total ||
             f->part.len > f->part_total - f->part_offset)
        mp_fail(r, "a part that does not lie within its change");
}

enum hoist_err frame_get_fetch_reply(struct slice in, struct arena *arena,
                                     struct frame_fetch_reply *ret)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_FETCH_REPLY, FETCH_REPLY_FIELDS, "fetch reply", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_fetch_reply a = {0};
    a.status = mp_u32(&f.r);
    a.busy_ms = mp_u32(&f.r);
    a.epoch = mp_u64(&f.r);
    a.head = mp_u64(&f.r);
    a.changes = changes_get(&f, &a.count);
    a.part = mp_bin(&f.r);
    a.part_offset = mp_u64(&f.r);
    a.part_total = mp_u64(&f.r);
    part_check(&f.r, &a);
    err = frame_end(&f, FETCH_REPLY_FIELDS);
    if (err == HOIST_OK)
        *ret = a;
    return err;
}
