/* subtree.h - what the hosts behind a relay have told, on its way up: the newest of each that has
 * not been passed on yet.
 *
 * A host tells its relay what it has every 2 seconds or sooner, and at once when that changes. What differs
 * from what went up last goes up at once (gathered by whoever asks); what only repeats it waits for
 * up to SUBTREE_REPEAT_MS for the other hosts' repetitions, so that a fleet at rest is one frame a
 * second, however many hosts there are. To know the one from the other, a fingerprint of what went
 * up is kept of each host until it has been silent for SUBTREE_FORGET_MS.
 *
 * What waits longer than SUBTREE_KEEP_MS is forgotten: by then the host has told it again, or has
 * gone to another relay, which knows better.
 *
 * Bounded in hosts and bytes. When it is full, those of whom nothing waits make room, the longest
 * silent first; when there are none, a host that is not in it yet is left out (counted in
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
    SUBTREE_REPEAT_MS = 1000,
    SUBTREE_FORGET_MS = 10000, /* silent for so long, it counts as such above, too */
};

struct subtree;

/* `id`: this relay's, borrowed; the way of those that tell it themselves. ENOMEM. */
MUST_USE enum hoist_err subtree_new(struct slice id, struct subtree **ret);
void subtree_free(struct subtree *s);

/* A host told its status: to this relay, or to one that follows it. A hello, which tells less than
 * the status that comes right behind it, is not kept, nor what is SUBTREE_FORGET_MS old. */
void subtree_hear(struct subtree *s, const struct told_host *told, int64_t now_ms);

/* When there is something to pass on: not after `now_ms` for at once, INT64_MAX for never. */
int64_t subtree_due_ms(struct subtree *s, int64_t now_ms);

/* Wait until there is something to pass on, or subtree_close() was called: then false. */
bool subtree_wait(struct subtree *s);
void subtree_close(struct subtree *s);
bool subtree_is_closed(struct subtree *s);

/*
 * Those that have waited longest, as a frame of at most FRAME_SUBTREE_HOSTS hosts and about
 * FRAME_SUBTREE_MAX bytes, appended to `out`: what has changed first; what is repeated only once it
 * is due. False: there are none, or memory is out.
 * One taker at a time, which then tells by subtree_passed_on() whether the frame went up; if it did
 * not, its hosts wait again, but for those that have told something newer meanwhile.
 */
bool subtree_take(struct subtree *s, int64_t now_ms, struct buf *out);
void subtree_passed_on(struct subtree *s, bool done);

/* Of how many hosts something waits, for tests and metrics. */
uint32_t subtree_count(struct subtree *s);

#endif
