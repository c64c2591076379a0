#include "repl/agent.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repl/agent_int.h"
#include "repl/net.h"

enum { NO_MEMORY_WAIT_MS = 100 };

bool agent_is_broken(const struct agent *a)
{
    return a->broken;
}

bool agent_is_stuck(const struct agent *a)
{
    return atomic_load(&a->stuck);
}

void agent_break(struct agent *a, const char *what)
{
    if (!atomic_exchange(&a->broken, true))
        log_error("repl: %s; this host's store is not kept up to date until hoistd is started anew",
                  what);
}

/* ---------------------------------------------------------------- the loop */

static void step(struct agent *a, const struct follower_input *in)
{
    struct follower_outputs outs;
    pthread_mutex_lock(&a->lock);
    enum hoist_err err = follower_step(a->follower, clock_mono_ms(), in, &outs);
    pthread_mutex_unlock(&a->lock);
    if (err != HOIST_OK) {
        log_warn("repl: %s; trying again", err_last());
        a->step_ms = clock_mono_ms() + NO_MEMORY_WAIT_MS;
        return;
    }
    a->step_ms = outs.next_ms;
    agent_carry_out(a, &outs);
}

/* Feed `in`, then all that follows from what was done about it. */
static void feed(struct agent *a, const struct follower_input *in)
{
    step(a, in);
    for (size_t i = 0; i < a->report_count && !a->broken; i++) {
        struct report report = a->reports[i]; /* the step may add to the list, and move it */
        report.in.why = slice_str(report.why);
        step(a, &report.in);
    }
    a->report_count = 0;
    arena_done(&a->report_room);
}

static void lost(struct agent *a, const struct event *e)
{
    if (!a->upstream || e->upstream != a->upstream_number)
        return;
    upstream_lost(a->upstream);
    feed(a, &(struct follower_input){.kind = IN_LOST});
    pthread_mutex_lock(&a->lock);
    a->losses++;
    pthread_mutex_unlock(&a->lock);
}

static void feed_event(struct agent *a, const struct event *e)
{
    if (e->kind == EVENT_LOST) {
        lost(a, e);
        return;
    }
    static const enum follower_in kinds[] = {
        [EVENT_MESSAGE] = IN_MESSAGE,
        [EVENT_REPLY] = IN_REPLY,
        [EVENT_NO_REPLY] = IN_NO_REPLY,
    };
    struct follower_input in = {.kind = kinds[e->kind], .upstream = e->upstream, .tag = e->tag};
    if (e->msg)
        in.bytes = net_msg_bytes(e->msg);
    if (!agent_usage_answer(a, e))
        feed(a, &in);
    if (e->kind != EVENT_MESSAGE && a->upstream)
        upstream_renew(a->upstream);
}

static void feed_events(struct agent *a, struct queue_item *item)
{
    while (item) {
        struct event *e = (struct event *)item;
        item = item->next;
        if (!a->broken && !queue_is_closed(&a->queue))
            feed_event(a, e);
        event_free(e);
    }
}

static void upkeep(struct agent *a, int64_t now)
{
    bool more = false;
    enum hoist_err err = store_tick(a->store, clock_wall_ms(), &more);
    if (err == HOIST_EUNKNOWN)
        agent_break(a, err_last());
    else if (err != HOIST_OK && !a->tick_fails)
        log_warn("store: upkeep failed (%s); it is tried again each %d ms", err_last(),
                 AGENT_UPKEEP_MS);
    a->tick_fails = err != HOIST_OK;
    a->upkeep_ms = more && err == HOIST_OK ? now : now + AGENT_UPKEEP_MS;
}

/* Whoever cannot be told now is told at the next upkeep. */
static void tell_held(struct agent *a)
{
    for (uint32_t i = 0; i < a->config.env_count && !a->broken; i++) {
        struct arena arena = {0};
        struct follower_input in;
        if (agent_held(a, i, &arena, &in) == HOIST_OK)
            feed(a, &in);
        arena_done(&arena);
    }
}

static void leave_status(struct agent *a, int64_t now)
{
    int64_t every = a->changed ? AGENT_STATUS_MS : AGENT_STATUS_IDLE_MS;
    if (now < a->status_written_ms + every)
        return;
    a->status_written_ms = now;
    a->changed = false;
    agent_status_leave(a);
}

static int64_t wait_ms(const struct agent *a, int64_t now)
{
    int64_t next = a->upkeep_ms < a->step_ms ? a->upkeep_ms : a->step_ms;
    return next > now ? next - now : 0;
}

static void finish_loop(struct agent *a)
{
    queue_close(&a->queue);
    for (uint32_t i = 0; i < a->config.upstream_count; i++)
        agent_end_probe(a, i);
    if (!upstream_close(a->upstream))
        log_warn("repl: nng does not let go of a connection; it ends with this process");
    a->upstream = NULL;
    feed_events(a, queue_take(&a->queue, 0));
    for (uint32_t i = 0; i < a->config.env_count; i++)
        store_load_abort(a->envs[i].load);
    if (!a->broken)
        agent_keep_counter(a);
    if (!a->broken)
        agent_status_leave(a);
}

void agent_turn(struct agent *a, int64_t wait)
{
    feed_events(a, queue_take(&a->queue, wait));
    if (atomic_exchange(&a->renews, false))
        agent_redial(a);
    int64_t now = clock_mono_ms();
    if (now >= a->step_ms && !a->broken)
        feed(a, &(struct follower_input){.kind = IN_TICK});
    if (now >= a->upkeep_ms && !a->broken) {
        upkeep(a, now);
        tell_held(a);
    }
    agent_usage_turn(a, now);
    leave_status(a, now);
    if (now >= a->counter_ms && !a->broken) {
        a->counter_ms = now + AGENT_COUNTER_MS;
        agent_keep_counter(a);
        if (!a->broken)
            agent_keep_unkept_keys(a);
    }
}

static void *run(void *arg)
{
    struct agent *a = arg;
    while (!a->broken && !queue_is_closed(&a->queue))
        agent_turn(a, wait_ms(a, clock_mono_ms()));
    finish_loop(a);
    return NULL;
}

/* ---------------------------------------------------------------- start */

static const char *own_str(struct agent *a, const char *str)
{
    struct slice s = slice_str(str);
    return arena_own(&a->own, &s) == HOIST_OK ? (const char *)s.ptr : NULL;
}

static const char *const *own_list(struct agent *a, const char *const *list, uint32_t count)
{
    const char **copy = arena_alloc(&a->own, count ? count : 1, sizeof *copy);
    for (uint32_t i = 0; copy && i < count; i++)
        if (!(copy[i] = own_str(a, list[i])))
            return NULL;
    return copy;
}

static enum hoist_err own_config(struct agent *a, const struct agent_config *config)
{
    a->config = *config;
    a->config.id = own_str(a, config->id);
    a->config.software = own_str(a, config->software);
    a->config.upstreams = own_list(a, config->upstreams, config->upstream_count);
    a->config.envs = own_list(a, config->envs, config->env_count);
    a->config.labels = own_list(a, config->labels, config->label_count);
    a->probes = arena_alloc(&a->own, config->upstream_count, sizeof *a->probes);
    a->envs = arena_alloc(&a->own, config->env_count, sizeof *a->envs);
    a->status_envs = arena_alloc(&a->own, config->env_count, sizeof *a->status_envs);
    if (a->config.heartbeat_ms == 0)
        a->config.heartbeat_ms = AGENT_HEARTBEAT_MS;
    if (!a->config.id || !a->config.software || !a->config.upstreams || !a->config.envs ||
        !a->config.labels || !a->probes || !a->envs || !a->status_envs)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    for (uint32_t i = 0; i < config->env_count; i++)
        a->envs[i].name = a->config.envs[i];
    return HOIST_OK;
}

static enum hoist_err check_config(const struct agent_config *config)
{
    if (config->upstream_count == 0 || config->env_count == 0)
        return err_set(HOIST_EINVAL, "an agent needs an upstream and an environment to follow");
    if (config->env_count > FRAME_ENVS_MAX || config->label_count > FRAME_LABELS_MAX)
        return err_set(HOIST_EINVAL, "at most %d environments and %d labels", FRAME_ENVS_MAX,
                       FRAME_LABELS_MAX);
    for (uint32_t i = 0; i < config->upstream_count; i++) {
        enum hoist_err err = net_check_url(config->upstreams[i]);
        if (err != HOIST_OK)
            return err_prefix(err, "upstream");
    }
    for (uint32_t i = 0; i < config->env_count; i++)
        if (!*config->envs[i] || strlen(config->envs[i]) > STORE_ENV_NAME_MAX)
            return err_set(HOIST_EINVAL, "environment '%.80s': a name has 1 to %d bytes",
                           config->envs[i], STORE_ENV_NAME_MAX);
    return HOIST_OK;
}

static enum hoist_err split_label(const char *text, struct label *ret)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return err_set(HOIST_EINVAL, "label '%s': give NAME=VALUE", text);
    ret->name = slice_of(text, (size_t)(equals - text));
    ret->value = slice_str(equals + 1);
    return HOIST_OK;
}

/* What the store has of each environment that is followed. */
static enum hoist_err read_envs(struct agent *a, struct follower_env *envs)
{
    struct store_read *r;
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err != HOIST_OK)
        return err_set(HOIST_EIO, "repl: the store cannot be read: %s", err_last());
    for (uint32_t i = 0; i < a->config.env_count && err == HOIST_OK; i++) {
        struct store_env env;
        envs[i].name = slice_str(a->envs[i].name);
        err = store_env_get(r, a->envs[i].name, &env);
        if (err == HOIST_ENOTFOUND || (err == HOIST_OK && env.head == 0)) {
            err = HOIST_OK;
        } else if (err == HOIST_OK) {
            envs[i].present = true;
            envs[i].epoch = env.epoch;
            envs[i].version = env.head;
            envs[i].held = (uint32_t)env.held;
            memcpy(envs[i].hash, env.hash, HASH_SIZE);
            memcpy(envs[i].digest, env.digest, HASH_SIZE);
        }
    }
    store_read_end(r);
    return err;
}

static enum hoist_err make_follower(struct agent *a)
{
    struct arena arena = {0}; /* the follower copies what it is given */
    const struct agent_config *c = &a->config;
    struct label *labels = arena_alloc(&arena, c->label_count ? c->label_count : 1, sizeof *labels);
    struct follower_env *envs = arena_alloc(&arena, c->env_count, sizeof *envs);
    struct slice *names = arena_alloc(&arena, c->upstream_count, sizeof *names);
    enum hoist_err err = HOIST_OK;
    if (!labels || !envs || !names)
        err = err_set(HOIST_ENOMEM, "repl: out of memory");
    for (uint32_t i = 0; i < c->label_count && err == HOIST_OK; i++)
        err = split_label(c->labels[i], &labels[i]);
    if (err == HOIST_OK)
        err = read_envs(a, envs);
    if (err == HOIST_OK) {
        for (uint32_t i = 0; i < c->upstream_count; i++)
            names[i] = slice_str(c->upstreams[i]);
        struct follower_config f = {
            .id = slice_str(c->id),
            .software = slice_str(c->software),
            .labels = labels,
            .label_count = c->label_count,
            .envs = envs,
            .env_count = c->env_count,
            .upstreams = c->upstream_count,
            .upstream_names = names,
            .heartbeat_ms = c->heartbeat_ms,
            .relay = c->relay,
            .trust = c->trust,
        };
        hash_random(&f.incarnation, sizeof f.incarnation);
        a->incarnation = f.incarnation;
        hash_random(&f.seed, sizeof f.seed);
        err = agent_kept(a, &arena, &f);
        if (err == HOIST_OK)
            err = follower_new(&f, clock_mono_ms(), &a->follower);
    }
    arena_done(&arena);
    return err;
}

/* Signals are for the program's own thread. */
static enum hoist_err start_thread(struct agent *a)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&a->thread, NULL, run, a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(HOIST_EIO, "repl: no thread for the agent: %s", strerror(rc));
    return HOIST_OK;
}

void agent_free(struct agent *a)
{
    if (!a)
        return;
    follower_free(a->follower);
    net_tls_drop(a->tls);
    queue_done(&a->queue);
    pthread_mutex_destroy(&a->lock);
    mem_free(a->reports);
    mem_free(a->committed);
    buf_done(&a->unkept_keys);
    arena_done(&a->own);
    mem_free(a);
}

enum hoist_err agent_new(struct store *s, const struct agent_config *config, struct agent **ret)
{
    enum hoist_err err = check_config(config);
    if (err != HOIST_OK)
        return err;
    struct agent *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    a->unkept_keys = BUF_INIT(CERTIFICATES_BYTES_MAX);
    err = queue_init(&a->queue, AGENT_QUEUE, AGENT_QUEUE_BYTES);
    if (err != HOIST_OK) {
        mem_free(a);
        return err;
    }
    hash_init();
    pthread_mutex_init(&a->lock, NULL);
    a->store = s;
    a->tls = net_tls_hold(config->tls);
    err = own_config(a, config);
    if (err == HOIST_OK)
        err = store_env_order(s, a->config.envs, a->config.env_count);
    if (err == HOIST_OK)
        err = make_follower(a);
    if (err != HOIST_OK) {
        agent_free(a);
        return err;
    }
    *ret = a;
    return HOIST_OK;
}

static bool is_followed(const struct agent *a, const char *name)
{
    for (uint32_t i = 0; i < a->config.env_count; i++)
        if (strcmp(a->config.envs[i], name) == 0)
            return true;
    return false;
}

/* Nobody but its user knows whether it is wanted; programs may read it. */
static void warn_of_unfollowed(struct agent *a)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(a->store, false, &r) != HOIST_OK)
        return;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        if (env.head > 0 && !is_followed(a, env.name))
            log_warn(
                "repl: environment '%s' is in the store and is not followed; programs that read "
                "it stay at version %" PRIu64,
                env.name, env.head);
    store_read_end(r);
}

enum hoist_err agent_begin(struct agent *a)
{
    warn_of_unfollowed(a);
    agent_metrics_begin(a);
    enum hoist_err err = start_thread(a);
    if (err != HOIST_OK)
        agent_metrics_end(a);
    return err;
}

void agent_renew(struct agent *a, struct net_tls *tls)
{
    pthread_mutex_lock(&a->lock);
    struct net_tls *before = a->tls;
    a->tls = net_tls_hold(tls);
    a->losses++;
    pthread_mutex_unlock(&a->lock);
    net_tls_drop(before);
    atomic_store(&a->renews, true); /* seen at the loop's next turn, at most AGENT_UPKEEP_MS away */
}

void agent_end(struct agent *a)
{
    agent_usage_end(a);
    queue_close(&a->queue);
    pthread_join(a->thread, NULL);
    agent_metrics_end(a);
}

enum hoist_err agent_start(struct store *s, const struct agent_config *config, struct agent **ret)
{
    struct agent *a;
    enum hoist_err err = agent_new(s, config, &a);
    if (err != HOIST_OK)
        return err;
    err = agent_begin(a);
    if (err != HOIST_OK) {
        agent_free(a);
        return err;
    }
    *ret = a;
    return HOIST_OK;
}

void agent_stop(struct agent *a)
{
    if (!a)
        return;
    agent_end(a);
    agent_free(a);
}
