/* server.h - what others are told: publishes changes and heartbeats, answers hello, fetch and
 * snapshot from the store, hands on what hosts tell of themselves, and hands commands to whoever takes them.
 *
 * Requests are answered on nng's threads from read transactions, a few snapshots at a time (others hear
 * "busy, again in N ms"; who asks more than its quota hears it late). Commands are given to `command`,
 * which must not block.
 */
#ifndef REPL_SERVER_H
#define REPL_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repl/downloads.h"
#include "repl/net_tls.h"
#include "repl/quota.h"
#include "repl/standing.h"
#include "repl/told.h"
#include "store/store.h"
#include "usage/sums.h"
#include "wire/frame.h"

struct server;
struct server_request; /* a command that waits for its answer */

struct server_config {
    const char *const
        *listen; /* rpc URLs; each has its stream at the next port, or path + ".pub" */
    uint32_t listen_count;
    const char *stream; /* or one stream URL for all; NULL */
    const char *id;
    const char *software;
    struct net_tls *tls;        /* for the tls+tcp addresses; NULL: there are none */
    uint32_t heartbeat_ms;      /* 0: 200 */
    struct quota_limits quota;  /* what a peer may take; not of a server that shares one */
    const struct sign_key *key; /* the primary's, for its heartbeats; NULL: they are not signed */
    standing_fn *standing;      /* a relay's; NULL: this is the primary */
    void *standing_arg;
    const char *const *envs; /* of these alone there is something to be had; NULL: of all; borrowed
                                as long as the server runs */
    uint32_t env_count;
    const char *const *hidden; /* of these nothing is to be had, nor told; borrowed as well */
    uint32_t hidden_count;
    /* What all servers of a primary have in common; NULL: this one has its own. */
    struct downloads *downloads;
    struct quota *shared_quota;
    _Atomic uint32_t *beats; /* heartbeats sent */
    /* NULL: this server takes none, and says to ask the primary. A command came; `peer` is as net_peer() says. Called on any thread, must not block:
     * queue it. Returns an error when it cannot be taken (EBUSY): the asker is told so. What it
     * took is answered or dropped, once; until then what `command` points to stays. */
    enum hoist_err (*command)(void *arg, struct server_request *request,
                              const struct frame_command *command, const char *peer);
    told_fn *told; /* a host told something of itself; called on any thread; NULL: nobody cares */
    struct sums
        *sums; /* where evaluations that hosts tell of are added; borrowed; NULL: none are taken */
    void *arg;
};

/* Listens. Errors: EBUSY (the address is taken: names URL and, where it can, the holder), EINVAL (a
 * bad URL), EIO, ENOMEM. */
MUST_USE enum hoist_err server_start(struct store *s, const struct server_config *config,
                                     struct server **ret);
/* All commands that were taken must have been answered or dropped. NULL is fine. */
void server_stop(struct server *v);

/* Take new connections by `tls` from now on. EINVAL, ENOMEM, EIO. */
MUST_USE enum hoist_err server_renew(struct server *v, struct net_tls *tls);
/* Then: whoever is connected by the old ones, to any of these, is disconnected, a few at a time, and
 * comes again; what was under way is asked again. Whoever is not, but began to be, ends with it. Takes
 * a second and a half. */
void server_close_old(struct server *const *servers, uint32_t count);

/* Publish changes that are committed: packs them into messages of at most FRAME_PUB_MAX; one that
 * is bigger goes without its edits. Then wakes nobody: heartbeats go on by themselves. Any thread.
 */
void server_publish(struct server *v, const struct slice *changes, uint32_t count);

/* Send a heartbeat now (an environment was made, an epoch began). */
void server_heartbeat(struct server *v);

/* Answer a command. Frees the request. Any thread, also later. */
void server_reply(struct server_request *request, uint32_t exit, struct slice body);
/* It will never be answered (shutdown). */
void server_drop(struct server_request *request);

/* Of a command that waits: whether somebody waits for its answer, or its connection is gone. */
bool server_is_wanted(const struct server_request *request);
/* Why its answer may not be long: too many bytes of others are on their way. NULL: it may. */
const char *server_no_answer(const struct server_request *request);
/* Who asks, to be compared with others. */
const struct quota_peer *server_asker(const struct server_request *request);

/* The environments that the listener by which it came does not give out; borrowed. */
const char *const *server_hidden(const struct server_request *request, uint32_t *ret_count);

#endif
