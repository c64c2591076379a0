/* uplink.h - a thread that passes a relay's subtree on to the upstream that the relay follows.
 *
 * It has a connection of its own. The follower has one request outstanding at a time, each with a
 * deadline of seconds; behind a page of a snapshot, or in front of one, hundreds of hosts would wait
 * for each other. Here a change that lands below is told above within some milliseconds whatever
 * the relay itself is busy with, for one more connection per relay.
 */
#ifndef REPL_UPLINK_H
#define REPL_UPLINK_H

#include <stdbool.h>

#include "base/err.h"
#include "repl/subtree.h"

struct uplink;

/* `where` tells the URL of the upstream to be told, anew before each frame; what it gives stays. Any
 * thread. EIO, ENOMEM. */
MUST_USE enum hoist_err uplink_start(struct subtree *s, const char *(*where)(void *arg), void *arg,
                                     struct uplink **ret);
/* Stops within a second, and closes the subtree. NULL is fine. */
void uplink_stop(struct uplink *u);

#endif
