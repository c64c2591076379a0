/* release_kit.h - a world around a release, for tests: hosts, versions, clocks, a log; and what has to hold
 * whatever happens there.
 *
 * The world keeps its own account of what the engine should know, by the meaning of the words and not by
 * the engine's code, and after every event holds the two against each other. I1 … I10 are the
 * invariants of docs/architecture.md, "Releases".
 */
#ifndef RELEASE_KIT_H
#define RELEASE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../release_samples.h"
#include "release/waiting.h"

enum { WORLD_HOSTS = 4, WORLD_ROWS = 4096 };

struct world_env {
    uint64_t head, ours; /* the newest version; that of the release's last change, 0: none yet */
    uint32_t share;      /* what the flags say now */
    bool touched;
    uint64_t killed;
    uint64_t has[WORLD_HOSTS];
    bool silent[WORLD_HOSTS];
};

struct world_truth { /* goes back as a whole when the primary dies before it commits */
    struct release_record r, folded;
    struct world_env envs[2];
    uint32_t rows;
    /* Of the step it stands at: */
    int64_t step_real_ms;
    uint64_t good_ms, exposed; /* at most so much counts */
    uint32_t good_rounds, fails[RELEASE_GUARDS_MAX];
    uint32_t people[RELEASE_SIGNS_MAX]; /* index + 1 */
    int64_t signed_ms[RELEASE_SIGNS_MAX], checked_ms[RELEASE_CHECKS_MAX];
    uint64_t checked; /* bit set */
    /* Of the whole: */
    enum release_verdict verdicts[RELEASE_GUARDS_MAX];
    bool held, was_rolling_back, must_roll_back;
    uint64_t tick_boot, tick_boot_ms;
};

struct world {
    const struct release_plan *plan;
    struct world_truth now;
    struct slice log[WORLD_ROWS];
    struct buf row;
    int64_t real_ms, wall_offset_ms, boot_began_ms;
    uint64_t boot;
    bool dies; /* before it commits what the next event brings about */
    uint64_t definitions;
    /* For the message, and for whoever counts. */
    uint64_t seed, events, moves, completed, rolled_back, deaths, refused;
};

static inline _Noreturn void world_broken(const struct world *w, const struct release_event *e,
                                          const char *what)
{
    printf("SEED=%" PRIu64 " event %" PRIu64 " (%s) at step %u, state %u: %s\n", w->seed, w->events,
           release_event_name(e->kind), w->now.r.step, w->now.r.state, what);
    fflush(stdout);
    fail_msg("%s", what);
    abort(); /* fail_msg() does not come back */
}

#define WORLD_HOLDS(cond, what)                                                                    \
    do {                                                                                           \
        if (!(cond))                                                                               \
            world_broken(w, e, what);                                                              \
    } while (0)

static inline int64_t world_wall(const struct world *w)
{
    return w->real_ms + w->wall_offset_ms;
}

/* ------------------------------------------------------------------ what is so */

static inline uint32_t world_count(const struct world_env *env, bool silent, bool lagging)
{
    uint32_t count = 0;
    for (int h = 0; h < WORLD_HOSTS; h++)
        count += env->silent[h] == silent && (!lagging || env->has[h] < env->ours);
    return count;
}

static inline bool world_lags(const struct world_env *env)
{
    return env->touched && (!env->ours || world_count(env, false, true) > 0);
}

static inline bool world_well(const struct world *w, uint8_t env)
{
    if (env == RELEASE_NO_ENV || !w->now.envs[env].touched)
        return true;
    const struct world_env *v = &w->now.envs[env];
    return !world_lags(v) && world_count(v, false, false) > 0 &&
           world_count(v, true, false) <= w->plan->max_silent;
}

static inline bool world_killed(const struct world *w)
{
    return w->now.envs[0].killed || w->now.envs[1].killed;
}

/* By the C library's calendar, not by the engine's. */
static inline bool world_in_window(const struct release_window *window, int64_t wall_ms)
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (window->from == window->to)
        return true;
    gmtime_r(&at, &tm);
    int minute = tm.tm_hour * 60 + tm.tm_min;
    return window->days >> (tm.tm_wday + 6) % 7 & 1 && minute >= window->from &&
           minute < window->to;
}

/* ------------------------------------------------------------------ keeping the account */

static inline void world_step_begins(struct world *w)
{
    struct world_truth *n = &w->now;
    n->step_real_ms = w->real_ms;
    n->good_ms = n->exposed = n->good_rounds = 0;
    n->checked = 0;
    memset(n->fails, 0, sizeof n->fails);
    memset(n->people, 0, sizeof n->people);
}

/* Of so long ago, or of more than that ahead. */
static inline bool world_old(const struct world *w, int64_t then_ms, uint64_t valid_ms)
{
    int64_t valid = (int64_t)valid_ms, age = world_wall(w) - then_ms;
    return age >= valid || age < -valid;
}

static inline void world_account_tick(struct world *w, const struct release_event *e)
{
    struct world_truth *n = &w->now;
    const struct release_step *s = &w->plan->steps[n->r.step];
    bool counts = e->step == n->r.step, good = counts;
    int64_t gap = e->boot == n->tick_boot ? (int64_t)(e->boot_ms - n->tick_boot_ms) : 0;
    bool soon = e->boot == n->tick_boot && gap >= 0 && gap < w->plan->interval_ms / 2;
    for (uint32_t g = 0; counts && g < w->plan->guard_count; g++) {
        if (!(s->guards >> g & 1))
            continue;
        enum release_verdict v =
            e->asked >> g & 1 ? e->answers[g].verdict : (enum release_verdict)RELEASE_NODATA;
        const struct release_guard *guard = &w->plan->guards[g];
        n->verdicts[g] = v;
        if (v == RELEASE_PASS)
            n->fails[g] = 0;
        else if (v == RELEASE_FAIL && !(soon && n->fails[g]))
            n->fails[g]++; /* one that comes soon after another is none of its own */
        good &= v == RELEASE_PASS;
        if (v == RELEASE_FAIL && ((!guard->hold && n->fails[g] >= w->plan->abort_after) ||
                                  (guard->critical.op && e->answers[g].value > 9)))
            n->must_roll_back = true;
    }
    /* The engine goes by older word of the hosts and may not have counted the last round: this one may then be
     * its first, though no time has passed. */
    good &= (gap > 0 || soon) && !world_killed(w) && world_well(w, s->env);
    bool is_one = good && !(soon && n->good_rounds);
    if (is_one && n->good_rounds > 0)
        n->good_ms += (uint64_t)(gap < w->plan->interval_ms ? gap : w->plan->interval_ms);
    n->good_rounds = good ? n->good_rounds + is_one : 0;
    if (!soon || !counts || is_one) {
        n->tick_boot = e->boot;
        n->tick_boot_ms = e->boot_ms;
    }
    n->exposed += counts ? e->exposed : 0;
    for (uint32_t c = 0; c < w->plan->check_count; c++)
        if (w->plan->checks[c].every_ms &&
            world_old(w, n->checked_ms[c], w->plan->checks[c].every_ms))
            n->checked &= ~(UINT64_C(1) << c);
    for (uint32_t i = 0; i < s->sign_count; i++)
        if (w->plan->sign_valid_ms && world_old(w, n->signed_ms[i], w->plan->sign_valid_ms))
            n->people[i] = 0;
}

static inline bool world_may_sign(const struct world *w, const struct release_event *e, int person)
{
    const struct release_role *role = &w->plan->roles[e->role];
    bool in_role = false;
    for (uint32_t i = 0; i < role->people_count; i++)
        in_role |= role->people[i] == person;
    return in_role && person > 0 && /* 0 has started it */
           !slice_eq(w->plan->people[person], w->plan->author);
}

/* Of what was said for this step, by whom, about these definitions, is something to be kept? */
static inline bool world_is_bound(const struct world *w, const struct release_event *e)
{
    return e->step == w->now.r.step && e->bound.plan[0] == w->plan->hash[0] &&
           memcmp(e->bound.definitions, w->now.r.definitions, HASH_SIZE) == 0 &&
           slice_eq(e->bound.commit, SLICE("4f2a"));
}

static inline void world_account_people(struct world *w, const struct release_event *e)
{
    struct world_truth *n = &w->now;
    const struct release_step *s = &w->plan->steps[n->r.step];
    if (!world_is_bound(w, e))
        return;
    if (e->kind == RELEASE_ATTESTED) {
        uint64_t bit = UINT64_C(1) << e->check;
        n->checked = e->passed ? n->checked | bit : n->checked & ~bit;
        n->checked_ms[e->check] = e->wall_ms;
        return;
    }
    int person = release_person_find(w->plan, e->by);
    for (uint32_t i = 0; i < s->sign_count; i++)
        if (n->people[i] == (uint32_t)person + 1)
            return;
    for (uint32_t i = 0; i < s->sign_count; i++)
        if (s->signs[i].role == e->role && !n->people[i] && world_may_sign(w, e, person)) {
            n->people[i] = (uint32_t)person + 1;
            n->signed_ms[i] = e->wall_ms;
        }
}

static inline void world_account(struct world *w, const struct release_event *e)
{
    struct world_truth *n = &w->now;
    if (e->kind == RELEASE_KILLED)
        n->envs[e->env].killed |= UINT64_C(1) << e->flag;
    if (e->kind == RELEASE_RESTORED)
        n->envs[e->env].killed &= ~(UINT64_C(1) << e->flag);
    if (n->r.state != RELEASE_MOVING)
        return;
    if (e->kind == RELEASE_TICK)
        world_account_tick(w, e);
    else if (e->kind == RELEASE_SIGNED || e->kind == RELEASE_ATTESTED)
        world_account_people(w, e);
    else if (e->kind == RELEASE_HELD || e->kind == RELEASE_RESUMED)
        n->held = e->kind == RELEASE_HELD;
    else if (e->kind == RELEASE_RESTARTED)
        n->good_rounds = 0;
    else if (e->kind == RELEASE_ABORTED ||
             (e->kind == RELEASE_ALERTED && slice_eq(e->text, w->plan->alerts[0])))
        n->must_roll_back = true;
}

/* ------------------------------------------------------------------ what has to hold */

/* It leaves a step, for the next one or because it was the last. */
static inline void world_check_left(struct world *w, const struct release_record *before,
                                    const struct release_event *e)
{
    struct world_truth *n = &w->now;
    const struct release_step *s = &w->plan->steps[before->step];
    for (uint32_t g = 0; g < w->plan->guard_count; g++)
        WORLD_HOLDS(n->verdicts[g] == RELEASE_PASS || (!n->verdicts[g] && !(s->guards >> g & 1)),
                    "I1: forward while a guard's last verdict is not PASS");
    WORLD_HOLDS(world_well(w, s->env),
                "I2: forward while a live host lags, or too many are silent");
    WORLD_HOLDS(e->kind == RELEASE_TICK && n->r.step <= before->step + 1,
                "I3: more than one step in a round, or one without a round");
    WORLD_HOLDS(!world_killed(w), "I6: forward under an override");
    WORLD_HOLDS(!n->held, "forward while it is held");
    WORLD_HOLDS(n->good_rounds >= 3, "forward without three fresh rounds");
    WORLD_HOLDS(n->good_ms >= s->soak_ms, "forward before it has soaked");
    WORLD_HOLDS(n->exposed >= s->exposed, "forward before enough have seen it");
    WORLD_HOLDS((s->checks & ~n->checked) == 0, "forward without a check");
    for (uint32_t i = 0; i < s->sign_count; i++)
        WORLD_HOLDS(n->people[i], "forward without a signature");
    WORLD_HOLDS(before->step + 1 == w->plan->step_count ||
                    world_in_window(&s[1].window, e->wall_ms),
                "forward outside of the window");
}

static inline void world_check_flags(struct world *w, const struct release_event *e)
{
    const struct release_record *r = &w->now.r;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t most = 0;
        for (uint32_t step = 0; step <= r->step && r->state != RELEASE_NOT_STARTED; step++)
            if (w->plan->steps[step].env == i && w->plan->steps[step].share != RELEASE_NO_CHANGE)
                most = w->plan->steps[step].share;
        WORLD_HOLDS(w->now.envs[i].share <= most, "I4: the flags are above the step of the record");
    }
}

static inline void world_check(struct world *w, const struct release_record *before,
                               const struct release_event *e, const struct release_effects *fx)
{
    struct world_truth *n = &w->now;
    struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t count = release_waiting(w->plan, &n->r, world_wall(w), waits);
    bool moving = before->state == RELEASE_MOVING;
    bool forward = moving && (n->r.step != before->step ||
                              (n->r.state == RELEASE_ENDED && n->r.cause == RELEASE_BY_NOBODY));
    if (fx->refused[0])
        WORLD_HOLDS(memcmp(before, &n->r, sizeof n->r) == 0 && !fx->deed && !fx->line_count,
                    "I9: a refused event has changed something");
    if (forward)
        world_check_left(w, before, e);
    if (fx->deed == RELEASE_DO_CHANGE)
        WORLD_HOLDS((forward || e->kind == RELEASE_STARTED) && fx->step == n->r.step,
                    "I4: a change of another step");
    if (n->was_rolling_back)
        WORLD_HOLDS(n->r.state >= RELEASE_ROLLING_BACK && fx->deed != RELEASE_DO_CHANGE &&
                        n->r.cause != RELEASE_BY_NOBODY,
                    "I5: forward after the rollback began");
    if (n->must_roll_back)
        WORLD_HOLDS(n->r.state >= RELEASE_ROLLING_BACK, "it stands where it must roll back");
    if (moving && n->r.state != RELEASE_MOVING && n->r.cause) {
        WORLD_HOLDS(n->must_roll_back, "rolled back for nothing");
        WORLD_HOLDS(fx->envs == ((uint32_t)n->envs[0].touched | (uint32_t)n->envs[1].touched << 1),
                    "an environment is not set back");
    }
    if (n->r.state == RELEASE_ROLLING_BACK || n->r.cause)
        n->was_rolling_back = true;
    if (n->r.state == RELEASE_ENDED && n->r.cause && before->state == RELEASE_ROLLING_BACK)
        WORLD_HOLDS(!world_lags(&n->envs[0]) && !world_lags(&n->envs[1]),
                    "rolled back before every live host has the baseline");
    WORLD_HOLDS(memcmp(&n->r, &n->folded, sizeof n->r) == 0, "I7: the log folds to another record");
    WORLD_HOLDS(forward || n->r.soak_ms <= n->good_ms, "I10: more soak than was observed");
    WORLD_HOLDS(forward || n->r.soak_ms <= (uint64_t)(w->real_ms - n->step_real_ms),
                "I10: more soak than the step has lasted");
    WORLD_HOLDS((count > 0) == (n->r.state == RELEASE_MOVING || n->r.state == RELEASE_ROLLING_BACK),
                "it stands still, and does not say why");
}

/* ------------------------------------------------------------------ taking events */

static inline struct release_event world_event(const struct world *w, enum release_event_kind kind)
{
    return (struct release_event){.kind = kind,
                                  .wall_ms = world_wall(w),
                                  .boot = w->boot,
                                  .boot_ms = (uint64_t)(w->real_ms - w->boot_began_ms)};
}

/* What somebody signs who sees the release as it is. */
static inline void world_bind(const struct world *w, struct release_event *e)
{
    memcpy(e->bound.plan, w->plan->hash, HASH_SIZE);
    memcpy(e->bound.definitions, w->now.r.definitions, HASH_SIZE);
    e->bound.commit = SLICE("4f2a");
}

static inline void world_log(struct world *w, const struct release_event *e)
{
    buf_clear(&w->row);
    assert_int_equal(release_event_encode(e, &w->row), HOIST_OK);
    assert_true(w->now.rows < WORLD_ROWS);
    struct slice *row = &w->log[w->now.rows++];
    free((void *)row->ptr); /* of what a death took back */
    uint8_t *copy = malloc(w->row.len);
    assert_non_null(copy);
    memcpy(copy, w->row.ptr, w->row.len);
    *row = slice_of(copy, w->row.len);
    assert_int_equal(release_fold(w->plan, &w->now.folded, *row), HOIST_OK);
}

static inline void world_commit(struct world *w, uint32_t env, uint32_t step, uint32_t share)
{
    struct world_env *v = &w->now.envs[env];
    struct release_event said = world_event(w, RELEASE_CHANGED), *e = &said;
    struct release_effects fx;
    world_bind(w, e);
    v->ours = ++v->head;
    v->share = share;
    v->touched = true;
    e->step = step;
    e->env = (uint8_t)env;
    e->version = v->ours;
    w->definitions++;
    memcpy(e->bound.definitions, &w->definitions, sizeof w->definitions);
    struct release_record before = w->now.r;
    world_account(w, e);
    release_step(w->plan, &w->now.r, e, &fx);
    WORLD_HOLDS(!fx.refused[0], "the answer to a deed was refused");
    world_log(w, e);
    world_check(w, &before, e, &fx);
}

static inline void world_do(struct world *w, const struct release_effects *fx)
{
    if (fx->deed == RELEASE_DO_CHANGE) {
        const struct release_step *s = &w->plan->steps[fx->step];
        world_commit(w, s->env, fx->step, s->share);
    }
    for (uint32_t i = 0; i < 2 && fx->deed == RELEASE_DO_BASELINE; i++)
        if (fx->envs >> i & 1)
            world_commit(w, i, RELEASE_BASELINE, 0);
}

/* One event, with what it brings about. Gives the effects. */
static inline struct release_effects world_take(struct world *w, const struct release_event *e)
{
    static struct world_truth saved;
    struct release_effects fx;
    uint32_t step = w->now.r.step;
    bool dies = w->dies;
    w->events++;
    if (dies)
        saved = w->now;
    struct release_record before = w->now.r;
    world_account(w, e);
    release_step(w->plan, &w->now.r, e, &fx);
    world_log(w, e);
    world_check(w, &before, e, &fx);
    if (w->now.r.state == RELEASE_MOVING && (w->now.r.step != step || e->kind == RELEASE_STARTED)) {
        w->moves++;
        world_step_begins(w);
    }
    world_do(w, &fx);
    world_check_flags(w, e);
    w->refused += fx.refused[0] != 0;
    if (dies) {
        w->now = saved;
        w->dies = false;
        w->deaths++;
    }
    return fx;
}

static inline void world_begin(struct world *w, const struct release_plan *plan, int64_t wall_ms)
{
    uint64_t seed = w->seed, definitions = w->definitions;
    for (uint32_t i = 0; i < WORLD_ROWS; i++) {
        free((void *)w->log[i].ptr);
        w->log[i] = (struct slice){0};
    }
    memset(&w->now, 0, sizeof w->now);
    w->seed = seed;
    w->definitions = definitions;
    w->plan = plan;
    w->row.max = RELEASE_ROW_MAX;
    w->real_ms = wall_ms;
    w->wall_offset_ms = 0;
    w->boot = 1;
    w->boot_began_ms = wall_ms - SAMPLE_HOUR;
    w->dies = false;
    struct release_event e = world_event(w, RELEASE_STARTED);
    world_bind(w, &e);
    e.by = SLICE("ana");
    e.fleet_count = plan->env_count;
    for (uint32_t i = 0; i < 2; i++) {
        w->now.envs[i].head = 10;
        e.fleet[i] = (struct release_fleet){.env = (uint8_t)i, .version = 10};
        for (int h = 0; h < WORLD_HOSTS; h++)
            w->now.envs[i].has[h] = 10;
    }
    world_take(w, &e);
}

static inline void world_done(struct world *w)
{
    for (uint32_t i = 0; i < WORLD_ROWS; i++)
        free((void *)w->log[i].ptr);
    buf_done(&w->row);
    *w = (struct world){0};
}

/* ------------------------------------------------------------------ what people and time do */

static inline void world_hosts_catch_up(struct world *w)
{
    for (int i = 0; i < 2; i++)
        for (int h = 0; h < WORLD_HOSTS; h++)
            if (!w->now.envs[i].silent[h])
                w->now.envs[i].has[h] = w->now.envs[i].head;
}

static inline void world_hear(const struct world *w, struct release_event *e)
{
    e->fleet_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        const struct world_env *v = &w->now.envs[i];
        e->fleet[i] =
            (struct release_fleet){(uint8_t)i, v->ours, world_count(v, false, false),
                                   world_count(v, false, true), world_count(v, true, false)};
    }
}

/* A round in which all is well: change it before it is taken. */
static inline struct release_event world_tick(const struct world *w, uint64_t exposed)
{
    struct release_event e = world_event(w, RELEASE_TICK);
    e.step = w->now.r.step;
    e.exposed = exposed;
    e.asked = (1u << w->plan->guard_count) - 1;
    for (uint32_t g = 0; g < w->plan->guard_count; g++)
        e.answers[g] = (struct release_answer){RELEASE_PASS, 0.5};
    world_hear(w, &e);
    return e;
}

/* The record, folded anew from the whole log. */
static inline struct release_record world_folded(const struct world *w)
{
    struct release_record r = {0};
    for (uint32_t i = 0; i < w->now.rows; i++)
        assert_int_equal(release_fold(w->plan, &r, w->log[i]), HOIST_OK);
    return r;
}

static inline void world_restart(struct world *w, bool boots)
{
    struct release_record r = world_folded(w);
    struct release_event again = world_event(w, RELEASE_RESTARTED), *e = &again;
    WORLD_HOLDS(memcmp(&r, &w->now.r, sizeof r) == 0, "I7: the whole log folds to another record");
    if (boots) {
        w->boot++;
        w->boot_began_ms = w->real_ms - 1;
        again = world_event(w, RELEASE_RESTARTED);
    }
    world_take(w, &again);
}

/* All signatures and attestations that the step still lacks. */
static inline void world_sign_all(struct world *w)
{
    const struct release_step *s = &w->plan->steps[w->now.r.step];
    for (uint32_t i = 0; i < s->sign_count; i++) {
        struct release_event e = world_event(w, RELEASE_SIGNED);
        e.step = w->now.r.step;
        e.role = s->signs[i].role;
        e.by = e.role == 0 ? SLICE("bob") : SLICE("dan");
        world_bind(w, &e);
        if (w->now.r.state == RELEASE_MOVING && !w->now.r.signs[i].person)
            world_take(w, &e);
    }
    for (uint8_t c = 0; c < w->plan->check_count; c++) {
        struct release_event e = world_event(w, RELEASE_ATTESTED);
        e.step = w->now.r.step;
        e.check = c;
        e.passed = true;
        e.by = SLICE("ci");
        world_bind(w, &e);
        if (s->checks >> c & 1 && w->now.r.state == RELEASE_MOVING && !w->now.r.checks[c].passed)
            world_take(w, &e);
    }
}

#endif
