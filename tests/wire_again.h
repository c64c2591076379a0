/* wire_again.h - decode bytes and encode what was decoded: for the unit tests and the fuzzers.
 *
 * Each function decodes `in`, appends the same thing encoded anew to `out`, and answers what the
 * decoder did. What came from our own encoder must come out byte for byte; whatever else decodes is
 * touched from end to end on the way, so that a sanitizer sees what a slice really covers.
 */
#ifndef TESTS_WIRE_AGAIN_H
#define TESTS_WIRE_AGAIN_H

#include "base/arena.h"
#include "wire/frame.h"
#include "wire/record.h"

static inline enum hoist_err changes_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_changes f;
    enum hoist_err err = frame_get_changes(in, a, &f);
    if (err == HOIST_OK)
        frame_put_changes(out, f.changes, f.count);
    return err;
}

static inline enum hoist_err heartbeat_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_heartbeat f;
    enum hoist_err err = frame_get_heartbeat(in, a, &f);
    if (err != HOIST_OK)
        return err;
    struct buf origin = BUF_INIT(FRAME_COMMAND_MAX), hop = BUF_INIT(FRAME_COMMAND_MAX);
    if (f.origin.len > 0)
        heartbeat_put_origin(&origin, f.counter, f.time_ms, f.origin_envs, f.origin_count);
    heartbeat_put_hop(&hop, f.distance, f.id, f.hop_envs, f.hop_count);
    frame_put_heartbeat_with(out, buf_slice(&origin), f.signature, buf_slice(&hop), f.certificates,
                             f.certificate_count);
    err = buf_err(&origin);
    if (err == HOIST_OK)
        err = buf_err(&hop);
    buf_done(&origin);
    buf_done(&hop);
    return err;
}

static inline enum hoist_err hello_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_hello f;
    enum hoist_err err = frame_get_hello(in, FRAME_HELLO, a, &f);
    if (err == HOIST_OK)
        frame_put_hello(out, FRAME_HELLO, &f);
    return err;
}

static inline enum hoist_err hello_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_hello f;
    enum hoist_err err = frame_get_hello(in, FRAME_HELLO_REPLY, a, &f);
    if (err == HOIST_OK)
        frame_put_hello(out, FRAME_HELLO_REPLY, &f);
    return err;
}

static inline enum hoist_err fetch_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_fetch f;
    (void)a;
    enum hoist_err err = frame_get_fetch(in, &f);
    if (err == HOIST_OK)
        frame_put_fetch(out, &f);
    return err;
}

static inline enum hoist_err fetch_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_fetch_reply f;
    enum hoist_err err = frame_get_fetch_reply(in, a, &f);
    if (err == HOIST_OK)
        frame_put_fetch_reply(out, &f);
    return err;
}

static inline enum hoist_err snapshot_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_snapshot f;
    (void)a;
    enum hoist_err err = frame_get_snapshot(in, &f);
    if (err == HOIST_OK)
        frame_put_snapshot(out, &f);
    return err;
}

static inline enum hoist_err snapshot_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_snapshot_reply f;
    enum hoist_err err = frame_get_snapshot_reply(in, a, &f);
    if (err == HOIST_OK)
        frame_put_snapshot_reply(out, &f);
    return err;
}

static inline enum hoist_err status_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_status f;
    enum hoist_err err = frame_get_status(in, a, &f);
    if (err == HOIST_OK)
        frame_put_status(out, &f);
    return err;
}

static inline enum hoist_err status_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    uint32_t status;
    (void)a;
    enum hoist_err err = frame_get_status_reply(in, &status);
    if (err == HOIST_OK)
        frame_put_status_reply(out, status);
    return err;
}

static inline enum hoist_err subtree_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_subtree f;
    enum hoist_err err = frame_get_subtree(in, a, &f);
    if (err == HOIST_OK)
        frame_put_subtree(out, f.hosts, f.count);
    return err;
}

static inline enum hoist_err usage_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_usage f;
    enum hoist_err err = frame_get_usage(in, a, &f);
    if (err == HOIST_OK)
        frame_put_usage(out, &f);
    return err;
}

static inline enum hoist_err command_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_command f;
    (void)a;
    enum hoist_err err = frame_get_command(in, &f);
    if (err == HOIST_OK)
        frame_put_command(out, &f);
    return err;
}

static inline enum hoist_err command_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    struct frame_command_reply f;
    (void)a;
    enum hoist_err err = frame_get_command_reply(in, &f);
    if (err == HOIST_OK)
        frame_put_command_reply(out, &f);
    return err;
}

static inline enum hoist_err error_reply_again(struct slice in, struct arena *a, struct buf *out)
{
    struct slice message;
    (void)a;
    enum hoist_err err = frame_get_error_reply(in, &message);
    if (err == HOIST_OK)
        frame_put_error_reply(out, message);
    return err;
}

static inline enum hoist_err edits_again(struct slice in, struct buf *out)
{
    struct edits_reader r;
    struct edit e;
    enum hoist_err err = edits_open(in, &r);
    if (err == HOIST_OK)
        edits_begin(out, r.left);
    while (err == HOIST_OK && (err = edits_next(&r, &e)) == HOIST_OK) {
        if (e.put)
            edits_put(out, e.key, e.record);
        else
            edits_delete(out, e.key);
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static inline enum hoist_err change_again(struct slice in, struct arena *a, struct buf *out)
{
    struct change c;
    (void)a;
    enum hoist_err err = change_decode(in, &c);
    if (err == HOIST_OK && !c.edits.ptr)
        return change_without_edits(&c, out);
    if (err == HOIST_OK)
        err = change_encode(&c.head, c.edits, c.signature, out, NULL);
    return err;
}

static inline enum hoist_err record_again(struct slice in, struct arena *a, struct buf *out)
{
    struct flag *f;
    (void)a;
    enum hoist_err err = record_decode(SLICE("key"), in, &f, NULL);
    if (err != HOIST_OK)
        return err;
    err = record_encode(f, out);
    flag_free(f);
    return err;
}

typedef enum hoist_err again_fn(struct slice in, struct arena *a, struct buf *out);

static again_fn *const frames_again[] = {
    [FRAME_CHANGES] = changes_again,
    [FRAME_HEARTBEAT] = heartbeat_again,
    [FRAME_HELLO] = hello_again,
    [FRAME_FETCH] = fetch_again,
    [FRAME_SNAPSHOT] = snapshot_again,
    [FRAME_STATUS] = status_again,
    [FRAME_COMMAND] = command_again,
    [FRAME_SUBTREE] = subtree_again,
    [FRAME_USAGE] = usage_again,
    [FRAME_HELLO_REPLY] = hello_reply_again,
    [FRAME_FETCH_REPLY] = fetch_reply_again,
    [FRAME_SNAPSHOT_REPLY] = snapshot_reply_again,
    [FRAME_STATUS_REPLY] = status_reply_again,
    [FRAME_COMMAND_REPLY] = command_reply_again,
    [FRAME_ERROR_REPLY] = error_reply_again,
};

#endif
