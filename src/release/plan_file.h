/* plan_file.h - the plan as people write it: YAML, read strictly and judged.
 *
 * docs/releases.md, "The plan file", tells what may stand in it. No I/O: text comes in, text goes out.
 */
#ifndef RELEASE_PLAN_FILE_H
#define RELEASE_PLAN_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "flag/flag.h"
#include "release/plan.h"

enum { RELEASE_QUERY_MAX = 4096, RELEASE_ANNOUNCE_MAX = 4096, RELEASE_CANONICAL_MAX = 4 << 20 };

/*
 * Read a plan, and judge it.
 *
 * Gives:   *ret_plan, to be freed, with its hash; *warnings: what is odd, though it may be meant.
 * Errors:  EINVAL with *problems filled: all of them, each with line, column and mend; *ret_plan
 *          untouched.
 *          ENOMEM
 */
MUST_USE enum hoist_err release_plan_read(struct slice yaml, struct release_plan **ret_plan,
                                          struct problems *problems, struct problems *warnings);

/*
 * What stands in the way of the plan among the flags of one environment, `flags` sorted by key: a flag
 * that is not there, variants that it has not, a rule or a default that the release would overwrite.
 * Added to `problems`, with the path of the flag.
 */
void release_plan_check_flags(const struct release_plan *plan, struct flag *const *flags,
                              size_t count, struct problems *problems);

/* A role of step number `step` for which nobody is left to sign, if `starter` starts the release: signatures of
 * a step are of different people, neither the plan's author nor the starter, who may be nobody (empty). NULL:
 * there is none. */
const struct release_role *release_role_unsigned(const struct release_plan *plan, uint32_t step,
                                                 struct slice starter);

/* The canonical form, of which the hash is made: docs/releases.md has it byte for byte. */
MUST_USE enum hoist_err release_plan_canonical(const struct release_plan *plan, struct buf *out);

/* Whether the step changes what flags yield. */
bool release_step_changes(const struct release_step *step);

/*
 * The rule that flag number `flag` has once step number `step` has begun, in the step's environment:
 * who was in a cohort so far, then the share. Its default stays the `off` variant, which with no rule
 * is the baseline.
 *
 * Gives:   *ret, in `arena`; count 0 where no step of this environment has changed anything yet.
 * Errors:  EINVAL  over a limit of rules; never for a plan that release_plan_read() gave
 *          ENOMEM
 */
MUST_USE enum hoist_err release_plan_rule(const struct release_plan *plan, uint32_t step,
                                          uint32_t flag, struct arena *arena, struct tree *ret);

/* When a step could begin and end at the earliest: nobody is waited for, nothing fails. */
struct release_times {
    int64_t begins_ms, ends_ms;
};

/* The same of all steps, into times[plan->step_count], if the first begins at `from_ms` or when its
 * window opens. */
void release_plan_times(const struct release_plan *plan, int64_t from_ms,
                        struct release_times *times);

/* For one sentence: a duration, as in 2h30m. */
struct release_span {
    char text[40];
};
struct release_span release_span(uint64_t ms);

/* A share as a percentage: "12.5"; a window: "mon-thu 09:00-16:00 UTC"; a bound: "<= 0.02". */
struct release_span release_percent(uint32_t share);
struct release_span release_window_text(struct release_window window);
struct release_span release_bound_text(struct release_bound bound);

enum release_audience { RELEASE_FOR_SUPPORT, RELEASE_FOR_USERS };

/* The message of a rollout, in Markdown: what, who, when (if the first step began at `from_ms`), and
 * for support how to undo it and whom to call. */
MUST_USE enum hoist_err release_announce(const struct release_plan *plan,
                                         enum release_audience audience, int64_t from_ms,
                                         struct buf *out);

#endif
