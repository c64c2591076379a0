/* A rule in a plan: YAML made JSON, which the flag room reads.
 *
 * Each item stands on a line of its own, in the order of the tree, so that the line of a complaint
 * says which item it is about, and that knows its place in the plan.
 */
#include "base/text.h"
#include "flag/json.h"
#include "release/plan_int.h"

enum { JSON_MAX = 8 << 20 };

static const char mend[] =
    "write a rule: {OPERATOR: [ARGUMENT, …]}, as in  {ends_with: [{var: email}, \"@example.com\"]}";

/* Number, true, false or null, as JSON spells them. */
static bool is_literal(const struct yaml_item *v)
{
    static const char *const words[] = {"true", "false", "null", NULL};
    bool whole;
    return !v->quoted && (is_one_of(v->text, words) || text_is_number(v->text, &whole));
}

static void put_word(struct json_writer *w, const struct yaml_item *v, bool key)
{
    buf_add_byte(w->out, '\n');
    *w = JSON_WRITER(w->out, 0);
    if (!key && is_literal(v))
        json_put_raw(w, v->text);
    else
        json_put_slice(w, v->text);
}

/* The depth is bounded by that of the tree. */
static const struct yaml_item *put_item(struct json_writer *w, const struct yaml_item *v)
{
    const struct yaml_item *next = v + 1;
    if (v->kind == YAML_WORD) {
        put_word(w, v, false);
        return next;
    }
    bool map = v->kind == YAML_MAP;
    buf_add_str(w->out, map ? "\n{" : "\n[");
    for (uint32_t i = 0; i < v->count; i++) {
        if (i)
            buf_add_byte(w->out, ',');
        if (map) {
            put_word(w, next++, true);
            buf_add_byte(w->out, ':');
        }
        next = put_item(w, next);
    }
    buf_add_byte(w->out, map ? '}' : ']');
    return next;
}

/* Complaints of the flag room, at the places of the plan. */
static void move_problems(struct plan_reader *r, const struct yaml_item *v,
                          const struct problems *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct problem *p = &found->items[i];
        uint32_t index = p->line >= 2 ? p->line - 2 : 0;
        const struct yaml_item *at = v + (index < v->span ? index : 0);
        plan_complain(r, at, p->mend, "%s%s%s", p->path, *p->path ? ": " : "", p->message);
    }
    r->no_memory |= found->no_memory;
}

static bool has_bad(const struct yaml_item *v)
{
    for (uint32_t i = 0; i < v->span; i++)
        if (v[i].kind == YAML_BAD)
            return true;
    return false;
}

/* A rule is one operator; beside rules the flag room reads files of them, which a plan has not. */
static bool is_rule(struct plan_reader *r, const struct yaml_item *v)
{
    static const char *const of_files[] = {"targeting", "$evaluators", "flags", "variants", NULL};
    if (v->kind == YAML_MAP && v->count == 1 && !is_one_of(v[1].text, of_files))
        return true;
    plan_complain(r, v, mend, "this is no rule");
    return false;
}

void rule_read_yaml(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct buf json = BUF_INIT(JSON_MAX);
    struct json_writer w = JSON_WRITER(&json, 0);
    struct problems found = {0};
    if (has_bad(v) || !is_rule(r, v))
        return;
    put_item(&w, v);
    enum hoist_err err = buf_err(&json);
    if (!err)
        err = flag_rule_read(buf_slice(&json), &r->plan->arena, out, &found);
    if (err && found.total)
        move_problems(r, v, &found);
    else if (err == HOIST_ENOMEM)
        r->no_memory = true;
    else if (err)
        plan_complain(r, v, mend, "%s", err_last());
    problems_done(&found);
    buf_done(&json);
}
