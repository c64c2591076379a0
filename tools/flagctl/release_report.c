/* release report: what a release was, from its log: for people to file, and as JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "release_run.h"

enum { EVENTS_AT_ONCE = 10000, GUARDS_MAX = 32 };

struct values { /* of a guard, in one phase */
    const char *guard;
    double *all;
    size_t count, cap;
    uint64_t rounds, passed, failed, blind;
};

struct report {
    struct call *call;
    const json_t *status;
    json_t *events;  /* all, with rounds */
    int64_t from_ms; /* what is told of guards and events begins there; 0: at the start */
};

/* 0: there is none. */
static int64_t time_at(const json_t *o, const char *name)
{
    int64_t ms;
    return text_time_read(text_of(o, name), &ms) == HOIST_OK ? ms : 0;
}

static int64_t time_of(const json_t *e)
{
    return time_at(e, "time");
}

static bool is(const json_t *e, const char *event)
{
    return strcmp(text_of(e, "event"), event) == 0;
}

/* ------------------------------------------------------------------ reading */

/* All events, piece by piece. False: they could not be had, and that was shown. */
static bool read_events(struct report *r, int *ret_exit)
{
    uint64_t from = 0;
    r->events = json_array();
    for (size_t count = 1; count > 0;) {
        struct reply reply;
        json_t *args = json_pack("{ss sI si sb}", "release", text_of(r->status, "release"), "from",
                                 (json_int_t)from, "limit", EVENTS_AT_ONCE, "ticks", 1);
        ask(r->call, "release_log", args, &reply);
        bool failed = show_if_error(r->call, &reply, ret_exit);
        json_t *events = json_object_get(reply.body, "events");
        count = failed ? 0 : json_array_size(events);
        json_array_extend(r->events, events);
        from = number_of(reply.body, "next");
        reply_done(&reply);
        if (failed)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ guards */

static bool add_value(struct values *v, double value)
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

static struct values *values_of(struct values all[GUARDS_MAX], const char *guard)
{
    size_t i = 0;
    while (i < GUARDS_MAX && all[i].guard && strcmp(all[i].guard, guard) != 0)
        i++;
    if (i == GUARDS_MAX)
        return NULL;
    all[i].guard = guard;
    return &all[i];
}

static void count_round(struct values *v, const json_t *answer)
{
    bool passed = strcmp(text_of(answer, "verdict"), "PASS") == 0;
    bool failed = strcmp(text_of(answer, "verdict"), "FAIL") == 0;
    v->rounds++;
    v->passed += passed;
    v->failed += failed;
    v->blind += !passed && !failed;
    if (passed || failed)
        (void)add_value(v, json_number_value(json_object_get(answer, "value")));
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void count_guards(const struct report *r, struct values all[GUARDS_MAX])
{
    size_t i;
    json_t *e, *answer;
    const char *guard;
    json_array_foreach(r->events, i, e)
    {
        int64_t at = time_of(e);
        if (!is(e, "tick") || at < r->from_ms)
            continue;
        json_object_foreach(json_object_get(e, "guards"), guard, answer)
        {
            struct values *v = values_of(all, guard);
            if (v)
                count_round(v, answer);
        }
    }
    for (size_t k = 0; k < GUARDS_MAX && all[k].guard; k++)
        qsort(all[k].all, all[k].count, sizeof *all[k].all, by_size);
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *guards_json(const struct report *r)
{
    struct values all[GUARDS_MAX] = {0};
    json_t *out = json_array();
    count_guards(r, all);
    for (size_t i = 0; i < GUARDS_MAX && all[i].guard; i++) {
        struct values *v = &all[i];
        double sum = 0;
        for (size_t k = 0; k < v->count; k++)
            sum += v->all[k];
        bool any = v->count > 0;
        json_array_append_new(
            out, json_pack("{ss sI sI sI sI so so so so}", "guard", v->guard, "rounds",
                           (json_int_t)v->rounds, "passed", (json_int_t)v->passed, "failed",
                           (json_int_t)v->failed, "blind", (json_int_t)v->blind, "min",
                           any ? number(v->all[0]) : json_null(), "mean",
                           any ? number(sum / (double)v->count) : json_null(), "p95",
                           any ? number(v->all[(v->count - 1) * 95 / 100]) : json_null(), "max",
                           any ? number(v->all[v->count - 1]) : json_null()));
        mem_free(v->all);
    }
    return out;
}

/* ------------------------------------------------------------------ timeline */

/* Each step with when its change was committed, or it was first seen. */
static json_t *steps_json(const struct report *r)
{
    json_t *out = json_array(), *last = NULL, *e;
    uint64_t step = 0;
    size_t i;
    json_array_foreach(r->events, i, e)
    {
        const json_t *at = json_object_get(e, "step");
        bool counts =
            is(e, "started") || ((is(e, "tick") || is(e, "changed")) && json_is_integer(at));
        uint64_t now = is(e, "started") ? 1 : (uint64_t)json_integer_value(at);
        if (!counts || now <= step)
            continue;
        if (last)
            json_object_set(last, "ended", json_object_get(e, "time"));
        step = now;
        last = json_pack("{sI sO s[] sn}", "step", (json_int_t)step, "began",
                         json_object_get(e, "time"), "signed", "ended");
        json_array_append_new(out, last);
    }
    if (last && *text_of(r->status, "ended"))
        json_object_set(last, "ended", json_object_get(r->status, "ended"));
    json_array_foreach(r->events, i, e)
    {
        json_t *of = is(e, "signed") || is(e, "attested")
                         ? json_array_get(out, (size_t)number_of(e, "step") - 1)
                         : NULL;
        if (of)
            json_array_append(json_object_get(of, "signed"), e);
    }
    return out;
}

/* Everything of some kinds, within the time that is reported. */
static json_t *events_json(const struct report *r, const char *const *kinds)
{
    json_t *out = json_array(), *e;
    size_t i;
    json_array_foreach(r->events, i, e)
    {
        int64_t at = time_of(e);
        for (const char *const *k = kinds; *k; k++)
            if (is(e, *k) && at >= r->from_ms)
                json_array_append(out, e);
    }
    return out;
}

/* How long each part of going back took: from the first round that failed in a row to the decision, and from
 * there to the last host. */
static json_t *abort_json(const struct report *r)
{
    size_t i;
    json_t *e;
    int64_t decided = 0, failing = 0, ended = time_at(r->status, "ended");
    if (!*text_of(r->status, "cause"))
        return json_null();
    json_array_foreach(r->events, i, e)
    {
        const char *guard;
        json_t *answer;
        bool fails = false;
        json_object_foreach(json_object_get(e, "guards"), guard, answer)
        {
            fails |= strcmp(text_of(answer, "verdict"), "FAIL") == 0;
        }
        if (is(e, "tick") && !decided)
            failing = !fails ? 0 : failing ? failing : time_of(e);
        json_t *step = json_object_get(e, "step");
        if (is(e, "changed") && json_is_string(step) && !decided)
            decided = time_of(e);
    }
    return json_pack("{sO so so}", "cause", json_object_get(r->status, "cause"), "decide_ms",
                     failing && decided ? json_integer(decided - failing) : json_null(),
                     "converge_ms", decided && ended ? json_integer(ended - decided) : json_null());
}

static json_t *report_json(const struct report *r)
{
    static const char *const alerts[] = {"alerted", NULL}, *const notes[] = {"noted", NULL},
                             *const people[] = {"held",   "resumed",  "aborted",
                                                "killed", "restored", NULL};
    return json_pack(
        "{sO sO sO sO sO sO sO sO so so so so so so}", "release",
        json_object_get(r->status, "release"), "title", json_object_get(r->status, "title"),
        "state", json_object_get(r->status, "state"), "started",
        json_object_get(r->status, "started"), "ended", json_object_get(r->status, "ended"), "plan",
        json_object_get(r->status, "plan"), "commit", json_object_get(r->status, "commit"), "envs",
        json_object_get(r->status, "envs"), "steps", steps_json(r), "guards", guards_json(r),
        "alerts", events_json(r, alerts), "interventions", events_json(r, people), "notes",
        events_json(r, notes), "abort", abort_json(r));
}

/* ------------------------------------------------------------------ Markdown */

static void show_number(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v))
        printf(" %.4g |", json_number_value(v));
    else
        printf(" - |");
}

static void show_steps(const json_t *steps)
{
    size_t i, k;
    json_t *s, *e;
    puts("\n## Steps\n\n| step | began | ended | signed and attested |\n|---|---|---|---|");
    json_array_foreach(steps, i, s)
    {
        const char *ended = text_of(s, "ended");
        printf("| %" PRIu64 " | %s | %s |", number_of(s, "step"), text_of(s, "began"),
               *ended ? ended : "-");
        json_array_foreach(json_object_get(s, "signed"), k, e)
        {
            bool check = *text_of(e, "check");
            bool failed = check && !json_is_true(json_object_get(e, "passed"));
            printf("%s %s%s by %s", k ? ";" : "", check ? text_of(e, "check") : text_of(e, "role"),
                   failed ? " FAILED" : "", text_of(e, "by"));
        }
        puts(" |");
    }
}

static void show_guards(const json_t *guards)
{
    static const char *const numbers[] = {"rounds", "passed", "failed", "blind",
                                          "min",    "mean",   "p95",    "max"};
    size_t i;
    json_t *g;
    puts("\n## Guards\n\n| guard | rounds | PASS | FAIL | no answer | min | mean | p95 | max |\n"
         "|---|---|---|---|---|---|---|---|---|");
    json_array_foreach(guards, i, g)
    {
        printf("| %s |", text_of(g, "guard"));
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            show_number(g, numbers[k]);
        putchar('\n');
    }
}

static void show_events(const char *title, const json_t *events)
{
    size_t i;
    json_t *e;
    printf("\n## %s\n\n", title);
    if (json_array_size(events) == 0)
        puts("None.");
    json_array_foreach(events, i, e)
    {
        printf("- %s %s", text_of(e, "time"), text_of(e, "event"));
        if (*text_of(e, "flag"))
            printf(" %s in %s", text_of(e, "flag"), text_of(e, "env"));
        if (*text_of(e, "by"))
            printf(" by %s", text_of(e, "by"));
        if (*text_of(e, "text"))
            printf(": %s", text_of(e, "text"));
        putchar('\n');
    }
}

static void show_abort(const json_t *abort)
{
    if (!json_is_object(abort))
        return;
    printf("\nTaken back because of %s.", text_of(abort, "cause"));
    if (json_is_integer(json_object_get(abort, "decide_ms")))
        printf(" From the first round that failed to the decision: %.1f s.",
               (double)number_of(abort, "decide_ms") / 1000);
    if (json_is_integer(json_object_get(abort, "converge_ms")))
        printf(" From there until every live host had the baseline: %.1f s.",
               (double)number_of(abort, "converge_ms") / 1000);
    putchar('\n');
}

static void show_report(const json_t *j)
{
    const char *ended = text_of(j, "ended");
    size_t i;
    json_t *e;
    printf("# Release %s: %s\n\n%s. Started %s, %s%s; plan %.12s, commit %.12s.\n",
           text_of(j, "release"), text_of(j, "state"), text_of(j, "title"), text_of(j, "started"),
           *ended ? "ended " : "not ended", ended, text_of(j, "plan"), text_of(j, "commit"));
    show_abort(json_object_get(j, "abort"));
    show_steps(json_object_get(j, "steps"));
    show_guards(json_object_get(j, "guards"));
    show_events("Alerts", json_object_get(j, "alerts"));
    show_events("What people did", json_object_get(j, "interventions"));
    show_events("Feedback, incidents, hotfixes", json_object_get(j, "notes"));
    puts("\n## Versions\n\n| environment | baseline | now |\n|---|---|---|");
    json_array_foreach(json_object_get(j, "envs"), i, e)
    {
        printf("| %s | %" PRIu64 " | %" PRIu64 " |\n", text_of(e, "env"), number_of(e, "baseline"),
               number_of(e, "version"));
    }
}

/* ------------------------------------------------------------------ the verb */

/* The hours that are reported: --since, a time or how long ago. */
static bool read_since(struct report *r, int *ret_exit)
{
    const char *since = options_get(r->call->options, "since");
    if (!since || read_moment(since, &r->from_ms) == HOIST_OK)
        return true;
    *ret_exit =
        show_failure(r->call, EXIT_INPUT, "input", "--since 24h, or a time", "%s", err_last());
    return false;
}

int release_report(struct call *c, const json_t *status)
{
    struct report r = {.call = c, .status = status};
    int exit = EXIT_DONE;
    if (read_since(&r, &exit) && read_events(&r, &exit)) {
        json_t *all = report_json(&r);
        char *text = c->json ? value_text(all, false) : NULL;
        if (text)
            puts(text);
        else
            show_report(all);
        mem_free(text);
        json_decref(all);
    }
    json_decref(r.events);
    return exit;
}
