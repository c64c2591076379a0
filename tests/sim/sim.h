/* sim.h - a small fleet in one process, one thread, a virtual clock and a virtual network: the same
 * seed plays the same history, and a failure names the seed and the step.
 *
 * Real code: commands (src/primary), the ledger, what a server answers (src/repl/answer.c),
 * heartbeats, what relays keep of their hosts (subtree.c), agents with their loop, their follower and
 * what they do to the store (agent*.c, follower*.c), and the stores themselves, LMDB and all, in
 * /dev/shm. Made up: the clock (sim_clock.c stands in for src/base/clock.c), the connections
 * (sim_net.c for upstream.c), and who does the socket's part of server.c and uplink.c (sim_site.c).
 *
 *   sim_main.c    arguments; storms, each followed by calm in which all must become equal
 *   sim_clock.c   time and random bytes
 *   sim_net.c     events by time; messages, requests, replies, and what goes wrong with them
 *   sim_site.c    publishers: heartbeats, answers, what relays pass on
 *   sim_host.c    relays and agents: start, turn, stop, crash; each has only what was ever written
 *   sim_primary.c what the primary does; the truth that hosts are measured by
 *   sim_weather.c what goes wrong
 */
#ifndef SIM_H
#define SIM_H

#include "base/buf.h"
#include "base/sign.h"
#include "primary/fleet.h"
#include "repl/agent_int.h"
#include "repl/answer.h"
#include "repl/subtree.h"

enum {
    SIM_PRIMARY = 0,
    SIM_RELAYS = 2, /* nodes 1 and 2 */
    SIM_AGENTS = 4,
    SIM_ROGUE = 1 + SIM_RELAYS + SIM_AGENTS, /* an upstream that lies */
    SIM_NODES,
    SIM_HOSTS = SIM_RELAYS + SIM_AGENTS, /* nodes 1 … SIM_HOSTS */
    SIM_ENVS = 3,
    SIM_KEYS = 12, /* flags of an environment: k0 … */
    SIM_UPSTREAMS = 3,
    SIM_HEARTBEAT_MS = 200,
    SIM_DIR_SIZE = 64,
};

extern const char *const sim_envs[SIM_ENVS];

enum sim_kind {
    SIM_MESSAGE,    /* node: who hears it */
    SIM_REQUEST,    /* node: who asks, peer: who is asked */
    SIM_REPLY,      /* node: who asked */
    SIM_DEADLINE,   /* node: whose request */
    SIM_UP_REQUEST, /* these three: a relay passes on what its hosts told */
    SIM_UP_REPLY,
    SIM_UP_LATE,
    SIM_TURN,    /* node: a host's loop */
    SIM_BEAT,    /* node: a publisher's heartbeat */
    SIM_COMMAND, /* the primary is told something */
    SIM_WEATHER,
    SIM_START, /* node */
};

struct sim_event {
    int64_t at;
    uint64_t order;
    enum sim_kind kind;
    uint32_t node, peer;
    uint64_t life; /* of `node`, or of its connection; what is of an earlier one comes to nothing */
    uint64_t tag;
    struct buf bytes;
};

struct upstream { /* upstream.h's, here: where a host is connected to */
    uint32_t node, server, number;
    uint64_t connection;
    struct queue *queue;
    uint64_t tag; /* of the request that waits; 0: none */
    bool spoke;
};

struct sim_env_seen { /* what a host was last seen to have of an environment */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE]; /* of change `version` */
};

struct sim_node {
    uint32_t index;
    char id[16], dir[SIM_DIR_SIZE + 16];
    bool up;
    uint64_t life;
    int64_t skew_ms; /* of its wall clock */
    struct store *store;
    struct buf copy; /* of its store, taken now and then; empty: none */

    /* a host's */
    struct agent *agent;
    char urls[SIM_UPSTREAMS][32];
    uint32_t upstreams;
    int64_t turn_at;
    struct sim_env_seen seen[SIM_ENVS], applied[SIM_ENVS];

    /* a publisher's */
    struct answerer answerer;
    struct downloads *downloads;
    uint32_t beats;
    struct subtree *subtree;
    uint64_t up_tag; /* of the frame that is on its way; 0: none */
    int64_t up_paused_ms;
};

enum sim_lie {              /* what the upstream that lies does */
               LIE_FORGES,  /* goes on by itself, signing with a key of its own */
               LIE_REPLAYS, /* says what the primary once said, again and again */
               LIE_WITHHOLDS, /* these three pass on what the primary says, and keep back what it has */
               LIE_CLAIMS, /* and says that it has all of it */
               LIE_BUSY,   /* and is always busy */
               LIES,
};

struct sim_weather { /* per mille, and milliseconds */
    uint32_t lose, twice, truncate, mangle, late_ms;
};

struct sim_figures {
    uint64_t commands, changed, lost, doubled, mangled, cut, crashes, restarts, set_back, forks,
        epochs, bad_records, stores_checked, worst_heal_ms;
};

struct sim {
    uint64_t seed, steps, random, trace;
    int64_t now;
    bool storm;
    char dir[SIM_DIR_SIZE];
    struct sim_node nodes[SIM_NODES];
    struct sim_event *events; /* a heap, earliest first */
    size_t event_count, event_cap;
    uint64_t event_order, connections, tags;
    uint32_t here; /* whose code runs: whose wall clock is read */
    uint32_t same_ms;
    bool cut[SIM_NODES][SIM_NODES];
    struct sim_weather weather;
    struct sign_key key, forged_key;
    enum sim_lie lie;
    struct fleet *fleet;
    struct buf out, copied_origin, copied_signature;
    struct sim_figures figures;
};

extern struct sim sim;

/* ---------------------------------------------------------------- sim_main.c */

/* Prints what is wrong, the seed and the step, and ends the program. */
_Noreturn void sim_wrong(const char *fmt, ...) PRINTF_LIKE(1, 2);
void sim_ok(enum hoist_err err, const char *what);
void sim_trace(const void *bytes, size_t len);

/* ---------------------------------------------------------------- sim_clock.c */

uint32_t sim_dice(uint32_t sides);
bool sim_chance(uint32_t per_mille);
void sim_clock_set(int64_t now, int64_t skew);
/* Random bytes of libsodium come from the seed from here on. */
void sim_random_begin(uint64_t seed);

/* ---------------------------------------------------------------- sim_net.c */

void sim_put(struct sim_event e); /* takes e.bytes; `at` is from now on */
bool sim_next(struct sim_event *ret);
void sim_forget_events(void);
bool sim_linked(uint32_t a, uint32_t b);
struct buf sim_bytes(struct slice bytes);
/* To all who are connected to `server`. */
void sim_broadcast(uint32_t server, struct slice bytes);
void sim_url(uint32_t node, char ret[32]);
void sim_message(struct sim_event *e);
void sim_reply(struct sim_event *e);
void sim_deadline(struct sim_event *e);
/* Send request `kind` from `node` to `peer`; false: it was lost. */
void sim_ask(enum sim_kind kind, uint32_t node, uint32_t peer, uint64_t life, uint64_t tag,
             struct slice bytes);

/* ---------------------------------------------------------------- sim_site.c */

void site_open(struct sim_node *n, const struct sign_key *key);
void site_close(struct sim_node *n);
void site_beat(struct sim_node *n);
void site_publish(struct sim_node *n, const struct slice *changes, uint32_t count);
void site_asked(struct sim_event *e);
void site_pass_up(struct sim_node *n);
void site_passed_up(struct sim_event *e);

/* ---------------------------------------------------------------- sim_host.c */

void store_at(struct sim_node *n, bool primary);
void copy_take(struct sim_node *n);
void copy_put_back(struct sim_node *n);
void host_start(struct sim_node *n);
void host_stop(struct sim_node *n);
/* As by kill -9; `lose`: and as by a crash of the system, after which the store is an earlier one. */
void host_crash(struct sim_node *n, bool lose);
void host_turn(struct sim_node *n);
/* Let its loop run as soon as may be. */
void host_wake(struct sim_node *n);

/* ---------------------------------------------------------------- sim_primary.c */

struct sim_truth { /* a version, as the primary wrote it */
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint64_t records[SIM_KEYS]; /* a hash of each; 0: no such flag */
};

void primary_begin(void);
void primary_end(void);
void primary_command(void);
void primary_restart(void);
/* Go on from an earlier copy, as after a disaster: new epochs. */
void primary_take_over(void);
/* The same without them, as when somebody restores a disk: it gives numbers out again. */
void primary_fork(void);
/* Whether it has heard of what it has not, or a host of another past, or an environment is gone; and
 * what an operator then does: new epochs everywhere. */
bool primary_is_set_back(void);
void primary_new_epochs(void);
void rogue_begin(void);
/* What the primary says at this moment. */
void rogue_listen(void);
void rogue_end(void);
void rogue_command(void);
/* NULL: no such version was ever written. */
const struct sim_truth *truth_find(uint32_t env, uint64_t epoch, uint64_t version,
                                   const uint8_t hash[HASH_SIZE]);
uint64_t truth_of_record(struct slice record);
void truth_end(void);

/* ---------------------------------------------------------------- sim_weather.c */

void weather_change(void);
void weather_heal(void);

#endif
