/* What flags yield once a step has begun: the rule, written as JSON and read back, so that it has
 * passed the same checks as one from a file.
 *
 *   {"if": [COHORT, ON, COHORT, ON, {"fractional": [BUCKET, [ON, share], [OFF, rest]]}]}
 *
 * Without a cohort it is the fractional alone. With a share of 0 OFF stands last; for everybody it is
 * {"if": [true, ON]}: who lacks what BUCKET looks at has it, too. The growing variant comes first in `fractional`, so whoever has it keeps it.
 */
#include "flag/json.h"
#include "release/plan_file.h"

enum { RULE_MAX = 4 << 20 };

static bool of_same_env(const struct release_plan *plan, uint32_t i, uint32_t step)
{
    return plan->steps[i].env == plan->steps[step].env;
}

static void put_pair(struct json_writer *w, struct slice variant, uint32_t weight)
{
    json_array_begin(w);
    json_put_slice(w, variant);
    json_put_u64(w, weight);
    json_array_end(w);
}

static void put_fractional(struct json_writer *w, const struct release_plan *plan,
                           const struct release_flag *f, uint32_t share)
{
    enum { PERCENT = RELEASE_EVERYBODY / 100 };
    uint32_t unit = share % PERCENT ? 1 : PERCENT;
    json_object_begin(w);
    json_key(w, "fractional");
    json_array_begin(w);
    if (plan->bucketing.count)
        json_put_tree(w, plan->bucketing);
    put_pair(w, f->on, share / unit);
    put_pair(w, f->off, (RELEASE_EVERYBODY - share) / unit);
    json_array_end(w);
    json_object_end(w);
}

static bool is_cohort(const struct release_plan *plan, uint32_t i, uint32_t step)
{
    return of_same_env(plan, i, step) && plan->steps[i].cohort.count;
}

static bool has_cohorts(const struct release_plan *plan, uint32_t step)
{
    for (uint32_t i = 0; i <= step; i++)
        if (is_cohort(plan, i, step))
            return true;
    return false;
}

static void put_cohorts(struct json_writer *w, const struct release_plan *plan, uint32_t step,
                        const struct release_flag *f, uint32_t share)
{
    for (uint32_t i = 0; i <= step; i++)
        if (is_cohort(plan, i, step)) {
            json_put_tree(w, plan->steps[i].cohort);
            json_put_slice(w, f->on);
        }
    if (share)
        put_fractional(w, plan, f, share);
    else
        json_put_slice(w, f->off);
}

static void put_rule(struct json_writer *w, const struct release_plan *plan, uint32_t step,
                     const struct release_flag *f, uint32_t share)
{
    if (share < RELEASE_EVERYBODY && !has_cohorts(plan, step)) {
        put_fractional(w, plan, f, share);
        return;
    }
    json_object_begin(w);
    json_key(w, "if");
    json_array_begin(w);
    if (share < RELEASE_EVERYBODY) {
        put_cohorts(w, plan, step, f, share);
    } else {
        json_put_bool(w, true);
        json_put_slice(w, f->on);
    }
    json_array_end(w);
    json_object_end(w);
}

static uint32_t share_at(const struct release_plan *plan, uint32_t step)
{
    uint32_t share = RELEASE_NO_CHANGE;
    for (uint32_t i = 0; i <= step; i++)
        if (of_same_env(plan, i, step) && release_step_changes(&plan->steps[i]))
            share = plan->steps[i].share;
    return share;
}

enum hoist_err release_plan_rule(const struct release_plan *plan, uint32_t step, uint32_t flag,
                                 struct arena *arena, struct tree *ret)
{
    struct buf json = BUF_INIT(RULE_MAX);
    struct json_writer w = JSON_WRITER(&json, 0);
    struct problems problems = {0};
    uint32_t share = share_at(plan, step);
    if (share == RELEASE_NO_CHANGE || plan->steps[step].env == RELEASE_NO_ENV) {
        *ret = (struct tree){0};
        return HOIST_OK;
    }
    put_rule(&w, plan, step, &plan->flags[flag], share);
    enum hoist_err err = buf_err(&json);
    if (!err)
        err = flag_rule_read(buf_slice(&json), arena, ret, &problems);
    problems_done(&problems);
    buf_done(&json);
    return err == HOIST_ELIMIT ? HOIST_EINVAL : err;
}
