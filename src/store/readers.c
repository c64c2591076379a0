#include "store/write_int.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/*
 * A thread of its own clears the slots of dead readers: LMDB takes the lock of their table for
 * that, and a reader that was stopped while it held the lock stops whoever wants it.
 *
 * It also sees who stays in one transaction. Slots are looked at several times a second: one that
 * is in the same transaction each time is either busy without a pause, or stuck. A commit that
 * changes nothing (store_tick) tells the two apart, since who begins anew sees it.
 */

enum {
    PERIOD_MS = 1000,
    SAMPLES = 8,
    SEEN_MAX = 1024,
    PROBE_AFTER_MS = 3000,
    STUCK_AFTER_MS = 5000,
    STOP_WAIT_MS = 1000,
};

struct seen {
    struct slot slot;
    int64_t since_ms;
    int last_sample;
};

struct seen_list {
    struct seen items[SEEN_MAX];
    size_t count;
    size_t hint; /* slots come in the same order each time */
};

struct watch {
    pthread_t thread;
    pthread_mutex_t lock; /* for all below, except what only the thread uses */
    pthread_cond_t wake, ended_cond;
    bool stop, ended;
    bool left; /* nobody waits for its end any more: then it is the thread that frees it */
    bool wants_probe;
    struct store_reader_info stuck[16];
    uint32_t stuck_count;
    uint64_t cleared;

    struct store *store; /* the thread's own from here on */
    struct seen_list lists[2];
    int now_list;
    int sample;
    int64_t now_ms;
};

/* ------------------------------------------------------------------ who is in a transaction */

static bool same(const struct slot *a, const struct slot *b)
{
    return a->id == b->id && a->thread == b->thread && a->txn == b->txn;
}

static struct seen *find(struct seen_list *list, const struct slot *slot)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t at = (list->hint + i) % list->count;
        if (same(&list->items[at].slot, slot)) {
            list->hint = at + 1;
            return &list->items[at];
        }
    }
    return NULL;
}

static void see(const struct slot *slot, void *arg)
{
    struct watch *w = arg;
    struct seen_list *now = &w->lists[w->now_list], *before = &w->lists[!w->now_list];
    if (slot->txn == UINT64_MAX)
        return;
    if (w->sample > 0) {
        struct seen *item = find(now, slot);
        if (item && item->last_sample == w->sample - 1)
            item->last_sample = w->sample;
        return;
    }
    if (now->count == SEEN_MAX)
        return;
    const struct seen *known = find(before, slot);
    now->items[now->count++] = (struct seen){
        .slot = *slot, .since_ms = known ? known->since_ms : w->now_ms, .last_sample = 0};
}

static void sample(struct watch *w, MDB_env *env)
{
    w->now_list = !w->now_list;
    struct seen_list *now = &w->lists[w->now_list];
    now->count = 0;
    w->now_ms = clock_mono_ms();
    for (w->sample = 0; w->sample < SAMPLES; w->sample++) {
        now->hint = 0;
        db_each_slot(env, see, w);
        if (w->sample == 0 && now->count == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    size_t kept = 0;
    for (size_t i = 0; i < now->count; i++)
        if (now->items[i].last_sample == SAMPLES - 1)
            now->items[kept++] = now->items[i];
    now->count = kept;
}

static void name(struct store_reader_info *ret, const struct seen *item, int64_t now_ms,
                 uint64_t base)
{
    *ret = (struct store_reader_info){
        .pid = lmdb_os_pid_of(item->slot.id),
        .txn = base + item->slot.txn,
        .since_ms = now_ms - item->since_ms,
    };
}

static void publish(struct watch *w, struct db *db, int dead)
{
    MDB_envinfo info;
    if (mdb_env_info(db->env, &info) != 0)
        return;
    const struct seen_list *now = &w->lists[w->now_list];
    pthread_mutex_lock(&w->lock);
    w->cleared += (uint64_t)dead;
    w->stuck_count = 0;
    w->wants_probe = false;
    for (size_t i = 0; i < now->count; i++) {
        const struct seen *item = &now->items[i];
        int64_t age_ms = w->now_ms - item->since_ms;
        bool is_old = item->slot.txn < info.me_last_txnid;
        if (!is_old && age_ms >= PROBE_AFTER_MS)
            w->wants_probe = true;
        if (!is_old || age_ms < STUCK_AFTER_MS)
            continue;
        if (w->stuck_count < sizeof w->stuck / sizeof *w->stuck)
            name(&w->stuck[w->stuck_count], item, w->now_ms, db->base);
        w->stuck_count++;
    }
    pthread_mutex_unlock(&w->lock);
}

/* ------------------------------------------------------------------ the thread */

/* The directory in use, which will not be closed before looked_at is NULL again. */
static struct db *hold(struct store *s)
{
    struct db *db = atomic_load(&s->db);
    for (;;) {
        atomic_store(&s->looked_at, db);
        struct db *again = atomic_load(&s->db);
        if (again == db)
            return db;
        db = again;
    }
}

static void look(struct watch *w)
{
    struct db *db = hold(w->store);
    int dead = 0;
    sample(w, db->env);
    mdb_reader_check(db->env, &dead);
    if (dead > 0)
        log_debug("store: cleared %d slots of readers that died", dead);
    publish(w, db, dead);
}

static struct timespec in_ms(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void free_watch(struct watch *w)
{
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->ended_cond);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

static void *run(void *arg)
{
    struct watch *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        pthread_mutex_unlock(&w->lock);
        look(w);
        pthread_mutex_lock(&w->lock);
        if (!w->stop)
            atomic_store(&w->store->looked_at, NULL);
        struct timespec until = in_ms(PERIOD_MS);
        while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
            ;
    }
    w->ended = true;
    bool left = w->left;
    pthread_cond_signal(&w->ended_cond);
    pthread_mutex_unlock(&w->lock);
    if (left)
        free_watch(w);
    return NULL;
}

enum hoist_err watch_start(struct store *s)
{
    struct watch *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return err_set(HOIST_ENOMEM, "out of memory");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_cond_init(&w->ended_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&w->lock, NULL);
    w->store = s;
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        free_watch(w);
        return err_set(HOIST_EIO, "store: cannot start a thread: %s", strerror(rc));
    }
    s->writer->watch = w;
    return HOIST_OK;
}

bool watch_stop(struct store *s)
{
    struct watch *w = s->writer->watch;
    if (!w)
        return true;
    struct timespec until = in_ms(STOP_WAIT_MS);
    int rc = 0;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    while (!w->ended && rc == 0)
        rc = pthread_cond_timedwait(&w->ended_cond, &w->lock, &until);
    bool ended = w->ended;
    w->left = !ended;
    pthread_mutex_unlock(&w->lock);
    s->writer->watch = NULL;
    if (!ended) {
        pthread_detach(w->thread);
        return false;
    }
    pthread_join(w->thread, NULL);
    free_watch(w);
    return true;
}

bool watch_wants_probe(struct store *s)
{
    struct watch *w = s->writer->watch;
    pthread_mutex_lock(&w->lock);
    bool wants = w->wants_probe;
    w->wants_probe = false; /* one is enough: who is still there then is stuck */
    pthread_mutex_unlock(&w->lock);
    return wants;
}

uint32_t watch_stuck(struct store *s, struct store_reader_info *ret, uint32_t max,
                     uint64_t *ret_cleared)
{
    struct watch *w = s->writer->watch;
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < max && i < w->stuck_count; i++)
        ret[i] = w->stuck[i];
    uint32_t count = w->stuck_count;
    *ret_cleared = w->cleared;
    pthread_mutex_unlock(&w->lock);
    return count;
}
