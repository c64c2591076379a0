/* client.h - libhoist within hoistd: the same reads, on the store that the program itself writes.
 *
 * LMDB must not be opened twice in one process, so a handle can be put on a store that is open.
 * Everything else is hoist.h's.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/err.h"
#include "base/slice.h"
#include "flag/json.h"
#include "hoist.h"

struct store;

/* hoist_open() on `s`, which must stay open until hoist_close(). */
MUST_USE enum hoist_err client_open_on(struct store *s, const char *env, hoist **ret);

/*
 * The keys of all flags at the view's version, in order: the first one behind `after` (empty: the
 * first of all), borrowed until the view ends.
 *
 * Errors:  ENOTFOUND  there is none behind it
 *          EIO, ECORRUPT
 */
MUST_USE enum hoist_err client_key_next(hoist_view *v, struct slice after, struct slice *ret);

/* How an evaluation ended. */
struct client_outcome {
    enum hoist_reason reason;
    enum hoist_code code;
    bool limited; /* the flag's rule took too many steps or too much room */
    uint32_t slot;
};

/* Evaluate flag `key` at the view's version, of whatever type it is, and write what OFREP answers
 * for it: the members of answer.h, into an object that is open in `w`. */
void client_answer(hoist_view *v, struct slice key, const hoist_ctx *ctx, struct json_writer *w,
                   struct client_outcome *ret);

/* Count an answer as given to somebody who asked for this flag (usage/tally.h); client_answer() itself
 * does not: of all flags answered at once nobody knows which will be looked at. */
void client_count(const struct client_outcome *o);

/* Which state of the environment is the newest: no two states of one environment have the same. */
struct client_head {
    uint64_t epoch, version;
};

/* ENOTFOUND: there is no store, or not the environment, yet. */
MUST_USE enum hoist_err client_head(hoist *h, struct client_head *ret);

/* The name of the handle's environment; of one that was opened without, the first of the store, or
 * "" while there is none. Copied into `out` of 64 bytes. */
void client_env_name(hoist *h, char out[64]);

#endif
