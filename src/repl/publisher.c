#include "repl/publisher.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "repl/heartbeat.h"
#include "repl/listeners.h"
#include "repl/net.h"

enum {
    MESSAGE_OVERHEAD = 64, /* of a message around its changes … */
    CHANGE_OVERHEAD = 5,   /* … and around each */
    MESSAGE_CHANGES_MAX = 4096,
};

struct publisher {
    const struct answerer *who;
    nng_socket socket;
    struct listeners *listeners;
    pthread_mutex_t lock; /* heartbeats leave in the order of their counters */
    struct metric *errors;
};

static enum hoist_err open_socket(struct publisher *p, struct quota *quota, struct net_tls *tls)
{
    int rc = nng_pub0_open(&p->socket);
    if (rc != 0)
        return net_err(rc, "repl: the stream's socket");
    rc = nng_socket_set_int(p->socket, NNG_OPT_SENDBUF, NET_QUEUE);
    enum hoist_err err = rc == 0 ? listeners_new(p->socket, NET_STREAM_MAX, tls, quota,
                                                 QUOTA_SUBSCRIPTION, &p->listeners)
                                 : net_err(rc, "repl: the stream's queue");
    if (err != HOIST_OK)
        nng_close(p->socket);
    return err;
}

enum hoist_err publisher_open(const struct answerer *who, struct quota *quota, struct net_tls *tls,
                              struct publisher **ret)
{
    struct publisher *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    enum hoist_err err = open_socket(p, quota, tls);
    if (err != HOIST_OK) {
        mem_free(p);
        return err;
    }
    p->who = who;
    p->errors =
        metric_series(METRIC_COUNTER, "hoist_publish_errors_total",
                      "Messages that could not be published; subscribers fetch instead.", "", NULL);
    pthread_mutex_init(&p->lock, NULL);
    *ret = p;
    return HOIST_OK;
}

bool publisher_close(struct publisher *p)
{
    if (!p)
        return true;
    if (!net_close(p->socket))
        return false;
    listeners_free(p->listeners);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
    return true;
}

enum hoist_err publisher_listen(struct publisher *p, const char *url)
{
    return listeners_add(p->listeners, url);
}

enum hoist_err publisher_renew(struct publisher *p, struct net_tls *tls)
{
    return listeners_renew(p->listeners, tls);
}

void publisher_grow_old(struct publisher *p)
{
    listeners_grow_old(p->listeners);
}

bool publisher_close_old(struct publisher *p, unsigned of)
{
    return listeners_close_old(p->listeners, of);
}

static void send_frame(struct publisher *p, struct buf *frame)
{
    nng_msg *m = buf_err(frame) == HOIST_OK ? net_msg(buf_slice(frame)) : NULL;
    if (m && nng_sendmsg(p->socket, m, NNG_FLAG_NONBLOCK) == 0)
        return;
    nng_msg_free(m);
    metric_inc(p->errors);
}

static void send_changes(struct publisher *p, const struct slice *changes, uint32_t count)
{
    struct buf frame = BUF_INIT(FRAME_PUB_MAX);
    frame_put_changes(&frame, changes, count);
    send_frame(p, &frame);
    buf_done(&frame);
}

/* A change too long for a message: its header says that it is there, its edits are fetched. */
static void send_header(struct publisher *p, struct slice change)
{
    struct change c;
    struct buf header = BUF_INIT(FRAME_PUB_MAX);
    struct slice bytes;
    if (change_decode(change, &c) == HOIST_OK && change_without_edits(&c, &header) == HOIST_OK) {
        bytes = buf_slice(&header);
        send_changes(p, &bytes, 1);
    } else {
        metric_inc(p->errors);
    }
    buf_done(&header);
}

static void publish_all(struct publisher *p, const struct slice *changes, uint32_t count)
{
    const size_t room = FRAME_PUB_MAX - MESSAGE_OVERHEAD;
    uint32_t i = 0;
    while (i < count) {
        uint32_t n = 0;
        size_t bytes = 0;
        while (i + n < count && n < MESSAGE_CHANGES_MAX &&
               bytes + changes[i + n].len + CHANGE_OVERHEAD <= room) {
            bytes += changes[i + n].len + CHANGE_OVERHEAD;
            n++;
        }
        if (n > 0)
            send_changes(p, changes + i, n);
        else
            send_header(p, changes[i]);
        i += n > 0 ? n : 1;
    }
}

/* Those of environments that are told of here, into `out`; how many there are. */
static uint32_t told_here(const struct answerer *who, const struct slice *changes, uint32_t count,
                          struct slice *out)
{
    uint32_t n = 0;
    struct change c;
    for (uint32_t i = 0; i < count; i++)
        if (change_decode(changes[i], &c) == HOIST_OK && answer_gives(who, c.head.env))
            out[n++] = changes[i];
    return n;
}

void publisher_changes(struct publisher *p, const struct slice *changes, uint32_t count)
{
    struct slice *told = NULL;
    if (p->who->hidden_count > 0) {
        told = mem_zalloc(count, sizeof *told);
        if (!told) {
            metric_inc(p->errors); /* the next heartbeat shows what there is to fetch */
            return;
        }
        count = told_here(p->who, changes, count, told);
        changes = told;
    }
    publish_all(p, changes, count);
    mem_free(told);
}

void publisher_heartbeat(struct publisher *p)
{
    struct buf frame = BUF_INIT(NET_STREAM_MAX);
    pthread_mutex_lock(&p->lock);
    if (heartbeat_make(p->who, atomic_fetch_add(p->who->beats, 1) + 1, &frame) == HOIST_OK)
        send_frame(p, &frame);
    else
        metric_inc(p->errors);
    pthread_mutex_unlock(&p->lock);
    buf_done(&frame);
}
