#include "release/simulate.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "release/scenario.h"
#include "release/waiting.h"

enum {
    ACK_MS = 1000, /* from a change to the word that every host has it */
    HOUR_MS = 3600000,
    HEAD = 1, /* of every environment when it begins */
};

static const int64_t LONGEST_MS = 2 * (int64_t)RELEASE_DAYS_MAX * 24 * HOUR_MS;

struct sim_env {
    uint64_t head, ours;
    uint32_t live, lagging, silent;
    bool missed; /* the lagging ones have not taken a change */
};

struct sim {
    const struct release_plan *plan;
    const struct release_watcher *watcher;
    struct release_record *r;
    enum hoist_err err;
    int64_t start_ms, wall_ms; /* by the wall clock; what it was set by is in wall_ms alone */
    int64_t now_ms, round_ms;  /* since the start: now, and the next round */
    uint64_t boot, changes;
    struct sim_env envs[RELEASE_ENVS_MAX];
    struct release_answer answers[RELEASE_GUARDS_MAX];
    uint64_t exposed;
    int64_t came_ms[RELEASE_STEPS_MAX]; /* when it came to a step; -1: it has not */
    int64_t last_ms;                    /* the wall clock's time of the last event */
    int64_t progress_ms;                /* when something last came on */
    struct slice commit;
    struct release_moment moment;    /* the last */
    char waits[RELEASE_MOMENT_SIZE]; /* what it was last told to wait for */
};

/* ------------------------------------------------------------------ telling */

static void tell(struct sim *s, enum release_moment_kind kind, int64_t wall_ms, const char *text)
{
    s->moment.kind = kind;
    s->moment.wall_ms = wall_ms;
    snprintf(s->moment.text, sizeof s->moment.text, "%s", text);
    if (s->watcher->moment)
        s->watcher->moment(s->watcher->arg, &s->moment);
}

static void append(char text[RELEASE_MOMENT_SIZE], const char *more)
{
    size_t len = strlen(text);
    snprintf(text + len, RELEASE_MOMENT_SIZE - len, "%s%s", len ? "; " : "", more);
}

/* One line for all it waits for, told when it is another than before but for what only counts up. */
static void tell_waits(struct sim *s, int64_t wall_ms)
{
    struct release_wait waits[RELEASE_WAITS_MAX];
    char text[RELEASE_MOMENT_SIZE] = "", same[RELEASE_MOMENT_SIZE] = "";
    bool only_a_round = s->r->state == RELEASE_MOVING && s->r->unmet == 0;
    uint32_t count = release_waiting(s->plan, s->r, wall_ms, waits);
    for (uint32_t i = 0; i < count; i++) {
        append(text, waits[i].text);
        append(same, waits[i].counts ? release_condition_name(waits[i].condition) : waits[i].text);
    }
    if (count == 0 || only_a_round || strcmp(same, s->waits) == 0)
        return;
    memcpy(s->waits, same, sizeof same);
    tell(s, RELEASE_WAITS, wall_ms, text);
}

static void tell_effects(struct sim *s, const struct release_effects *fx, int64_t wall_ms)
{
    for (uint32_t i = 0; i < fx->line_count; i++)
        tell(s, fx->lines[i].page ? RELEASE_WAS_PAGED : RELEASE_WAS_SAID, wall_ms,
             fx->lines[i].text);
    if (fx->refused[0])
        tell(s, RELEASE_WAS_REFUSED, wall_ms, fx->refused);
}

/* Whether the release has come on, towards what it waits for. */
static bool has_progress(const struct release_plan *plan, const struct release_record *before,
                         const struct release_record *r)
{
    const struct release_step *s = &plan->steps[r->step];
    return before->state != r->state || before->step != r->step ||
           (before->soak_ms != r->soak_ms && before->soak_ms < s->soak_ms) ||
           (before->exposed != r->exposed && before->exposed < s->exposed) ||
           r->unmet == 1u << RELEASE_WINDOW;
}

static struct release_effects take(struct sim *s, const struct release_event *e)
{
    struct release_effects fx;
    struct release_record before = *s->r;
    release_step(s->plan, s->r, e, &fx);
    s->last_ms = e->wall_ms;
    if (s->watcher->event)
        s->watcher->event(s->watcher->arg, e);
    tell_effects(s, &fx, e->wall_ms);
    if (s->r->state == RELEASE_MOVING && s->came_ms[s->r->step] < 0)
        s->came_ms[s->r->step] = s->now_ms;
    if (before.step != s->r->step)
        s->waits[0] = '\0'; /* of a step of its own */
    if (has_progress(s->plan, &before, s->r))
        s->progress_ms = s->now_ms;
    tell_waits(s, e->wall_ms);
    return fx;
}

/* ------------------------------------------------------------------ the world */

static struct release_event event_now(const struct sim *s, enum release_event_kind kind)
{
    struct release_event e = {.kind = kind,
                              .wall_ms = s->wall_ms,
                              .boot = s->boot,
                              .boot_ms = (uint64_t)s->now_ms + HOUR_MS,
                              .step = s->r->step};
    memcpy(e.bound.plan, s->plan->hash, HASH_SIZE);
    memcpy(e.bound.definitions, s->r->definitions, HASH_SIZE);
    e.bound.commit = s->commit;
    return e;
}

static void hear(const struct sim *s, struct release_event *e)
{
    e->fleet_count = s->plan->env_count;
    for (uint32_t i = 0; i < s->plan->env_count; i++) {
        const struct sim_env *env = &s->envs[i];
        e->fleet[i] = (struct release_fleet){(uint8_t)i, env->ours, env->live,
                                             env->missed ? env->lagging : 0, env->silent};
    }
}

/* What a primary does in the transaction of the event. */
static void commit(struct sim *s, uint32_t env, uint32_t step)
{
    struct sim_env *v = &s->envs[env];
    struct release_event e = event_now(s, RELEASE_CHANGED);
    v->ours = ++v->head;
    v->missed = v->lagging > 0;
    e.step = step;
    e.env = (uint8_t)env;
    e.version = v->ours;
    s->changes++;
    hash_blake2b(e.bound.definitions, slice_of(&s->changes, sizeof s->changes));
    take(s, &e);
}

static void advance(struct sim *s, int64_t to_ms)
{
    s->wall_ms += to_ms - s->now_ms;
    s->now_ms = to_ms;
}

/* An event, the change that it brings about, and the hosts' word on that. */
static void play(struct sim *s, const struct release_event *e)
{
    struct release_effects fx = take(s, e);
    if (fx.deed == RELEASE_DO_CHANGE)
        commit(s, s->plan->steps[fx.step].env, fx.step);
    for (uint32_t i = s->plan->env_count; fx.deed == RELEASE_DO_BASELINE && i-- > 0;)
        if (fx.envs >> i & 1)
            commit(s, i, RELEASE_BASELINE);
    if (fx.deed == RELEASE_DO_NOTHING || s->now_ms + ACK_MS >= s->round_ms)
        return;
    advance(s, s->now_ms + ACK_MS);
    struct release_event word = event_now(s, RELEASE_FLEET);
    hear(s, &word);
    take(s, &word);
}

static void play_round(struct sim *s)
{
    struct release_event e = event_now(s, RELEASE_TICK);
    s->round_ms += s->plan->interval_ms;
    e.exposed = s->exposed;
    for (uint32_t left = s->r->state == RELEASE_MOVING ? s->plan->steps[s->r->step].guards : 0;
         left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        e.asked |= 1u << guard;
        e.answers[guard] = s->answers[guard];
        if (e.answers[guard].verdict > RELEASE_FAIL)
            e.answers[guard].value = 0;
    }
    hear(s, &e);
    play(s, &e);
}

/* ------------------------------------------------------------------ lines */

static void away(struct sim *s, const struct scene *scene)
{
    advance(s, s->now_ms + (scene->ms > 0 ? scene->ms : 0));
    s->round_ms = s->now_ms + s->plan->interval_ms;
    s->boot += scene->kind == SCENE_REBOOT;
    struct release_event e = event_now(s, RELEASE_RESTARTED);
    play(s, &e);
}

static void play_people(struct sim *s, const struct scene *scene)
{
    static const enum release_event_kind kinds[] = {
        [SCENE_SIGN] = RELEASE_SIGNED,   [SCENE_CHECK] = RELEASE_ATTESTED,
        [SCENE_HOLD] = RELEASE_HELD,     [SCENE_RESUME] = RELEASE_RESUMED,
        [SCENE_ABORT] = RELEASE_ABORTED, [SCENE_ALERT] = RELEASE_ALERTED,
        [SCENE_KILL] = RELEASE_KILLED,   [SCENE_RESTORE] = RELEASE_RESTORED,
        [SCENE_NOTE] = RELEASE_NOTED,
    };
    struct release_event e = event_now(s, kinds[scene->kind]);
    e.env = scene->env;
    e.flag = e.role = e.check = scene->index;
    e.passed = scene->passed;
    e.by = scene->by;
    e.text = scene->text;
    play(s, &e);
}

static void play_event(struct sim *s, const struct scene *scene)
{
    struct release_event e;
    s->err = release_event_decode(scene->text, &e);
    if (s->err != HOIST_OK)
        return;
    s->wall_ms = e.wall_ms;
    take(s, &e);
}

static void set_hosts(struct sim_env *env, const struct scene *scene)
{
    uint32_t count = (uint32_t)scene->count;
    if (scene->kind == SCENE_HOSTS)
        env->live = count;
    else if (scene->kind == SCENE_SILENT)
        env->silent = count;
    else
        env->lagging = count;
    env->missed &= env->lagging > 0;
}

static void play_scene(struct sim *s, const struct scene *scene)
{
    s->progress_ms = s->now_ms; /* something is new, and has its hour */
    switch (scene->kind) {
    case SCENE_BEGIN:
        return; /* it has begun */
    case SCENE_GUARD:
        s->answers[scene->index] = scene->answer;
        return;
    case SCENE_EXPOSED:
        s->exposed = scene->count;
        return;
    case SCENE_HOSTS:
    case SCENE_LAGGING:
    case SCENE_SILENT:
        set_hosts(&s->envs[scene->env], scene);
        return;
    case SCENE_DOWN:
    case SCENE_REBOOT:
        away(s, scene);
        return;
    case SCENE_CLOCK:
        s->wall_ms += scene->ms;
        return;
    case SCENE_EVENT:
        play_event(s, scene);
        return;
    case SCENE_SIGN:
    case SCENE_CHECK:
    case SCENE_HOLD:
    case SCENE_RESUME:
    case SCENE_ABORT:
    case SCENE_ALERT:
    case SCENE_KILL:
    case SCENE_RESTORE:
    case SCENE_NOTE:
        play_people(s, scene);
        return;
    }
}

/* When a line's time comes; INT64_MAX: not as things stand. */
static int64_t due_ms(const struct sim *s, const struct scene *scene)
{
    int64_t from = 0;
    if (scene->kind == SCENE_EVENT)
        return s->now_ms;
    for (uint32_t i = scene->step; i > 0 && i <= s->plan->step_count; i++) {
        from = s->came_ms[i - 1];
        if (from >= 0)
            break; /* at that step, or beyond it */
        from = INT64_MAX;
    }
    return from == INT64_MAX ? from : from + (int64_t)scene->at_ms;
}

/* ------------------------------------------------------------------ the whole */

static void begin(struct sim *s, const struct scenario *scenario)
{
    const struct scene *first = scenario->count ? &scenario->scenes[0] : NULL;
    bool told = first && first->kind == SCENE_BEGIN;
    s->wall_ms = s->start_ms = told ? first->ms : s->start_ms;
    s->commit = told && first->text.len ? first->text : SLICE("simulated");
    for (uint32_t i = 0; i < RELEASE_STEPS_MAX; i++)
        s->came_ms[i] = -1;
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++)
        s->envs[i] = (struct sim_env){.head = HEAD, .ours = HEAD, .live = 1};
    for (uint32_t g = 0; g < RELEASE_GUARDS_MAX; g++)
        s->answers[g].verdict = RELEASE_PASS;
    s->boot = 1;
    s->round_ms = s->plan->interval_ms;
    if (first && first->kind == SCENE_EVENT)
        return; /* the log has its own */
    struct release_event e = event_now(s, RELEASE_STARTED);
    e.by = told ? first->by : SLICE("simulation");
    hash_blake2b(e.bound.definitions, SLICE("before"));
    hear(s, &e);
    play(s, &e);
}

/* The lines of a log are all there is; a world goes on until nothing comes on any more. */
static bool goes_on(const struct sim *s, const struct scenario *scenario, uint32_t next)
{
    bool lives = s->r->state == RELEASE_MOVING || s->r->state == RELEASE_ROLLING_BACK;
    if (scenario->count && scenario->scenes[0].kind == SCENE_EVENT)
        return next < scenario->count;
    bool line_comes = next < scenario->count && due_ms(s, &scenario->scenes[next]) < INT64_MAX;
    return lives && (line_comes || s->now_ms - s->progress_ms < HOUR_MS);
}

static uint32_t play_all(struct sim *s, const struct scenario *scenario)
{
    uint32_t next = 0;
    begin(s, scenario);
    while (s->err == HOIST_OK && goes_on(s, scenario, next)) {
        int64_t due =
            next < scenario->count ? due_ms(s, &scenario->scenes[next]) : (int64_t)INT64_MAX;
        if (due <= s->round_ms) {
            if (due > s->now_ms)
                advance(s, due);
            play_scene(s, &scenario->scenes[next++]);
        } else {
            advance(s, s->round_ms);
            play_round(s);
        }
        if (s->now_ms > LONGEST_MS)
            s->err = err_set(HOIST_ELIMIT, "after two years it has not ended");
    }
    return scenario->count - next;
}

enum hoist_err release_simulate(const struct release_plan *plan, struct slice scenario,
                                int64_t from_ms, const struct release_watcher *watcher,
                                struct release_record *ret_record, int64_t *ret_wall_ms,
                                uint32_t *ret_unused)
{
    struct scenario read = {0};
    struct release_record record = {0};
    struct sim *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "out of memory");
    s->plan = plan;
    s->watcher = watcher;
    s->r = &record;
    s->start_ms = from_ms;
    enum hoist_err err = scenario_read(plan, scenario, &read);
    if (err == HOIST_OK) {
        uint32_t unused = play_all(s, &read);
        err = s->err;
        if (err == HOIST_OK) {
            *ret_record = record;
            *ret_wall_ms = s->last_ms;
            *ret_unused = unused;
        }
    }
    scenario_done(&read);
    mem_free(s);
    return err;
}
