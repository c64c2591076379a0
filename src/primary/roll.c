#include "primary/roll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Hosts at few versions, in any order, shall not make a run each. */
enum { RUNS_FIRST = 16, RUNS_LOOK = 4 };

/* ------------------------------------------------------------------ counting */

struct counting {
    struct roll *roll;
    bool failed; /* memory is out */
};

static void add(struct counting *c, uint64_t version)
{
    struct roll *roll = c->roll;
    for (size_t i = roll->count; i > 0 && i + RUNS_LOOK > roll->count; i--)
        if (roll->runs[i - 1].version == version) {
            roll->runs[i - 1].hosts++;
            return;
        }
    if (roll->count == roll->cap) {
        struct roll_run *more = mem_grow(roll->runs, &roll->cap, RUNS_FIRST, sizeof *more);
        c->failed |= !more;
        if (!more)
            return;
        roll->runs = more;
    }
    roll->runs[roll->count++] = (struct roll_run){version, 1};
}

static void count_host(void *arg, const struct fleet_host *host)
{
    struct counting *c = arg;
    if (host->state == FLEET_SILENT) {
        c->roll->silent++;
        return;
    }
    c->roll->live++;
    if (host->epoch != c->roll->epoch || host->state == FLEET_REFUSING)
        c->roll->off++;
    else
        add(c, host->version);
}

static int by_version(const void *a, const void *b)
{
    uint64_t x = ((const struct roll_run *)a)->version, y = ((const struct roll_run *)b)->version;
    return (x > y) - (x < y);
}

/* One run for each version, which counts those below as well. */
static void sum_up(struct roll *roll)
{
    size_t kept = 0;
    if (roll->count > 0)
        qsort(roll->runs, roll->count, sizeof *roll->runs, by_version);
    for (size_t i = 0; i < roll->count; i++) {
        struct roll_run run = roll->runs[i];
        run.hosts += kept > 0 ? roll->runs[kept - 1].hosts : 0;
        kept += kept == 0 || roll->runs[kept - 1].version != run.version;
        roll->runs[kept - 1] = run;
    }
    roll->count = kept;
}

static enum hoist_err call(struct roll *roll, struct fleet *f, const struct store_env *env)
{
    struct counting c = {.roll = roll};
    snprintf(roll->env, sizeof roll->env, "%s", env->name);
    roll->epoch = env->epoch;
    fleet_each(f, env, count_host, &c);
    if (c.failed)
        return err_set(HOIST_ENOMEM, "out of memory");
    sum_up(roll);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ asking */

void rolls_clear(struct rolls *rolls)
{
    for (size_t i = 0; i < rolls->count; i++)
        mem_free(rolls->all[i].runs);
    rolls->count = 0;
}

void rolls_done(struct rolls *rolls)
{
    rolls_clear(rolls);
    mem_free(rolls->all);
    *rolls = (struct rolls){0};
}

enum hoist_err rolls_get(struct rolls *rolls, struct fleet *f, const struct store_env *env,
                         const struct roll **ret)
{
    for (size_t i = 0; i < rolls->count; i++) {
        const struct roll *roll = &rolls->all[i];
        if (roll->epoch == env->epoch && strcmp(roll->env, env->name) == 0) {
            *ret = roll;
            return HOIST_OK;
        }
    }
    if (rolls->count == rolls->cap) {
        struct roll *more = mem_grow(rolls->all, &rolls->cap, 2, sizeof *more);
        if (!more)
            return err_set(HOIST_ENOMEM, "out of memory");
        rolls->all = more;
    }
    struct roll *roll = &rolls->all[rolls->count];
    *roll = (struct roll){0};
    enum hoist_err err = call(roll, f, env);
    if (err) {
        mem_free(roll->runs);
        return err;
    }
    rolls->count++;
    *ret = roll;
    return HOIST_OK;
}

uint32_t roll_lagging(const struct roll *roll, uint64_t version)
{
    size_t low = 0, high = roll->count; /* the first run that has it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (roll->runs[middle].version < version)
            low = middle + 1;
        else
            high = middle;
    }
    return roll->off + (low > 0 ? roll->runs[low - 1].hosts : 0);
}
