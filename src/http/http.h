/* http.h - the HTTP side of a hoistd: health and metrics. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct http;

struct http_config {
    const char *listen; /* HOST:PORT, [::1]:PORT */
    const char *option; /* what gave it, for messages; NULL: "--http" */
    /* Whether there is a store to serve from (/readyz), with a sentence when not. Any thread. */
    bool (*ready)(void *arg, struct buf *why_not);
    /* The `status` object, for GET /status. */
    enum hoist_err (*status)(void *arg, struct buf *out);
    void *arg;
};

/*
 * Serve, on a thread of its own: GET and HEAD of /healthz, /readyz, /metrics, /status; others 404
 * or 405. `config` is copied, what it points to must stay.
 *
 * Errors:  EBUSY   the port is taken: names the address, the option and, where it can, the holder
 *          EINVAL  no address, or none of this machine
 *          EACCES, EIO, ENOMEM
 */
MUST_USE enum hoist_err http_start(const struct http_config *config, struct http **ret);
/* Ends the thread and all connections: no callback runs any more. NULL is fine. */
void http_stop(struct http *h);

#endif
