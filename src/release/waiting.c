#include "release/waiting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "release/engine.h"

struct list {
    const struct release_plan *plan;
    const struct release_record *r;
    const struct release_step *s;
    const struct release_role *role; /* that the next entry is about; or NULL */
    int64_t wall_ms;
    struct release_wait *out;
    uint32_t count;
};

const char *release_condition_name(enum release_condition condition)
{
    static const char *const names[RELEASE_CONDITIONS] = {"unheld", "converged", "soak",  "exposed",
                                                          "check",  "sign",      "window"};
    return names[condition];
}

static void add_text(struct list *l, enum release_condition condition, bool counts, const char *fmt,
                     va_list args)
{
    if (l->count == RELEASE_WAITS_MAX)
        return;
    struct release_wait *wait = &l->out[l->count++];
    *wait = (struct release_wait){condition, l->role, counts, l->r->since_ms[condition], ""};
    vsnprintf(wait->text, sizeof wait->text, fmt, args);
}

PRINTF_LIKE(3, 4)
static void add(struct list *l, enum release_condition condition, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_text(l, condition, false, fmt, args);
    va_end(args);
}

PRINTF_LIKE(3, 4)
static void add_counting(struct list *l, enum release_condition condition, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_text(l, condition, true, fmt, args);
    va_end(args);
}

static void wait_unheld(struct list *l)
{
    const struct release_record *r = l->r;
    if (r->holder[0])
        add(l, RELEASE_UNHELD, "%s to resume it: %.*s", r->holder,
            (int)strnlen(r->reason, sizeof r->reason), r->reason);
    for (uint32_t i = 0; i < l->plan->env_count; i++)
        for (uint32_t f = 0; f < l->plan->flag_count; f++)
            if (r->envs[i].killed >> f & 1)
                add(l, RELEASE_UNHELD, "flag %.*s to be restored in %.*s",
                    SLICE_ARG(l->plan->flags[f].key), SLICE_ARG(l->plan->envs[i]));
}

static void wait_hosts(struct list *l, uint32_t env)
{
    const struct release_env_record *e = &l->r->envs[env];
    struct slice name = l->plan->envs[env];
    if (!e->version || e->asked != e->version)
        add(l, RELEASE_CONVERGED, "word from the hosts of %.*s", SLICE_ARG(name));
    else if (e->lagging)
        add(l, RELEASE_CONVERGED, "%u of %u live hosts of %.*s to have version %" PRIu64,
            e->lagging, e->live, SLICE_ARG(name), e->version);
    else if (!e->live)
        add(l, RELEASE_CONVERGED, "a live host in %.*s", SLICE_ARG(name));
    else
        add(l, RELEASE_CONVERGED, "hosts of %.*s: %u silent, %u may be", SLICE_ARG(name), e->silent,
            l->plan->max_silent);
}

static void wait_soak(struct list *l)
{
    char had[RELEASE_DURATION_SIZE], whole[RELEASE_DURATION_SIZE];
    bool is_new = false;
    for (uint32_t left = l->s->guards; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        uint32_t verdict = l->r->guards[guard].verdict;
        is_new |= verdict == 0;
        if (verdict > RELEASE_PASS)
            add(l, RELEASE_SOAK, "guard %.*s: %s", SLICE_ARG(l->plan->guards[guard].name),
                release_verdict_name((enum release_verdict)verdict));
    }
    if (is_new)
        add_counting(l, RELEASE_SOAK, "the first answers of its guards");
    release_say_duration(l->r->soak_ms, had);
    release_say_duration(l->s->soak_ms, whole);
    if (l->r->soak_ms < l->s->soak_ms)
        add_counting(l, RELEASE_SOAK, "soak: %s of %s", had, whole);
    else
        add_counting(l, RELEASE_SOAK, "good rounds in a row: %u of %d", l->r->rounds,
                     RELEASE_FRESH_ROUNDS);
}

static void wait_checks(struct list *l)
{
    for (uint64_t left = l->s->checks; left; left &= left - 1) {
        const struct release_check_record *had = &l->r->checks[__builtin_ctzll(left)];
        if (!had->passed)
            add(l, RELEASE_CHECK, "check %.*s%s",
                SLICE_ARG(l->plan->checks[__builtin_ctzll(left)].name),
                had->at_ms ? ", which failed" : "");
    }
}

static void wait_signs(struct list *l)
{
    for (uint32_t i = 0; i < l->s->sign_count; i++) {
        if (l->r->signs[i].person)
            continue;
        l->role = &l->plan->roles[l->s->signs[i].role];
        add(l, RELEASE_SIGN, "signature of %.*s: %.*s", SLICE_ARG(l->role->name),
            SLICE_ARG(l->s->signs[i].statement));
    }
    l->role = NULL;
}

static void wait_window(struct list *l)
{
    char when[TEXT_TIME_SIZE];
    int64_t next = release_window_next(&l->s[1].window, l->wall_ms);
    if (next == INT64_MAX) {
        add(l, RELEASE_WINDOW, "a window that never opens");
        return;
    }
    text_time(when, next);
    add(l, RELEASE_WINDOW, "the window of the next step, which opens %s", when);
}

static void wait_moving(struct list *l)
{
    uint32_t unmet = release_unmet(l->plan, l->r, l->wall_ms);
    if (unmet & 1u << RELEASE_UNHELD)
        wait_unheld(l);
    if (unmet & 1u << RELEASE_CONVERGED)
        wait_hosts(l, l->s->env);
    if (unmet & 1u << RELEASE_SOAK)
        wait_soak(l);
    if (unmet & 1u << RELEASE_EXPOSED)
        add_counting(l, RELEASE_EXPOSED, "exposed: %" PRIu64 " of %" PRIu64, l->r->exposed,
                     l->s->exposed);
    if (unmet & 1u << RELEASE_CHECK)
        wait_checks(l);
    if (unmet & 1u << RELEASE_SIGN)
        wait_signs(l);
    if (unmet & 1u << RELEASE_WINDOW)
        wait_window(l);
    if (!unmet) /* a round alone moves it on */
        add_counting(l, RELEASE_SOAK, "the next round");
}

uint32_t release_waiting(const struct release_plan *plan, const struct release_record *record,
                         int64_t wall_ms, struct release_wait out[RELEASE_WAITS_MAX])
{
    struct list l = {plan, record, &plan->steps[record->step], NULL, wall_ms, out, 0};
    if (record->state == RELEASE_MOVING)
        wait_moving(&l);
    for (uint32_t i = 0; record->state == RELEASE_ROLLING_BACK && i < plan->env_count; i++)
        if (!release_is_everywhere(record, i))
            wait_hosts(&l, i);
    return l.count;
}

int64_t release_earliest(const struct release_plan *plan, const struct release_record *record,
                         int64_t wall_ms)
{
    int64_t at = wall_ms;
    for (uint32_t i = record->step; i < plan->step_count; i++) {
        const struct release_step *s = &plan->steps[i];
        bool now = i == record->step;
        uint64_t soaked = now && record->soak_ms < s->soak_ms ? record->soak_ms : 0;
        uint64_t left = now && record->soak_ms >= s->soak_ms ? 0 : s->soak_ms - soaked;
        uint64_t rounds = (uint64_t)RELEASE_FRESH_ROUNDS * plan->interval_ms;
        uint64_t fresh = now && record->rounds >= RELEASE_FRESH_ROUNDS ? 0 : rounds;
        at += (int64_t)(left > fresh ? left : fresh);
        if (i + 1 < plan->step_count)
            at = release_window_next(&s[1].window, at);
        if (at == INT64_MAX)
            return at;
    }
    return at;
}
