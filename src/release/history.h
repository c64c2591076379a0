/* history.h - what a release has been: the fold of its events, and when each thing of it was.
 *
 * Whoever reports on a release takes its log, event by event; at each of them the record is what the
 * primary's was. Times are the wall clock's, as the events have them. Threads: any, one at a time.
 */
#ifndef RELEASE_HISTORY_H
#define RELEASE_HISTORY_H

#include "release/engine.h"
#include "release/waiting.h"

struct release_still { /* a time in which it stood still for the same conditions */
    uint32_t step;
    uint32_t conditions;         /* bit set */
    int64_t from_ms, to_ms;      /* to_ms: up to now, where it still does */
    char why[RELEASE_WAIT_SIZE]; /* the first thing that it waited for then */
};

struct release_step_history {
    int64_t began_ms, ended_ms; /* 0: it has not */
    int64_t moved_ms, stood_ms; /* for so long each */
    int64_t watched_ms; /* of the watch: when its soak was done, and a report due; 0: not yet */
};

struct release_abort_history { /* 0: not known, or not yet */
    int64_t well_ms;           /* by a guard: its last round that passed */
    int64_t failing_ms;        /* the first round that failed, with none behind it that passed */
    int64_t decided_ms;
    int64_t back_ms; /* every live host had the baseline */
};

struct release_history {
    const struct release_plan *plan;
    struct release_record record;
    int64_t at_ms; /* of the last event */
    struct release_step_history steps[RELEASE_STEPS_MAX];
    struct release_abort_history abort;
    struct release_still *still; /* in order */
    size_t still_count, still_cap;
    uint32_t stands; /* for which conditions, since the last event */
    int64_t passed_ms[RELEASE_GUARDS_MAX], failing_ms[RELEASE_GUARDS_MAX];
};

/* Of a release that has not started; `plan` stays the caller's. */
void release_history_begin(struct release_history *h, const struct release_plan *plan);
void release_history_done(struct release_history *h);

/* The next event of its log. ENOMEM: it was not taken. */
MUST_USE enum hoist_err release_history_take(struct release_history *h,
                                             const struct release_event *event);

/* When the watch began; 0: it has not. */
int64_t release_history_watch_ms(const struct release_history *h);

#endif
