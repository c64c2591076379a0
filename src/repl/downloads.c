#include "repl/downloads.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "flag/flag.h"

struct place { /* in use while until_ms is ahead */
    uint32_t connection;
    const void *peer;
    uint16_t env;
    int64_t until_ms;
    uint8_t after[FLAG_KEY_MAX]; /* where its furthest page begins */
    size_t after_len;
};

struct pin {
    uint16_t env;
    uint64_t version;
    int64_t since_ms, until_ms; /* until 0: free */
};

struct downloads {
    struct store *store;
    pthread_mutex_t lock;
    struct place places[DOWNLOADS_MAX];
    struct pin pins[DOWNLOAD_PINS_MAX];
};

enum hoist_err downloads_new(struct store *s, struct downloads **ret)
{
    struct downloads *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    d->store = s;
    pthread_mutex_init(&d->lock, NULL);
    *ret = d;
    return HOIST_OK;
}

/* Tell the store the lowest version that is still needed of `env`. */
static void pin_lowest(struct downloads *d, uint16_t env)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < DOWNLOAD_PINS_MAX; i++) {
        const struct pin *p = &d->pins[i];
        if (p->until_ms && p->env == env && p->version < lowest)
            lowest = p->version;
    }
    store_log_pin(d->store, env, lowest);
}

static void drop_pin(struct downloads *d, struct pin *p)
{
    p->until_ms = 0;
    pin_lowest(d, p->env);
}

/* The pin of (env, version), else a free one, else the one that would end first. */
static struct pin *find_pin(struct downloads *d, uint16_t env, uint64_t version)
{
    struct pin *best = &d->pins[0];
    for (size_t i = 0; i < DOWNLOAD_PINS_MAX; i++) {
        struct pin *p = &d->pins[i];
        if (p->until_ms && p->env == env && p->version == version)
            return p;
        if (p->until_ms < best->until_ms)
            best = p;
    }
    if (best->until_ms)
        drop_pin(d, best);
    return best;
}

static void keep_log(struct downloads *d, uint16_t env, uint64_t version, int64_t now_ms)
{
    struct pin *p = find_pin(d, env, version);
    if (p->until_ms == 0)
        *p = (struct pin){.env = env, .version = version, .since_ms = now_ms};
    if (now_ms - p->since_ms <= DOWNLOAD_PIN_LONGEST_MS)
        p->until_ms = now_ms + DOWNLOAD_PIN_MS;
    pin_lowest(d, env);
}

static struct place *own_place(struct downloads *d, const struct download_asker *asker,
                               uint16_t env, int64_t now_ms)
{
    for (size_t i = 0; i < DOWNLOADS_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->until_ms > now_ms && p->connection == asker->connection && p->env == env)
            return p;
    }
    return NULL;
}

static enum download_place find_place(struct downloads *d, const struct download_asker *asker,
                                      int64_t now_ms, struct place **ret)
{
    struct place *free_one = NULL;
    int of_peer = 0;
    for (size_t i = 0; i < DOWNLOADS_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->until_ms <= now_ms)
            free_one = p;
        else if (p->peer == asker->peer)
            of_peer++;
    }
    if (of_peer >= DOWNLOADS_PEER_MAX)
        return DOWNLOAD_PEER_HAS_MOST;
    if (!free_one)
        return DOWNLOAD_NONE_IS_FREE;
    *ret = free_one;
    return DOWNLOAD_HAS;
}

/* `p` is `asker`'s for some time from this page on. */
static void take_place(struct place *p, const struct download_asker *asker, uint16_t env,
                       struct slice after_key, int64_t now_ms)
{
    *p = (struct place){.connection = asker->connection,
                        .peer = asker->peer,
                        .env = env,
                        .until_ms = now_ms + DOWNLOAD_SILENT_MS,
                        .after_len = after_key.len < FLAG_KEY_MAX ? after_key.len : FLAG_KEY_MAX};
    if (p->after_len > 0)
        memcpy(p->after, after_key.ptr, p->after_len);
}

enum download_place downloads_page(struct downloads *d, const struct download_asker *asker,
                                   uint16_t env, uint64_t version, struct slice after_key,
                                   int64_t now_ms)
{
    enum download_place found = DOWNLOAD_HAS;
    pthread_mutex_lock(&d->lock);
    struct place *p = own_place(d, asker, env, now_ms);
    if (!p)
        found = find_place(d, asker, now_ms, &p);
    else if (slice_cmp(after_key, slice_of(p->after, p->after_len)) <= 0)
        p = NULL; /* no further than before: it keeps its time */
    if (p)
        take_place(p, asker, env, after_key, now_ms);
    if (found == DOWNLOAD_HAS)
        keep_log(d, env, version, now_ms);
    pthread_mutex_unlock(&d->lock);
    return found;
}

void downloads_end(struct downloads *d, const struct download_asker *asker, uint16_t env,
                   int64_t now_ms)
{
    pthread_mutex_lock(&d->lock);
    struct place *p = own_place(d, asker, env, now_ms);
    if (p)
        p->until_ms = now_ms;
    pthread_mutex_unlock(&d->lock);
}

void downloads_tick(struct downloads *d, int64_t now_ms)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < DOWNLOAD_PINS_MAX; i++)
        if (d->pins[i].until_ms && d->pins[i].until_ms <= now_ms)
            drop_pin(d, &d->pins[i]);
    pthread_mutex_unlock(&d->lock);
}

void downloads_free(struct downloads *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < DOWNLOAD_PINS_MAX; i++)
        if (d->pins[i].until_ms)
            drop_pin(d, &d->pins[i]);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}
