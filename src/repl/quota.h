/* quota.h - what one peer may take of a server, and all of them together, so that a greedy, idle or
 * broken one costs the others nothing.
 *
 * A peer is an address: IPv4, the first 64 bits of IPv6 (a host has as many as it likes of the rest),
 * or over ipc a uid. Many hosts may stand behind one, so the defaults are for 5,000 of them. Any
 * thread; one lock, held for a look into two tables.
 */
#ifndef REPL_QUOTA_H
#define REPL_QUOTA_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repl/downloads.h"

struct quota;
struct quota_peer;
struct sockaddr_storage; /* sys/socket.h */

/*
 * 5,000 hosts behind one address have 5,000 connections for requests and 5,000 subscriptions; after a
 * cut each may be there twice until TCP has noticed: 10,000. Each tells its status every 2 s, 2,500
 * requests/s, and after each change, 5,000 at once; 500 children of a relay are a tenth of that. The
 * bytes are those of commands that wait and of messages that are not whole yet: the longest command
 * and some for one peer, two for all. As many bytes of answers may be on their way.
 */
struct quota_limits {                           /* 0: the default */
    uint32_t connections, peer_connections;     /* 20,000 and 10,000 */
    uint32_t subscriptions, peer_subscriptions; /* 20,000 and 10,000 */
    uint32_t peer_requests;                     /* in a second, and twice as many at once; 20,000 */
    uint64_t request_bytes, peer_request_bytes; /* 256 and 160 MiB */
    uint64_t answer_bytes, peer_answer_bytes;   /* 256 and 160 MiB */
    uint32_t commands, peer_commands;           /* that wait; 192 and 128 */
};

enum {
    QUOTA_WAIT_MS = 100,    /* what a peer is told that asks too often */
    QUOTA_IDLE_MS = 60000,  /* a request has to be whole in that time, and come once in it */
    QUOTA_QUIET_MS = 60000, /* between two log lines about one peer */
    /* Under way is a request that keeps its place: a command that waits for its answer, an answer that is
     * held back, or one that waits until its connection has taken those before it. */
    QUOTA_CONNECTION_REQUESTS_MAX = 8,
    QUOTA_PEER_REQUESTS_MAX = 768,
};

enum quota_kind { QUOTA_CONNECTION, QUOTA_SUBSCRIPTION };

/* Put the defaults in, and make connections fit into a process that may open `descriptors` files:
 * five sixteenths each for connections and subscriptions, two are for HTTP, and four stay free for
 * connections that have not said yet what they are (they have ten seconds). Three quarters of a total
 * are the most for one peer, those that it has begun among them. True: less is left than was asked for. */
bool quota_fit(struct quota_limits *l, uint64_t descriptors);

/* So many sixteenths of the files that are there for connections. */
uint32_t quota_share(uint64_t descriptors, uint32_t sixteenths);

MUST_USE enum hoist_err quota_new(const struct quota_limits *limits, struct quota **ret);
/* One more owner, a server beside others: each frees it, the last one in earnest. */
struct quota *quota_ref(struct quota *q);
/* The sockets whose connections it counted for this owner are closed. NULL is fine. */
void quota_free(struct quota *q);

/* Connections of this kind come at that address, by TCP; those that do not become one soon are ended.
 * ENOMEM. */
MUST_USE enum hoist_err quota_listen(struct quota *q, const struct sockaddr_storage *at,
                                     enum quota_kind kind);

/* A connection comes: it is counted, or closed when it is beyond. It went. */
void quota_come(struct quota *q, nng_pipe pipe, enum quota_kind kind);
void quota_go(struct quota *q, nng_pipe pipe);

/* Connection `id` of `peer` came. False: it is one too many, and not counted. */
bool quota_add(struct quota *q, uint32_t id, const char *peer, enum quota_kind kind,
               int64_t now_ms);
void quota_remove(struct quota *q, uint32_t id);

/* A request came by connection `id`. False: too many of that peer came of late; it is told to come
 * again in QUOTA_WAIT_MS. */
bool quota_ask(struct quota *q, uint32_t id, int64_t now_ms);

/* Whose connection `id` is, to be compared with others. NULL: it is gone or about to be ended, and nobody
 * waits for an answer. */
const struct quota_peer *quota_peer_of(struct quota *q, uint32_t id);

/* A request of connection `id` is under way. NULL: it is one too many and gets no answer; too many of
 * one connection end it. What was begun ends, also when the connection has gone. */
MUST_USE struct quota_peer *quota_begin(struct quota *q, uint32_t id, int64_t now_ms);
void quota_end(struct quota *q, struct quota_peer *p, uint32_t id);

/* An answer of so many bytes is given to nng: they are its peer's until the connection has taken it. */
void quota_give(struct quota *q, uint32_t id, size_t bytes);
/* nng has begun to send it, so the one before it was taken. */
void quota_sends(struct quota *q, uint32_t id, size_t bytes);
/* It is not sent after all. */
void quota_take_back(struct quota *q, uint32_t id, size_t bytes);
/* Whether a long answer may be made for connection `id`. NULL: it may; else what it met, for people. */
const char *quota_no_answer(struct quota *q, uint32_t id, int64_t now_ms);

/* A download of connection `id` has found a place, or none. */
void quota_download(struct quota *q, uint32_t id, enum download_place place, int64_t now_ms);

/* A command of so many bytes, which came by connection `id`, begins to wait, and is under way. NULL: it
 * may; else what it met, for people. What was taken is given back, also when the connection has gone. */
const char *quota_hold(struct quota *q, uint32_t id, size_t bytes, int64_t now_ms,
                       struct quota_peer **ret);
void quota_release(struct quota *q, struct quota_peer *p, uint32_t id, size_t bytes,
                   int64_t now_ms);

/* Forget peers that are gone and owe nothing, and mark the connections (by TCP) that did not bring a
 * whole request for QUOTA_IDLE_MS: how many. At most once a second. */
uint32_t quota_sweep(struct quota *q, int64_t now_ms);

/* Several times a second: sweep, look what came of messages that are not whole and which connections
 * have begun, and end those that are too much. */
void quota_tick(struct quota *q, int64_t now_ms);

#endif
