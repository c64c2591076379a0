/* scale_store.h - a store of two numbers, for a fleet that has to fit into one process.
 *
 * Two designs were possible; the costs of the second are estimates.
 *
 *   A store in memory, for every host: all stores are prefixes of one history, which is kept once,
 *     so a host's store is the version it has. 100,000 of them are 7 MB, a commit is a comparison
 *     with the history, and the virtual clock decides how long it takes. What LMDB itself does is
 *     not in it.
 *   LMDB for a sample of hosts: each has an address space of its own, a thread, some descriptors, a
 *     lock file of 256 KiB and a commit of 0.2 to 1 ms of real time. For the relays alone, 1,010 at
 *     100,000 hosts, that is a thousand threads, some GB, and up to a real second for a change; and
 *     the rest of the hosts would need the store in memory all the same.
 *
 * It is the first: what LMDB does with a change does not depend on how many other hosts there are,
 * and `converge` measures it. What depends on it is the protocol. Here stands the half of
 * store/store.h that is read (src/repl/answer.c and the primary's ledger are linked with it as they
 * are), and of the half that writes what a follower's outputs need. An apply takes the change only
 * if it is the next version and byte for byte the history's, so hosts at one version are equal; a
 * load checks each record in the same way.
 */
#ifndef BENCH_SCALE_STORE_H
#define BENCH_SCALE_STORE_H

#include "store/store.h"

enum { SCALE_FLAGS = 1000, SCALE_HISTORY = 4096, SCALE_KEY_SIZE = 32 };

#define SCALE_ENV "production"

struct scale_written { /* a version */
    struct buf bytes;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    uint32_t key; /* the flag it touched; SCALE_FLAGS: none, or all */
    uint8_t record;
};

struct scale_history { /* of the one environment; version v is all[v - 1] */
    struct scale_written all[SCALE_HISTORY];
    uint64_t head, epoch;
    int64_t time_ms;
    struct lthash state;
    char keys[SCALE_FLAGS][SCALE_KEY_SIZE];
    uint8_t now[SCALE_FLAGS];      /* the record that each flag has … */
    uint64_t touched[SCALE_FLAGS]; /* … since this version */
    struct buf records[4];         /* off, on, and each of them killed */
};

struct store { /* store.h's, here */
    struct scale_history *history;
    uint64_t version; /* 0: nothing yet */
    uint64_t log_first, starts;
    uint64_t load_base, load_version; /* a load that is on; 0: none */
    uint32_t load_records;
};

/* Versions 1 (create) and 2 (SCALE_FLAGS flags). Exits for want of memory, like all of this. */
void scale_history_begin(struct scale_history *h);
void scale_history_end(struct scale_history *h);

/* The next version: flag `key` is set the other way, or killed. */
void scale_write(struct scale_history *h, uint32_t key, enum change_kind kind);

/* Version `v` of the history, as a frame carries it. */
struct slice scale_bytes(const struct scale_history *h, uint64_t v);

/* Whether `c` is the next version behind `version`, byte for byte. */
bool scale_is_next(const struct scale_history *h, uint64_t version, const struct change *c);

/* A load: begin, records, changes, then finish. False: what came is not what was written. */
bool scale_load_begin(struct store *s, const struct change *base);
bool scale_load_records(struct store *s, const struct edit *records, uint32_t count);
bool scale_load_change(struct store *s, const struct change *c);
bool scale_load_finish(struct store *s);

#endif
