/* say.h - a release in words: what a step does, why it was taken back. */
#ifndef RELEASE_SAY_H
#define RELEASE_SAY_H

#include "release/record.h"

enum { RELEASE_SAID_SIZE = 256, RELEASE_DURATION_SIZE = 32 };

/* "step 7 of 11, production: 10% of production" */
void release_say_step(const struct release_plan *plan, uint32_t step, char out[RELEASE_SAID_SIZE]);

/* "guard sync_failures: FAIL 3 times in a row, at 0.31"; "" when it was not. */
void release_say_cause(const struct release_plan *plan, const struct release_record *record,
                       char out[RELEASE_SAID_SIZE]);

/* "1h30m", "45s", "250ms": exact. */
void release_say_duration(uint64_t ms, char out[RELEASE_DURATION_SIZE]);

#endif
