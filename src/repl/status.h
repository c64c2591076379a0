/* status.h - the `status` object that every hoistd says about itself, as JSON, and the gauges that
 * go with it.
 *
 * What the store tells (flags, held back flags, stuck readers) is read here; what only the role
 * knows (the upstream, the head it has heard of) is handed in.
 */
#ifndef REPL_STATUS_H
#define REPL_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "wire/frame.h"

enum { STATUS_STORED_MAX = 12 << 10 }; /* what store_status_put() takes */

struct status_env {   /* what the role knows of an environment beyond the store */
    const char *name; /* need not be in the store yet */
    enum env_state state;
    uint64_t head;     /* of the origin; less than the store's own: the store's own */
    int64_t behind_ms; /* 0 when current */
    const char *why;   /* refusing, diverged: a sentence; else "" */
};

struct status {
    const char *host, *role, *software;
    const char *upstream; /* URL; NULL: a primary, which has none */
    bool connected;
    int64_t last_word_ms;          /* since upstream was heard; -1: never */
    const char *unreachable;       /* why upstream is not connected, if that is known; or NULL */
    bool stale;                    /* upstream is there, but what it tells does not move */
    bool lags;                     /* by upstream's own word it has not what the primary has */
    int64_t signed_ms;             /* the primary's time as it signed it last; INT64_MIN: none */
    int64_t news_ms;               /* since the primary last moved, as seen here; -1: never */
    uint32_t distance;             /* of upstream: 0 is the primary */
    bool ring;                     /* a relay that follows itself, through others */
    const struct status_env *envs; /* NULL: all of the store's, each current (a primary) */
    uint32_t env_count;
};

/*
 * Append the object to `out`: host, role, software, store, running, ready, certificate, upstream,
 * environments, unfollowed (if there are any), refused, stuck_readers. `ready`: each environment has been filled once.
 *
 * limit:   0, or the most bytes wanted: environments that do not fit are left out and counted in
 *          "environments_left_out" (those that are not current go first).
 * Errors:  EAGAIN (no read transaction free), EIO, ECORRUPT, ENOMEM, ELIMIT. Any thread.
 */
MUST_USE enum hoist_err status_write(struct store *s, const struct status *status, size_t limit,
                                     struct buf *out);

/* Whether each environment has been filled once; else a sentence that names one. */
bool status_is_ready(struct store *s, const struct status *status, struct buf *why_not);

/* Whatever is said of an environment: "current", "behind", "refusing", "diverged", "loading". */
const char *status_state_name(enum env_state state);

/*
 * The gauges of a store and its environments: hoist_store_version{env}, hoist_head_version{env},
 * hoist_replication_lag_versions{env}, hoist_replication_lag_seconds{env}, hoist_store_used_bytes,
 * hoist_store_map_bytes, hoist_store_stuck_readers, ... at 0 as soon as they are first set.
 */
void status_gauges(struct store *s, const struct status *status);

#endif
