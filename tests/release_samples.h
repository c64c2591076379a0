/* release_samples.h - plans made by hand or by a die, for tests, fuzzers and benches. */
#ifndef RELEASE_SAMPLES_H
#define RELEASE_SAMPLES_H

#include <string.h>

#include "release/engine.h"

enum {
    SAMPLE_INTERVAL_MS = 10000,
    SAMPLE_PEOPLE = 5,
    SAMPLE_MINUTE = 60000,
    SAMPLE_HOUR = 3600000
};

struct sample { /* a plan and all it points to; no arena */
    struct release_plan plan;
    struct slice envs[2];
    struct release_flag flags[2];
    struct release_step steps[8];
    struct release_guard guards[4];
    struct release_check checks[3];
    struct release_role roles[2];
    uint8_t people[2][SAMPLE_PEOPLE];
    struct release_sign signs[8][2];
    struct slice names[SAMPLE_PEOPLE];
    struct slice alerts[2];
};

static inline uint64_t sample_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint32_t sample_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(sample_random(state) >> 32) % bound;
}

/* What all of them have: two environments, two flags, people, roles, checks, guards, alerts. */
static inline void sample_frame(struct sample *s)
{
    static const struct slice people[SAMPLE_PEOPLE] = {SLICE("ana"), SLICE("bob"), SLICE("cleo"),
                                                       SLICE("dan"), SLICE("eva")};
    *s = (struct sample){
        .envs = {SLICE("staging"), SLICE("production")},
        .flags = {{SLICE("mgi.enabled"), SLICE("on"), SLICE("off")},
                  {SLICE("mgi.sync"), SLICE("on"), SLICE("off")}},
        .guards = {{.name = SLICE("failures"),
                    .pass = {RELEASE_LE, 1},
                    .critical = {RELEASE_GT, 9}},
                   {.name = SLICE("latency"), .pass = {RELEASE_LT, 2}},
                   {.name = SLICE("headroom"), .pass = {RELEASE_GE, 0.2}},
                   {.name = SLICE("logs"), .pass = {RELEASE_LE, 1}, .hold = true}},
        .checks = {{.name = SLICE("tests")},
                   {.name = SLICE("contract")},
                   {.name = SLICE("limits"), .every_ms = 24 * SAMPLE_HOUR}},
        .roles = {{.name = SLICE("qa_lead"), .people_count = 3},
                  {.name = SLICE("release_manager"), .people_count = 3}},
        .people = {{0, 1, 2}, {2, 3, 4}},
        .alerts = {SLICE("SyncStalled"), SLICE("TargetMissing")},
    };
    memcpy(s->names, people, sizeof people);
    memset(s->plan.hash, 7, HASH_SIZE);
    for (int i = 0; i < 2; i++)
        s->roles[i].people = s->people[i];
    for (int i = 0; i < 8; i++)
        s->steps[i].signs = s->signs[i];
    s->plan.name = SLICE("mgi");
    s->plan.envs = s->envs;
    s->plan.flags = s->flags;
    s->plan.steps = s->steps;
    s->plan.guards = s->guards;
    s->plan.checks = s->checks;
    s->plan.roles = s->roles;
    s->plan.people = s->names;
    s->plan.alerts = s->alerts;
    s->plan.env_count = s->plan.flag_count = s->plan.role_count = s->plan.alert_count = 2;
    s->plan.guard_count = 4;
    s->plan.check_count = 3;
    s->plan.people_count = SAMPLE_PEOPLE;
    s->plan.interval_ms = SAMPLE_INTERVAL_MS;
    s->plan.abort_after = 3;
}

/* Documentation signed; everybody in staging, soaked; its gate; 10% and 100% of production; watch. */
static inline void sample_plan(struct sample *s)
{
    sample_frame(s);
    s->plan.step_count = 6;
    s->plan.sign_valid_ms = 48 * (uint64_t)SAMPLE_HOUR;
    struct release_step *t = s->steps;
    for (int i = 0; i < 6; i++)
        t[i].share = RELEASE_NO_CHANGE;
    t[0].phase = RELEASE_FLAGS;
    t[0].env = RELEASE_NO_ENV;
    t[0].sign_count = 1;
    s->signs[0][0] = (struct release_sign){0, SLICE("the strategy is written")};
    t[1].phase = t[2].phase = RELEASE_STAGING;
    t[1].share = RELEASE_EVERYBODY;
    t[1].guards = 3;
    t[1].soak_ms = 10 * SAMPLE_MINUTE;
    t[1].exposed = 500;
    t[2].guards = 3;
    t[2].checks = 3;
    t[2].sign_count = 2;
    s->signs[2][0] = (struct release_sign){0, SLICE("staging checklist passed")};
    s->signs[2][1] = (struct release_sign){1, SLICE("go for production")};
    t[3].phase = t[4].phase = RELEASE_PRODUCTION;
    t[5].phase = RELEASE_WATCH;
    s->plan.phases[RELEASE_WATCH].first = 5;
    s->plan.phases[RELEASE_WATCH].count = 1;
    t[3].env = t[4].env = t[5].env = 1;
    t[3].guards = t[4].guards = t[5].guards = 15;
    t[3].window = t[4].window = (struct release_window){0x0f, 9 * 60, 16 * 60};
    t[3].share = RELEASE_EVERYBODY / 10;
    t[3].soak_ms = SAMPLE_HOUR;
    t[3].exposed = 200;
    t[4].share = RELEASE_EVERYBODY;
    t[4].soak_ms = SAMPLE_HOUR;
    t[5].soak_ms = 24 * (uint64_t)SAMPLE_HOUR;
    t[5].checks = 4;
}

static inline struct release_window sample_window(uint64_t *die)
{
    if (sample_below(die, 4) != 0)
        return (struct release_window){0};
    uint16_t from = (uint16_t)sample_below(die, 1200);
    return (struct release_window){(uint8_t)(1 + sample_below(die, 127)), from,
                                   (uint16_t)(from + 1 + sample_below(die, 240))};
}

/* Environments come one after the other, perhaps none at first. */
static inline uint8_t sample_next_env(struct sample *s, uint32_t i, uint64_t *die)
{
    if (i == 0)
        return sample_below(die, 4) ? 0 : RELEASE_NO_ENV;
    uint8_t before = s->steps[i - 1].env;
    return before == RELEASE_NO_ENV ? 0 : before == 0 && sample_below(die, 3) ? 0 : 1;
}

static inline void sample_random_step(struct sample *s, uint32_t i, uint32_t *share, uint64_t *die)
{
    struct release_step *t = &s->steps[i];
    t->env = sample_next_env(s, i, die);
    t->phase = t->env == 1 ? RELEASE_PRODUCTION : RELEASE_STAGING;
    if (i && t->env != s->steps[i - 1].env)
        *share = 0;
    t->share = RELEASE_NO_CHANGE;
    if (t->env != RELEASE_NO_ENV && *share < RELEASE_EVERYBODY && sample_below(die, 3) != 0)
        t->share = *share += 1 + sample_below(die, RELEASE_EVERYBODY - *share);
    t->window = sample_window(die);
    t->soak_ms = sample_below(die, 4) * (SAMPLE_INTERVAL_MS + sample_below(die, 7000));
    t->exposed = sample_below(die, 3) * sample_below(die, 40);
    t->guards = sample_below(die, 16);
    t->checks = sample_below(die, 4) == 0 ? sample_below(die, 8) : 0;
    t->sign_count = sample_below(die, 4) == 0 ? 1 + sample_below(die, 2) : 0;
    for (uint32_t n = 0; n < t->sign_count; n++)
        s->signs[i][n] = (struct release_sign){(uint8_t)n, SLICE("it is well")};
}

static inline void sample_random_plan(struct sample *s, uint64_t *die)
{
    uint32_t share = 0;
    sample_frame(s);
    s->plan.step_count = 2 + sample_below(die, 5);
    s->plan.abort_after = 1 + sample_below(die, 3);
    s->plan.max_silent = sample_below(die, 2);
    s->plan.sign_valid_ms = sample_below(die, 2) ? 0 : (1 + sample_below(die, 20)) * SAMPLE_MINUTE;
    s->checks[2].every_ms = (1 + sample_below(die, 20)) * SAMPLE_MINUTE;
    for (uint32_t i = 0; i < s->plan.step_count; i++)
        sample_random_step(s, i, &share, die);
}

#endif
