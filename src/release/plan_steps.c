/* The five phases of a plan, and the steps under them. */
#include <stdio.h>

#include "release/plan_int.h"

static const char *const tasks[RELEASE_PHASES] = {"DEPLOY-001", "DEPLOY-002", "DEPLOY-003",
                                                  "DEPLOY-004", "DEPLOY-005"};
static const char *const titles[RELEASE_PHASES] = {"Feature flags", "Monitoring and alerts",
                                                   "Staging", "Production rollout",
                                                   "Post-launch support"};

/* ------------------------------------------------------------------ a step */

static void read_share(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_step *s = out;
    uint32_t share = RELEASE_NO_CHANGE;
    plan_percent(r, v, &share);
    s->share = share;
}

/* A word, or a list of them: the set of what they are called. */
static uint64_t read_set(struct plan_reader *r, const struct yaml_item *v, const char *what,
                         int (*find)(const struct release_plan *plan, struct slice name))
{
    char mend[96];
    uint64_t set = 0;
    snprintf(mend, sizeof mend, "write names of %ss of this plan: [NAME, …]", what);
    uint32_t count = v->kind == YAML_WORD ? 1 : plan_list(r, v, RELEASE_CHECKS_MAX, mend);
    if (v->kind == YAML_LIST && v->count == 0)
        plan_complain(r, v, mend, "it names none");
    const struct yaml_item *word = v->kind == YAML_WORD ? v : v + 1;
    for (uint32_t i = 0; i < count; i++, word += word->span) {
        if (!plan_word(r, word, mend))
            continue;
        int index = find(r->plan, word->text);
        if (index < 0)
            plan_complain(r, word, mend, "the plan has no %s \"%s\"", what, show(word->text).text);
        else if (set & 1ULL << index)
            plan_complain(r, word, "name each once", "\"%s\" is there twice",
                          show(word->text).text);
        else
            set |= 1ULL << index;
    }
    return set;
}

static void read_checks(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    *(uint64_t *)out = read_set(r, v, "check", release_check_find);
}

static void read_guards(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    *(uint32_t *)out = (uint32_t)read_set(r, v, "guard", release_guard_find);
}

static void add_sign(struct plan_reader *r, const struct yaml_item *key, struct release_step *s)
{
    int role = release_role_find(r->plan, key->text);
    struct release_sign *sign = &s->signs[s->sign_count];
    if (role < 0) {
        plan_complain(r, key, "give it people under roles, or name one that is there",
                      "the plan has no role \"%s\"", show(key->text).text);
        return;
    }
    sign->role = (uint8_t)role;
    plan_text(r, key + 1, &sign->statement);
    for (uint32_t at = s->sign_count++; at > 0 && s->signs[at - 1].role > s->signs[at].role; at--) {
        struct release_sign other = s->signs[at];
        s->signs[at] = s->signs[at - 1];
        s->signs[at - 1] = other;
    }
}

static void read_signs(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write who signs what: {ROLE: \"STATEMENT\", …}";
    struct release_step *s = out;
    if (v->kind == YAML_BAD)
        return;
    if (v->kind != YAML_MAP || v->count == 0 || v->count > RELEASE_SIGNS_MAX) {
        plan_complain(r, v, mend, "sign takes 1 to %d roles, each with its statement",
                      RELEASE_SIGNS_MAX);
        return;
    }
    s->signs = plan_alloc(r, v->count, sizeof *s->signs);
    const struct yaml_item *key = v + 1;
    for (uint32_t i = 0; i < v->count && s->signs; i++) {
        const struct yaml_item *value = key + 1;
        size_t back = path_key(&r->path, key->text);
        if (key->kind == YAML_WORD)
            add_sign(r, key, s);
        path_back(&r->path, back);
        key = value + value->span;
    }
}

static const struct field step_fields[] = {
    {"percent", read_share, 0, NULL},
    {"if", rule_read_yaml, offsetof(struct release_step, cohort), NULL},
    {"soak", plan_soak, offsetof(struct release_step, soak_ms), NULL},
    {"exposed", plan_exposed, offsetof(struct release_step, exposed), NULL},
    {"guards", read_guards, offsetof(struct release_step, guards), NULL},
    {"check", read_checks, offsetof(struct release_step, checks), NULL},
    {"sign", read_signs, 0, NULL},
    {0},
};

/* ------------------------------------------------------------------ what a step takes over */

/* The step before, of the same environment; NULL: it is the first there. */
static const struct release_step *step_before(const struct release_plan *plan,
                                              const struct release_step *s)
{
    for (uint32_t i = plan->step_count; i > 0 && s->env != RELEASE_NO_ENV; i--)
        if (plan->steps[i - 1].env == s->env)
            return &plan->steps[i - 1];
    return NULL;
}

static uint32_t all_guards(const struct release_plan *plan)
{
    return plan->guard_count == 32 ? UINT32_MAX : (1U << plan->guard_count) - 1;
}

static bool is_change(const struct yaml_item *map)
{
    return yaml_find(map, SLICE("percent")) || yaml_find(map, SLICE("if"));
}

/* Where nothing is said: a change asks all guards; what stands between changes goes on asking those
 * of the change; without an environment there is nobody to ask about. */
static void take_over(struct plan_reader *r, const struct yaml_item *map, struct release_step *s)
{
    const struct release_step *before = step_before(r->plan, s);
    if (!yaml_find(map, SLICE("guards")) && s->env != RELEASE_NO_ENV)
        s->guards = before && !is_change(map) ? before->guards : all_guards(r->plan);
    if (s->cohort.count == 0)
        return;
    s->share = 0;
    for (uint32_t i = 0; i < r->plan->step_count; i++)
        if (r->plan->steps[i].env == s->env && r->plan->steps[i].share != RELEASE_NO_CHANGE)
            s->share = r->plan->steps[i].share;
}

static void read_step(struct plan_reader *r, const struct yaml_item *v,
                      const struct release_phase_head *head, enum release_phase phase)
{
    struct release_plan *plan = r->plan;
    if (plan->step_count == RELEASE_STEPS_MAX) {
        plan_complain(r, v, "make them fewer", "more than %d steps", RELEASE_STEPS_MAX);
        return;
    }
    struct release_step s = {.phase = phase,
                             .env = head->env,
                             .share = RELEASE_NO_CHANGE,
                             .window = head->window,
                             .line = v->line};
    if (!plan_map(r, v, "a step", step_fields, &s))
        return;
    if (yaml_find(v, SLICE("percent")) && yaml_find(v, SLICE("if")))
        plan_complain(r, v, "make two steps of it: first the cohort, then the percentage",
                      "a step makes one change: percent, or if");
    take_over(r, v, &s);
    r->step_at[plan->step_count] = v;
    plan->steps[plan->step_count++] = s;
}

/* ------------------------------------------------------------------ a phase */

static void read_env(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "name an environment: env: production";
    struct release_plan *plan = r->plan;
    if (!plan_word(r, v, mend))
        return;
    if (flag_env_check(v->text) != HOIST_OK) {
        plan_complain(r, v, mend, "\"%s\" is no environment's name", show(v->text).text);
        return;
    }
    int index = release_env_find(plan, v->text);
    if (index < 0) { /* at most one a phase: there is room */
        index = (int)plan->env_count;
        plan->envs[index] = v->text;
        r->no_memory |= arena_own(&plan->arena, &plan->envs[index]) != HOIST_OK;
        plan->env_count++;
    }
    *(uint8_t *)out = (uint8_t)index;
}

/* Read once the others are, since the steps take over what their phase says. */
static void read_steps(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_phase_head *head = out;
    struct release_plan *plan = r->plan;
    enum release_phase phase = (enum release_phase)(head - plan->phases);
    uint32_t count = plan_list(r, v, RELEASE_STEPS_MAX, "write a list of steps; [] for none");
    const struct yaml_item *step = v + 1;
    head->first = plan->step_count;
    for (uint32_t i = 0; i < count; i++, step += step->span) {
        size_t back = path_index(&r->path, i);
        read_step(r, step, head, phase);
        path_back(&r->path, back);
    }
    head->count = plan->step_count - head->first;
}

static void read_coverage(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    (void)out;
    coverage_read(r, v, r->plan);
}

#define COMMON_FIELDS                                                                              \
    {"task", plan_task, offsetof(struct release_phase_head, task), NULL},                          \
        {"title", plan_text, offsetof(struct release_phase_head, title), NULL},                    \
        {"owner", plan_who, offsetof(struct release_phase_head, owner), NULL},                     \
        {"env", read_env, offsetof(struct release_phase_head, env), NULL},                         \
    {                                                                                              \
        "window", plan_window, offsetof(struct release_phase_head, window), NULL                   \
    }

static const struct field phase_fields[] = {
    COMMON_FIELDS,
    {"steps", read_steps, 0, "list its steps; steps: [] where there is nothing to do"},
    {0},
};

static const struct field watch_fields[] = {
    COMMON_FIELDS,
    {"coverage", read_coverage, 0, NULL},
    {"steps", read_steps, 0, "list its steps; steps: [] where there is nothing to do"},
    {0},
};

/* The watch is over what was launched. */
static void set_phase_defaults(struct release_plan *plan, enum release_phase phase)
{
    struct release_phase_head *head = &plan->phases[phase];
    head->task = slice_str(tasks[phase]);
    head->title = slice_str(titles[phase]);
    head->owner = plan->owner;
    head->env = phase == RELEASE_WATCH ? plan->phases[RELEASE_PRODUCTION].env : RELEASE_NO_ENV;
}

static void read_phase(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_phase_head *head = out;
    enum release_phase phase = (enum release_phase)(head - r->plan->phases);
    r->phase_at[phase] = v;
    set_phase_defaults(r->plan, phase);
    plan_map(r, v, "a phase", phase == RELEASE_WATCH ? watch_fields : phase_fields, head);
}

#define PHASE(index, name)                                                                         \
    {                                                                                              \
        name, read_phase, (index) * sizeof(struct release_phase_head),                             \
            "all five are there, one that has nothing to do as  " name ": {steps: []}"             \
    }

static const struct field phases_fields[] = {
    PHASE(RELEASE_FLAGS, "flags"),     PHASE(RELEASE_MONITORING, "monitoring"),
    PHASE(RELEASE_STAGING, "staging"), PHASE(RELEASE_PRODUCTION, "production"),
    PHASE(RELEASE_WATCH, "watch"),     {0},
};

/* They happen in this order, and so they are written. */
static void check_order(struct plan_reader *r, const struct yaml_item *map)
{
    const struct yaml_item *key = map + 1;
    int last = -1;
    for (uint32_t i = 0; map->kind == YAML_MAP && i < map->count; i++) {
        for (int phase = 0; phase < RELEASE_PHASES; phase++) {
            if (!slice_eq(key->text, slice_str(phases_fields[phase].name)))
                continue;
            if (phase < last)
                plan_complain(r, key,
                              "write them in this order: flags, monitoring, staging, production, "
                              "watch",
                              "the phase \"%s\" comes before \"%s\"", phases_fields[phase].name,
                              phases_fields[last].name);
            last = phase;
        }
        key += 1 + key[1].span;
    }
}

void phases_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_plan *plan = out;
    plan->envs = plan_alloc(r, RELEASE_ENVS_MAX, sizeof *plan->envs);
    plan->steps = plan_alloc(r, RELEASE_STEPS_MAX, sizeof *plan->steps);
    size_t before = r->problems->total;
    if (!plan->envs || !plan->steps)
        return;
    check_order(r, v);
    plan_map(r, v, "phases", phases_fields, plan->phases);
    if (plan->step_count == 0 && r->problems->total == before)
        plan_complain(r, v, "list what is done, phase by phase", "the plan has no step");
}

/* ------------------------------------------------------------------ coverage */

static const struct field cover_fields[] = {
    {"from", plan_moment, offsetof(struct release_cover, from_ms),
     "say from when on: from: 2026-12-07T09:00:00Z"},
    {"to", plan_moment, offsetof(struct release_cover, to_ms),
     "say until when: to: 2026-12-08T09:00:00Z"},
    {"who", plan_text, offsetof(struct release_cover, who), "say who is there: who: NAME"},
    {0},
};

static void check_cover(struct plan_reader *r, const struct yaml_item *v, uint32_t i)
{
    const struct release_cover *cover = &r->plan->coverage[i];
    struct release_span hole = {""};
    if (cover->from_ms == 0 || cover->to_ms == 0) /* complained of */
        return;
    if (cover->from_ms >= cover->to_ms)
        plan_complain(r, v, "write the earlier time first", "it ends before it begins");
    if (i == 0 || cover->from_ms <= cover[-1].to_ms)
        return;
    hole = release_span((uint64_t)(cover->from_ms - cover[-1].to_ms));
    plan_complain(r, v, "let it begin when the one before it ends, or earlier",
                  "nobody is there for %s before this", hole.text);
}

void coverage_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { COVERS_MAX = 1024 };
    struct release_plan *plan = out;
    uint32_t count =
        plan_list(r, v, COVERS_MAX, "write a list: [{from: TIME, to: TIME, who: NAME}, …]");
    const struct yaml_item *item = v + 1;
    plan->coverage = plan_alloc(r, count, sizeof *plan->coverage);
    for (uint32_t i = 0; i < count && plan->coverage; i++, item += item->span) {
        size_t back = path_index(&r->path, i);
        if (plan_map(r, item, "coverage", cover_fields, &plan->coverage[i]))
            check_cover(r, item, i);
        path_back(&r->path, back);
    }
    plan->coverage_count = plan->coverage ? count : 0;
}
