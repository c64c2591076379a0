/* scenario.h - private to src/release: what a line of a scenario does to the simulated world. */
#ifndef RELEASE_SCENARIO_H
#define RELEASE_SCENARIO_H

#include "base/arena.h"
#include "release/event.h"

enum scene_kind {
    SCENE_BEGIN,
    SCENE_GUARD,
    SCENE_EXPOSED,
    SCENE_HOSTS,
    SCENE_LAGGING,
    SCENE_SILENT,
    SCENE_SIGN,
    SCENE_CHECK,
    SCENE_HOLD,
    SCENE_RESUME,
    SCENE_ABORT,
    SCENE_ALERT,
    SCENE_KILL,
    SCENE_RESTORE,
    SCENE_NOTE,
    SCENE_DOWN,
    SCENE_REBOOT,
    SCENE_CLOCK,
    SCENE_EVENT, /* an exported event, as it was */
};

struct scene {
    enum scene_kind kind;
    uint32_t line; /* in the file, from 1 on */
    uint32_t
        step; /* it counts from when the release came to this one (from 1 on); 0: from its start */
    uint64_t at_ms;
    uint8_t env, index; /* of the guard, role, check or flag */
    uint64_t count;     /* hosts, evaluations, milliseconds */
    int64_t ms;         /* a time; what the wall clock jumps by */
    struct release_answer answer;
    bool passed;
    struct slice by, text; /* of SCENE_EVENT, text is its row */
};

struct scenario {
    struct scene *scenes; /* in the order of the file */
    uint32_t count;
    struct arena arena;
};

/* EINVAL with the line; ELIMIT, ENOMEM. On error *ret is empty. */
MUST_USE enum hoist_err scenario_read(const struct release_plan *plan, struct slice text,
                                      struct scenario *ret);
void scenario_done(struct scenario *s);

#endif
