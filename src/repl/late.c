#include "repl/late.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repl/ticker.h"

struct held {
    void *item;
    int64_t due_ms;
};

struct late {
    uint32_t after_ms;
    void (*give)(void *item);
    void (*tick)(void *arg, int64_t now_ms);
    void *arg;
    struct ticker *ticker;
    pthread_mutex_t lock;
    struct held places[LATE_PLACES]; /* a ring: all wait for as long, so the first is due first */
    uint32_t first, count;
};

bool late_put(struct late *l, void *item, int64_t now_ms)
{
    pthread_mutex_lock(&l->lock);
    bool ok = l->count < LATE_PLACES;
    if (ok)
        l->places[(l->first + l->count++) % LATE_PLACES] =
            (struct held){.item = item, .due_ms = now_ms + l->after_ms};
    pthread_mutex_unlock(&l->lock);
    return ok;
}

/* The first that is due; NULL: none. */
static void *take(struct late *l, int64_t now_ms)
{
    void *item = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->count > 0 && l->places[l->first].due_ms <= now_ms) {
        item = l->places[l->first].item;
        l->first = (l->first + 1) % LATE_PLACES;
        l->count--;
    }
    pthread_mutex_unlock(&l->lock);
    return item;
}

static void on_tick(void *arg)
{
    struct late *l = arg;
    int64_t now = clock_mono_ms();
    void *item;
    while ((item = take(l, now)))
        l->give(item);
    l->tick(l->arg, now);
}

enum hoist_err late_start(uint32_t after_ms, void (*give)(void *item),
                          void (*tick)(void *arg, int64_t now_ms), void *arg, struct late **ret)
{
    struct late *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    l->after_ms = after_ms;
    l->give = give;
    l->tick = tick;
    l->arg = arg;
    pthread_mutex_init(&l->lock, NULL);
    enum hoist_err err = ticker_start(LATE_EVERY_MS, on_tick, l, &l->ticker);
    if (err != HOIST_OK)
        late_free(l);
    else
        *ret = l;
    return err;
}

void late_stop(struct late *l)
{
    if (!l)
        return;
    ticker_stop(l->ticker);
    l->ticker = NULL;
}

void late_free(struct late *l)
{
    if (!l)
        return;
    late_stop(l);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}
