/* scale_queue.h - what is to happen, by time: a wheel of slots, so that a million events cost no
 * more each than a thousand.
 *
 * Time goes in steps of SCALE_STEP_NS; what falls into one step happens in the order in which it
 * was put. What lies beyond the wheel waits in its last slot and is put in again from there.
 */
#ifndef BENCH_SCALE_QUEUE_H
#define BENCH_SCALE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCALE_STEP_SHIFT = 13, SCALE_STEP_NS = 1 << SCALE_STEP_SHIFT, SCALE_SLOTS = 1 << 19 };

struct packet { /* bytes that one or many events carry */
    uint32_t holders;
    uint32_t len;
    uint8_t bytes[];
};

struct scale_event {
    int64_t at;
    uint64_t tag;
    struct packet *packet; /* or NULL; held by the event */
    uint32_t next;
    uint32_t node, peer, life, peer_life;
    uint8_t kind;
};

struct scale_queue {
    struct scale_event *all; /* the first is none */
    uint32_t room, used, unused;
    uint32_t *first, *last; /* of each slot */
    int64_t step;           /* the slot that is being emptied */
    uint64_t waiting;
};

void scale_queue_begin(struct scale_queue *q);
void scale_queue_end(struct scale_queue *q);
void scale_queue_put(struct scale_queue *q, struct scale_event e);
/* The next event at or before `until`, and its time; false: there is none, and it is `until`. */
bool scale_queue_take(struct scale_queue *q, int64_t until, struct scale_event *ret,
                      int64_t *ret_now);

struct packet *packet_new(const uint8_t *bytes, size_t len); /* with one holder */
void packet_hold(struct packet *p);
void packet_drop(struct packet *p); /* NULL is fine */

#endif
