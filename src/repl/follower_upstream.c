/* follower_upstream.c - whom to follow: dialling, silence, hello, heartbeats. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repl/follower_int.h"

const char *upstream_name(struct follower *f, uint32_t upstream)
{
    enum { NAME_SIZE = 128 };
    struct slice name = f->config.upstream_names[upstream];
    char *text = arena_alloc(&f->arena, NAME_SIZE, 1);
    if (!text) {
        f->no_memory = true;
        return "";
    }
    if (name.len)
        snprintf(text, NAME_SIZE, "%.*s", (int)(name.len < 100 ? name.len : 100),
                 (const char *)name.ptr);
    else
        snprintf(text, NAME_SIZE, "upstream %" PRIu32 " of %" PRIu32, upstream + 1,
                 f->config.upstreams);
    return text;
}

/* ---------------------------------------------------------------- dialling */

static int64_t silence_ms(const struct follower *f)
{
    return FOLLOWER_SILENT_HEARTBEATS * (int64_t)f->config.heartbeat_ms;
}

/* When the connection counts as silent. One that never spoke is given longer each time, so that a
 * slow link has its chance, too. One that broke is made anew meanwhile: where there is nobody else to
 * go to, to begin that once more would only cost a server that many come back to more handshakes. */
static int64_t silent_at(const struct follower *f)
{
    if (f->heard && f->lost && f->config.upstreams == 1)
        return f->lost_ms + LOST_SILENCES * silence_ms(f);
    if (f->heard)
        return f->heard_ms + silence_ms(f);
    int64_t grace = silence_ms(f) > DIAL_MIN_MS ? silence_ms(f) : DIAL_MIN_MS;
    return f->dialled_ms + (grace << (f->silences < 2 ? f->silences : 2));
}

void upstream_follow(struct follower *f, uint32_t upstream)
{
    bool other = upstream != f->follow;
    if (f->started)
        tell_count(f, COUNT_SWITCH);
    if (other)
        for (uint32_t i = 0; i < f->config.env_count; i++) {
            if (load_is_on(&f->envs[i]))
                tell(f, OUT_LOAD_ABORT)->env = i;
            load_drop(f, &f->envs[i]);
            env_begin_anew(f, &f->envs[i]);
        }
    struct request lost = f->request;
    follower_forget_request(f);
    if (!other && (lost.kind == REQUEST_FETCH || lost.kind == REQUEST_SNAPSHOT))
        env_ask(f, &f->envs[lost.env], f->now); /* a snapshot's pages go on where they were */
    tell(f, OUT_FOLLOW)->upstream = upstream;
    if (other || !f->started)
        f->follow_ms = f->now;
    f->started = true;
    f->follow = upstream;
    f->dialled_ms = f->now;
    f->heard = f->lost = f->hello_done = f->primary = f->returns = false;
    f->leave = f->told = false;
    f->lags_since_ms = NEVER;
    f->stay_ms = 0;
    f->upstream_told = f->upstream_told && !other;
    f->hello_due_ms = f->now;
    f->hello_retry_ms = 0;
    f->failures = f->withheld = 0;
    patience_begin_anew(f);
}

/* The next upstream in order, whoever has been left of late only if `any`; else the same one. */
static uint32_t next_upstream(const struct follower *f, bool any)
{
    for (uint32_t i = 1; i < f->config.upstreams; i++) {
        uint32_t u = (f->follow + i) % f->config.upstreams;
        if (f->shun_ms[u] <= f->now)
            return u;
    }
    return any ? (f->follow + 1) % f->config.upstreams : f->follow;
}

/* Everybody who followed what has fallen silent is there again in the moment in which it, or the one
 * they all go to, is. A request that waited for the connection would come with all the others, so
 * hello is asked a while after the stream is heard. Where that never is (its port is closed, say),
 * requests alone must do. */
static void return_slowly(struct follower *f)
{
    f->returns = f->silences % DEAF_DIALS != DEAF_DIALS - 1;
    if (f->returns)
        f->hello_due_ms = NEVER;
}

/* Nothing comes from upstream: dial anew, or go to the next. *told: this was said already. */
static void go_on(struct follower *f, enum follower_count fault, const char *what, bool *told)
{
    bool trying = f->trying_first;
    uint32_t next = trying ? f->came_from : next_upstream(f, true);
    if (!*told && !trying) {
        bool same = next == f->follow;
        tell_log(f, LOG_WARN, "repl: %s %s; %s%s; flags are served as they are",
                 upstream_name(f, f->follow), what,
                 same ? "dialling it again until it answers" : "going to ",
                 same ? "" : upstream_name(f, next));
        *told = true;
        tell_count(f, fault);
    }
    f->trying_first = false;
    f->silences = f->heard ? 0 : f->silences + 1;
    upstream_follow(f, next);
    if (f->shun_ms[next] > f->now)
        f->stay_ms = f->now + STAY_MS;
    if (!trying)
        return_slowly(f);
    f->upstream_told = f->upstream_told || trying;
}

/* Some environment cannot go on with this upstream: the next one may do better. */
static void leave(struct follower *f)
{
    f->leave = f->told = false;
    f->shun_ms[f->follow] = f->now + SHUN_MS;
    uint32_t next = next_upstream(f, false);
    if (next == f->follow)
        return;
    tell_log(f, LOG_WARN, "repl: leaving %s for %s; it is asked again in %d s",
             upstream_name(f, f->follow), upstream_name(f, next), SHUN_MS / 1000);
    f->trying_first = false;
    f->silences = 0;
    upstream_follow(f, next);
}

/* Whether it still has to hear what is here and not there, which the primary has to be told: all that
 * come after it may keep that to themselves. */
static bool has_to_tell(struct follower *f)
{
    if (f->told || !f->hello_done || !proofs_are_here(f))
        return false;
    if (!f->request.parting)
        status_soon(f);
    return true;
}

static bool is_loading(const struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++)
        if (load_is_on(&f->envs[i]))
            return true;
    return false;
}

/* It was left before, and come back to since all others are silent: what else it has to give is taken
 * first, and it passes up what the primary has to be told. */
static bool has_to_stay(const struct follower *f)
{
    return f->stay_ms > 0 && (f->now < f->stay_ms || is_loading(f));
}

/* Whether to look if the first upstream is back. Not while a snapshot would have to begin anew. */
static bool may_return(const struct follower *f)
{
    return f->follow != 0 && !f->trying_first && f->hello_done && f->shun_ms[0] <= f->now &&
           !is_loading(f);
}

static void try_first(struct follower *f)
{
    f->came_from = f->follow;
    f->trying_first = true;
    f->silences = 0;
    upstream_follow(f, 0);
}

void upstream_leave_for(struct follower *f, uint32_t next)
{
    f->shun_ms[f->follow] = f->now + SHUN_MS;
    upstream_follow(f, next);
}

static void tell_stale(struct follower *f)
{
    bool replayed = f->repeated > 0;
    tell_count(f, replayed ? COUNT_REPLAYED : COUNT_FROZEN);
    tell_log(f, LOG_WARN,
             "repl: %s answers, but has had no news from the primary for %d s%s; the flags served "
             "may be old%s",
             upstream_name(f, f->follow), FOLLOWER_STALE_MS / 1000,
             replayed ? ", and repeats heartbeats that were heard before" : "",
             f->config.upstreams > 1 ? "; asking the others" : "");
}

bool upstream_is_stale(const struct follower *f)
{
    int64_t since = f->counter_ms > f->follow_ms ? f->counter_ms : f->follow_ms;
    return f->heard && f->now - since >= FOLLOWER_STALE_MS;
}

/* The connection lives, but what the primary says of itself does not move: another upstream may be
 * nearer to it. Said once, however many turn out to be no better. */
static void leave_stale(struct follower *f)
{
    if (!upstream_is_stale(f))
        return;
    if (!f->stale_told)
        tell_stale(f);
    f->stale_told = true;
    uint32_t next = next_upstream(f, false);
    if (next == f->follow || is_loading(f))
        return;
    upstream_leave_for(f, next);
    f->upstream_told = true;
}

/* A relay that says of itself that it cannot keep up (its disk is full, it loads a snapshot): another
 * upstream may have what it has not. False: it is stayed with. */
static bool leave_lagging(struct follower *f)
{
    int64_t since = f->lags_since_ms > f->follow_ms ? f->lags_since_ms : f->follow_ms;
    if (f->lags_since_ms == NEVER || f->now - since < FOLLOWER_STALE_MS || is_loading(f))
        return false;
    uint32_t next = next_upstream(f, false);
    if (next == f->follow)
        return false;
    tell_count(f, COUNT_LAGS);
    tell_log(f, LOG_WARN, "repl: %s has been behind for %d s; going to %s",
             upstream_name(f, f->follow), FOLLOWER_STALE_MS / 1000, upstream_name(f, next));
    upstream_leave_for(f, next);
    return true;
}

static void tell_withholds(struct follower *f, const struct fenv *e, uint32_t next)
{
    char then[WHY_SIZE] = "there is no other to go to now";
    int64_t waited_s = e->patience.total_ms / 1000;
    bool newer = e->origin_known && e->origin_version > e->patience.version;
    if (next != f->follow)
        snprintf(then, sizeof then, "going to %s; it is asked again in %d s",
                 upstream_name(f, next), SHUN_MS / 1000);
    tell_count(f, f->hello_done ? COUNT_WITHHOLDS : COUNT_MUTE);
    if (f->hello_done)
        tell_log(f, LOG_WARN,
                 "repl: %s does not give what the primary has: environment '%.*s' has waited "
                 "%" PRId64 " s at version %" PRIu64 ", the primary is at %" PRIu64 "; %s",
                 upstream_name(f, f->follow), SLICE_ARG(e->name), waited_s, e->committed.version,
                 newer ? e->origin_version : e->patience.version, then);
    else
        tell_log(f, LOG_WARN,
                 "repl: %s has not answered hello, so that it can be read, for %" PRId64 " s; %s",
                 upstream_name(f, f->follow), waited_s, then);
}

/* It speaks, and may not lie in a word, but what an environment waits for does not come. Those who
 * leave a slow or busy one together do not all come to the next at once. False: it is stayed with. */
static bool leave_withholding(struct follower *f)
{
    struct fenv *e = patience_ended(f);
    if (!e)
        return false;
    uint32_t next = next_upstream(f, false);
    if (next != f->follow || !e->patience.told)
        tell_withholds(f, e, next);
    e->patience.told = true;
    if (next == f->follow)
        return false;
    patience_lengthen(e);
    upstream_leave_for(f, next);
    return_slowly(f);
    return true;
}

void upstream_keep(struct follower *f)
{
    patience_keep(f);
    if (!f->started) {
        upstream_follow(f, f->follow);
        probe_begin(f);
    } else if (silent_at(f) <= f->now)
        go_on(f, COUNT_SILENT, "is silent", &f->silence_told);
    else if (f->failures >= REQUEST_FAILURES)
        go_on(f, COUNT_MUTE, "does not answer requests", &f->mute_told);
    else if (f->withheld >= REQUEST_FAILURES)
        go_on(f, COUNT_MUTE, "does not answer when it is asked for changes", &f->withheld_told);
    else if (f->leave && !has_to_stay(f) && !has_to_tell(f))
        leave(f);
    else if (f->now - f->follow_ms >= FOLLOWER_PRIMARY_RETURN_MS && may_return(f))
        try_first(f);
    else if (!leave_withholding(f) && !leave_lagging(f))
        leave_stale(f);
}

int64_t upstream_next_ms(const struct follower *f)
{
    int64_t next = silent_at(f);
    if (may_return(f) && f->follow_ms + FOLLOWER_PRIMARY_RETURN_MS < next)
        next = f->follow_ms + FOLLOWER_PRIMARY_RETURN_MS;
    return next; /* while it is heard at all, this comes often enough for staleness, too */
}

/* ---------------------------------------------------------------- what comes from it */

void upstream_word(struct follower *f)
{
    f->word_ms = f->now;
}

void upstream_heard(struct follower *f)
{
    upstream_word(f);
    f->heard_ms = f->now;
    f->heard = true;
    f->lost = false;
    f->silences = 0;
    if (f->returns)
        f->hello_due_ms = f->now + follower_random(f, FOLLOWER_RETURN_JITTER_MS);
    f->returns = false;
    f->trying_first = false;
    if (f->silence_told)
        tell_log(f, LOG_INFO, "repl: %s is heard", upstream_name(f, f->follow));
    f->silence_told = false;
}

static bool asks_for_data(enum request_kind kind)
{
    return kind == REQUEST_FETCH || kind == REQUEST_SNAPSHOT;
}

void upstream_answered(struct follower *f, enum request_kind kind)
{
    f->failures = 0;
    if (asks_for_data(kind)) {
        f->withheld = 0;
        f->withheld_told = false;
    }
}

void upstream_no_answer(struct follower *f, enum request_kind kind)
{
    f->failures++;
    f->withheld += asks_for_data(kind);
}

void upstream_doubt(struct follower *f)
{
    int64_t due = f->hello_sent_ms + DOUBT_MS;
    if (due < f->now)
        due = f->now;
    if (due < f->hello_due_ms)
        f->hello_due_ms = due;
}

void upstream_garbage(struct follower *f, enum follower_count what, const char *why)
{
    tell_count(f, what);
    if (f->garbage_ms == NEVER || f->now - f->garbage_ms >= EPISODE_MS) {
        tell_count(f, COUNT_UNREADABLE);
        tell_log(f, LOG_WARN, "repl: %s sends what cannot be read (%s); dropped, and counted",
                 upstream_name(f, f->follow), why);
    }
    f->garbage_ms = f->now;
}

void upstream_forged(struct follower *f, const char *what)
{
    tell_count(f, COUNT_FORGED);
    if (f->forged_ms == NEVER || f->now - f->forged_ms >= EPISODE_MS) {
        tell_count(f, COUNT_LIES);
        tell_log(
            f, LOG_ERROR,
            "repl: %s gives %s that no key signed which this host trusts; it is not taken. %s",
            upstream_name(f, f->follow), what,
            f->strange_key
                ? "The trust file is old: signing keys were rotated since, by keys that it does "
                  "not "
                  "lead to. Copy the present one: flagctl key list --raw at the primary"
                : "Either that host is not to be trusted, or --trust names another primary's key");
    }
    f->forged_ms = f->now;
    f->leave = true;
}

static const struct env_head *find_head(const struct env_head *heads, uint32_t count,
                                        struct slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_eq(heads[i].name, name))
            return &heads[i];
    return NULL;
}

/* The origin's counter: greater is news, less is an old heartbeat that came late, or was replayed.
 */
static bool take_counter(struct follower *f, uint64_t counter)
{
    if (counter < f->counter) {
        tell_count(f, COUNT_STALE);
        f->repeated++;
        return false;
    }
    if (counter > f->counter) {
        f->counter = counter;
        f->counter_ms = f->now;
        f->has_news = true;
        f->repeated = 0;
        f->stale_told = false;
        return true;
    }
    return false;
}

/* Whether it has said of itself that it has not what the primary has, and since when. */
static void note_lag(struct follower *f, const struct frame_heartbeat *h)
{
    bool lags = false;
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        const struct env_head *hop = find_head(h->hop_envs, h->hop_count, f->envs[i].name);
        lags = lags || (hop && hop->state != ENV_CURRENT);
    }
    if (!lags)
        f->lags_since_ms = NEVER;
    else if (f->lags_since_ms == NEVER)
        f->lags_since_ms = f->now;
}

/* What the sender says of itself nobody signs: it only leads to asking. */
bool upstream_is_signed(const struct follower *f, const struct frame_heartbeat *h)
{
    const struct trust *t = &f->ring.trusted;
    return t->count == 0 || trust_check(t, HEARTBEAT_SIGNED, h->origin, h->signature);
}

void upstream_heartbeat(struct follower *f, const struct frame_heartbeat *h)
{
    keys_heard(f, h->certificates, h->certificate_count);
    bool news = h->origin.len > 0; /* else a relay that has heard nothing of the primary yet */
    upstream_heard(f);
    if (news && !upstream_is_signed(f, h)) {
        upstream_forged(f, "a heartbeat");
        return;
    }
    bool old = news && h->counter < f->counter;
    bool moved = news && take_counter(f, h->counter);
    if (moved)
        f->signed_ms = h->time_ms;
    if (moved || !news) /* in a ring of relays it would grow while nothing moves */
        f->distance = h->distance;
    note_lag(f, h);
    if (f->config.relay && moved)
        relay_keep_origin(f, h);
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        struct fenv *e = &f->envs[i];
        const struct env_head *origin = find_head(h->origin_envs, h->origin_count, e->name);
        const struct env_head *hop = find_head(h->hop_envs, h->hop_count, e->name);
        if (origin && !old)
            env_origin(f, e, origin, moved);
        else if (moved)
            e->origin_known = false; /* the primary has no such environment any more */
        if (hop)
            env_hop(f, e, hop, old ? HEARD_OLD : HEARD_HEARTBEAT);
        else if (!old)
            env_missing(f, e);
    }
}

void upstream_hello(struct follower *f, const struct frame_hello *h)
{
    keys_heard(f, h->certificates, h->certificate_count);
    f->hello_done = true;
    f->mute_told = false;
    f->hello_retry_ms = 0;
    f->primary = slice_eq(h->role, SLICE("primary"));
    if (!f->upstream_told)
        tell_log(f, LOG_INFO, "repl: following %s: '%.*s', hoist %.*s", upstream_name(f, f->follow),
                 (int)(h->id.len < 64 ? h->id.len : 64), (const char *)h->id.ptr,
                 (int)(h->software.len < 32 ? h->software.len : 32), (const char *)h->software.ptr);
    f->upstream_told = true;
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        const struct env_head *hop = find_head(h->envs, h->env_count, f->envs[i].name);
        if (hop)
            env_hop(f, &f->envs[i], hop, HEARD_HELLO);
        else
            env_missing(f, &f->envs[i]);
    }
}
