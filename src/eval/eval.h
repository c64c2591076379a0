/* eval.h - context + flag → value. Pure: no I/O, no clock of its own, no allocation.
 *
 * Flags without rules are decided here. A flag whose answer would need its targeting rule or
 * another flag (`requires`) answers ERROR, GENERAL, until the evaluator for rules lands.
 */
#ifndef EVAL_EVAL_H
#define EVAL_EVAL_H

#include "flag/flag.h"

struct eval_result {
    enum hoist_reason reason;
    enum hoist_code code;
    int32_t variant; /* index into the flag's variants, or FLAG_NO_VARIANT: the caller's fallback */
    const char *error; /* static sentence when reason is HOIST_ERROR, else NULL */
};

/* What `f` yields, of whatever type. */
struct eval_result eval_flag(const struct flag *f);

/* Whether `r` has a value that an accessor of type `want` can take (0: any); a mismatch turns *r
 * into ERROR, TYPE_MISMATCH. */
bool eval_want(const struct flag *f, struct eval_result *r, enum hoist_type want);

/* A number as a whole one: false when that would lose something (3.5, 1e300). */
bool eval_int(double v, int64_t *ret);

#endif
