/* agent_int.h - the agent's state, shared by its files.
 *
 *   agent.c         start and stop; the loop, which feeds the follower what comes
 *   agent_carry.c   carries out what the follower wants: on the store, and upstream
 *   agent_held.c    tells the follower which flags the store holds back
 *   agent_proof.c   gives the follower the change that a head is of
 *   agent_keep.c    keeps what is known of the primary: its keys, how far its heartbeats count
 *   agent_usage.c   tells upstream how often flags were evaluated
 *   agent_status.c  what it says about itself, as JSON and as metrics
 */
#ifndef REPL_AGENT_INT_H
#define REPL_AGENT_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "repl/agent.h"
#include "repl/follower.h"
#include "repl/status.h"
#include "repl/upstream.h"

enum {
    AGENT_QUEUE = 4096,           /* messages that wait for the loop … */
    AGENT_QUEUE_BYTES = 64 << 20, /* … and their bytes */
    AGENT_HEARTBEAT_MS = 200,
    AGENT_UPKEEP_MS = 100, /* between two store_tick() */
    AGENT_STATUS_MS = 250, /* between two status that differ, left in the store */
    AGENT_STATUS_IDLE_MS = 1000,
    AGENT_COUNTER_MS = 30000, /* between two times that the heartbeat counter is kept */
    AGENT_ROUND_MS = 10000,   /* for so long behind it a ring of relays counts as one */
    AGENT_ROUND_QUIET_MS = 60000,
    AGENT_UNREACHABLE_MS = 30000, /* between two looks into why upstream is silent */
    AGENT_WHY_MAX = 256,
};

struct agent_env {
    const char *name;
    struct store_load *load;     /* or NULL */
    bool load_failed;            /* since its begin: the rest of it is passed over */
    uint64_t held, held_version; /* flags held back that the follower was told of, and when */
    struct metric *applied, *rejected, *holes, *snapshots, *diverged;
};

struct report { /* an input for the follower that follows from its outputs */
    struct follower_input in;
    char why[AGENT_WHY_MAX];
};

struct agent {
    struct store *store;
    struct agent_config config; /* strings and lists in `own` */
    struct arena own;
    struct agent_env *envs; /* as config.envs */
    struct status_env *status_envs;

    pthread_t thread;
    struct queue queue;
    _Atomic bool broken;
    atomic_bool stuck; /* by nng */
    uint64_t incarnation;
    _Atomic int64_t round_ms; /* when something of our own last came back from below; 0: never */

    pthread_mutex_t lock; /* of what follows: the loop steps, any thread looks */
    struct follower *follower;
    struct net_tls *tls;
    uint32_t losses;                 /* of connections, to dial anew for whoever has his own */
    char unreachable[AGENT_WHY_MAX]; /* why upstream, which was never heard, is not; or "" */
    _Atomic bool usage_open;         /* upstream has answered since it was dialled */
    _Atomic bool usage_hurries;      /* what waits of evaluations is to go now */
    _Atomic bool renews;             /* upstream is to be dialled by other certificates */

    /* Of the loop alone. */
    struct upstream *upstream;
    struct upstream **probes; /* as config.upstreams: beside it, at the start; or NULL */
    uint32_t upstream_number;
    int64_t asked_why_ms;   /* when it was last looked into why upstream is silent; 0: never */
    struct report *reports; /* to be fed, in order */
    size_t report_count, report_cap;
    struct arena report_room;        /* what they borrow */
    const struct change **committed; /* room to tell them to config.applied */
    uint32_t committed_cap;
    int64_t step_ms, upkeep_ms; /* when next */
    int64_t status_written_ms;
    int64_t counter_ms; /* when the heartbeat counter is kept next */
    uint64_t counter;   /* what was kept */
    struct buf unkept_keys;
    bool changed;     /* since the status was last left in the store */
    bool tick_fails;  /* and that was logged */
    int64_t usage_ms; /* when it is told of evaluations next */

    struct metric *faults[COUNT_END - COUNT_FAULTS];
    struct metric *bad_frames, *bad_changes, *forged, *stale, *switches, *keys;
};

/* One turn of the loop: wait up to `wait` ms for what comes, then do what is due. */
void agent_turn(struct agent *a, int64_t wait);

/* Carry out what a step asks for. What the follower must hear of it is put into a->reports. */
void agent_carry_out(struct agent *a, const struct follower_outputs *outs);

/* Dial upstream anew by the certificates of now. */
void agent_redial(struct agent *a);

/* Which flags of environment `i` are held back, as an input for the follower that borrows from
 * `arena`; ENOTFOUND: it knows. */
MUST_USE enum hoist_err agent_held(struct agent *a, uint32_t i, struct arena *arena,
                                   struct follower_input *ret);

/* The newest change of environment `i` without its edits, in `arena`, and its hash. ENOTFOUND: the
 * store does not have it. */
MUST_USE enum hoist_err agent_proof(struct agent *a, uint32_t i, struct arena *arena,
                                    struct follower_input *ret);

void agent_end_probe(struct agent *a, uint32_t upstream);

/* What was kept of the primary, for the follower; the certificates stand in `arena`. */
MUST_USE enum hoist_err agent_kept(struct agent *a, struct arena *arena,
                                   struct follower_config *ret);
void agent_keep_keys(struct agent *a, struct slice certificates);
void agent_keep_unkept_keys(struct agent *a); /* that could not be written before */
void agent_keep_counter(struct agent *a);     /* if it has moved */

/* Send what was counted, if it is time and nothing else is asked. */
void agent_usage_turn(struct agent *a, int64_t now);
/* Whether `e` is the answer to that; the end of other requests is noted. */
bool agent_usage_answer(struct agent *a, const struct event *e);
/* Before the loop ends: what waits goes, if upstream takes it within a second. Any other thread. */
void agent_usage_end(struct agent *a);

/* Register all counters at 0; bring gauges up to date whenever metrics are written. */
void agent_metrics_begin(struct agent *a);
void agent_metrics_end(struct agent *a);

/* Leave the status in the store for whoever cannot ask. */
void agent_status_leave(struct agent *a);

/* The store failed in a way that this process cannot mend. */
void agent_break(struct agent *a, const char *what);

#endif
