#include "client/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "client/fork.h"
#include "client/keeper.h"
#include "client/source.h"

static void raise_fd(const hoist *h)
{
    int fd = atomic_load(&h->watch_fd);
    uint64_t one = 1;
    if (fd >= 0 && write(fd, &one, sizeof one) < 0)
        return; /* it is full, and so readable */
}

static bool is_watched(const struct source *s)
{
    for (const hoist *h = s->hoists; h; h = h->next)
        if (atomic_load(&h->watch_fd) >= 0)
            return true;
    return false;
}

static bool watch_file(int inotify_fd, struct source *s)
{
    const struct era *e = atomic_load(&s->era);
    /* No store yet: it will be watched when it is opened. */
    s->heard =
        !e || inotify_add_watch(inotify_fd, store_counters_path(e->mount->store), IN_MODIFY) >= 0;
    return s->heard;
}

void watch_source(struct source *s)
{
    if (!is_watched(s))
        return;
    if (s->threaded)
        (void)watch_file(keeper_inotify(), s);
    for (hoist *h = s->hoists; h; h = h->next) {
        int fd = atomic_load(&h->watch_fd);
        if (s->threaded)
            raise_fd(h);
        else if (fd >= 0)
            (void)watch_file(fd, s);
    }
}

void watch_poll(struct source *s)
{
    struct era *e = atomic_load(&s->era);
    struct store_read *r;
    if (!e || s->heard || !is_watched(s) || store_read_begin(e->mount->store, false, &r))
        return;
    uint64_t txn = store_read_txn(r);
    store_read_end(r);
    if (txn == s->watched_txn)
        return;
    s->watched_txn = txn;
    for (hoist *h = s->hoists; h; h = h->next)
        raise_fd(h);
}

void watch_raise_all(void)
{
    pthread_mutex_lock(&sources_lock);
    for (struct source *s = sources; s; s = s->next)
        for (hoist *h = s->hoists; s->threaded && h; h = h->next)
            raise_fd(h);
    pthread_mutex_unlock(&sources_lock);
}

void watch_drain(int inotify_fd)
{
    char events[4096];
    while (read(inotify_fd, events, sizeof events) > 0)
        ;
}

void watch_forget(hoist *h)
{
    atomic_store(&h->watch_fd, -1);
}

void watch_done(hoist *h)
{
    int fd = atomic_exchange(&h->watch_fd, -1);
    if (fd >= 0)
        close(fd);
}

/* ------------------------------------------------------------------ what programs call */

static int watch_open(hoist *h)
{
    struct source *s = h->source;
    int fd = s->threaded ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
                         : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) {
        err_set(HOIST_EIO, "cannot make a descriptor to watch the store: %s", strerror(errno));
        return -1;
    }
    /* Watched from here on, so that no change is missed after the caller has the descriptor. The
     * thread needs no inotify: it looks by itself where there is none. */
    if (!watch_file(s->threaded ? keeper_inotify() : fd, s) && !s->threaded) {
        err_set(HOIST_EIO, "cannot watch the store in %s: %s", s->dir, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

int hoist_watch_fd(hoist *h)
{
    if (!h) {
        err_set(HOIST_EINVAL, "there is no handle to watch");
        return -1;
    }
    fork_check();
    pthread_mutex_lock(&sources_lock);
    int fd = atomic_load(&h->watch_fd);
    if (fd < 0) {
        fd = watch_open(h);
        atomic_store(&h->watch_fd, fd);
    }
    pthread_mutex_unlock(&sources_lock);
    return fd;
}

void hoist_watch_clear(hoist *h)
{
    if (!h)
        return;
    fork_check();
    int fd = atomic_load(&h->watch_fd);
    uint64_t count;
    if (fd < 0)
        return;
    if (!h->source->threaded)
        watch_drain(fd);
    else if (read(fd, &count, sizeof count) < 0)
        return; /* it was clear */
}
