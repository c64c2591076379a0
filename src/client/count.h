/* count.h - each answer that a program gets is counted, by what its flag yielded (usage/tally.h). What
 * is decided on the way, for flags that another requires, is not.
 */
#ifndef CLIENT_COUNT_H
#define CLIENT_COUNT_H

#include "usage/tally.h"

/* A thread's first, or the first in a child. */
void count_first(uint32_t slot);

static inline void count(uint32_t slot)
{
    if (__builtin_expect(!tally_add(slot), 0))
        count_first(slot);
}

#endif
