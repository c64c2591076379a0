/* Followers in bad weather: a simulator, driven by a seed.
 *
 * A primary writes changes, bursts, long changes and new epochs in two environments, and cuts its
 * log. Three hosts follow it, a relay that lags, and an upstream that stood still at some moment,
 * in an order of their own. The network loses, doubles, delays, reorders and truncates; links are
 * cut, servers vanish and are busy; stores fill up, find changes wrong, commit late; hosts are
 * restarted. Then the weather ends, and within a bounded time every host must have exactly what the
 * primary has. On the way, each commit of a host is checked (follower_kit.h): the very next
 * version, a whole state that the primary had, no smaller epoch; and nobody may call itself
 * diverged.
 *
 * All of it is virtual: the same seed plays the same history. HOIST_SEED=N plays one, and
 * HOIST_SEEDS=N that many.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "follower_kit.h"

enum {
    HOSTS = 3,
    HISTORIES = 2,
    PRIMARY = 0,
    RELAY = 1,
    FROZEN = 2,
    SERVERS = 3,
    STORM_MS = 25000,
    HEAL_MS = 200000, /* two retries of 30 s, and a minute until an upstream is asked again */
    WEATHER_MS = 500,
    CHANGES_MAX = 450,
    SEEDS = 300,
    LOG_TOLD = 4000,
    HAPPENS_MAX = 200000,
};

enum event_kind { EVENT_MESSAGE, EVENT_REQUEST, EVENT_REPLY, EVENT_NO_REPLY, EVENT_COMMIT };

struct event {
    int64_t at;
    uint64_t order;
    enum event_kind kind;
    uint32_t host, upstream, connection;
    uint64_t tag;
    struct buf bytes;
};

struct weather { /* per mille, and milliseconds */
    uint32_t lose, twice, truncate, late_ms;
};

struct world {
    uint64_t random;
    int64_t now;
    struct history history[HISTORIES], frozen[HISTORIES];
    struct server server[SERVERS];
    bool up[SERVERS];
    uint64_t counter, frozen_counter;
    struct host host[HOSTS];
    uint32_t order[HOSTS][SERVERS]; /* a host's upstream → server */
    bool cut[HOSTS];
    uint64_t sent_tag[HOSTS];
    bool commits[HOSTS]; /* a commit is on its way */
    struct weather weather;
    int64_t beat_at, change_at, weather_at;
    struct event *events; /* a heap, earliest first */
    size_t event_count, event_room;
    uint64_t event_order;
    uint32_t happened; /* so that going round and round without time passing is noticed */
};

static struct world world; /* these three for whoever has to find out what went wrong */
static uint64_t playing;
static bool played;

static uint32_t dice(struct world *w, uint32_t sides)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((w->random >> 33) % sides);
}

static bool chance(struct world *w, uint32_t per_mille)
{
    return dice(w, 1000) < per_mille;
}

/* ---------------------------------------------------------------- events */

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event t = *a;
    *a = *b;
    *b = t;
}

static void push(struct world *w, struct event e)
{
    if (w->event_count == w->event_room) {
        w->event_room = w->event_room ? 2 * w->event_room : 64;
        w->events = mem_realloc(w->events, w->event_room * sizeof *w->events);
        assert_non_null(w->events);
    }
    e.order = w->event_order++;
    size_t i = w->event_count++;
    w->events[i] = e;
    for (; i > 0 && earlier(&w->events[i], &w->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->events[i], &w->events[(i - 1) / 2]);
}

static struct event pop(struct world *w)
{
    struct event first = w->events[0];
    w->events[0] = w->events[--w->event_count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1;
        for (size_t c = left; c < left + 2 && c < w->event_count; c++)
            if (earlier(&w->events[c], &w->events[least]))
                least = c;
        if (least == i)
            return first;
        swap(&w->events[i], &w->events[least]);
        i = least;
    }
}

/* ---------------------------------------------------------------- network */

static uint32_t server_of(const struct world *w, uint32_t host)
{
    return w->order[host][w->host[host].upstream];
}

static bool is_linked(const struct world *w, uint32_t host, uint32_t server)
{
    return w->up[server] && !w->cut[host];
}

/* A copy of `bytes` for the way, cut short now and then. */
static struct buf on_the_way(struct world *w, struct slice bytes)
{
    struct buf copy = BUF_INIT(FRAME_REPLY_MAX);
    if (bytes.len && chance(w, w->weather.truncate))
        bytes.len = dice(w, (uint32_t)bytes.len);
    buf_add_slice(&copy, bytes);
    assert_int_equal(copy.err, HOIST_OK);
    return copy;
}

static void send_to_host(struct world *w, uint32_t host, struct slice bytes)
{
    uint32_t copies = 1 + chance(w, w->weather.twice);
    for (uint32_t i = 0; i < copies; i++)
        if (!chance(w, w->weather.lose))
            push(w, (struct event){
                        .kind = EVENT_MESSAGE,
                        .at = w->now + dice(w, w->weather.late_ms),
                        .host = host,
                        .upstream = w->host[host].upstream,
                        .connection = w->host[host].follows,
                        .bytes = on_the_way(w, bytes),
                    });
}

/* To all hosts that follow `server` now. */
static void broadcast(struct world *w, uint32_t server, struct slice bytes)
{
    for (uint32_t i = 0; i < HOSTS; i++)
        if (server_of(w, i) == server && is_linked(w, i, server))
            send_to_host(w, i, bytes);
}

/* After a step: its request goes on its way, its late commits come. */
static void look_after(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    if (h->request.len && h->tag != w->sent_tag[host]) {
        struct event e = {
            .kind = EVENT_REQUEST,
            .at = w->now + dice(w, w->weather.late_ms),
            .host = host,
            .connection = h->follows,
            .tag = h->tag,
        };
        w->sent_tag[host] = h->tag;
        if (!is_linked(w, host, server_of(w, host)) || chance(w, w->weather.lose)) {
            e.kind = EVENT_NO_REPLY;
            e.at = w->now + (chance(w, 500) ? 1 : FOLLOWER_REQUEST_DEADLINE_MS);
        } else {
            e.bytes = on_the_way(w, buf_slice(&h->request));
            if (e.bytes.len < h->request.len) { /* no server answers half a request */
                e.kind = EVENT_NO_REPLY;
                buf_clear(&e.bytes);
            }
        }
        push(w, e);
    }
    for (uint32_t i = 0; i < h->envs; i++)
        if (h->waiting[i] && !w->commits[host]) {
            w->commits[host] = true;
            push(w, (struct event){.kind = EVENT_COMMIT, .at = w->now + dice(w, 20), .host = host});
        }
}

static void serve(struct world *w, struct event *e)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    struct event reply = *e;
    uint32_t server = server_of(w, e->host);
    reply.at = w->now + dice(w, w->weather.late_ms);
    reply.kind = EVENT_NO_REPLY;
    reply.bytes = (struct buf){0};
    if (is_linked(w, e->host, server) && e->connection == w->host[e->host].follows) {
        server_answer(&w->server[server], buf_slice(&e->bytes), &out);
        reply.kind = EVENT_REPLY;
        reply.bytes = on_the_way(w, buf_slice(&out));
    }
    push(w, reply);
    buf_done(&out);
}

static void happen(struct world *w, struct event *e)
{
    struct host *h = &w->host[e->host];
    bool current = e->connection == h->follows;
    bool awaited = current && h->request.len && e->tag == h->tag;
    h->now = w->now;
    assert_true(++w->happened < HAPPENS_MAX);
    switch (e->kind) {
    case EVENT_MESSAGE:
        /* What an old connection still held may come, under the name of its upstream. */
        if (current || chance(w, 200))
            host_step(h, (struct follower_input){.kind = IN_MESSAGE,
                                                 .upstream = e->upstream,
                                                 .bytes = buf_slice(&e->bytes)});
        break;
    case EVENT_REQUEST:
        serve(w, e);
        break;
    case EVENT_REPLY:
        if (awaited)
            host_reply(h, buf_slice(&e->bytes));
        break;
    case EVENT_NO_REPLY:
        if (awaited)
            host_no_reply(h);
        break;
    case EVENT_COMMIT:
        w->commits[e->host] = false;
        host_commit(h);
        break;
    }
    assert_int_equal(h->err, HOIST_OK);
    look_after(w, e->host);
}

/* ---------------------------------------------------------------- what the primary does */

static void publish(struct world *w, uint32_t i, uint64_t first)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    const struct history *h = &w->history[i];
    for (uint64_t v = first; v <= h->head; v++) {
        buf_clear(&out);
        kit_publish(&w->server[PRIMARY], h, v, v, &out);
        broadcast(w, PRIMARY, buf_slice(&out));
        if (w->server[RELAY].behind[i] == 0)
            broadcast(w, RELAY, buf_slice(&out));
    }
    buf_done(&out);
}

static void change_something(struct world *w)
{
    uint32_t i = dice(w, HISTORIES);
    struct history *h = &w->history[i];
    w->change_at = w->now + dice(w, 150);
    if (h->all_count >= CHANGES_MAX)
        return;
    uint64_t first = h->head + 1;
    uint32_t burst = chance(w, 50) ? 1 + dice(w, 30) : 1;
    if (chance(w, 8)) {
        uint64_t back = dice(w, h->head < 10 ? (uint32_t)h->head : 10);
        first = write_epoch(h, h->head - back)->version;
    } else {
        while (burst-- > 0) {
            uint64_t value = dice(w, 8) == 0 ? 0 : 1 + dice(w, 1000000);
            uint32_t key = dice(w, KEYS);
            if (at_version(h, h->head)->flags[key] == value)
                value++;
            write_flag(h, key, value);
        }
    }
    if (chance(w, 100))
        h->log_first = h->head > 15 ? h->head - 5 - dice(w, 10) : 1;
    publish(w, i, first);
}

static void beat(struct world *w)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    w->beat_at = w->now + HEARTBEAT_MS;
    w->counter++;
    for (uint32_t s = 0; s < SERVERS; s++) {
        const struct server *origin = &w->server[s == FROZEN ? FROZEN : PRIMARY];
        buf_clear(&out);
        kit_heartbeat(origin, &w->server[s], s == FROZEN ? w->frozen_counter : w->counter, &out);
        broadcast(w, s, buf_slice(&out));
    }
    buf_done(&out);
}

/* ---------------------------------------------------------------- weather */

static void freeze(struct world *w)
{
    for (uint32_t i = 0; i < HISTORIES; i++)
        w->frozen[i] = w->history[i];
    w->frozen_counter = w->counter;
}

static void trouble_host(struct world *w, uint32_t i)
{
    static const enum hoist_err errors[] = {HOIST_ENOSPC, HOIST_EIO, HOIST_ECORRUPT};
    struct host *h = &w->host[i];
    w->cut[i] = chance(w, 80);
    h->late = chance(w, 300);
    for (uint32_t k = 0; k < h->envs; k++) {
        h->env[k].apply_err = chance(w, 40) ? errors[dice(w, 3)] : HOIST_OK;
        h->env[k].load_err = chance(w, 60) ? errors[dice(w, 3)] : HOIST_OK;
    }
    if (chance(w, 15)) {
        h->now = w->now;
        h->counter = host_view(h).counter;
        host_start(h);
        w->sent_tag[i] = 0;
        host_tick(h);
        look_after(w, i);
    }
}

static void change_weather(struct world *w)
{
    w->weather_at = w->now + WEATHER_MS;
    w->weather = (struct weather){
        .lose = chance(w, 500) ? dice(w, 300) : 0,
        .twice = dice(w, 100),
        .truncate = chance(w, 200) ? dice(w, 60) : 0,
        .late_ms = 1 + (chance(w, 500) ? dice(w, 400) : dice(w, 5)),
    };
    for (uint32_t s = 0; s < SERVERS; s++) {
        w->up[s] = !chance(w, 100);
        w->server[s].busy_ms = chance(w, 80) ? 1 + dice(w, 600) : 0;
        w->server[s].forgets = chance(w, 60);
        w->server[s].page = 1 + dice(w, 6);
    }
    for (uint32_t i = 0; i < HISTORIES; i++)
        w->server[RELAY].behind[i] = chance(w, 500) ? 0 : dice(w, 12);
    if (chance(w, 20))
        freeze(w);
    for (uint32_t i = 0; i < HOSTS; i++)
        trouble_host(w, i);
}

/* Everything works from now on. What stood still is gone, unless it can be told apart: then it may
 * go on offering its older epoch. */
static void heal(struct world *w)
{
    w->weather = (struct weather){.late_ms = 3};
    for (uint32_t s = 0; s < SERVERS; s++) {
        w->up[s] = true;
        w->server[s].busy_ms = 0;
        w->server[s].forgets = false;
    }
    for (uint32_t i = 0; i < HISTORIES; i++) {
        w->server[RELAY].behind[i] = 0;
        if (w->frozen[i].epoch == w->history[i].epoch)
            w->up[FROZEN] = false;
    }
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *h = &w->host[i];
        w->cut[i] = false;
        h->late = false;
        for (uint32_t k = 0; k < h->envs; k++)
            h->env[k].apply_err = h->env[k].load_err = HOIST_OK;
    }
}

/* ---------------------------------------------------------------- a play */

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed * 7919 + 17, .now = 1000};
    history_init(&w->history[0], "production", 5, 1 + dice(w, 30));
    history_init(&w->history[1], "staging", 9, 1 + dice(w, 30));
    freeze(w);
    for (uint32_t s = 0; s < SERVERS; s++) {
        w->server[s] = (struct server){.envs = HISTORIES, .distance = s != PRIMARY, .part = 400};
        for (uint32_t i = 0; i < HISTORIES; i++)
            w->server[s].env[i] = s == FROZEN ? &w->frozen[i] : &w->history[i];
        w->up[s] = true;
    }
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *h = &w->host[i];
        uint32_t first = dice(w, SERVERS);
        for (uint32_t s = 0; s < SERVERS; s++)
            w->order[i][s] = (first + s) % SERVERS;
        host_init(h, &w->history[0], chance(w, 300) ? 0 : w->history[0].head);
        host_add_env(h, &w->history[1], chance(w, 500) ? 0 : 1);
        h->upstreams = SERVERS;
        h->seed = seed * HOSTS + i;
        h->now = w->now;
        host_start(h);
        host_tick(h);
    }
    change_weather(w);
    for (uint32_t i = 0; i < HOSTS; i++)
        look_after(w, i);
}

static void world_done(struct world *w)
{
    for (size_t i = 0; i < w->event_count; i++)
        buf_done(&w->events[i].bytes);
    mem_free(w->events);
    for (uint32_t i = 0; i < HOSTS; i++)
        host_done(&w->host[i]);
    for (uint32_t i = 0; i < HISTORIES; i++)
        history_done(&w->history[i]);
}

static int64_t next_moment(const struct world *w, bool storm)
{
    int64_t next = w->beat_at;
    if (storm && w->change_at < next)
        next = w->change_at;
    if (storm && w->weather_at < next)
        next = w->weather_at;
    if (w->event_count && w->events[0].at < next)
        next = w->events[0].at;
    for (uint32_t i = 0; i < HOSTS; i++)
        if (w->host[i].next_ms < next)
            next = w->host[i].next_ms;
    return next > w->now ? next : w->now;
}

static void go_to_next_moment(struct world *w, bool storm)
{
    w->now = next_moment(w, storm);
    if (w->beat_at <= w->now)
        beat(w);
    if (storm && w->change_at <= w->now)
        change_something(w);
    if (storm && w->weather_at <= w->now)
        change_weather(w);
    while (w->event_count && w->events[0].at <= w->now) {
        struct event e = pop(w);
        happen(w, &e);
        buf_done(&e.bytes);
    }
    for (uint32_t i = 0; i < HOSTS; i++)
        if (w->host[i].next_ms <= w->now) {
            w->host[i].now = w->now;
            host_tick(&w->host[i]);
            look_after(w, i);
        }
}

static bool all_equal(const struct world *w)
{
    for (uint32_t i = 0; i < HOSTS; i++)
        for (uint32_t k = 0; k < HISTORIES; k++) {
            struct follower_view v = host_view(&w->host[i]);
            if (!host_equals(&w->host[i], k, &w->history[k]) ||
                v.envs[k].version != w->history[k].head || v.envs[k].epoch != w->history[k].epoch)
                return false;
        }
    return true;
}

/* Whoever follows somebody who knows says that it is current. */
static void check_what_they_say(const struct world *w)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct follower_view v = host_view(&w->host[i]);
        assert_int_equal(w->host[i].counts[COUNT_DIVERGED], 0);
        for (uint32_t k = 0; k < HISTORIES && server_of(w, i) != FROZEN; k++) {
            assert_int_equal(v.envs[k].state, ENV_CURRENT);
            assert_string_equal(v.envs[k].why, "");
            assert_int_equal(v.envs[k].behind_ms, 0);
        }
    }
}

struct tally { /* so that a play which no longer meets anything bad is noticed */
    uint64_t commits, loads, holes, bad, aborts, switches, stale, worst_ms;
};

static void count_up(const struct world *w, struct tally *t)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        const struct host *h = &w->host[i];
        for (uint32_t k = 0; k < HISTORIES; k++) {
            t->commits += h->env[k].applied;
            t->loads += h->env[k].loaded;
        }
        t->holes += h->counts[COUNT_HOLE];
        t->bad += h->counts[COUNT_BAD_FRAME] + h->counts[COUNT_BAD_CHANGE];
        t->aborts += h->aborts;
        t->switches += h->counts[COUNT_SWITCH];
        t->stale += h->counts[COUNT_STALE];
    }
}

static void play(uint64_t seed, struct tally *t)
{
    struct world *w = &world;
    world_init(w, seed);
    while (w->now < STORM_MS)
        go_to_next_moment(w, true);
    heal(w);
    int64_t healed = w->now;
    while (!all_equal(w)) {
        assert_true(w->now < healed + HEAL_MS);
        go_to_next_moment(w, false);
    }
    uint64_t took = (uint64_t)(w->now - healed);
    t->worst_ms = took > t->worst_ms ? took : t->worst_ms;
    int64_t end = w->now + 3000;
    while (w->now < end)
        go_to_next_moment(w, false);
    assert_true(all_equal(w));
    check_what_they_say(w);
    count_up(w, t);
    world_done(w);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t n;
    return text && text_u64(text, &n) == HOIST_OK ? n : fallback;
}

static void after_any_weather_every_host_has_what_the_primary_has(void **state)
{
    struct tally t = {0};
    uint64_t first = number_from("HOIST_SEED", 1);
    uint64_t count = getenv("HOIST_SEED") ? 1 : number_from("HOIST_SEEDS", SEEDS);
    hash_init();
    played = false;
    for (playing = first; playing < first + count; playing++)
        play(playing, &t);
    played = true;
    print_message("%" PRIu64 " plays: %" PRIu64 " changes applied, %" PRIu64 " snapshots (%" PRIu64
                  " broken off), %" PRIu64 " holes, %" PRIu64 " bad frames, %" PRIu64
                  " dials, %" PRIu64 " old heartbeats; healed after %" PRIu64 " ms at most\n",
                  count, t.commits, t.loads, t.aborts, t.holes, t.bad, t.switches, t.stale,
                  t.worst_ms);
    assert_true(count < SEEDS || (t.commits && t.loads && t.holes && t.bad && t.switches));
    (void)state;
}

static int tell_the_seed(void **state)
{
    (void)state;
    if (played)
        return 0;
    print_message("it was seed %" PRIu64 ": HOIST_SEED=%" PRIu64 " plays it again\n", playing,
                  playing);
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *h = &world.host[i];
        print_message("host %" PRIu32 " follows server %" PRIu32 " at %" PRId64 ":\n", i,
                      server_of(&world, i), world.now);
        for (uint32_t k = 0; k < HISTORIES; k++)
            print_message("  %s %" PRIu64 ":%" PRIu64 ", the primary %" PRIu64 ":%" PRIu64 "\n",
                          h->env[k].name, h->env[k].now.epoch, h->env[k].now.version,
                          world.history[k].epoch, world.history[k].head);
        const char *log = buf_str(&h->log);
        print_message("%s\n", h->log.len > LOG_TOLD ? log + h->log.len - LOG_TOLD : log);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(after_any_weather_every_host_has_what_the_primary_has,
                                  tell_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
