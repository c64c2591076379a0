#include "release/engine_int.h"

bool release_is_everywhere(const struct release_record *record, uint32_t env)
{
    const struct release_env_record *e = &record->envs[env];
    return !e->touched || (e->version != 0 && e->asked == e->version && e->lagging == 0);
}

bool release_converged(const struct release_plan *plan, const struct release_record *record,
                       uint32_t env)
{
    const struct release_env_record *e = &record->envs[env];
    return !e->touched ||
           (release_is_everywhere(record, env) && e->live > 0 && e->silent <= plan->max_silent);
}

bool release_is_killed(const struct release_plan *plan, const struct release_record *r)
{
    for (uint32_t i = 0; i < plan->env_count; i++)
        if (r->envs[i].killed)
            return true;
    return false;
}

static bool lacks_a_check(const struct release_step *s, const struct release_record *r)
{
    for (uint64_t left = s->checks; left; left &= left - 1)
        if (!r->checks[__builtin_ctzll(left)].passed)
            return true;
    return false;
}

static bool lacks_a_signature(const struct release_step *s, const struct release_record *r)
{
    for (uint32_t i = 0; i < s->sign_count; i++)
        if (!r->signs[i].person)
            return true;
    return false;
}

uint32_t release_stands_for(const struct release_record *r)
{
    enum {
        TROUBLE = 1u << RELEASE_UNHELD | 1u << RELEASE_CONVERGED,
        OTHERS =
            1u << RELEASE_EXPOSED | 1u << RELEASE_CHECK | 1u << RELEASE_SIGN | 1u << RELEASE_WINDOW,
        SOAK = 1u << RELEASE_SOAK
    };
    uint32_t trouble = r->unmet & TROUBLE;
    if (r->state != RELEASE_MOVING)
        return 0;
    if (r->unmet & SOAK && r->rounds == 0)
        trouble |= SOAK;
    return trouble || r->unmet & SOAK ? trouble : r->unmet & OTHERS;
}

uint32_t release_unmet(const struct release_plan *plan, const struct release_record *r,
                       int64_t wall_ms)
{
    if (r->state != RELEASE_MOVING)
        return 0;
    const struct release_step *s = &plan->steps[r->step];
    const struct release_step *next = r->step + 1 < plan->step_count ? s + 1 : NULL;
    bool converged = s->env == RELEASE_NO_ENV || release_converged(plan, r, s->env);
    bool soaked = r->soak_ms >= s->soak_ms && r->rounds >= RELEASE_FRESH_ROUNDS;
    return (uint32_t)(r->holder[0] || release_is_killed(plan, r)) << RELEASE_UNHELD |
           (uint32_t)!converged << RELEASE_CONVERGED | (uint32_t)!soaked << RELEASE_SOAK |
           (uint32_t)(r->exposed < s->exposed) << RELEASE_EXPOSED |
           (uint32_t)lacks_a_check(s, r) << RELEASE_CHECK |
           (uint32_t)lacks_a_signature(s, r) << RELEASE_SIGN |
           (uint32_t)(next && !release_window_open(&next->window, wall_ms)) << RELEASE_WINDOW;
}
