/* engine.h - a release, one step of it: a function of a record and an event.
 *
 * No clock, no file, no heap: what it knows of the world stands in the events. So the primary, the
 * simulator and the tests run the same release. Threads: any; it touches its arguments alone.
 */
#ifndef RELEASE_ENGINE_H
#define RELEASE_ENGINE_H

#include "release/record.h"

enum { RELEASE_LINES_MAX = 48, RELEASE_LINE_SIZE = 320, RELEASE_PAGE_EVERY_MS = 600000 };

enum release_deed {
    RELEASE_DO_NOTHING,
    RELEASE_DO_CHANGE,   /* set the flags as `step` has them, in its environment */
    RELEASE_DO_BASELINE, /* set them back in each of `envs` */
};

struct release_line { /* for people; a page is for whoever is on call */
    bool page;
    char text[RELEASE_LINE_SIZE];
};

struct release_effects {
    enum release_deed deed;
    uint32_t step;
    uint32_t envs;                   /* bit set */
    char refused[RELEASE_LINE_SIZE]; /* not "": the event changed nothing, and why */
    uint32_t line_count;
    struct release_line lines[RELEASE_LINES_MAX];
};

/*
 * Take one event. Of a record that is all zero, the first must be RELEASE_STARTED.
 *
 * Gives:   the record as it is now, and *ret_effects. A deed is done in the transaction that stores
 *          the event, and answered there: by a RELEASE_CHANGED for each environment, whose version
 *          is the environment's head even where nothing had to change. A refused event need not be
 *          stored.
 */
void release_step(const struct release_plan *plan, struct release_record *record,
                  const struct release_event *event, struct release_effects *ret_effects);

/* The same for an event that was stored: what it brought about has been done. ECORRUPT, ELIMIT,
 * EVERSION as release_event_decode(), with the record as it was. */
MUST_USE enum hoist_err release_fold(const struct release_plan *plan, struct release_record *record,
                                     struct slice row);

/* Whether every live host of `env` has the release's last change there; and whether that will do to
 * go on: there is one, and no more are silent than may be. */
bool release_is_everywhere(const struct release_record *record, uint32_t env);
bool release_converged(const struct release_plan *plan, const struct release_record *record,
                       uint32_t env);

/* Which conditions are unmet at `wall_ms`: a bit set. 0 for what does not move. */
uint32_t release_unmet(const struct release_plan *plan, const struct release_record *record,
                       int64_t wall_ms);

/* For which of its unmet conditions it stands still: a bit set, 0 while it moves. With RELEASE_UNHELD,
 * RELEASE_CONVERGED or RELEASE_SOAK (no round was good) something is not as it should be; with the others it
 * waits for people, a window, evaluations. Time that passes and is good is how it moves. */
uint32_t release_stands_for(const struct release_record *record);

#endif
