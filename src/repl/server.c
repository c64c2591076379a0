#include "repl/server.h"

#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flag/json.h"
#include "repl/answer.h"
#include "repl/asked.h"
#include "repl/late.h"
#include "repl/listeners.h"
#include "repl/net.h"
#include "repl/publisher.h"
#include "repl/ticker.h"

enum {
    /* Taken at a time; further ones wait in their connections. Beside those that are held back and
     * the commands that wait (192) there is room for others. */
    SERVER_REQUESTS = 320 + LATE_PLACES,
    SERVER_HEARTBEAT_MS = 200,
    SERVER_FULL_MS = 1000,   /* after which to ask again when too much is on its way */
    SERVER_QUIET_MS = 60000, /* between two log lines about requests that cannot be read */
    SERVER_RENEW_PARTS = 10, /* with new certificates: old streams are closed in so many parts … */
    SERVER_RENEW_MS = 100,   /* … so far apart. Hosts bring their requests with them; then … */
    SERVER_RENEW_LAST_MS = 200, /* … come those that did not */
};

enum { EXIT_NOT_DONE = 1, EXIT_REFUSED = 5 }; /* of flagctl */

enum request_state { REQUEST_COMING, REQUEST_WAITS, REQUEST_HELD_BACK, REQUEST_ANSWERED };

/* One of the places that requests are taken in: waits for one, answers it, waits again. */
struct server_request {
    struct server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum request_state state;
    nng_msg *msg; /* a command that waits; it borrows from here; or an answer that is held back */
    uint8_t request[REQUEST_ID_SIZE]; /* the command's id */
    struct quota_peer *holder;        /* whose bytes it is, while it waits */
    uint32_t pipe;                    /* by which it came */
    size_t answer_len;
    struct quota_peer
        *late; /* whose answer it is, while that waits for its turn; NULL: it does not */
    bool is_sent;
    atomic_int left; /* of the two that end it: who gave the answer to nng, and nng */
};

_Static_assert((int)LATE_PLACES > QUOTA_PEER_REQUESTS_MAX, "one peer leaves places to others");

struct server {
    struct store *store;
    struct server_config config;
    char *id, *software;
    struct answerer answerer;
    _Atomic uint32_t beats;      /* where the configuration has none */
    struct downloads *downloads; /* its own; or NULL */
    struct publisher *publisher;
    nng_socket rep;
    bool rep_is_open;
    struct listeners *listeners; /* of `rep` */
    uint64_t certificates;       /* net_tls_begin_new()'s number of those in use */
    struct ticker *ticker;
    struct quota *quota;
    struct late *late;
    struct server_request *requests;
    atomic_bool leaving; /* nng was given up on: its callbacks find nothing here any more */
    atomic_int inside;   /* callbacks under way */
    struct metric *refused;
    _Atomic int64_t quiet_until_ms;
};

static void on_request(void *arg);

/* ---------------------------------------------------------------- answering */

static void await_request(struct server_request *q)
{
    q->state = REQUEST_COMING;
    nng_ctx_recv(q->ctx, q->aio);
}

static void release(struct server_request *q)
{
    if (q->holder)
        quota_release(q->server->quota, q->holder, q->pipe, nng_msg_len(q->msg), clock_mono_ms());
    q->holder = NULL;
    nng_msg_free(q->msg);
    q->msg = NULL;
    if (q->late)
        quota_end(q->server->quota, q->late, q->pipe);
    q->late = NULL;
}

/* The connection has not taken the answers before this one. */
static void wait_for_taker(struct server_request *q)
{
    q->late = quota_begin(q->server->quota, q->pipe, clock_mono_ms());
    if (!q->late)
        nng_aio_cancel(q->aio);
}

static void end_request(struct server_request *q)
{
    struct quota *quota = q->server->quota;
    int rc = nng_aio_result(q->aio);
    if (rc != 0) { /* the asker has gone, or takes nothing */
        nng_msg_free(nng_aio_get_msg(q->aio));
        nng_aio_set_msg(q->aio, NULL);
        quota_take_back(quota, q->pipe, q->answer_len);
    } else if (!q->is_sent) {
        quota_sends(quota, q->pipe, q->answer_len);
    }
    release(q);
    await_request(q);
}

/* The last of the two ends it: as long as the first looks at the aio, it is not used again. */
static void leave_request(struct server_request *q)
{
    if (atomic_fetch_sub(&q->left, 1) == 1)
        end_request(q);
}

/* nng has taken the message out of the aio when it begins to send it at once. */
static void send_answer(struct server_request *q, nng_msg *m)
{
    release(q);
    q->answer_len = nng_msg_len(m);
    quota_give(q->server->quota, q->pipe, q->answer_len);
    q->state = REQUEST_ANSWERED;
    atomic_store(&q->left, 2);
    nng_aio_set_msg(q->aio, m);
    nng_ctx_send(q->ctx, q->aio);
    q->is_sent = !nng_aio_get_msg(q->aio);
    if (q->is_sent)
        quota_sends(q->server->quota, q->pipe, q->answer_len);
    else
        wait_for_taker(q);
    leave_request(q);
}

static nng_msg *answer_msg(struct server_request *q, struct buf *reply)
{
    nng_msg *m = buf_err(reply) == HOIST_OK ? net_msg(buf_slice(reply)) : NULL;
    if (!m) {
        release(q);
        await_request(q); /* out of memory: the asker's deadline answers it */
    }
    return m;
}

static void answer(struct server_request *q, struct buf *reply)
{
    nng_msg *m = answer_msg(q, reply);
    if (m)
        send_answer(q, m);
}

/* What cannot be read is counted each time, and logged once a minute however often it comes. */
static void put_refusal(struct server *v, struct buf *out)
{
    int64_t now = clock_mono_ms(), until = atomic_load(&v->quiet_until_ms);
    metric_inc(v->refused);
    if (now >= until &&
        atomic_compare_exchange_strong(&v->quiet_until_ms, &until, now + SERVER_QUIET_MS))
        log_warn("repl: refused a request (%s); further ones are only counted for a minute",
                 err_last());
    frame_put_error_reply(out, slice_str(err_last()));
}

static enum hoist_err take_hello(struct server *v, struct slice in, struct arena *arena,
                                 struct buf *out)
{
    enum hoist_err err = told_hello(in, arena, v->config.told, v->config.arg);
    if (err == HOIST_OK)
        answer_hello(&v->answerer, out);
    return err;
}

static enum hoist_err take_fetch(struct server *v, struct slice in, struct buf *out)
{
    struct frame_fetch f;
    enum hoist_err err = frame_get_fetch(in, &f);
    if (err == HOIST_OK)
        answer_fetch(&v->answerer, &f, out);
    return err;
}

static enum hoist_err take_snapshot(struct server *v, uint32_t pipe, struct slice in,
                                    struct buf *out)
{
    struct frame_snapshot f;
    struct download_asker asker = {pipe, quota_peer_of(v->quota, pipe)};
    enum hoist_err err = frame_get_snapshot(in, &f);
    if (err == HOIST_OK)
        quota_download(v->quota, pipe, answer_snapshot(&v->answerer, &asker, &f, out),
                       clock_mono_ms());
    return err;
}

static enum hoist_err take_usage(struct server *v, struct slice in, struct arena *arena,
                                 struct buf *out)
{
    struct frame_usage f;
    if (!v->config.sums)
        return err_set(HOIST_EINVAL, "evaluations are not counted here");
    enum hoist_err err = frame_get_usage(in, arena, &f);
    if (err != HOIST_OK)
        return err;
    sums_hear(v->config.sums, &f, clock_mono_ms());
    frame_put_status_reply(out, REPLY_OK);
    return HOIST_OK;
}

/* A request that is answered here and now. */
static enum hoist_err take(struct server_request *q, enum frame_kind kind, nng_msg *m,
                           struct buf *out)
{
    struct server *v = q->server;
    struct slice in = net_msg_bytes(m);
    struct arena arena = {0};
    enum hoist_err err = HOIST_OK;
    bool is_long = kind == FRAME_FETCH || kind == FRAME_SNAPSHOT;
    if (is_long && quota_no_answer(v->quota, q->pipe, clock_mono_ms())) {
        answer_busy(kind, SERVER_FULL_MS, out);
        return HOIST_OK;
    }
    switch (kind) {
    case FRAME_HELLO:
        err = take_hello(v, in, &arena, out);
        break;
    case FRAME_STATUS:
        err = told_status(in, &arena, v->config.told, v->config.arg, out);
        break;
    case FRAME_SUBTREE:
        err = told_subtree(in, &arena, v->config.told, v->config.arg, out);
        break;
    case FRAME_USAGE:
        err = take_usage(v, in, &arena, out);
        break;
    case FRAME_FETCH:
        err = take_fetch(v, in, out);
        break;
    case FRAME_SNAPSHOT:
        err = take_snapshot(v, q->pipe, in, out);
        break;
    default:
        err = err_set(HOIST_ECORRUPT, "a frame of kind %d is no request", (int)kind);
    }
    arena_done(&arena);
    return err;
}

/* ---------------------------------------------------------------- commands */

static void put_command_error(const struct server_request *q, struct buf *out, uint32_t exit,
                              const char *code, const char *message)
{
    struct buf body = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&body, 0);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_key(&w, "exit");
    json_put_u64(&w, exit);
    json_key(&w, "code");
    json_put_str(&w, code);
    json_key(&w, "message");
    json_put_str(&w, message);
    json_object_end(&w);
    json_object_end(&w);
    struct frame_command_reply reply = {.exit = exit, .body = buf_slice(&body)};
    memcpy(reply.request, q->request, REQUEST_ID_SIZE);
    frame_put_command_reply(out, &reply);
    buf_done(&body);
}

/* It was not looked at: nothing was done. */
static void put_command_busy(const struct server_request *q, struct buf *out, const char *why)
{
    char message[200];
    snprintf(message, sizeof message, "%s; nothing was done, ask again in %d ms", why,
             QUOTA_WAIT_MS);
    put_command_error(q, out, EXIT_REFUSED, "busy", message);
}

/* True: somebody has it now and will answer. False: `out` has the answer. */
static bool hand_over(struct server_request *q, nng_msg *m, struct buf *out)
{
    struct server *v = q->server;
    struct frame_command f;
    char peer[NET_PEER_SIZE];
    if (frame_get_command(net_msg_bytes(m), &f) != HOIST_OK) {
        put_refusal(v, out);
        return false;
    }
    memcpy(q->request, f.request, REQUEST_ID_SIZE);
    if (!v->config.command) {
        put_command_error(q, out, EXIT_NOT_DONE, "refused",
                          "this hoistd takes no commands; ask the primary");
        return false;
    }
    const char *beyond = quota_hold(v->quota, q->pipe, nng_msg_len(m), clock_mono_ms(), &q->holder);
    if (beyond) {
        put_command_busy(q, out, beyond);
        return false;
    }
    net_peer(m, peer);
    q->state = REQUEST_WAITS;
    q->msg = m;
    enum hoist_err err = v->config.command(v->config.arg, q, &f, peer);
    if (err == HOIST_OK)
        return true; /* it may be answered already, and `q` be busy with the next */
    put_command_error(q, out, EXIT_NOT_DONE, err == HOIST_EBUSY ? "busy" : err_word(err),
                      err_last());
    return false;
}

void server_reply(struct server_request *q, uint32_t exit, struct slice body)
{
    assert(q->state == REQUEST_WAITS);
    struct buf out = BUF_INIT(FRAME_COMMAND_MAX);
    struct frame_command_reply reply = {.exit = exit, .body = body};
    memcpy(reply.request, q->request, REQUEST_ID_SIZE);
    frame_put_command_reply(&out, &reply);
    if (buf_err(&out) == HOIST_ELIMIT) {
        buf_done(&out);
        out = BUF_INIT(FRAME_COMMAND_MAX);
        put_command_error(q, &out, EXIT_NOT_DONE, "limit",
                          "the answer is too long to be sent; ask for less");
    }
    answer(q, &out);
    buf_done(&out);
}

void server_drop(struct server_request *q)
{
    assert(q->state == REQUEST_WAITS);
    release(q);
    await_request(q);
}

bool server_is_wanted(const struct server_request *q)
{
    return quota_peer_of(q->server->quota, q->pipe) != NULL;
}

const char *server_no_answer(const struct server_request *q)
{
    return quota_no_answer(q->server->quota, q->pipe, clock_mono_ms());
}

const struct quota_peer *server_asker(const struct server_request *q)
{
    return q->holder;
}

const char *const *server_hidden(const struct server_request *q, uint32_t *ret_count)
{
    *ret_count = q->server->config.hidden_count;
    return q->server->config.hidden;
}

/* ---------------------------------------------------------------- who asks too often */

static void give_late(void *item)
{
    struct server_request *q = item;
    nng_msg *m = q->msg;
    q->msg = NULL;
    send_answer(q, m);
}

static void drop(struct server_request *q, nng_msg *m)
{
    nng_msg_free(m);
    release(q);
    await_request(q);
}

static void put_busy(struct server_request *q, enum frame_kind kind, nng_msg *m, struct buf *out)
{
    struct frame_command f;
    if (kind != FRAME_COMMAND || frame_get_command(net_msg_bytes(m), &f) != HOIST_OK) {
        answer_busy(kind, QUOTA_WAIT_MS, out);
        return;
    }
    memcpy(q->request, f.request, REQUEST_ID_SIZE);
    put_command_busy(q, out, "too many requests come from this address (--peer-requests)");
}

/* Its connection waits for the answer, and may ask little meanwhile. Where there is no place to hold
 * one back there is none. */
static void hold_back(struct server_request *q, enum frame_kind kind, nng_msg *m)
{
    q->late = quota_begin(q->server->quota, q->pipe, clock_mono_ms());
    if (!q->late) {
        drop(q, m);
        return;
    }
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    put_busy(q, kind, m, &out);
    nng_msg_free(m);
    nng_msg *reply = answer_msg(q, &out);
    buf_done(&out);
    if (!reply)
        return;
    q->state = REQUEST_HELD_BACK;
    q->msg = reply;
    if (!late_put(q->server->late, q, clock_mono_ms())) {
        q->msg = NULL;
        drop(q, reply);
    }
}

static void on_tick(void *arg, int64_t now_ms)
{
    struct server *v = arg;
    quota_tick(v->quota, now_ms);
}

/* ---------------------------------------------------------------- one request's life */

static void take_request(struct server_request *q, nng_msg *m)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    enum frame_kind kind;
    enum hoist_err err = frame_kind_of(net_msg_bytes(m), &kind);

    q->pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(m));
    if (!quota_peer_of(q->server->quota, q->pipe)) {
        drop(q, m);
        return;
    }
    if (err == HOIST_OK)
        asked_count(kind);
    if (!quota_ask(q->server->quota, q->pipe, clock_mono_ms())) {
        hold_back(q, err == HOIST_OK ? kind : FRAME_ERROR_REPLY, m);
        return;
    }
    if (err == HOIST_OK && kind == FRAME_COMMAND) {
        if (hand_over(q, m, &out))
            return;
        if (q->msg == m)
            m = NULL; /* release() has it */
    } else {
        if (err == HOIST_OK)
            err = take(q, kind, m, &out);
        if (err != HOIST_OK)
            put_refusal(q->server, &out);
    }
    nng_msg_free(m);
    answer(q, &out);
    buf_done(&out);
}

static bool come_in(struct server *v)
{
    atomic_fetch_add(&v->inside, 1);
    if (!atomic_load(&v->leaving))
        return true;
    atomic_fetch_sub(&v->inside, 1);
    return false;
}

static void go_out(struct server *v)
{
    atomic_fetch_sub(&v->inside, 1);
}

static void step_request(struct server_request *q, int rc)
{
    if (q->state == REQUEST_ANSWERED) {
        leave_request(q);
    } else if (rc == 0) {
        nng_msg *m = nng_aio_get_msg(q->aio);
        nng_aio_set_msg(q->aio, NULL);
        take_request(q, m);
    } else if (rc != NNG_ECLOSED && rc != NNG_ECANCELED) {
        await_request(q);
    }
}

static void on_request(void *arg)
{
    struct server_request *q = arg;
    struct server *v = q->server;
    if (!come_in(v))
        return;
    step_request(q, nng_aio_result(q->aio));
    go_out(v);
}

static void beat(void *arg)
{
    struct server *v = arg;
    publisher_heartbeat(v->publisher);
    downloads_tick(v->answerer.downloads, clock_mono_ms());
}

/* ---------------------------------------------------------------- start and stop */

static void nap(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static enum hoist_err listen_all(struct server *v)
{
    char stream[NET_URL_MAX];
    enum hoist_err err = HOIST_OK;
    for (uint32_t i = 0; i < v->config.listen_count && err == HOIST_OK; i++) {
        const char *url = v->config.listen[i];
        err = net_stream_url(url, stream);
        if (err == HOIST_OK && !v->config.stream)
            err = publisher_listen(v->publisher, stream);
        if (err == HOIST_OK)
            err = listeners_add(v->listeners, url);
    }
    if (err == HOIST_OK && v->config.stream)
        err = publisher_listen(v->publisher, v->config.stream);
    return err;
}

static enum hoist_err open_requests(struct server *v)
{
    int rc = nng_rep0_open(&v->rep);
    if (rc != 0)
        return net_err(rc, "repl: the rpc socket");
    v->rep_is_open = true;
    enum hoist_err err = listeners_new(v->rep, NET_COMMAND_MAX, v->config.tls, v->quota,
                                       QUOTA_CONNECTION, &v->listeners);
    if (err != HOIST_OK)
        return err;
    v->requests = mem_zalloc(SERVER_REQUESTS, sizeof *v->requests);
    if (!v->requests)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    for (int i = 0; i < SERVER_REQUESTS; i++) {
        struct server_request *q = &v->requests[i];
        q->server = v;
        if ((rc = nng_aio_alloc(&q->aio, on_request, q)) != 0)
            return net_err(rc, "repl: a place for requests");
        if ((rc = nng_ctx_open(&q->ctx, v->rep)) != 0)
            return net_err(rc, "repl: a place for requests");
    }
    return HOIST_OK;
}

static enum hoist_err prepare(struct server *v)
{
    v->id = mem_dup_str(v->config.id);
    v->software = mem_dup_str(v->config.software);
    if (!v->id || !v->software)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    enum hoist_err err = v->config.downloads ? HOIST_OK : downloads_new(v->store, &v->downloads);
    if (err == HOIST_OK && v->config.shared_quota)
        v->quota = quota_ref(v->config.shared_quota);
    else if (err == HOIST_OK)
        err = quota_new(&v->config.quota, &v->quota);
    if (err == HOIST_OK)
        err = late_start(QUOTA_WAIT_MS, give_late, on_tick, v, &v->late);
    if (err != HOIST_OK)
        return err;
    v->answerer = (struct answerer){
        .store = v->store,
        .downloads = v->config.downloads ? v->config.downloads : v->downloads,
        .id = slice_str(v->id),
        .software = slice_str(v->software),
        .key = v->config.key,
        .standing = v->config.standing,
        .standing_arg = v->config.standing_arg,
        .envs = v->config.envs,
        .env_count = v->config.env_count,
        .hidden = v->config.hidden,
        .hidden_count = v->config.hidden_count,
        .beats = v->config.beats ? v->config.beats : &v->beats,
    };
    hash_random(&v->answerer.incarnation, sizeof v->answerer.incarnation);
    err = publisher_open(&v->answerer, v->quota, v->config.tls, &v->publisher);
    if (err == HOIST_OK)
        err = open_requests(v);
    if (err != HOIST_OK)
        return err;
    told_metrics_begin();
    asked_metrics_begin();
    v->refused = metric_series(METRIC_COUNTER, "hoist_frames_refused_total",
                               "Frames that could not be read or were not believed.",
                               "reason=\"request\"", NULL);
    return HOIST_OK;
}

enum hoist_err server_start(struct store *s, const struct server_config *config,
                            struct server **ret)
{
    struct server *v = mem_zalloc(1, sizeof *v);
    if (!v)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    hash_init();
    v->store = s;
    v->config = *config;
    if (v->config.heartbeat_ms == 0)
        v->config.heartbeat_ms = SERVER_HEARTBEAT_MS;
    enum hoist_err err = prepare(v);
    if (err == HOIST_OK)
        err = listen_all(v);
    if (err == HOIST_OK)
        err = ticker_start(v->config.heartbeat_ms, beat, v, &v->ticker);
    if (err != HOIST_OK) {
        server_stop(v);
        return err;
    }
    for (int i = 0; i < SERVER_REQUESTS; i++)
        await_request(&v->requests[i]);
    publisher_heartbeat(v->publisher);
    *ret = v;
    return HOIST_OK;
}

static void stop_aio(nng_aio *aio)
{
    if (aio) {
        nng_aio_stop(aio);
        nng_aio_free(aio);
    }
}

void server_stop(struct server *v)
{
    if (!v)
        return;
    ticker_stop(v->ticker);
    late_stop(v->late);
    bool closed = !v->rep_is_open || net_close(v->rep);
    closed = publisher_close(v->publisher) && closed;
    if (!closed) { /* what nng may still touch is left to the end of the process; the store is not
                    */
        log_warn("repl: nng does not let go of a connection; it ends with this process");
        atomic_store(&v->leaving, true);
        for (int ms = 0; atomic_load(&v->inside) > 0 && ms < NET_CLOSE_MS; ms++)
            nap(1);
        return;
    }
    for (int i = 0; v->requests && i < SERVER_REQUESTS; i++) {
        stop_aio(v->requests[i].aio);
        release(&v->requests[i]);
    }
    listeners_free(v->listeners);
    mem_free(v->requests);
    downloads_free(v->downloads);
    late_free(v->late);
    quota_free(v->quota);
    mem_free(v->id);
    mem_free(v->software);
    mem_free(v);
}

enum hoist_err server_renew(struct server *v, struct net_tls *tls)
{
    v->certificates = net_tls_begin_new();
    enum hoist_err err = listeners_renew(v->listeners, tls);
    if (err == HOIST_OK)
        err = publisher_renew(v->publisher, tls);
    return err;
}

static bool close_old_streams(struct server *const *servers, uint32_t count, unsigned of)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++)
        any = publisher_close_old(servers[i]->publisher, of) || any;
    return any;
}

static uint64_t oldest_certificates(struct server *const *servers, uint32_t count)
{
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (servers[i]->certificates < oldest)
            oldest = servers[i]->certificates;
    return oldest;
}

void server_close_old(struct server *const *servers, uint32_t count)
{
    nap(SERVER_RENEW_MS); /* in which handshakes end that began by the old ones */
    for (uint32_t i = 0; i < count; i++) {
        listeners_grow_old(servers[i]->listeners);
        publisher_grow_old(servers[i]->publisher);
    }
    for (unsigned left = SERVER_RENEW_PARTS; close_old_streams(servers, count, left);
         left -= left > 1)
        nap(SERVER_RENEW_MS);
    nap(SERVER_RENEW_LAST_MS);
    for (uint32_t i = 0; i < count; i++)
        listeners_close_old(servers[i]->listeners, 1);
    net_tls_end_old(oldest_certificates(servers, count)); /* who has not even come in until now */
}

void server_publish(struct server *v, const struct slice *changes, uint32_t count)
{
    publisher_changes(v->publisher, changes, count);
}

void server_heartbeat(struct server *v)
{
    publisher_heartbeat(v->publisher);
}
