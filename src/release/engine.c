#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "release/engine_int.h"
#include "release/say.h"

void release_refuse(struct taking *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->fx->refused, sizeof t->fx->refused, fmt, args);
    va_end(args);
}

void release_say(struct taking *t, bool page, const char *fmt, ...)
{
    va_list args;
    if (t->fx->line_count < RELEASE_LINES_MAX)
        t->fx->line_count++; /* else the last one gives way: what ends a round is said last */
    struct release_line *line = &t->fx->lines[t->fx->line_count - 1];
    line->page = page;
    va_start(args, fmt);
    vsnprintf(line->text, sizeof line->text, fmt, args);
    va_end(args);
}

/* Copy a text into a field of the record, whose rest is zero. */
void release_keep(char *field, size_t size, struct slice text)
{
    memset(field, 0, size);
    if (text.len)
        memcpy(field, text.ptr, text.len < size ? text.len : size);
}

/* Write down since when each condition has been what it is now. */
static void settle(struct taking *t, bool all)
{
    uint32_t unmet = release_unmet(t->plan, t->r, t->e->wall_ms);
    for (int c = 0; c < RELEASE_CONDITIONS; c++)
        if (all || (unmet ^ t->r->unmet) & 1u << c)
            t->r->since_ms[c] = t->e->wall_ms;
    t->r->unmet = unmet;
}

/* ------------------------------------------------------------------ forward, and back */

static void end(struct taking *t)
{
    t->r->state = RELEASE_ENDED;
    t->r->ended_ms = t->e->wall_ms;
    if (t->r->cause == RELEASE_BY_NOBODY)
        release_say(t, false, "completed");
    else
        release_say(t, false, "rolled back: every live host has the baseline");
}

static void begin_step(struct taking *t, uint32_t step)
{
    char said[RELEASE_SAID_SIZE];
    struct release_record *r = t->r;
    r->step = step;
    r->step_ms = t->e->wall_ms;
    r->soak_ms = r->exposed = r->rounds = 0;
    memset(r->checks, 0, sizeof r->checks);
    memset(r->signs, 0, sizeof r->signs);
    const struct release_step *s = release_here(t);
    if (s->share != RELEASE_NO_CHANGE) {
        r->envs[s->env].touched = 1;
        r->envs[s->env].version = 0; /* until the primary says which it became */
        t->fx->deed = RELEASE_DO_CHANGE;
        t->fx->step = step;
    }
    release_say_step(t->plan, step, said);
    release_say(t, false, "%s", said);
    settle(t, true);
}

/* Tell the primary to set back what the release has changed, where it has not said that it did. */
static void ask_for_baseline(struct taking *t)
{
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++)
        if (t->r->envs[i].touched && !t->r->envs[i].version)
            t->fx->envs |= 1u << i;
    if (t->fx->envs)
        t->fx->deed = RELEASE_DO_BASELINE;
}

void release_roll_back(struct taking *t, enum release_cause cause, uint32_t of)
{
    char said[RELEASE_SAID_SIZE], why[RELEASE_SAID_SIZE];
    t->r->state = RELEASE_ROLLING_BACK;
    t->r->cause = cause;
    t->r->cause_of = of;
    t->r->unmet = 0;
    release_say_step(t->plan, t->r->step, said);
    release_say_cause(t->plan, t->r, why);
    release_say(t, true, "rolling back at %s: %s", said, why);
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++)
        t->r->envs[i].version = 0;
    ask_for_baseline(t);
    if (!t->fx->envs)
        end(t); /* it has changed nothing yet */
}

static void end_if_everywhere(struct taking *t)
{
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++)
        if (!release_is_everywhere(t->r, i))
            return;
    end(t);
}

void release_move_on(struct taking *t)
{
    settle(t, false);
    if (t->r->unmet)
        return;
    if (t->r->step + 1 < t->plan->step_count)
        begin_step(t, t->r->step + 1);
    else
        end(t);
}

void release_keep_rolling_back(struct taking *t, uint64_t ms)
{
    struct release_record *r = t->r;
    end_if_everywhere(t);
    if (r->state == RELEASE_ENDED)
        return;
    ask_for_baseline(t);
    uint64_t before = r->overdue_ms;
    r->overdue_ms = release_plus(before, ms);
    if (before / RELEASE_PAGE_EVERY_MS != r->overdue_ms / RELEASE_PAGE_EVERY_MS)
        release_say(t, true,
                    "the baseline is not on every live host, %u minutes after the rollback began",
                    (unsigned)(r->overdue_ms / 60000));
}

/* ------------------------------------------------------------------ the other events */

static void started(struct taking *t)
{
    struct release_record *r = t->r;
    uint32_t told = 0;
    for (uint32_t i = 0; i < t->e->fleet_count; i++)
        told |= 1u << t->e->fleet[i].env;
    if (!hash_equal(t->e->bound.plan, t->plan->hash)) {
        release_refuse(t, "the plan is another than the one that was read");
        return;
    }
    if (told != (1u << t->plan->env_count) - 1) {
        release_refuse(t, "not every environment of the plan has a baseline");
        return;
    }
    if (!release_window_open(&t->plan->steps[0].window, t->e->wall_ms)) {
        release_refuse(t, "the window of its first step is closed");
        return;
    }
    for (uint32_t i = 0; i < t->e->fleet_count; i++)
        r->envs[t->e->fleet[i].env].baseline = t->e->fleet[i].version;
    memcpy(r->definitions, t->e->bound.definitions, HASH_SIZE);
    release_keep(r->commit, sizeof r->commit, t->e->bound.commit);
    release_keep(r->author, sizeof r->author, t->e->by);
    r->state = RELEASE_MOVING;
    r->started_ms = t->e->wall_ms;
    release_say(t, false, "started by %.*s", SLICE_ARG(t->e->by));
    begin_step(t, 0);
}

static void changed(struct taking *t)
{
    struct release_record *r = t->r;
    uint32_t step = r->state == RELEASE_MOVING ? r->step : RELEASE_BASELINE;
    struct release_env_record *env = &r->envs[t->e->env];
    if (t->e->step != step || !env->touched || env->version || !t->e->version) {
        release_refuse(t, "a change that nobody asked for");
        return;
    }
    env->version = t->e->version;
    env->asked = 0; /* what was said before it was there is about something else */
    memcpy(r->definitions, t->e->bound.definitions, HASH_SIZE);
}

static void fleet(struct taking *t)
{
    release_hear_fleet(t);
    if (t->r->state == RELEASE_ROLLING_BACK)
        end_if_everywhere(t);
}

static void alerted(struct taking *t)
{
    for (uint32_t i = 0; i < t->plan->alert_count && t->r->state == RELEASE_MOVING; i++) {
        if (slice_eq(t->plan->alerts[i], t->e->text)) {
            release_roll_back(t, RELEASE_BY_ALERT, i);
            return;
        }
    }
    release_refuse(t, t->r->state == RELEASE_MOVING ? "the plan knows no such alert"
                                                    : "it is rolling back already");
}

static void overridden(struct taking *t)
{
    if (t->e->flag >= t->plan->flag_count || t->e->env >= t->plan->env_count) {
        release_refuse(t, "the plan has no such flag");
        return;
    }
    uint64_t *killed = &t->r->envs[t->e->env].killed, flag = UINT64_C(1) << t->e->flag;
    bool kill = t->e->kind == RELEASE_KILLED;
    if (kill == ((*killed & flag) != 0)) {
        release_refuse(t, "it is so already");
        return;
    }
    *killed ^= flag;
    t->r->rounds = 0;
    release_say(t, kill, "flag %.*s is %s in %.*s", SLICE_ARG(t->plan->flags[t->e->flag].key),
                kill ? "killed" : "restored", SLICE_ARG(t->plan->envs[t->e->env]));
}

static void restarted(struct taking *t)
{
    t->r->rounds = 0;
    release_say(t, false, "the primary is back: %d fresh rounds before it goes on",
                RELEASE_FRESH_ROUNDS);
}

static void noted(struct taking *t)
{
    release_say(t, false, "note of %.*s: %.*s", SLICE_ARG(t->e->by), SLICE_ARG(t->e->text));
}

/* ------------------------------------------------------------------ the whole */

static bool may_come(struct taking *t)
{
    if (t->e->kind == RELEASE_STARTED && t->r->state != RELEASE_NOT_STARTED)
        release_refuse(t, "it has started already");
    else if (t->e->kind != RELEASE_STARTED && t->r->state == RELEASE_NOT_STARTED)
        release_refuse(t, "it has not started");
    else if (t->r->state == RELEASE_ENDED && t->e->kind != RELEASE_NOTED)
        release_refuse(t, "it has ended");
    else
        return true;
    return false;
}

void release_step(const struct release_plan *plan, struct release_record *record,
                  const struct release_event *event, struct release_effects *ret_effects)
{
    static void (*const take[RELEASE_EVENT_KINDS])(struct taking *) = {
        [RELEASE_STARTED] = started,
        [RELEASE_TICK] = release_take_tick,
        [RELEASE_CHANGED] = changed,
        [RELEASE_FLEET] = fleet,
        [RELEASE_SIGNED] = release_take_signed,
        [RELEASE_ATTESTED] = release_take_attested,
        [RELEASE_HELD] = release_take_held,
        [RELEASE_RESUMED] = release_take_resumed,
        [RELEASE_ABORTED] = release_take_aborted,
        [RELEASE_ALERTED] = alerted,
        [RELEASE_KILLED] = overridden,
        [RELEASE_RESTORED] = overridden,
        [RELEASE_RESTARTED] = restarted,
        [RELEASE_NOTED] = noted,
    };
    struct taking t = {plan, record, event, ret_effects};
    ret_effects->deed = RELEASE_DO_NOTHING;
    ret_effects->step = ret_effects->envs = ret_effects->line_count = 0;
    ret_effects->refused[0] = '\0';
    if (!may_come(&t))
        return;
    take[event->kind](&t);
    if (record->state == RELEASE_MOVING && !ret_effects->refused[0])
        settle(&t, false);
}

enum hoist_err release_fold(const struct release_plan *plan, struct release_record *record,
                            struct slice row)
{
    struct release_event event;
    struct release_effects done;
    enum hoist_err err = release_event_decode(row, &event);
    if (err == HOIST_OK)
        release_step(plan, record, &event, &done);
    return err;
}
