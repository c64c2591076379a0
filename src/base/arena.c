#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/mem.h"

enum { BLOCK_MIN = 1000 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    size_t want;
    if (__builtin_mul_overflow(count, size, &want) || want > SIZE_MAX / 4)
        return NULL;
    want = (want + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (want > a->left || !a->blocks) {
        /* Each block doubles what there is, so that a big flag needs few. */
        size_t room = a->total > BLOCK_MIN ? a->total : BLOCK_MIN;
        if (room < want)
            room = want;
        room = (room + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
        struct arena_block *b = mem_zalloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->next = a->blocks;
        b->size = room;
        a->blocks = b;
        a->left = room;
        a->total += room;
    }
    void *piece = a->blocks->bytes + (a->blocks->size - a->left);
    a->left -= want;
    return piece;
}

enum hoist_err arena_own(struct arena *a, struct slice *s)
{
    uint8_t *copy = arena_alloc(a, s->len + 1, 1);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (s->len)
        memcpy(copy, s->ptr, s->len);
    s->ptr = copy;
    return HOIST_OK;
}

void arena_done(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *a = (struct arena){0};
}
