/* record.h - where a release stands.
 *
 * A record is plain bytes without padding or pointers: two that were folded from the same events are
 * equal by memcmp(). What it says of a step (soak, exposures, signatures, attestations) begins anew
 * with each step.
 */
#ifndef RELEASE_RECORD_H
#define RELEASE_RECORD_H

#include "release/event.h"

enum release_state {
    RELEASE_NOT_STARTED,
    RELEASE_MOVING,       /* also while it stands still: then conditions are unmet */
    RELEASE_ROLLING_BACK, /* until every live host has the baseline */
    RELEASE_ENDED,
};

enum release_cause { /* why it was rolled back */
                     RELEASE_BY_NOBODY,
                     RELEASE_BY_GUARD,    /* cause_of: which; FAIL too often in a row */
                     RELEASE_BY_CRITICAL, /* cause_of: which guard */
                     RELEASE_BY_ALERT,    /* cause_of: which of the plan's */
                     RELEASE_BY_HAND,
};

enum release_condition { /* what the next step waits for; the bits of `unmet` */
                         RELEASE_UNHELD,
                         RELEASE_CONVERGED,
                         RELEASE_SOAK,
                         RELEASE_EXPOSED,
                         RELEASE_CHECK,
                         RELEASE_SIGN,
                         RELEASE_WINDOW,
                         RELEASE_CONDITIONS
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct release_env_record {
    uint64_t baseline; /* the version at the start, to which a rollback leads */
    uint64_t version;  /* of the release's last change there; 0: none, or not yet told */
    uint64_t killed;   /* bit set of the plan's flags */
    uint64_t asked;    /* the version that the three below are about; 0: nobody said */
    uint32_t live, lagging, silent;
    uint32_t touched; /* the release has changed it */
};

struct release_guard_record {
    double value;
    uint64_t blind_ms; /* for so long neither PASS nor FAIL */
    uint32_t verdict;  /* the last; 0: not asked yet */
    uint32_t fails;    /* FAIL in so many rounds since the last PASS, those that came early apart */
};

struct release_check_record {
    int64_t at_ms;
    uint64_t passed; /* 0: not, or failed */
};

struct release_sign_record {
    int64_t at_ms;
    uint64_t person; /* index + 1; 0: nobody */
};

struct release_record {
    uint32_t state; /* enum release_state */
    uint32_t step;  /* index */
    uint32_t cause; /* enum release_cause */
    uint32_t cause_of;
    int64_t started_ms, step_ms, ended_ms; /* by the wall clock */
    uint64_t boot, boot_ms;                /* of the last round that counted */
    uint64_t soak_ms, exposed;
    uint32_t rounds;                      /* good ones in a row, up to now */
    uint32_t unmet;                       /* bit set of enum release_condition */
    uint64_t overdue_ms;                  /* rolling back for so long since it was last paged */
    int64_t since_ms[RELEASE_CONDITIONS]; /* since when each is met, or unmet */
    uint8_t definitions[HASH_SIZE];
    struct release_env_record envs[RELEASE_ENVS_MAX];
    struct release_guard_record guards[RELEASE_GUARDS_MAX];
    struct release_check_record checks[RELEASE_CHECKS_MAX];
    struct release_sign_record signs[RELEASE_SIGNS_MAX];
    char commit[RELEASE_COMMIT_MAX];  /* ended by NULs, if there is room */
    char author[RELEASE_WHO_MAX + 1]; /* who started it */
    char holder[RELEASE_WHO_MAX + 1]; /* who holds it; "": nobody */
    char reason[RELEASE_TEXT_MAX];    /* of the hold, and of an abort: as far as it fits */
};

#pragma GCC diagnostic pop

#endif
