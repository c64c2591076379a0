/* bench_engine - what a release costs whoever runs it, in processor time, medians of rounds.
 *
 *   engine_step     a round: four guards, two environments; and how many such a second is
 *   engine_fold     the same from its row in the log, as a restart reads it
 *   engine_waiting  the answer to "what does it wait for"
 *
 * Beside each: the copy of a record, which is what a step could not do without if it changed it in a
 * copy.
 */
#include <stdio.h>
#include <time.h>

#include "../tests/release_samples.h"
#include "bench.h"
#include "release/waiting.h"

enum { STEPS = 200000 };

struct subject {
    struct sample sample;
    struct release_record record;
    struct release_event tick;
    struct buf row;
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A release that stands in its watch, and a round of it in which all is well. */
static void prepare(struct subject *s)
{
    struct release_effects fx;
    sample_plan(&s->sample);
    s->sample.plan.steps[5].soak_ms = UINT64_MAX;
    struct release_event start = {.kind = RELEASE_STARTED, .by = SLICE("ana"), .fleet_count = 2};
    start.fleet[1].env = 1;
    memcpy(start.bound.plan, s->sample.plan.hash, HASH_SIZE);
    release_step(&s->sample.plan, &s->record, &start, &fx);
    s->record.step = 5;
    s->record.envs[1].touched = 1;
    s->record.envs[1].version = 42;
    s->tick = (struct release_event){.kind = RELEASE_TICK, .boot = 1, .step = 5, .asked = 15};
    for (int g = 0; g < 4; g++)
        s->tick.answers[g] = (struct release_answer){RELEASE_PASS, 0.31};
    s->tick.fleet_count = 2;
    s->tick.fleet[0] = (struct release_fleet){0, 7, 3, 0, 0};
    s->tick.fleet[1] = (struct release_fleet){1, 42, 100, 0, 0};
}

static double run_step(struct subject *s)
{
    struct release_effects fx;
    int64_t begin = cpu_ns();
    for (int i = 0; i < STEPS; i++) {
        s->tick.boot_ms += SAMPLE_INTERVAL_MS;
        release_step(&s->sample.plan, &s->record, &s->tick, &fx);
    }
    return (double)(cpu_ns() - begin) / STEPS;
}

/* One row again and again: its clock stands still, and so does the soak. */
static double run_fold(struct subject *s)
{
    buf_clear(&s->row);
    if (release_event_encode(&s->tick, &s->row))
        bench_die("a row");
    int64_t begin = cpu_ns();
    for (int i = 0; i < STEPS; i++)
        if (release_fold(&s->sample.plan, &s->record, buf_slice(&s->row)))
            bench_die("a fold");
    return (double)(cpu_ns() - begin) / STEPS;
}

static double run_waiting(struct subject *s)
{
    static struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t lines = 0;
    int64_t begin = cpu_ns();
    for (int i = 0; i < STEPS; i++)
        lines += release_waiting(&s->sample.plan, &s->record, i, waits);
    return lines ? (double)(cpu_ns() - begin) / STEPS : -1;
}

static double run_copy(struct subject *s)
{
    struct release_record copy;
    int64_t begin = cpu_ns();
    for (int i = 0; i < STEPS; i++) {
        copy = s->record;
        __asm__ volatile("" : : "r"(&copy) : "memory");
    }
    return (double)(cpu_ns() - begin) / STEPS;
}

static struct measure {
    const char *name, *params;
    double (*run)(struct subject *s);
    double value[BENCH_ROUNDS], ratio[BENCH_ROUNDS];
} measures[] = {
    {.name = "engine_step", .params = "a round, 4 guards", .run = run_step},
    {.name = "engine_fold", .params = "the same from its row", .run = run_fold},
    {.name = "engine_waiting", .params = "of 4 conditions", .run = run_waiting},
};

enum { MEASURES = sizeof measures / sizeof *measures };

int main(int argc, char **argv)
{
    static struct subject s = {.row = {.max = RELEASE_ROW_MAX}};
    double rate[BENCH_ROUNDS];
    if (!bench_wants(argc, argv, "engine"))
        return 0;
    prepare(&s);
    run_step(&s); /* does not count */
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        double copy = run_copy(&s);
        for (int i = 0; i < MEASURES; i++) {
            measures[i].value[round] = measures[i].run(&s);
            measures[i].ratio[round] = measures[i].value[round] / copy;
        }
        rate[round] = 1e9 / measures[0].value[round];
    }
    for (int i = 0; i < MEASURES; i++)
        bench_print(measures[i].name, measures[i].params,
                    bench_median(measures[i].value, BENCH_ROUNDS), "ns", "copy of a record",
                    bench_median(measures[i].ratio, BENCH_ROUNDS));
    bench_print("engine_steps", "a round, 4 guards", bench_median(rate, BENCH_ROUNDS), "steps/s",
                NULL, 0);
    buf_done(&s.row);
    return 0;
}
