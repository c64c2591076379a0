/* subtree.h - what the hosts behind a relay have told, on its way up: the newest of each that has
 * not been passed on yet.
 *
 * A host tells its relay what it has every 2 seconds, and at once when that changes, so nothing is
 * kept here that went up. What waits longer than SUBTREE_KEEP_MS is forgotten: by then the host has
 * told it again, or has gone to another relay, which knows better.
 *
 * Bounded in hosts and bytes. When it is full, a host that is not in it yet is left out (counted in
 * hoist_statuses_dropped_total) until its next word finds room.
 * Threads: any; none of these waits for the network.
 */
#ifndef REPL_SUBTREE_H
#define REPL_SUBTREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "repl/told.h"

enum {
    SUBTREE_HOSTS_MAX = 65536,
    SUBTREE_BYTES_MAX = 64 << 20,
    SUBTREE_KEEP_MS = 4000, /* two words of a host */
};

struct subtree;

/* `id`: this relay's, borrowed; the way of those that tell it themselves. ENOMEM. */
MUST_USE enum hoist_err subtree_new(struct slice id, struct subtree **ret);
void subtree_free(struct subtree *s);

/* A host told its status: to this relay, or to one that follows it. A hello, which tells less than
 * the status that comes right behind it, is not kept. */
void subtree_hear(struct subtree *s, const struct told_host *told, int64_t now_ms);

/* Wait until there is something to pass on, or subtree_close() was called: then false. */
bool subtree_wait(struct subtree *s);
void subtree_close(struct subtree *s);
bool subtree_is_closed(struct subtree *s);

/*
 * Those that have waited longest, as a frame of at most FRAME_SUBTREE_HOSTS hosts and about
 * FRAME_SUBTREE_MAX bytes, appended to `out`. False: there are none, or memory is out.
 * One taker at a time, which then tells by subtree_passed_on() whether the frame went up; if it did
 * not, its hosts wait again, but for those that have told something newer meanwhile.
 */
bool subtree_take(struct subtree *s, int64_t now_ms, struct buf *out);
void subtree_passed_on(struct subtree *s, bool done);

/* How many wait, for tests and metrics. */
uint32_t subtree_count(struct subtree *s);

#endif
