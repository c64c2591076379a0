#include "scale_queue.h"

#include <string.h>

#include "base/mem.h"
#include "bench.h"

void scale_queue_begin(struct scale_queue *q)
{
    *q = (struct scale_queue){
        .first = mem_zalloc(SCALE_SLOTS, sizeof *q->first),
        .last = mem_zalloc(SCALE_SLOTS, sizeof *q->last),
        .used = 1,
    };
    if (!q->first || !q->last)
        bench_die("no memory for events");
}

void scale_queue_end(struct scale_queue *q)
{
    for (uint32_t slot = 0; slot < SCALE_SLOTS; slot++)
        for (uint32_t i = q->first[slot]; i; i = q->all[i].next)
            packet_drop(q->all[i].packet);
    mem_free(q->all);
    mem_free(q->first);
    mem_free(q->last);
}

static uint32_t room_for_one(struct scale_queue *q)
{
    uint32_t i = q->unused;
    if (i) {
        q->unused = q->all[i].next;
        return i;
    }
    if (q->used >= q->room) {
        q->room = q->room ? 2 * q->room : 1024;
        q->all = mem_realloc(q->all, q->room * sizeof *q->all);
        if (!q->all)
            bench_die("no memory for events");
    }
    return q->used++;
}

static void link_in(struct scale_queue *q, uint32_t i)
{
    int64_t step = (q->all[i].at + SCALE_STEP_NS - 1) >> SCALE_STEP_SHIFT;
    if (step < q->step)
        step = q->step;
    if (step >= q->step + SCALE_SLOTS)
        step = q->step + SCALE_SLOTS - 1;
    uint32_t slot = (uint32_t)(step % SCALE_SLOTS);
    q->all[i].next = 0;
    if (q->first[slot])
        q->all[q->last[slot]].next = i;
    else
        q->first[slot] = i;
    q->last[slot] = i;
}

void scale_queue_put(struct scale_queue *q, struct scale_event e)
{
    uint32_t i = room_for_one(q);
    q->all[i] = e;
    q->waiting++;
    link_in(q, i);
}

bool scale_queue_take(struct scale_queue *q, int64_t until, struct scale_event *ret,
                      int64_t *ret_now)
{
    int64_t last = until >> SCALE_STEP_SHIFT;
    while (q->step <= last) {
        uint32_t slot = (uint32_t)(q->step % SCALE_SLOTS), i = q->first[slot];
        if (!i) {
            q->step++;
            continue;
        }
        q->first[slot] = q->all[i].next;
        if (q->all[i].at > q->step << SCALE_STEP_SHIFT) { /* from beyond the wheel */
            link_in(q, i);
            continue;
        }
        *ret = q->all[i];
        *ret_now = q->step << SCALE_STEP_SHIFT;
        q->all[i].next = q->unused;
        q->unused = i;
        q->waiting--;
        return true;
    }
    *ret_now = until;
    return false;
}

struct packet *packet_new(const uint8_t *bytes, size_t len)
{
    struct packet *p = mem_alloc(sizeof *p + len);
    if (!p)
        bench_die("no memory for a message");
    p->holders = 1;
    p->len = (uint32_t)len;
    memcpy(p->bytes, bytes, len);
    return p;
}

void packet_hold(struct packet *p)
{
    p->holders++;
}

void packet_drop(struct packet *p)
{
    if (p && --p->holders == 0)
        mem_free(p);
}
