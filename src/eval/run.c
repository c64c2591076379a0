/* Running a rule: literals, lists and variables, and the operators that choose what to run. */
#include "eval/rule_int.h"

enum { ARGS_NEAR = 4 };

static struct value run_list(struct machine *m, const struct step *s, struct value data)
{
    struct value *items = machine_room(m, s->count * sizeof *items);
    const struct step *item = s + 1;
    for (uint32_t i = 0; items && i < s->count; i++, item = next_step(item))
        items[i] = run(m, item, data);
    return (struct value){.kind = VALUE_LIST, .len = items ? s->count : 0, .items = items};
}

static struct value run_var(struct machine *m, const struct step *s, struct value data)
{
    struct value v;
    const struct node *n;
    if (s->path->plain && data.kind == VALUE_CONTEXT) { /* most are */
        if ((n = ctx_find(m->ask->ctx, s->path->names[0])) != NULL)
            return value_of_node(n);
    } else if (look_up(m, data, s->path, &v)) {
        return v;
    }
    return default_or_null(s->count ? run(m, s + 1, data) : value_null());
}

static struct value run_eager(struct machine *m, const struct step *s, struct value data)
{
    struct value near[ARGS_NEAR], *args = near;
    if (s->count > ARGS_NEAR) {
        args = machine_room(m, s->count * sizeof *args);
        if (!args)
            return value_null();
    }
    const struct step *from = s + 1;
    for (uint32_t i = 0; i < s->count; i++, from = next_step(from))
        args[i] = run(m, from, data);
    struct value v = m->error ? value_null() : s->op->eager(m, data, args, s->count);
    if (m->trace)
        trace_step(m, s, args, v);
    return v;
}

static inline struct value run_step(struct machine *m, const struct step *s, struct value data)
{
    switch (s->kind) {
    case STEP_VAR:
        return run_var(m, s, data);
    case STEP_LIST:
        return run_list(m, s, data);
    case STEP_EAGER:
        return run_eager(m, s, data);
    default:
        return s->op->lazy(m, s, data);
    }
}

/* Apart, as only explaining counts the levels. */
static __attribute__((noinline)) struct value run_traced(struct machine *m, const struct step *s,
                                                         struct value data)
{
    m->depth++;
    struct value v = run_step(m, s, data);
    if (s->kind == STEP_VAR || s->kind == STEP_LAZY)
        trace_step(m, s, NULL, v);
    m->depth--;
    return v;
}

/* No deeper than the rule is, which every decoder checks. */
struct value run_operator(struct machine *m, const struct step *s, struct value data)
{
    if (!machine_work(m, 1))
        return value_null();
    return __builtin_expect(m->trace != NULL, 0) ? run_traced(m, s, data) : run_step(m, s, data);
}

struct value op_if(struct machine *m, const struct step *s, struct value data)
{
    const struct step *at = s + 1;
    uint32_t left = s->count;
    for (; left >= 2; left -= 2) {
        const struct step *then = next_step(at);
        if (value_truth(run(m, at, data)))
            return run(m, then, data);
        at = next_step(then);
    }
    return left ? run(m, at, data) : value_null();
}

/* The first argument whose truth is `end`, or the last one. */
static struct value first_that(struct machine *m, const struct step *s, struct value data, bool end)
{
    struct value v = value_of_kind(VALUE_UNDEFINED);
    const struct step *at = s + 1;
    for (uint32_t i = 0; i < s->count && !m->error; i++, at = next_step(at)) {
        v = run(m, at, data);
        if (value_truth(v) == end)
            break;
    }
    return v;
}

struct value op_and(struct machine *m, const struct step *s, struct value data)
{
    return first_that(m, s, data, false);
}

struct value op_or(struct machine *m, const struct step *s, struct value data)
{
    return first_that(m, s, data, true);
}
