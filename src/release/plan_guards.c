/* What is watched, and the bounds of what is good. */
#include "release/plan_int.h"

static const struct field guard_fields[] = {
    {"name", plan_name_read, offsetof(struct release_guard, name), "give it a name: name: NAME"},
    {"title", plan_text, offsetof(struct release_guard, title), NULL},
    {"query", plan_query, offsetof(struct release_guard, query),
     "write one PromQL expression that yields one sample: query: …"},
    {"pass", plan_bound, offsetof(struct release_guard, pass),
     "say which values are good: pass: \"<= 0.02\""},
    {"critical", plan_bound, offsetof(struct release_guard, critical), NULL},
    {"mode", plan_mode, offsetof(struct release_guard, hold), NULL},
    {0},
};

static bool is_below(struct release_bound b)
{
    return b.op == RELEASE_LT || b.op == RELEASE_LE;
}

/* Whether some value keeps both. */
static bool meet(struct release_bound a, struct release_bound b)
{
    if (is_below(a) == is_below(b))
        return true;
    struct release_bound below = is_below(a) ? a : b, above = is_below(a) ? b : a;
    return below.value > above.value ||
           (below.value == above.value && below.op == RELEASE_LE && above.op == RELEASE_GE);
}

static void check_bounds(struct plan_reader *r, const struct yaml_item *v,
                         const struct release_guard *g)
{
    const struct yaml_item *critical = yaml_find(v, SLICE("critical"));
    if (!critical || g->critical.op == RELEASE_ANY || g->pass.op == RELEASE_ANY)
        return;
    size_t back = path_key(&r->path, SLICE("critical"));
    if (meet(g->pass, g->critical))
        plan_complain(r, critical, "critical is what lies far beyond the values that pass",
                      "a value can be \"%s\" and so critical, and \"%s\" and so good",
                      release_bound_text(g->critical).text, release_bound_text(g->pass).text);
    if (g->hold)
        plan_complain(r, critical, "take away critical, or mode: hold",
                      "a critical value aborts, and mode hold never does");
    path_back(&r->path, back);
}

static bool read_guard(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    if (!plan_map(r, v, "a guard", guard_fields, out))
        return false;
    check_bounds(r, v, out);
    return true;
}

void guards_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct named_kind kind = {
        "the guard", "write a list: [{name: NAME, query: …, pass: \"<= 0.02\"}, …]",
        RELEASE_GUARDS_MAX, sizeof(struct release_guard), read_guard};
    struct release_plan *plan = out;
    void *guards = NULL;
    named_read(r, v, &kind, &guards, &plan->guard_count, r->guard_at);
    plan->guards = guards;
}
