/* When the steps of a plan could be done: windows and soaks, and nobody who keeps it waiting. */
#include "release/plan_file.h"

/* The rounds that must pass last stand at the end of the soak, and are the least there is of it. */
static uint64_t least_ms(const struct release_plan *plan, const struct release_step *s)
{
    uint64_t rounds = s->guards ? (uint64_t)plan->interval_ms * RELEASE_FRESH_ROUNDS : 0;
    return s->soak_ms > rounds ? s->soak_ms : rounds;
}

void release_plan_times(const struct release_plan *plan, int64_t from_ms,
                        struct release_times *times)
{
    int64_t now = from_ms;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        times[i].begins_ms = release_window_next(&plan->steps[i].window, now);
        now = times[i].begins_ms + (int64_t)least_ms(plan, &plan->steps[i]);
        times[i].ends_ms = now;
    }
}
