#include "repl/subtree.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/metrics.h"

enum {
    BUCKETS = 4096, /* a power of two */
    WORD_OVERHEAD = 256,
};

struct word {                   /* what one host told last */
    struct word *next, *before; /* those that wait, oldest first */
    struct word *chain;         /* in its bucket */
    int64_t heard_ms;           /* by the relay that the host told it to, on our clock */
    struct slice id, via, status;
    uint8_t bytes[]; /* of the three */
};

struct list {
    struct word *first, *last;
};

struct subtree {
    struct slice id;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bool closed;
    struct word *buckets[BUCKETS]; /* of those that wait */
    struct list waiting, taken;
    uint32_t count; /* of both … */
    size_t bytes;
    struct metric *dropped;
};

enum hoist_err subtree_new(struct slice id, struct subtree **ret)
{
    struct subtree *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    s->id = id;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->filled, NULL);
    s->dropped =
        metric_series(METRIC_COUNTER, "hoist_statuses_dropped_total",
                      "What hosts told this relay and it had no room to pass on.", "", NULL);
    *ret = s;
    return HOIST_OK;
}

/* ---------------------------------------------------------------- words */

static size_t size_of(const struct word *w)
{
    return w->id.len + w->via.len + w->status.len + WORD_OVERHEAD;
}

static struct slice put(uint8_t **at, struct slice from)
{
    struct slice copy = slice_of(*at, from.len);
    if (from.len)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

static struct word *word_new(struct slice id, struct slice via, struct slice status)
{
    struct word *w = mem_alloc(sizeof *w + id.len + via.len + status.len);
    if (!w)
        return NULL;
    uint8_t *at = w->bytes;
    *w = (struct word){0};
    w->id = put(&at, id);
    w->via = put(&at, via);
    w->status = put(&at, status);
    return w;
}

static void append(struct list *l, struct word *w)
{
    w->next = NULL;
    w->before = l->last;
    *(l->last ? &l->last->next : &l->first) = w;
    l->last = w;
}

static void prepend(struct list *l, struct word *w)
{
    w->before = NULL;
    w->next = l->first;
    *(l->first ? &l->first->before : &l->last) = w;
    l->first = w;
}

static void unlink_word(struct list *l, struct word *w)
{
    *(w->before ? &w->before->next : &l->first) = w->next;
    *(w->next ? &w->next->before : &l->last) = w->before;
}

/* `w` in the place of `old`: its turn is its host's, whatever that tells meanwhile. */
static void replace(struct list *l, struct word *old, struct word *w)
{
    w->before = old->before;
    w->next = old->next;
    *(w->before ? &w->before->next : &l->first) = w;
    *(w->next ? &w->next->before : &l->last) = w;
}

/* Where a waiting word of host `id` is linked from, or would be. */
static struct word **find(struct subtree *s, struct slice id)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < id.len; i++)
        h = (h ^ id.ptr[i]) * 1099511628211u;
    struct word **at = &s->buckets[h & (BUCKETS - 1)];
    while (*at && !slice_eq((*at)->id, id))
        at = &(*at)->chain;
    return at;
}

static void forget(struct subtree *s, struct word *w)
{
    s->count--;
    s->bytes -= size_of(w);
    mem_free(w);
}

/* Out of those that wait; it is still counted. */
static void take_out(struct subtree *s, struct word *w)
{
    struct word **at = find(s, w->id);
    *at = w->chain;
    w->chain = NULL;
    unlink_word(&s->waiting, w);
}

void subtree_free(struct subtree *s)
{
    if (!s)
        return;
    struct list *lists[] = {&s->waiting, &s->taken};
    for (int i = 0; i < 2; i++)
        for (struct word *w = lists[i]->first, *next; w; w = next) {
            next = w->next;
            mem_free(w);
        }
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---------------------------------------------------------------- hearing */

static bool has_room(const struct subtree *s, const struct word *w, const struct word *old)
{
    if (!old && s->count >= SUBTREE_HOSTS_MAX)
        return false;
    return s->bytes + size_of(w) - (old ? size_of(old) : 0) <= SUBTREE_BYTES_MAX;
}

/* Put `w` among those that wait, in the place of what its host told before. False: no room. */
static bool put_in(struct subtree *s, struct word *w)
{
    struct word **at = find(s, w->id), *old = *at;
    if (!has_room(s, w, old))
        return false;
    s->count++;
    s->bytes += size_of(w);
    *at = w;
    if (old) {
        w->chain = old->chain;
        replace(&s->waiting, old, w);
        forget(s, old);
    } else {
        append(&s->waiting, w);
    }
    pthread_cond_signal(&s->filled);
    return true;
}

/* It left one relay below for another, and what it told the first comes last. */
static bool is_overtaken(struct subtree *s, const struct word *w)
{
    const struct word *known = *find(s, w->id);
    return known && known->heard_ms > w->heard_ms;
}

void subtree_hear(struct subtree *s, const struct told_host *told, int64_t now_ms)
{
    /* In a ring of relays our own word, which the agent passes on, would come back to us. */
    if (!told->whole || (told->via.len && slice_eq(told->status.id, s->id)))
        return;
    struct word *w = told->bytes.len <= FRAME_STATUS_MAX
                         ? word_new(told->status.id, told->via.len ? told->via : s->id, told->bytes)
                         : NULL;
    if (w)
        w->heard_ms = now_ms - told->age_ms;
    pthread_mutex_lock(&s->lock);
    bool overtaken = w && is_overtaken(s, w);
    bool in = w && !overtaken && put_in(s, w);
    pthread_mutex_unlock(&s->lock);
    if (!in)
        mem_free(w);
    if (!in && !overtaken)
        metric_inc(s->dropped);
}

/* ---------------------------------------------------------------- passing on */

bool subtree_wait(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->waiting.first && !s->closed)
        pthread_cond_wait(&s->filled, &s->lock);
    bool closed = s->closed;
    pthread_mutex_unlock(&s->lock);
    return !closed;
}

void subtree_close(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    pthread_cond_broadcast(&s->filled);
    pthread_mutex_unlock(&s->lock);
}

bool subtree_is_closed(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    bool closed = s->closed;
    pthread_mutex_unlock(&s->lock);
    return closed;
}

static int64_t age_of(const struct word *w, int64_t now_ms)
{
    return now_ms > w->heard_ms ? now_ms - w->heard_ms : 0;
}

/* Those that fit into one frame, from among those that wait. */
static uint32_t gather(struct subtree *s, struct subtree_host *hosts, int64_t now_ms)
{
    uint32_t count = 0;
    size_t bytes = 0;
    for (struct word *w = s->waiting.first, *next; w && count < FRAME_SUBTREE_HOSTS; w = next) {
        next = w->next;
        if (age_of(w, now_ms) > SUBTREE_KEEP_MS) {
            take_out(s, w);
            forget(s, w);
            continue;
        }
        if (count > 0 && bytes + size_of(w) > FRAME_SUBTREE_MAX)
            break;
        bytes += size_of(w);
        take_out(s, w);
        append(&s->taken, w);
        hosts[count++] = (struct subtree_host){
            .via = w->via, .age_ms = (uint32_t)age_of(w, now_ms), .status = w->status};
    }
    return count;
}

bool subtree_take(struct subtree *s, int64_t now_ms, struct buf *out)
{
    struct subtree_host *hosts = mem_zalloc(FRAME_SUBTREE_HOSTS, sizeof *hosts);
    if (!hosts)
        return false;
    pthread_mutex_lock(&s->lock);
    uint32_t count = gather(s, hosts, now_ms);
    pthread_mutex_unlock(&s->lock);
    /* What was taken is the taker's alone until it says how it went. */
    if (count > 0)
        frame_put_subtree(out, hosts, count);
    mem_free(hosts);
    if (count > 0 && buf_err(out) != HOIST_OK)
        subtree_passed_on(s, false);
    return count > 0 && out->err == HOIST_OK;
}

/* It did not go up. False: its host has told something since. */
static bool put_back(struct subtree *s, struct word *w)
{
    struct word **at = find(s, w->id);
    if (*at)
        return false;
    *at = w;
    prepend(&s->waiting, w);
    return true;
}

void subtree_passed_on(struct subtree *s, bool done)
{
    pthread_mutex_lock(&s->lock);
    while (s->taken.last) { /* from the end, so that they wait in their old order */
        struct word *w = s->taken.last;
        unlink_word(&s->taken, w);
        if (done || !put_back(s, w))
            forget(s, w);
    }
    pthread_mutex_unlock(&s->lock);
}

uint32_t subtree_count(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    uint32_t count = s->count;
    pthread_mutex_unlock(&s->lock);
    return count;
}
