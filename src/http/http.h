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
    /* Whether there is a store to serve from (/readyz), with a sentence when not. Any thread. */
    bool (*ready)(void *arg, struct buf *why_not);
    /* The `status` object, for GET /status. */
    enum hoist_err (*status)(void *arg, struct buf *out);
    void *arg;
};

/* Serves on threads of its own: GET and HEAD of /healthz, /readyz, /metrics, /status; others 404 or
 * 405. Errors: EBUSY (names the address, the option --http and, where it can, the holder), EINVAL,
 * EIO. */
MUST_USE enum hoist_err http_start(const struct http_config *config, struct http **ret);
void http_stop(struct http *h);

#endif
