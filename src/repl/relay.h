/* relay.h - an agent whose store others follow: it publishes what it commits, answers from what it
 * has, and passes on what they tell of themselves.
 *
 * The agent writes the store; the server reads it. Changes are published as the bytes that the
 * primary made, behind their commit; heartbeats carry the primary's word as it came, beside how the
 * relay itself stands. Commands are the primary's to take: here they are refused.
 */
#ifndef REPL_RELAY_H
#define REPL_RELAY_H

#include "repl/agent.h"
#include "repl/server.h"

struct relay;

struct relay_config {
    struct agent_config agent; /* `relay` and `applied` are set here */
    const char *const *listen; /* as in server_config */
    uint32_t listen_count;
    const char *stream;
    struct quota_limits quota;
};

/* Errors: those of agent_new() and server_start(). */
MUST_USE enum hoist_err relay_start(struct store *s, const struct relay_config *config,
                                    struct relay **ret);
/* Take new certificates, up and down: server_renew() and server_close_old(). */
MUST_USE enum hoist_err relay_renew(struct relay *r, struct net_tls *tls);
/* Stops within two seconds. The store stays open. NULL is fine. */
void relay_stop(struct relay *r);

/* What there is to say of it as of any agent. */
struct agent *relay_agent(struct relay *r);

#endif
