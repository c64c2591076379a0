/* counts.h - a bounded table: how often a flag of an environment yielded a variant.
 *
 * Rows stay in the order in which they came. Threads: one at a time.
 */
#ifndef USAGE_COUNTS_H
#define USAGE_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct count {
    struct count *next;  /* in order */
    struct count *chain; /* in its bucket */
    uint64_t hash;
    struct slice env, key, variant; /* in `bytes` */
    uint64_t n;
    uint8_t bytes[];
};

struct counts { /* all zero but `max` is an empty one */
    struct count *first, **end;
    struct count **buckets;
    uint64_t seed;
    uint32_t bucket_count, count;
    uint32_t max;
};

/* False: there is no room, nor memory, for another row. */
bool counts_add(struct counts *c, struct slice env, struct slice key, struct slice variant,
                uint64_t n);

/* Keep those rows of which `keep` says so. */
void counts_filter(struct counts *c, bool (*keep)(void *arg, const struct count *row), void *arg);

void counts_drop_first(struct counts *c);
void counts_done(struct counts *c);

/* What they come to, and at most what a signed number holds: JSON's readers have no greater. */
uint64_t count_sum(uint64_t a, uint64_t b);

#endif
