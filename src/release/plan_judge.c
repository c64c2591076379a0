/* What each part of a plan allows and the whole does not: data that would not be missed, signatures
 * that nobody could give, hours in which nobody is there. */
#include "release/plan_int.h"

/* ------------------------------------------------------------------ guards */

static void judge_query(struct plan_reader *r, const struct yaml_item *at, struct slice query)
{
    struct query_traits traits = query_traits(query);
    if (traits.broken)
        plan_complain(r, at, "try it: promtool query instant URL EXPRESSION",
                      "this is no PromQL: %s", traits.broken);
    if (traits.divides_rates && !traits.has_floor)
        plan_complain(r, at,
                      "let it be no answer below some: A / B and on () "
                      "(sum(increase(N[10m])) >= 50)",
                      "a ratio without a floor: one failure among three would decide");
    if (traits.hides_absence)
        plan_complain(r, at,
                      "take the \"or vector(…)\" away, or put it inside, around what may be 0",
                      "it makes a number of no answer, and missing data would pass");
}

static bool is_fresh(const struct release_guard *g)
{
    return query_traits(g->query).is_fresh;
}

/* The guards by which it would show that a target is dead. */
static uint32_t fresh_guards(const struct release_plan *plan)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < plan->guard_count; i++)
        if (is_fresh(&plan->guards[i]))
            set |= 1U << i;
    return set;
}

static uint32_t used_guards(const struct release_plan *plan)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < plan->step_count; i++)
        set |= plan->steps[i].guards;
    return set;
}

static void judge_guards(struct plan_reader *r)
{
    const struct release_plan *plan = r->plan;
    const struct yaml_item *list = yaml_find(r->root, SLICE("guards"));
    uint32_t used = used_guards(plan);
    for (uint32_t i = 0; i < plan->guard_count; i++) {
        const struct yaml_item *query = yaml_find(r->guard_at[i], SLICE("query"));
        size_t back = path_key(&r->path, SLICE("guards"));
        path_key(&r->path, plan->guards[i].name);
        if (plan->guards[i].query.len && query)
            judge_query(r, query, plan->guards[i].query);
        if (!(used & 1U << i) && plan->step_count)
            plan_warn(r, r->guard_at[i], "name it in a step's guards, or take it away",
                      "no step asks this guard");
        path_back(&r->path, back);
    }
    if (list && list->kind == YAML_LIST && list->count == plan->guard_count &&
        fresh_guards(plan) == 0)
        plan_complain(r, list,
                      "add one: time() - min(timestamp(up{job=\"NAME\"}) and up{job=\"NAME\"} == "
                      "1), pass: \"<= 30\"",
                      "no guard looks at how old the data is, and rate() answers for minutes after "
                      "its target has died");
}

/* A step that soaks must see a dead target: said where some guard could, of the others. */
static void judge_freshness(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    const struct yaml_item *guards = yaml_find(r->step_at[step], SLICE("guards"));
    uint32_t fresh = fresh_guards(r->plan);
    if (s->soak_ms && guards && s->guards && fresh && !(s->guards & fresh))
        plan_complain(r, guards, "name the guard that looks at the data's age, too",
                      "it soaks on guards none of which would notice that the data is old");
}

/* ------------------------------------------------------------------ signatures */

static void judge_signs(struct plan_reader *r, uint32_t step)
{
    const struct release_role *role = release_role_unsigned(r->plan, step, SLICE(""));
    if (role)
        plan_complain(r, yaml_find(r->step_at[step], SLICE("sign")),
                      "give the role another person, who is not the plan's author",
                      "nobody is left to sign as %s: signatures of a step are of different people, "
                      "and never the author's",
                      show(role->name).text);
}

/* A signature may be given late; given at once it should not have expired when the step can end. */
static void judge_expiry(struct plan_reader *r, uint32_t step)
{
    const struct release_step *s = &r->plan->steps[step];
    if (s->sign_count && r->plan->sign_valid_ms && s->soak_ms > r->plan->sign_valid_ms)
        plan_warn(r, yaml_find(r->step_at[step], SLICE("sign")),
                  "make sign_valid longer, or sign in a step behind this one",
                  "a signature is good for %s, and the step soaks for %s",
                  release_span(r->plan->sign_valid_ms).text, release_span(s->soak_ms).text);
}

/* ------------------------------------------------------------------ what is never used */

static void judge_unused(struct plan_reader *r)
{
    const struct release_plan *plan = r->plan;
    uint64_t checks = 0;
    uint32_t roles = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        checks |= plan->steps[i].checks;
        for (uint32_t k = 0; k < plan->steps[i].sign_count; k++)
            roles |= 1U << plan->steps[i].signs[k].role;
    }
    for (uint32_t i = 0; i < plan->check_count; i++)
        if (!(checks & 1ULL << i))
            plan_warn(r, r->check_at[i], "name it in a step's check, or take it away",
                      "no step waits for the check \"%s\"", show(plan->checks[i].name).text);
    for (uint32_t i = 0; i < plan->role_count; i++)
        if (!(roles & 1U << i))
            plan_warn(r, r->role_at[i], "let it sign a step, or take it away",
                      "no step is signed by the role \"%s\"", show(plan->roles[i].name).text);
}

/* What is to be checked again and again is due for as long as the watch lasts. */
static void judge_repeated(struct plan_reader *r)
{
    const struct release_phase_head *watch = &r->plan->phases[RELEASE_WATCH];
    uint64_t repeated = 0;
    for (uint32_t i = watch->first; i < watch->first + watch->count; i++) {
        const struct release_step *s = &r->plan->steps[i];
        for (uint64_t left = s->soak_ms ? repeated & ~s->checks : 0; left; left &= left - 1) {
            const struct release_check *check = &r->plan->checks[__builtin_ctzll(left)];
            plan_warn(
                r, r->step_at[i], "name it in this step's check, too",
                "the check \"%s\" is good for %s, and during this step nobody is asked for it",
                show(check->name).text, release_span(check->every_ms).text);
        }
        for (uint64_t left = s->checks; left; left &= left - 1)
            if (r->plan->checks[__builtin_ctzll(left)].every_ms)
                repeated |= left & -left;
    }
}

/* ------------------------------------------------------------------ the whole */

static void judge_bucket(struct plan_reader *r)
{
    if (r->plan->flag_count > 1 && !yaml_find(r->root, SLICE("bucket")))
        plan_complain(r, r->flag_at[0],
                      "say by what all of them divide: bucket: {cat: [SALT, {var: ATTRIBUTE}]}",
                      "without a bucket each flag would begin with other people");
}

/* Where flags move and guards are asked there is an environment; the watch has that of production. */
static void judge_env(struct plan_reader *r, enum release_phase phase)
{
    const struct release_phase_head *head = &r->plan->phases[phase];
    size_t back = path_key(&r->path, SLICE("phases"));
    path_key(&r->path, slice_str(release_phase_name(phase)));
    for (uint32_t i = head->first; i < head->first + head->count; i++) {
        const struct release_step *s = &r->plan->steps[i];
        if (head->env != RELEASE_NO_ENV || (!release_step_changes(s) && !s->soak_ms))
            continue;
        plan_complain(r, r->phase_at[phase], "say where: env: NAME",
                      "its steps change flags or soak, and it has no environment");
        break;
    }
    path_back(&r->path, back);
}

static void judge_phases(struct plan_reader *r)
{
    const struct release_phase_head *staging = &r->plan->phases[RELEASE_STAGING],
                                    *production = &r->plan->phases[RELEASE_PRODUCTION];
    judge_env(r, RELEASE_STAGING);
    judge_env(r, RELEASE_PRODUCTION);
    if (production->env != RELEASE_NO_ENV || production->count == 0)
        judge_env(r, RELEASE_WATCH);
    if (staging->count && production->count && staging->env == production->env &&
        staging->env != RELEASE_NO_ENV)
        plan_complain(r, yaml_find(r->phase_at[RELEASE_PRODUCTION], SLICE("env")),
                      "name two environments", "staging and production are the same environment");
    if (!yaml_find(r->root, SLICE("kill_on_alert")))
        plan_warn(r, r->root, "name the alerts that end the release: kill_on_alert: [NAME, …]",
                  "only guards would abort: Alertmanager is the second way");
}

static void judge_coverage(struct plan_reader *r)
{
    const struct release_plan *plan = r->plan;
    const struct release_phase_head *watch = &plan->phases[RELEASE_WATCH];
    uint64_t soak = 0;
    if (watch->count == 0 || !r->phase_at[RELEASE_WATCH])
        return;
    for (uint32_t i = watch->first; i < watch->first + watch->count; i++)
        soak += plan->steps[i].soak_ms;
    const struct yaml_item *at = yaml_find(r->phase_at[RELEASE_WATCH], SLICE("coverage"));
    if (!at || (at->kind == YAML_LIST && at->count == 0))
        plan_complain(r, at ? at : r->phase_at[RELEASE_WATCH],
                      "say who is there: coverage: [{from: TIME, to: TIME, who: NAME}, …]",
                      "the watch has no coverage");
    if (plan->coverage_count == 0)
        return;
    int64_t from = plan->coverage[0].from_ms, to = plan->coverage[plan->coverage_count - 1].to_ms;
    if (to > from && (uint64_t)(to - from) < soak)
        plan_complain(r, at, "let it last longer", "it lasts %s, and the watch at least %s",
                      release_span((uint64_t)(to - from)).text, release_span(soak).text);
}

void plan_judge(struct plan_reader *r)
{
    judge_bucket(r);
    judge_guards(r);
    for (uint32_t i = 0; i < r->plan->step_count; i++) {
        size_t back = path_key(&r->path, SLICE("phases"));
        path_key(&r->path, slice_str(release_phase_name(r->plan->steps[i].phase)));
        path_key(&r->path, SLICE("steps"));
        path_index(&r->path, i - r->plan->phases[r->plan->steps[i].phase].first);
        judge_freshness(r, i);
        judge_signs(r, i);
        judge_expiry(r, i);
        step_judge(r, i);
        path_back(&r->path, back);
    }
    judge_unused(r);
    judge_repeated(r);
    judge_phases(r);
    judge_coverage(r);
}
