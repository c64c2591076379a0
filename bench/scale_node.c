/* scale_node.c - hosts and relays as followers: what agent.c and upstream.c do, without threads. While
 * a node commits, what comes waits for it, as it waits for the agent's thread. */
#include <string.h>

#include "base/mem.h"
#include "bench.h"
#include "scale_int.h"

/* ---------------------------------------------------------------- connections */

static void dial_in(struct scale *w, struct node *n, int64_t ns)
{
    scale_put(w, (struct scale_event){
                     .kind = EVENT_DIAL, .at = ns, .node = n->index, .life = n->connection});
}

static void drop_connection(struct scale *w, struct node *n)
{
    if (n->connected)
        site_leave(w, n);
    n->connected = false;
    n->connection++;
    packet_drop(n->unsent);
    n->unsent = NULL;
}

/* nng's dialer waits at random, up to twice as long each time. */
static void dial_again(struct scale *w, struct node *n)
{
    dial_in(w, n, (int64_t)scale_dice(w, (uint64_t)n->redial_ms * SCALE_MS));
    n->redial_ms =
        2 * n->redial_ms < SCALE_RECONNECT_MAX_MS ? 2 * n->redial_ms : SCALE_RECONNECT_MAX_MS;
}

void node_hang_up(struct scale *w, struct node *n)
{
    drop_connection(w, n);
    n->redial_ms = SCALE_RECONNECT_MIN_MS;
    dial_again(w, n);
}

static void send_request(struct scale *w, struct node *n, struct packet *p)
{
    if (scale_chance(w, w->weather.lose_request_ppm)) {
        packet_drop(p);
        return;
    }
    scale_put(w, (struct scale_event){
                     .kind = EVENT_REQUEST,
                     .at = scale_way(w),
                     .node = n->index,
                     .peer = n->server,
                     .life = n->connection,
                     .tag = n->asks,
                     .packet = p,
                 });
}

static void dialled(struct scale *w, struct node *n)
{
    struct node *server = &w->nodes[n->server];
    if (!server->up) {
        dial_again(w, n);
        return;
    }
    server->site->traffic.dials++;
    n->connected = true;
    n->stream_ns = w->now;
    site_join(server->site, n);
    if (n->unsent)
        send_request(w, n, n->unsent);
    n->unsent = NULL;
    if (n->site)
        uplink_connected(w, n);
}

static void follow(struct scale *w, struct node *n, uint32_t upstream)
{
    drop_connection(w, n);
    n->follow = upstream;
    n->server = n->upstreams[upstream];
    n->asks = 0;
    n->redial_ms = SCALE_RECONNECT_MIN_MS;
    dial_in(w, n, 2 * (scale_way(w) + scale_way(w))); /* TCP's handshake, then nng's */
}

static void request(struct scale *w, struct node *n, const struct follower_output *o)
{
    struct packet *p = packet_new(o->bytes.ptr, o->bytes.len);
    n->asks = o->tag;
    n->asks_until_ns = w->now + o->deadline_ms * SCALE_MS;
    if (!n->site) {
        w->seen.host_requests++;
        w->seen.host_request_bytes += p->len;
    }
    if (n->connected) {
        send_request(w, n, p);
        return;
    }
    packet_drop(n->unsent);
    n->unsent = p;
}

/* ---------------------------------------------------------------- outputs */

static void commit_in(struct scale *w, struct node *n, int64_t ns)
{
    n->busy_ns = w->now + ns;
    scale_put(
        w, (struct scale_event){.kind = EVENT_COMMIT, .at = ns, .node = n->index, .life = n->life});
}

static void load(struct scale *w, struct node *n, const struct follower_output *o)
{
    bool right = true;
    switch (o->kind) {
    case OUT_LOAD_BEGIN:
        right = scale_load_begin(&n->store, &o->change);
        break;
    case OUT_LOAD_RECORDS:
        right = scale_load_records(&n->store, o->records, o->record_count);
        break;
    case OUT_LOAD_CHANGE:
        right = scale_load_change(&n->store, &o->change);
        break;
    case OUT_LOAD_FINISH:
        n->loading = true;
        commit_in(w, n, SCALE_COMMIT_NS + (int64_t)SCALE_FLAGS * SCALE_LOAD_FLAG_NS);
        break;
    default:
        n->store.load_base = n->store.load_version = 0;
    }
    if (!right)
        scale_wrong(w, n, "was given a snapshot with what was never written");
}

static void apply(struct scale *w, struct node *n, const struct follower_output *o)
{
    uint64_t at = n->applying ? n->applying : n->store.version;
    if (!scale_is_next(&w->history, at, &o->change))
        scale_wrong(w, n, "was given a change that is not the next one");
    if (!n->applying)
        commit_in(w, n, SCALE_COMMIT_NS + scale_tail(w, SCALE_COMMIT_TAIL_NS));
    n->applying = at + 1;
}

static void tick_by(struct scale *w, struct node *n)
{
    int64_t at = n->want_ns;
    if (n->asks && n->asks_until_ns < at)
        at = n->asks_until_ns;
    n->want_ns = at;
    if (n->tick_ns > w->now && n->tick_ns <= at)
        return; /* it will look then */
    n->tick_ns = at;
    scale_put(w, (struct scale_event){.kind = EVENT_TICK,
                                      .at = at - w->now,
                                      .node = n->index,
                                      .life = n->life,
                                      .tag = (uint64_t)at});
}

static void step(struct scale *w, struct node *n, const struct follower_input *in)
{
    struct follower_outputs outs;
    if (follower_step(n->f, w->now / SCALE_MS, in, &outs) != HOIST_OK)
        bench_die("no memory for a host");
    for (uint32_t i = 0; i < outs.count; i++) {
        const struct follower_output *o = &outs.items[i];
        switch (o->kind) {
        case OUT_FOLLOW:
            follow(w, n, o->upstream);
            break;
        case OUT_REQUEST:
            request(w, n, o);
            break;
        case OUT_APPLY:
            apply(w, n, o);
            break;
        case OUT_PROBE:
        case OUT_PROBED:
        case OUT_KEYS:
        case OUT_LOG:
            break;
        case OUT_COUNT:
            w->seen.counts[o->what]++;
            break;
        default:
            load(w, n, o);
        }
    }
    n->want_ns = outs.next_ms * SCALE_MS;
    tick_by(w, n);
}

/* ---------------------------------------------------------------- what happens */

static void committed(struct scale *w, struct node *n)
{
    uint64_t before = n->store.version;
    struct follower_input in = {.kind = n->loading ? IN_LOADED : IN_APPLIED};
    bool loaded = n->loading;
    if (loaded && !scale_load_finish(&n->store))
        scale_wrong(w, n, "has loaded a snapshot that is not whole");
    if (!loaded)
        n->store.version = n->applying;
    n->loading = false;
    n->applying = 0;
    scale_committed(w, n);
    if (n->site && !loaded)
        site_publish(w, n->site, before + 1, n->store.version);
    const struct scale_written *at = &w->history.all[n->store.version - 1];
    in.epoch = w->history.epoch;
    in.version = n->store.version;
    memcpy(in.hash, at->hash, HASH_SIZE);
    memcpy(in.digest, at->digest, HASH_SIZE);
    step(w, n, &in);
}

static void ticked(struct scale *w, struct node *n)
{
    n->tick_ns = 0;
    if (n->want_ns > w->now)
        tick_by(w, n);
    else if (n->asks && n->asks_until_ns <= w->now) {
        uint64_t tag = n->asks;
        n->asks = 0;
        step(w, n, &(struct follower_input){.kind = IN_NO_REPLY, .tag = tag});
    } else {
        step(w, n, &(struct follower_input){.kind = IN_TICK});
    }
}

static void heard(struct scale *w, struct node *n, const struct scale_event *e)
{
    bool reply = e->kind == EVENT_REPLY;
    struct follower_input in = {
        .kind = reply ? IN_REPLY : IN_MESSAGE,
        .upstream = n->follow,
        .tag = e->tag,
        .bytes = slice_of(e->packet->bytes, e->packet->len),
    };
    if (!n->site) {
        w->seen.host_messages++;
        w->seen.host_bytes += e->packet->len;
    }
    if (reply && n->asks != e->tag)
        return;
    if (reply)
        n->asks = 0;
    step(w, n, &in);
}

static bool is_of_connection(const struct scale_event *e)
{
    return e->kind == EVENT_MESSAGE || e->kind == EVENT_REPLY || e->kind == EVENT_DIAL;
}

void node_happen(struct scale *w, struct node *n, struct scale_event *e)
{
    if (!n->up || e->life != (is_of_connection(e) ? n->connection : n->life))
        return;
    if (e->kind == EVENT_TICK && e->tag != (uint64_t)n->tick_ns)
        return; /* another was set meanwhile */
    if (n->busy_ns > w->now && e->kind != EVENT_COMMIT && e->kind != EVENT_DIAL) {
        struct scale_event later = *e; /* its thread is in the commit */
        later.at = n->busy_ns - w->now;
        e->packet = NULL;
        scale_put(w, later);
        return;
    }
    switch ((enum scale_event_kind)e->kind) {
    case EVENT_MESSAGE:
    case EVENT_REPLY:
        heard(w, n, e);
        break;
    case EVENT_DIAL:
        dialled(w, n);
        break;
    case EVENT_COMMIT:
        committed(w, n);
        break;
    default:
        ticked(w, n);
    }
}

/* ---------------------------------------------------------------- life */

static void make_follower(struct scale *w, struct node *n)
{
    const struct label labels[] = {{SLICE("ring"), SLICE("wide")}, {SLICE("zone"), SLICE("eu-1")}};
    struct follower_env env = {.name = SLICE(SCALE_ENV), .present = n->store.version > 0};
    if (env.present) {
        const struct scale_written *at = &w->history.all[n->store.version - 1];
        env.epoch = w->history.epoch;
        env.version = n->store.version;
        memcpy(env.hash, at->hash, HASH_SIZE);
        memcpy(env.digest, at->digest, HASH_SIZE);
    }
    struct follower_config config = {
        .id = slice_str(n->id),
        .software = SLICE("0.1.0"),
        .incarnation = scale_dice(w, UINT64_MAX),
        .labels = labels,
        .label_count = sizeof labels / sizeof *labels,
        .envs = &env,
        .env_count = 1,
        .upstreams = n->upstream_count,
        .heartbeat_ms = SCALE_HEARTBEAT_MS,
        .relay = n->site != NULL,
        .seed = scale_dice(w, UINT64_MAX),
    };
    if (follower_new(&config, w->now / SCALE_MS, &n->f) != HOIST_OK)
        bench_die("no memory for a host");
}

void node_start(struct scale *w, struct node *n)
{
    if (n->up || n->dead)
        return;
    n->up = true;
    n->life++;
    if (n->site)
        site_start(w, n);
    if (n->index == 0)
        return;
    n->busy_ns = n->tick_ns = 0;
    make_follower(w, n);
    step(w, n, &(struct follower_input){.kind = IN_TICK});
}

/* By kill -9: what was not committed is lost, the kernel closes the connections. */
void node_stop(struct scale *w, struct node *n)
{
    if (!n->up)
        return;
    n->up = false;
    n->life++;
    if (n->site)
        site_stop(w, n);
    if (n->index == 0)
        return;
    scale_unwatch(w, n);
    drop_connection(w, n);
    follower_free(n->f);
    n->f = NULL;
    n->asks = n->applying = 0;
    n->loading = false;
    n->store.load_base = n->store.load_version = 0;
}
