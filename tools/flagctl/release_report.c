/* release report: what a release was, from its log and a Prometheus: as one object, which Markdown is made of. */
#include "release_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "primary/drill.h"
#include "release/say.h"
#include "release_run.h"

enum { ROUNDS_LISTED = 4, DRILLS_MAX = 1000 };

static json_t *time_json(int64_t ms)
{
    char text[TEXT_TIME_SIZE];
    text_time(text, ms);
    return ms ? json_string(text) : json_null();
}

/* From one moment to another; null: one of them is not known. */
static json_t *span_json(int64_t from_ms, int64_t to_ms)
{
    if (!from_ms || !to_ms)
        return json_null();
    return json_integer(to_ms > from_ms ? to_ms - from_ms : 0);
}

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

/* ------------------------------------------------------------------ steps */

static json_t *signed_json(const struct story *t, uint32_t step)
{
    json_t *out = json_array(), *e;
    size_t i;
    json_array_foreach(t->events, i, e)
    {
        if ((is(e, "signed") || is(e, "attested")) && number_of(e, "step") == step + 1)
            json_array_append(out, e);
    }
    return out;
}

static json_t *steps_json(const struct story *t)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < t->plan->step_count; i++) {
        const struct release_step_history *s = &t->history.steps[i];
        char said[RELEASE_SAID_SIZE];
        if (!s->began_ms)
            break;
        release_say_step(t->plan, i, said);
        json_array_append_new(
            out,
            json_pack("{sI ss ss so so sI sI so}", "step", (json_int_t)i + 1, "said", said, "phase",
                      release_phase_name(t->plan->steps[i].phase), "began", time_json(s->began_ms),
                      "ended", time_json(s->ended_ms), "moved_ms", (json_int_t)s->moved_ms,
                      "stood_ms", (json_int_t)s->stood_ms, "signed", signed_json(t, i)));
    }
    return out;
}

static json_t *conditions_json(uint32_t conditions)
{
    json_t *out = json_array();
    for (int c = 0; c < RELEASE_CONDITIONS; c++)
        if (conditions >> c & 1)
            json_array_append_new(out, json_string(release_condition_name(c)));
    return out;
}

/* Between two rounds it stands now and then: what is listed is longer. */
static json_t *still_json(const struct story *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < t->history.still_count; i++) {
        const struct release_still *s = &t->history.still[i];
        if (s->to_ms - s->from_ms < (int64_t)ROUNDS_LISTED * t->plan->interval_ms)
            continue;
        json_array_append_new(out,
                              json_pack("{sI so so sI so ss}", "step", (json_int_t)s->step + 1,
                                        "from", time_json(s->from_ms), "to", time_json(s->to_ms),
                                        "ms", (json_int_t)(s->to_ms - s->from_ms), "for",
                                        conditions_json(s->conditions), "why", s->why));
    }
    return out;
}

/* ------------------------------------------------------------------ guards, and the way back */

static json_t *rounds_json(const struct story *t)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < t->plan->guard_count; i++) {
        struct rounds r = t->rounds[i];
        if (r.count == 0)
            continue;
        json_t *one =
            json_pack("{ss sI sI sI sI}", "guard", (const char *)t->plan->guards[i].name.ptr,
                      "rounds", (json_int_t)r.count, "passed", (json_int_t)r.passed, "failed",
                      (json_int_t)r.failed, "blind", (json_int_t)(r.count - r.passed - r.failed));
        values_put(&r.values, one);
        json_array_append_new(out, one);
    }
    return out;
}

/* When the alert that took it back began to fire, by Prometheus; 0: that is not known. */
static int64_t fired_ms(const struct story *t, const json_t *fired)
{
    const struct release_record *r = &t->history.record;
    int64_t found = 0;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(fired, "alerts"), i, one)
    {
        int64_t from = time_at(one, "from");
        bool same = r->cause == RELEASE_BY_ALERT &&
                    slice_eq(t->plan->alerts[r->cause_of], slice_str(text_of(one, "alert")));
        if (same && from && from <= t->history.abort.decided_ms)
            found = from;
    }
    return found;
}

/* How long each part of going back took: until it could be seen, until it was decided, until the last host. */
static json_t *abort_json(const struct story *t, const json_t *status, const json_t *fired)
{
    const struct release_abort_history *a = &t->history.abort;
    if (!a->decided_ms)
        return json_null();
    int64_t failing = a->failing_ms ? a->failing_ms : fired_ms(t, fired);
    return json_pack("{sO so so so so so so so}", "cause", json_object_get(status, "cause"), "well",
                     time_json(a->well_ms), "failing", time_json(failing), "decided",
                     time_json(a->decided_ms), "converged", time_json(a->back_ms), "detect_ms",
                     span_json(a->well_ms, failing), "decide_ms", span_json(failing, a->decided_ms),
                     "converge_ms", span_json(a->decided_ms, a->back_ms));
}

/* ------------------------------------------------------------------ what people did */

static json_t *events_json(const struct story *t, const char *const *kinds)
{
    json_t *out = json_array(), *e;
    size_t i;
    json_array_foreach(t->events, i, e)
    {
        for (const char *const *k = kinds; *k; k++)
            if (is(e, *k) && time_of(e) >= t->from_ms)
                json_array_append(out, e);
    }
    return out;
}

static bool same_flag(const json_t *override, const json_t *event)
{
    return strcmp(text_of(override, "flag"), text_of(event, "flag")) == 0 &&
           strcmp(text_of(override, "env"), text_of(event, "env")) == 0;
}

/* The restore of what was killed: the newest of that flag which has none yet. */
static void restore(json_t *overrides, const json_t *e)
{
    for (size_t i = json_array_size(overrides); i-- > 0;) {
        json_t *o = json_array_get(overrides, i);
        if (!same_flag(o, e) || !json_is_null(json_object_get(o, "restored")))
            continue;
        int64_t killed = time_at(o, "killed");
        json_object_set(o, "restored", json_object_get(e, "time"));
        json_object_set(o, "restored_by", json_object_get(e, "by"));
        json_object_set_new(o, "ms", span_json(killed, time_of(e)));
        return;
    }
}

/* Flags of the release that were killed, and for how long. */
static json_t *overrides_json(const struct story *t)
{
    json_t *out = json_array(), *e;
    size_t i;
    json_array_foreach(t->events, i, e)
    {
        if (is(e, "killed"))
            json_array_append_new(
                out,
                json_pack("{sO sO sO sO sn sn sn}", "flag", json_object_get(e, "flag"), "env",
                          json_object_get(e, "env"), "killed", json_object_get(e, "time"),
                          "killed_by", json_object_get(e, "by"), "restored", "restored_by", "ms"));
        else if (is(e, "restored"))
            restore(out, e);
    }
    return out;
}

/* ------------------------------------------------------------------ drills, and the log's head */

static bool is_drill(const struct story *t, const json_t *change)
{
    const char *kind = text_of(change, "kind");
    return number_of(change, "edits_count") == 1 && time_of(change) <= t->at_ms &&
           (strcmp(kind, "kill") == 0 || strcmp(kind, "rollback") == 0);
}

/* Of one environment; false: its log may not be read. */
static bool add_drills(const struct story *t, const char *env, json_t *out)
{
    struct reply r;
    json_t *changes, *e;
    ask(t->call, "log",
        json_pack("{ss ss sI si}", "env", env, "flag", DRILL_FLAG, "from_ms",
                  (json_int_t)t->history.record.started_ms, "limit", DRILLS_MAX),
        &r);
    bool ok = r.body && !json_object_get(r.body, "error");
    changes = json_object_get(r.body, "changes");
    for (size_t i = json_array_size(changes); i-- > 0;) { /* the newest stands first */
        e = json_array_get(changes, i);
        if (is_drill(t, e))
            json_array_append_new(out, json_pack("{ss sO sO sO sO}", "env", env, "time",
                                                 json_object_get(e, "time"), "drill",
                                                 json_object_get(e, "kind"), "by",
                                                 json_object_get(e, "author"), "version",
                                                 json_object_get(e, "version")));
    }
    reply_done(&r);
    return ok;
}

/* null: one of the logs may not be read. */
static json_t *drills_json(const struct story *t, const json_t *status)
{
    json_t *out = json_array(), *env;
    size_t i;
    bool ok = true;
    json_array_foreach(json_object_get(status, "envs"), i, env)
    {
        ok = ok && add_drills(t, text_of(env, "env"), out);
    }
    if (ok)
        return out;
    json_decref(out);
    return json_null();
}

/* The environments with the heads of their logs, whose chain `flagctl audit verify` holds against them. */
static json_t *envs_json(const struct story *t, const json_t *status)
{
    json_t *out = json_deep_copy(json_object_get(status, "envs")), *env;
    size_t i;
    json_array_foreach(out, i, env)
    {
        struct reply r;
        ask(t->call, "audit",
            json_pack("{ss sI}", "env", text_of(env, "env"), "after", (json_int_t)INT64_MAX), &r);
        json_t *head = json_object_get(r.body, "head"), *hash = json_object_get(r.body, "hash");
        json_object_set_new(env, "head", head ? json_incref(head) : json_null());
        json_object_set_new(env, "hash", hash ? json_incref(hash) : json_null());
        reply_done(&r);
    }
    return out;
}

/* ------------------------------------------------------------------ the watch */

bool report_name(const struct release_plan *plan, uint32_t step, char ret[REPORT_NAME_SIZE])
{
    const struct release_step *s = &plan->steps[step];
    if (s->phase != RELEASE_WATCH || !s->soak_ms)
        return false;
    snprintf(ret, REPORT_NAME_SIZE, "%s", release_span(release_watched_ms(plan, step)).text);
    return true;
}

/* The name of what this is; null: it is of when it was made, or of another time. */
static json_t *name_json(const struct story *t)
{
    char name[REPORT_NAME_SIZE];
    bool named = t->step >= 0 && report_name(t->plan, (uint32_t)t->step, name);
    return named ? json_string(name) : json_null();
}

static json_t *watch_json(const struct story *t)
{
    const struct release_phase_head *watch = &t->plan->phases[RELEASE_WATCH];
    char name[REPORT_NAME_SIZE];
    json_t *reports = json_array();
    for (uint32_t i = watch->first; i < watch->first + watch->count; i++)
        if (report_name(t->plan, i, name))
            json_array_append_new(reports,
                                  json_pack("{ss sI so}", "name", name, "step", (json_int_t)i + 1,
                                            "due", time_json(t->history.steps[i].watched_ms)));
    return json_pack("{so so}", "began", time_json(release_history_watch_ms(&t->history)),
                     "reports", reports);
}

static json_t *coverage_json(const struct release_plan *plan)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < plan->coverage_count; i++)
        json_array_append_new(out, json_pack("{ss so so}", "who",
                                             (const char *)plan->coverage[i].who.ptr, "from",
                                             time_json(plan->coverage[i].from_ms), "to",
                                             time_json(plan->coverage[i].to_ms)));
    return out;
}

/* ------------------------------------------------------------------ the whole */

static void put_new(json_t *out, const char *name, json_t *value)
{
    json_object_set_new(out, name, value);
}

/* What `release status` shows of it. */
static void copy_status(json_t *out, const json_t *status)
{
    static const char *const names[] = {"release", "id",     "title",   "owner",
                                        "state",   "said",   "started", "ended",
                                        "plan",    "commit", "waiting", "on_duty"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set(out, names[i], json_object_get(status, names[i]));
}

json_t *report_json(const struct story *t, const struct prometheus_config *config)
{
    static const char *const alerts[] = {"alerted", NULL}, *const notes[] = {"noted", NULL},
                             *const people[] = {"held",   "resumed",  "aborted",
                                                "killed", "restored", NULL};
    json_t *out = json_object(), *status = story_status(t), *fired = compare_alerts(t, config);
    copy_status(out, status);
    put_new(out, "report", name_json(t));
    put_new(out, "at", time_json(t->at_ms));
    put_new(out, "envs", envs_json(t, status));
    put_new(out, "steps", steps_json(t));
    put_new(out, "still", still_json(t));
    put_new(out, "guards", rounds_json(t));
    put_new(out, "watch", watch_json(t));
    put_new(out, "comparison", compare_guards(t, config));
    put_new(out, "alerts", events_json(t, alerts));
    put_new(out, "abort", abort_json(t, status, fired));
    put_new(out, "fired", fired);
    put_new(out, "interventions", events_json(t, people));
    put_new(out, "overrides", overrides_json(t));
    put_new(out, "drills", drills_json(t, status));
    put_new(out, "notes", events_json(t, notes));
    put_new(out, "coverage", coverage_json(t->plan));
    json_decref(status);
    return out;
}

/* ------------------------------------------------------------------ the verb */

/* The hours that are reported: --since, a time or how long ago. */
static bool read_since(struct call *c, int64_t *ret_ms, int *ret_exit)
{
    const char *since = options_get(c->options, "since");
    *ret_ms = 0;
    if (!since || read_moment(since, ret_ms) == HOIST_OK)
        return true;
    *ret_exit = show_failure(c, EXIT_INPUT, "input", "--since 24h, or a time", "%s", err_last());
    return false;
}

/* The step whose report is called so, or -1; the names of all of them are added to `names`. */
static int find_report(const struct release_plan *plan, const char *wanted, struct buf *names)
{
    int64_t ms = -1;
    int found = -1;
    char name[REPORT_NAME_SIZE];
    bool is_time = read_duration(wanted, &ms) == HOIST_OK;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        if (!report_name(plan, i, name))
            continue;
        buf_printf(names, "%s%s", names->len ? ", " : "", name);
        if (strcmp(name, wanted) == 0 || (is_time && ms == (int64_t)release_watched_ms(plan, i)))
            found = (int)i;
    }
    return found;
}

/* --at: a time, or one of the watch's reports. */
static bool read_at(struct call *c, struct story_until *ret, int *ret_exit)
{
    const char *at = options_get(c->options, "at");
    struct buf names = BUF_INIT(RELEASE_STEPS_MAX * REPORT_NAME_SIZE);
    uint32_t id;
    *ret = (struct story_until){.step = -1, .ms = INT64_MAX};
    if (!at || text_time_read(at, &ret->ms) == HOIST_OK)
        return true;
    struct release_plan *plan = story_plan(c, c->words[1], &id, ret_exit);
    if (!plan)
        return false;
    ret->step = find_report(plan, at, &names);
    if (ret->step < 0)
        *ret_exit =
            show_failure(c, EXIT_INPUT, "input",
                         names.len ? "give one of them, or a time such as 2026-12-08T09:00:00Z"
                                   : "give a time such as 2026-12-08T09:00:00Z",
                         "--at %s: the watch of this plan has %s%s", at,
                         names.len ? "reports at " : "no reports", buf_str(&names));
    buf_done(&names);
    release_plan_free(plan);
    return ret->step >= 0;
}

/* Whether there is something to tell of that moment. */
static bool is_there(struct story *t, const struct story_until *until, int *ret_exit)
{
    const struct release_record *r = &t->history.record;
    bool watched = until->step < 0 || t->history.steps[until->step].watched_ms;
    if (watched && r->state != RELEASE_NOT_STARTED)
        return true;
    *ret_exit = show_failure(
        t->call, EXIT_CONFLICT, "conflict", "flagctl release status shows where it stands",
        watched ? "the release had not started then" : "the watch has not lasted so long");
    return false;
}

/* While it lives, "now" is later than the last thing that happened. */
static void set_now(struct story *t, const struct story_until *until)
{
    bool is_now = until->step < 0 && until->ms == INT64_MAX;
    if (is_now && t->history.record.state != RELEASE_ENDED)
        t->at_ms = clock_wall_ms();
}

static int show_report(const struct story *t, const struct prometheus_config *config)
{
    struct buf text = BUF_INIT(REPORT_MAX);
    json_t *report = report_json(t, config);
    if (t->call->json) {
        char *line = value_text(report, false);
        buf_printf(&text, "%s\n", line);
        mem_free(line);
    } else {
        report_text(report, &text);
    }
    int exit = EXIT_DONE;
    if (buf_err(&text) != HOIST_OK)
        exit = show_failure(t->call, EXIT_NO, "failed", NULL, "%s", err_last());
    else
        fwrite(text.ptr, 1, text.len, stdout);
    buf_done(&text);
    json_decref(report);
    return exit;
}

int release_report(struct call *c)
{
    struct prometheus_config config;
    struct story t = {0};
    struct story_until until;
    int64_t from_ms;
    int exit = EXIT_DONE;
    bool asks = options_get(c->options, "prometheus") != NULL;
    if ((asks && !release_prometheus(c, &config, &exit)) || !read_since(c, &from_ms, &exit) ||
        !read_at(c, &until, &exit))
        return exit;
    if (story_read(c, c->words[1], from_ms, &until, &t, &exit) && is_there(&t, &until, &exit)) {
        set_now(&t, &until);
        exit = show_report(&t, asks ? &config : NULL);
    }
    story_done(&t);
    return exit;
}
