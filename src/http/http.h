/* http.h - the HTTP side of a hoistd: health, metrics, and OFREP. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/tls.h"
#include "http/hook.h"
#include "http/ofrep.h"

struct http;

struct http_config {
    const char *listen; /* HOST:PORT, [::1]:PORT; with http:// or https:// in front, or neither */
    const char *option; /* what gave it, for messages; NULL: "--http" */
    /* Whether there is a store to serve from (/readyz), with a sentence when not. Any thread. */
    bool (*ready)(void *arg, struct buf *why_not);
    /* The `status` object, for GET /status. */
    enum hoist_err (*status)(void *arg, struct buf *out);
    void *arg;
    const struct ofrep_config *ofrep; /* NULL: no OFREP */
    struct store *access; /* its tokens are asked for at /metrics and /status; NULL: none are */
    const struct tls_files *tls; /* NULL: none; needed until http_start() returns */
    bool any_client;             /* HTTPS asks for no certificate of its clients */
    hook_fn *alerts;             /* Alertmanager's webhook; NULL: none */
    size_t alerts_max;           /* bytes of its message */
    const char *alerts_tokens;   /* the file with the tokens that it takes */
    uint32_t connections_max;    /* 0: HTTP_CONNECTIONS_MAX */
    uint32_t streams_max;        /* 0: STREAMS_MAX */
    uint64_t bodies_max;         /* bytes, of all requests; 0: HTTP_BODIES_MAX */
    uint32_t busy_max_ms;        /* that a request may take; 0: PEER_BUSY_MAX_MS */
};

enum { HTTP_CONNECTIONS_MAX = 2048, HTTP_BODIES_MAX = 64 << 20 };

/*
 * Serve, on threads of its own: GET and HEAD of /healthz, /readyz, /metrics, /status, OFREP,
 * and Alertmanager's webhook; others 404 or 405. `config` is copied, what it points to must stay.
 *
 * An address with https://, or one beyond loopback when there is `tls`, speaks HTTPS, and to clients
 * alone that show a certificate of the CA.
 *
 * Errors:  EBUSY   the port is taken: names the address, the option and, where it can, the holder
 *          EINVAL  no address, or none of this machine; https:// without certificates, or with such
 *                  as do not belong together; or as ofrep_new()
 *          EACCES, EIO, ENOMEM
 */
MUST_USE enum hoist_err http_start(const struct http_config *config, struct http **ret);

/* Connections that come from now on get these certificates; a server without TLS has no use for them.
 * EINVAL, ENOMEM; then it goes on with those that it has. */
MUST_USE enum hoist_err http_renew(struct http *h, const struct tls_files *tls);

/* Ends the thread and all connections: no callback runs any more. NULL is fine. */
void http_stop(struct http *h);

#endif
