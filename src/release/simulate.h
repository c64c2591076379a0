/* simulate.h - a release played without a server: the engine in a world that a scenario describes.
 *
 * A scenario is JSON, an object a line: docs/releases.md, "Playing a release". Either lines that change
 * the world, from which rounds are made, or the events of a release as they were exported, which are
 * taken as they are. Time is virtual: nothing here asks a clock.
 */
#ifndef RELEASE_SIMULATE_H
#define RELEASE_SIMULATE_H

#include "release/engine.h"

enum { RELEASE_SCENARIO_LINES_MAX = 1 << 20, RELEASE_MOMENT_SIZE = 2048 };

enum release_moment_kind {
    RELEASE_WAS_SAID,
    RELEASE_WAS_PAGED,
    RELEASE_WAS_REFUSED,
    RELEASE_WAITS, /* what it waits for has become another */
};

struct release_moment {
    enum release_moment_kind kind;
    int64_t wall_ms;
    char text[RELEASE_MOMENT_SIZE];
};

struct release_watcher { /* any may be NULL */
    void (*moment)(void *arg, const struct release_moment *moment);
    void (*event)(void *arg, const struct release_event *event); /* each that was taken */
    void *arg;
};

/*
 * Play `scenario` on `plan`. It begins at `from_ms`, unless the scenario says when. It ends when the
 * release does; or, once all lines are used, when nothing has come on for an hour.
 *
 * Gives:   *ret_record, and when its last event was; *ret_unused, the lines that were not come to.
 * Errors:  EINVAL  names the line and what is wrong with it
 *          ELIMIT  more lines than that, or two years have passed
 *          ENOMEM
 */
MUST_USE enum hoist_err release_simulate(const struct release_plan *plan, struct slice scenario,
                                         int64_t from_ms, const struct release_watcher *watcher,
                                         struct release_record *ret_record, int64_t *ret_wall_ms,
                                         uint32_t *ret_unused);

#endif
