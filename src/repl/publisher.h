/* publisher.h - the stream: changes and heartbeats, told to whoever listens.
 *
 * Nothing here waits for a subscriber. One that is slow loses messages, and sees by the next
 * heartbeat that it did.
 */
#ifndef REPL_PUBLISHER_H
#define REPL_PUBLISHER_H

#include <stdbool.h>

#include "base/slice.h"
#include "repl/answer.h"
#include "repl/net_tls.h"
#include "repl/quota.h"

struct publisher;

/* `who` speaks in the heartbeats; `quota` counts who listens; both borrowed. `tls` is for the tls+tcp
 * addresses; NULL: there are none. */
MUST_USE enum hoist_err publisher_open(const struct answerer *who, struct quota *quota,
                                       struct net_tls *tls, struct publisher **ret);
/* False: nng did not manage to (net_close()), and keeps what it has. NULL is fine. */
MUST_USE bool publisher_close(struct publisher *p);
MUST_USE enum hoist_err publisher_listen(struct publisher *p, const char *url);

/* listeners_renew() and so on. */
MUST_USE enum hoist_err publisher_renew(struct publisher *p, struct net_tls *tls);
void publisher_grow_old(struct publisher *p);
bool publisher_close_old(struct publisher *p, unsigned of);

/* Any thread. What cannot be sent is counted and left to the next heartbeat. */
void publisher_changes(struct publisher *p, const struct slice *changes, uint32_t count);
/* A relay that has heard no heartbeat yet has no origin to pass on, and tells how it stands itself. */
void publisher_heartbeat(struct publisher *p);

#endif
