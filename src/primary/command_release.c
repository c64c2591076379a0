/* Commands about releases: start, and what people say of one that is under way. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "primary/command_int.h"
#include "primary/query_int.h"
#include "primary/query_release.h"
#include "release/plan_file.h"
#include "wire/record.h"

static struct release_work work_of(struct command *c, struct store_write *w, struct answer *a)
{
    return (struct release_work){
        .w = w, .key = c->key, .fleet = c->fleet, .wall_ms = c->wall_ms, .answer = a};
}

/* ------------------------------------------------------------------ arguments */

static struct slice text_of(const struct command *c, const char *name)
{
    const json_t *v = json_object_get(c->body, name);
    return slice_of(json_string_value(v), json_string_length(v));
}

static bool needs(const struct command *c, const char *name, size_t max, struct answer *a)
{
    size_t len = text_of(c, name).len;
    if (len > 0 && len <= max)
        return true;
    a->exit = query_error(&a->body, EXIT_INPUT, "input", name, NULL, NULL,
                          "'%s' needs %s, a text of 1 to %zu bytes", c->kind->name, name, max);
    return false;
}

static bool read_hash(const struct command *c, const char *name, uint8_t ret[HASH_SIZE],
                      struct answer *a)
{
    if (text_unhex(text_of(c, name), ret, HASH_SIZE) == HOIST_OK)
        return true;
    a->exit = query_error(&a->body, EXIT_INPUT, "input", name, "give it as release_status has it",
                          NULL, "'%s' needs %s, 64 hexadecimal digits", c->kind->name, name);
    return false;
}

static enum hoist_err refuse(struct answer *a, const struct release_plan *plan, const char *why)
{
    char mend[RELEASE_NAME_MAX + 64];
    snprintf(mend, sizeof mend, "see where it stands: flagctl release status %.*s",
             SLICE_ARG(plan->name));
    a->exit = query_error(&a->body, EXIT_CONFLICT, "conflict", NULL, mend, NULL, "release %.*s: %s",
                          SLICE_ARG(plan->name), why);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ who may */

/* In all its environments; to start it also each of its flags. */
static bool may_all(struct command *c, const struct release_plan *plan, struct answer *a)
{
    for (uint32_t e = 0; c->gate && e < plan->env_count; e++) {
        if (c->need->reach == REACH_ENV && !gate_allows(c->gate, &c->person, c->need, plan->envs[e],
                                                        (struct slice){0}, &a->body, &a->exit))
            return false;
        for (uint32_t f = 0; c->need->reach == REACH_FLAGS && f < plan->flag_count; f++)
            if (!gate_allows(c->gate, &c->person, c->need, plan->envs[e], plan->flags[f].key,
                             &a->body, &a->exit))
                return false;
    }
    return true;
}

bool command_check_releases(struct command *c, const struct plan *plan, struct answer *a)
{
    if (!c->releases || c->fast || c->kind->run == command_kill || c->kind->run == command_restore)
        return true;
    for (size_t i = 0; i < plan->count; i++) {
        const struct release *r =
            releases_owner(c->releases, slice_str(c->env.name), plan->items[i].key);
        if (!r)
            continue;
        char mend[RELEASE_NAME_MAX + 128];
        snprintf(
            mend, sizeof mend,
            "wait for its end, or take it back: flagctl release abort %.*s; flagctl kill turns "
            "a flag off whatever moves it",
            SLICE_ARG(r->plan->name));
        a->exit = query_error(&a->body, EXIT_CONFLICT, "conflict", "key", mend, NULL,
                              "flag '%.*s' is moved by release %.*s", SLICE_ARG(plan->items[i].key),
                              SLICE_ARG(r->plan->name));
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ answers */

static enum hoist_err answer_with(struct command *c, struct store_write *w, const char *result,
                                  const struct release_plan *plan,
                                  const struct release_record *record, uint32_t id,
                                  struct answer *a)
{
    buf_clear(&a->body);
    struct json_writer out = JSON_WRITER(&a->body, 0);
    json_object_begin(&out);
    json_key(&out, "result");
    json_put_str(&out, result);
    release_put_status(&out, plan, record, id, c->wall_ms);
    json_key(&out, "request");
    json_put_hex(&out, slice_of(c->request, sizeof c->request));
    json_object_end(&out);
    a->exit = EXIT_DONE;
    return command_keep_answer(c, w, a);
}

/* ------------------------------------------------------------------ start */

static void flags_free(struct flag **flags, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        flag_free(flags[i]);
}

/* The plan's flags as they are in `env`, in the order of keys. */
static enum hoist_err read_flags(const struct release_plan *plan, struct store_read *r,
                                 const struct store_env *env, struct flag **flags, uint32_t *count)
{
    for (uint32_t i = 0; i < plan->flag_count; i++) {
        struct slice record;
        struct flag *f;
        enum hoist_err err = store_record_get(r, env->id, plan->flags[i].key, &record);
        if (!err)
            err = record_decode(plan->flags[i].key, record, &f, NULL);
        if (err == HOIST_ENOTFOUND)
            continue;
        if (err)
            return err;
        uint32_t at = (*count)++;
        for (; at > 0 && slice_cmp(flags[at - 1]->key, f->key) > 0; at--)
            flags[at] = flags[at - 1];
        flags[at] = f;
    }
    return HOIST_OK;
}

static bool is_free(struct command *c, const struct release_plan *plan, const char *env,
                    struct answer *a)
{
    for (uint32_t i = 0; i < plan->flag_count; i++) {
        const struct release *r = releases_owner(c->releases, slice_str(env), plan->flags[i].key);
        char why[FLAG_KEY_MAX + RELEASE_NAME_MAX + 64];
        if (!r)
            continue;
        snprintf(why, sizeof why, "flag '%.*s' is moved by release %.*s",
                 SLICE_ARG(plan->flags[i].key), SLICE_ARG(r->plan->name));
        refuse(a, r->plan, why);
        return false;
    }
    return true;
}

/* Whether the environment is there, and its flags are what the plan takes them for. */
static enum hoist_err check_env(struct command *c, struct store_read *r,
                                const struct release_plan *plan, uint32_t e, struct store_env *env,
                                struct answer *a)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct flag *flags[RELEASE_FLAGS_MAX];
    uint32_t count = 0;
    struct problems problems = {0};
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(plan->envs[e]));
    if (!query_env(r, name, env, &a->body, &a->exit) || !is_free(c, plan, name, a))
        return HOIST_OK;
    c->env = *env;
    if (!command_check_set_back(c, a))
        return HOIST_OK;
    enum hoist_err err = read_flags(plan, r, env, flags, &count);
    if (!err)
        release_plan_check_flags(plan, flags, count, &problems);
    if (!err && problems.count)
        a->exit = query_error(&a->body, EXIT_INPUT, "input", problems.items[0].path,
                              "mend what is listed, and start again", &problems,
                              "the flags of %s are not what the plan takes them for", name);
    problems_done(&problems);
    flags_free(flags, count);
    return err;
}

/* Whether it could be signed to its end: whoever starts it never signs. */
static bool has_signers(const struct command *c, const struct release_plan *plan, struct answer *a)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct release_role *role = release_role_unsigned(plan, i, c->author);
        if (!role)
            continue;
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "author",
                              "let somebody else start it, or give the role another person", NULL,
                              "nobody would be left to sign step %u as %.*s: '%.*s' starts the "
                              "release, and cannot sign for it",
                              i + 1, SLICE_ARG(role->name), SLICE_ARG(c->author));
        return false;
    }
    return true;
}

static enum hoist_err start(struct command *c, struct store_write *w, struct release_plan *plan,
                            bool *ret_kept, struct answer *a)
{
    struct store_read *r = store_write_read(w);
    struct release_work work = work_of(c, w, a);
    struct release_event e = release_event_now(RELEASE_STARTED, c->wall_ms);
    struct release_effects fx;
    e.by = c->author;
    e.bound.commit = text_of(c, "commit");
    memcpy(e.bound.plan, plan->hash, HASH_SIZE);
    for (uint8_t i = 0; i < plan->env_count; i++) {
        struct store_env env;
        enum hoist_err err = check_env(c, r, plan, i, &env, a);
        if (err || a->exit != EXIT_DONE)
            return err;
        e.fleet[e.fleet_count++] = (struct release_fleet){.env = i, .version = env.head};
    }
    enum hoist_err err = release_definitions(plan, r, e.bound.definitions);
    if (!err)
        err = releases_start(c->releases, &work, plan, text_of(c, "plan"), &e, &fx);
    if (err)
        return err;
    if (fx.refused[0])
        return refuse(a, plan, fx.refused);
    *ret_kept = true;
    const struct release *begun = releases_find(c->releases, plan->name);
    return answer_with(c, w, "started", plan, &begun->next, begun->id, a);
}

static bool is_new(struct command *c, const struct release_plan *plan, struct answer *a)
{
    const struct release *r = releases_find(c->releases, plan->name);
    if (r && r->next.state != RELEASE_ENDED) {
        refuse(a, plan, "it is under way already");
        return false;
    }
    if (releases_live(c->releases) < RELEASES_LIVE)
        return true;
    a->exit = query_error(&a->body, EXIT_CONFLICT, "conflict", NULL,
                          "wait for the end of one: flagctl release list", NULL,
                          "%d releases are under way already", RELEASES_LIVE);
    return false;
}

/* A person's name, as a release's log has it. */
static bool has_author(const struct command *c, struct answer *a)
{
    if (c->author.len <= RELEASE_WHO_MAX)
        return true;
    a->exit =
        query_error(&a->body, EXIT_INPUT, "input", "author", "give a shorter --author", NULL,
                    "who speaks of a release has a name of at most %d bytes", RELEASE_WHO_MAX);
    return false;
}

enum hoist_err command_release_start(struct command *c, struct store_write *w, struct answer *a)
{
    struct release_plan *plan = NULL;
    struct problems problems = {0}, warnings = {0};
    bool kept = false;
    if (!has_author(c, a) || !needs(c, "plan", RELEASE_PLAN_MAX, a) ||
        !needs(c, "commit", RELEASE_COMMIT_MAX, a))
        return HOIST_OK;
    enum hoist_err err = release_plan_read(text_of(c, "plan"), &plan, &problems, &warnings);
    if (err == HOIST_EINVAL) {
        problems_sort(&problems);
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "plan", "flagctl release lint PLAN",
                              &problems, "the plan has %zu problem%s, nothing was started",
                              problems.total, problems.total == 1 ? "" : "s");
        err = HOIST_OK;
    } else if (!err && may_all(c, plan, a) && is_new(c, plan, a) && has_signers(c, plan, a)) {
        err = start(c, w, plan, &kept, a);
    }
    problems_done(&problems);
    problems_done(&warnings);
    if (!kept)
        release_plan_free(plan);
    return err;
}

/* ------------------------------------------------------------------ what people say */

static bool read_bound(const struct command *c, struct release_event *e, struct answer *a)
{
    json_int_t step = json_integer_value(json_object_get(c->body, "step"));
    e->step = step > 0 && step <= RELEASE_STEPS_MAX ? (uint32_t)step - 1 : RELEASE_STEPS_MAX;
    e->bound.commit = text_of(c, "commit");
    return read_hash(c, "plan", e->bound.plan, a) &&
           read_hash(c, "definitions", e->bound.definitions, a);
}

static bool find_named(const struct command *c, const char *name, int found, uint8_t *ret,
                       struct answer *a)
{
    *ret = (uint8_t)found;
    if (found >= 0)
        return true;
    struct slice text = text_of(c, name);
    a->exit = query_error(&a->body, EXIT_INPUT, "input", name, "see flagctl release status", NULL,
                          "the plan has no %s '%.*s'", name, (int)(text.len < 64 ? text.len : 64),
                          (const char *)text.ptr);
    return false;
}

/* The event that the command stands for. False: answered. */
static bool make_event(const struct command *c, const struct release_plan *plan,
                       struct release_event *e, struct answer *a)
{
    static const struct {
        const char *name;
        enum release_event_kind kind;
    } kinds[] = {{"release_sign", RELEASE_SIGNED},   {"release_check", RELEASE_ATTESTED},
                 {"release_hold", RELEASE_HELD},     {"release_resume", RELEASE_RESUMED},
                 {"release_abort", RELEASE_ABORTED}, {"release_note", RELEASE_NOTED}};
    size_t i = 0;
    while (strcmp(kinds[i].name, c->kind->name) != 0)
        i++;
    *e = release_event_now(kinds[i].kind, c->wall_ms);
    e->by = c->author;
    if (release_event_fields(e->kind) & RELEASE_HAS_TEXT) {
        e->text = text_of(c, "message");
        return needs(c, "message", RELEASE_TEXT_MAX, a);
    }
    if (e->kind == RELEASE_RESUMED)
        return true;
    if (!read_bound(c, e, a))
        return false;
    if (e->kind == RELEASE_SIGNED)
        return find_named(c, "role", release_role_find(plan, text_of(c, "role")), &e->role, a);
    e->passed = json_is_true(json_object_get(c->body, "passed"));
    e->evidence = text_of(c, "evidence");
    return needs(c, "evidence", RELEASE_EVIDENCE_MAX, a) &&
           find_named(c, "check", release_check_find(plan, text_of(c, "check")), &e->check, a);
}

enum hoist_err command_release_say(struct command *c, struct store_write *w, struct answer *a)
{
    struct release_event e;
    struct release_effects fx;
    struct release_work work = work_of(c, w, a);
    if (!has_author(c, a) || !needs(c, "release", RELEASE_NAME_MAX, a))
        return HOIST_OK;
    struct release *r = releases_find(c->releases, text_of(c, "release"));
    if (!r) {
        a->exit = query_error(&a->body, EXIT_NO, "not-found", "release",
                              "flagctl release list shows them", NULL, "there is no release '%.*s'",
                              SLICE_ARG(text_of(c, "release")));
        return HOIST_OK;
    }
    if (!may_all(c, r->plan, a) || !make_event(c, r->plan, &e, a))
        return HOIST_OK;
    enum hoist_err err = release_take(r, &work, &e, &fx);
    if (err)
        return err;
    if (fx.refused[0])
        return refuse(a, r->plan, fx.refused);
    if (a->exit != EXIT_DONE) /* it is put, and what it is to bring about cannot be done yet */
        return HOIST_OK;
    return answer_with(c, w, release_event_name(e.kind), r->plan, &r->next, r->id, a);
}
