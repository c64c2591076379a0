/* answer.h - what a server answers to hello, fetch and snapshot, from one read transaction each.
 *
 * Bytes in, bytes out: no socket here. Any thread. An answer is appended to `out`; when the store
 * cannot be read it is "busy" or an error reply, so that an asker always hears something.
 */
#ifndef REPL_ANSWER_H
#define REPL_ANSWER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "repl/downloads.h"
#include "repl/standing.h"
#include "store/store.h"
#include "wire/frame.h"

enum {
    ANSWER_FETCH_BUSY_MS = 50,
    ANSWER_SNAPSHOT_BUSY_MS = 1000,
};

struct answerer { /* who answers; all borrowed */
    struct store *store;
    struct downloads *downloads;
    struct slice id, software;
    uint64_t incarnation;
    const struct sign_key *key; /* the primary's; NULL: its heartbeats are not signed */
    standing_fn *standing; /* a relay's; NULL: this is the primary, and the store says it all */
    void *standing_arg;
    const char *const *envs; /* what there is to be had; NULL: all that the store has */
    uint32_t env_count;
    const char *const *hidden; /* nor these */
    uint32_t hidden_count;
    _Atomic uint32_t *beats; /* heartbeats sent */
};

/* Whether anything of environment `env` is given out and told. */
bool answer_gives(const struct answerer *a, struct slice env);

void answer_hello(const struct answerer *a, struct buf *out);
void answer_fetch(const struct answerer *a, const struct frame_fetch *f, struct buf *out);
/* To a request of `kind` that is not looked at: come again in `again_ms`. */
void answer_busy(enum frame_kind kind, uint32_t again_ms, struct buf *out);
/* Whether there is a place for `asker`'s download; without one it is told to come again. */
enum download_place answer_snapshot(const struct answerer *a, const struct download_asker *asker,
                                    const struct frame_snapshot *f, struct buf *out);

/* How whoever answers stands: a relay as it says, the primary as its store `r` does. Names and heads
 * stand in `arena`. EIO, ECORRUPT, ENOMEM. */
MUST_USE enum hoist_err answer_standing(const struct answerer *a, struct store_read *r,
                                        struct arena *arena, struct standing *ret);

#endif
