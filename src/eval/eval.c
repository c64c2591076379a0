#include "eval/eval.h"

#include <math.h>
#include <stdalign.h>

#include "eval/rule_int.h"

static struct eval_result yields(enum hoist_reason reason, int32_t variant)
{
    return (struct eval_result){.reason = reason, .variant = variant};
}

static struct eval_result fails(enum hoist_code code, const char *error)
{
    return (struct eval_result){
        .reason = HOIST_ERROR, .code = code, .variant = FLAG_NO_VARIANT, .error = error};
}

/* ------------------------------------------------------------------ what a rule decides */

static struct eval_result named(const struct flag *f, struct slice name)
{
    int32_t variant = flag_variant(f, name);
    if (variant == FLAG_NO_VARIANT)
        return fails(HOIST_CODE_GENERAL, "the rule yields a name that none of the variants has");
    return yields(HOIST_TARGETING_MATCH, variant);
}

static struct eval_result decided(const struct flag *f, struct value v)
{
    switch (v.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        return yields(HOIST_DEFAULT, f->default_variant);
    case VALUE_TRUE:
        return named(f, SLICE("true"));
    case VALUE_FALSE:
        return named(f, SLICE("false"));
    case VALUE_STRING:
        return named(f, value_slice(v));
    default:
        return fails(HOIST_CODE_GENERAL, "the rule yields neither a variant's name nor null");
    }
}

static struct eval_result by_rule(const struct eval_ask *ask, struct trace *trace)
{
    alignas(SCRATCH_ALIGN) uint8_t scratch[EVAL_SCRATCH_SIZE];
    struct machine m = {.ask = ask,
                        .trace = trace,
                        .scratch = scratch,
                        .size = sizeof scratch,
                        .steps = EVAL_STEPS_MAX};
    struct value v = run(&m, ask->rule->steps, value_of_kind(VALUE_CONTEXT));
    if (!m.error)
        return decided(ask->flag, v);
    struct eval_result r = fails(HOIST_CODE_GENERAL, m.error);
    r.limited = true;
    return r;
}

/* ------------------------------------------------------------------ what wins */

/* The first flag that is required and does not yield what it should, or NULL. */
static const struct requirement *unmet(const struct eval_ask *ask)
{
    const struct flag *f = ask->flag;
    for (uint32_t i = 0; i < f->requires_count; i++)
        if (!ask->yields || !ask->yields(ask->of, f->requires[i].flag, f->requires[i].variant))
    return &f->requires[i];
    return NULL;
}

/* An override, a requirement, the state, the rules, the default: what stands first wins. */
static struct eval_result decide(const struct eval_ask *ask, struct trace *trace)
{
    const struct flag *f = ask->flag;
    const struct requirement *lacks;
    if (f->override != FLAG_NO_VARIANT) {
        trace_note(trace, "it is overridden");
        return yields(HOIST_STATIC, f->override);
    }
    if (f->requires_count && (lacks = unmet(ask)) != NULL) {
        trace_lack(trace, lacks);
        return yields(HOIST_DEFAULT, f->otherwise);
    }
    if (!f->enabled) {
        trace_note(trace, "it is disabled");
        return yields(HOIST_DISABLED, FLAG_NO_VARIANT);
    }
    if (ask->rule)
        return by_rule(ask, trace);
    trace_note(trace, "it has no targeting");
    if (f->default_variant != FLAG_NO_VARIANT)
        return yields(HOIST_STATIC, f->default_variant);
    return yields(HOIST_DEFAULT, FLAG_NO_VARIANT);
}

struct eval_result eval_flag(const struct eval_ask *ask)
{
    return decide(ask, NULL);
}

struct eval_result eval_explain(const struct eval_ask *ask, struct buf *out)
{
    struct trace trace = {.out = out};
    return decide(ask, &trace);
}

bool eval_want(const struct flag *f, struct eval_result *r, enum hoist_type want)
{
    if (r->variant == FLAG_NO_VARIANT)
        return false;
    if (want == 0 || want == f->type)
        return true;
    *r = fails(HOIST_CODE_TYPE_MISMATCH, "the flag's value is not of the type asked for");
    return false;
}

bool eval_int(double v, int64_t *ret)
{
    /* -2^63 is an int64_t and 2^63 is not; NaN fails every comparison. */
    if (!(v >= -0x1p63 && v < 0x1p63) || v != trunc(v))
        return false;
    *ret = (int64_t)v;
    return true;
}
