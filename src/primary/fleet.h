/* fleet.h - the ledger: what the hosts have told of themselves. Who follows what, at which version,
 * how it stands; who has a change that was committed (landing.c); and whether one of them proves
 * to have a version that this primary does not have: then the primary was set back (set_back.c).
 *
 * Kept in memory, since hosts tell it again each 2 seconds and a few milliseconds after a commit;
 * who they are is kept in the store as well (ledger.h), so that a primary that starts knows whom
 * it has not heard yet.
 * Threads: any.
 */
#ifndef PRIMARY_FLEET_H
#define PRIMARY_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/metrics.h"
#include "repl/told.h"
#include "store/store.h"
#include "wire/frame.h"

enum {
    FLEET_SILENT_MS = 10000,  /* not heard for longer: silent; heard within that: live */
    FLEET_HOSTS_MAX = 262144, /* then one that was silent long is forgotten */
    FLEET_WHY_SIZE = 512,
    FLEET_LANDINGS = 64,       /* commits that are watched at a time … */
    FLEET_ASKER_LANDINGS = 48, /* … and of those the ones for which one asker waits */
    FLEET_NAMES_MAX = 1000,    /* hosts that are named in one answer */
};

enum fleet_state { FLEET_CURRENT, FLEET_BEHIND, FLEET_SILENT, FLEET_REFUSING, FLEET_STATES };

struct fleet;

MUST_USE enum hoist_err fleet_new(struct fleet **ret);
void fleet_free(struct fleet *f);

/* How many hosts it has room for, at most; FLEET_HOSTS_MAX unless that is said. */
void fleet_set_room(struct fleet *f, uint32_t hosts);

/* The key that this primary signs with, which stays the caller's: what it has signed, or a key that
 * a certificate of the store leads to, is believed of a host that says it has what is not here. */
void fleet_sign_with(struct fleet *f, const struct sign_key *key);

/* "current", "behind", "silent", "refusing". */
const char *fleet_state_name(enum fleet_state state);

/* A host told something of itself. `r` was begun after that was received, so that what the host has
 * and the store has not can only come from a later past. What a relay passes on counts from when
 * the relay heard it: it is dropped if the host was heard later by another way. */
void fleet_heard(struct fleet *f, struct store_read *r, const struct told_host *told,
                 int64_t mono_ns);

/* Whether a version of `epoch`, or a greater epoch, was heard of, and proven, that this primary does
 * not have, with the sentence. */
bool fleet_set_back(struct fleet *f, const char *env, uint64_t epoch, char why[FLEET_WHY_SIZE]);

/* The greatest epoch above this primary's that a host has proved for `env`; 0: none. */
uint64_t fleet_epoch(struct fleet *f, const char *env);

/* ------------------------------------------------------------------ looking */

/* A host that follows an environment, as it stands there. Borrowed while it is shown. */
struct fleet_host {
    struct slice id, software;
    struct slice via; /* the relay it hangs on; empty: this primary */
    const struct label *labels;
    uint32_t label_count;
    enum fleet_state state;
    uint64_t epoch, version, lag;
    int64_t behind_ms; /* since when its version has been below the head; 0: it is not */
    int64_t seen_ms;   /* since it was last heard */
    bool duplicate;    /* another host calls itself the same */
    const struct refusal *refusals; /* in all environments */
    uint32_t refusal_count;
};

/* Show each host that follows `env`, in the order of ids. `show` must not call any of these. */
void fleet_each(struct fleet *f, const struct store_env *env,
                void (*show)(void *arg, const struct fleet_host *host), void *arg);

/* Show host `id`, if it follows `env`. */
void fleet_one(struct fleet *f, const struct store_env *env, struct slice id,
               void (*show)(void *arg, const struct fleet_host *host), void *arg);

void fleet_counts(struct fleet *f, const struct store_env *env, int64_t mono_ms,
                  uint32_t ret[FLEET_STATES]);

bool fleet_has(struct fleet *f, struct slice id);

/* An id that `id` may be a slip of; false: there is none. */
bool fleet_near(struct fleet *f, struct slice id, char ret[FRAME_ID_MAX + 1]);

/* The next host behind `after` ("": the first) that was not heard of for so long; false: there is none. `ret`
 * may be what `after` lies in. */
bool fleet_next_silent(struct fleet *f, struct slice after, int64_t silent_ms,
                       char ret[FRAME_ID_MAX + 1]);

/* Forget it: it is neither waited for nor shown any more. Should it speak again, it is new. */
void fleet_retire(struct fleet *f, struct slice id);

/* ------------------------------------------------------------------ landings (landing.c) */

/*
 * A commit lands on the hosts that are live at that moment: those that follow the environment and
 * were heard of within 10 s before it. Who falls silent afterwards is still waited for, who joins
 * later is not. A host has it when it has committed that version, or one behind it, of this
 * primary's history: one that is ahead of the primary has another.
 */
extern const double fleet_landing_buckets[]; /* of the histograms that measure it */

struct fleet_commit {
    const char *env;
    uint64_t epoch, first, version; /* versions first … version, committed together */
    struct metric *duration;        /* a histogram: until the last live host has it; or NULL */
    struct metric *since_asked;     /* another: the same from `asked_ns` on; or NULL */
    int64_t asked_ns;
};
void fleet_committed(struct fleet *f, const struct fleet_commit *c, int64_t mono_ns);

struct fleet_wait {
    uint32_t percent;  /* of the hosts, which are to have it */
    const void *asker; /* who waits, to be compared with others */
};

struct fleet_landing {
    uint32_t hosts, have;
    bool reached; /* by as many of them as were asked for */
    int64_t ns; /* from the commit to the report of the last one that has it; not reached: to now */
    struct slice *missing, *silent; /* the first FLEET_NAMES_MAX */
    uint32_t missing_count, silent_count;
};

/*
 * How far version `version` has landed. Whoever asks goes on asking: what was asked for is watched
 * for 10 s longer. A version that is not watched is from here on: for the hosts that are live now.
 *
 * Gives:   ids, copied into `arena`: those that are waited for, and those that follow the
 *          environment, have not got it and have not been heard of for 10 s.
 * Errors:  EBUSY (as many others are waited for as can be watched, or by this asker), ENOMEM
 */
MUST_USE enum hoist_err fleet_landing(struct fleet *f, const struct fleet_commit *c,
                                      const struct fleet_wait *wait, int64_t mono_ns,
                                      struct arena *arena, struct fleet_landing *ret);

#endif
