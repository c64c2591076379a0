#include "http/peers.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { LABELS_SIZE = 64 };

static void update(void *arg)
{
    struct peers *p = arg;
    pthread_mutex_lock(&p->lock);
    metric_set(p->ratio, (double)p->count / p->max);
    pthread_mutex_unlock(&p->lock);
}

void peers_init(struct peers *p, int64_t busy_max_ms, uint32_t max, const char *option)
{
    char labels[LABELS_SIZE];
    snprintf(labels, sizeof labels, "limit=\"%s_connections\"",
             strcmp(option, "--http") == 0 ? "http" : "ofrep_http");
    *p = (struct peers){.busy_max_ms = busy_max_ms, .max = max};
    pthread_mutex_init(&p->lock, NULL);
    p->ratio = metric_series(METRIC_GAUGE, "hoist_limit_ratio",
                             "How much of a limit is used: 1 is all of it.", labels, NULL);
    metrics_on_write(update, p);
}

void peers_done(struct peers *p)
{
    metrics_off_write(update, p);
    pthread_mutex_destroy(&p->lock);
}

struct peer *peers_add(struct peers *p, int fd)
{
    struct peer *peer = mem_zalloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->fd = fd;
    peer_idle(peer);
    pthread_mutex_lock(&p->lock);
    peer->next = p->first;
    if (p->first)
        p->first->prev = peer;
    p->first = peer;
    p->count++;
    pthread_mutex_unlock(&p->lock);
    return peer;
}

void peers_remove(struct peers *p, struct peer *peer)
{
    if (!peer)
        return;
    pthread_mutex_lock(&p->lock);
    if (peer->prev)
        peer->prev->next = peer->next;
    else
        p->first = peer->next;
    if (peer->next)
        peer->next->prev = peer->prev;
    p->count--;
    pthread_mutex_unlock(&p->lock);
    mem_free(peer);
}

void peer_idle(struct peer *peer)
{
    if (peer)
        atomic_store_explicit(&peer->since_ms, clock_mono_ms(), memory_order_relaxed);
}

void peer_streams(struct peer *peer)
{
    if (peer)
        atomic_store_explicit(&peer->since_ms, INT64_MAX, memory_order_relaxed);
}

void peers_sweep(struct peers *p)
{
    int64_t since = clock_mono_ms() - p->busy_max_ms;
    pthread_mutex_lock(&p->lock);
    for (struct peer *peer = p->first; peer; peer = peer->next) {
        if (atomic_load_explicit(&peer->since_ms, memory_order_relaxed) > since)
            continue;
        log_debug("http: a connection took longer than %lld ms over a request; closed",
                  (long long)p->busy_max_ms);
        shutdown(peer->fd, SHUT_RDWR);
        peer_idle(peer); /* said once */
    }
    pthread_mutex_unlock(&p->lock);
}
