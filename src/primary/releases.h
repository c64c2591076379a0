/* releases.h - the releases that this primary runs.
 *
 * A release is its rows in the store (store/release.c): the plan as it was written, then its events, of which
 * the record is the fold (release/engine.h). An event and the change that it brings about are put in one
 * transaction; the record that is kept here moves on once that is committed.
 *
 * Threads: the writer's, but for releases_show() and releases_show_newest().
 */
#ifndef PRIMARY_RELEASES_H
#define PRIMARY_RELEASES_H

#include "primary/command.h"
#include "primary/roll.h"
#include "release/engine.h"

enum {
    RELEASES_LINES_MAX = 1 << 20, /* bytes for the log, in one transaction */
    RELEASES_KEPT = 256, /* in memory: all that have not ended, and the newest of those that have */
    RELEASES_LIVE = 200, /* at a time */
    RELEASE_PLAN_MAX = 1 << 20, /* bytes of a plan */
    RELEASE_FIRST_EVENT = 1,    /* the sequence behind the plan's */
};

struct releases;

struct release_yield { /* by a release's flags in an environment, at the last round */
    uint64_t count;
    uint8_t env;
    bool is_known;
};

struct release {
    uint32_t id;
    struct release_plan *plan;
    struct release_record record; /* as it is committed; others read it under the lock */

    /* The writer's own: as the transaction under way has it. */
    struct release_record next;
    uint64_t sequence, next_sequence;
    struct buf lines; /* for the log: each a level, a text and a NUL */
    bool is_new;
    bool was_read; /* from the store, and its log does not say yet that the primary was restarted */

    /* PASS to ERROR, since the start; under the lock, too. And those of the transaction under way. */
    uint64_t verdicts[RELEASE_GUARDS_MAX][4];
    uint32_t next_verdicts[RELEASE_GUARDS_MAX][4];

    int64_t failing_ms[RELEASE_GUARDS_MAX]; /* since when each has not passed again; 0: it does */
    uint64_t stood_ms[RELEASE_CONDITIONS];  /* stood still, by what was unmet; likewise */
    int64_t counted_ms;                     /* up to when that is; 0: no round yet */

    int64_t due_ms;   /* when the next round is to begin; clock_mono_ms() */
    int64_t asked_ms; /* when the round began that has no answers yet; 0: there is none */
    bool is_due;      /* once the transaction under way is committed: at once */
    bool no_room;     /* a step's change did not fit into the store */
    struct release_yield yielded, next_yielded;

    uint32_t readers; /* who has borrowed it; under the lock, as is … */
    bool is_gone;     /* the last of them frees it */
};

/* Read them all. A release whose rows cannot be read is named in the log, and left. ENOMEM, EIO. */
MUST_USE enum hoist_err releases_open(struct store *s, struct releases **ret);
void releases_close(struct releases *rs);

/* How the hosts stand, as counted since the last releases_begin(). */
struct rolls *releases_rolls(struct releases *rs);

/* Before a transaction: nothing of the last one counts that was not committed. And after its commit. */
void releases_begin(struct releases *rs);
void releases_committed(struct releases *rs);

/* How long it stood still up to now, for the metrics. */
void releases_count_standing(struct releases *rs, struct release *r);

/* The newest release of that name; NULL: there is none. */
struct release *releases_find(const struct releases *rs, struct slice name);

struct release *releases_by_id(const struct releases *rs, uint32_t id);

/* The one that moves this flag, or is taking it back; NULL: none does. */
struct release *releases_owner(const struct releases *rs, struct slice env, struct slice key);

struct release *releases_nth(const struct releases *rs, uint32_t n); /* NULL behind the last */

/* Any thread: show the newest release called `name`, or with no name all of them, the newest first, as they
 * are committed. How many there were. The writer waits meanwhile. */
uint32_t releases_show(struct releases *rs, struct slice name,
                       void (*show)(void *arg, const struct release *r), void *arg);

/* The same for the newest of each name. */
void releases_show_newest(struct releases *rs, void (*show)(void *arg, const struct release *r),
                          void *arg);

/* Any thread: the newest called `name`, which stays until it is given back: its `id` and `plan` alone may be
 * looked at, and the writer waits for nobody. NULL: there is none. */
struct release *releases_borrow(struct releases *rs, struct slice name);
void releases_give_back(struct releases *rs, struct release *r);

/* ------------------------------------------------------------------ events (release_take.c) */

struct release_work { /* what an event is taken with */
    struct store_write *w;
    const struct sign_key *key; /* changes are signed with; NULL: they are not */
    struct fleet *fleet;
    int64_t wall_ms;
    struct answer *answer; /* takes the change, of which there is one at most */
};

/* An event of now, by the clocks of this machine. */
struct release_event release_event_now(enum release_event_kind kind, int64_t wall_ms);

/* How many have not ended. */
uint32_t releases_live(const struct releases *rs);

/* Begin a release, of RELEASES_LIVE at the most: `plan` is the caller's until this gives it a place. `event` is a RELEASE_STARTED. */
MUST_USE enum hoist_err releases_start(struct releases *rs, const struct release_work *work,
                                       struct release_plan *plan, struct slice yaml,
                                       const struct release_event *event,
                                       struct release_effects *ret);

/* Take an event: put its row, and do what it brings about. refused in *ret: it was not put. A round that would
 * begin a step whose change cannot be made is not put either, but that the release is held, and why. What
 * cannot go back, since this primary was set back, is asked for again by each round, and the work's answer
 * says so. On error the transaction may hold a part of it, and is to be aborted. */
MUST_USE enum hoist_err release_take(struct release *r, const struct release_work *work,
                                     const struct release_event *event,
                                     struct release_effects *ret);

struct release_look { /* what hosts are looked at with */
    struct store_read *read;
    struct fleet *fleet; /* NULL: there are none */
    struct rolls *rolls;
};

/* How the hosts of environment number `env` stand to what the release has changed there. ENOMEM. */
MUST_USE enum hoist_err release_look_at_fleet(const struct release *r,
                                              const struct release_record *record,
                                              const struct release_look *look, uint8_t env,
                                              struct release_fleet *ret);

/* The hash of its flags' definitions, overrides apart, in all its environments. */
MUST_USE enum hoist_err release_definitions(const struct release_plan *plan, struct store_read *r,
                                            uint8_t ret[HASH_SIZE]);

/* ------------------------------------------------------------------ rounds (release_round.c) */

struct release_round { /* answers of the guards */
    uint32_t id, step;
    uint32_t asked;
    struct release_answer answers[RELEASE_GUARDS_MAX];
};

/* Take a round: overrides that came or went, changes by others, the round itself. */
MUST_USE enum hoist_err release_take_round(struct releases *rs, const struct release_work *work,
                                           const struct release_round *round);

/* Whether every live host has the baseline of a release that is rolled back, and it does not know yet. */
bool release_is_back(const struct release *r, const struct release_look *look);

#endif
