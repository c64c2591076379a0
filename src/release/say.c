#include "release/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void release_say_step(const struct release_plan *plan, uint32_t step, char out[RELEASE_SAID_SIZE])
{
    const struct release_step *s = &plan->steps[step];
    char share[TEXT_NUMBER_SIZE];
    int len = snprintf(out, RELEASE_SAID_SIZE, "step %u of %u, %s", step + 1, plan->step_count,
                       release_phase_name(s->phase));
    if (s->share == RELEASE_NO_CHANGE)
        return;
    if (s->cohort.count && s->share == 0) {
        snprintf(out + len, RELEASE_SAID_SIZE - (size_t)len, ": a cohort of %.*s",
                 SLICE_ARG(plan->envs[s->env]));
        return;
    }
    text_number(share, (double)s->share / 1000);
    snprintf(out + len, RELEASE_SAID_SIZE - (size_t)len, ": %s%s%% of %.*s",
             s->cohort.count ? "a cohort and " : "", share, SLICE_ARG(plan->envs[s->env]));
}

void release_say_cause(const struct release_plan *plan, const struct release_record *record,
                       char out[RELEASE_SAID_SIZE])
{
    const struct release_guard_record *g;
    out[0] = '\0';
    switch ((enum release_cause)record->cause) {
    case RELEASE_BY_NOBODY:
        return;
    case RELEASE_BY_GUARD:
        g = &record->guards[record->cause_of];
        snprintf(out, RELEASE_SAID_SIZE, "guard %.*s: FAIL %u times in a row, at %.4g",
                 SLICE_ARG(plan->guards[record->cause_of].name), g->fails, g->value);
        return;
    case RELEASE_BY_CRITICAL:
        g = &record->guards[record->cause_of];
        snprintf(out, RELEASE_SAID_SIZE, "guard %.*s: critical, at %.4g",
                 SLICE_ARG(plan->guards[record->cause_of].name), g->value);
        return;
    case RELEASE_BY_ALERT:
        snprintf(out, RELEASE_SAID_SIZE, "alert %.*s", SLICE_ARG(plan->alerts[record->cause_of]));
        return;
    case RELEASE_BY_HAND:
        snprintf(out, RELEASE_SAID_SIZE, "%s: %.*s", record->holder,
                 (int)strnlen(record->reason, sizeof record->reason), record->reason);
        return;
    }
}

void release_say_duration(uint64_t ms, char out[RELEASE_DURATION_SIZE])
{
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    int len = ms ? 0 : snprintf(out, RELEASE_DURATION_SIZE, "0s");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++, ms %= units[i - 1].ms)
        if (ms >= units[i].ms)
            len += snprintf(out + len, RELEASE_DURATION_SIZE - (size_t)len, "%" PRIu64 "%s",
                            ms / units[i].ms, units[i].name);
}
