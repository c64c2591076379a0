/* follower.h - how a host keeps up with an upstream, as a pure step function.
 *
 *   step(state, now, input) → state, outputs
 *
 * No socket, no clock, no store: the driver (agent.c) and the simulator carry out the outputs and
 * feed back what came of them. Randomness comes from a seed in the configuration, so that any
 * history can be played again.
 *
 * A life: hello → (epochs differ, or too far behind) snapshot, else fetch → live: apply each change
 * whose version is its own plus one, drop those it has, and on a hole (a change, or a heartbeat's
 * hop head beyond its own) fetch the missing ones. One upstream is followed at a time, in the order
 * given, but for one that, when the host starts, is found to know less of the primary than another;
 * after five heartbeats of silence it is dialled again, or the next is tried; one that has no
 * news of the primary, or is itself behind, for 5 s, or does not give what the primary has, is left
 * where there is another; from another than the first, the first is tried again after a minute. One request is outstanding at a time.
 */
#ifndef REPL_FOLLOWER_H
#define REPL_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "repl/standing.h"
#include "wire/frame.h"

enum {
    FOLLOWER_FETCH_JITTER_MS = 50,      /* before a fetch that a heartbeat caused */
    FOLLOWER_SNAPSHOT_JITTER_MS = 2000, /* before a snapshot; then doubling to … */
    FOLLOWER_RETURN_JITTER_MS = 1000, /* before hello, when an upstream is heard after a silence */
    FOLLOWER_FRESH_JITTER_MS = 50,    /* the same for a host that has nothing to serve yet */
    FOLLOWER_RETRY_MAX_MS = 30000,
    FOLLOWER_REQUEST_DEADLINE_MS = 5000,
    FOLLOWER_SILENT_HEARTBEATS = 5,
    FOLLOWER_PRIMARY_RETURN_MS = 60000,
    FOLLOWER_STATUS_MS = 2000, /* at least so often; at once (coalesced 5 ms) on a change */
    FOLLOWER_STALE_MS = 5000,  /* an origin that has not moved, or an upstream that has been
                                       behind, for so long is stale */
    FOLLOWER_PROBE_MS = 1500,  /* at its start a host listens to its other upstreams, for so long */
    FOLLOWER_BUFFER_MAX = 64 << 20, /* changes kept while snapshots load, of all environments */
};

struct follower;

struct follower_env { /* what the store has of an environment that is to be followed */
    struct slice name;
    bool present; /* else all below is zero */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint32_t held; /* flags held back */
};

struct follower_config { /* copied by follower_new() */
    struct slice id, software;
    uint64_t incarnation;
    const struct label *labels;
    uint32_t label_count;
    const struct follower_env *envs; /* those to follow; at least one */
    uint32_t env_count;
    uint32_t upstreams;                 /* how many; they are numbered from 0 */
    const struct slice *upstream_names; /* for log lines; NULL: by their numbers */
    uint32_t heartbeat_ms;              /* what to expect; 200 */
    bool relay; /* others follow this host: it says so, and keeps what follower_standing() gives */
    struct trust
        trust; /* who may sign changes and origins; none: everything is taken as it comes */
    struct slice certificates; /* kept of keys that were rotated and revoked; or empty */
    uint64_t seed;
    uint64_t counter; /* greatest heartbeat counter seen before; 0 */
};

enum follower_in {                  /* what can happen */
                   IN_TICK,         /* time passed; also the first input */
                   IN_MESSAGE,      /* a message from the stream of upstream `upstream` */
                   IN_REPLY,        /* the answer to request `tag` */
                   IN_NO_REPLY,     /* request `tag` failed or was not answered in time */
                   IN_APPLIED,      /* OUT_APPLYs of `env` were committed, up to `version` */
                   IN_APPLY_FAILED, /* one was not, nor any that was given for `env` behind it:
                                       `err`, `why` */
                   IN_LOADED,       /* OUT_LOAD_FINISH was committed */
                   IN_LOAD_FAILED,  /* any OUT_LOAD_… failed: `err`, `why`; the load is aborted */
                   IN_HELD,         /* the flags of `env` that are held back are others now: `held`,
                                       `refusals` */
                   IN_PROOF, /* what OUT_PROVE asked for: `bytes`, which are of change `hash` */
                   IN_LOST,  /* the connection of upstream's stream broke, and is being made
                                       anew */
};

/* The four that tell of the store (IN_APPLIED … IN_LOAD_FAILED) all carry what it has of `env` now:
 * epoch, version, hash, digest, held (all zero when it has nothing). They come in the order of the
 * outputs they answer, before the next IN_MESSAGE or IN_REPLY where that can be had. */
struct follower_input {
    enum follower_in kind;
    uint32_t upstream;
    uint64_t tag;
    struct slice bytes; /* IN_MESSAGE, IN_REPLY, IN_PROOF: borrowed for the call */
    uint32_t env;       /* index into the configuration's */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint32_t held;                  /* flags held back */
    const struct refusal *refusals; /* IN_HELD: the first of them, borrowed for the call */
    uint32_t refusal_count;
    enum hoist_err err;
    struct slice why;
};

enum follower_out {
    OUT_PROBE,   /* dial `upstream` beside the one that is followed, to hear its stream … */
    OUT_PROBED,  /* … and close that again */
    OUT_FOLLOW,  /* close what is open (a request that waits is forgotten); dial `upstream` (rpc and
                    stream), without blocking */
    OUT_REQUEST, /* send `bytes`; answer by IN_REPLY or, after deadline_ms, IN_NO_REPLY with `tag`
                  */
    OUT_APPLY,   /* apply `change` to `env`: several in a row may be one transaction */
    OUT_LOAD_BEGIN,   /* begin to load `env` with base `change` (one load at a time per env; no
                         OUT_APPLY of `env` until it is finished or aborted) */
    OUT_LOAD_RECORDS, /* add `records` */
    OUT_LOAD_CHANGE,  /* replay `change` */
    OUT_LOAD_FINISH,  /* compare and switch */
    OUT_LOAD_ABORT,   /* forget the load of `env`; there may be none */
    OUT_PROVE,        /* give the store's head of `env` by IN_PROOF, a change without its edits */
    OUT_KEYS,         /* keep `bytes`, the certificates of the primary's keys, for the next start */
    OUT_LOG,          /* `level`, `text` */
    OUT_COUNT,        /* count one `what` (enum follower_count) */
};

enum follower_count {
    COUNT_BAD_FRAME,  /* a frame or reply that could not be read */
    COUNT_BAD_CHANGE, /* a change with a wrong envelope */
    COUNT_KEY,        /* a signing key was rotated or revoked */
    COUNT_FORGED,     /* a change or heartbeat that no key which is trusted has signed */
    COUNT_HOLE,       /* a fetch because something was missed */
    COUNT_RESYNC,     /* a snapshot was loaded */
    COUNT_DIVERGED,
    COUNT_SWITCH, /* another upstream, or dialled anew */
    COUNT_STALE,  /* a heartbeat with a counter below the greatest */
    COUNT_FAULTS, /* from here on: upstream was found at fault, once for each log line */
    COUNT_SILENT = COUNT_FAULTS,
    COUNT_MUTE,       /* it does not answer requests */
    COUNT_FROZEN,     /* what the primary says through it does not move */
    COUNT_REPLAYED,   /* the same, and it repeats what was heard before */
    COUNT_LAGS,       /* by its own word it is behind */
    COUNT_LIES,       /* what it gives is not signed as it should be */
    COUNT_UNREADABLE, /* what it sends cannot be read */
    COUNT_WRONG,      /* a change that does not fit, or a snapshot that is not what it says */
    COUNT_OLDER,      /* it is at an older epoch, or has less than another */
    COUNT_WITHHOLDS,  /* it does not give what the primary has */
    COUNT_END,
};

struct follower_output {
    enum follower_out kind;
    uint32_t upstream;
    uint64_t tag;
    int64_t deadline_ms; /* how long to wait for the answer, from now */
    struct slice bytes;  /* OUT_REQUEST, OUT_KEYS */
    uint32_t env;
    struct change change; /* borrowed, from the input's bytes too: carry it out, or copy it, */
    const struct edit *records; /* before those go and before the next step */
    uint32_t record_count;
    enum log_level level;
    struct slice text;
    enum follower_count what;
};

struct follower_outputs {
    const struct follower_output
        *items; /* in the order to be carried out; valid until the next step */
    uint32_t count;
    int64_t next_ms; /* step again by then, with IN_TICK */
};

MUST_USE enum hoist_err follower_new(const struct follower_config *config, int64_t now_ms,
                                     struct follower **ret);
void follower_free(struct follower *f);

/* Errors: ENOMEM alone; what comes from outside never fails a step. After it *ret is as it was, and
 * the next step begins anew: dials, aborts loads, goes by what the store was last told to have. */
MUST_USE enum hoist_err follower_step(struct follower *f, int64_t now_ms,
                                      const struct follower_input *in,
                                      struct follower_outputs *ret);

/* What `status` tells. */
struct follower_view_env {
    struct slice name;
    enum env_state state;
    uint64_t epoch, version;
    uint64_t head;     /* of the origin: what the primary has, as far as is known */
    int64_t behind_ms; /* since when this host has not had it; 0 when current */
    uint8_t digest[HASH_SIZE];
    const char *why; /* refusing, diverged: why; else "" */
};
struct follower_view {
    uint32_t upstream;    /* which one is followed */
    bool connected;       /* it was heard of within five heartbeats */
    bool stale;           /* its origin has not moved for 5 s */
    bool lags;            /* it says that it has not what the primary has */
    int64_t last_word_ms; /* since anything was heard from upstream; -1: never */
    int64_t signed_ms;    /* the primary's time in the newest origin; INT64_MIN: none was heard */
    int64_t news_ms;      /* since its origin moved, which is how old "current" is; -1: never */
    uint32_t distance;    /* of the upstream: 0 is the primary */
    uint64_t counter;
    struct follower_view_env *envs;
    uint32_t env_count;
};
/* *ret's environments belong to `f` and change with the next look or step. */
void follower_look(const struct follower *f, int64_t now_ms, struct follower_view *ret);

/* How a relay stands, for those that follow it. ENOMEM. */
MUST_USE enum hoist_err follower_standing(const struct follower *f, struct arena *arena,
                                          struct standing *ret);

#endif
