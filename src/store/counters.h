/* counters.h - the file that tells readers what they may still trust of what they have cached.
 *
 *   0        the head below, alone in its page
 *   4096     STORE_SHARDS words: the transaction that last touched a shard of keys
 *   36864    what hoistd says about itself: a sequence number, a length, text
 *
 * In memory order of the machine: it is shared by processes of one machine and holds nothing that
 * the store needs. The writer maps it for writing, readers for reading. It is made once for a
 * numbered directory, allocated in full, and never replaced, shortened or renamed.
 */
#ifndef STORE_COUNTERS_H
#define STORE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "store/store.h"

enum {
    STORE_ID_SIZE = 16,
    STATUS_TEXT_MAX = 12 << 10,
    COUNTERS_SIZE = 4096 + 8 * STORE_SHARDS + (16 << 10),
};

struct counters_head {
    uint64_t magic;
    uint32_t format;
    uint32_t shards;
    uint8_t store_id[STORE_ID_SIZE];
    _Atomic uint64_t head;    /* the last commit that changed something; written with pwrite() */
    _Atomic uint64_t envs;    /* the last commit that changed what environments are */
    _Atomic uint32_t retired; /* another directory has taken over */
};

struct status_area;

struct counters { /* all zero: none */
    int fd;
    struct counters_head *head; /* NULL: none */
    _Atomic uint64_t *words;
    struct status_area *status;
};

/* Make the file of store `id` of `fd`, which has COUNTERS_SIZE bytes of zeros. Its words say
 * nothing yet: the first commit marks them all. */
MUST_USE enum hoist_err counters_make(int fd, const uint8_t id[STORE_ID_SIZE]);

/* Map the file. ENOTFOUND, or ECORRUPT when it is not the one of store `id`. */
MUST_USE enum hoist_err counters_open(const char *path, bool write, const uint8_t id[STORE_ID_SIZE],
                                      struct counters *ret);
void counters_close(struct counters *c);

/* To be called before the commit of transaction `id`. */
void counters_mark(struct counters *c, uint32_t shard, uint64_t id);
void counters_mark_all(struct counters *c, uint64_t id);
void counters_mark_envs(struct counters *c, uint64_t id);

/* To be called after it: whoever waits on the file wakes up. */
void counters_announce(struct counters *c, uint64_t id);

/* Nobody is to trust anything that was cached, and all are to look for the new directory. */
void counters_retire(struct counters *c);

/* The status text. put: one thread at a time. get: ENOTFOUND. */
MUST_USE enum hoist_err counters_put_status(struct counters *c, struct slice text);
MUST_USE enum hoist_err counters_get_status(const struct counters *c, struct buf *out);

#endif
