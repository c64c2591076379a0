/* A release's plan and log, asked of the primary and folded as the primary folds them. */
#include "release_story.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "primary/query_release.h"
#include "release/event_json.h"
#include "release_run.h"

enum { EVENTS_AT_ONCE = 2000, STATUS_MAX = 1 << 20 };

/* ------------------------------------------------------------------ numbers */

bool values_add(struct values *v, double value)
{
    if (v->count == v->cap) {
        double *more = mem_grow(v->all, &v->cap, 256, sizeof *v->all);
        if (!more)
            return false;
        v->all = more;
    }
    v->all[v->count++] = value;
    return true;
}

void values_done(struct values *v)
{
    mem_free(v->all);
    *v = (struct values){0};
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void put(json_t *out, const char *name, bool any, double value)
{
    json_object_set_new(out, name, any && isfinite(value) ? json_real(value) : json_null());
}

void values_put(struct values *v, json_t *out)
{
    double sum = 0;
    bool any = v->count > 0;
    if (any)
        qsort(v->all, v->count, sizeof *v->all, by_size);
    for (size_t i = 0; i < v->count; i++)
        sum += v->all[i];
    put(out, "min", any, any ? v->all[0] : 0);
    put(out, "mean", any, any ? sum / (double)v->count : 0);
    put(out, "p95", any, any ? v->all[(v->count - 1) * 95 / 100] : 0);
    put(out, "max", any, any ? v->all[v->count - 1] : 0);
}

/* ------------------------------------------------------------------ the plan */

static struct release_plan *read_plan(struct call *c, struct slice text, int *ret_exit)
{
    struct problems problems = {0}, warnings = {0};
    struct release_plan *plan = NULL;
    enum hoist_err err = release_plan_read(text, &plan, &problems, &warnings);
    problems_done(&problems);
    problems_done(&warnings);
    if (err)
        *ret_exit =
            show_failure(c, EXIT_NO, "failed", "take the flagctl that is of the primary's version",
                         "this flagctl cannot read the plan of '%s'", c->words[1]);
    return plan;
}

struct release_plan *story_plan(struct call *c, const char *name, uint32_t *ret_id, int *ret_exit)
{
    struct reply r;
    struct release_plan *plan = NULL;
    ask(c, "release_plan", json_pack("{ss}", "release", name), &r);
    if (!show_if_error(c, &r, ret_exit)) {
        *ret_id = (uint32_t)number_of(r.body, "id");
        plan = read_plan(c, slice_str(text_of(r.body, "yaml")), ret_exit);
    }
    reply_done(&r);
    return plan;
}

/* ------------------------------------------------------------------ the log */

static enum hoist_err count_rounds(struct story *t, const struct release_event *e)
{
    for (uint32_t left = e->asked; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        const struct release_answer *a = &e->answers[guard];
        struct rounds *r = &t->rounds[guard];
        bool answered = a->verdict == RELEASE_PASS || a->verdict == RELEASE_FAIL;
        r->count++;
        r->passed += a->verdict == RELEASE_PASS;
        r->failed += a->verdict == RELEASE_FAIL;
        if (answered && !values_add(&r->values, a->value))
            return err_set(HOIST_ENOMEM, "out of memory");
    }
    return HOIST_OK;
}

static enum hoist_err take(struct story *t, json_t *line, const struct release_event *e)
{
    enum hoist_err err = release_history_take(&t->history, e);
    if (!err && e->kind == RELEASE_TICK && e->wall_ms >= t->from_ms)
        err = count_rounds(t, e);
    if (!err && e->kind != RELEASE_TICK && json_array_append(t->events, line) != 0)
        err = err_set(HOIST_ENOMEM, "out of memory");
    t->at_ms = e->wall_ms;
    return err;
}

static bool is_over(const struct story *t, const struct story_until *until)
{
    return until->step >= 0 && t->history.steps[until->step].watched_ms > 0;
}

/* Of one page; *ret_over: what comes behind it is not wanted. */
static enum hoist_err take_all(struct story *t, const json_t *events,
                               const struct story_until *until, bool *ret_over)
{
    enum hoist_err err = HOIST_OK;
    size_t i;
    json_t *line;
    json_array_foreach(events, i, line)
    {
        struct arena arena = {0};
        struct release_event e;
        err = release_event_read_json(t->plan, line, &arena, &e);
        *ret_over = !err && e.wall_ms > until->ms;
        if (!err && !*ret_over)
            err = take(t, line, &e);
        arena_done(&arena);
        *ret_over |= is_over(t, until);
        if (err || *ret_over)
            break;
    }
    return err;
}

static bool read_events(struct story *t, const char *name, const struct story_until *until,
                        int *ret_exit)
{
    uint64_t from = 0;
    bool over = false;
    for (size_t count = 1; count > 0 && !over;) {
        struct reply r;
        enum hoist_err err = HOIST_OK;
        ask(t->call, "release_log",
            json_pack("{ss sI si sb}", "release", name, "from", (json_int_t)from, "limit",
                      EVENTS_AT_ONCE, "ticks", 1),
            &r);
        bool failed = show_if_error(t->call, &r, ret_exit);
        const json_t *events = json_object_get(r.body, "events");
        count = json_array_size(events);
        from = number_of(r.body, "next");
        if (!failed)
            err = take_all(t, events, until, &over);
        reply_done(&r);
        if (err)
            *ret_exit = show_failure(t->call, EXIT_NO, "failed", NULL, "the log of '%s': %s", name,
                                     err_last());
        if (failed || err)
            return false;
    }
    return true;
}

bool story_read(struct call *c, const char *name, int64_t from_ms, const struct story_until *until,
                struct story *ret, int *ret_exit)
{
    *ret =
        (struct story){.call = c, .step = until->step, .from_ms = from_ms, .events = json_array()};
    ret->plan = story_plan(c, name, &ret->id, ret_exit);
    if (!ret->plan)
        return false;
    release_history_begin(&ret->history, ret->plan);
    return read_events(ret, name, until, ret_exit);
}

void story_done(struct story *t)
{
    release_history_done(&t->history);
    release_plan_free(t->plan);
    json_decref(t->events);
    for (size_t i = 0; i < RELEASE_GUARDS_MAX; i++)
        values_done(&t->rounds[i].values);
    *t = (struct story){0};
}

json_t *story_status(const struct story *t)
{
    struct buf text = BUF_INIT(STATUS_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_object_begin(&w);
    release_put_status(&w, t->plan, &t->history.record, t->id, t->at_ms);
    json_object_end(&w);
    json_t *status = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    buf_done(&text);
    return status;
}
