/* The canonical form of a plan: JSON without spaces, keys sorted, every default written out. */
#include "flag/json.h"
#include "release/plan_int.h"

/* In the order in which they stand in the plan, which is by name wherever order means nothing. */
#define PUT_LIST(w, key, items, count, put)                                                        \
    do {                                                                                           \
        json_key(w, key);                                                                          \
        json_array_begin(w);                                                                       \
        for (uint32_t i = 0; i < (count); i++)                                                     \
            put(w, plan, &(items)[i]);                                                             \
        json_array_end(w);                                                                         \
    } while (0)

static void put_text(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    json_put_slice(w, text);
}

static void put_number(struct json_writer *w, const char *key, uint64_t n)
{
    json_key(w, key);
    json_put_u64(w, n);
}

static void put_rule(struct json_writer *w, const char *key, struct tree rule)
{
    json_key(w, key);
    if (rule.count)
        json_put_tree(w, rule);
    else
        json_put_null(w);
}

static void put_slice(struct json_writer *w, const struct release_plan *plan, const struct slice *s)
{
    (void)plan;
    json_put_slice(w, *s);
}

static void put_bound(struct json_writer *w, const char *key, struct release_bound bound)
{
    json_key(w, key);
    if (bound.op == RELEASE_ANY)
        json_put_null(w);
    else
        json_put_str(w, release_bound_text(bound).text);
}

static void put_env(struct json_writer *w, const struct release_plan *plan, uint8_t env)
{
    json_key(w, "env");
    if (env == RELEASE_NO_ENV)
        json_put_null(w);
    else
        json_put_slice(w, plan->envs[env]);
}

/* ------------------------------------------------------------------ parts */

static void put_flag(struct json_writer *w, const struct release_plan *plan,
                     const struct release_flag *f)
{
    (void)plan;
    json_object_begin(w);
    put_text(w, "key", f->key);
    put_text(w, "off", f->off);
    put_text(w, "on", f->on);
    json_object_end(w);
}

static void put_guard(struct json_writer *w, const struct release_plan *plan,
                      const struct release_guard *g)
{
    (void)plan;
    json_object_begin(w);
    put_bound(w, "critical", g->critical);
    json_key(w, "mode");
    json_put_str(w, g->hold ? "hold" : "abort");
    put_text(w, "name", g->name);
    put_bound(w, "pass", g->pass);
    put_text(w, "query", g->query);
    put_text(w, "title", g->title);
    json_object_end(w);
}

static void put_check(struct json_writer *w, const struct release_plan *plan,
                      const struct release_check *c)
{
    json_object_begin(w);
    put_number(w, "every_ms", c->every_ms);
    put_text(w, "name", c->name);
    PUT_LIST(w, "run", c->argv, c->argc, put_slice);
    put_number(w, "timeout_ms", c->timeout_ms);
    put_text(w, "title", c->title);
    json_object_end(w);
}

static void put_person(struct json_writer *w, const struct release_plan *plan, const uint8_t *who)
{
    json_put_slice(w, plan->people[*who]);
}

static void put_role(struct json_writer *w, const struct release_plan *plan,
                     const struct release_role *role)
{
    json_object_begin(w);
    put_text(w, "name", role->name);
    PUT_LIST(w, "people", role->people, role->people_count, put_person);
    json_object_end(w);
}

static void put_sink(struct json_writer *w, const struct release_plan *plan,
                     const struct release_sink *s)
{
    (void)plan;
    json_object_begin(w);
    put_text(w, "name", s->name);
    put_text(w, "url_ref", s->ref);
    json_object_end(w);
}

static void put_cover(struct json_writer *w, const struct release_plan *plan,
                      const struct release_cover *c)
{
    (void)plan;
    json_object_begin(w);
    json_key(w, "from");
    json_put_time(w, c->from_ms);
    json_key(w, "to");
    json_put_time(w, c->to_ms);
    put_text(w, "who", c->who);
    json_object_end(w);
}

/* ------------------------------------------------------------------ phases and steps */

static void put_sign(struct json_writer *w, const struct release_plan *plan,
                     const struct release_sign *s)
{
    json_object_begin(w);
    put_text(w, "role", plan->roles[s->role].name);
    put_text(w, "statement", s->statement);
    json_object_end(w);
}

static void put_names_of(struct json_writer *w, const struct release_plan *plan,
                         const struct release_step *s)
{
    json_key(w, "check");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->check_count; i++)
        if (s->checks & 1ULL << i)
            json_put_slice(w, plan->checks[i].name);
    json_array_end(w);
    put_number(w, "exposed", s->exposed);
    json_key(w, "guards");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->guard_count; i++)
        if (s->guards & 1U << i)
            json_put_slice(w, plan->guards[i].name);
    json_array_end(w);
}

static void put_step(struct json_writer *w, const struct release_plan *plan,
                     const struct release_step *s)
{
    json_object_begin(w);
    put_names_of(w, plan, s);
    put_rule(w, "if", s->cohort);
    json_key(w, "share");
    if (s->share == RELEASE_NO_CHANGE)
        json_put_null(w);
    else
        json_put_u64(w, s->share);
    PUT_LIST(w, "sign", s->signs, s->sign_count, put_sign);
    put_number(w, "soak_ms", s->soak_ms);
    json_object_end(w);
}

static void put_window(struct json_writer *w, struct release_window window)
{
    json_key(w, "window");
    if (window.from == window.to)
        json_put_null(w);
    else
        json_put_str(w, release_window_text(window).text);
}

static void put_phase(struct json_writer *w, const struct release_plan *plan,
                      const struct release_phase_head *head)
{
    json_object_begin(w);
    put_env(w, plan, head->env);
    put_text(w, "owner", head->owner);
    PUT_LIST(w, "steps", plan->steps + head->first, head->count, put_step);
    put_text(w, "task", head->task);
    put_text(w, "title", head->title);
    put_window(w, head->window);
    json_object_end(w);
}

/* ------------------------------------------------------------------ the whole */

static void put_announce(struct json_writer *w, const struct release_plan *plan)
{
    json_key(w, "announce");
    json_object_begin(w);
    put_text(w, "contact", plan->contact);
    put_text(w, "support", plan->announce_support);
    put_text(w, "users", plan->announce_users);
    json_object_end(w);
}

enum hoist_err release_plan_canonical(const struct release_plan *plan, struct buf *out)
{
    struct json_writer writer = JSON_WRITER(out, 0), *w = &writer;
    json_object_begin(w);
    put_number(w, "abort_after", plan->abort_after);
    put_announce(w, plan);
    put_text(w, "author", plan->author);
    put_rule(w, "bucket", plan->bucketing);
    PUT_LIST(w, "checks", plan->checks, plan->check_count, put_check);
    PUT_LIST(w, "coverage", plan->coverage, plan->coverage_count, put_cover);
    PUT_LIST(w, "flags", plan->flags, plan->flag_count, put_flag);
    json_key(w, "format");
    json_put_str(w, "hoist-plan-1");
    PUT_LIST(w, "guards", plan->guards, plan->guard_count, put_guard);
    put_number(w, "interval_ms", plan->interval_ms);
    PUT_LIST(w, "kill_on_alert", plan->alerts, plan->alert_count, put_slice);
    put_number(w, "max_silent", plan->max_silent);
    put_text(w, "owner", plan->owner);
    PUT_LIST(w, "phases", plan->phases, RELEASE_PHASES, put_phase);
    put_text(w, "release", plan->name);
    PUT_LIST(w, "roles", plan->roles, plan->role_count, put_role);
    put_number(w, "sign_valid_ms", plan->sign_valid_ms);
    PUT_LIST(w, "sinks", plan->sinks, plan->sink_count, put_sink);
    put_text(w, "title", plan->title);
    json_object_end(w);
    return buf_err(out);
}
