/* scale.h - a fleet in one process: one primary, relays, up to 100,000 hosts, over a virtual network
 * and clock.
 *
 * Real code: the follower (every host and relay has one), every frame encoded and decoded, the
 * server's answers (src/repl/answer.c), what relays keep of their hosts (src/repl/subtree.c), the
 * primary's ledger (src/primary/fleet.c, landing.c). Written again here, since it is nng's threads
 * there: heartbeats and packing as in publisher.c, the loop of uplink.c, the driver's part of
 * agent.c. In memory: the stores (scale_store.h says why). Made up: how long a message is on its
 * way, how long a commit takes, what a message costs its sender (struct scale_weather); a server
 * spends that cost one message after another, as on one core, which is what makes a fan-out slow.
 *
 * Everything follows from the seed. A host that would take a change which was never written ends
 * the program.
 */
#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include "repl/follower.h"
#include "scale_store.h"

enum {
    SCALE_MS = 1000000,
    SCALE_S = 1000000000, /* times are nanoseconds */
    SCALE_DOMAINS = 10
};

struct scale_weather {
    int64_t way_ns, way_tail_ns; /* one way: at least this, and on average so much more */
    uint32_t slow_ppm;           /* of the messages that come late … */
    int64_t slow_ns;             /* … by up to this */
    uint32_t lose_ppm;           /* of the published messages that are lost … */
    uint32_t lose_request_ppm;   /* … and of the requests, or their answers */
};
extern const struct scale_weather scale_calm, scale_rough;

struct scale_config {
    uint32_t hosts;
    uint32_t fanout; /* the most that follow one publisher; 0: all follow the primary */
    uint64_t seed;
    uint32_t room; /* of the ledger, in hosts and relays; 0: as it comes */
};

struct scale_traffic {                                 /* of a publisher, or of several */
    uint64_t beats, beat_bytes, changes, change_bytes; /* messages to subscribers */
    uint64_t hellos, fetches, snapshots, statuses, subtrees, dials;
    uint64_t request_bytes, reply_bytes;
    int64_t work_ns; /* by the cost of each message */
};

struct scale;

struct scale *scale_new(const struct scale_config *config);
void scale_free(struct scale *w);

void scale_set_weather(struct scale *w, const struct scale_weather *weather);
int64_t scale_now(const struct scale *w);
void scale_run(struct scale *w, int64_t ns); /* for so long */

/* How the fleet is built. */
uint32_t scale_relays(const struct scale *w);
uint32_t scale_levels(const struct scale *w); /* of relays */

/* ---------------------------------------------------------------- what happens to it */

/* The primary commits `count` changes, the last of `kind`, and publishes them; from here on it is
 * watched who has the last one. While the primary is down it is written and not published. */
void scale_change(struct scale *w, uint32_t count, enum change_kind kind);
/* Watch from now on who has what was committed before: also those that are down; the ledger is not
 * asked. */
void scale_watch(struct scale *w);

void scale_stop_primary(struct scale *w);
void scale_start_primary(struct scale *w);
/* One of SCALE_DOMAINS domains of failure dies: every tenth of the relays that hosts follow. No host
 * has both its upstreams in one. Only scale_revive() starts them again. */
void scale_kill_domain(struct scale *w);
void scale_revive(struct scale *w);
/* Everything but the primary stops; and starts again, within `within_ns`. */
void scale_stop_all(struct scale *w);
void scale_start_all(struct scale *w, int64_t within_ns);
/* From now on so many hosts a second stop, and come back after up to two seconds. 0: no more. */
void scale_churn(struct scale *w, uint32_t per_second);

/* ---------------------------------------------------------------- what is seen */

struct scale_took { /* since the change; of the hosts that were up then and stayed; -1: not yet */
    int64_t half_ns, most_ns, all_ns; /* 50 %, 99 %, 100 % have committed it */
    int64_t known_ns;                 /* the primary's ledger has heard so of all it waits for */
    uint32_t hosts, have;
};
struct scale_took scale_took(struct scale *w);

/* Run until all hosts have the change and the ledger knows, or for `limit_ns`. */
struct scale_took scale_settle(struct scale *w, int64_t limit_ns);

/* Since the last scale_forget(): of the primary; of all relays together; what hosts received; the
 * most requests that came to the primary, and to any one relay, in 100 ms; and the longest that
 * anything had to wait for its core. */
struct scale_seen {
    struct scale_traffic primary, relays;
    uint64_t host_messages, host_bytes, host_requests, host_request_bytes;
    uint32_t primary_peak, relay_peak;
    int64_t primary_wait_ns, relay_wait_ns;
    uint64_t counts[COUNT_END];       /* of hosts and relays */
    int64_t since_ns, ledger_real_ns; /* real time: the primary's reading of what hosts tell */
    uint64_t ledger_words;
};
struct scale_seen scale_seen(const struct scale *w);
void scale_forget(struct scale *w);

/* How many are up, and not equal to the primary: at its version, its hash and its digest, and by
 * their own follower's word current. */
uint32_t scale_unequal(struct scale *w);
uint32_t scale_up(const struct scale *w);       /* hosts */
uint64_t scale_happened(const struct scale *w); /* events */

#endif
