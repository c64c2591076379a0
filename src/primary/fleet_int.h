/* fleet_int.h - the fleet's insides, shared by its files. All is under the one lock.
 *
 *   fleet.c        hosts by id: hearing, looking, retiring
 *   fleet_said.c   what one host said: kept, compared, judged
 *   landing.c      who has what was committed
 *   set_back.c     whether this primary was set back
 *   ledger.c       hosts in the store
 */
#ifndef PRIMARY_FLEET_INT_H
#define PRIMARY_FLEET_INT_H

#include <pthread.h>

#include "primary/fleet.h"

enum { FLEET_NEVER = -1, FLEET_GONE_MAX = 4096, FLEET_NS = 1000000 /* in a millisecond */ };

struct said { /* what a host said of one environment */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint32_t state, held;
    bool foreign;            /* not of this primary's history: its version says nothing of ours */
    int64_t since_ns;        /* when it first said this version */
    int64_t behind_since_ms; /* when its version fell below the head; FLEET_NEVER: it is not */
};

struct host {
    struct slice id;
    bool heard; /* since this primary began; else all is from the ledger */
    int64_t
        heard_ms; /* not heard yet: when the primary began, so that it counts as live for 10 s */
    int64_t heard_wall_ms; /* what the ledger says; for people alone */

    uint64_t incarnation, earlier; /* of the last status, and the other one before it */
    int64_t twins_ms;              /* when two were seen to take turns; FLEET_NEVER */
    int64_t warned_ms;             /* when the log last spoke of it; FLEET_NEVER */

    struct slice via; /* owned: the relay it hangs on; empty: this primary */
    struct arena about_room, refusals_room;
    struct slice software;
    struct label *labels;
    uint32_t label_count;
    struct refusal *refusals;
    uint32_t refusal_count;
    bool refusals_logged;
    struct said *said;
    uint32_t said_count;

    uint64_t awaited; /* a bit for each landing that waits for it */

    uint32_t edition, saved; /* counts what the ledger should know; up to where it does */
    bool silence_saved;      /* and when it was last heard, since it fell silent */
};

struct landing {
    bool used;
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch, first, version;
    int64_t commit_ns, last_ns; /* last_ns: when the last one that has it said so */
    uint32_t hosts, left;       /* how many it lands on; how many have not got it */
    int64_t asked_ms;           /* when somebody last waited; FLEET_NEVER */
    const void *asker;          /* who that was */
    struct metric *duration, *since_asked;
    int64_t asked_ns;
};

struct known { /* what is known of an environment from all hosts */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch;      /* the greatest above this primary's that a host has proved; 0: none */
    uint64_t lost_epoch; /* 0, or the epoch of which a host has what this primary has not */
    char why[FLEET_WHY_SIZE];
};

struct fleet {
    pthread_mutex_t lock;
    struct host **hosts; /* sorted by id */
    uint32_t host_count, host_cap, room;
    size_t told_bytes; /* of all labels and refusals */
    struct known *known;
    uint32_t known_count, known_cap;
    struct landing landings[FLEET_LANDINGS];
    struct metric *propagation;
    struct metric *forged, *unproven;  /* claims to have what this primary has not */
    int64_t doubted_ms;                /* when the log last spoke of one; FLEET_NEVER */
    int64_t warn_from_ms;              /* since when lines about hosts are counted; FLEET_NEVER */
    uint32_t warn_count;               /* those that the log left out among them */
    const struct sign_key *key;        /* NULL: no claim is believed */
    uint32_t look_next;                /* the host that the ledger looks at next */
    struct slice gone[FLEET_GONE_MAX]; /* ids, owned, whose rows are to be deleted */
    uint32_t gone_count;
};

/* ------------------------------------------------------------------ fleet.c */

/* Room for one more of `size` bytes in an array that doubles. */
bool fleet_grow(void **array, uint32_t count, uint32_t *cap, size_t size);

/* Where `id` is, or would be. */
uint32_t host_place(const struct fleet *f, struct slice id, bool *ret_there);
struct host *host_find(const struct fleet *f, struct slice id);
/* New if need be; NULL: no memory or no room, and it is not counted. */
struct host *host_get(struct fleet *f, struct slice id);
bool host_is_live(const struct host *h, int64_t mono_ms);

/* ------------------------------------------------------------------ fleet_said.c */

/* Keep what it says now of itself, and of the environments that are in `r`. `judge`: also whether
 * this primary was set back. False: no memory, and what it said before stays. */
bool host_take(struct fleet *f, struct host *h, struct store_read *r,
               const struct frame_status *status, bool whole, bool judge, int64_t mono_ns);
void host_free_told(struct fleet *f, struct host *h);
/* Keep by which way it was heard. False: no memory. */
bool host_take_via(struct host *h, struct slice via);
struct said *said_of(const struct host *h, const char *env);
/* Whether it has committed that version of ours, or what comes behind it. */
bool said_has(const struct said *said, uint64_t epoch, uint64_t version);
enum fleet_state said_state(const struct host *h, const struct said *said,
                            const struct store_env *env, int64_t mono_ms);

/* ------------------------------------------------------------------ landing.c */

/* What `h` has said may be what some landings wait for. */
void landings_heard(struct fleet *f, struct host *h, int64_t mono_ns);
/* It is gone: none waits for it. */
void landings_forget(struct fleet *f, struct host *h);

/* ------------------------------------------------------------------ set_back.c */

void set_back_begin(struct fleet *f);

struct claim { /* what a host says of an environment */
    const struct env_head *head;
    struct slice proof; /* the change that the head names, without its edits; empty: not given */
    bool last;          /* not a hello, which is told before the host knows what it must prove */
};

/* `host` says something of `env` that it did not say before, or proves it. */
void set_back_judge(struct fleet *f, struct store_read *r, const struct store_env *env,
                    const struct claim *claim, struct slice host, int64_t mono_ms);

#endif
