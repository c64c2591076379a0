/* scale.c - the fleet as a whole: how it is built, what happens to it, what is seen of it. */
#include "scale.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "scale_int.h"

enum { CHURN_MS = 50, CHURN_BACK_MS = 2000, POLL_MS = 10 };

const struct scale_weather scale_calm = {
    .way_ns = 150000,
    .way_tail_ns = 100000,
    .slow_ppm = 1000,
    .slow_ns = 5 * SCALE_MS,
};

const struct scale_weather scale_rough = {
    .way_ns = 150000,
    .way_tail_ns = 500000,
    .slow_ppm = 20000,
    .slow_ns = 200 * SCALE_MS,
    .lose_ppm = 20000,
    .lose_request_ppm = 1000,
};

/* ---------------------------------------------------------------- the clock */

static int64_t virtual_ns;

/* Instead of base/clock.c, whose object is not linked. */
int64_t clock_mono_ns(void)
{
    return virtual_ns;
}

int64_t clock_mono_ms(void)
{
    return virtual_ns / SCALE_MS;
}

int64_t clock_wall_ms(void)
{
    return 1700000000000 + virtual_ns / SCALE_MS;
}

/* ---------------------------------------------------------------- chance */

/* splitmix64, as in follower.c */
static uint64_t draw(struct scale *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t scale_dice(struct scale *w, uint64_t sides)
{
    return draw(w) % sides;
}

bool scale_chance(struct scale *w, uint32_t ppm)
{
    return ppm > 0 && scale_dice(w, 1000000) < ppm;
}

int64_t scale_tail(struct scale *w, int64_t mean)
{
    double part = (double)((draw(w) >> 11) + 1) / 9007199254740992.0; /* (0, 1], by 2^53 */
    return (int64_t)(-log(part) * (double)mean);
}

int64_t scale_way(struct scale *w)
{
    int64_t ns = w->weather.way_ns + scale_tail(w, w->weather.way_tail_ns);
    if (scale_chance(w, w->weather.slow_ppm))
        ns += (int64_t)scale_dice(w, (uint64_t)w->weather.slow_ns);
    return ns;
}

_Noreturn void scale_wrong(const struct scale *w, const struct node *n, const char *what)
{
    fprintf(stderr,
            "scale: seed %" PRIu64 ": at %" PRId64 " ms, %s, which is at version %" PRIu64 ", %s\n",
            w->config.seed, w->now / SCALE_MS, n->id, n->store.version, what);
    exit(1);
}

/* ---------------------------------------------------------------- building */

/* A host names its relay, and another one: not the same for all, so that a dead one's hosts go to
 * many, and of another domain of failure. */
static void place_host(struct scale *w, struct node *n, uint32_t i)
{
    uint32_t leaves = w->relays - w->upper, first = 1 + w->upper;
    if (leaves == 0)
        return;
    uint32_t own = i % leaves, other = own + 1 + i / leaves % (SCALE_DOMAINS - 1);
    while (leaves > 1 && other % leaves % SCALE_DOMAINS == own % SCALE_DOMAINS)
        other++;
    n->upstreams[0] = first + own;
    n->upstreams[1] = leaves > 1 ? first + other % leaves : 0;
    n->upstream_count = 2;
}

static void place_relay(struct scale *w, struct node *n, uint32_t i)
{
    if (i < w->upper || w->upper == 0)
        return;
    n->upstreams[0] = 1 + i % w->upper;
    n->upstreams[1] = w->upper > 1 ? 1 + (i + 1) % w->upper : 0;
    n->upstream_count = 2;
}

static uint32_t parts(uint32_t n, uint32_t size)
{
    return size ? (n + size - 1) / size : 0;
}

static void build(struct scale *w)
{
    uint32_t leaves = parts(w->config.hosts, w->config.fanout);
    w->upper = leaves > w->config.fanout ? parts(leaves, w->config.fanout) : 0;
    w->relays = leaves + w->upper;
    w->first_host = 1 + w->relays;
    w->node_count = w->first_host + w->config.hosts;
    w->nodes = mem_zalloc(w->node_count, sizeof *w->nodes);
    if (!w->nodes)
        bench_die("no memory for hosts");
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        n->index = i;
        n->store = (struct store){.history = &w->history, .log_first = 1};
        n->upstream_count = 1;
        if (i >= w->first_host)
            place_host(w, n, i - w->first_host);
        else if (i > 0)
            place_relay(w, n, i - 1);
        if (i >= w->first_host)
            snprintf(n->id, sizeof n->id, "host-%06" PRIu32, i - w->first_host);
        else
            snprintf(n->id, sizeof n->id, i ? "relay-%04" PRIu32 : "primary", i);
        if (i < w->first_host)
            site_open(w, n);
    }
}

struct scale *scale_new(const struct scale_config *config)
{
    hash_init();
    struct scale *w = mem_zalloc(1, sizeof *w);
    if (!w || fleet_new(&w->fleet) != HOIST_OK)
        bench_die("no memory");
    if (config->room)
        fleet_set_room(w->fleet, config->room);
    w->config = *config;
    w->random = config->seed;
    w->weather = scale_calm;
    w->out = BUF_INIT(8 << 20);
    scale_queue_begin(&w->queue);
    scale_history_begin(&w->history);
    build(w);
    virtual_ns = w->now = SCALE_S;
    w->queue.step = w->now >> SCALE_STEP_SHIFT;
    w->nodes[0].store.version = w->history.head;
    scale_start_primary(w);
    return w;
}

void scale_free(struct scale *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        follower_free(n->f);
        packet_drop(n->unsent);
        site_close(n->site);
    }
    scale_queue_end(&w->queue);
    scale_history_end(&w->history);
    fleet_free(w->fleet);
    buf_done(&w->out);
    mem_free(w->nodes);
    mem_free(w);
}

uint32_t scale_relays(const struct scale *w)
{
    return w->relays;
}

uint32_t scale_levels(const struct scale *w)
{
    return w->relays == 0 ? 0 : w->upper ? 2 : 1;
}

/* ---------------------------------------------------------------- time */

void scale_put(struct scale *w, struct scale_event e)
{
    e.at += w->now;
    scale_queue_put(&w->queue, e);
}

static void churn(struct scale *w)
{
    if (w->churn == 0)
        return;
    for (uint32_t i = 0; i < w->churn * CHURN_MS / 1000; i++) {
        struct node *n = &w->nodes[w->first_host + scale_dice(w, w->config.hosts)];
        if (!n->up)
            continue;
        node_stop(w, n);
        scale_put(w, (struct scale_event){
                         .kind = EVENT_START,
                         .at = (int64_t)scale_dice(w, CHURN_BACK_MS) * SCALE_MS,
                         .node = n->index,
                     });
    }
    scale_put(w, (struct scale_event){.kind = EVENT_CHURN, .at = (int64_t)CHURN_MS * SCALE_MS});
}

/* A request arrives, if both ends are still there. */
static void arrives(struct scale *w, struct scale_event *e)
{
    const struct node *n = &w->nodes[e->node];
    bool same = e->kind == EVENT_REQUEST ? n->connected && n->connection == e->life
                                         : n->up && n->life == e->life;
    if (same && w->nodes[e->peer].up)
        site_asked(w, w->nodes[e->peer].site, e);
}

static void happen(struct scale *w, struct scale_event *e)
{
    struct node *n = &w->nodes[e->node];
    w->happened++;
    switch ((enum scale_event_kind)e->kind) {
    case EVENT_BEAT:
        if (n->up && n->life == e->life)
            site_beat(w, n->site);
        break;
    case EVENT_REQUEST:
    case EVENT_UP_REQUEST:
        arrives(w, e);
        break;
    case EVENT_ANSWER:
    case EVENT_UP_ANSWER:
        if (w->nodes[e->peer].up && w->nodes[e->peer].life == e->peer_life)
            site_answer(w, w->nodes[e->peer].site, e);
        break;
    case EVENT_GATHERED:
        uplink_gathered(w, n, e);
        break;
    case EVENT_UP_REPLY:
    case EVENT_UP_LATE:
        uplink_answered(w, n, e);
        break;
    case EVENT_START:
        node_start(w, n);
        break;
    case EVENT_CHURN:
        churn(w);
        break;
    default:
        node_happen(w, n, e);
    }
    packet_drop(e->packet);
}

static void run_until(struct scale *w, int64_t until)
{
    struct scale_event e;
    while (scale_queue_take(&w->queue, until, &e, &w->now)) {
        virtual_ns = w->now;
        happen(w, &e);
    }
    virtual_ns = w->now;
}

void scale_run(struct scale *w, int64_t ns)
{
    run_until(w, w->now + ns);
}

int64_t scale_now(const struct scale *w)
{
    return w->now;
}

/* ---------------------------------------------------------------- who has it */

static void note(struct scale *w, int64_t *at, uint32_t percent)
{
    const struct scale_took *t = &w->took;
    if (*at < 0 && (uint64_t)t->have * 100 >= (uint64_t)t->hosts * percent)
        *at = w->now - w->watch_ns;
}

static void note_all(struct scale *w)
{
    note(w, &w->took.half_ns, 50);
    note(w, &w->took.most_ns, 99);
    note(w, &w->took.all_ns, 100);
}

void scale_committed(struct scale *w, struct node *n)
{
    if (!n->watched || n->store.version < w->watch)
        return;
    n->watched = false;
    w->took.have++;
    note_all(w);
}

void scale_unwatch(struct scale *w, struct node *n)
{
    if (!n->watched)
        return;
    n->watched = false;
    w->took.hosts--;
    note_all(w);
}

static void watch(struct scale *w, bool down_too)
{
    w->watch = w->history.head;
    w->watch_ns = w->now;
    w->asks_ledger = !down_too;
    w->took = (struct scale_took){.half_ns = -1, .most_ns = -1, .all_ns = -1, .known_ns = -1};
    for (uint32_t i = w->first_host; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        n->watched = !n->dead && (n->up || down_too) && n->store.version < w->watch;
        w->took.hosts += n->watched;
    }
}

void scale_watch(struct scale *w)
{
    watch(w, true);
}

struct scale_took scale_took(struct scale *w)
{
    return w->took;
}

static struct fleet_commit watched_commit(const struct scale *w)
{
    return (struct fleet_commit){
        .env = SCALE_ENV, .epoch = w->history.epoch, .first = w->watch, .version = w->watch};
}

static uint32_t dead(const struct scale *w)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < w->first_host; i++)
        count += w->nodes[i].dead;
    return count;
}

/* Whether the ledger has heard it of all it waits for; of those that are dead it never will, until
 * somebody retires them. */
static void ask_ledger(struct scale *w)
{
    struct fleet_commit c = watched_commit(w);
    struct fleet_landing l;
    struct fleet_wait wait = {.percent = 100};
    struct arena arena = {0};
    uint32_t gone = dead(w);
    if (fleet_landing(w->fleet, &c, &wait, w->now, &arena, &l) != HOIST_OK)
        bench_die("the ledger");
    if (l.hosts > 0 && l.have + gone >= l.hosts)
        w->took.known_ns = l.reached ? l.ns + SCALE_PRIMARY_COMMIT_NS : w->now - w->watch_ns;
    arena_done(&arena);
}

struct scale_took scale_settle(struct scale *w, int64_t limit_ns)
{
    int64_t until = w->now + limit_ns;
    while (w->now < until && (w->took.all_ns < 0 || (w->asks_ledger && w->took.known_ns < 0))) {
        scale_run(w, (int64_t)POLL_MS * SCALE_MS);
        if (w->took.all_ns >= 0 && w->asks_ledger)
            ask_ledger(w);
    }
    return w->took;
}

/* ---------------------------------------------------------------- what happens to it */

void scale_set_weather(struct scale *w, const struct scale_weather *weather)
{
    w->weather = *weather;
}

void scale_change(struct scale *w, uint32_t count, enum change_kind kind)
{
    struct node *primary = &w->nodes[0];
    uint64_t before = w->history.head;
    for (uint32_t i = 0; i < count; i++)
        scale_write(&w->history, (uint32_t)scale_dice(w, SCALE_FLAGS),
                    i + 1 == count ? kind : CHANGE_SET);
    watch(w, false);
    scale_run(w, SCALE_PRIMARY_COMMIT_NS);
    primary->store.version = w->history.head;
    struct fleet_commit c = watched_commit(w);
    fleet_committed(w->fleet, &c, w->now);
    if (primary->up)
        site_publish(w, primary->site, before + 1, w->history.head);
}

void scale_stop_primary(struct scale *w)
{
    node_stop(w, &w->nodes[0]);
}

void scale_start_primary(struct scale *w)
{
    node_start(w, &w->nodes[0]);
}

void scale_kill_domain(struct scale *w)
{
    for (uint32_t i = 1 + w->upper; i < w->first_host; i++)
        if ((i - 1 - w->upper) % SCALE_DOMAINS == 0) {
            w->nodes[i].dead = true;
            node_stop(w, &w->nodes[i]);
        }
}

void scale_revive(struct scale *w)
{
    for (uint32_t i = 1; i < w->first_host; i++)
        if (w->nodes[i].dead) {
            w->nodes[i].dead = false;
            node_start(w, &w->nodes[i]);
        }
}

void scale_stop_all(struct scale *w)
{
    for (uint32_t i = w->node_count - 1; i > 0; i--)
        node_stop(w, &w->nodes[i]);
}

void scale_start_all(struct scale *w, int64_t within_ns)
{
    for (uint32_t i = 1; i < w->node_count; i++)
        scale_put(w, (struct scale_event){
                         .kind = EVENT_START,
                         .at = (int64_t)scale_dice(w, (uint64_t)within_ns + 1),
                         .node = i,
                     });
}

void scale_churn(struct scale *w, uint32_t per_second)
{
    bool was = w->churn > 0;
    w->churn = per_second;
    if (!was)
        churn(w);
}

/* ---------------------------------------------------------------- what is seen */

static void add(struct scale_traffic *to, const struct scale_traffic *t)
{
    to->beats += t->beats;
    to->beat_bytes += t->beat_bytes;
    to->changes += t->changes;
    to->change_bytes += t->change_bytes;
    to->hellos += t->hellos;
    to->fetches += t->fetches;
    to->snapshots += t->snapshots;
    to->statuses += t->statuses;
    to->subtrees += t->subtrees;
    to->dials += t->dials;
    to->request_bytes += t->request_bytes;
    to->reply_bytes += t->reply_bytes;
    to->work_ns += t->work_ns;
}

struct scale_seen scale_seen(const struct scale *w)
{
    struct scale_seen seen = w->seen;
    seen.since_ns = w->now - w->forgot_ns;
    seen.primary = w->nodes[0].site->traffic;
    seen.primary_peak = w->nodes[0].site->peak;
    seen.primary_wait_ns = w->nodes[0].site->wait_ns;
    for (uint32_t i = 1; i < w->first_host; i++) {
        const struct site *s = w->nodes[i].site;
        add(&seen.relays, &s->traffic);
        if (s->peak > seen.relay_peak)
            seen.relay_peak = s->peak;
        if (s->wait_ns > seen.relay_wait_ns)
            seen.relay_wait_ns = s->wait_ns;
    }
    return seen;
}

void scale_forget(struct scale *w)
{
    w->seen = (struct scale_seen){0};
    w->forgot_ns = w->now;
    for (uint32_t i = 0; i < w->first_host; i++) {
        struct site *s = w->nodes[i].site;
        s->traffic = (struct scale_traffic){0};
        s->peak = s->peak_now = 0;
        s->wait_ns = 0;
    }
}

static bool is_equal(struct scale *w, struct node *n)
{
    struct follower_view v;
    const struct scale_written *head = &w->history.all[w->history.head - 1];
    follower_look(n->f, w->now / SCALE_MS, &v);
    return n->store.version == w->history.head && v.envs[0].state == ENV_CURRENT &&
           v.envs[0].version == w->history.head &&
           memcmp(v.envs[0].digest, head->digest, HASH_SIZE) == 0;
}

uint32_t scale_unequal(struct scale *w)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < w->node_count; i++)
        count += w->nodes[i].up && !is_equal(w, &w->nodes[i]);
    return count;
}

uint32_t scale_up(const struct scale *w)
{
    uint32_t count = 0;
    for (uint32_t i = w->first_host; i < w->node_count; i++)
        count += w->nodes[i].up;
    return count;
}

uint64_t scale_happened(const struct scale *w)
{
    return w->happened;
}
