#include "repl/uplink.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "repl/net.h"

enum {
    GATHER_MS = 5,      /* hosts that have committed one change are told together */
    DEADLINE_MS = 2000, /* for the answer; then what was told is out of date, too */
    SLICE_MS = 100,     /* of waiting, between two looks at whether to stop */
    PAUSE_MS = 200,     /* after a failure */
    QUIET_MS = 60000,   /* between two log lines about failures */
};

struct uplink {
    struct subtree *subtree;
    void (*where)(void *arg, struct uplink_end *ret);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended_cond;
    bool ended; /* the receive is over; under `lock` while one goes on */

    /* of the thread */
    nng_aio *receive;
    nng_socket req;
    struct uplink_end end; /* where `req` leads to; without a URL: it is not open */
    int64_t told_ms;       /* when a failure was last logged; 0: not since it last went well */
    struct metric *passed, *failed;
};

static void nap(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---------------------------------------------------------------- the connection */

static void hang_up(struct uplink *u)
{
    if (u->end.url && !net_close(u->req))
        log_warn("repl: nng does not let go of a connection; it ends with this process");
    net_tls_drop(u->end.tls);
    u->end = (struct uplink_end){0};
}

static enum hoist_err set_up(nng_socket req, const struct uplink_end *end)
{
    /* nng would send it again by itself, also to a peer that has taken it. */
    int rc = nng_socket_set_ms(req, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rc == 0)
        rc = nng_socket_set_ms(req, NNG_OPT_SENDTIMEO, SLICE_MS);
    if (rc != 0)
        return net_err(rc, "repl: the socket for what hosts tell");
    return net_dial(req, end->url, NET_REPLY_MAX, end->tls, NULL);
}

/* Takes over `end`. */
static enum hoist_err dial(struct uplink *u, struct uplink_end *end)
{
    int rc = nng_req0_open(&u->req);
    if (rc != 0) {
        net_tls_drop(end->tls);
        return net_err(rc, "repl: the socket for what hosts tell");
    }
    u->end = *end;
    enum hoist_err err = set_up(u->req, &u->end);
    if (err != HOIST_OK)
        hang_up(u);
    return err;
}

/* To the upstream that is followed now. */
static enum hoist_err reach(struct uplink *u)
{
    struct uplink_end now;
    u->where(u->arg, &now);
    if (u->end.url && strcmp(u->end.url, now.url) == 0 && u->end.tls == now.tls &&
        u->end.losses == now.losses) {
        net_tls_drop(now.tls);
        return HOIST_OK;
    }
    hang_up(u);
    return dial(u, &now);
}

/* ---------------------------------------------------------------- one frame */

static const char *url_now(struct uplink *u)
{
    struct uplink_end now;
    u->where(u->arg, &now);
    net_tls_drop(now.tls);
    return now.url;
}

/* Whether there is any use in waiting on. */
static bool goes_on(struct uplink *u, int64_t until_ms)
{
    return clock_mono_ms() < until_ms && !subtree_is_closed(u->subtree) &&
           strcmp(u->end.url, url_now(u)) == 0;
}

static enum hoist_err read_error(struct slice in)
{
    struct slice why;
    enum hoist_err err = frame_get_error_reply(in, &why);
    return err == HOIST_OK ? err_set(HOIST_ECORRUPT, "%.*s", SLICE_ARG(why)) : err;
}

static enum hoist_err read_answer(struct slice in)
{
    enum frame_kind kind;
    uint32_t status;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (err == HOIST_OK && kind == FRAME_ERROR_REPLY)
        return read_error(in);
    if (err == HOIST_OK)
        err = frame_get_status_reply(in, &status);
    if (err == HOIST_OK && status == REPLY_BUSY)
        err = err_set(HOIST_EBUSY, "it is busy");
    return err;
}

static void on_received(void *uplink)
{
    struct uplink *u = uplink;
    pthread_mutex_lock(&u->lock);
    u->ended = true;
    pthread_cond_signal(&u->ended_cond);
    pthread_mutex_unlock(&u->lock);
}

/* Whether the receive is over, after SLICE_MS at most. */
static bool await_end(struct uplink *u)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SLICE_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&u->lock);
    int rc = 0;
    while (!u->ended && rc == 0)
        rc = pthread_cond_timedwait(&u->ended_cond, &u->lock, &until);
    bool ended = u->ended;
    pthread_mutex_unlock(&u->lock);
    return ended;
}

/* One receive, however long it takes: one that is given up takes the request with it (nng's REQ). */
static int receive(struct uplink *u, int64_t until_ms, nng_msg **ret)
{
    u->ended = false;
    nng_recv_aio(u->req, u->receive);
    while (!await_end(u))
        if (!goes_on(u, until_ms))
            nng_aio_abort(u->receive, NNG_ETIMEDOUT);
    nng_aio_wait(u->receive);
    int rc = nng_aio_result(u->receive);
    if (rc == 0)
        *ret = nng_aio_get_msg(u->receive);
    return rc;
}

static enum hoist_err ask(struct uplink *u, struct slice frame)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    nng_msg *m = net_msg(frame);
    if (!m)
        return err_set(HOIST_ENOMEM, "out of memory");
    int rc;
    while ((rc = nng_sendmsg(u->req, m, 0)) == NNG_ETIMEDOUT && goes_on(u, until_ms))
        ;
    if (rc != 0) {
        nng_msg_free(m);
        return net_err(rc, "not sent");
    }
    rc = receive(u, until_ms, &m);
    if (rc != 0)
        return net_err(rc, "no answer");
    enum hoist_err err = read_answer(net_msg_bytes(m));
    nng_msg_free(m);
    return err;
}

static void note(struct uplink *u, enum hoist_err err)
{
    int64_t now = clock_mono_ms();
    metric_inc(err == HOIST_OK ? u->passed : u->failed);
    if (err == HOIST_OK && u->told_ms)
        log_info("repl: %s hears again what the hosts behind this relay tell", u->end.url);
    if (err == HOIST_OK)
        u->told_ms = 0;
    if (err == HOIST_OK || subtree_is_closed(u->subtree) ||
        (u->told_ms && now - u->told_ms < QUIET_MS))
        return;
    u->told_ms = now;
    log_warn("repl: %s does not take what the hosts behind this relay tell (%s); they go on, and "
             "are not seen there until it does",
             url_now(u), err_last());
}

/* ---------------------------------------------------------------- the thread */

static void pass_on(struct uplink *u)
{
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    if (subtree_take(u->subtree, clock_mono_ms(), &frame)) {
        enum hoist_err err = reach(u);
        if (err == HOIST_OK)
            err = ask(u, buf_slice(&frame));
        subtree_passed_on(u->subtree, err == HOIST_OK);
        note(u, err);
        if (err != HOIST_OK) {
            hang_up(
                u); /* to dial at once: nng's own pauses are by the wall clock, which may jump */
            nap(PAUSE_MS);
        }
    }
    buf_done(&frame);
}

static void *run(void *arg)
{
    struct uplink *u = arg;
    while (subtree_wait(u->subtree)) {
        nap(GATHER_MS);
        pass_on(u);
    }
    hang_up(u);
    return NULL;
}

static void begin_waiting(struct uplink *u)
{
    pthread_condattr_t mono;
    pthread_mutex_init(&u->lock, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&u->ended_cond, &mono);
    pthread_condattr_destroy(&mono);
}

static void free_uplink(struct uplink *u)
{
    nng_aio_free(u->receive);
    pthread_cond_destroy(&u->ended_cond);
    pthread_mutex_destroy(&u->lock);
    mem_free(u);
}

static struct metric *frames(const char *labels)
{
    return metric_series(METRIC_COUNTER, "hoist_relayed_status_frames_total",
                         "Messages with what the hosts behind this relay tell.", labels, NULL);
}

enum hoist_err uplink_start(struct subtree *s, void (*where)(void *arg, struct uplink_end *ret),
                            void *arg, struct uplink **ret)
{
    struct uplink *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    *u = (struct uplink){.subtree = s, .where = where, .arg = arg};
    int rc = nng_aio_alloc(&u->receive, on_received, u);
    if (rc != 0) {
        mem_free(u);
        return net_err(rc, "repl: the socket for what hosts tell");
    }
    /* its time is ours to measure: nng's is by the wall clock */
    nng_aio_set_timeout(u->receive, NNG_DURATION_INFINITE);
    begin_waiting(u);
    u->passed = frames("result=\"taken\"");
    u->failed = frames("result=\"failed\"");

    sigset_t all, before; /* signals are for the program's own thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&u->thread, NULL, run, u);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free_uplink(u);
        return err_set(HOIST_EIO, "repl: no thread for what hosts tell: %s", strerror(rc));
    }
    *ret = u;
    return HOIST_OK;
}

void uplink_stop(struct uplink *u)
{
    if (!u)
        return;
    subtree_close(u->subtree);
    pthread_join(u->thread, NULL);
    free_uplink(u);
}
