/* scale_site.c - publishers. Each works off its messages one after another, at their costs: what it
 * sends to its last subscriber leaves when all the others have had theirs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "bench.h"
#include "scale_int.h"

enum { PUBLISH_TOGETHER = 256, OUT_MAX = 8 << 20 };

static int64_t real_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * SCALE_S + t.tv_nsec;
}

/* ---------------------------------------------------------------- life */

static enum hoist_err standing(void *arg, struct arena *arena, struct standing *ret)
{
    struct site *s = arg;
    return follower_standing(s->world->nodes[s->node].f, arena, ret);
}

void site_open(struct scale *w, struct node *n)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    if (!s || downloads_new(&n->store, &s->downloads) != HOIST_OK)
        bench_die("no memory for a publisher");
    bool primary = n->index == 0;
    if (!primary && subtree_new(slice_str(n->id), &s->subtree) != HOIST_OK)
        bench_die("no memory for a relay");
    s->world = w;
    s->node = n->index;
    s->answerer = (struct answerer){
        .store = &n->store,
        .downloads = s->downloads,
        .id = slice_str(n->id),
        .software = SLICE("0.1.0"),
        .standing = primary ? NULL : standing,
        .standing_arg = s,
    };
    n->site = s;
}

void site_close(struct site *s)
{
    if (!s)
        return;
    packet_drop(s->uplink.unsent);
    subtree_free(s->subtree);
    downloads_free(s->downloads);
    mem_free(s->subs);
    mem_free(s);
}

void site_start(struct scale *w, struct node *n)
{
    struct site *s = n->site;
    n->store.starts++;
    s->beats = 0;
    s->free_ns = w->now;
    scale_put(w, (struct scale_event){
                     .kind = EVENT_BEAT,
                     .at = (int64_t)scale_dice(w, SCALE_HEARTBEAT_MS) * SCALE_MS,
                     .node = n->index,
                     .life = n->life,
                 });
}

void site_stop(struct scale *w, struct node *n)
{
    struct site *s = n->site;
    packet_drop(s->uplink.unsent);
    s->uplink = (struct uplink){.tag = s->uplink.tag + 1};
    if (s->subtree) {
        subtree_free(s->subtree);
        if (subtree_new(slice_str(n->id), &s->subtree) != HOIST_OK)
            bench_die("no memory for a relay");
    }
    while (s->sub_count > 0)
        node_hang_up(w, &w->nodes[s->subs[s->sub_count - 1]]);
}

void site_join(struct site *s, struct node *n)
{
    if (s->sub_count == s->sub_room) {
        s->sub_room = s->sub_room ? 2 * s->sub_room : 16;
        s->subs = mem_realloc(s->subs, s->sub_room * sizeof *s->subs);
        if (!s->subs)
            bench_die("no memory for subscribers");
    }
    n->place = s->sub_count;
    s->subs[s->sub_count++] = n->index;
}

void site_leave(struct scale *w, struct node *n)
{
    struct site *s = w->nodes[n->server].site;
    uint32_t last = s->subs[--s->sub_count];
    s->subs[n->place] = last;
    w->nodes[last].place = n->place;
}

/* The core works for so long, when it comes to it; then it is this time, as counted from now. */
static int64_t work(struct scale *w, struct site *s, int64_t ns)
{
    if (s->free_ns < w->now)
        s->free_ns = w->now;
    s->free_ns += ns;
    s->traffic.work_ns += ns;
    return s->free_ns - w->now;
}

/* What comes now waits for what is there already. */
static void note_wait(const struct scale *w, struct site *s)
{
    if (s->free_ns - w->now > s->wait_ns)
        s->wait_ns = s->free_ns - w->now;
}

/* ---------------------------------------------------------------- down */

static void send_all(struct scale *w, struct site *s, struct packet *p)
{
    note_wait(w, s);
    for (uint32_t i = 0; i < s->sub_count; i++) {
        struct node *n = &w->nodes[s->subs[i]];
        int64_t leaves = work(w, s, SCALE_SEND_NS + (int64_t)p->len * SCALE_BYTE_NS);
        if (scale_chance(w, w->weather.lose_ppm))
            continue;
        int64_t at = w->now + leaves + scale_way(w);
        if (at < n->stream_ns)
            at = n->stream_ns;
        n->stream_ns = at;
        packet_hold(p);
        scale_put(w, (struct scale_event){
                         .kind = EVENT_MESSAGE,
                         .at = at - w->now,
                         .node = n->index,
                         .life = n->connection,
                         .packet = p,
                     });
    }
    packet_drop(p);
}

static struct packet *packet_of(struct buf *out)
{
    if (buf_err(out) != HOIST_OK)
        bench_die("a frame");
    return packet_new(out->ptr, out->len);
}

/* As publisher.c makes it: a relay that has heard nobody has no origin yet, and says so. */
static void put_heartbeat(struct scale *w, struct site *s, struct buf *frame)
{
    struct arena arena = {0};
    struct store_read *r = NULL;
    struct standing st = {0};
    struct buf origin = BUF_INIT(OUT_MAX), hop = BUF_INIT(OUT_MAX);
    if (store_read_begin(s->answerer.store, false, &r) != HOIST_OK ||
        answer_standing(&s->answerer, r, &arena, &st) != HOIST_OK)
        bench_die("a heartbeat");
    if (s->subtree)
        buf_add_slice(&origin, st.origin);
    else
        heartbeat_put_origin(&origin, store_starts(s->answerer.store) << 32 | ++s->beats,
                             w->now / SCALE_MS, st.heads, st.head_count);
    heartbeat_put_hop(&hop, st.distance, s->answerer.id, st.heads, st.head_count);
    frame_put_heartbeat(frame, buf_slice(&origin), st.signature, buf_slice(&hop));
    buf_done(&origin);
    buf_done(&hop);
    store_read_end(r);
    arena_done(&arena);
}

void site_beat(struct scale *w, struct site *s)
{
    buf_clear(&w->out);
    put_heartbeat(w, s, &w->out);
    s->traffic.beats += s->sub_count;
    s->traffic.beat_bytes += s->sub_count * w->out.len;
    send_all(w, s, packet_of(&w->out));
    downloads_tick(s->downloads, w->now / SCALE_MS);
    scale_put(w, (struct scale_event){
                     .kind = EVENT_BEAT,
                     .at = (int64_t)SCALE_HEARTBEAT_MS * SCALE_MS,
                     .node = s->node,
                     .life = w->nodes[s->node].life,
                 });
}

/* As relay.c and publisher.c pack them; one that is too long for a message goes without its edits. */
void site_publish(struct scale *w, struct site *s, uint64_t first, uint64_t last)
{
    while (first <= last) {
        struct slice list[PUBLISH_TOGETHER];
        struct buf bare = BUF_INIT(FRAME_PUB_MAX);
        uint32_t count = 0;
        size_t bytes = 0;
        for (; first <= last && count < PUBLISH_TOGETHER; first++) {
            struct slice next = scale_bytes(&w->history, first);
            if (bytes + next.len > FRAME_PUB_MAX / 2)
                break;
            bytes += next.len;
            list[count++] = next;
        }
        if (count == 0) {
            struct change c;
            if (change_decode(scale_bytes(&w->history, first++), &c) != HOIST_OK ||
                change_without_edits(&c, &bare) != HOIST_OK)
                bench_die("a change");
            list[count++] = buf_slice(&bare);
        }
        buf_clear(&w->out);
        frame_put_changes(&w->out, list, count);
        s->traffic.changes += s->sub_count;
        s->traffic.change_bytes += s->sub_count * w->out.len;
        send_all(w, s, packet_of(&w->out));
        buf_done(&bare);
    }
}

/* ---------------------------------------------------------------- what is told */

static void told_primary(void *arg, const struct told_host *told)
{
    struct site *s = arg;
    struct scale *w = s->world;
    struct store_read *r = NULL;
    w->seen.ledger_words++;
    if (store_read_begin(s->answerer.store, false, &r) != HOIST_OK)
        bench_die("the ledger");
    fleet_heard(w->fleet, r, told, w->now);
    store_read_end(r);
}

/* Wait until there is something to pass on, and then for what comes with it: subtree_wait() and the
 * nap behind it. What is told meanwhile can only bring that forward. */
static void uplink_await(struct scale *w, struct site *s)
{
    struct uplink *u = &s->uplink;
    int64_t due_ms = subtree_due_ms(s->subtree, w->now / SCALE_MS);
    if (u->asks || due_ms == INT64_MAX)
        return;
    int64_t at = due_ms * SCALE_MS > w->now ? due_ms * SCALE_MS : w->now;
    at = (at > u->paused_ns ? at : u->paused_ns) + SCALE_GATHER_MS * SCALE_MS;
    if (u->gathers_ns && u->gathers_ns <= at)
        return;
    u->gathers_ns = at;
    scale_put(w, (struct scale_event){
                     .kind = EVENT_GATHERED,
                     .at = at - w->now,
                     .node = s->node,
                     .life = w->nodes[s->node].life,
                     .tag = (uint64_t)at,
                 });
}

static void told_relay(void *arg, const struct told_host *told)
{
    struct site *s = arg;
    subtree_hear(s->subtree, told, s->world->now / SCALE_MS);
    uplink_await(s->world, s);
}

/* ---------------------------------------------------------------- answers */

static void count_request(struct scale *w, struct site *s)
{
    if (w->now - s->peak_at >= SCALE_PEAK_NS) {
        s->peak_at = w->now - w->now % SCALE_PEAK_NS;
        s->peak_now = 0;
    }
    if (++s->peak_now > s->peak)
        s->peak = s->peak_now;
}

/* server.c answers 64 fetches at a time, and tells others to come again; one core that takes one after
 * another never has more than one. */
static void put_fetch(struct site *s, struct slice in, struct buf *out)
{
    struct frame_fetch f;
    if (frame_get_fetch(in, &f) != HOIST_OK)
        bench_die("a fetch");
    answer_fetch(&s->answerer, &f, out);
    s->traffic.fetches++;
}

static void put_snapshot(struct site *s, uint32_t asker, struct slice in, struct buf *out)
{
    struct frame_snapshot f;
    if (frame_get_snapshot(in, &f) != HOIST_OK)
        bench_die("a snapshot");
    answer_snapshot(&s->answerer, &(struct download_asker){.connection = asker}, &f, out);
    s->traffic.snapshots++;
}

/* What server.c does with a request. */
static enum hoist_err answer(struct site *s, uint32_t asker, struct slice in, struct buf *out)
{
    told_fn *told = s->subtree ? told_relay : told_primary;
    struct arena arena = {0};
    enum frame_kind kind;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (err != HOIST_OK)
        return err;
    switch (kind) {
    case FRAME_HELLO:
        s->traffic.hellos++;
        if ((err = told_hello(in, &arena, told, s)) == HOIST_OK)
            answer_hello(&s->answerer, out);
        break;
    case FRAME_STATUS:
        s->traffic.statuses++;
        err = told_status(in, &arena, told, s, out);
        break;
    case FRAME_SUBTREE:
        s->traffic.subtrees++;
        err = told_subtree(in, &arena, told, s, out);
        break;
    case FRAME_FETCH:
        put_fetch(s, in, out);
        break;
    default:
        put_snapshot(s, asker, in, out);
    }
    arena_done(&arena);
    return err;
}

/* A frame of a relay costs more than a host's word by the words in it. */
static int64_t cost_of(const struct scale_event *e)
{
    struct arena arena = {0};
    struct frame_subtree f = {0};
    struct slice in = {e->packet->bytes, e->packet->len};
    if (e->kind == EVENT_UP_REQUEST && frame_get_subtree(in, &arena, &f) != HOIST_OK)
        bench_die("a relay's frame");
    arena_done(&arena);
    return SCALE_ANSWER_NS + (int64_t)in.len * SCALE_BYTE_NS + (int64_t)f.count * SCALE_WORD_NS;
}

/* It waits until the core comes to it; what it tells is known, and what it asks is answered, when the
 * core is done with it. */
void site_asked(struct scale *w, struct site *s, struct scale_event *e)
{
    struct scale_event later = *e;
    count_request(w, s);
    note_wait(w, s);
    s->traffic.request_bytes += e->packet->len;
    later.at = work(w, s, cost_of(e));
    later.kind = e->kind == EVENT_UP_REQUEST ? EVENT_UP_ANSWER : EVENT_ANSWER;
    later.peer_life = w->nodes[s->node].life;
    e->packet = NULL;
    scale_put(w, later);
}

void site_answer(struct scale *w, struct site *s, const struct scale_event *e)
{
    struct buf *out = &w->out;
    bool primary = !s->subtree;
    buf_clear(out);
    int64_t began = primary ? real_ns() : 0;
    if (answer(s, e->node, slice_of(e->packet->bytes, e->packet->len), out) != HOIST_OK)
        bench_die("a request");
    if (primary)
        w->seen.ledger_real_ns += real_ns() - began;
    s->traffic.reply_bytes += out->len;
    (void)work(w, s, (int64_t)out->len * SCALE_BYTE_NS); /* the next one waits for it */
    if (scale_chance(w, w->weather.lose_request_ppm))
        return;
    scale_put(w, (struct scale_event){
                     .kind = e->kind == EVENT_UP_ANSWER ? EVENT_UP_REPLY : EVENT_REPLY,
                     .at = scale_way(w),
                     .node = e->node,
                     .life = e->life,
                     .tag = e->tag,
                     .packet = packet_of(out),
                 });
}

/* ---------------------------------------------------------------- up */

static void send_up(struct scale *w, struct node *n, struct packet *p)
{
    if (scale_chance(w, w->weather.lose_request_ppm)) {
        packet_drop(p);
        return;
    }
    scale_put(w, (struct scale_event){
                     .kind = EVENT_UP_REQUEST,
                     .at = scale_way(w),
                     .node = n->index,
                     .peer = n->server,
                     .life = n->life,
                     .tag = n->site->uplink.tag,
                     .packet = p,
                 });
}

void uplink_connected(struct scale *w, struct node *n)
{
    struct uplink *u = &n->site->uplink;
    if (u->unsent)
        send_up(w, n, u->unsent);
    u->unsent = NULL;
}

/* uplink.c: what waits goes up in one frame to whom the relay follows. */
void uplink_gathered(struct scale *w, struct node *n, const struct scale_event *e)
{
    struct site *s = n->site;
    struct uplink *u = &s->uplink;
    buf_clear(&w->out);
    if (e->life != n->life || e->tag != (uint64_t)u->gathers_ns)
        return; /* another was set meanwhile */
    u->gathers_ns = 0;
    if (!subtree_take(s->subtree, w->now / SCALE_MS, &w->out)) {
        uplink_await(w, s);
        return;
    }
    u->asks = true;
    u->tag++;
    work(w, s, SCALE_SEND_NS + (int64_t)w->out.len * SCALE_BYTE_NS);
    if (n->connected)
        send_up(w, n, packet_of(&w->out));
    else
        u->unsent = packet_of(&w->out);
    scale_put(w, (struct scale_event){.kind = EVENT_UP_LATE,
                                      .at = (int64_t)SCALE_UPLINK_DEADLINE_MS * SCALE_MS,
                                      .node = n->index,
                                      .life = n->life,
                                      .tag = u->tag});
}

void uplink_answered(struct scale *w, struct node *n, const struct scale_event *e)
{
    struct uplink *u = &n->site->uplink;
    uint32_t status;
    if (e->life != n->life || !u->asks || u->tag != e->tag)
        return;
    bool done =
        e->kind == EVENT_UP_REPLY &&
        frame_get_status_reply(slice_of(e->packet->bytes, e->packet->len), &status) == HOIST_OK;
    u->asks = false;
    packet_drop(u->unsent);
    u->unsent = NULL;
    subtree_passed_on(n->site->subtree, done);
    if (!done)
        u->paused_ns = w->now + (int64_t)SCALE_UPLINK_PAUSE_MS * SCALE_MS;
    uplink_await(w, n->site);
}
