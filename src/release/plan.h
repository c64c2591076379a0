/* plan.h - a release as it was planned, in memory: five phases, and the steps under them in one row.
 *
 * A plan does not change once it is made: `start` freezes the file, and its hash is over the file's
 * canonical form. Everything that a plan points to lives in its arena and goes with
 * release_plan_free(); texts are UTF-8, ended with a NUL that is not counted. An optional text that
 * is absent has length 0. Where a thing names another of the plan (a step its guards, a signature
 * its role) it does so by index, so the engine compares no text.
 */
#ifndef RELEASE_PLAN_H
#define RELEASE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/slice.h"
#include "flag/tree.h"
#include "release/verdict.h"

enum {
    RELEASE_NAME_MAX = 63,  /* of the release, a guard, a check, a role, a sink: [a-z0-9_-] */
    RELEASE_WHO_MAX = 63,   /* a person's name, as access and the log have it */
    RELEASE_TEXT_MAX = 512, /* a title, a statement, a reason */
    RELEASE_STEPS_MAX = 64,
    RELEASE_ENVS_MAX = 5,
    RELEASE_FLAGS_MAX = 64,
    RELEASE_GUARDS_MAX = 32, /* a step's are a bit set */
    RELEASE_CHECKS_MAX = 64, /* likewise */
    RELEASE_ROLES_MAX = 16,
    RELEASE_PEOPLE_MAX = 255,
    RELEASE_SIGNS_MAX = 8, /* of a step */
    RELEASE_ALERTS_MAX = 64,
    RELEASE_SINKS_MAX = 16,
    RELEASE_DAYS_MAX = 366, /* of any duration */
    RELEASE_NO_ENV = 255,
    RELEASE_NO_CHANGE = UINT32_MAX,
    RELEASE_EVERYBODY = 100000, /* a share, in thousandths of a percent */
    RELEASE_FRESH_ROUNDS = 3,   /* PASS rounds in a row before a step forward */
};

/* DEPLOY-001 … DEPLOY-005, in this order. */
enum release_phase {
    RELEASE_FLAGS,
    RELEASE_MONITORING,
    RELEASE_STAGING,
    RELEASE_PRODUCTION,
    RELEASE_WATCH,
    RELEASE_PHASES
};

struct release_window { /* when a step may begin; from == to: at any time */
    uint8_t days;       /* bit 0 is Monday */
    uint16_t from, to;  /* minutes after midnight UTC, from < to ≤ 1440 */
};

struct release_flag {
    struct slice key;
    struct slice on, off; /* the variant that grows, and the one that everybody else keeps */
};

struct release_guard {
    struct slice name, title;
    struct slice query; /* PromQL that yields one sample */
    struct release_bound pass;
    struct release_bound critical; /* kept by a value: abort at once; RELEASE_ANY: no such bound */
    bool hold;                     /* mode hold: FAIL stands still, and never aborts */
};

struct release_check { /* what `flagctl release check` runs and attests; hoistd never does */
    struct slice name, title;
    struct slice *argv;
    uint32_t argc;       /* 0: a check that flagctl has built in */
    uint32_t timeout_ms; /* of the command */
    uint64_t every_ms;   /* an attestation is good for so long; 0: while its step lasts */
};

struct release_role {
    struct slice name;
    uint8_t *people; /* indices into the plan's people, distinct */
    uint32_t people_count;
};

struct release_sign {
    uint8_t role;
    struct slice statement; /* what is signed */
};

struct release_step {
    enum release_phase phase; /* never less than that of the step before */
    uint8_t env;              /* index, or RELEASE_NO_ENV */
    /* The change that begins it: all flags of the plan move in `env`. Who was in a cohort of a
     * former step of this environment stays in: the rule is the cohorts so far, then the share. */
    uint32_t share;     /* thousandths of a percent, or RELEASE_NO_CHANGE; with a cohort, the share
                           of everybody else: that of the step before */
    struct tree cohort; /* a condition; count 0: none */
    struct release_window window; /* its phase's: when it may begin */
    /* What the next step waits for. */
    uint64_t soak_ms;           /* observed with all guards PASS */
    uint64_t exposed;           /* evaluations that yielded the `on` variant */
    uint32_t guards;            /* bit set: asked while this step lasts */
    uint64_t checks;            /* bit set */
    struct release_sign *signs; /* one a role */
    uint32_t sign_count;
    uint32_t line; /* in the file, for messages */
};

struct release_phase_head {
    struct slice task; /* "DEPLOY-001" */
    struct slice title, owner;
    uint8_t env; /* index, or RELEASE_NO_ENV */
    struct release_window window;
    uint32_t first, count; /* its steps; count 0: nothing to do */
};

struct release_cover {      /* who is there after the launch */
    int64_t from_ms, to_ms; /* by the wall clock */
    struct slice who;
};

struct release_sink {
    struct slice name;
    struct slice ref; /* a name in hoistd's configuration, where URL and secret are */
};

struct release_plan {
    struct slice name, title, owner;
    struct slice author; /* whose signature does not count */
    struct slice *envs;  /* names, distinct, in the order of first use */
    uint32_t env_count;
    struct release_flag *flags;
    uint32_t flag_count;
    struct tree bucketing; /* the first item of `fractional`; count 0: flag key and targetingKey */
    struct release_phase_head phases[RELEASE_PHASES];
    struct release_step *steps;
    uint32_t step_count; /* ≥ 1 */
    struct release_guard *guards;
    uint32_t guard_count;
    struct release_check *checks;
    uint32_t check_count;
    struct release_role *roles;
    uint32_t role_count;
    struct slice *people; /* distinct */
    uint32_t people_count;
    struct slice *alerts; /* kill_on_alert: an alert of this name aborts the release */
    uint32_t alert_count;
    struct release_sink *sinks;
    uint32_t sink_count;
    struct release_cover *coverage; /* by time, without holes */
    uint32_t coverage_count;

    uint32_t interval_ms;   /* between two rounds, > 0 */
    uint32_t abort_after;   /* FAIL rounds in a row, > 0 */
    uint32_t max_silent;    /* hosts that may be silent while it goes on */
    uint64_t sign_valid_ms; /* a signature is good for so long; 0: for ever */

    struct slice announce_support, announce_users; /* what `announce` says first */
    struct slice contact;                          /* whom to call */

    uint8_t hash[HASH_SIZE]; /* SHA-256 of the canonical form (plan_file.h) */
    struct arena arena;      /* owns all of the above, and the plan itself is on the heap */
};

/* NULL is fine. */
void release_plan_free(struct release_plan *plan);

/* "flags", "monitoring", "staging", "production", "watch". */
const char *release_phase_name(enum release_phase phase);

/* Whether a step may begin now; when it may from now on, INT64_MAX: never (it has no days). */
bool release_window_open(const struct release_window *w, int64_t wall_ms);
int64_t release_window_next(const struct release_window *w, int64_t wall_ms);

/* Who is there at that time; NULL: nobody. */
const struct release_cover *release_cover_at(const struct release_plan *plan, int64_t wall_ms);

/* How long has been observed in the watch when the soak of its step number `step` is done: its report
 * has that for a name. */
uint64_t release_watched_ms(const struct release_plan *plan, uint32_t step);

/* The index of an environment, flag, guard, check, role or person called `name`, or -1. */
int release_env_find(const struct release_plan *plan, struct slice name);
int release_flag_find(const struct release_plan *plan, struct slice name);
int release_guard_find(const struct release_plan *plan, struct slice name);
int release_check_find(const struct release_plan *plan, struct slice name);
int release_role_find(const struct release_plan *plan, struct slice name);
int release_person_find(const struct release_plan *plan, struct slice name);

#endif
