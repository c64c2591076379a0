/* streams.h - Server-Sent Events: telling clients that what they were answered is old.
 *
 * A stream is a suspended connection: it costs no thread and no timer of its own. One thread waits
 * for commits and for clients that leave, and resumes the connections that there is something to
 * write for. Nothing is queued: a stream knows what its client was last told, so a client that
 * reads slowly gets one event for all it missed, and holds up nobody.
 */
#ifndef HTTP_STREAMS_H
#define HTTP_STREAMS_H

#include <stdint.h>

#include "base/err.h"
#include "http/envs.h"
#include "http/peers.h"
#include "http/shares.h"

struct streams;
struct stream;
struct MHD_Connection;
struct MHD_Response;

enum { STREAMS_MAX = 1024, STREAM_KEEP_ALIVE_MS = 15000 };

/* Begins the thread, which sweeps `peers` as well. `envs` NULL: there are no streams. */
MUST_USE enum hoist_err streams_new(struct envs *envs, struct peers *peers, struct shares *shares,
                                    struct streams **ret);

/* End all streams, and take no more; before the server is stopped. NULL is fine. */
void streams_end(struct streams *s);

/* After the server was stopped: nothing calls us any more. NULL is fine. */
void streams_free(struct streams *s);

/*
 * A stream of `env` for `connection`, whose socket is `fd`, out of `share`. last_event_id: the header,
 * or NULL.
 *
 * Gives:   *ret, the response to queue; the stream ends with it.
 * Errors:  EBUSY  as many streams are open as there may be, or one address may have
 *          ENOMEM and others
 */
MUST_USE enum hoist_err streams_open(struct streams *s, struct env *env,
                                     struct MHD_Connection *connection, int fd, struct share *share,
                                     const char *last_event_id, struct MHD_Response **ret);

#endif
