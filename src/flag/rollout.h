/* rollout.h - private to src/flag: the rule that `set KEY VARIANT --percent N` writes, and knows again.
 *
 *   ROLLOUT_ALL       {"fractional": [BY, [GROWS, weight], [REST, whole - weight]]}
 *   ROLLOUT_NARROWED  {"if": [CONDITION, that fractional, REST]}
 *   ROLLOUT_WIDENED   {"if": [CONDITION, GROWS, that fractional]}
 *
 * BY is left out where the bucket is flag key and targetingKey, else {"cat": [{"var":
 * "$flagd.flagKey"}, {"var": ATTRIBUTE}]}: the key salts it, so that two flags do not begin with the
 * same people. One threshold divides two variants, so whoever has GROWS keeps it while weight grows,
 * whatever the whole is.
 */
#ifndef FLAG_ROLLOUT_H
#define FLAG_ROLLOUT_H

#include "base/arena.h"
#include "flag/flag.h"

enum rollout_kind { ROLLOUT_ALL, ROLLOUT_NARROWED, ROLLOUT_WIDENED };

struct rollout {
    enum rollout_kind kind;
    struct slice grows, rest; /* variants' names */
    uint32_t weight, whole;   /* whole > 0 */
    struct slice by;          /* an attribute; empty: targetingKey */
    struct tree condition;    /* ROLLOUT_ALL: none */
};

/* Whether a rule is of that shape; *ret borrows from it. */
bool rollout_read(struct tree rule, struct rollout *ret);

/* The rule, in `arena`. EINVAL: with the condition it is over a limit. ENOMEM. */
MUST_USE enum hoist_err rollout_write(const struct rollout *r, struct arena *arena,
                                      struct tree *ret);

#endif
