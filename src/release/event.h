/* event.h - what happens to a release, and how it is kept.
 *
 *   row = [ major, kind, wall_ms, boot, boot_ms, the kind's fields …, … ]
 *
 * The events of a release, in their order, are all there is of it: its record is their fold
 * (engine.h). Guards, checks, roles, flags and environments stand there by their index in the plan as
 * release_plan_read() orders it, which is for ever. Readers ignore elements behind those they know; a kind that they do not know is EVERSION.
 */
#ifndef RELEASE_EVENT_H
#define RELEASE_EVENT_H

#include "base/buf.h"
#include "release/plan.h"

enum {
    RELEASE_EVENT_MAJOR = 1,
    RELEASE_EVIDENCE_MAX = 16 << 10,
    RELEASE_COMMIT_MAX = 64,
    RELEASE_ROW_MAX = 32 << 10,
    RELEASE_BASELINE = UINT32_MAX, /* in the place of a step: the way back */
};

enum release_event_kind {
    RELEASE_STARTED = 1, /* by, bound, fleet: the head of each environment, which is the baseline */
    RELEASE_TICK,        /* step, exposed, answers, fleet: one round */
    RELEASE_CHANGED,  /* step, env, version, bound: the primary has committed what it was told to */
    RELEASE_FLEET,    /* fleet, between two rounds */
    RELEASE_SIGNED,   /* step, role, by, bound */
    RELEASE_ATTESTED, /* step, check, passed, by, bound, evidence */
    RELEASE_HELD,     /* by, text */
    RELEASE_RESUMED,  /* by */
    RELEASE_ABORTED,  /* by, text: somebody wants it back */
    RELEASE_ALERTED,  /* text: the name of an alert that fires */
    RELEASE_KILLED,   /* env, flag, by: an override stands on one of its flags */
    RELEASE_RESTORED, /* env, flag, by: it is gone */
    RELEASE_RESTARTED, /* the primary was, and has read the log */
    RELEASE_NOTED,     /* by, text: feedback, an incident; decides nothing */
    RELEASE_EVENT_KINDS
};

struct release_answer {
    enum release_verdict verdict;
    double value; /* of PASS and FAIL; else 0 */
};

struct release_fleet { /* the hosts of an environment, as they stand to a version */
    uint8_t env;
    uint64_t version; /* asked about: lagging hosts have less */
    uint32_t live, lagging, silent;
};

struct release_bound_to { /* what a signature is of */
    uint8_t plan[HASH_SIZE];
    uint8_t definitions[HASH_SIZE]; /* of its flags in all its environments, as they stand */
    struct slice commit;            /* of the program that is shipped, in git */
};

struct release_event { /* texts are borrowed; of the rest, what its kind does not have is 0 */
    enum release_event_kind kind;
    int64_t wall_ms;
    uint64_t boot;    /* which start of the machine */
    uint64_t boot_ms; /* CLOCK_BOOTTIME */

    uint32_t step;
    uint8_t env, flag, role, check; /* indices */
    bool passed;
    uint64_t version;
    uint64_t exposed; /* evaluations that yielded `on` since the last round */
    uint32_t asked;   /* bit set of guards that have an answer */
    struct release_answer answers[RELEASE_GUARDS_MAX];
    uint32_t fleet_count;
    struct release_fleet fleet[RELEASE_ENVS_MAX];
    struct release_bound_to bound;
    struct slice by, text;
    struct slice evidence; /* argv, exit, duration, digest of the output: as it was submitted */
};

/* "started", "tick" …; the kind of that name, or 0. */
const char *release_event_name(enum release_event_kind kind);
enum release_event_kind release_event_kind(struct slice name);

/* Whether a kind has a field, by its bit. For whoever writes events in another form. */
enum release_event_field {
    RELEASE_HAS_STEP = 1 << 0,
    RELEASE_HAS_ENV = 1 << 1,
    RELEASE_HAS_FLAG = 1 << 2,
    RELEASE_HAS_ROLE = 1 << 3,
    RELEASE_HAS_CHECK = 1 << 4,
    RELEASE_HAS_PASSED = 1 << 5,
    RELEASE_HAS_VERSION = 1 << 6,
    RELEASE_HAS_EXPOSED = 1 << 7,
    RELEASE_HAS_ANSWERS = 1 << 8,
    RELEASE_HAS_FLEET = 1 << 9,
    RELEASE_HAS_BOUND = 1 << 10,
    RELEASE_HAS_BY = 1 << 11,
    RELEASE_HAS_TEXT = 1 << 12,
    RELEASE_HAS_EVIDENCE = 1 << 13,
    RELEASE_FIELDS = 14
};
uint32_t release_event_fields(enum release_event_kind kind);

/* Appends the row. ENOMEM, ELIMIT. */
MUST_USE enum hoist_err release_event_encode(const struct release_event *e, struct buf *out);

/*
 * The event in `row`; its texts are borrowed from there.
 * Errors:  ECORRUPT, ELIMIT; EVERSION for another major version or a kind of later.
 *          On error *ret is left as it was.
 */
MUST_USE enum hoist_err release_event_decode(struct slice row, struct release_event *ret);

#endif
