#include "client/source.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/grace.h"
#include "client/watch.h"

enum { LOOK_EVERY_MS = 1000 };

pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t sources_lock = PTHREAD_MUTEX_INITIALIZER;
struct source *sources;

static struct mount *mounts; /* under sources_lock */

/* ------------------------------------------------------------------ mounts */

static bool identify(const char *dir, const char *name, struct stat *ret)
{
    char path[PATH_MAX + 32];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    return len > 0 && (size_t)len < sizeof path && stat(path, ret) == 0;
}

/* The same of a store that is open: of the directory that it did open, wherever the link may
 * have moved to by now. */
static bool identify_open(const struct store *s, struct stat *ret)
{
    char dir[PATH_MAX];
    const char *counters = store_counters_path(s);
    const char *slash = strrchr(counters, '/');
    if (!slash || (size_t)(slash - counters) >= sizeof dir)
        return false;
    memcpy(dir, counters, (size_t)(slash - counters));
    dir[slash - counters] = '\0';
    return identify(dir, "data.mdb", ret);
}

static struct mount *mount_find(const struct stat *st)
{
    struct mount *m = mounts;
    while (m && (m->dev != st->st_dev || m->ino != st->st_ino))
        m = m->next;
    return m;
}

static enum hoist_err mount_lent(struct store *lent, struct mount **ret)
{
    struct mount *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return err_set(HOIST_ENOMEM, "out of memory");
    *m = (struct mount){.store = lent, .lent = true, .users = 1, .next = mounts};
    mounts = m;
    *ret = m;
    return HOIST_OK;
}

static enum hoist_err mount_open(const char *dir, struct mount **ret)
{
    struct store *s;
    enum hoist_err err = store_open_reader(dir, 0, &s);
    if (err)
        return err;
    struct stat st = {0};
    struct mount *m = mem_zalloc(1, sizeof *m);
    if (!m)
        err = err_set(HOIST_ENOMEM, "out of memory");
    else if (!identify_open(s, &st))
        err = HOIST_ENOTFOUND; /* it went away at this very moment: look again */
    if (err) {
        mem_free(m);
        store_close(s);
        return err;
    }
    *m = (struct mount){.store = s, .dev = st.st_dev, .ino = st.st_ino, .users = 1, .next = mounts};
    mounts = m;
    *ret = m;
    return HOIST_OK;
}

/* Share the mount that is open, or open one. `not_this`: it has no counters; another try may. */
static enum hoist_err mount_get(const char *dir, const struct mount *not_this, struct mount **ret)
{
    struct stat st;
    struct mount *m = identify(dir, "current/data.mdb", &st) ? mount_find(&st) : NULL;
    if (!m || m == not_this)
        return mount_open(dir, ret);
    m->users++;
    *ret = m;
    return HOIST_OK;
}

void mounts_sweep(void)
{
    struct mount **at = &mounts;
    while (*at) {
        struct mount *m = *at;
        if (m->users > 0 || atomic_load(&m->views) > 0) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        if (!m->lent)
            store_close(m->store);
        mem_free(m);
    }
}

/* ------------------------------------------------------------------ eras */

static void era_give_back(struct era *e)
{
    e->mount->users--;
    e->mount = NULL;
    e->leaving = e->awaited = false;
}

/* Nothing that was decoded in another era than `now` may be trusted from here on. */
static bool void_others(struct source *s, const struct era *now)
{
    bool ok = true;
    for (struct era *e = s->eras; e; e = e->older)
        ok &= e == now || words_void(&e->words);
    return ok;
}

static void change_era(struct source *s, struct era *to)
{
    struct era *from = atomic_load(&s->era);
    to->older = s->eras;
    s->eras = to;
    if (s->threaded) {
        atomic_store(&s->era, to);
        if (from)
            from->leaving = true;
        return;
    }
    pthread_rwlock_wrlock(&s->gate);
    atomic_store(&s->era, to);
    pthread_rwlock_unlock(&s->gate);
    if (from)
        era_give_back(from);
}

static bool is_up_to_date(const struct source *s, const struct era *now)
{
    if (s->lent)
        return now && !era_is_retired(now);
    return now && store_words(now->mount->store) && !store_is_replaced(now->mount->store);
}

/* The mount to begin an era with. *ret_none: nothing is better than before. */
static enum hoist_err better_mount(struct source *s, struct mount *old, struct mount **ret,
                                   bool *ret_none)
{
    *ret_none = false;
    if (s->lent) /* which has changed its directory by itself */
        return mount_lent(s->lent, ret);
    /* One that was opened when its counters were wrong reads cold, and looks again. */
    bool blind = old && !store_words(old->store) && !store_is_replaced(old->store);
    enum hoist_err err = mount_get(s->dir, blind ? old : NULL, ret);
    if (!err)
        *ret_none = *ret == old || (blind && !store_words((*ret)->store));
    return err;
}

static enum hoist_err look(struct source *s)
{
    struct era *now = atomic_load(&s->era);
    if (is_up_to_date(s, now))
        return HOIST_OK;
    struct mount *mount;
    bool none;
    enum hoist_err err = better_mount(s, now ? now->mount : NULL, &mount, &none);
    if (err)
        return err;
    struct era *e = NULL;
    if (none)
        goto out;

    e = mem_zalloc(1, sizeof *e);
    if (!e) {
        err = err_set(HOIST_ENOMEM, "out of memory");
        goto out;
    }
    e->mount = mount;
    words_init(&e->words, mount->store);
    if (!void_others(s, e)) {
        err =
            err_set(HOIST_EIO, "store %s was replaced, and the old one cannot be given up", s->dir);
        goto out;
    }
    change_era(s, e);
    watch_source(s);
    mounts_sweep();
    return HOIST_OK;
out:
    if (e)
        words_done(&e->words);
    mem_free(e);
    mount->users--;
    mounts_sweep();
    return err;
}

enum hoist_err source_look(struct source *s)
{
    enum hoist_err err = look(s);
    atomic_store(&s->why, err);
    if (!err)
        tally_join(&s->agent, s->dir);
    return err;
}

enum hoist_err source_why(const struct source *s)
{
    int why = atomic_load(&s->why);
    if (why == HOIST_OK || why == HOIST_ENOTFOUND)
        return HOIST_ENOTFOUND;
    return err_set((enum hoist_err)why, "the store in %s cannot be read: %s%s", s->dir,
                   err_word((enum hoist_err)why),
                   why == HOIST_EACCES ? "; is this user in the store's group?" : "");
}

bool sources_await(void)
{
    bool any = false;
    for (struct source *s = sources; s; s = s->next)
        for (struct era *e = s->eras; e; e = e->older)
            any |= e->awaited = e->leaving;
    return any;
}

void sources_give_back(void)
{
    for (struct source *s = sources; s; s = s->next)
        for (struct era *e = s->eras; e; e = e->older)
            if (e->awaited)
                era_give_back(e);
    mounts_sweep();
}

void sources_after_fork(void)
{
    for (struct mount *m = mounts, *next; m; m = next) {
        next = m->next;
        if (!m->lent)
            store_abandon(m->store);
        mem_free(m);
    }
    mounts = NULL;
    for (struct source *s = sources; s; s = s->next) {
        /* Words are shared memory and stay true, so what is cached still holds; the next era
         * will put an end to that. */
        for (struct era *e = s->eras; e; e = e->older) {
            e->mount = NULL;
            e->leaving = e->awaited = false;
        }
        atomic_store(&s->era, NULL);
        tally_leave(&s->agent);
    }
    for (struct source *s = sources; s; s = s->next)
        if (source_look(s))
            err_clear(); /* it is tried again, and nobody asked for a reason */
}

/* ------------------------------------------------------------------ sources */

static enum hoist_err gate_init(pthread_rwlock_t *gate)
{
    pthread_rwlockattr_t attr;
    if (pthread_rwlockattr_init(&attr) != 0)
        return err_set(HOIST_ENOMEM, "out of memory");
    /* Else readers that never pause would keep a new era away for good. */
    (void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int rc = pthread_rwlock_init(gate, &attr);
    pthread_rwlockattr_destroy(&attr);
    return rc ? err_set(HOIST_ENOMEM, "out of memory") : HOIST_OK;
}

void source_gate_renew(struct source *s)
{
    (void)gate_init(&s->gate);
}

static enum hoist_err source_new(const char *dir, struct store *lent, bool threaded,
                                 struct source **ret)
{
    if (strlen(dir) >= sizeof sources->dir)
        return err_set(HOIST_EINVAL, "the store's path is too long: %.60s…", dir);
    struct source *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "out of memory");
    memcpy(s->dir, dir, strlen(dir) + 1);
    s->lent = lent;
    s->threaded = threaded;
    s->agent.fd = -1;
    enum hoist_err err = gate_init(&s->gate);
    if (err) {
        mem_free(s);
        return err;
    }
    s->next = sources;
    sources = s;
    *ret = s;
    return HOIST_OK;
}

enum hoist_err source_open(const char *dir, struct store *lent, bool threaded, struct source **ret)
{
    *ret = NULL;
    pthread_mutex_lock(&sources_lock);
    struct source *s = sources;
    while (s && (s->threaded != threaded || s->lent != lent || strcmp(s->dir, dir) != 0))
        s = s->next;
    enum hoist_err err = s ? HOIST_OK : source_new(dir, lent, threaded, &s);
    if (!err) {
        s->users++;
        err = source_look(s);
        atomic_store(&s->looked_ms, clock_mono_ms());
        *ret = s;
    }
    pthread_mutex_unlock(&sources_lock);
    if (err == HOIST_ENOTFOUND)
        err = err_set(err, "there is no store in %s (yet); does hoistd run on this host?", dir);
    return err;
}

void source_close(struct source *s)
{
    pthread_mutex_lock(&sources_lock);
    if (--s->users > 0) {
        pthread_mutex_unlock(&sources_lock);
        return;
    }
    struct source **at = &sources;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    /* No handle is left, so nobody is reading, and nobody looks at words any more. */
    for (struct era *e = s->eras, *older; e; e = older) {
        older = e->older;
        if (e->mount)
            era_give_back(e);
        words_done(&e->words);
        mem_free(e);
    }
    mounts_sweep();
    tally_leave(&s->agent);
    pthread_mutex_unlock(&sources_lock);
    pthread_rwlock_destroy(&s->gate);
    mem_free(s);
}

/* ------------------------------------------------------------------ readers */

struct era *source_enter(struct source *s)
{
    if (s->threaded)
        grace_enter();
    else
        pthread_rwlock_rdlock(&s->gate);
    struct era *e = atomic_load_explicit(&s->era, memory_order_acquire);
    if (!e)
        source_leave(s);
    return e;
}

void source_leave(struct source *s)
{
    if (s->threaded)
        grace_leave();
    else
        pthread_rwlock_unlock(&s->gate);
}

bool source_due(struct source *s, bool now)
{
    int64_t ms = clock_mono_ms();
    int64_t last = atomic_load_explicit(&s->looked_ms, memory_order_relaxed);
    now = now && atomic_load_explicit(&s->why, memory_order_relaxed) == HOIST_OK;
    if (!now && ms - last < LOOK_EVERY_MS)
        return false;
    return atomic_compare_exchange_strong(&s->looked_ms, &last, ms);
}
