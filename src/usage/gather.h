/* gather.h - the agent's side of counting: a thread that takes over what the programs on this host
 * have counted (usage/segment.h).
 *
 * Programs hand it their segments at a socket in the store's directory. Once a second, and when a
 * program ends, however it does, it adds up what each has counted since. What is not of this
 * store, or of no flag or variant that is in it now, is left out: so whatever a program writes, the names
 * that come out are those of the store.
 */
#ifndef USAGE_GATHER_H
#define USAGE_GATHER_H

#include <stdint.h>

#include "store/store.h"

enum {
    GATHER_EVERY_MS = 1000,
    GATHER_PROCESSES = STORE_READERS,
    GATHER_SLOTS = 8 << 20, /* of all processes together */
};

struct gather;

/* In `env`, flag `key` yielded `variant` (empty: none, the callers' fallback held) `n` times more.
 * From the gatherer's thread; the names are borrowed for the call. */
typedef void (*gather_add)(void *arg, struct slice env, struct slice key, struct slice variant,
                           uint64_t n);

/*
 * Begin, on a store that stays open until gather_stop().
 *
 * Errors:  EIO     the socket cannot be made
 *          ENOMEM
 */
MUST_USE enum hoist_err gather_start(struct store *s, gather_add add, void *arg,
                                     struct gather **ret);

/* Takes over what there is, and ends. NULL is fine. */
void gather_stop(struct gather *g);

#endif
