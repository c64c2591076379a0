/* fleet.h - what the hosts have told of themselves: how many are current, and whether one of them
 * has a version that this primary does not have, which shows that the primary was set back.
 *
 * Kept in memory: hosts tell it again each 2 seconds, and with a hello when they connect.
 * Threads: any.
 */
#ifndef PRIMARY_FLEET_H
#define PRIMARY_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "wire/frame.h"

enum {
    FLEET_SILENT_MS = 10000,
    FLEET_HOSTS_MAX = 65536, /* then the one that was silent longest is forgotten */
    FLEET_WHY_SIZE = 512,
};

enum fleet_state { FLEET_CURRENT, FLEET_BEHIND, FLEET_SILENT, FLEET_REFUSING, FLEET_STATES };

struct fleet;

MUST_USE enum hoist_err fleet_new(struct fleet **ret);
void fleet_free(struct fleet *f);

/* A host told its status. `r` was begun after that was received, so that what the host has and the
 * store has not can only come from a later past. */
void fleet_heard(struct fleet *f, struct store_read *r, const struct frame_status *status,
                 int64_t mono_ms);

/* Whether a version of `epoch` was heard of that this primary does not have, with the sentence. */
bool fleet_set_back(struct fleet *f, const char *env, uint64_t epoch, char why[FLEET_WHY_SIZE]);

/* The greatest epoch that any host named for `env`; 0: none. */
uint64_t fleet_epoch(struct fleet *f, const char *env);

void fleet_counts(struct fleet *f, const char *env, int64_t mono_ms, uint32_t ret[FLEET_STATES]);

#endif
