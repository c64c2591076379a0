#include "client/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "client/decoded.h"
#include "client/grace.h"
#include "client/source.h"
#include "client/watch.h"

enum { LOOK_EVERY_MS = 500, STACK_SIZE = 512 << 10 };

static struct {
    _Atomic bool running;
    _Atomic bool stop;
    pthread_t thread;
    _Atomic int wake_fd;    /* an eventfd; -1: none */
    _Atomic int inotify_fd; /* -1: none */
} keeper = {.wake_fd = -1, .inotify_fd = -1};

#ifdef GRACE_TSAN
char grace_order;
#endif

bool keeper_running(void)
{
    return atomic_load_explicit(&keeper.running, memory_order_relaxed);
}

void keeper_wake(void)
{
    int fd = atomic_load(&keeper.wake_fd);
    uint64_t one = 1;
    if (fd >= 0 && write(fd, &one, sizeof one) < 0)
        return; /* it is full: awake already */
}

int keeper_inotify(void)
{
    if (atomic_load(&keeper.inotify_fd) < 0) {
        atomic_store(&keeper.inotify_fd, inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        keeper_wake(); /* so that it waits on this too */
    }
    return atomic_load(&keeper.inotify_fd);
}

/* ------------------------------------------------------------------ its work */

static void look_at_sources(void)
{
    pthread_mutex_lock(&sources_lock);
    for (struct source *s = sources; s; s = s->next) {
        if (!s->threaded)
            continue;
        if (source_look(s))
            err_clear(); /* it is tried again, and nobody asked for a reason */
        watch_poll(s);
    }
    pthread_mutex_unlock(&sources_lock);
}

static void clean_up(void)
{
    struct decoded *replaced = decoded_take_replaced();
    pthread_mutex_lock(&sources_lock);
    bool left = sources_await();
    if (!left)
        mounts_sweep(); /* views may have ended */
    pthread_mutex_unlock(&sources_lock);
    if (!replaced && !left)
        return;
    grace_wait(); /* with no lock held: it takes as long as the slowest reader */
    decoded_free_list(replaced);
    if (left) {
        pthread_mutex_lock(&sources_lock);
        sources_give_back();
        pthread_mutex_unlock(&sources_lock);
    }
}

static void drain_wakes(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) > 0)
        ;
}

/* Wait until something happens or it is time. Returns whether it is time to look. */
static bool wait_until(int64_t look_ms)
{
    struct pollfd fds[2] = {
        {.fd = atomic_load(&keeper.wake_fd), .events = POLLIN},
        {.fd = atomic_load(&keeper.inotify_fd), .events = POLLIN},
    };
    int64_t left = look_ms - clock_mono_ms();
    if (poll(fds, 2, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
        usleep(LOOK_EVERY_MS * 1000); /* somebody closed our descriptors: at least do not spin */
    if (fds[1].revents) {
        watch_drain(fds[1].fd);
        watch_raise_all();
    }
    if (fds[0].revents) {
        drain_wakes(fds[0].fd);
        return true;
    }
    return clock_mono_ms() >= look_ms;
}

static void *run(void *arg)
{
    int64_t look_ms = clock_mono_ms() + LOOK_EVERY_MS;
    while (!atomic_load(&keeper.stop)) {
        if (!wait_until(look_ms))
            continue;
        look_at_sources();
        clean_up();
        look_ms = clock_mono_ms() + LOOK_EVERY_MS;
    }
    return arg;
}

/* ------------------------------------------------------------------ its life */

static bool start_thread(void)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&keeper.thread, &attr, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (ok)
        (void)pthread_setname_np(keeper.thread, "hoist");
    return ok;
}

static void close_fd(_Atomic int *fd)
{
    int old = atomic_exchange(fd, -1);
    if (old >= 0)
        close(old);
}

void keeper_start(void)
{
    if (keeper_running())
        return;
    atomic_store(&keeper.stop, false);
    atomic_store(&keeper.wake_fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (atomic_load(&keeper.wake_fd) >= 0 && start_thread())
        atomic_store(&keeper.running, true);
    else
        close_fd(&keeper.wake_fd);
}

void keeper_stop(void)
{
    if (!keeper_running())
        return;
    atomic_store(&keeper.stop, true);
    keeper_wake();
    pthread_join(keeper.thread, NULL);
    atomic_store(&keeper.running, false);
    close_fd(&keeper.wake_fd);
    close_fd(&keeper.inotify_fd);
    decoded_free_list(decoded_take_replaced()); /* no handle is left, so nobody reads them */
}

void keeper_forget(void)
{
    /* The descriptors are shared with the parent; and the program may have closed them and opened
     * something else under their numbers. So they are left alone. */
    atomic_store(&keeper.running, false);
    atomic_store(&keeper.wake_fd, -1);
    atomic_store(&keeper.inotify_fd, -1);
}
