/* evaluations.h - how often flags are evaluated, as hosts tell it, in the store.
 *
 * It is no part of any change. What was told and is not written yet goes with the process.
 */
#ifndef PRIMARY_EVALUATIONS_H
#define PRIMARY_EVALUATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "usage/sums.h"

/* From now on it is counted, if it was not before. Its own transaction. */
MUST_USE enum hoist_err evaluations_begin(struct store *s, int64_t now_ms);

/* Write a bounded piece of what waits, in a transaction of its own; *ret_more is set when there is
 * more, and else left as it is. An error leaves it waiting. Counts of flags that are not there (any
 * more) go. The writer's thread. */
MUST_USE enum hoist_err evaluations_write(struct sums *sums, struct store *s, int64_t now_ms,
                                          bool *ret_more);

#endif
