/* client.h - libhoist within hoistd: the same reads, on the store that the program itself writes.
 *
 * LMDB must not be opened twice in one process, so a handle can be put on a store that is open.
 * Everything else is hoist.h's.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/err.h"
#include "base/slice.h"
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

/* The name of the handle's environment; of one that was opened without, the first of the store, or
 * "" while there is none. Copied into `out` of 64 bytes. */
void client_env_name(hoist *h, char out[64]);

#endif
