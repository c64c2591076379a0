/* What is wrong with one step of a plan, beside those that come before it. */
#include "release/plan_int.h"

bool release_step_changes(const struct release_step *step)
{
    return step->share != RELEASE_NO_CHANGE || step->cohort.count;
}

/* Where a field of the step stands, or the step. */
static const struct yaml_item *at_field(const struct plan_reader *r, uint32_t step,
                                        const char *name)
{
    const struct yaml_item *field = yaml_find(r->step_at[step], slice_str(name));
    return field ? field : r->step_at[step];
}

/* What the first `count` steps come to in an environment: a share, 0 for none. */
static uint32_t share_after(const struct release_plan *plan, uint8_t env, uint32_t count)
{
    uint32_t share = 0;
    for (uint32_t i = 0; i < count; i++)
        if (plan->steps[i].env == env && release_step_changes(&plan->steps[i]))
            share = plan->steps[i].share;
    return share;
}

/* ------------------------------------------------------------------ a change */

static void judge_growth(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    uint32_t before = share_after(r->plan, s->env, step);
    if (s->cohort.count && before == RELEASE_EVERYBODY)
        plan_complain(r, at_field(r, step, "if"), "put it before the step with 100 percent",
                      "everybody has it already");
    if (!s->cohort.count && s->share <= before)
        plan_complain(r, at_field(r, step, "percent"),
                      "let percentages rise; to go back is what abort does",
                      "%s percent after %s: it does not grow", release_percent(s->share).text,
                      release_percent(before).text);
}

/* The rule of this step, of any flag: they differ by the names of variants alone. */
static void judge_rule(struct plan_reader *r, uint32_t step)
{
    struct arena arena = {0};
    struct tree rule;
    for (uint32_t i = 0; i < r->plan->flag_count; i++) {
        enum hoist_err err = release_plan_rule(r->plan, step, i, &arena, &rule);
        if (err == HOIST_ENOMEM)
            r->no_memory = true;
        if (err == HOIST_EINVAL) {
            plan_complain(r, r->step_at[step], "make the conditions smaller", "%s", err_last());
            break;
        }
    }
    arena_done(&arena);
}

static void judge_change(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    const char *field = s->cohort.count ? "if" : "percent";
    if (s->phase != RELEASE_STAGING && s->phase != RELEASE_PRODUCTION) {
        plan_complain(r, at_field(r, step, field), "move it to staging or production",
                      "flags move in the phases staging and production alone");
        return;
    }
    if (s->env != RELEASE_NO_ENV) {
        judge_growth(r, step);
        judge_rule(r, step);
    }
    if (!yaml_find(r->step_at[step], SLICE("soak")))
        plan_complain(r, r->step_at[step], "say how long it is watched: soak: 30m",
                      "a change without soak: nothing is seen of it");
    if (!yaml_find(r->step_at[step], SLICE("exposed")))
        plan_complain(r, r->step_at[step],
                      "say how often the new variant must have been yielded: exposed: 200",
                      "a change that nobody need meet proves nothing");
}

/* ------------------------------------------------------------------ what it waits for */

static void judge_soak(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    uint64_t least = (uint64_t)r->plan->interval_ms * RELEASE_FRESH_ROUNDS;
    const struct yaml_item *at = at_field(r, step, "soak");
    if (s->soak_ms == 0)
        return;
    if (s->guards == 0 && s->phase <= RELEASE_MONITORING &&
        !yaml_find(r->step_at[step], SLICE("guards")))
        plan_complain(r, at, "name guards: guards: [NAME, …]",
                      "it soaks with no guard, and only time that guards find good counts");
    else if (s->soak_ms < least)
        plan_complain(r, at, "let it soak longer, or make the interval shorter",
                      "%s is less than the %d rounds, %s, that must pass last",
                      release_span(s->soak_ms).text, RELEASE_FRESH_ROUNDS,
                      release_span(least).text);
}

/* A change that could not be read was complained of: whether somebody could meet it is not known. */
static void judge_exposed(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    const struct yaml_item *map = r->step_at[step];
    if (s->exposed == 0 || yaml_find(map, SLICE("percent")) || yaml_find(map, SLICE("if")))
        return;
    for (uint32_t i = 0; i < step && s->env != RELEASE_NO_ENV; i++)
        if (r->plan->steps[i].env == s->env && release_step_changes(&r->plan->steps[i]))
            return;
    plan_complain(r, at_field(r, step, "exposed"), "take it away, or change something first",
                  "nobody can have met the new variant yet");
}

/* Whether it says that it does something, or waits for it. */
static bool is_meant(const struct yaml_item *step)
{
    static const char *const fields[] = {"percent", "if", "soak", "exposed", "check", "sign"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (yaml_find(step, slice_str(fields[i])))
            return true;
    return false;
}

/* With the last change of production everybody should have it. */
static void judge_last(struct plan_reader *r, uint32_t step)
{
    const struct release_plan *plan = r->plan;
    const struct release_phase_head *head = &plan->phases[plan->steps[step].phase];
    if (plan->steps[step].phase != RELEASE_PRODUCTION || step + 1 != head->first + head->count)
        return;
    uint32_t share = share_after(plan, head->env, step + 1);
    if (share != RELEASE_EVERYBODY)
        plan_warn(r, r->step_at[step], "end with a step of 100 percent",
                  "production ends at %s percent", release_percent(share).text);
}

void step_judge(struct plan_reader *r, uint32_t step)
{
    if (release_step_changes(&r->plan->steps[step]))
        judge_change(r, step);
    else if (!is_meant(r->step_at[step]))
        plan_complain(r, r->step_at[step], "give it percent, if, soak, exposed, check or sign",
                      "this step does nothing and waits for nothing");
    judge_soak(r, step);
    judge_exposed(r, step);
    judge_last(r, step);
}
