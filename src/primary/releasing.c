/* Running releases: rounds that are due, answers that come, alerts. All of it ends up in the writer's queue,
 * so that a release's events stand in one order with everybody's changes. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "primary/primary_int.h"

enum { LOST_MS = 60000 }; /* answers that are so late do not come any more */

static struct release_work work_of(struct primary *p, struct store_write *w, struct answer *a,
                                   int64_t wall_ms)
{
    return (struct release_work){
        .w = w, .key = p->key, .fleet = p->fleet, .wall_ms = wall_ms, .answer = a};
}

/* ------------------------------------------------------------------ jobs */

/* Nobody waits for it: what came of it is in the log and in the release's rows. */
static void on_done(void *arg, const struct answer *a)
{
    (void)arg;
    (void)a;
}

/* What cannot be put in the queue is lost: a round comes again. */
static struct job *job_new(void)
{
    struct job *j = mem_zalloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->done = on_done;
    j->answer = ANSWER_INIT;
    j->asked_ns = clock_mono_ns();
    return j;
}

static void push(struct primary *p, struct job *j)
{
    if (atomic_load(&p->stopping) || !queue_push(&p->changes, &j->item, 0))
        job_drop(j);
}

struct naming { /* the live releases that name an alert */
    const struct alert_name *alert;
    uint32_t ids[RELEASES_LIVE];
    uint32_t count;
};

/* An alert that says of which environment it is, is of no other's release. */
static bool has_env(const struct release_plan *plan, struct slice env)
{
    bool has = env.len == 0;
    for (uint32_t i = 0; i < plan->env_count; i++)
        has |= slice_eq(plan->envs[i], env);
    return has;
}

static void add_if_named(void *arg, const struct release *r)
{
    struct naming *n = arg;
    if (r->record.state != RELEASE_MOVING || n->count == RELEASES_LIVE ||
        !has_env(r->plan, n->alert->env))
        return;
    for (uint32_t i = 0; i < r->plan->alert_count; i++) {
        if (!slice_eq(r->plan->alerts[i], n->alert->name))
            continue;
        n->ids[n->count++] = r->id;
        return;
    }
}

/* Come what may, whoever waits is told. */
static void push_alert(struct primary *p, struct slice name, uint32_t id,
                       const struct releasing_waiter *w)
{
    struct job *j = job_new();
    w->begin(w->arg);
    if (!j) {
        w->done(w->arg, NULL);
        return;
    }
    j->done = w->done;
    j->done_arg = w->arg;
    j->alert = name;
    j->alerted = id;
    if (arena_own(&j->own, &j->alert) == HOIST_OK)
        push(p, j);
    else
        job_drop(j);
}

/* A job for each: one that cannot be taken back keeps no other from it. */
void releasing_alert(struct primary *p, const struct alert_name *alert,
                     const struct releasing_waiter *w)
{
    struct naming named = {.alert = alert};
    releases_show(p->releases, SLICE(""), add_if_named, &named);
    if (named.count)
        webhook_detected(p, alert->began_ms);
    for (uint32_t i = 0; i < named.count; i++)
        push_alert(p, alert->name, named.ids[i], w);
}

static enum hoist_err take_alert(struct primary *p, const struct release_work *work,
                                 const struct job *j)
{
    struct release_effects fx;
    struct release_event e = release_event_now(RELEASE_ALERTED, work->wall_ms);
    struct release *r = releases_by_id(p->releases, j->alerted);
    e.text = j->alert;
    return r ? release_take(r, work, &e, &fx) : HOIST_OK;
}

enum hoist_err releasing_run(struct primary *p, struct job *j, struct store_write *w,
                             int64_t wall_ms)
{
    struct release_work work = work_of(p, w, &j->answer, wall_ms);
    return j->round ? release_take_round(p->releases, &work, j->round) : take_alert(p, &work, j);
}

/* ------------------------------------------------------------------ rounds */

struct asking {
    struct primary *primary;
    struct job *job;
};

static void on_answers(void *arg, const struct release_answer *answers)
{
    struct asking *a = arg;
    struct release_round *round = a->job->round;
    uint32_t n = 0;
    for (uint32_t left = round->asked; left; left &= left - 1)
        round->answers[__builtin_ctz(left)] = answers[n++];
    push(a->primary, a->job);
    mem_free(a);
}

/* Without answers it is a round all the same, in which no guard passes. */
static void answer_error(struct primary *p, struct job *j)
{
    for (uint32_t left = j->round->asked; left; left &= left - 1)
        j->round->answers[__builtin_ctz(left)].verdict = RELEASE_ERROR;
    push(p, j);
}

static void ask_guards(struct primary *p, const struct release_plan *plan, struct job *j)
{
    struct asking *a = j->round->asked && p->guards.ask ? mem_zalloc(1, sizeof *a) : NULL;
    if (!a) {
        answer_error(p, j);
        return;
    }
    *a = (struct asking){p, j};
    if (p->guards.ask(p->guards.arg, plan, j->round->asked, on_answers, a) == HOIST_OK)
        return;
    log_warn("primary: release %.*s: its guards cannot be asked: %s", SLICE_ARG(plan->name),
             err_last());
    mem_free(a);
    answer_error(p, j);
}

static void begin_round(struct primary *p, struct release *r, int64_t now_ms)
{
    const struct release_record *at = &r->record;
    struct job *j = job_new();
    r->due_ms = now_ms + r->plan->interval_ms;
    if (j)
        j->round = mem_zalloc(1, sizeof *j->round);
    if (!j || !j->round) {
        if (j)
            job_drop(j);
        return;
    }
    j->round->id = r->id;
    j->round->step = at->step;
    j->round->asked = at->state == RELEASE_MOVING ? r->plan->steps[at->step].guards : 0;
    r->asked_ms = now_ms;
    ask_guards(p, r->plan, j);
}

/* A rollback is over as soon as every host has the baseline, and not only at the next round. */
static bool is_back(struct primary *p, const struct release *r)
{
    struct store_read *read;
    if (r->record.state != RELEASE_ROLLING_BACK ||
        store_read_begin(p->store, false, &read) != HOIST_OK)
        return false;
    const struct release_look look = {read, p->fleet, releases_rolls(p->releases)};
    bool back = release_is_back(r, &look);
    store_read_end(read);
    return back;
}

void releasing_tick(struct primary *p)
{
    struct release *r;
    int64_t now_ms = clock_mono_ms();
    rolls_clear(releases_rolls(p->releases));
    for (uint32_t n = 0; (r = releases_nth(p->releases, n)); n++) {
        bool waits = r->asked_ms && now_ms < r->asked_ms + LOST_MS;
        if (r->record.state == RELEASE_ENDED || waits)
            continue;
        if (now_ms >= r->due_ms || is_back(p, r))
            begin_round(p, r, now_ms);
    }
}

/* ------------------------------------------------------------------ begin */

enum hoist_err releasing_begin(struct primary *p)
{
    return releases_open(p->store, &p->releases);
}
