#include "base/queue.h"

#include <assert.h>
#include <time.h>

enum hoist_err queue_init(struct queue *q, size_t count_max, size_t weight_max)
{
    assert(count_max > 0);
    pthread_condattr_t attr;
    *q = (struct queue){.count_max = count_max, .weight_max = weight_max};
    q->end = &q->first;
    if (pthread_condattr_init(&attr) != 0)
        return err_set(HOIST_ENOMEM, "queue: out of memory");
    /* Waits must not stretch or shrink when somebody sets the clock. */
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    if (rc != 0)
        return err_set(HOIST_ENOMEM, "queue: out of memory");
    pthread_mutex_init(&q->lock, NULL);
    return HOIST_OK;
}

void queue_done(struct queue *q)
{
    assert(!q->first);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
}

static bool has_room(const struct queue *q, size_t weight)
{
    if (q->count == 0)
        return true;
    return q->count < q->count_max && q->weight <= q->weight_max &&
           weight <= q->weight_max - q->weight;
}

static bool push(struct queue *q, struct queue_item *item, size_t weight, bool over)
{
    pthread_mutex_lock(&q->lock);
    bool in = !q->closed && (over || has_room(q, weight));
    if (in) {
        item->next = NULL;
        item->weight = weight;
        *q->end = item;
        q->end = &item->next;
        q->count++;
        q->weight += weight;
    }
    pthread_mutex_unlock(&q->lock);
    /* Behind the unlock, so that who wakes does not at once wait for the lock. */
    if (in)
        pthread_cond_signal(&q->filled);
    return in;
}

bool queue_push(struct queue *q, struct queue_item *item, size_t weight)
{
    return push(q, item, weight, false);
}

bool queue_push_over(struct queue *q, struct queue_item *item, size_t weight)
{
    return push(q, item, weight, true);
}

static struct timespec deadline_of(int64_t timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += timeout_ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

struct queue_item *queue_take(struct queue *q, int64_t timeout_ms)
{
    struct timespec deadline = deadline_of(timeout_ms > 0 ? timeout_ms : 0);
    int rc = timeout_ms > 0 ? 0 : -1;

    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->woken && !q->closed && rc == 0)
        rc = pthread_cond_timedwait(&q->filled, &q->lock, &deadline);
    struct queue_item *first = q->first;
    q->first = NULL;
    q->end = &q->first;
    q->count = 0;
    q->weight = 0;
    q->woken = false;
    pthread_mutex_unlock(&q->lock);
    return first;
}

void queue_wake(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_signal(&q->filled);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_signal(&q->filled);
}

bool queue_is_closed(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}
