/* arena.h - many small allocations that end together.
 *
 * Zeroed and aligned for anything. What comes from an arena lives until arena_done(); there is no
 * freeing of one piece. Threads: one at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

struct arena_block;

struct arena { /* all zero is an empty arena */
    struct arena_block *blocks;
    size_t left;  /* bytes free in the newest block */
    size_t total; /* bytes taken from the heap */
};

/* `count` × `size` bytes, zeroed; NULL when memory is out or the product overflows. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* Make *s a copy of its own bytes (ended with a NUL that is not counted). */
MUST_USE enum hoist_err arena_own(struct arena *a, struct slice *s);

void arena_done(struct arena *a);

#endif
