/* agent.h - a follower with sockets and a store: the thread that keeps this host up to date. */
#ifndef REPL_AGENT_H
#define REPL_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repl/net_tls.h"
#include "repl/standing.h"
#include "repl/told.h"
#include "store/store.h"
#include "usage/sums.h"
#include "wire/change.h"

struct agent;

struct agent_config {
    const char *id; /* this host's name in the fleet */
    const char *software;
    const char *const *upstreams; /* rpc URLs; the stream is the next port or path + ".pub" */
    uint32_t upstream_count;
    struct net_tls *tls; /* for those that are tls+tcp; NULL: none is */
    const char *const *envs;
    uint32_t env_count;
    const char *const *labels; /* "name=value" */
    uint32_t label_count;
    uint32_t heartbeat_ms; /* 0: 200 */
    bool relay;            /* it publishes what it has (relay.h) */
    struct trust trust;    /* who may sign changes; none: they are taken as they come */
    struct sums *sums;     /* of evaluations, to be told upstream; borrowed; NULL: none are */
    /* Called on the agent's thread after each commit of changes, which it got one by one and not by
     * a snapshot: in order, of any environments, borrowed for the call. May be NULL. */
    void (*applied)(void *arg, const struct change *const *changes, uint32_t count);
    void *applied_arg;
};

/* Made, but doing nothing yet. Errors: EINVAL (a URL, a label), ENOMEM, EIO. */
MUST_USE enum hoist_err agent_new(struct store *s, const struct agent_config *config,
                                  struct agent **ret);
void agent_free(struct agent *a); /* NULL is fine */

/* Starts the thread; it is the store's writer from now on, and calls store_tick(). EIO. An upstream
 * that does not answer is no error. */
MUST_USE enum hoist_err agent_begin(struct agent *a);
/* Stops within two seconds. The store stays open. */
void agent_end(struct agent *a);

/* Both at once. */
MUST_USE enum hoist_err agent_start(struct store *s, const struct agent_config *config,
                                    struct agent **ret);
void agent_stop(struct agent *a); /* NULL is fine */

/* The `status` object of interface.md, fresh. Any thread. */
MUST_USE enum hoist_err agent_status(struct agent *a, struct buf *out);

/* Whether there is something to serve from: each environment has been filled once. Else appends a
 * sentence. Any thread. */
bool agent_is_ready(struct agent *a, struct buf *why_not);

/* How it stands, for those that follow it: a standing_fn. Any thread. */
MUST_USE enum hoist_err agent_standing(void *agent, struct arena *arena, struct standing *ret);

/* For a relay: whether `told` is of our own making, what it tells itself or what it passed on. In a
 * ring of relays that comes back from below, is nobody's, and must not go round again. It is noted,
 * for status and the log. Any thread. */
bool agent_is_own(struct agent *a, const struct told_host *told);

/* The environments that it follows; they live as long as the agent. */
const char *const *agent_envs(const struct agent *a, uint32_t *ret_count);

/* The URL of the upstream that is followed now; lives as long as the agent. *ret_tls is held for the
 * caller, *ret_losses counts the times that a connection was lost. Any thread. */
const char *agent_upstream(struct agent *a, struct net_tls **ret_tls, uint32_t *ret_losses);

/* Take new certificates: upstream is dialled anew by them. Any thread. */
void agent_renew(struct agent *a, struct net_tls *tls);

/* The store's writer met an error it cannot mend (EUNKNOWN): hoistd should end and be started
 * again. */
bool agent_is_broken(const struct agent *a);

/* It is broken since nng (1.5.2) waits for ever for a connection that was closed in the middle of a
 * message, and would for each that is closed after it: only another process can go on. */
bool agent_is_stuck(const struct agent *a);

#endif
