#include "repl/upstream.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repl/net.h"

enum {
    QUIET_MS = 300,   /* the longest wait for the moment to close … */
    TALKED_MS = 1000, /* … if anything came, or was asked, within so long */
};

enum asking { ASKING_NOTHING, ASKING_SENDS, ASKING_AWAITS };

struct upstream {
    uint32_t number;
    struct queue *queue;
    const char *url; /* borrowed */
    struct net_tls *tls;

    nng_socket sub;
    nng_dialer sub_dialer;
    nng_aio *hear;
    _Atomic int64_t heard_ms; /* 0: never */
    atomic_bool leaving;      /* close the stream's connection with the next message */
    atomic_bool left;         /* done */

    nng_socket req;
    nng_dialer req_dialer;
    bool req_is_old; /* of the loop alone: to be dialled anew */
    nng_aio *ask;
    pthread_mutex_t lock; /* of what follows: the loop asks, nng's threads answer */
    enum asking asking;
    bool given_up, abandoned; /* abandoned: nng keeps this, and the queue is not ours any more */
    struct event *answer;     /* made with the request, so that an answer cannot fail for memory */
    int64_t asked_ms, until_ms;
};

void event_free(struct event *e)
{
    if (!e)
        return;
    nng_msg_free(e->msg);
    mem_free(e);
}

/* ---------------------------------------------------------------- the stream */

static void hand_over(struct upstream *u, nng_msg *m)
{
    struct event *e = mem_zalloc(1, sizeof *e);
    if (!e) {
        nng_msg_free(m);
        return;
    }
    *e = (struct event){.kind = EVENT_MESSAGE, .upstream = u->number, .msg = m};
    if (!queue_push(u->queue, &e->link, nng_msg_len(m)))
        event_free(e);
}

static void on_message(void *arg)
{
    struct upstream *u = arg;
    int rc = nng_aio_result(u->hear);
    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED)
        return;
    if (rc == 0) {
        nng_msg *m = nng_aio_get_msg(u->hear);
        if (atomic_load(&u->leaving)) {
            /* nng calls from within its own receiving, which begins the next one behind this: here,
             * and only here, none is under way that closing could lose. */
            nng_pipe_close(nng_msg_get_pipe(m));
            nng_dialer_close(u->sub_dialer); /* or it would soon connect again */
            nng_msg_free(m);
            atomic_store(&u->left, true);
            return;
        }
        atomic_store(&u->heard_ms, clock_mono_ms());
        hand_over(u, m);
    }
    nng_recv_aio(u->sub, u->hear);
}

static void on_lost(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct upstream *u = arg;
    struct event *e = mem_zalloc(1, sizeof *e);
    (void)pipe, (void)event;
    if (!e)
        return; /* the connection for requests is closed by upstream in the end */
    *e = (struct event){.kind = EVENT_LOST, .upstream = u->number};
    if (atomic_load(&u->leaving) || !queue_push(u->queue, &e->link, 0))
        event_free(e);
}

static enum hoist_err open_stream(struct upstream *u)
{
    char stream[NET_URL_MAX];
    enum hoist_err err = net_stream_url(u->url, stream);
    if (err != HOIST_OK)
        return err;
    int rc = nng_socket_set_int(u->sub, NNG_OPT_RECVBUF, NET_QUEUE);
    if (rc == 0)
        rc = nng_socket_set(u->sub, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    if (rc == 0 && net_is_tls(stream))
        rc = nng_pipe_notify(u->sub, NNG_PIPE_EV_REM_POST, on_lost, u);
    if (rc == 0)
        rc = nng_aio_alloc(&u->hear, on_message, u);
    if (rc != 0)
        return net_err(rc, "repl: the stream's socket");
    if ((err = net_dial(u->sub, stream, NET_STREAM_MAX, u->tls, &u->sub_dialer)) == HOIST_OK)
        nng_recv_aio(u->sub, u->hear);
    return err;
}

/* ---------------------------------------------------------------- requests */

/* The end of a request: its event goes on the queue, past the bounds, for there is one at a time.
 * Called with the lock held. */
static void finish(struct upstream *u, enum event_kind kind, nng_msg *m)
{
    struct event *e = u->answer;
    u->answer = NULL;
    u->asking = ASKING_NOTHING;
    e->kind = kind;
    e->msg = m;
    if (u->abandoned || !queue_push_over(u->queue, &e->link, m ? nng_msg_len(m) : 0))
        event_free(e);
}

static void on_ask(void *arg)
{
    struct upstream *u = arg;
    int rc = nng_aio_result(u->ask);

    pthread_mutex_lock(&u->lock);
    if (rc != 0 && u->asking == ASKING_SENDS) {
        nng_msg_free(nng_aio_get_msg(u->ask)); /* not sent, so still ours */
        nng_aio_set_msg(u->ask, NULL);
    }
    int64_t left = u->until_ms - clock_mono_ms();
    if (rc != 0 || u->given_up || (u->asking == ASKING_SENDS && left <= 0)) {
        if (rc == 0 && u->asking == ASKING_AWAITS)
            nng_msg_free(nng_aio_get_msg(u->ask));
        finish(u, EVENT_NO_REPLY, NULL);
    } else if (u->asking == ASKING_SENDS) {
        u->asking = ASKING_AWAITS;
        nng_aio_set_timeout(u->ask, (nng_duration)left);
        nng_recv_aio(u->req, u->ask);
    } else {
        finish(u, EVENT_REPLY, nng_aio_get_msg(u->ask));
    }
    pthread_mutex_unlock(&u->lock);
}

static enum hoist_err dial_requests(struct upstream *u)
{
    return net_dial(u->req, u->url, NET_REPLY_MAX, u->tls, &u->req_dialer);
}

static enum hoist_err open_requests(struct upstream *u)
{
    /* nng would send a request again by itself, also to a peer that has carried it out. */
    int rc = nng_socket_set_ms(u->req, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rc == 0)
        rc = nng_aio_alloc(&u->ask, on_ask, u);
    if (rc != 0)
        return net_err(rc, "repl: the socket for requests");
    return dial_requests(u);
}

/* With the lock between "given up?" and the next operation, none can start behind the abort. */
static void give_up(struct upstream *u)
{
    pthread_mutex_lock(&u->lock);
    u->given_up = true;
    nng_aio_abort(u->ask, NNG_ECANCELED);
    pthread_mutex_unlock(&u->lock);
    nng_aio_wait(u->ask);
}

bool upstream_is_idle(struct upstream *u)
{
    pthread_mutex_lock(&u->lock);
    bool idle = u->asking == ASKING_NOTHING;
    pthread_mutex_unlock(&u->lock);
    return idle;
}

/* While nothing is asked, nothing comes that closing could lose. */
static enum hoist_err renew_requests(struct upstream *u)
{
    if (!u->req_is_old)
        return HOIST_OK;
    nng_dialer_close(u->req_dialer);
    enum hoist_err err = dial_requests(u);
    u->req_is_old = err != HOIST_OK;
    return err;
}

void upstream_lost(struct upstream *u)
{
    u->req_is_old = true;
    upstream_renew(u);
}

void upstream_renew(struct upstream *u)
{
    if (upstream_is_idle(u) && renew_requests(u) != HOIST_OK)
        log_debug("repl: %s; tried again with the next request", err_last());
}

enum hoist_err upstream_request(struct upstream *u, uint64_t tag, struct slice bytes,
                                int64_t deadline_ms)
{
    give_up(u);
    enum hoist_err err = renew_requests(u);
    if (err != HOIST_OK)
        return err;
    struct event *e = mem_zalloc(1, sizeof *e);
    nng_msg *m = e ? net_msg(bytes) : NULL;
    if (!m) {
        mem_free(e);
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    }
    e->upstream = u->number;
    e->tag = tag;
    pthread_mutex_lock(&u->lock);
    u->given_up = false;
    u->answer = e;
    u->asking = ASKING_SENDS;
    u->asked_ms = clock_mono_ms();
    u->until_ms = u->asked_ms + deadline_ms;
    nng_aio_set_timeout(u->ask, (nng_duration)deadline_ms);
    nng_aio_set_msg(u->ask, m);
    nng_send_aio(u->req, u->ask);
    pthread_mutex_unlock(&u->lock);
    return HOIST_OK;
}

/* ---------------------------------------------------------------- open and close */

enum hoist_err upstream_open(uint32_t number, const char *url, struct net_tls *tls,
                             struct queue *queue, struct upstream **ret)
{
    struct upstream *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    int rc = nng_sub0_open(&u->sub);
    if (rc != 0) {
        mem_free(u);
        return net_err(rc, "repl: the stream's socket");
    }
    if ((rc = nng_req0_open(&u->req)) != 0) {
        nng_close(u->sub);
        mem_free(u);
        return net_err(rc, "repl: the socket for requests");
    }
    u->number = number;
    u->queue = queue;
    u->url = url;
    u->tls = net_tls_hold(tls);
    pthread_mutex_init(&u->lock, NULL);
    enum hoist_err err = open_requests(u);
    if (err == HOIST_OK)
        err = open_stream(u);
    if (err != HOIST_OK) {
        if (!upstream_close(u))
            log_warn("repl: nng keeps a connection that it should have closed");
        return err;
    }
    *ret = u;
    return HOIST_OK;
}

bool upstream_spoke(const struct upstream *u)
{
    return atomic_load(&u->heard_ms) != 0;
}

/* An answer that may be on its way just now. */
static bool awaits_answer(struct upstream *u, int64_t now)
{
    pthread_mutex_lock(&u->lock);
    bool awaits = u->asking != ASKING_NOTHING && now < u->asked_ms + TALKED_MS;
    pthread_mutex_unlock(&u->lock);
    return awaits;
}

static bool talks(struct upstream *u, int64_t now)
{
    int64_t heard = atomic_load(&u->heard_ms);
    return heard && now < heard + TALKED_MS && !atomic_load(&u->left);
}

/* Wait for a moment in which nothing is being received, and keep it that way. */
static void fall_quiet(struct upstream *u)
{
    atomic_store(&u->leaving, true);
    int64_t now = clock_mono_ms(), until = now + QUIET_MS;
    while (now < until && (talks(u, now) || awaits_answer(u, now))) {
        nng_msleep(1);
        now = clock_mono_ms();
    }
}

static void stop_aio(nng_aio *aio)
{
    if (aio) {
        nng_aio_stop(aio);
        nng_aio_free(aio);
    }
}

bool upstream_close(struct upstream *u)
{
    if (!u)
        return true;
    fall_quiet(u);
    stop_aio(u->ask); /* before its socket: nng's clock may be in it until this has ended */
    bool closed = net_close(u->sub);
    closed = net_close(u->req) && closed;
    if (!closed) {
        pthread_mutex_lock(&u->lock);
        u->abandoned = true;
        pthread_mutex_unlock(&u->lock);
        return false;
    }
    stop_aio(u->hear);
    event_free(u->answer);
    net_tls_drop(u->tls);
    pthread_mutex_destroy(&u->lock);
    mem_free(u);
    return true;
}
