#include "release/event_json.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

/* ------------------------------------------------------------------ writing */

static void put_answers(struct json_writer *w, const struct release_plan *plan,
                        const struct release_event *e)
{
    json_key(w, "guards");
    json_object_begin(w);
    for (uint32_t left = e->asked; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        const struct release_answer *a = &e->answers[guard];
        if (guard >= plan->guard_count)
            continue;
        json_key_slice(w, plan->guards[guard].name);
        json_object_begin(w);
        json_key(w, "verdict");
        json_put_str(w, release_verdict_name(a->verdict));
        json_key(w, "value");
        json_put_number(w, a->value);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_fleet(struct json_writer *w, const struct release_plan *plan,
                      const struct release_event *e)
{
    json_key(w, "fleet");
    json_object_begin(w);
    for (uint32_t i = 0; i < e->fleet_count; i++) {
        const struct release_fleet *f = &e->fleet[i];
        if (f->env >= plan->env_count)
            continue;
        json_key_slice(w, plan->envs[f->env]);
        json_object_begin(w);
        json_key(w, "version");
        json_put_u64(w, f->version);
        json_key(w, "live");
        json_put_u64(w, f->live);
        json_key(w, "lagging");
        json_put_u64(w, f->lagging);
        json_key(w, "silent");
        json_put_u64(w, f->silent);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_bound(struct json_writer *w, const struct release_bound_to *b)
{
    json_key(w, "plan");
    json_put_hex(w, slice_of(b->plan, HASH_SIZE));
    json_key(w, "definitions");
    json_put_hex(w, slice_of(b->definitions, HASH_SIZE));
    json_key(w, "commit");
    json_put_slice(w, b->commit);
}

/* NULL: an index beyond the plan, which a row can have. */
static void put_name(struct json_writer *w, const char *key, const struct slice *name)
{
    json_key(w, key);
    if (name)
        json_put_slice(w, *name);
    else
        json_put_null(w);
}

static void put_names(struct json_writer *w, const struct release_plan *p,
                      const struct release_event *e, uint32_t fields)
{
    if (fields & RELEASE_HAS_ENV)
        put_name(w, "env", e->env < p->env_count ? &p->envs[e->env] : NULL);
    if (fields & RELEASE_HAS_FLAG)
        put_name(w, "flag", e->flag < p->flag_count ? &p->flags[e->flag].key : NULL);
    if (fields & RELEASE_HAS_ROLE)
        put_name(w, "role", e->role < p->role_count ? &p->roles[e->role].name : NULL);
    if (fields & RELEASE_HAS_CHECK)
        put_name(w, "check", e->check < p->check_count ? &p->checks[e->check].name : NULL);
}

static void put_step(struct json_writer *w, uint32_t step)
{
    json_key(w, "step"); /* from 1 on, as people count */
    if (step == RELEASE_BASELINE)
        json_put_str(w, "baseline");
    else
        json_put_u64(w, (uint64_t)step + 1);
}

static void put_text(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    json_put_slice(w, text);
}

static void put_count(struct json_writer *w, const char *key, uint64_t count)
{
    json_key(w, key);
    json_put_u64(w, count);
}

void release_event_put_json(struct json_writer *w, const struct release_plan *plan,
                            const struct release_event *e)
{
    uint32_t fields = release_event_fields(e->kind);
    json_object_begin(w);
    put_text(w, "event", slice_str(release_event_name(e->kind)));
    json_key(w, "time");
    json_put_time(w, e->wall_ms);
    json_key(w, "boot");
    json_put_hex64(w, e->boot);
    put_count(w, "boot_ms", e->boot_ms);
    if (fields & RELEASE_HAS_STEP)
        put_step(w, e->step);
    put_names(w, plan, e, fields);
    if (fields & RELEASE_HAS_PASSED) {
        json_key(w, "passed");
        json_put_bool(w, e->passed);
    }
    if (fields & RELEASE_HAS_VERSION)
        put_count(w, "version", e->version);
    if (fields & RELEASE_HAS_EXPOSED)
        put_count(w, "exposed", e->exposed);
    if (fields & RELEASE_HAS_ANSWERS)
        put_answers(w, plan, e);
    if (fields & RELEASE_HAS_FLEET)
        put_fleet(w, plan, e);
    if (fields & RELEASE_HAS_BOUND)
        put_bound(w, &e->bound);
    if (fields & RELEASE_HAS_BY)
        put_text(w, "by", e->by);
    if (fields & RELEASE_HAS_TEXT)
        put_text(w, "text", e->text);
    if (fields & RELEASE_HAS_EVIDENCE) {
        json_key(w, "evidence");
        json_put_hex(w, e->evidence);
    }
    json_object_end(w);
}

/* ------------------------------------------------------------------ reading */

struct reading { /* the first thing wrong stays */
    const struct release_plan *plan;
    struct arena *arena;
    enum hoist_err err;
};

static void wrong(struct reading *r, const char *name, const char *what)
{
    if (r->err == HOIST_OK)
        r->err = err_set(HOIST_EINVAL, "'%s' is %s", name, what);
}

static struct slice text_of(struct reading *r, const json_t *o, const char *name, size_t max)
{
    const json_t *v = json_object_get(o, name);
    struct slice text = {(const uint8_t *)json_string_value(v), json_string_length(v)};
    if (!text.ptr || text.len > max) {
        wrong(r, name, text.ptr ? "longer than allowed" : "no text");
        return (struct slice){0};
    }
    if (arena_own(r->arena, &text) != HOIST_OK && r->err == HOIST_OK)
        r->err = HOIST_ENOMEM;
    return text;
}

static uint64_t count_of(struct reading *r, const json_t *o, const char *name, uint64_t max)
{
    const json_t *v = json_object_get(o, name);
    json_int_t number = json_integer_value(v);
    if (json_is_integer(v) && number >= 0 && (uint64_t)number <= max)
        return (uint64_t)number;
    wrong(r, name, "no whole number that belongs there");
    return 0;
}

static void hash_of(struct reading *r, const json_t *o, const char *name, uint8_t out[HASH_SIZE])
{
    struct slice hex = text_of(r, o, name, 2 * HASH_SIZE);
    if (r->err == HOIST_OK && text_unhex(hex, out, HASH_SIZE) != HOIST_OK)
        wrong(r, name, "no hash");
}

static uint8_t index_of(struct reading *r, const json_t *o, const char *name,
                        int (*find)(const struct release_plan *, struct slice))
{
    int index = find(r->plan, text_of(r, o, name, FLAG_KEY_MAX));
    if (index < 0)
        wrong(r, name, "none of the plan's");
    return index < 0 ? 0 : (uint8_t)index;
}

static void read_answers(struct reading *r, const json_t *o, struct release_event *e)
{
    const char *name;
    json_t *answer;
    if (!json_is_object(o))
        wrong(r, "guards", "no object");
    json_object_foreach((json_t *)o, name, answer)
    {
        int guard = release_guard_find(r->plan, slice_str(name));
        struct slice word = text_of(r, answer, "verdict", RELEASE_NAME_MAX);
        double value = json_number_value(json_object_get(answer, "value"));
        int verdict = RELEASE_ERROR;
        while (verdict > 0 && !slice_eq(word, slice_str(release_verdict_name(verdict))))
            verdict--;
        if (guard < 0 || verdict == 0 || !isfinite(value)) {
            wrong(r, name, guard < 0 ? "none of the plan's guards" : "no answer of a guard");
            return;
        }
        e->asked |= 1u << guard;
        e->answers[guard] = (struct release_answer){(enum release_verdict)verdict, value};
    }
}

static void read_fleet(struct reading *r, const json_t *o, struct release_event *e)
{
    const char *name;
    json_t *hosts;
    if (!json_is_object(o))
        wrong(r, "fleet", "no object");
    json_object_foreach((json_t *)o, name, hosts)
    {
        int env = release_env_find(r->plan, slice_str(name));
        if (env < 0) {
            wrong(r, name, "none of the plan's environments");
            return;
        }
        e->fleet[e->fleet_count++] = (struct release_fleet){
            .env = (uint8_t)env,
            .version = count_of(r, hosts, "version", INT64_MAX),
            .live = (uint32_t)count_of(r, hosts, "live", UINT32_MAX),
            .lagging = (uint32_t)count_of(r, hosts, "lagging", UINT32_MAX),
            .silent = (uint32_t)count_of(r, hosts, "silent", UINT32_MAX),
        };
    }
}

static void read_bound(struct reading *r, const json_t *o, struct release_bound_to *b)
{
    hash_of(r, o, "plan", b->plan);
    hash_of(r, o, "definitions", b->definitions);
    b->commit = text_of(r, o, "commit", RELEASE_COMMIT_MAX);
}

static void read_evidence(struct reading *r, const json_t *o, struct release_event *e)
{
    struct slice hex = text_of(r, o, "evidence", 2 * RELEASE_EVIDENCE_MAX);
    uint8_t *bytes = arena_alloc(r->arena, hex.len / 2 + 1, 1);
    if (!bytes)
        r->err = r->err ? r->err : err_set(HOIST_ENOMEM, "out of memory");
    else if (text_unhex(hex, bytes, hex.len / 2) != HOIST_OK)
        wrong(r, "evidence", "no hex");
    e->evidence = slice_of(bytes, hex.len / 2);
}

static void read_step(struct reading *r, const json_t *o, struct release_event *e)
{
    const char *word = json_string_value(json_object_get(o, "step"));
    if (word && strcmp(word, "baseline") == 0) {
        e->step = RELEASE_BASELINE;
        return;
    }
    uint64_t step = count_of(r, o, "step", RELEASE_STEPS_MAX);
    if (step == 0)
        wrong(r, "step", "no step");
    e->step = (uint32_t)step - 1;
}

static void read_head(struct reading *r, const json_t *o, struct release_event *e)
{
    uint8_t boot[8] = {0};
    e->kind = release_event_kind(text_of(r, o, "event", RELEASE_NAME_MAX));
    if (!e->kind)
        wrong(r, "event", "none that this program knows");
    struct slice time = text_of(r, o, "time", TEXT_TIME_SIZE);
    if (r->err == HOIST_OK && text_time_read((const char *)time.ptr, &e->wall_ms) != HOIST_OK)
        wrong(r, "time", "no time");
    struct slice hex = text_of(r, o, "boot", 2 * sizeof boot);
    if (r->err == HOIST_OK && text_unhex(hex, boot, sizeof boot) != HOIST_OK)
        wrong(r, "boot", "no hex");
    for (size_t i = 0; i < sizeof boot; i++)
        e->boot = e->boot << 8 | boot[i];
    e->boot_ms = count_of(r, o, "boot_ms", INT64_MAX);
}

static void read_fields(struct reading *r, const json_t *o, uint32_t fields,
                        struct release_event *e)
{
    if (fields & RELEASE_HAS_STEP)
        read_step(r, o, e);
    if (fields & RELEASE_HAS_ENV)
        e->env = index_of(r, o, "env", release_env_find);
    if (fields & RELEASE_HAS_FLAG)
        e->flag = index_of(r, o, "flag", release_flag_find);
    if (fields & RELEASE_HAS_ROLE)
        e->role = index_of(r, o, "role", release_role_find);
    if (fields & RELEASE_HAS_CHECK)
        e->check = index_of(r, o, "check", release_check_find);
    if (fields & RELEASE_HAS_PASSED)
        e->passed = json_is_true(json_object_get(o, "passed"));
    if (fields & RELEASE_HAS_VERSION)
        e->version = count_of(r, o, "version", INT64_MAX);
    if (fields & RELEASE_HAS_EXPOSED)
        e->exposed = count_of(r, o, "exposed", INT64_MAX);
    if (fields & RELEASE_HAS_ANSWERS)
        read_answers(r, json_object_get(o, "guards"), e);
    if (fields & RELEASE_HAS_FLEET)
        read_fleet(r, json_object_get(o, "fleet"), e);
    if (fields & RELEASE_HAS_BOUND)
        read_bound(r, o, &e->bound);
    if (fields & RELEASE_HAS_BY)
        e->by = text_of(r, o, "by", RELEASE_WHO_MAX);
    if (fields & RELEASE_HAS_TEXT)
        e->text = text_of(r, o, "text", RELEASE_TEXT_MAX);
    if (fields & RELEASE_HAS_EVIDENCE)
        read_evidence(r, o, e);
}

enum hoist_err release_event_read_json(const struct release_plan *plan, const json_t *object,
                                       struct arena *arena, struct release_event *ret)
{
    struct reading r = {.plan = plan, .arena = arena};
    struct release_event e = {0};
    read_head(&r, object, &e);
    if (r.err == HOIST_OK)
        read_fields(&r, object, release_event_fields(e.kind), &e);
    if (r.err == HOIST_OK)
        *ret = e;
    return r.err;
}
