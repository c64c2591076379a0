/* sim_net.c - events by time, and connections: messages come late, twice, out of order, cut short,
 * altered or not at all. Stands in for src/repl/upstream.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repl/net.h"
#include "sim.h"

enum { SAME_MS_MAX = 20000, PORT_FIRST = 10000 };

/* ---------------------------------------------------------------- events */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_put(struct sim_event e)
{
    if (sim.event_count == sim.event_cap) {
        sim.events = mem_grow(sim.events, &sim.event_cap, 256, sizeof *sim.events);
        if (!sim.events)
            sim_wrong("out of memory");
    }
    e.at += sim.now;
    e.order = sim.event_order++;
    size_t i = sim.event_count++;
    sim.events[i] = e;
    for (; i > 0 && earlier(&sim.events[i], &sim.events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&sim.events[i], &sim.events[(i - 1) / 2]);
}

bool sim_next(struct sim_event *ret)
{
    if (sim.event_count == 0)
        return false;
    *ret = sim.events[0];
    sim.events[0] = sim.events[--sim.event_count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1;
        for (size_t c = left; c < left + 2 && c < sim.event_count; c++)
            if (earlier(&sim.events[c], &sim.events[least]))
                least = c;
        if (least == i)
            break;
        swap(&sim.events[i], &sim.events[least]);
        i = least;
    }
    sim.same_ms = ret->at == sim.now ? sim.same_ms + 1 : 0;
    if (sim.same_ms > SAME_MS_MAX)
        sim_wrong("%d events, and no time passes", SAME_MS_MAX);
    sim.now = ret->at;
    return true;
}

void sim_forget_events(void)
{
    for (size_t i = 0; i < sim.event_count; i++)
        buf_done(&sim.events[i].bytes);
    mem_free(sim.events);
    sim.events = NULL;
    sim.event_count = sim.event_cap = 0;
}

/* ---------------------------------------------------------------- ways */

bool sim_linked(uint32_t a, uint32_t b)
{
    return sim.nodes[a].up && sim.nodes[b].up && !sim.cut[a][b] && !sim.cut[b][a];
}

struct buf sim_bytes(struct slice bytes)
{
    struct buf copy = BUF_INIT(FRAME_COMMAND_MAX);
    buf_add_slice(&copy, bytes);
    sim_ok(buf_err(&copy), "a copy");
    return copy;
}

static int64_t way_ms(void)
{
    return sim_dice(sim.weather.late_ms);
}

/* What a host tells of itself is not signed: against whoever alters that on the way there is TLS. */
static bool is_report(struct slice bytes)
{
    enum frame_kind kind;
    return frame_kind_of(bytes, &kind) == HOIST_OK &&
           (kind == FRAME_HELLO || kind == FRAME_STATUS || kind == FRAME_SUBTREE);
}

/* A copy for the way: cut short, or a byte of it altered, now and then. */
static struct buf on_the_way(struct slice bytes)
{
    bool safe = bytes.len == 0 || is_report(bytes);
    if (!safe && sim_chance(sim.weather.truncate)) {
        bytes.len = sim_dice((uint32_t)bytes.len);
        sim.figures.mangled++;
    }
    struct buf copy = sim_bytes(bytes);
    if (!safe && copy.len && sim_chance(sim.weather.mangle)) {
        uint32_t at = sim_dice((uint32_t)copy.len);
        copy.ptr[at] ^= (uint8_t)(1 + sim_dice(255));
        sim.figures.mangled++;
    }
    return copy;
}

static bool is_lost(uint32_t a, uint32_t b)
{
    bool lost = !sim_linked(a, b) || sim_chance(sim.weather.lose);
    sim.figures.lost += lost;
    return lost;
}

static uint32_t copies(void)
{
    bool twice = sim_chance(sim.weather.twice);
    sim.figures.doubled += twice;
    return 1 + twice;
}

/* One copy of it, unless it is lost. */
static void send(struct sim_event e, struct slice bytes)
{
    if (is_lost(e.node, e.peer))
        return;
    e.at = way_ms();
    e.bytes = on_the_way(bytes);
    sim_put(e);
}

/* The one that is followed, then those that are listened to at the start; NULL: not that one. */
static struct upstream *connection_at(const struct sim_node *n, uint32_t i)
{
    if (!n->agent)
        return NULL;
    return i == 0 ? n->agent->upstream : n->agent->probes[i - 1];
}

static void send_stream(const struct upstream *u, struct slice bytes)
{
    for (uint32_t c = copies(); c > 0; c--)
        send(
            (struct sim_event){
                .kind = SIM_MESSAGE, .node = u->node, .peer = u->server, .life = u->connection},
            bytes);
}

void sim_broadcast(uint32_t server, struct slice bytes)
{
    for (uint32_t n = 1; n <= SIM_HOSTS; n++)
        for (uint32_t i = 0; i <= sim.nodes[n].upstreams; i++) {
            const struct upstream *u = connection_at(&sim.nodes[n], i);
            if (u && u->server == server)
                send_stream(u, bytes);
        }
}

void sim_ask(enum sim_kind kind, uint32_t node, uint32_t peer, uint64_t life, uint64_t tag,
             struct slice bytes)
{
    for (uint32_t c = copies(); c > 0; c--)
        send((struct sim_event){.kind = kind, .node = node, .peer = peer, .life = life, .tag = tag},
             bytes);
}

/* ---------------------------------------------------------------- what a host hears */

void event_free(struct event *e)
{
    nng_msg_free(e->msg);
    mem_free(e);
}

static void hand_over(struct upstream *u, enum event_kind kind, uint64_t tag, struct slice bytes)
{
    struct event *e = mem_zalloc(1, sizeof *e);
    if (!e)
        sim_wrong("out of memory");
    *e = (struct event){.kind = kind, .upstream = u->number, .tag = tag};
    if (kind != EVENT_NO_REPLY)
        e->msg = net_msg(bytes);
    if (!queue_push_over(u->queue, &e->link, bytes.len))
        event_free(e);
    host_wake(&sim.nodes[u->node]);
}

static struct upstream *connection_of(const struct sim_event *e)
{
    const struct sim_node *n = &sim.nodes[e->node];
    for (uint32_t i = 0; i <= n->upstreams; i++) {
        struct upstream *u = connection_at(n, i);
        if (u && u->connection == e->life)
            return u;
    }
    return NULL;
}

void sim_message(struct sim_event *e)
{
    struct upstream *u = connection_of(e);
    if (!u)
        return;
    u->spoke = true;
    hand_over(u, EVENT_MESSAGE, 0, buf_slice(&e->bytes));
}

void sim_reply(struct sim_event *e)
{
    struct upstream *u = connection_of(e);
    if (!u || u->tag != e->tag)
        return; /* it came twice, or too late */
    u->tag = 0;
    hand_over(u, EVENT_REPLY, e->tag, buf_slice(&e->bytes));
}

void sim_deadline(struct sim_event *e)
{
    struct upstream *u = connection_of(e);
    if (!u || u->tag != e->tag)
        return;
    u->tag = 0;
    hand_over(u, EVENT_NO_REPLY, e->tag, (struct slice){0});
}

/* ---------------------------------------------------------------- upstream.h */

enum hoist_err upstream_open(uint32_t number, const char *url, struct net_tls *tls,
                             struct queue *queue, struct upstream **ret)
{
    (void)tls; /* nothing is encrypted here */
    struct upstream *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return err_set(HOIST_ENOMEM, "sim: out of memory");
    *u = (struct upstream){
        .node = sim.here,
        .server = (uint32_t)(strtoul(strrchr(url, ':') + 1, NULL, 10) - PORT_FIRST) / 2,
        .number = number,
        .connection = ++sim.connections,
        .queue = queue,
    };
    *ret = u;
    return HOIST_OK;
}

bool upstream_close(struct upstream *u)
{
    mem_free(u);
    return true;
}

void upstream_lost(struct upstream *u)
{
    (void)u; /* no connection here tells that it broke */
}

void upstream_renew(struct upstream *u)
{
    (void)u; /* no connection here tells that it broke */
}

bool upstream_is_idle(struct upstream *u)
{
    return u->tag == 0;
}

bool upstream_spoke(const struct upstream *u)
{
    return u->spoke;
}

enum hoist_err upstream_request(struct upstream *u, uint64_t tag, struct slice bytes,
                                int64_t deadline_ms)
{
    if (u->tag)
        hand_over(u, EVENT_NO_REPLY, u->tag, (struct slice){0});
    u->tag = tag;
    sim_ask(SIM_REQUEST, u->node, u->server, u->connection, tag, bytes);
    sim_put((struct sim_event){.kind = SIM_DEADLINE,
                               .at = deadline_ms,
                               .node = u->node,
                               .life = u->connection,
                               .tag = tag});
    return HOIST_OK;
}

void sim_url(uint32_t node, char ret[32])
{
    snprintf(ret, 32, "tcp://127.0.0.1:%u", PORT_FIRST + 2 * node);
}
