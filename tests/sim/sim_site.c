/* sim_site.c - publishers: the primary, relays, and the one that lies. What server.c, publisher.c and
 * uplink.c do between nng and the code that is tested. */
#include <string.h>

#include "base/clock.h"
#include "repl/heartbeat.h"
#include "repl/told.h"
#include "sim.h"

enum { UP_DEADLINE_MS = 2000, UP_PAUSE_MS = 200, HEADER_ONLY = 30, TOGETHER_MAX = 256 };

/* ---------------------------------------------------------------- life */

/* The one that lies says what it heard of the primary, and what it has itself, or the primary has. */
static enum hoist_err lie(void *arg, struct arena *arena, struct standing *ret)
{
    struct sim_node *n = sim.lie == LIE_CLAIMS ? &sim.nodes[SIM_PRIMARY] : arg;
    struct answerer plain = n->answerer;
    struct store_read *r;
    enum hoist_err err = store_read_begin(plain.store, false, &r);
    if (err != HOIST_OK)
        return err;
    plain.standing = NULL;
    err = answer_standing(&plain, r, arena, ret);
    store_read_end(r);
    ret->distance = 1;
    ret->origin = buf_slice(&sim.copied_origin);
    ret->signature = buf_slice(&sim.copied_signature);
    return err;
}

static standing_fn *standing_of(const struct sim_node *n)
{
    if (n->agent)
        return agent_standing;
    return n->index == SIM_ROGUE && sim.lie != LIE_FORGES ? lie : NULL;
}

void site_open(struct sim_node *n, const struct sign_key *key)
{
    sim_ok(downloads_new(n->store, &n->downloads), "downloads");
    n->answerer = (struct answerer){
        .store = n->store,
        .downloads = n->downloads,
        .id = slice_str(n->id),
        .software = SLICE("sim"),
        .incarnation = n->life,
        .key = key,
        .standing = standing_of(n),
        .standing_arg = n->agent ? (void *)n->agent : n,
    };
    if (n->agent) {
        n->answerer.envs = agent_envs(n->agent, &n->answerer.env_count);
        sim_ok(subtree_new(slice_str(n->id), &n->subtree), "a relay's hosts");
    }
    n->beats = 0;
    n->up_tag = 0;
    n->up_paused_ms = 0;
    sim_put((struct sim_event){
        .kind = SIM_BEAT, .at = sim_dice(SIM_HEARTBEAT_MS), .node = n->index, .life = n->life});
}

void site_close(struct sim_node *n)
{
    downloads_free(n->downloads);
    subtree_free(n->subtree);
    n->downloads = NULL;
    n->subtree = NULL;
}

/* ---------------------------------------------------------------- down */

void site_beat(struct sim_node *n)
{
    if (n->index == SIM_ROGUE && sim.lie >= LIE_WITHHOLDS)
        rogue_listen();
    buf_clear(&sim.out);
    sim_ok(heartbeat_make(&n->answerer, ++n->beats, &sim.out), "a heartbeat");
    sim_broadcast(n->index, buf_slice(&sim.out));
    downloads_tick(n->downloads, sim.now);
    sim_put((struct sim_event){
        .kind = SIM_BEAT, .at = SIM_HEARTBEAT_MS, .node = n->index, .life = n->life});
}

/* One that is too long for a message goes without its edits; here any may. */
static void publish_header(struct sim_node *n, struct slice bytes)
{
    struct change c;
    struct buf bare = BUF_INIT(FRAME_PUB_MAX);
    sim_ok(change_decode(bytes, &c), "a change that was written");
    sim_ok(change_without_edits(&c, &bare), "its header");
    buf_clear(&sim.out);
    frame_put_changes(&sim.out, &(struct slice){bare.ptr, bare.len}, 1);
    sim_broadcast(n->index, buf_slice(&sim.out));
    buf_done(&bare);
}

void site_publish(struct sim_node *n, const struct slice *changes, uint32_t count)
{
    for (uint32_t i = 0; i < count;) {
        if (sim_chance(HEADER_ONLY)) {
            publish_header(n, changes[i++]);
            continue;
        }
        uint32_t together = count - i < TOGETHER_MAX ? count - i : TOGETHER_MAX;
        buf_clear(&sim.out);
        frame_put_changes(&sim.out, changes + i, together);
        sim_broadcast(n->index, buf_slice(&sim.out));
        i += together;
    }
}

/* ---------------------------------------------------------------- answers */

static void told_primary(void *arg, const struct told_host *told)
{
    struct store_read *r;
    (void)arg;
    sim_ok(store_read_begin(sim.nodes[SIM_PRIMARY].store, false, &r), "the primary's store");
    fleet_heard(sim.fleet, r, told, clock_mono_ns());
    store_read_end(r);
}

static void told_relay(void *arg, const struct told_host *told)
{
    struct sim_node *n = arg;
    if (!agent_is_own(n->agent, told))
        subtree_hear(n->subtree, told, sim.now);
}

static enum hoist_err answer(struct sim_node *n, uint32_t asker, struct slice in,
                             struct arena *arena, struct buf *out)
{
    told_fn *told = n->agent ? told_relay : n->index == SIM_PRIMARY ? told_primary : NULL;
    struct frame_fetch fetch;
    struct frame_snapshot snapshot;
    enum frame_kind kind;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (err != HOIST_OK)
        return err;
    if (n->index == SIM_ROGUE && sim.lie == LIE_BUSY &&
        (kind == FRAME_FETCH || kind == FRAME_SNAPSHOT)) {
        answer_busy(kind, ANSWER_FETCH_BUSY_MS, out);
        return HOIST_OK;
    }
    switch (kind) {
    case FRAME_HELLO:
        if ((err = told_hello(in, arena, told, n)) == HOIST_OK)
            answer_hello(&n->answerer, out);
        return err;
    case FRAME_STATUS:
        return told_status(in, arena, told, n, out);
    case FRAME_SUBTREE:
        return told_subtree(in, arena, told, n, out);
    case FRAME_FETCH:
        if ((err = frame_get_fetch(in, &fetch)) == HOIST_OK)
            answer_fetch(&n->answerer, &fetch, out);
        return err;
    case FRAME_SNAPSHOT:
        if ((err = frame_get_snapshot(in, &snapshot)) == HOIST_OK)
            answer_snapshot(&n->answerer, &(struct download_asker){.connection = asker}, &snapshot,
                            out);
        return err;
    default:
        return err_set(HOIST_ECORRUPT, "a frame of kind %d is no request", (int)kind);
    }
}

void site_asked(struct sim_event *e)
{
    struct sim_node *n = &sim.nodes[e->peer];
    struct arena arena = {0};
    if (!sim_linked(e->node, e->peer))
        return;
    buf_clear(&sim.out);
    if (answer(n, (uint32_t)e->life, buf_slice(&e->bytes), &arena, &sim.out) != HOIST_OK) {
        buf_clear(&sim.out);
        frame_put_error_reply(&sim.out, slice_str(err_last()));
    }
    arena_done(&arena);
    sim_ask(e->kind == SIM_UP_REQUEST ? SIM_UP_REPLY : SIM_REPLY, e->node, e->peer, e->life, e->tag,
            buf_slice(&sim.out));
}

/* ---------------------------------------------------------------- up */

void site_pass_up(struct sim_node *n)
{
    const struct upstream *u = n->agent->upstream;
    if (n->up_tag || !u || n->up_paused_ms > sim.now ||
        subtree_due_ms(n->subtree, sim.now) > sim.now)
        return;
    buf_clear(&sim.out);
    if (!subtree_take(n->subtree, sim.now, &sim.out))
        return;
    n->up_tag = ++sim.tags;
    sim_ask(SIM_UP_REQUEST, n->index, u->server, n->life, n->up_tag, buf_slice(&sim.out));
    sim_put((struct sim_event){.kind = SIM_UP_LATE,
                               .at = UP_DEADLINE_MS,
                               .node = n->index,
                               .life = n->life,
                               .tag = n->up_tag});
}

void site_passed_up(struct sim_event *e)
{
    struct sim_node *n = &sim.nodes[e->node];
    uint32_t status;
    if (e->life != n->life || !n->subtree || e->tag != n->up_tag)
        return;
    bool done = e->kind == SIM_UP_REPLY &&
                frame_get_status_reply(buf_slice(&e->bytes), &status) == HOIST_OK;
    n->up_tag = 0;
    subtree_passed_on(n->subtree, done);
    if (!done)
        n->up_paused_ms = sim.now + UP_PAUSE_MS;
}
