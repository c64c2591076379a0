/* waiting.h - what a release waits for: that is its status. */
#ifndef RELEASE_WAITING_H
#define RELEASE_WAITING_H

#include "release/record.h"
#include "release/say.h"

enum { RELEASE_WAITS_MAX = 128, RELEASE_WAIT_SIZE = RELEASE_TEXT_MAX + 128 };

struct release_wait {
    enum release_condition condition;
    const struct release_role *role; /* whose signature; else NULL */
    bool counts;                     /* time, exposures or rounds alone: it comes by itself */
    int64_t since_ms;                /* by the wall clock */
    char text[RELEASE_WAIT_SIZE];
};

/* All that is unmet at `wall_ms`, one entry for each thing: how many. A release that rolls back waits
 * for its hosts; one that has ended for nothing. */
uint32_t release_waiting(const struct release_plan *plan, const struct release_record *record,
                         int64_t wall_ms, struct release_wait out[RELEASE_WAITS_MAX]);

/* When it could be completed at the earliest, if nothing but time and windows stood in its way;
 * INT64_MAX: never, a window does not open. */
int64_t release_earliest(const struct release_plan *plan, const struct release_record *record,
                         int64_t wall_ms);

/* "unheld", "converged", "soak", "exposed", "check", "sign", "window". */
const char *release_condition_name(enum release_condition condition);

#endif
