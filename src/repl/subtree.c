#include "repl/subtree.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"

enum {
    BUCKETS = 4096, /* a power of two */
    OVERHEAD = 128, /* of a host, or a word, beside its bytes */
    LOOKS = 64,     /* for room, each time */
};

enum place { PLACE_CHANGED, PLACE_REPEATED, PLACE_TAKEN, PLACES };

struct word {                   /* what one host told */
    struct word *next, *before; /* in its place, oldest first */
    enum place place;
    struct host *host;
    int64_t heard_ms; /* by the relay that the host told it to, on our clock */
    int64_t here_ms;  /* by us */
    int64_t since_ms; /* since when its host has been waiting in this place */
    uint64_t print;
    struct slice via, status;
    uint8_t bytes[]; /* of the two */
};

struct host {
    struct host *next, *before; /* all there are, the longest silent first */
    struct host *chain;         /* in its bucket */
    struct word *waiting, *taken;
    int64_t heard_ms, here_ms; /* of its newest word */
    uint64_t way;              /* and the print of its way */
    uint64_t passed;           /* the print of what went up last; 0: nothing did */
    struct slice id;
    uint8_t bytes[];
};

struct subtree {
    struct slice id;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bool closed;
    struct host *buckets[BUCKETS];
    struct host *first, *last;
    uint32_t host_count, word_count;
    size_t bytes; /* of both */
    struct {
        struct word *first, *last;
    } places[PLACES];
    struct metric *dropped;
};

enum hoist_err subtree_new(struct slice id, struct subtree **ret)
{
    pthread_condattr_t mono;
    struct subtree *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    s->id = id;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&s->filled, &mono);
    pthread_condattr_destroy(&mono);
    s->dropped =
        metric_series(METRIC_COUNTER, "hoist_statuses_dropped_total",
                      "What hosts told this relay and it had no room to pass on.", "", NULL);
    *ret = s;
    return HOIST_OK;
}

/* FNV-1a. Who makes two words that look the same is told up to a second late, which is his own. */
static uint64_t print_of(uint64_t h, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ bytes.ptr[i]) * 1099511628211u;
    return h;
}

static uint64_t print(struct slice bytes)
{
    return print_of(14695981039346656037u, bytes);
}

/* ---------------------------------------------------------------- words */

static struct slice put(uint8_t **at, struct slice from)
{
    struct slice copy = slice_of(*at, from.len);
    if (from.len)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

static struct word *word_new(struct slice via, struct slice status)
{
    struct word *w = mem_alloc(sizeof *w + via.len + status.len);
    if (!w)
        return NULL;
    uint8_t *at = w->bytes;
    *w = (struct word){0};
    w->via = put(&at, via);
    w->status = put(&at, status);
    w->print = print_of(print(via), status);
    return w;
}

static size_t word_size(const struct word *w)
{
    return w->via.len + w->status.len + OVERHEAD;
}

/* Into `place` behind `before`; NULL: in front of all. */
static void link_word(struct subtree *s, struct word *w, enum place place, struct word *before)
{
    w->place = place;
    w->before = before;
    w->next = before ? before->next : s->places[place].first;
    *(w->next ? &w->next->before : &s->places[place].last) = w;
    *(before ? &before->next : &s->places[place].first) = w;
}

static void unlink_word(struct subtree *s, struct word *w)
{
    *(w->before ? &w->before->next : &s->places[w->place].first) = w->next;
    *(w->next ? &w->next->before : &s->places[w->place].last) = w->before;
}

static void forget_word(struct subtree *s, struct word *w)
{
    if (w->host->waiting == w)
        w->host->waiting = NULL;
    unlink_word(s, w);
    s->word_count--;
    s->bytes -= word_size(w);
    mem_free(w);
}

/* ---------------------------------------------------------------- hosts */

static size_t host_size(struct slice id)
{
    return id.len + OVERHEAD;
}

/* Where host `id` is linked from in its bucket, or would be. */
static struct host **find(struct subtree *s, struct slice id)
{
    struct host **at = &s->buckets[print(id) & (BUCKETS - 1)];
    while (*at && !slice_eq((*at)->id, id))
        at = &(*at)->chain;
    return at;
}

static void append_host(struct subtree *s, struct host *h)
{
    h->next = NULL;
    h->before = s->last;
    *(s->last ? &s->last->next : &s->first) = h;
    s->last = h;
}

static void unlink_host(struct subtree *s, struct host *h)
{
    *(h->before ? &h->before->next : &s->first) = h->next;
    *(h->next ? &h->next->before : &s->last) = h->before;
}

static struct host *add_host(struct subtree *s, struct slice id)
{
    struct host *h = mem_alloc(sizeof *h + id.len), **at = find(s, id);
    if (!h)
        return NULL;
    uint8_t *bytes = h->bytes;
    *h = (struct host){0};
    h->id = put(&bytes, id);
    *at = h;
    append_host(s, h);
    s->host_count++;
    s->bytes += host_size(id);
    return h;
}

static void forget_host(struct subtree *s, struct host *h)
{
    *find(s, h->id) = h->chain;
    unlink_host(s, h);
    s->host_count--;
    s->bytes -= host_size(h->id);
    mem_free(h);
}

void subtree_free(struct subtree *s)
{
    if (!s)
        return;
    for (int i = 0; i < PLACES; i++)
        while (s->places[i].first)
            forget_word(s, s->places[i].first);
    while (s->first)
        forget_host(s, s->first);
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---------------------------------------------------------------- hearing */

/* Whether one more word of `bytes` has room, in the place of `old`, of a host that may be new. */
static bool has_room(const struct subtree *s, size_t bytes, const struct word *old, bool is_new)
{
    if (is_new && s->host_count >= SUBTREE_HOSTS_MAX)
        return false;
    return s->bytes + bytes - (old ? word_size(old) : 0) <= SUBTREE_BYTES_MAX;
}

/* Hosts of whom nothing waits go, the longest silent first, until there is room. Only some are
 * looked at: who tells something must not wait for a walk over all. */
static bool make_room(struct subtree *s, size_t bytes, const struct host *h)
{
    const struct word *old = h ? h->waiting : NULL;
    struct host *quiet = s->first, *next;
    for (int i = 0; i < LOOKS && quiet && !has_room(s, bytes, old, !h); i++, quiet = next) {
        next = quiet->next;
        if (quiet != h && !quiet->waiting && !quiet->taken)
            forget_host(s, quiet);
    }
    return has_room(s, bytes, old, !h);
}

static void forget_silent(struct subtree *s, int64_t now_ms)
{
    struct host *h;
    while ((h = s->first) && !h->waiting && !h->taken && now_ms - h->here_ms > SUBTREE_FORGET_MS)
        forget_host(s, h);
}

/* Whether above it is, or is about to be, known already that the host tells this. */
static bool is_repeated(const struct host *h, const struct word *w)
{
    return w->print == h->passed || (h->taken && h->taken->print == w->print);
}

/* `w` in the place of what its host told before: its turn is its host's, whatever that tells
 * meanwhile. */
static void line_up(struct subtree *s, struct word *w, struct word *old)
{
    enum place place = is_repeated(w->host, w) ? PLACE_REPEATED : PLACE_CHANGED;
    bool same = old && old->place == place;
    link_word(s, w, place, same ? old->before : s->places[place].last);
    w->since_ms = same ? old->since_ms : w->here_ms;
    s->word_count++;
    s->bytes += word_size(w);
    w->host->waiting = w;
    if (old)
        forget_word(s, old);
}

static bool put_in(struct subtree *s, struct slice id, struct word *w)
{
    struct host *h = *find(s, id);
    if (!make_room(s, word_size(w) + (h ? 0 : host_size(id)), h))
        return false;
    if (!h && !(h = add_host(s, id)))
        return false;
    unlink_host(s, h);
    append_host(s, h);
    h->heard_ms = w->heard_ms;
    h->here_ms = w->here_ms;
    h->way = print(w->via);
    w->host = h;
    line_up(s, w, h->waiting);
    pthread_cond_signal(&s->filled);
    return true;
}

/* It left one relay below for another, and what it told the first comes last. */
static bool is_overtaken(struct subtree *s, struct slice id, const struct word *w)
{
    const struct host *known = *find(s, id);
    return known && told_is_older(w->heard_ms, known->heard_ms, print(w->via) == known->way);
}

void subtree_hear(struct subtree *s, const struct told_host *told, int64_t now_ms)
{
    struct slice id = told->status.id;
    if (!told->whole || told->age_ms > SUBTREE_FORGET_MS) /* it would count as silent, too */
        return;
    struct word *w = told->bytes.len <= FRAME_STATUS_MAX
                         ? word_new(told->via.len ? told->via : s->id, told->bytes)
                         : NULL;
    if (w) {
        w->here_ms = now_ms;
        w->heard_ms = now_ms - told->age_ms;
    }
    pthread_mutex_lock(&s->lock);
    forget_silent(s, now_ms);
    bool overtaken = w && is_overtaken(s, id, w);
    bool in = w && !overtaken && put_in(s, id, w);
    pthread_mutex_unlock(&s->lock);
    if (!in)
        mem_free(w);
    if (!in && !overtaken)
        metric_inc(s->dropped);
}

/* ---------------------------------------------------------------- waiting */

static int64_t due_ms(const struct subtree *s, int64_t now_ms)
{
    const struct word *repeated = s->places[PLACE_REPEATED].first;
    if (s->places[PLACE_CHANGED].first)
        return now_ms;
    return repeated ? repeated->since_ms + SUBTREE_REPEAT_MS : INT64_MAX;
}

int64_t subtree_due_ms(struct subtree *s, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    int64_t due = due_ms(s, now_ms);
    pthread_mutex_unlock(&s->lock);
    return due;
}

static void wait_until(struct subtree *s, int64_t due, int64_t now_ms)
{
    struct timespec until;
    int64_t ms = due - now_ms;
    if (due == INT64_MAX) {
        pthread_cond_wait(&s->filled, &s->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&s->filled, &s->lock, &until);
}

bool subtree_wait(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->closed) {
        int64_t now_ms = clock_mono_ms(), due = due_ms(s, now_ms);
        if (due <= now_ms)
            break;
        wait_until(s, due, now_ms);
    }
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

/* ---------------------------------------------------------------- passing on */

struct gathered {
    struct subtree_host *hosts;
    uint32_t count;
    size_t bytes;
};

/* Those in `place` that still fit into the frame. */
static void gather(struct subtree *s, enum place place, int64_t now_ms, struct gathered *g)
{
    for (struct word *w = s->places[place].first, *next; w && g->count < FRAME_SUBTREE_HOSTS;
         w = next) {
        next = w->next;
        int64_t age_ms = now_ms > w->heard_ms ? now_ms - w->heard_ms : 0;
        if (now_ms - w->here_ms > SUBTREE_KEEP_MS) {
            forget_word(s, w);
            continue;
        }
        if (g->count > 0 && g->bytes + word_size(w) > FRAME_SUBTREE_MAX)
            break;
        g->bytes += word_size(w);
        unlink_word(s, w);
        link_word(s, w, PLACE_TAKEN, s->places[PLACE_TAKEN].last);
        w->host->waiting = NULL;
        w->host->taken = w;
        g->hosts[g->count++] = (struct subtree_host){
            .via = w->via,
            .age_ms = age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX,
            .status = w->status,
        };
    }
}

bool subtree_take(struct subtree *s, int64_t now_ms, struct buf *out)
{
    struct gathered g = {.hosts = mem_zalloc(FRAME_SUBTREE_HOSTS, sizeof *g.hosts)};
    if (!g.hosts)
        return false;
    pthread_mutex_lock(&s->lock);
    const struct word *repeated = s->places[PLACE_REPEATED].first;
    bool due = repeated && repeated->since_ms + SUBTREE_REPEAT_MS <= now_ms;
    gather(s, PLACE_CHANGED, now_ms, &g);
    if (due)
        gather(s, PLACE_REPEATED, now_ms, &g);
    pthread_mutex_unlock(&s->lock);
    /* What was taken is the taker's alone until it says how it went. */
    if (g.count > 0)
        frame_put_subtree(out, g.hosts, g.count);
    mem_free(g.hosts);
    if (g.count > 0 && buf_err(out) != HOIST_OK)
        subtree_passed_on(s, false);
    return g.count > 0 && out->err == HOIST_OK;
}

/* It went up, or not: then it waits again, unless its host has told something since. */
static void came_back(struct subtree *s, struct word *w, bool done)
{
    struct host *h = w->host;
    h->taken = NULL;
    if (done)
        h->passed = w->print;
    if (done || h->waiting) {
        forget_word(s, w);
    } else {
        unlink_word(s, w);
        link_word(s, w, is_repeated(h, w) ? PLACE_REPEATED : PLACE_CHANGED, NULL);
        h->waiting = w;
    }
    struct word *newer = h->waiting;
    if (newer && newer->place == PLACE_REPEATED && !is_repeated(h, newer)) {
        unlink_word(s, newer); /* it repeats what did not go up */
        link_word(s, newer, PLACE_CHANGED, s->places[PLACE_CHANGED].last);
    }
}

void subtree_passed_on(struct subtree *s, bool done)
{
    pthread_mutex_lock(&s->lock);
    while (s->places[PLACE_TAKEN].last) /* from the end, so that they wait in their old order */
        came_back(s, s->places[PLACE_TAKEN].last, done);
    pthread_mutex_unlock(&s->lock);
}

uint32_t subtree_count(struct subtree *s)
{
    pthread_mutex_lock(&s->lock);
    uint32_t count = s->word_count;
    pthread_mutex_unlock(&s->lock);
    return count;
}
