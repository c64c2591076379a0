/* upstream.h - the two connections to one upstream: its stream, and one request at a time.
 *
 * What comes is put on the agent's queue from nng's threads; nothing here waits for the network.
 */
#ifndef REPL_UPSTREAM_H
#define REPL_UPSTREAM_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "base/slice.h"
#include "repl/net_tls.h"

enum event_kind { EVENT_MESSAGE, EVENT_REPLY, EVENT_NO_REPLY, EVENT_LOST };

struct event { /* on the queue */
    struct queue_item link;
    enum event_kind kind;
    uint32_t upstream; /* its number */
    uint64_t tag;      /* of the request */
    nng_msg *msg;      /* or NULL */
};

void event_free(struct event *e);

struct upstream;

/*
 * Dial `url`, which is borrowed, and its stream. The connections come up by themselves, now or later, and again when
 * they break. A message that finds the queue full is dropped: the follower sees the hole. `tls` is
 * for tls+tcp, and may be NULL for the others.
 * Errors: EINVAL (the URL), EIO, ENOMEM.
 */
MUST_USE enum hoist_err upstream_open(uint32_t number, const char *url, struct net_tls *tls,
                                      struct queue *queue, struct upstream **ret);

/* The stream's connection broke (EVENT_LOST; tls+tcp alone tells it): upstream may have closed it for
 * the sake of new certificates, so the one for requests is made anew as well, now or once the request
 * under way has ended: then upstream_renew() is to be called. */
void upstream_lost(struct upstream *u);
void upstream_renew(struct upstream *u);

/* Whether no request waits. */
bool upstream_is_idle(struct upstream *u);

/* Whether anything was heard. */
bool upstream_spoke(const struct upstream *u);

/*
 * Nothing more is put on the queue when this returns. A request that waits is forgotten. Takes some
 * milliseconds, while upstream talks up to a heartbeat's time: connections are closed when nothing
 * is coming (net_close() tells why). False: nng did not manage to, and keeps what it has. NULL is
 * fine.
 */
MUST_USE bool upstream_close(struct upstream *u);

/* Send `bytes`; there will be one EVENT_REPLY or EVENT_NO_REPLY with `tag`. A request that still
 * waits is given up first (with its EVENT_NO_REPLY). ENOMEM. */
MUST_USE enum hoist_err upstream_request(struct upstream *u, uint64_t tag, struct slice bytes,
                                         int64_t deadline_ms);

#endif
