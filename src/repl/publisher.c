#include "repl/publisher.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "repl/heartbeat.h"
#include "repl/net.h"

enum {
    MESSAGE_OVERHEAD = 64, /* of a message around its changes … */
    CHANGE_OVERHEAD = 5,   /* … and around each */
    MESSAGE_CHANGES_MAX = 4096,
};

struct publisher {
    const struct answerer *who;
    nng_socket socket;
    pthread_mutex_t lock; /* heartbeats leave in the order of their counters */
    uint32_t beats;
    struct metric *errors;
};

/* The socket's queue and who may listen. */
static enum hoist_err set_up(nng_socket socket, struct quota *quota)
{
    int rc = nng_socket_set_int(socket, NNG_OPT_SENDBUF, NET_QUEUE);
    return rc == 0 ? quota_watch(quota, socket, QUOTA_SUBSCRIPTION)
                   : net_err(rc, "repl: the stream's queue");
}

enum hoist_err publisher_open(const struct answerer *who, struct quota *quota,
                              struct publisher **ret)
{
    struct publisher *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    int rc = nng_pub0_open(&p->socket);
    if (rc != 0) {
        mem_free(p);
        return net_err(rc, "repl: the stream's socket");
    }
    enum hoist_err err = set_up(p->socket, quota);
    if (err != HOIST_OK) {
        nng_close(p->socket);
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
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
    return true;
}

enum hoist_err publisher_listen(struct publisher *p, const char *url)
{
    return net_listen(p->socket, url, NET_STREAM_MAX);
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

void publisher_changes(struct publisher *p, const struct slice *changes, uint32_t count)
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

void publisher_heartbeat(struct publisher *p)
{
    struct buf frame = BUF_INIT(NET_STREAM_MAX);
    pthread_mutex_lock(&p->lock);
    if (heartbeat_make(p->who, ++p->beats, &frame) == HOIST_OK)
        send_frame(p, &frame);
    else
        metric_inc(p->errors);
    pthread_mutex_unlock(&p->lock);
    buf_done(&frame);
}
