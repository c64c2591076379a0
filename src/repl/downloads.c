#include "repl/downloads.h"

#include <pthread.h>

#include "base/mem.h"

struct place { /* in use while until_ms is ahead */
    uint32_t asker;
    uint16_t env;
    int64_t until_ms;
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

static struct place *find_place(struct downloads *d, uint32_t asker, uint16_t env, int64_t now_ms)
{
    struct place *free_one = NULL;
    for (size_t i = 0; i < DOWNLOADS_MAX; i++) {
        struct place *p = &d->places[i];
        if (p->until_ms > now_ms && p->asker == asker && p->env == env)
            return p;
        if (p->until_ms <= now_ms)
            free_one = p;
    }
    return free_one;
}

bool downloads_page(struct downloads *d, uint32_t asker, uint16_t env, uint64_t version,
                    int64_t now_ms)
{
    pthread_mutex_lock(&d->lock);
    struct place *p = find_place(d, asker, env, now_ms);
    if (p) {
        *p = (struct place){.asker = asker, .env = env, .until_ms = now_ms + DOWNLOAD_SILENT_MS};
        keep_log(d, env, version, now_ms);
    }
    pthread_mutex_unlock(&d->lock);
    return p != NULL;
}

void downloads_end(struct downloads *d, uint32_t asker, uint16_t env, int64_t now_ms)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < DOWNLOADS_MAX; i++)
        if (d->places[i].asker == asker && d->places[i].env == env)
            d->places[i].until_ms = now_ms;
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
