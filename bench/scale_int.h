/* scale_int.h - the simulation's state, shared by its files.
 *
 *   scale_queue.c  events by time
 *   scale_store.c  stores of two numbers, and the history they are prefixes of
 *   scale_site.c   publishers: heartbeats, changes, answers, what relays pass on, the ledger
 *   scale_node.c   hosts and relays as followers: connections, requests, commits
 *   scale.c        the fleet as a whole: how it is built, what happens to it, what is seen
 */
#ifndef BENCH_SCALE_INT_H
#define BENCH_SCALE_INT_H

#include "primary/fleet.h"
#include "repl/answer.h"
#include "repl/subtree.h"
#include "scale.h"
#include "scale_queue.h"

enum {
    SCALE_HEARTBEAT_MS = 200,
    SCALE_UPSTREAMS = 2,
    SCALE_GATHER_MS = 5, /* these three as in uplink.c … */
    SCALE_UPLINK_DEADLINE_MS = 2000,
    SCALE_UPLINK_PAUSE_MS = 200,
    SCALE_RECONNECT_MIN_MS = 10, /* … and these two as in net.h */
    SCALE_RECONNECT_MAX_MS = 250,
    SCALE_SEND_NS = 10000,            /* of the sender's core, for a message … */
    SCALE_BYTE_NS = 1,                /* … and each of its bytes: 8 Gbit/s */
    SCALE_ANSWER_NS = 50000,          /* for a request and its answer */
    SCALE_WORD_NS = 3000,             /* for each host's word in a relay's frame */
    SCALE_PRIMARY_COMMIT_NS = 500000, /* synced */
    SCALE_COMMIT_NS = 200000,         /* a host's, at least … */
    SCALE_COMMIT_TAIL_NS = 200000,    /* … and on average so much more */
    SCALE_LOAD_FLAG_NS = 1400,        /* for each flag of a snapshot: stored, and its digest */
    SCALE_PEAK_NS = 100 * SCALE_MS,
    SCALE_ID_SIZE = 24,
};

enum scale_event_kind {
    EVENT_BEAT,    /* node: its site */
    EVENT_MESSAGE, /* node: who hears it */
    EVENT_REQUEST, /* node: who asks; peer: who is asked */
    EVENT_ANSWER,  /* peer has come to it */
    EVENT_REPLY,   /* node: who asked */
    EVENT_DIAL,
    EVENT_COMMIT,
    EVENT_TICK,
    EVENT_GATHERED,   /* node: a relay's uplink */
    EVENT_UP_REQUEST, /* peer: who is told */
    EVENT_UP_ANSWER,
    EVENT_UP_REPLY,
    EVENT_UP_LATE,
    EVENT_START,
    EVENT_CHURN,
};

struct uplink {         /* uplink.c's loop, without its thread */
    bool asks;          /* a frame is on its way */
    int64_t gathers_ns; /* when it takes the next one; 0: nothing waits */
    int64_t paused_ns;  /* until then, after a failure */
    uint64_t tag;
    struct packet *unsent; /* until there is a connection */
};

struct site { /* a publisher */
    struct scale *world;
    uint32_t node;
    struct answerer answerer;
    struct downloads *downloads;
    struct subtree *subtree; /* a relay's */
    struct uplink uplink;
    uint32_t *subs; /* the nodes that are connected */
    uint32_t sub_count, sub_room;
    int64_t free_ns; /* its core has work until then */
    int64_t wait_ns; /* the longest that anything waited for it */
    uint32_t beats;
    struct scale_traffic traffic;
    int64_t peak_at;
    uint32_t peak_now, peak;
};

struct node {
    struct store store;
    struct follower *f; /* NULL: down, or the primary */
    struct site *site;  /* NULL: a host */
    char id[SCALE_ID_SIZE];
    uint32_t index;
    uint32_t upstreams[SCALE_UPSTREAMS], upstream_count;

    bool up, dead; /* dead: never again */
    bool connected, watched;
    uint32_t life;           /* counts its starts */
    uint32_t follow, server; /* upstream's number, and the node it is */
    uint32_t connection;
    uint32_t place; /* among the server's subscribers */
    uint32_t redial_ms;
    int64_t stream_ns; /* its stream's last message: they come in order */
    uint64_t asks;     /* tag; 0: nothing */
    int64_t asks_until_ns;
    struct packet *unsent; /* until there is a connection */

    int64_t busy_ns; /* it commits until then */
    uint64_t applying;
    bool loading;
    int64_t want_ns, tick_ns; /* when to step next; when the next tick comes */
};

struct scale {
    struct scale_config config;
    struct scale_weather weather;
    uint64_t random;
    int64_t now;
    struct scale_queue queue;
    struct scale_history history;
    struct node *nodes; /* the primary, then relays, those nearest to it first, then hosts */
    uint32_t node_count, relays, upper, first_host;
    struct fleet *fleet;
    struct buf out;
    uint64_t happened;

    uint32_t churn;
    uint64_t watch; /* the version that is watched; 0: none */
    int64_t watch_ns;
    bool asks_ledger; /* when all have it */
    struct scale_took took;

    struct scale_seen seen;
    int64_t forgot_ns;
};

/* ---------------------------------------------------------------- scale.c */

uint64_t scale_dice(struct scale *w, uint64_t sides);
bool scale_chance(struct scale *w, uint32_t ppm);
int64_t scale_tail(struct scale *w, int64_t mean);     /* exponentially distributed */
int64_t scale_way(struct scale *w);                    /* how long a message takes */
void scale_put(struct scale *w, struct scale_event e); /* `at` counts from now */
void scale_committed(struct scale *w, struct node *n); /* it has more now */
void scale_unwatch(struct scale *w, struct node *n);
_Noreturn void scale_wrong(const struct scale *w, const struct node *n, const char *what);

/* ---------------------------------------------------------------- scale_site.c */

void site_open(struct scale *w, struct node *n);
void site_close(struct site *s);
void site_start(struct scale *w, struct node *n);
void site_stop(struct scale *w, struct node *n); /* those that were connected dial again */
void site_beat(struct scale *w, struct site *s);
void site_publish(struct scale *w, struct site *s, uint64_t first, uint64_t last);
void site_join(struct site *s, struct node *n);
void site_leave(struct scale *w, struct node *n);
void site_asked(struct scale *w, struct site *s, struct scale_event *e);
void site_answer(struct scale *w, struct site *s, const struct scale_event *e);
void uplink_gathered(struct scale *w, struct node *n, const struct scale_event *e);
void uplink_connected(struct scale *w, struct node *n);
void uplink_answered(struct scale *w, struct node *n, const struct scale_event *e);

/* ---------------------------------------------------------------- scale_node.c */

void node_start(struct scale *w, struct node *n);
void node_stop(struct scale *w, struct node *n);
void node_happen(struct scale *w, struct node *n, struct scale_event *e);
void node_hang_up(struct scale *w, struct node *n); /* and dial again */

#endif
