/* What is published: changes and heartbeats. */
#include "wire/frame_int.h"

enum {
    CHANGES_FIELDS = 3,
    HEARTBEAT_FIELDS_0 = 5, /* where there are no certificates */
    HEARTBEAT_FIELDS = 6,
    ORIGIN_FIELDS = 3,
    HOP_FIELDS = 3,
};

void frame_put_changes(struct buf *out, const struct slice *changes, uint32_t count)
{
    frame_head(out, FRAME_CHANGES, CHANGES_FIELDS);
    changes_put(out, changes, count);
}

enum hoist_err frame_get_changes(struct slice in, struct arena *arena, struct frame_changes *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_CHANGES, CHANGES_FIELDS, "changes", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_changes c = {0};
    c.changes = changes_get(&f, &c.count);
    err = frame_end(&f, CHANGES_FIELDS);
    if (err == HOIST_OK)
        *ret = c;
    return err;
}

void heartbeat_put_origin(struct buf *out, uint64_t counter, int64_t time_ms,
                          const struct env_head *envs, uint32_t count)
{
    mp_put_array(out, ORIGIN_FIELDS);
    mp_put_u64(out, counter);
    mp_put_i64(out, time_ms);
    heads_put(out, envs, count);
}

void heartbeat_put_hop(struct buf *out, uint32_t distance, struct slice id,
                       const struct env_head *envs, uint32_t count)
{
    mp_put_array(out, HOP_FIELDS);
    mp_put_u64(out, distance);
    mp_put_str(out, id);
    heads_put(out, envs, count);
}

void frame_put_heartbeat_with(struct buf *out, struct slice origin, struct slice signature,
                              struct slice hop, const struct slice *certificates, uint32_t count)
{
    frame_head(out, FRAME_HEARTBEAT, count ? HEARTBEAT_FIELDS : HEARTBEAT_FIELDS_0);
    mp_put_bin(out, origin);
    mp_put_bin(out, signature);
    mp_put_bin(out, hop);
    if (count)
        certificates_put(out, certificates, count);
}

void frame_put_heartbeat(struct buf *out, struct slice origin, struct slice signature,
                         struct slice hop)
{
    frame_put_heartbeat_with(out, origin, signature, hop, NULL, 0);
}

static enum hoist_err origin_get(struct frame_heartbeat *h, struct arena *arena)
{
    struct frame_reader f = {mp_reader(h->origin), arena, "a heartbeat's origin", 0};
    f.elements = tuple_begin(&f.r, ORIGIN_FIELDS);
    h->counter = mp_u64(&f.r);
    h->time_ms = mp_i64(&f.r);
    h->origin_envs = heads_get(&f, &h->origin_count);
    return frame_end(&f, ORIGIN_FIELDS);
}

static enum hoist_err hop_get(struct frame_heartbeat *h, struct arena *arena)
{
    struct frame_reader f = {mp_reader(h->hop), arena, "a heartbeat's hop", 0};
    f.elements = tuple_begin(&f.r, HOP_FIELDS);
    h->distance = mp_u32(&f.r);
    h->id = some_text_get(&f.r, FRAME_ID_MAX);
    h->hop_envs = heads_get(&f, &h->hop_count);
    return frame_end(&f, HOP_FIELDS);
}

enum hoist_err frame_get_heartbeat(struct slice in, struct arena *arena,
                                   struct frame_heartbeat *ret)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_HEARTBEAT, HEARTBEAT_FIELDS_0, "heartbeat", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_heartbeat h = {0};
    h.origin = mp_bin(&f.r);
    h.signature = mp_bin(&f.r);
    if (h.signature.len > CHANGE_SIGNATURE_MAX)
        mp_limit(&f.r, "a signature longer than allowed");
    h.hop = mp_bin(&f.r);
    h.certificates = given_get(&f, HEARTBEAT_FIELDS_0, &h.certificate_count);
    err = frame_end(&f, HEARTBEAT_FIELDS);
    if (err == HOIST_OK && h.origin.len > 0) /* a relay may have heard none yet */
        err = origin_get(&h, arena);
    if (err == HOIST_OK)
        err = hop_get(&h, arena);
    if (err == HOIST_OK)
        *ret = h;
    return err;
}
