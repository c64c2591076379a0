#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/murmur.h"
#include "repl/quota_int.h"

enum {
    OWN_FILES = 64, /* the store's, the log's, the listeners' */
    SHARE = 5,      /* sixteenths, of connections and of subscriptions */
    MILLI = 1000,
    BURST_S = 2, /* so many seconds' requests may come at once */
    SWEEP_MS = 1000,
    CUT_TOGETHER = 64,
};

/* ---------------------------------------------------------------- limits */

static void fill_u32(uint32_t *limit, uint32_t given)
{
    if (*limit == 0)
        *limit = given;
}

static void fill_u64(uint64_t *limit, uint64_t given)
{
    if (*limit == 0)
        *limit = given;
}

static void fill_in(struct quota_limits *l)
{
    fill_u32(&l->connections, 20000);
    fill_u32(&l->peer_connections, 10000);
    fill_u32(&l->subscriptions, 20000);
    fill_u32(&l->peer_subscriptions, 10000);
    fill_u32(&l->peer_requests, 20000);
    fill_u64(&l->request_bytes, 256 << 20);
    fill_u64(&l->peer_request_bytes, 160 << 20);
    fill_u64(&l->answer_bytes, 256 << 20);
    fill_u64(&l->peer_answer_bytes, 160 << 20);
    fill_u32(&l->commands, 192);
    fill_u32(&l->peer_commands, 128);
}

static bool lower(uint32_t *limit, uint64_t most)
{
    if (*limit <= most)
        return false;
    *limit = most > 0 ? (uint32_t)most : 1;
    return true;
}

uint32_t quota_share(uint64_t descriptors, uint32_t sixteenths)
{
    uint64_t usable = descriptors > 2 * OWN_FILES ? descriptors - OWN_FILES : OWN_FILES;
    uint64_t share = usable * sixteenths / 16;
    return share < UINT32_MAX ? (uint32_t)share : UINT32_MAX;
}

bool quota_fit(struct quota_limits *l, uint64_t descriptors)
{
    uint32_t share = quota_share(descriptors, SHARE);
    fill_in(l);
    bool less = lower(&l->connections, share);
    less = lower(&l->subscriptions, share) || less;
    lower(&l->peer_connections, (uint64_t)l->connections * 3 / 4);
    lower(&l->peer_subscriptions, (uint64_t)l->subscriptions * 3 / 4);
    return less;
}

/* ---------------------------------------------------------------- the tables */

static struct quota_peer **peer_at(struct quota *q, const char *name)
{
    uint32_t chain = murmur3_32(slice_str(name), q->seed) % QUOTA_PEERS;
    struct quota_peer **at = &q->peers[chain];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static int64_t burst(const struct quota *q)
{
    return (int64_t)q->limits.peer_requests * MILLI * BURST_S;
}

struct quota_peer *quota_find_peer(struct quota *q, const char *name, int64_t now_ms)
{
    struct quota_peer **at = peer_at(q, name), *p = *at;
    if (p)
        return p;
    p = mem_zalloc(1, sizeof *p);
    if (!p)
        return NULL;
    strncpy(p->name, name, sizeof p->name - 1);
    p->tokens = burst(q);
    p->filled_ms = now_ms;
    *at = p;
    return p;
}

static struct quota_pipe **pipe_at(struct quota *q, uint32_t id)
{
    struct quota_pipe **at = &q->pipes[id % QUOTA_PIPES];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct quota_pipe *quota_find_pipe(struct quota *q, uint32_t id)
{
    return *pipe_at(q, id);
}

static bool is_end(const struct quota_end *a, const struct quota_end *b)
{
    return a->port == b->port && a->own_port == b->own_port &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

static struct quota_pipe **end_at(struct quota *q, const struct quota_end *end)
{
    uint32_t chain = murmur3_32(slice_of(end->address, sizeof end->address), end->port);
    struct quota_pipe **at = &q->ends[chain % QUOTA_PIPES];
    while (*at && !is_end(&(*at)->end, end))
        at = &(*at)->next_end;
    return at;
}

static void forget_end(struct quota *q, struct quota_pipe *pipe)
{
    struct quota_pipe **at = pipe->end.port ? end_at(q, &pipe->end) : NULL;
    if (at && *at == pipe)
        *at = pipe->next_end;
}

/* ---------------------------------------------------------------- connections */

static bool has_room(struct quota *q, struct quota_peer *p, enum quota_kind kind, int64_t now_ms)
{
    const struct quota_limits *l = &q->limits;
    const uint32_t all[] = {l->connections, l->subscriptions};
    const uint32_t one[] = {l->peer_connections, l->peer_subscriptions};
    if (p->count[kind] < one[kind] && q->count[kind] < all[kind])
        return true;
    bool own = p->count[kind] >= one[kind];
    quota_refuse(q, p, (own ? QUOTA_PEER_CONNECTIONS : QUOTA_CONNECTIONS) + kind, now_ms);
    return false;
}

bool quota_add(struct quota *q, uint32_t id, const char *peer, enum quota_kind kind, int64_t now_ms)
{
    struct quota_pipe *pipe = mem_zalloc(1, sizeof *pipe);
    if (!pipe)
        return false;
    pthread_mutex_lock(&q->lock);
    struct quota_peer *p = quota_find_peer(q, peer, now_ms);
    bool ok = p && has_room(q, p, kind, now_ms);
    if (ok) {
        *pipe = (struct quota_pipe){.id = id, .kind = kind, .peer = p, .last_ms = now_ms};
        *pipe_at(q, id) = pipe;
        p->count[kind]++;
        q->count[kind]++;
    }
    pthread_mutex_unlock(&q->lock);
    if (!ok)
        mem_free(pipe);
    return ok;
}

static void drop_unread(struct quota *q, struct quota_pipe *pipe)
{
    pipe->peer->unread -= pipe->unread;
    q->unread -= pipe->unread;
    pipe->unread = 0;
}

void quota_remove(struct quota *q, uint32_t id)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe **at = pipe_at(q, id), *pipe = *at;
    if (pipe) {
        drop_unread(q, pipe);
        quota_forget_answers(q, pipe);
        forget_end(q, pipe);
        pipe->peer->count[pipe->kind]--;
        q->count[pipe->kind]--;
        *at = pipe->next;
    }
    pthread_mutex_unlock(&q->lock);
    mem_free(pipe);
}

/* ---------------------------------------------------------------- requests */

static int64_t tokens_at(const struct quota *q, const struct quota_peer *p, int64_t now_ms)
{
    int64_t tokens = p->tokens + (now_ms - p->filled_ms) * q->limits.peer_requests;
    return tokens < burst(q) ? tokens : burst(q);
}

int64_t quota_spent(const struct quota *q, const struct quota_peer *p, int64_t now_ms)
{
    return burst(q) - tokens_at(q, p, now_ms);
}

bool quota_ask(struct quota *q, uint32_t id, int64_t now_ms)
{
    bool may = true;
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = *pipe_at(q, id);
    if (pipe) {
        struct quota_peer *p = pipe->peer;
        pipe->last_ms = now_ms;
        pipe->was_whole = true;
        p->tokens = tokens_at(q, p, now_ms);
        p->filled_ms = now_ms;
        may = p->tokens >= MILLI;
        if (may)
            p->tokens -= MILLI;
        else
            quota_refuse(q, p, QUOTA_PEER_REQUESTS, now_ms);
    }
    pthread_mutex_unlock(&q->lock);
    return may;
}

/* The limit that one more command of `bytes` would break; QUOTA_REASONS: none. */
static enum quota_reason meets(const struct quota *q, const struct quota_peer *p, size_t bytes)
{
    const struct quota_limits *l = &q->limits;
    if (p->commands >= l->peer_commands)
        return QUOTA_PEER_COMMANDS;
    if (q->commands >= l->commands)
        return QUOTA_COMMANDS;
    if (p->bytes + bytes > l->peer_request_bytes)
        return QUOTA_PEER_BYTES;
    return q->bytes + bytes > l->request_bytes ? QUOTA_BYTES : QUOTA_REASONS;
}

static const char *take(struct quota *q, struct quota_pipe *pipe, size_t bytes, int64_t now_ms)
{
    enum quota_reason why = meets(q, pipe->peer, bytes);
    if (why != QUOTA_REASONS) {
        quota_refuse(q, pipe->peer, why, now_ms);
        return quota_reason_words(why);
    }
    if (!quota_begin_at(q, pipe, now_ms))
        return "too many requests of this peer are under way";
    pipe->waits = true;
    pipe->peer->commands++;
    pipe->peer->bytes += bytes;
    q->commands++;
    q->bytes += bytes;
    return NULL;
}

const char *quota_hold(struct quota *q, uint32_t id, size_t bytes, int64_t now_ms,
                       struct quota_peer **ret)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = *pipe_at(q, id);
    const char *why = pipe ? take(q, pipe, bytes, now_ms) : "its connection is gone";
    if (!why)
        *ret = pipe->peer;
    pthread_mutex_unlock(&q->lock);
    return why;
}

void quota_release(struct quota *q, struct quota_peer *p, uint32_t id, size_t bytes, int64_t now_ms)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = *pipe_at(q, id);
    if (pipe) {
        pipe->waits = false;
        pipe->last_ms = now_ms;
    }
    p->commands--;
    p->bytes -= bytes;
    q->commands--;
    q->bytes -= bytes;
    pthread_mutex_unlock(&q->lock);
    quota_end(q, p, id);
}

/* ---------------------------------------------------------------- what is not whole yet */

void quota_end_v4(struct quota_end *ret, const void *address, uint16_t port)
{
    *ret = (struct quota_end){.address = {[10] = 0xff, [11] = 0xff}, .port = port};
    memcpy(ret->address + 12, address, 4);
}

void quota_set_end(struct quota *q, uint32_t id, const struct quota_end *end)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = *pipe_at(q, id);
    if (pipe && pipe->end.port == 0) {
        struct quota_pipe **at = end_at(q, end);
        pipe->end = *end;
        pipe->next_end = *at ? (*at)->next_end : NULL; /* one that is gone without a word */
        *at = pipe;
    }
    pthread_mutex_unlock(&q->lock);
}

bool quota_received(struct quota *q, const struct quota_end *end, uint64_t bytes)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = *end_at(q, end);
    if (pipe) {
        drop_unread(q, pipe);
        if (pipe->was_whole || pipe->waits || bytes < pipe->base)
            pipe->base = bytes;
        pipe->was_whole = false;
        pipe->unread = bytes - pipe->base;
        pipe->peer->unread += pipe->unread;
        q->unread += pipe->unread;
    }
    pthread_mutex_unlock(&q->lock);
    return pipe != NULL;
}

/* The one that has most, of `peer` or (NULL) of all. */
static struct quota_pipe *longest(struct quota *q, const struct quota_peer *peer)
{
    struct quota_pipe *best = NULL;
    for (int i = 0; i < QUOTA_PIPES; i++)
        for (struct quota_pipe *p = q->pipes[i]; p; p = p->next)
            if ((!peer || p->peer == peer) && p->unread > (best ? best->unread : 0))
                best = p;
    return best;
}

/* A peer beyond its own limit; NULL: none. */
static struct quota_peer *beyond_own(struct quota *q)
{
    for (int i = 0; i < QUOTA_PEERS; i++)
        for (struct quota_peer *p = q->peers[i]; p; p = p->next)
            if (p->bytes + p->unread > q->limits.peer_request_bytes && p->unread > 0)
                return p;
    return NULL;
}

static struct quota_pipe *next_beyond(struct quota *q, enum quota_reason *ret_why)
{
    const struct quota_peer *peer = beyond_own(q);
    *ret_why = peer ? QUOTA_PEER_BYTES : QUOTA_BYTES;
    if (!peer && q->bytes + q->unread <= q->limits.request_bytes)
        return NULL;
    return longest(q, peer);
}

uint32_t quota_beyond(struct quota *q, int64_t now_ms)
{
    uint32_t count = 0;
    struct quota_pipe *pipe;
    enum quota_reason why;
    pthread_mutex_lock(&q->lock);
    while (count < CUT_TOGETHER && (pipe = next_beyond(q, &why))) {
        quota_refuse(q, pipe->peer, why, now_ms);
        drop_unread(q, pipe);
        pipe->is_cut = true;
        count++;
    }
    pthread_mutex_unlock(&q->lock);
    return count;
}

bool quota_is_cut(struct quota *q, const struct quota_end *end)
{
    pthread_mutex_lock(&q->lock);
    const struct quota_pipe *pipe = *end_at(q, end);
    bool is_cut = pipe && pipe->is_cut;
    pthread_mutex_unlock(&q->lock);
    return is_cut;
}

/* ---------------------------------------------------------------- time passes */

/* It has nothing here, and would be no richer if it were new. */
static bool is_forgotten(const struct quota *q, const struct quota_peer *p, int64_t now_ms)
{
    return p->count[QUOTA_CONNECTION] == 0 && p->count[QUOTA_SUBSCRIPTION] == 0 &&
           p->begun[QUOTA_CONNECTION] == 0 && p->begun[QUOTA_SUBSCRIPTION] == 0 &&
           p->under_way == 0 && quota_spent(q, p, now_ms) == 0 && now_ms >= p->quiet_until_ms;
}

static void forget(struct quota *q, int64_t now_ms)
{
    for (int i = 0; i < QUOTA_PEERS; i++) {
        struct quota_peer **at = &q->peers[i], *p;
        while ((p = *at)) {
            if (!is_forgotten(q, p, now_ms)) {
                at = &p->next;
                continue;
            }
            *at = p->next;
            mem_free(p);
        }
    }
}

static bool is_idle(const struct quota_pipe *pipe, int64_t now_ms)
{
    return pipe->kind == QUOTA_CONNECTION && !pipe->waits && !pipe->is_cut && pipe->end.port &&
           now_ms - pipe->last_ms >= QUOTA_IDLE_MS;
}

uint32_t quota_sweep(struct quota *q, int64_t now_ms)
{
    uint32_t count = 0;
    pthread_mutex_lock(&q->lock);
    if (now_ms >= q->next_sweep_ms) {
        q->next_sweep_ms = now_ms + SWEEP_MS;
        forget(q, now_ms);
        for (int i = 0; i < QUOTA_PIPES; i++)
            for (struct quota_pipe *pipe = q->pipes[i]; pipe; pipe = pipe->next)
                if (is_idle(pipe, now_ms)) {
                    pipe->is_cut = true;
                    count++;
                }
    }
    pthread_mutex_unlock(&q->lock);
    return count;
}

/* ---------------------------------------------------------------- life */

enum hoist_err quota_new(const struct quota_limits *limits, struct quota **ret)
{
    struct quota *q = mem_zalloc(1, sizeof *q);
    if (!q)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    q->limits = *limits;
    fill_in(&q->limits);
    hash_random(&q->seed, sizeof q->seed);
    q->files = opendir("/proc/self/fd");
    q->owners = 1;
    pthread_mutex_init(&q->tick_lock, NULL);
    pthread_mutex_init(&q->lock, NULL);
    quota_metrics_begin(q);
    *ret = q;
    return HOIST_OK;
}

struct quota *quota_ref(struct quota *q)
{
    q->owners++;
    return q;
}

void quota_free(struct quota *q)
{
    if (!q || --q->owners > 0)
        return;
    quota_metrics_end(q);
    quota_begun_done(q);
    if (q->files)
        closedir(q->files);
    for (int i = 0; i < QUOTA_PIPES; i++)
        for (struct quota_pipe *p = q->pipes[i], *next; p; p = next) {
            next = p->next;
            mem_free(p);
        }
    for (int i = 0; i < QUOTA_PEERS; i++)
        for (struct quota_peer *p = q->peers[i], *next; p; p = next) {
            next = p->next;
            mem_free(p);
        }
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->tick_lock);
    mem_free(q);
}
