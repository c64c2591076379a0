/* guard.h - who may ask: tokens, and pages of other origins (CORS). */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

struct guard;

enum { GUARD_TICKET_SIZE = 33 };

/*
 * token_file: a token a line, '#' begins a comment line; NULL: whoever asks is answered. Only the
 * tokens' hashes are kept. `option` names it in errors. origins: those whose pages may ask, as in
 * https://app.example.com, or "*"; borrowed.
 *
 * Errors:  EINVAL  the file is not there, has no token, or others than its owner can read it; an
 *          origin is none; EIO; ENOMEM
 */
MUST_USE enum hoist_err guard_new(const char *option, const char *token_file,
                                  const char *const *origins, size_t origin_count,
                                  struct guard **ret);
void guard_free(struct guard *g);

/* Whether tokens are asked for. */
bool guard_is_closed(const struct guard *g);

/* `authorization`: the header of that name ("Bearer TOKEN"), or NULL; `api_key`: X-API-Key. Takes as
 * long whichever token is wrong, and wherever. */
bool guard_admits(const struct guard *g, const char *authorization, const char *api_key);

/* The token that a request brings; empty: none. */
struct slice guard_token_of(const char *authorization, const char *api_key);

/*
 * A browser's EventSource sends no headers of the page's choosing, so the address of an event stream
 * carries a ticket: made of the request's token, good for that environment's stream alone, and as
 * long as the token is.
 */
void guard_ticket(const char *authorization, const char *api_key, struct slice env,
                  char out[GUARD_TICKET_SIZE]);
/* Whether `ticket` is that of the token with this hash. */
bool guard_is_ticket(const uint8_t token_hash[HASH_SIZE], struct slice env, const char *ticket);
bool guard_takes_ticket(const struct guard *g, struct slice env, const char *ticket);

/* What Access-Control-Allow-Origin is to say to a page of `origin`; NULL: nothing, it may not. */
const char *guard_origin(const struct guard *g, const char *origin);

#endif
