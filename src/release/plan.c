#include "release/plan.h"

#include "base/mem.h"

void release_plan_free(struct release_plan *plan)
{
    if (!plan)
        return;
    arena_done(&plan->arena);
    mem_free(plan);
}

const char *release_phase_name(enum release_phase phase)
{
    static const char *const names[RELEASE_PHASES] = {"flags", "monitoring", "staging",
                                                      "production", "watch"};
    return names[phase];
}

const struct release_cover *release_cover_at(const struct release_plan *plan, int64_t wall_ms)
{
    for (uint32_t i = 0; i < plan->coverage_count; i++)
        if (plan->coverage[i].from_ms <= wall_ms && wall_ms < plan->coverage[i].to_ms)
            return &plan->coverage[i];
    return NULL;
}

uint64_t release_watched_ms(const struct release_plan *plan, uint32_t step)
{
    uint64_t ms = 0;
    for (uint32_t i = plan->phases[RELEASE_WATCH].first; i <= step; i++)
        ms += plan->steps[i].soak_ms;
    return ms;
}

#define FIND(items, count, what)                                                                   \
    for (uint32_t i = 0; i < (count); i++)                                                         \
        if (slice_eq((items)[i] what, name))                                                       \
            return (int)i;                                                                         \
    return -1

int release_env_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->envs, plan->env_count, );
}

int release_flag_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->flags, plan->flag_count, .key);
}

int release_guard_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->guards, plan->guard_count, .name);
}

int release_check_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->checks, plan->check_count, .name);
}

int release_role_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->roles, plan->role_count, .name);
}

int release_person_find(const struct release_plan *plan, struct slice name)
{
    FIND(plan->people, plan->people_count, );
}
