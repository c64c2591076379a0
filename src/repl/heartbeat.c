#include "repl/heartbeat.h"

#include "base/clock.h"
#include "repl/net.h"

/* The primary's own word, which relays pass on as it is. */
static void put_origin(const struct answerer *who, uint32_t beat, const struct standing *s,
                       struct buf *origin)
{
    /* A greater number of starts comes before any number of beats: it grows across restarts. */
    uint64_t counter = store_starts(who->store) << 32 | beat;
    heartbeat_put_origin(origin, counter, clock_wall_ms(), s->heads, s->head_count);
}

static enum hoist_err put_heartbeat(const struct answerer *who, uint32_t beat,
                                    const struct standing *s, struct buf *frame)
{
    struct buf origin = BUF_INIT(NET_STREAM_MAX), hop = BUF_INIT(NET_STREAM_MAX);
    struct slice signature = s->signature;
    uint8_t own[SIGNATURE_SIZE];
    if (who->standing)
        buf_add_slice(&origin, s->origin);
    else
        put_origin(who, beat, s, &origin);
    heartbeat_put_hop(&hop, s->distance, who->id, s->heads, s->head_count);
    enum hoist_err err = buf_err(&origin);
    if (err == HOIST_OK)
        err = buf_err(&hop);
    if (err == HOIST_OK && who->key) {
        err = sign(who->key, HEARTBEAT_SIGNED, buf_slice(&origin), own);
        signature = slice_of(own, sizeof own);
    }
    if (err == HOIST_OK)
        frame_put_heartbeat_with(frame, buf_slice(&origin), signature, buf_slice(&hop),
                                 s->certificates, s->certificate_count);
    buf_done(&origin);
    buf_done(&hop);
    return err;
}

enum hoist_err heartbeat_make(const struct answerer *who, uint32_t beat, struct buf *frame)
{
    struct arena arena = {0};
    struct store_read *r = NULL;
    struct standing s = {0};
    enum hoist_err err = store_read_begin(who->store, false, &r);
    if (err == HOIST_OK)
        err = answer_standing(who, r, &arena, &s);
    if (err == HOIST_OK)
        err = put_heartbeat(who, beat, &s, frame);
    store_read_end(r);
    arena_done(&arena);
    return err;
}
