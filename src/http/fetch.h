/* fetch.h - asking another HTTP server: one request, answered or given up in time. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/tls.h"

struct fetch {
    const char *url;            /* http:// or https:// */
    struct slice body;          /* JSON; of a POST */
    const char *token;          /* sent as a bearer token; NULL: none */
    const char *const *headers; /* more of them, "NAME: VALUE" */
    size_t header_count;
    /* For https: what we show, and the CA that is believed; NULL, or without a certificate: nothing,
     * and those that the system believes. */
    const struct tls_files *tls;
    int64_t timeout_ms;
    bool is_secret;          /* the URL is: no error says anything of it, its host neither */
    const atomic_bool *stop; /* given up within a second when this is set; NULL: never */
    int64_t *retry_after_ms; /* set to how long the answer asks to wait; NULL: who cares */
};

/*
 * POST `body` and wait for the answer. Redirects are not followed: a token is for whom it was given.
 *
 * Gives:   *ret_status, and the answer's body added to `out` (NULL: nobody reads it).
 * Errors:  EINVAL    the URL is none
 *          ETIMEOUT  no answer in time
 *          ELIMIT    the answer is longer than `out` may be
 *          EIO       nobody is there, or the connection failed; ENOMEM
 * Threads: any; blocks the calling one.
 */
MUST_USE enum hoist_err fetch_post(const struct fetch *f, long *ret_status, struct buf *out);

/* The same with GET, without a body. */
MUST_USE enum hoist_err fetch_get(const struct fetch *f, long *ret_status, struct buf *out);

#endif
