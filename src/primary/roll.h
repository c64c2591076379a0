/* roll.h - how an environment's hosts stand, counted once for all releases that ask.
 *
 * Counting looks at each host, and 200 releases on 100,000 of them would hold the writer up for seconds.
 * So what any release can ask is counted at once: how many are live, and how many are at which version.
 * Threads: the writer's.
 */
#ifndef PRIMARY_ROLL_H
#define PRIMARY_ROLL_H

#include "primary/fleet.h"

struct roll_run {
    uint64_t version;
    uint32_t hosts; /* at this version, or below it */
};

struct roll { /* of an environment, in one epoch */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch;
    uint32_t live, silent;
    uint32_t off;          /* live, but refusing or in another epoch: they lag behind anything */
    struct roll_run *runs; /* of the other live ones, by version */
    size_t count, cap;
};

struct rolls { /* all zero: nothing is counted yet */
    struct roll *all;
    size_t count, cap;
};

/* What was counted is too old to be asked for. */
void rolls_clear(struct rolls *rolls);
void rolls_done(struct rolls *rolls);

/* *ret is good until the next of these calls. ENOMEM. */
MUST_USE enum hoist_err rolls_get(struct rolls *rolls, struct fleet *f, const struct store_env *env,
                                  const struct roll **ret);

/* How many live hosts have not got that version. */
uint32_t roll_lagging(const struct roll *roll, uint64_t version);

#endif
