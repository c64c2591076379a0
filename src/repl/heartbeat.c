#include "repl/heartbeat.h"

#include "base/clock.h"
#include "repl/net.h"

/* What is above it, of 32 bits, is left for starts: some time in 2105. */
static const uint32_t EPOCH_S_MAX = UINT32_MAX - (1 << 24);

/* Seconds since 1970 when the newest epoch began. */
static uint32_t newest_epoch_s(struct store_read *r)
{
    struct store_env env;
    uint64_t newest = 0;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        if (env.epoch > newest)
            newest = env.epoch;
    newest >>= 24;
    return newest > EPOCH_S_MAX ? EPOCH_S_MAX : (uint32_t)newest;
}

/* A start is counted above the beats within one. A store that was recovered, or taken over, has
 * counted its starts by itself, but it begins epochs; and a follower's has kept what it heard. */
enum hoist_err heartbeat_counter(const struct store *s, struct store_read *r, uint32_t beat,
                                 uint64_t *ret)
{
    uint64_t heard = 0, starts = newest_epoch_s(r);
    enum hoist_err err = store_origin_get(r, &heard);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    if (starts <= heard >> 32)
        starts = (heard >> 32) + 1;
    *ret = (starts + store_starts(s)) << 32 | beat;
    return HOIST_OK;
}

/* The primary's own word, which relays pass on as it is. */
static void put_origin(uint64_t counter, const struct standing *s, struct buf *origin)
{
    heartbeat_put_origin(origin, counter, clock_wall_ms(), s->heads, s->head_count);
}

static enum hoist_err put_heartbeat(const struct answerer *who, uint64_t counter,
                                    const struct standing *s, struct buf *frame)
{
    struct buf origin = BUF_INIT(NET_STREAM_MAX), hop = BUF_INIT(NET_STREAM_MAX);
    struct slice signature = s->signature;
    uint8_t own[SIGNATURE_SIZE];
    if (who->standing)
        buf_add_slice(&origin, s->origin);
    else
        put_origin(counter, s, &origin);
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
    uint64_t counter = 0;
    enum hoist_err err = store_read_begin(who->store, false, &r);
    if (err == HOIST_OK)
        err = answer_standing(who, r, &arena, &s);
    if (err == HOIST_OK)
        err = who->standing ? HOIST_OK : heartbeat_counter(who->store, r, beat, &counter);
    if (err == HOIST_OK)
        err = put_heartbeat(who, counter, &s, frame);
    store_read_end(r);
    arena_done(&arena);
    return err;
}
