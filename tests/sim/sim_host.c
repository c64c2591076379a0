/* sim_host.c - relays and agents. After each turn of its loop a host must have, of each environment,
 * a version that the primary wrote, whole, and none that is before the one it had. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim.h"

enum {
    MAP_BYTES = 32 << 20,
    LOG_MIN = 40,       /* so that logs are cut, and snapshots needed */
    LOG_AGE_MS = 20000, /* of the primary's */
    SPOT_CHECKS = 2,
    DATA_MAX = 64 << 20,
};

/* ---------------------------------------------------------------- stores */

void store_at(struct sim_node *n, bool primary)
{
    struct store_options options = {
        .write = true,
        .primary = primary,
        .map_bytes = MAP_BYTES,
        .log_min = LOG_MIN,
        .log_age_ms = primary ? LOG_AGE_MS : 0,
        .take_over = primary,
    };
    sim_ok(store_open(n->dir, &options, &n->store), n->id);
}

/* LMDB's file in the numbered directory that is in use. */
static int data_open(const struct sim_node *n, int flags)
{
    char path[SIM_DIR_SIZE + 64];
    snprintf(path, sizeof path, "%s/current/data.mdb", n->dir);
    int fd = open(path, flags);
    if (fd < 0)
        sim_wrong("%s cannot be opened", path);
    return fd;
}

void copy_take(struct sim_node *n)
{
    uint8_t page[1 << 16];
    int fd = data_open(n, O_RDONLY);
    n->copy.max = DATA_MAX;
    buf_clear(&n->copy);
    for (ssize_t got; (got = read(fd, page, sizeof page)) > 0;)
        buf_add(&n->copy, page, (size_t)got);
    close(fd);
    sim_ok(buf_err(&n->copy), "a copy of a store");
}

/* The store is closed. */
void copy_put_back(struct sim_node *n)
{
    int fd = data_open(n, O_WRONLY | O_TRUNC);
    if (write(fd, n->copy.ptr, n->copy.len) != (ssize_t)n->copy.len)
        sim_wrong("a copy of %s cannot be put back", n->id);
    close(fd);
}

/* ---------------------------------------------------------------- what it has */

static uint32_t env_number(struct slice name)
{
    for (uint32_t i = 0; i < SIM_ENVS; i++)
        if (slice_eq(name, slice_str(sim_envs[i])))
            return i;
    sim_wrong("a change of '%.*s', which nobody follows", SLICE_ARG(name));
}

static void set_seen(struct sim_env_seen *seen, uint64_t epoch, uint64_t version,
                     const uint8_t hash[HASH_SIZE])
{
    *seen = (struct sim_env_seen){.epoch = epoch, .version = version};
    memcpy(seen->hash, hash, HASH_SIZE);
}

/* Changes come to a store in order, each once, each on top of the one it was written on, and each is
 * the primary's. */
static void check_applied(struct sim_node *n, const struct change *c)
{
    uint32_t env = env_number(c->head.env);
    struct sim_env_seen *last = &n->applied[env];
    if (!truth_find(env, c->head.epoch, c->head.version, c->hash))
        sim_wrong("%s applied change %" PRIu64 " of %s, which was never written", n->id,
                  c->head.version, sim_envs[env]);
    if (c->head.epoch < last->epoch ||
        (c->head.epoch == last->epoch && c->head.version <= last->version))
        sim_wrong("%s applied change %" PRIu64 " of %s behind %" PRIu64, n->id, c->head.version,
                  sim_envs[env], last->version);
    if (c->head.epoch == last->epoch && c->head.version == last->version + 1 &&
        memcmp(c->head.prev, last->hash, HASH_SIZE) != 0)
        sim_wrong("%s applied change %" PRIu64 " of %s on top of another than the primary did",
                  n->id, c->head.version, sim_envs[env]);
    set_seen(last, c->head.epoch, c->head.version, c->hash);
}

static void applied(void *arg, const struct change *const *changes, uint32_t count)
{
    struct sim_node *n = arg;
    struct slice bytes[256];
    uint32_t together = 0;
    for (uint32_t i = 0; i < count; i++) {
        check_applied(n, changes[i]);
        bytes[together++] = changes[i]->bytes;
        if (n->downloads && (together == 256 || i + 1 == count)) {
            site_publish(n, bytes, together);
            together = 0;
        }
        together %= 256;
    }
}

static void check_record(const struct sim_node *n, struct store_read *r,
                         const struct store_env *env, const struct sim_truth *truth, uint32_t key)
{
    char name[16];
    struct slice record = {0};
    snprintf(name, sizeof name, "k%u", key);
    enum hoist_err err = store_record_get(r, env->id, slice_str(name), &record);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        sim_ok(err, n->id);
    uint64_t has = err == HOIST_OK ? truth_of_record(record) : 0;
    if (has != truth->records[key])
        sim_wrong("%s has another flag %s at version %" PRIu64 " of %s than the primary had", n->id,
                  name, env->head, env->name);
}

static void check_env(struct sim_node *n, struct store_read *r, uint32_t k)
{
    struct store_env env;
    struct sim_env_seen *seen = &n->seen[k];
    if (store_env_get(r, sim_envs[k], &env) != HOIST_OK || env.head == 0) {
        if (seen->version)
            sim_wrong("%s lost %s", n->id, sim_envs[k]);
        return;
    }
    if (env.epoch == seen->epoch && env.head == seen->version &&
        memcmp(env.hash, seen->hash, HASH_SIZE) == 0)
        return;
    if (env.epoch < seen->epoch || (env.epoch == seen->epoch && env.head < seen->version))
        sim_wrong("%s went back in %s: from %" PRIx64 ":%" PRIu64 " to %" PRIx64 ":%" PRIu64, n->id,
                  sim_envs[k], seen->epoch, seen->version, env.epoch, env.head);
    const struct sim_truth *truth = truth_find(k, env.epoch, env.head, env.hash);
    if (!truth)
        sim_wrong("%s has version %" PRIu64 " of %s, which was never written", n->id, env.head,
                  sim_envs[k]);
    if (memcmp(truth->digest, env.digest, HASH_SIZE) != 0)
        sim_wrong("%s has another version %" PRIu64 " of %s than the primary", n->id, env.head,
                  sim_envs[k]);
    for (uint32_t i = 0; i < SPOT_CHECKS; i++)
        check_record(n, r, &env, truth, sim_dice(SIM_KEYS));
    set_seen(seen, env.epoch, env.head, env.hash);
    n->applied[k] = *seen;
    sim_trace(env.hash, 8);
}

static void check_envs(struct sim_node *n)
{
    struct store_read *r;
    sim_ok(store_read_begin(n->store, false, &r), n->id);
    for (uint32_t k = 0; k < SIM_ENVS; k++)
        check_env(n, r, k);
    store_read_end(r);
}

/* ---------------------------------------------------------------- life */

void host_start(struct sim_node *n)
{
    const char *urls[SIM_UPSTREAMS];
    for (uint32_t i = 0; i < n->upstreams; i++)
        urls[i] = n->urls[i];
    struct agent_config config = {
        .id = n->id,
        .software = "sim",
        .upstreams = urls,
        .upstream_count = n->upstreams,
        .envs = sim_envs,
        .env_count = SIM_ENVS,
        .heartbeat_ms = SIM_HEARTBEAT_MS,
        .relay = n->index <= SIM_RELAYS,
        .trust = {.count = 1},
        .applied = applied,
        .applied_arg = n,
    };
    memcpy(config.trust.keys[0], sim.key.public, SIGN_PUBLIC_SIZE);
    n->up = true;
    n->life++;
    store_at(n, false);
    sim_ok(agent_new(n->store, &config, &n->agent), n->id);
    agent_metrics_begin(n->agent);
    if (config.relay)
        site_open(n, NULL);
    memset(n->seen, 0, sizeof n->seen);
    memset(n->applied, 0, sizeof n->applied);
    check_envs(n);
    n->turn_at = INT64_MAX;
    host_wake(n);
}

static void let_go(struct sim_node *n)
{
    struct agent *a = n->agent;
    site_close(n);
    for (uint32_t i = 0; i < a->config.upstream_count; i++)
        agent_end_probe(a, i);
    if (!upstream_close(a->upstream))
        sim_wrong("a connection that cannot be closed");
    for (struct queue_item *item = queue_take(&a->queue, 0); item;) {
        struct event *e = (struct event *)item;
        item = item->next;
        event_free(e);
    }
    for (uint32_t i = 0; i < SIM_ENVS; i++)
        store_load_abort(a->envs[i].load);
    agent_metrics_end(a);
    agent_free(a);
    store_close(n->store);
    n->agent = NULL;
    n->store = NULL;
    n->up = false;
    n->life++;
}

void host_stop(struct sim_node *n)
{
    let_go(n);
}

void host_crash(struct sim_node *n, bool lose)
{
    if (!lose || n->copy.len == 0)
        copy_take(n);
    let_go(n); /* which writes that a load ended: not in a crash */
    copy_put_back(n);
    buf_clear(&n->copy);
}

/* ---------------------------------------------------------------- its loop */

void host_wake(struct sim_node *n)
{
    if (n->turn_at <= sim.now)
        return;
    n->turn_at = sim.now;
    sim_put((struct sim_event){.kind = SIM_TURN, .node = n->index, .life = n->life});
}

void host_turn(struct sim_node *n)
{
    struct agent *a = n->agent;
    agent_turn(a, 0);
    if (agent_is_broken(a))
        sim_wrong("%s is broken", n->id);
    check_envs(n);
    if (n->subtree)
        site_pass_up(n);
    int64_t next = a->upkeep_ms < a->step_ms ? a->upkeep_ms : a->step_ms;
    if (next <= sim.now)
        next = sim.now + 1;
    if (n->turn_at <= next)
        return;
    n->turn_at = next;
    sim_put((struct sim_event){
        .kind = SIM_TURN, .at = next - sim.now, .node = n->index, .life = n->life});
}
