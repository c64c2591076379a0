/* A round: what the guards and the hosts say, and whether it is enough to go on. */
#include "base/text.h"
#include "release/engine_int.h"
#include "release/say.h"

/* Whether this round comes much sooner than an interval after the last that counted: it was due at once.
 * Half an interval, since answers take their time. */
static bool is_early(const struct taking *t)
{
    const struct release_record *r = t->r;
    return t->e->boot == r->boot && t->e->boot_ms >= r->boot_ms &&
           t->e->boot_ms - r->boot_ms < t->plan->interval_ms / 2;
}

/* The time since the last round that counted, by the clock that nobody sets: at most one interval, and 0
 * when it cannot be told. */
static uint64_t elapsed(struct taking *t)
{
    struct release_record *r = t->r;
    uint64_t ms = 0;
    if (t->e->boot == r->boot && t->e->boot_ms > r->boot_ms)
        ms = t->e->boot_ms - r->boot_ms;
    else
        r->rounds = 0;
    r->boot = t->e->boot;
    r->boot_ms = t->e->boot_ms;
    return ms < t->plan->interval_ms ? ms : t->plan->interval_ms;
}

void release_hear_fleet(struct taking *t)
{
    for (uint32_t i = 0; i < t->e->fleet_count; i++) {
        const struct release_fleet *f = &t->e->fleet[i];
        struct release_env_record *env = &t->r->envs[f->env];
        env->asked = f->version;
        env->live = f->live;
        env->lagging = f->lagging;
        env->silent = f->silent;
    }
}

/* Whether what was said then holds no more: for its age, or since the clock was ahead by more than that. */
static bool is_over(int64_t at_ms, uint64_t valid_ms, int64_t now_ms)
{
    return now_ms >= at_ms ? (uint64_t)now_ms - (uint64_t)at_ms >= valid_ms
                           : (uint64_t)at_ms - (uint64_t)now_ms > valid_ms;
}

/* What was signed or attested holds for so long; once it is over it stays over, whatever the clock does
 * then. */
static void expire(struct taking *t)
{
    const struct release_plan *plan = t->plan;
    const struct release_step *s = release_here(t);
    int64_t now = t->e->wall_ms;
    for (uint32_t i = 0; i < s->sign_count; i++) {
        struct release_sign_record *sign = &t->r->signs[i];
        if (!sign->person || !plan->sign_valid_ms ||
            !is_over(sign->at_ms, plan->sign_valid_ms, now))
            continue;
        *sign = (struct release_sign_record){0};
        release_say(t, true, "the signature of %.*s has expired",
                    SLICE_ARG(plan->roles[s->signs[i].role].name));
    }
    for (uint64_t left = s->checks; left; left &= left - 1) {
        const struct release_check *check = &plan->checks[__builtin_ctzll(left)];
        struct release_check_record *got = &t->r->checks[__builtin_ctzll(left)];
        if (got->passed && check->every_ms && is_over(got->at_ms, check->every_ms, now)) {
            *got = (struct release_check_record){0};
            release_say(t, true, "check %.*s is due again", SLICE_ARG(check->name));
        }
    }
}

/* A guard's answer, or that there was none. What came early is no further failure. */
static void hear_guard(struct taking *t, uint32_t guard, uint64_t ms, bool early)
{
    const struct release_guard *g = &t->plan->guards[guard];
    struct release_guard_record *had = &t->r->guards[guard];
    struct release_answer answer = {.verdict = RELEASE_NODATA};
    if (t->e->asked & 1u << guard)
        answer = t->e->answers[guard];
    bool is_new = had->verdict != answer.verdict;
    had->verdict = answer.verdict;
    had->value = answer.value;
    if (answer.verdict == RELEASE_PASS || answer.verdict == RELEASE_FAIL) {
        had->blind_ms = 0;
        if (answer.verdict == RELEASE_PASS)
            had->fails = 0;
        else if (had->fails == 0 || !early)
            had->fails++;
        if (answer.verdict == RELEASE_FAIL && is_new) {
            char value[TEXT_NUMBER_SIZE];
            text_number(value, answer.value);
            release_say(t, g->hold, "guard %.*s: FAIL, at %s", SLICE_ARG(g->name), value);
        }
        return;
    }
    /* An answer that does not come breaks no run of failures: only PASS does. */
    uint64_t before = had->blind_ms;
    had->blind_ms = release_plus(before, early ? 0 : ms);
    if (before / RELEASE_PAGE_EVERY_MS != had->blind_ms / RELEASE_PAGE_EVERY_MS)
        release_say(t, true, "guard %.*s: %s for %u minutes; it stands still", SLICE_ARG(g->name),
                    release_verdict_name(answer.verdict), (unsigned)(had->blind_ms / 60000));
}

/* True when one of the guards ends the release. */
static bool judge(struct taking *t)
{
    for (uint32_t left = release_here(t)->guards; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        const struct release_guard *g = &t->plan->guards[guard];
        const struct release_guard_record *had = &t->r->guards[guard];
        if (had->verdict != RELEASE_FAIL)
            continue;
        bool critical = release_within(g->critical, had->value);
        if (!critical && (g->hold || had->fails < t->plan->abort_after))
            continue;
        release_roll_back(t, critical ? RELEASE_BY_CRITICAL : RELEASE_BY_GUARD, guard);
        return true;
    }
    return false;
}

static bool all_pass(const struct taking *t)
{
    for (uint32_t left = release_here(t)->guards; left; left &= left - 1)
        if (t->r->guards[__builtin_ctz(left)].verdict != RELEASE_PASS)
            return false;
    return true;
}

/* Of the watch there is a report when a soak is done: people may want to read it before they sign. */
static void soak(struct taking *t, uint64_t ms)
{
    const struct release_step *s = release_here(t);
    struct release_record *r = t->r;
    char watched[RELEASE_DURATION_SIZE];
    bool was_done = r->soak_ms >= s->soak_ms;
    r->soak_ms = release_plus(r->soak_ms, ms);
    if (s->phase != RELEASE_WATCH || was_done || r->soak_ms < s->soak_ms)
        return;
    release_say_duration(release_watched_ms(t->plan, r->step), watched);
    release_say(t, false, "watched for %s: its report is flagctl release report %.*s --at %s",
                watched, SLICE_ARG(t->plan->name), watched);
}

/* Time and exposures count for the step that asked, in a round whose clock has moved on; soak counts
 * between two rounds that were good. What came early is no further good round. True: it counts as one. */
static bool accrue(struct taking *t, uint64_t ms, bool early)
{
    struct release_record *r = t->r;
    const struct release_step *s = release_here(t);
    bool converged = s->env == RELEASE_NO_ENV || release_converged(t->plan, r, s->env);
    if (ms == 0 || release_is_killed(t->plan, r) || !converged || !all_pass(t)) {
        r->rounds = 0;
        return false;
    }
    r->exposed = release_plus(r->exposed, t->e->exposed);
    if (early && r->rounds > 0)
        return false;
    if (r->rounds > 0)
        soak(t, ms);
    if (r->rounds < UINT32_MAX)
        r->rounds++;
    return true;
}

static void forget_fleet(struct release_record *r)
{
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++)
        r->envs[i].asked = r->envs[i].live = r->envs[i].lagging = r->envs[i].silent = 0;
}

void release_take_tick(struct taking *t)
{
    bool early = is_early(t);
    uint64_t counted_ms = t->r->boot_ms, ms = elapsed(t);
    forget_fleet(t->r);
    release_hear_fleet(t);
    if (t->r->state == RELEASE_ROLLING_BACK) {
        release_keep_rolling_back(t, ms);
        return;
    }
    expire(t);
    if (t->e->step != t->r->step) { /* answers to a question that is over */
        t->r->rounds = 0;
        return;
    }
    for (uint32_t left = release_here(t)->guards; left; left &= left - 1)
        hear_guard(t, (uint32_t)__builtin_ctz(left), ms, early);
    if (judge(t))
        return;
    if (!accrue(t, ms, early) && early)
        t->r->boot_ms = counted_ms;
    release_move_on(t);
}
