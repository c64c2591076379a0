/* told.h - what hosts tell a server of themselves: by hello, by status, and through a relay.
 *
 * Each function reads a request, hands every host in it to `take`, and appends the reply. What
 * cannot be read is an error, which the asker is told; one bad host of many in a relay's frame is
 * left out and counted, since the others are not to blame for it.
 */
#ifndef REPL_TOLD_H
#define REPL_TOLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/frame.h"

struct told_host { /* by one host; borrowed for the call */
    struct frame_status status;
    bool whole;         /* not only what a hello has, which tells neither labels nor refusals */
    struct slice bytes; /* whole: the status as it came */
    struct slice via;   /* the relay that the host told it to; empty: this server */
    uint32_t age_ms;    /* since that relay heard it */
};

enum { TOLD_SLACK_MS = 250 };

/*
 * Whether a word heard at `heard_ms` is older than the newest of the same host, heard at `known_ms`.
 * Both are reckoned from ages, and hold the time that the last hop took. By one way words come in
 * order, so that only a clear difference is believed: one that was kept up on the way, not slow.
 */
static inline bool told_is_older(int64_t heard_ms, int64_t known_ms, bool same_way)
{
    return heard_ms + (same_way ? TOLD_SLACK_MS : 0) < known_ms;
}

typedef void told_fn(void *arg, const struct told_host *told);

/* What is left out is counted from here on, from 0. */
void told_metrics_begin(void);

/* `take` may be NULL. The reply to a hello is the caller's to make. */
MUST_USE enum hoist_err told_hello(struct slice in, struct arena *arena, told_fn *take, void *arg);
MUST_USE enum hoist_err told_status(struct slice in, struct arena *arena, told_fn *take, void *arg,
                                    struct buf *reply);
MUST_USE enum hoist_err told_subtree(struct slice in, struct arena *arena, told_fn *take, void *arg,
                                     struct buf *reply);

#endif
