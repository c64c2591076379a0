#include "usage/heard.h"

#include <string.h>

#include "base/mem.h"

enum { HEARD_FIRST = 64 };

/* Where `incarnation` is, or belongs. */
static uint32_t place(const struct heard *h, uint64_t incarnation)
{
    uint32_t low = 0, high = h->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->senders[middle].incarnation < incarnation)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Those heard of after `since_ms` stay. */
static void forget(struct heard *h, int64_t since_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->senders[i].heard_ms > since_ms)
            h->senders[kept++] = h->senders[i];
    h->count = kept;
}

static int64_t oldest_ms(const struct heard *h)
{
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->senders[i].heard_ms < oldest)
            oldest = h->senders[i].heard_ms;
    return oldest;
}

static bool make_room(struct heard *h, int64_t now_ms)
{
    if (h->count == HEARD_MAX || now_ms >= h->swept_ms + HEARD_KEEP_MS / 4) {
        h->swept_ms = now_ms;
        forget(h, now_ms - HEARD_KEEP_MS);
    }
    if (h->count == HEARD_MAX)
        forget(h, oldest_ms(h));
    if (h->count < h->cap)
        return true;
    struct heard_sender *more = mem_grow(h->senders, &h->cap, HEARD_FIRST, sizeof *more);
    if (more)
        h->senders = more;
    return more != NULL;
}

bool heard_is_new(struct heard *h, uint64_t incarnation, uint64_t sequence, int64_t now_ms)
{
    uint32_t at = place(h, incarnation);
    bool known = at < h->count && h->senders[at].incarnation == incarnation;
    if (known && sequence <= h->senders[at].sequence)
        return false;
    if (!known) {
        if (!make_room(h, now_ms))
            return true;
        at = place(h, incarnation);
        memmove(h->senders + at + 1, h->senders + at, (h->count - at) * sizeof *h->senders);
        h->count++;
    }
    h->senders[at] = (struct heard_sender){incarnation, sequence, now_ms};
    return true;
}

void heard_done(struct heard *h)
{
    mem_free(h->senders);
    *h = (struct heard){0};
}
