#include "release/scenario.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "flag/json_read.h"
#include "release/event_json.h"
#include "release/plan_int.h"
#include "release/simulate.h"

struct reading {
    const struct release_plan *plan;
    struct arena *arena;
    struct scene *scene;
    const json_t *object;
};

static enum hoist_err text_member(const struct reading *r, const char *name, size_t max,
                                  struct slice *ret)
{
    const json_t *v = json_object_get(r->object, name);
    struct slice text = {(const uint8_t *)json_string_value(v), json_string_length(v)};
    if (!text.ptr || text.len == 0 || text.len > max)
        return err_set(HOIST_EINVAL, "'%s' is text of 1 to %zu bytes", name, max);
    *ret = text;
    return arena_own(r->arena, ret);
}

/* "90m", or with a sign. */
static enum hoist_err span_member(const struct reading *r, const char *name, int64_t *ret)
{
    struct slice text = {0};
    uint64_t ms = 0;
    enum hoist_err err = text_member(r, name, RELEASE_NAME_MAX, &text);
    if (err != HOIST_OK)
        return err;
    bool minus = text.ptr[0] == '-', sign = minus || text.ptr[0] == '+';
    if (!duration_parse(slice_of(text.ptr + sign, text.len - sign), &ms))
        return err_set(HOIST_EINVAL, "'%s': '%.*s' is no duration, such as 90s or 1h30m", name,
                       SLICE_ARG(text));
    *ret = minus ? -(int64_t)ms : (int64_t)ms;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ what a line is about */

/* An index into the plan, by the name that stands at `name`. */
static enum hoist_err index_member(const struct reading *r, const char *name,
                                   int (*find)(const struct release_plan *, struct slice),
                                   uint8_t *ret)
{
    struct slice text = {0};
    enum hoist_err err = text_member(r, name, FLAG_KEY_MAX, &text);
    int index = err == HOIST_OK ? find(r->plan, text) : 0;
    if (index < 0)
        return err_set(HOIST_EINVAL, "the plan has no %s '%.*s'", name, SLICE_ARG(text));
    *ret = (uint8_t)index;
    return err;
}

static enum hoist_err read_guard(const struct reading *r, const char *name)
{
    const json_t *value = json_object_get(r->object, "value");
    const char *verdict = json_string_value(json_object_get(r->object, "verdict"));
    struct release_answer *a = &r->scene->answer;
    enum hoist_err err = index_member(r, name, release_guard_find, &r->scene->index);
    if (err != HOIST_OK)
        return err;
    if (json_is_number(value) && !verdict) {
        a->value = json_number_value(value);
        a->verdict = release_judge(r->plan->guards[r->scene->index].pass, a->value);
        return HOIST_OK;
    }
    for (int v = RELEASE_PASS; v <= RELEASE_ERROR && verdict && !value; v++)
        if (v != RELEASE_FAIL && strcmp(verdict, release_verdict_name(v)) == 0)
            a->verdict = (enum release_verdict)v;
    return a->verdict ? HOIST_OK
                      : err_set(HOIST_EINVAL, "a guard takes a number as 'value', or PASS, NODATA "
                                              "or ERROR as 'verdict'");
}

static enum hoist_err read_count(const struct reading *r, const char *name)
{
    const json_t *v = json_object_get(r->object, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX)
        return err_set(HOIST_EINVAL, "'%s' is a whole number", name);
    r->scene->count = (uint64_t)json_integer_value(v);
    return HOIST_OK;
}

static enum hoist_err read_role(const struct reading *r, const char *name)
{
    return index_member(r, name, release_role_find, &r->scene->index);
}

static enum hoist_err read_check(const struct reading *r, const char *name)
{
    const json_t *passed = json_object_get(r->object, "passed");
    if (passed && !json_is_boolean(passed))
        return err_set(HOIST_EINVAL, "'passed' is true or false");
    r->scene->passed = !passed || json_is_true(passed);
    return index_member(r, name, release_check_find, &r->scene->index);
}

static enum hoist_err read_flag(const struct reading *r, const char *name)
{
    return index_member(r, name, release_flag_find, &r->scene->index);
}

static enum hoist_err read_text(const struct reading *r, const char *name)
{
    return text_member(r, name, RELEASE_TEXT_MAX, &r->scene->text);
}

static enum hoist_err read_true(const struct reading *r, const char *name)
{
    return json_is_true(json_object_get(r->object, name))
               ? HOIST_OK
               : err_set(HOIST_EINVAL, "'%s' is true", name);
}

static enum hoist_err read_span(const struct reading *r, const char *name)
{
    return span_member(r, name, &r->scene->ms);
}

static enum hoist_err read_begin(const struct reading *r, const char *name)
{
    struct slice time = {0};
    enum hoist_err err = text_member(r, name, TEXT_TIME_SIZE, &time);
    if (err == HOIST_OK)
        err = text_time_read((const char *)time.ptr, &r->scene->ms);
    if (err == HOIST_OK && json_object_get(r->object, "commit"))
        err = text_member(r, "commit", RELEASE_COMMIT_MAX, &r->scene->text);
    return err;
}

/* Kept as its row, which is a tenth of it. */
static enum hoist_err read_event(const struct reading *r, const char *name)
{
    struct release_event e;
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    enum hoist_err err = release_event_read_json(r->plan, r->object, r->arena, &e);
    if (err == HOIST_OK)
        err = release_event_encode(&e, &row);
    r->scene->text = buf_slice(&row);
    if (err == HOIST_OK)
        err = arena_own(r->arena, &r->scene->text);
    buf_done(&row);
    (void)name;
    return err;
}

/* By the member that says what a line is about; the others that it may have. */
static const struct subject {
    const char *name;
    enum scene_kind kind;
    enum hoist_err (*read)(const struct reading *r, const char *name);
    const char *also;
} subjects[] = {
    {"event", SCENE_EVENT, read_event, NULL}, /* has members of its own */
    {"begin", SCENE_BEGIN, read_begin, " by commit "},
    {"guard", SCENE_GUARD, read_guard, " at value verdict "},
    {"exposed", SCENE_EXPOSED, read_count, " at "},
    {"hosts", SCENE_HOSTS, read_count, " at env "},
    {"lagging", SCENE_LAGGING, read_count, " at env "},
    {"silent", SCENE_SILENT, read_count, " at env "},
    {"sign", SCENE_SIGN, read_role, " at by "},
    {"check", SCENE_CHECK, read_check, " at by passed "},
    {"hold", SCENE_HOLD, read_text, " at by "},
    {"resume", SCENE_RESUME, read_true, " at by "},
    {"abort", SCENE_ABORT, read_text, " at by "},
    {"alert", SCENE_ALERT, read_text, " at "},
    {"kill", SCENE_KILL, read_flag, " at by env "},
    {"restore", SCENE_RESTORE, read_flag, " at by env "},
    {"note", SCENE_NOTE, read_text, " at by "},
    {"down", SCENE_DOWN, read_span, " at "},
    {"reboot", SCENE_REBOOT, read_span, " at "},
    {"clock", SCENE_CLOCK, read_span, " at "},
};

enum { SUBJECTS = sizeof subjects / sizeof *subjects };

/* ------------------------------------------------------------------ a line */

static bool takes(const struct subject *s, const char *name)
{
    char word[RELEASE_NAME_MAX];
    int len = snprintf(word, sizeof word, " %s ", name);
    return strcmp(s->name, name) == 0 ||
           (len < (int)sizeof word && !strchr(name, ' ') && strstr(s->also, word));
}

/* "1h30m" after the start; "step 4", or so long after the release came to it: "step 4 + 10m". */
static enum hoist_err read_at(const struct reading *r)
{
    struct slice text = {0};
    enum hoist_err err = text_member(r, "at", RELEASE_NAME_MAX, &text);
    if (err != HOIST_OK)
        return err;
    const char *at = (const char *)text.ptr;
    uint64_t step = 0;
    char digits[4] = "";
    bool of_step = strncmp(at, "step ", 5) == 0;
    if (of_step) {
        size_t len = strspn(at += 5, "0123456789");
        memcpy(digits, at, len < sizeof digits - 1 ? len : sizeof digits - 1);
        if (text_u64(digits, &step) != HOIST_OK || step == 0 || step > r->plan->step_count)
            return err_set(HOIST_EINVAL, "'at': the plan has steps 1 to %u", r->plan->step_count);
        at += len;
    }
    r->scene->step = (uint32_t)step;
    if (of_step && !*at)
        return HOIST_OK;
    if ((!of_step || (strncmp(at, " + ", 3) == 0 && *(at += 3))) &&
        duration_parse(slice_str(at), &r->scene->at_ms))
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "'at' is a duration since the start, \"step N\" or \"step N + 10m\"");
}

static enum hoist_err read_common(const struct reading *r)
{
    enum hoist_err err = HOIST_OK;
    r->scene->by = SLICE("simulation");
    r->scene->env = r->plan->env_count ? (uint8_t)(r->plan->env_count - 1) : 0;
    if (json_object_get(r->object, "at"))
        err = read_at(r);
    if (err == HOIST_OK && json_object_get(r->object, "by"))
        err = text_member(r, "by", RELEASE_WHO_MAX, &r->scene->by);
    if (err == HOIST_OK && json_object_get(r->object, "env"))
        err = index_member(r, "env", release_env_find, &r->scene->env);
    return err;
}

static enum hoist_err read_object(const struct reading *r)
{
    const struct subject *s = subjects;
    const char *name;
    json_t *value;
    while (s < subjects + SUBJECTS && !json_object_get(r->object, s->name))
        s++;
    if (s == subjects + SUBJECTS)
        return err_set(HOIST_EINVAL, "it is about nothing that a simulation has");
    json_object_foreach((json_t *)r->object, name, value)
    {
        if (s->also && !takes(s, name))
            return err_set(HOIST_EINVAL, "'%s' has no member '%s'", s->name, name);
    }
    r->scene->kind = s->kind;
    enum hoist_err err = s->also ? read_common(r) : HOIST_OK;
    return err == HOIST_OK ? s->read(r, s->name) : err;
}

static bool is_blank(struct slice line)
{
    size_t i = 0;
    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t' || line.ptr[i] == '\r'))
        i++;
    return i == line.len || line.ptr[i] == '#';
}

static enum hoist_err read_line(const struct release_plan *plan, struct scenario *s,
                                struct slice line, uint32_t number)
{
    json_t *object = NULL;
    struct scene *scene = &s->scenes[s->count];
    scene->line = number;
    enum hoist_err err = json_read(line, &object);
    if (err == HOIST_OK)
        err = read_object(&(struct reading){plan, &s->arena, scene, object});
    if (err == HOIST_OK && s->count > 0 &&
        (scene->kind == SCENE_EVENT) != (s->scenes[0].kind == SCENE_EVENT))
        err = err_set(HOIST_EINVAL, "events of a log and a simulated world do not go together");
    if (err == HOIST_OK && s->count > 0 && scene->kind == SCENE_BEGIN)
        err = err_set(HOIST_EINVAL, "'begin' stands first");
    json_decref(object);
    s->count++;
    return err == HOIST_OK ? err : err_prefix(err, "line %u", number);
}

enum hoist_err scenario_read(const struct release_plan *plan, struct slice text,
                             struct scenario *ret)
{
    struct scenario s = {0};
    enum hoist_err err = HOIST_OK;
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    if (lines > RELEASE_SCENARIO_LINES_MAX)
        return err_set(HOIST_ELIMIT, "more than %d lines", RELEASE_SCENARIO_LINES_MAX);
    s.scenes = arena_alloc(&s.arena, lines, sizeof *s.scenes);
    if (!s.scenes)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t number = 1; text.len > 0 && err == HOIST_OK; number++) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        struct slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        if (!is_blank(line))
            err = read_line(plan, &s, line, number);
        size_t used = line.len + (end != NULL);
        text = (struct slice){text.ptr + used, text.len - used};
    }
    if (err == HOIST_OK)
        *ret = s;
    else
        scenario_done(&s);
    return err;
}

void scenario_done(struct scenario *s)
{
    arena_done(&s->arena);
    *s = (struct scenario){0};
}
