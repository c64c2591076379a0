/* engine_int.h - private to src/release: one event, while it is taken. */
#ifndef RELEASE_ENGINE_INT_H
#define RELEASE_ENGINE_INT_H

#include "release/engine.h"

struct taking {
    const struct release_plan *plan;
    struct release_record *r;
    const struct release_event *e;
    struct release_effects *fx;
};

static inline const struct release_step *release_here(const struct taking *t)
{
    return &t->plan->steps[t->r->step];
}

static inline uint64_t release_plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* The event changes nothing, and why. */
void release_refuse(struct taking *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A line for people. */
void release_say(struct taking *t, bool page, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Copy a text into a field of the record, whose rest is zero. */
void release_keep(char *field, size_t size, struct slice text);

/* Whether an override stands on one of its flags, in any environment. */
bool release_is_killed(const struct release_plan *plan, const struct release_record *r);

/* One step on if nothing is unmet any more. */
void release_move_on(struct taking *t);

/* Back to the baseline. */
void release_roll_back(struct taking *t, enum release_cause cause, uint32_t of);

/* What is repeated while hosts lack the baseline; ends the release if none does. */
void release_keep_rolling_back(struct taking *t, uint64_t ms);

void release_hear_fleet(struct taking *t);

/* What an event does, by its kind. */
void release_take_tick(struct taking *t);
void release_take_signed(struct taking *t);
void release_take_attested(struct taking *t);
void release_take_held(struct taking *t);
void release_take_resumed(struct taking *t);
void release_take_aborted(struct taking *t);

#endif
