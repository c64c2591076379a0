/* uplink.h - a thread that passes a relay's subtree on to the upstream that the relay follows.
 *
 * It has a connection of its own. The follower has one request outstanding at a time, each with a
 * deadline of seconds; behind a page of a snapshot, or in front of one, hundreds of hosts would wait
 * for each other. Here a change that lands below is told above within some milliseconds whatever
 * the relay itself is busy with, for one more connection per relay.
 */
#ifndef REPL_UPLINK_H
#define REPL_UPLINK_H

#include <stdint.h>

#include "base/err.h"
#include "repl/net_tls.h"
#include "repl/subtree.h"

struct uplink;

struct uplink_end {      /* whom to tell, and by which connection */
    const char *url;     /* stays */
    struct net_tls *tls; /* held for whoever asked; NULL: none */
    uint32_t losses;     /* more: the connections made before are to be made anew */
};

/* `where` tells the upstream to be told, anew before each frame. Any thread. EIO, ENOMEM. */
MUST_USE enum hoist_err uplink_start(struct subtree *s,
                                     void (*where)(void *arg, struct uplink_end *ret), void *arg,
                                     struct uplink **ret);
/* Stops within a second, and closes the subtree. NULL is fine. */
void uplink_stop(struct uplink *u);

#endif
