/* release_plan.h - what `release plan` shows, gathered before a line of it is written. */
#ifndef FLAGCTL_RELEASE_PLAN_H
#define FLAGCTL_RELEASE_PLAN_H

#include "flagctl.h"

enum { SHOWN_MAX = 64 << 20 };

struct shown_plan {
    struct call *call;
    const struct release_plan *plan;
    struct release_times times[RELEASE_STEPS_MAX];
    int64_t from_ms, finish_ms;
    struct reply fleet[RELEASE_ENVS_MAX]; /* of a primary; body NULL: it was not asked */
    struct reply list[RELEASE_ENVS_MAX];
    bool asked;
    bool guards_asked; /* of a Prometheus */
    struct prometheus_answer answers[RELEASE_GUARDS_MAX];
};

void shown_plan_text(const struct shown_plan *s);
void shown_plan_json(const struct shown_plan *s);

/* Whether somebody is there for all of the watch. */
bool shown_is_covered(const struct shown_plan *s);

/* The commands that take it back, a line each, from the widest on. */
void shown_undo(const struct release_plan *plan, struct buf *out);

/* A flag in what the primary answers to `list`, or NULL. */
const json_t *shown_flag(const json_t *list, struct slice key);

/* Why a reply has no answer, or "". */
const char *shown_error(const struct reply *r);

#endif
