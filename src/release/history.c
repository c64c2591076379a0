#include "release/history.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void release_history_begin(struct release_history *h, const struct release_plan *plan)
{
    *h = (struct release_history){.plan = plan};
}

void release_history_done(struct release_history *h)
{
    mem_free(h->still);
    *h = (struct release_history){0};
}

int64_t release_history_watch_ms(const struct release_history *h)
{
    const struct release_phase_head *watch = &h->plan->phases[RELEASE_WATCH];
    return watch->count ? h->steps[watch->first].began_ms : 0;
}

/* ------------------------------------------------------------------ standing still */

/* The time up to `now_ms` was as it has been since the last event. */
static void book(struct release_history *h, int64_t now_ms)
{
    struct release_step_history *step = &h->steps[h->record.step];
    int64_t ms = now_ms > h->at_ms ? now_ms - h->at_ms : 0; /* the clock may be set back */
    if (h->record.state != RELEASE_MOVING)
        return;
    if (!h->stands) {
        step->moved_ms += ms;
        return;
    }
    step->stood_ms += ms;
    if (now_ms > h->still[h->still_count - 1].to_ms)
        h->still[h->still_count - 1].to_ms = now_ms;
}

static void say_why(struct release_history *h, struct release_still *still)
{
    struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t count = release_waiting(h->plan, &h->record, still->from_ms, waits);
    for (uint32_t i = 0; i < count && !still->why[0]; i++)
        if (still->conditions >> waits[i].condition & 1)
            snprintf(still->why, sizeof still->why, "%s", waits[i].text);
}

/* Room for one more, before an event is taken: what was taken cannot be taken back. */
static enum hoist_err make_room(struct release_history *h)
{
    if (h->still_count < h->still_cap)
        return HOIST_OK;
    struct release_still *more = mem_grow(h->still, &h->still_cap, 16, sizeof *more);
    if (!more)
        return err_set(HOIST_ENOMEM, "out of memory");
    h->still = more;
    return HOIST_OK;
}

static void look_whether_it_stands(struct release_history *h, uint32_t step_before)
{
    uint32_t stands = release_stands_for(&h->record);
    if (stands && (stands != h->stands || h->record.step != step_before)) {
        struct release_still *still = &h->still[h->still_count++];
        *still = (struct release_still){
            .step = h->record.step, .conditions = stands, .from_ms = h->at_ms, .to_ms = h->at_ms};
        say_why(h, still);
    }
    h->stands = stands;
}

/* ------------------------------------------------------------------ steps, and the way back */

static void look_at_steps(struct release_history *h, const struct release_record *before)
{
    const struct release_record *r = &h->record;
    bool started = before->state == RELEASE_NOT_STARTED && r->state != RELEASE_NOT_STARTED;
    bool moved_on = r->step > before->step;
    bool ended = r->state == RELEASE_ENDED && before->state != RELEASE_ENDED;
    bool is_soaked =
        r->state == RELEASE_MOVING && !started && r->soak_ms >= h->plan->steps[r->step].soak_ms;
    bool completed = ended && r->cause == RELEASE_BY_NOBODY;
    struct release_step_history *was = &h->steps[before->step];
    if (started || moved_on)
        h->steps[r->step].began_ms = h->at_ms;
    if (moved_on || ended)
        was->ended_ms = h->at_ms;
    const struct release_step *s = &h->plan->steps[before->step];
    bool watches = !started && s->phase == RELEASE_WATCH && s->soak_ms;
    if (watches && !was->watched_ms && (moved_on || completed || is_soaked))
        was->watched_ms = h->at_ms;
}

static void look_at_guards(struct release_history *h, const struct release_record *before,
                           const struct release_event *e)
{
    for (uint32_t i = 0; i < h->plan->guard_count; i++) {
        const struct release_guard_record *now = &h->record.guards[i];
        if (e->asked >> i & 1 && now->verdict == RELEASE_PASS)
            h->passed_ms[i] = h->at_ms;
        if (before->guards[i].fails == 0 && now->fails > 0)
            h->failing_ms[i] = h->at_ms;
    }
}

static void look_whether_it_goes_back(struct release_history *h,
                                      const struct release_record *before)
{
    const struct release_record *r = &h->record;
    if (r->cause == RELEASE_BY_NOBODY)
        return;
    if (before->cause == RELEASE_BY_NOBODY) {
        h->abort.decided_ms = h->at_ms;
        if (r->cause == RELEASE_BY_GUARD || r->cause == RELEASE_BY_CRITICAL) {
            h->abort.well_ms = h->passed_ms[r->cause_of];
            h->abort.failing_ms = h->failing_ms[r->cause_of];
        }
    }
    if (r->state == RELEASE_ENDED && before->state != RELEASE_ENDED)
        h->abort.back_ms = h->at_ms;
}

/* ------------------------------------------------------------------ the whole */

enum hoist_err release_history_take(struct release_history *h, const struct release_event *event)
{
    struct release_record before = h->record;
    struct release_effects done;
    enum hoist_err err = make_room(h);
    if (err)
        return err;
    book(h, event->wall_ms);
    release_step(h->plan, &h->record, event, &done);
    h->at_ms = event->wall_ms;
    look_at_steps(h, &before);
    if (event->kind == RELEASE_TICK)
        look_at_guards(h, &before, event);
    look_whether_it_goes_back(h, &before);
    look_whether_it_stands(h, before.step);
    return HOIST_OK;
}
