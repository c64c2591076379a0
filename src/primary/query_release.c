#include "primary/query_release.h"

#include <string.h>

#include "primary/query_int.h"
#include "release/event_json.h"
#include "release/say.h"
#include "release/waiting.h"

enum {
    LOG_LIMIT = 1000,
    LOG_LIMIT_MAX = 10000 /* events */
};

static void put(struct json_writer *w, const char *name, const char *value)
{
    json_key(w, name);
    json_put_str(w, value);
}

static void put_slice(struct json_writer *w, const char *name, struct slice value)
{
    json_key(w, name);
    json_put_slice(w, value);
}

static void put_u64(struct json_writer *w, const char *name, uint64_t value)
{
    json_key(w, name);
    json_put_u64(w, value);
}

static void put_time(struct json_writer *w, const char *name, int64_t ms)
{
    json_key(w, name);
    if (ms == 0 || ms == INT64_MAX)
        json_put_null(w);
    else
        json_put_time(w, ms);
}

static void put_hash(struct json_writer *w, const char *name, const uint8_t hash[HASH_SIZE])
{
    json_key(w, name);
    json_put_hex(w, slice_of(hash, HASH_SIZE));
}

/* ------------------------------------------------------------------ where it stands */

const char *const release_standings[RELEASE_STANDINGS] = {
    [STANDING_MOVING] = "moving",       [STANDING_WAITING] = "waiting",
    [STANDING_HOLDING] = "holding",     [STANDING_ROLLING_BACK] = "rolling_back",
    [STANDING_COMPLETED] = "completed", [STANDING_ROLLED_BACK] = "rolled_back",
};

static enum release_standing standing_of_moving(const struct release_record *r)
{
    uint32_t stands = release_stands_for(r);
    if (stands & (1u << RELEASE_UNHELD | 1u << RELEASE_CONVERGED | 1u << RELEASE_SOAK))
        return STANDING_HOLDING;
    return stands ? STANDING_WAITING : STANDING_MOVING;
}

enum release_standing release_standing(const struct release_record *r)
{
    if (r->state == RELEASE_ROLLING_BACK)
        return STANDING_ROLLING_BACK;
    if (r->state == RELEASE_ENDED)
        return r->cause == RELEASE_BY_NOBODY ? STANDING_COMPLETED : STANDING_ROLLED_BACK;
    return standing_of_moving(r);
}

static const char *state_name(const struct release_record *r)
{
    return release_standings[release_standing(r)];
}

/* Who may give a signature of that role now. */
static void put_people(struct json_writer *w, const struct release_plan *plan,
                       const struct release_record *r, const struct release_role *role)
{
    const struct release_step *s = &plan->steps[r->step];
    json_key(w, "people");
    json_array_begin(w);
    for (uint32_t i = 0; i < role->people_count; i++) {
        struct slice name = plan->people[role->people[i]];
        bool may = !slice_eq(name, plan->author) && !slice_eq(name, slice_str(r->author));
        for (uint32_t n = 0; n < s->sign_count; n++)
            may = may && r->signs[n].person != (uint64_t)role->people[i] + 1;
        if (may)
            json_put_slice(w, name);
    }
    json_array_end(w);
}

static void put_waiting(struct json_writer *w, const struct release_plan *plan,
                        const struct release_record *r, int64_t wall_ms)
{
    struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t count = release_waiting(plan, r, wall_ms, waits);
    json_key(w, "waiting");
    json_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        json_object_begin(w);
        put(w, "condition", release_condition_name(waits[i].condition));
        put_time(w, "since", waits[i].since_ms);
        put(w, "text", waits[i].text);
        if (waits[i].role)
            put_people(w, plan, r, waits[i].role);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_guards(struct json_writer *w, const struct release_plan *plan,
                       const struct release_record *r)
{
    json_key(w, "guards");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->guard_count; i++) {
        const struct release_guard_record *g = &r->guards[i];
        if (!(plan->steps[r->step].guards >> i & 1))
            continue;
        json_object_begin(w);
        put_slice(w, "guard", plan->guards[i].name);
        put(w, "verdict", g->verdict ? release_verdict_name((enum release_verdict)g->verdict) : "");
        json_key(w, "value");
        if (g->verdict == RELEASE_PASS || g->verdict == RELEASE_FAIL)
            json_put_number(w, g->value);
        else
            json_put_null(w);
        put_u64(w, "fails", g->fails);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_envs(struct json_writer *w, const struct release_plan *plan,
                     const struct release_record *r)
{
    json_key(w, "envs");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->env_count; i++) {
        const struct release_env_record *e = &r->envs[i];
        json_object_begin(w);
        put_slice(w, "env", plan->envs[i]);
        put_u64(w, "baseline", e->baseline);
        put_u64(w, "version", e->version);
        put_u64(w, "live", e->live);
        put_u64(w, "lagging", e->lagging);
        put_u64(w, "silent", e->silent);
        json_key(w, "killed");
        json_array_begin(w);
        for (uint32_t f = 0; f < plan->flag_count; f++)
            if (e->killed >> f & 1)
                json_put_slice(w, plan->flags[f].key);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_signs(struct json_writer *w, const struct release_plan *plan,
                      const struct release_record *r)
{
    const struct release_step *s = &plan->steps[r->step];
    json_key(w, "signs");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->sign_count; i++) {
        json_object_begin(w);
        put_slice(w, "role", plan->roles[s->signs[i].role].name);
        put_slice(w, "statement", s->signs[i].statement);
        json_key(w, "by");
        if (r->signs[i].person)
            json_put_slice(w, plan->people[r->signs[i].person - 1]);
        else
            json_put_null(w);
        put_time(w, "at", r->signs[i].at_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

/* When an attestation ceases to count; 0: not while its step lasts, or there is none. */
static int64_t good_until(const struct release_check *check, const struct release_check_record *had)
{
    return had->passed && check->every_ms ? had->at_ms + (int64_t)check->every_ms : 0;
}

static void put_checks(struct json_writer *w, const struct release_plan *plan,
                       const struct release_record *r)
{
    json_key(w, "checks");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->check_count; i++) {
        if (!(plan->steps[r->step].checks >> i & 1))
            continue;
        json_object_begin(w);
        put_slice(w, "check", plan->checks[i].name);
        json_key(w, "argv");
        json_array_begin(w);
        for (uint32_t n = 0; n < plan->checks[i].argc; n++)
            json_put_slice(w, plan->checks[i].argv[n]);
        json_array_end(w);
        put_u64(w, "timeout_ms", plan->checks[i].timeout_ms);
        json_key(w, "passed");
        json_put_bool(w, r->checks[i].passed);
        put_time(w, "at", r->checks[i].at_ms);
        put_time(w, "good_until", good_until(&plan->checks[i], &r->checks[i]));
        json_object_end(w);
    }
    json_array_end(w);
}

/* Who is there now, by the plan; null: nobody. */
static void put_on_duty(struct json_writer *w, const struct release_plan *plan, int64_t wall_ms)
{
    const struct release_cover *cover = release_cover_at(plan, wall_ms);
    json_key(w, "on_duty");
    if (!cover) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    put_slice(w, "who", cover->who);
    put_time(w, "from", cover->from_ms);
    put_time(w, "to", cover->to_ms);
    json_object_end(w);
}

/* Whether it has set flags, which a rollback sets back. */
static bool has_changed(const struct release_plan *plan, const struct release_record *r,
                        const struct release_phase_head *p)
{
    for (uint32_t i = p->first; i < p->first + p->count && i <= r->step; i++)
        if (plan->steps[i].share != RELEASE_NO_CHANGE)
            return true;
    return false;
}

/* DEPLOY-001 … 005: what is done, under way, ahead, or set back. */
static const char *phase_state(const struct release_plan *plan, const struct release_record *r,
                               const struct release_phase_head *p)
{
    bool over = r->state == RELEASE_ENDED && r->cause == RELEASE_BY_NOBODY;
    if (r->cause != RELEASE_BY_NOBODY && has_changed(plan, r, p))
        return state_name(r);
    if (over || (p->count > 0 && r->step >= p->first + p->count) ||
        (p->count == 0 && plan->steps[r->step].phase > (enum release_phase)(p - plan->phases)))
        return "done";
    if (r->step < p->first || p->count == 0)
        return "ahead";
    return state_name(r);
}

/* What was asked of the steps that were left behind, and so was observed. */
static void put_observed(struct json_writer *w, const struct release_plan *plan,
                         const struct release_record *r, const struct release_phase_head *p)
{
    bool over = r->state == RELEASE_ENDED && r->cause == RELEASE_BY_NOBODY;
    json_key(w, "observed");
    json_array_begin(w);
    for (uint32_t i = p->first; i < p->first + p->count && (over || i < r->step); i++) {
        json_object_begin(w);
        put_u64(w, "step", i + 1);
        put_u64(w, "soak_ms", plan->steps[i].soak_ms);
        put_u64(w, "exposed", plan->steps[i].exposed);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_phases(struct json_writer *w, const struct release_plan *plan,
                       const struct release_record *r)
{
    json_key(w, "phases");
    json_array_begin(w);
    for (int i = 0; i < RELEASE_PHASES; i++) {
        const struct release_phase_head *p = &plan->phases[i];
        json_object_begin(w);
        put(w, "phase", release_phase_name((enum release_phase)i));
        put_slice(w, "task", p->task);
        put_slice(w, "title", p->title);
        put_slice(w, "owner", p->owner);
        json_key(w, "depends_on");
        if (i > 0)
            json_put_slice(w, plan->phases[i - 1].task);
        else
            json_put_null(w);
        put(w, "state", phase_state(plan, r, p));
        put_u64(w, "first_step", p->first + 1);
        put_u64(w, "steps", p->count);
        put_observed(w, plan, r, p);
        json_object_end(w);
    }
    json_array_end(w);
}

/* The alerts that take it back. */
static void put_alerts(struct json_writer *w, const struct release_plan *plan)
{
    json_key(w, "kill_on_alert");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->alert_count; i++)
        json_put_slice(w, plan->alerts[i]);
    json_array_end(w);
}

static void put_cause(struct json_writer *w, const struct release_plan *plan,
                      const struct release_record *r)
{
    char why[RELEASE_SAID_SIZE];
    json_key(w, "cause");
    if (r->cause == RELEASE_BY_NOBODY) {
        json_put_null(w);
        return;
    }
    release_say_cause(plan, r, why);
    json_put_str(w, why);
}

static void put_held(struct json_writer *w, const struct release_record *r)
{
    json_key(w, "held");
    if (r->state != RELEASE_MOVING || !r->holder[0]) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    put(w, "by", r->holder);
    put_slice(w, "reason", slice_of(r->reason, strnlen(r->reason, sizeof r->reason)));
    json_object_end(w);
}

static void put_step(struct json_writer *w, const struct release_plan *plan,
                     const struct release_record *r)
{
    const struct release_step *s = &plan->steps[r->step];
    char said[RELEASE_SAID_SIZE];
    release_say_step(plan, r->step, said);
    put_u64(w, "step", r->step + 1);
    put_u64(w, "steps", plan->step_count);
    put(w, "said", said);
    put(w, "phase", release_phase_name(s->phase));
    put_time(w, "step_since", r->step_ms);
    put_u64(w, "soak_ms", r->soak_ms);
    put_u64(w, "soak_target_ms", s->soak_ms);
    put_u64(w, "exposed", r->exposed);
    put_u64(w, "exposed_target", s->exposed);
}

void release_put_status(struct json_writer *w, const struct release_plan *plan,
                        const struct release_record *r, uint32_t id, int64_t wall_ms)
{
    put_slice(w, "release", plan->name);
    put_u64(w, "id", id);
    put_slice(w, "title", plan->title);
    put_slice(w, "owner", plan->owner);
    put(w, "state", state_name(r));
    put_cause(w, plan, r);
    put_step(w, plan, r);
    put_time(w, "started", r->started_ms);
    put_time(w, "ended", r->ended_ms);
    put_time(w, "earliest",
             r->state == RELEASE_MOVING ? release_earliest(plan, r, wall_ms) : INT64_MAX);
    put(w, "author", r->author);
    put_hash(w, "plan", plan->hash);
    put_hash(w, "definitions", r->definitions);
    put_slice(w, "commit", slice_of(r->commit, strnlen(r->commit, sizeof r->commit)));
    put_held(w, r);
    put_waiting(w, plan, r, wall_ms);
    put_guards(w, plan, r);
    put_signs(w, plan, r);
    put_checks(w, plan, r);
    put_alerts(w, plan);
    put_envs(w, plan, r);
    put_on_duty(w, plan, wall_ms);
    put_phases(w, plan, r);
}

/* ------------------------------------------------------------------ questions */

struct showing {
    struct json_writer *w;
    int64_t wall_ms;
};

static void show_short(void *arg, const struct release *r)
{
    struct json_writer *w = arg;
    char said[RELEASE_SAID_SIZE];
    release_say_step(r->plan, r->record.step, said);
    json_object_begin(w);
    put_slice(w, "release", r->plan->name);
    put_u64(w, "id", r->id);
    put_slice(w, "title", r->plan->title);
    put(w, "state", state_name(&r->record));
    put(w, "said", said);
    put_time(w, "started", r->record.started_ms);
    put_time(w, "ended", r->record.ended_ms);
    json_object_end(w);
}

static void show_status(void *arg, const struct release *r)
{
    struct showing *s = arg;
    json_object_begin(s->w);
    release_put_status(s->w, r->plan, &r->record, r->id, s->wall_ms);
    json_object_end(s->w);
}

static uint32_t list(struct releases *rs, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "releases");
    json_array_begin(&w);
    releases_show(rs, SLICE(""), show_short, &w);
    json_array_end(&w);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}

static uint32_t no_release(struct slice name, struct buf *out)
{
    return query_error(out, EXIT_NO, "not-found", "release", "flagctl release list shows them",
                       NULL, "there is no release '%.*s'", SLICE_ARG(name));
}

static uint32_t status(struct releases *rs, struct slice name, int64_t wall_ms, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    struct showing s = {.w = &w, .wall_ms = wall_ms};
    if (releases_show(rs, name, show_status, &s) == 0)
        return no_release(name, out);
    return query_done(out, EXIT_DONE);
}

/* ------------------------------------------------------------------ the log */

/* Rows are read from the store and shown by the plan that is kept: its indices mean that plan's. */
struct logging {
    struct json_writer *w;
    struct store_read *r;
    uint64_t from;
    uint64_t limit;
    bool ticks;
};

static void show_log(struct logging *l, const struct release *r)
{
    struct store_release_row row;
    struct release_event e;
    uint64_t at = l->from > 0 ? l->from : RELEASE_FIRST_EVENT;
    put_slice(l->w, "release", r->plan->name);
    put_u64(l->w, "id", r->id);
    json_key(l->w, "events");
    json_array_begin(l->w);
    while (l->limit > 0 && store_release_next(l->r, r->id, at, &row) == HOIST_OK &&
           release_event_decode(row.row, &e) == HOIST_OK) {
        at = row.sequence + 1;
        if (e.kind == RELEASE_TICK && !l->ticks)
            continue;
        release_event_put_json(l->w, r->plan, &e);
        l->limit--;
    }
    json_array_end(l->w);
    put_u64(l->w, "next", at);
}

static uint32_t log_of(struct releases *rs, struct store_read *r, struct slice name,
                       const json_t *args, struct buf *out)
{
    bool ok = true;
    struct json_writer w = JSON_WRITER(out, 0);
    struct logging l = {.w = &w, .r = r};
    l.from = query_u64(args, "from", 0, &ok);
    l.limit = query_u64(args, "limit", LOG_LIMIT, &ok);
    l.ticks = json_is_true(json_object_get(args, "ticks"));
    if (!ok || l.limit > LOG_LIMIT_MAX)
        return query_bad_args(out, "release_log");
    struct release *borrowed = releases_borrow(rs, name);
    if (!borrowed)
        return no_release(name, out);
    json_object_begin(&w);
    show_log(&l, borrowed);
    json_object_end(&w);
    releases_give_back(rs, borrowed);
    return query_done(out, EXIT_DONE);
}

/* ------------------------------------------------------------------ the plan */

/* As it was given to `start`: the first row of a release. */
static uint32_t plan_of(struct releases *rs, struct store_read *r, struct slice name,
                        struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    struct store_release_row row;
    struct release *borrowed = releases_borrow(rs, name);
    if (!borrowed)
        return no_release(name, out);
    enum hoist_err err = store_release_next(r, borrowed->id, 0, &row);
    if (!err && row.sequence == 0) {
        json_object_begin(&w);
        put_slice(&w, "release", borrowed->plan->name);
        put_u64(&w, "id", borrowed->id);
        put_hash(&w, "plan", borrowed->plan->hash);
        put_slice(&w, "yaml", row.row);
        json_object_end(&w);
    }
    releases_give_back(rs, borrowed);
    if (out->len == 0)
        return query_error(out, EXIT_NO, "failed", "release", "see flagctl fsck", NULL,
                           "the plan of '%.*s' cannot be read", SLICE_ARG(name));
    return query_done(out, EXIT_DONE);
}

bool release_is_question(struct slice name)
{
    return slice_eq(name, SLICE("releases")) || slice_eq(name, SLICE("release_status")) ||
           slice_eq(name, SLICE("release_log")) || slice_eq(name, SLICE("release_plan"));
}

uint32_t release_answer(struct releases *rs, struct store_read *r, struct slice name,
                        const json_t *args, int64_t wall_ms, struct buf *out)
{
    bool ok = true;
    const char *release = query_str(args, "release", &ok);
    if (slice_eq(name, SLICE("releases")))
        return list(rs, out);
    if (!ok || !release || !*release)
        return query_error(out, EXIT_INPUT, "input", "release", "flagctl release list shows them",
                           NULL, "name the release");
    if (slice_eq(name, SLICE("release_status")))
        return status(rs, slice_str(release), wall_ms, out);
    return slice_eq(name, SLICE("release_plan")) ? plan_of(rs, r, slice_str(release), out)
                                                 : log_of(rs, r, slice_str(release), args, out);
}
