#include "http/peers.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

void peers_init(struct peers *p, int64_t busy_max_ms)
{
    *p = (struct peers){.busy_max_ms = busy_max_ms};
    pthread_mutex_init(&p->lock, NULL);
}

void peers_done(struct peers *p)
{
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
