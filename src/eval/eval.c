#include "eval/eval.h"

#include <math.h>

static struct eval_result yields(enum hoist_reason reason, int32_t variant)
{
    return (struct eval_result){.reason = reason, .variant = variant};
}

static struct eval_result fails(enum hoist_code code, const char *error)
{
    return (struct eval_result){
        .reason = HOIST_ERROR, .code = code, .variant = FLAG_NO_VARIANT, .error = error};
}

/* What wins stands first: an override, a requirement, the state, the rules, the default. */
struct eval_result eval_flag(const struct flag *f)
{
    if (f->override != FLAG_NO_VARIANT)
        return yields(HOIST_STATIC, f->override);
    if (f->requires_count)
        return fails(HOIST_CODE_GENERAL, "the flag requires others, which this version of Hoist "
                                         "does not evaluate");
    if (!f->enabled)
        return yields(HOIST_DISABLED, FLAG_NO_VARIANT);
    if (f->targeting.count)
        return fails(HOIST_CODE_GENERAL, "the flag has targeting rules, which this version of "
                                         "Hoist does not evaluate");
    if (f->default_variant != FLAG_NO_VARIANT)
        return yields(HOIST_STATIC, f->default_variant);
    return yields(HOIST_DEFAULT, FLAG_NO_VARIANT);
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
