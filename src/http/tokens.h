/* tokens.h - who may ask over HTTP, by the tokens that were granted (flagctl access token).
 *
 * They are read from the host's own store, so that they hold when the network is gone; a token that
 * is revoked ends here when that change arrives, and one that expires by this host's clock.
 * Any thread.
 */
#ifndef HTTP_TOKENS_H
#define HTTP_TOKENS_H

#include "access/grants.h"
#include "http/guard.h"

struct tokens;

enum tokens_answer {
    TOKENS_YES,
    TOKENS_UNKNOWN, /* there is no such token, or it has expired: 401 */
    TOKENS_BEYOND,  /* it is not for this: 403 */
};

/* The store must stay open until tokens_free(). ENOMEM. */
MUST_USE enum hoist_err tokens_new(struct store *s, struct tokens **ret);
void tokens_free(struct tokens *t);

/* Whether `token` (empty: none was brought) has what `need` takes, in environment `env` (empty: the
 * one that is named first) and for flag `key` (empty: for all; ptr NULL: for any). */
enum tokens_answer tokens_judge(struct tokens *t, struct slice token,
                                const struct access_need *need, struct slice env, struct slice key);

/* Whether one of the tokens that may evaluate in `env` has this ticket (guard.h). */
bool tokens_take_ticket(struct tokens *t, struct slice env, const char *ticket);

#endif
