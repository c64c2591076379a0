/* peers.h - connections, and how long each has been busy with one request.
 *
 * libmicrohttpd ends a connection on which nothing moves. One that sends or takes a byte now and
 * then would stay for ever: a request has to be sent and its answer taken in PEER_BUSY_MAX_MS.
 */
#ifndef HTTP_PEERS_H
#define HTTP_PEERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { PEER_BUSY_MAX_MS = 30000 };

struct peer {
    struct peer *prev, *next;
    int fd;
    struct share *share;      /* of its address; NULL: none */
    struct secure_set *tls;   /* its certificates; NULL: none */
    _Atomic int64_t since_ms; /* when it began to wait for its request, or INT64_MAX: a stream */
};

struct peers {
    pthread_mutex_t lock; /* of the list */
    struct peer *first;
    int64_t busy_max_ms;
};

void peers_init(struct peers *p, int64_t busy_max_ms);
void peers_done(struct peers *p);

/* NULL: no memory, the connection is on its own. */
struct peer *peers_add(struct peers *p, int fd);
/* Before its descriptor is closed. NULL is fine. */
void peers_remove(struct peers *p, struct peer *peer);

/* A request is done with: the next one may take its time. */
void peer_idle(struct peer *peer);
/* It takes a stream, which has no end. */
void peer_streams(struct peer *peer);

/* Shut those down that have been busy for too long; the server then finds them closed. */
void peers_sweep(struct peers *p);

#endif
