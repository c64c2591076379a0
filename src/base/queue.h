/* queue.h - work handed to a loop: many threads push, one takes all that waits at once.
 *
 * Bounded by number and by weight (bytes, say). A push into a full queue is refused and the pusher
 * decides what that means. Items are links inside the caller's own structs, so pushing allocates
 * nothing; an item belongs to the queue from a push that succeeded until it is taken.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct queue_item { /* the first member of what is queued */
    struct queue_item *next;
    size_t weight;
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct queue_item *first, **end;
    size_t count, weight;
    size_t count_max, weight_max;
    bool woken;  /* queue_wake() was called since the last take */
    bool closed; /* nothing more is let in */
};

MUST_USE enum hoist_err queue_init(struct queue *q, size_t count_max, size_t weight_max);

/* Nothing may be in it, and nobody may use it any more. */
void queue_done(struct queue *q);

/* False: full or closed, and `item` is still the caller's. An empty queue takes an item of any
 * weight. Any thread; never waits. */
MUST_USE bool queue_push(struct queue *q, struct queue_item *item, size_t weight);

/* The same past the bounds, for what is bounded by something else (one answer to one request).
 * False: closed. */
MUST_USE bool queue_push_over(struct queue *q, struct queue_item *item, size_t weight);

/*
 * Everything that waits, in order, linked by `next` and ended by NULL; NULL when nothing came in
 * `timeout_ms` (0: do not wait), when woken, or when closed and empty. One thread.
 */
struct queue_item *queue_take(struct queue *q, int64_t timeout_ms);

/* Make a take that waits, or the next one, return. */
void queue_wake(struct queue *q);

/* Refuse all pushes from here on, and wake. What is in it can still be taken. */
void queue_close(struct queue *q);
bool queue_is_closed(struct queue *q);

#endif
