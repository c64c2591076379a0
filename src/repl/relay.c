#include "repl/relay.h"

#include "base/clock.h"
#include "base/mem.h"
#include "repl/uplink.h"

enum { PUBLISH_TOGETHER = 256 };

struct relay {
    struct agent *agent;
    struct server *server;
    struct subtree *subtree;
    struct uplink *uplink;
    char *id;
    bool began; /* the agent */
};

struct agent *relay_agent(struct relay *r)
{
    return r->agent;
}

/* ---------------------------------------------------------------- down */

static void publish(void *arg, const struct change *const *changes, uint32_t count)
{
    struct relay *r = arg;
    struct slice bytes[PUBLISH_TOGETHER];
    for (uint32_t i = 0; i < count;) {
        uint32_t n = 0;
        while (n < PUBLISH_TOGETHER && i < count)
            bytes[n++] = changes[i++]->bytes;
        server_publish(r->server, bytes, n);
    }
}

/* ---------------------------------------------------------------- up */

static void on_told(void *arg, const struct told_host *told)
{
    struct relay *r = arg;
    if (!agent_is_own(r->agent, told))
        subtree_hear(r->subtree, told, clock_mono_ms());
}

static void upstream(void *arg, struct uplink_end *ret)
{
    ret->url = agent_upstream(arg, &ret->tls, &ret->losses);
}

/* ---------------------------------------------------------------- life */

static enum hoist_err prepare(struct relay *r, struct store *s, const struct relay_config *config)
{
    struct agent_config agent = config->agent;
    agent.relay = true;
    agent.applied = publish;
    agent.applied_arg = r;
    r->id = mem_dup_str(config->agent.id);
    if (!r->id)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    enum hoist_err err = subtree_new(slice_str(r->id), &r->subtree);
    return err == HOIST_OK ? agent_new(s, &agent, &r->agent) : err;
}

/* The server first: what the agent commits is for it to publish. */
static enum hoist_err begin(struct relay *r, struct store *s, const struct relay_config *config)
{
    uint32_t env_count;
    struct server_config server = {
        .listen = config->listen,
        .listen_count = config->listen_count,
        .stream = config->stream,
        .tls = config->agent.tls,
        .id = r->id,
        .software = config->agent.software,
        .heartbeat_ms = config->agent.heartbeat_ms,
        .quota = config->quota,
        .standing = agent_standing,
        .standing_arg = r->agent,
        .envs = agent_envs(r->agent, &env_count),
        .told = on_told,
        .sums = config->agent.sums,
        .arg = r,
    };
    server.env_count = env_count;
    enum hoist_err err = server_start(s, &server, &r->server);
    if (err == HOIST_OK)
        err = uplink_start(r->subtree, upstream, r->agent, &r->uplink);
    if (err == HOIST_OK)
        err = agent_begin(r->agent);
    r->began = err == HOIST_OK;
    return err;
}

enum hoist_err relay_start(struct store *s, const struct relay_config *config, struct relay **ret)
{
    struct relay *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    enum hoist_err err = prepare(r, s, config);
    if (err == HOIST_OK)
        err = begin(r, s, config);
    if (err != HOIST_OK) {
        relay_stop(r);
        return err;
    }
    *ret = r;
    return HOIST_OK;
}

enum hoist_err relay_renew(struct relay *r, struct net_tls *tls)
{
    agent_renew(r->agent, tls);
    enum hoist_err err = server_renew(r->server, tls);
    if (err == HOIST_OK)
        server_close_old(&r->server, 1);
    return err;
}

void relay_stop(struct relay *r)
{
    if (!r)
        return;
    if (r->began)
        agent_end(r->agent);
    uplink_stop(r->uplink);
    server_stop(r->server);
    agent_free(r->agent);
    subtree_free(r->subtree);
    mem_free(r->id);
    mem_free(r);
}
