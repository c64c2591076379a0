#include "repl/ticker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct ticker {
    uint32_t every_ms;
    void (*call)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool ending;
};

static void add_ms(struct timespec *t, uint32_t ms)
{
    t->tv_sec += ms / 1000;
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

static void *run(void *arg)
{
    struct ticker *t = arg;
    struct timespec next;
    pthread_mutex_lock(&t->lock);
    while (!t->ending) {
        clock_gettime(CLOCK_MONOTONIC, &next);
        add_ms(&next, t->every_ms);
        while (!t->ending && pthread_cond_timedwait(&t->ended, &t->lock, &next) == 0)
            ;
        if (t->ending)
            break;
        pthread_mutex_unlock(&t->lock);
        t->call(t->arg);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum hoist_err ticker_start(uint32_t every_ms, void (*call)(void *arg), void *arg,
                            struct ticker **ret)
{
    struct ticker *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    *t = (struct ticker){.every_ms = every_ms, .call = call, .arg = arg};
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&t->ended, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_init(&t->lock, NULL);

    sigset_t all, before; /* signals are for the program's own thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        mem_free(t);
        return err_set(HOIST_EIO, "repl: no thread for the heartbeats: %s", strerror(rc));
    }
    *ret = t;
    return HOIST_OK;
}

void ticker_stop(struct ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}
