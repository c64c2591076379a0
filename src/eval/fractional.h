/* fractional.h - which share of a rollout somebody belongs to. */
#ifndef EVAL_FRACTIONAL_H
#define EVAL_FRACTIONAL_H

#include <stdint.h>

#include "base/slice.h"

/* How a text becomes a bucket. A rule may name one some day; until then all use the first. */
enum bucket_rule {
    BUCKET_FLAGD = 1, /* MurmurHash3 x86 32-bit, seed 0, of the UTF-8 bytes: flagd's */
};

/* The bucket of `text` among `total` (1 to 2^31−1): a number below it, the same everywhere. A text
 * keeps its place on the line from 0 to `total` when the total changes. */
uint32_t bucket_of(enum bucket_rule rule, struct slice text, uint32_t total);

#endif
