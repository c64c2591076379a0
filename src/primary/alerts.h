/* alerts.h - which flags an alert may kill, and what Alertmanager says of alerts.
 *
 * Pure: no store, no socket. A rule is a line of hoistd's configuration, "ENV:ALERT=FLAG"; what is not
 * listed there no alert can kill.
 */
#ifndef PRIMARY_ALERTS_H
#define PRIMARY_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "wire/change.h"

enum {
    ALERTS_BODY_MAX = 4 << 20,
    ALERTS_RULES_MAX = 1024,
    ALERTS_KILLS_MAX = 4096,
    ALERTS_NAMES_MAX = 4096
};

struct alert_rule {
    struct slice env, alert, flag;
};

struct alert_rules { /* all zero: no alert kills anything */
    struct arena arena;
    struct alert_rule *rules;
    uint32_t count;
};

/* EINVAL names the text that is no rule; ELIMIT, ENOMEM. On error *ret is empty. */
MUST_USE enum hoist_err alert_rules_read(const char *const *texts, size_t count,
                                         struct alert_rules *ret);
void alert_rules_done(struct alert_rules *r);

struct alert_kill { /* a flag that an alert which fires may kill */
    const struct alert_rule *rule;
    uint8_t request[REQUEST_ID_SIZE]; /* the same for the same alert, however often it is said: an
                                         alert is its fingerprint and the time it began */
    struct slice message;             /* for the log */
    int64_t began_ms;                 /* the alert, by the wall clock; 0: it does not say */
};

struct alert_name {
    struct slice name;
    struct slice env; /* its label; empty: it is of no one environment */
    int64_t began_ms; /* likewise, of the first that fires */
};

struct alerts_said {
    struct alert_kill *kills;
    uint32_t count;
    struct alert_name *names; /* of those that fire, each with each env: for releases */
    uint32_t name_count;
    uint32_t firing, resolved; /* alerts, those that kill nothing among them */
    uint64_t truncated;        /* alerts that Alertmanager left out */
    uint32_t left_out;         /* alerts of which not all is here: it would be beyond the limits */
};

/*
 * Read Alertmanager's webhook (version 4): up to ALERTS_KILLS_MAX kills and ALERTS_NAMES_MAX names. What is resolved, not listed, or of another environment
 * (by the alert's label `env`, if it has one) kills nothing.
 *
 * Gives:   *ret, in `arena`; its rules belong to `r`.
 * Errors:  EINVAL  not JSON, or not such a message, with what is wrong
 *          ENOMEM
 */
MUST_USE enum hoist_err alerts_read(const struct alert_rules *r, struct slice body,
                                    struct arena *arena, struct alerts_said *ret);

#endif
