/* sink.h - somebody who is notified: a kind, and an address that is a secret.
 *
 * A sink is written NAME=KIND:FILE. FILE, which its owner alone may read, has the URL in its first line;
 * for the kind `json` the second line is the key with which each body is signed. It is read for each
 * attempt: what is new in it counts at once. Nothing in it is ever logged, nor said in an error.
 */
#ifndef HTTP_SINK_H
#define HTTP_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SINK_NAME_SIZE = 64, SINK_PATH_SIZE = 4096, SINK_KEY_MIN = 16, SINKS_MAX = 16 };

enum sink_kind {
    SINK_SLACK, /* Slack's incoming webhooks, and those that take the same */
    SINK_JSON, /* the event as JSON, with X-Hoist-Signature: sha256=… (HMAC-SHA-256 of the body) */
};

struct sink {
    char name[SINK_NAME_SIZE];
    enum sink_kind kind;
    char path[SINK_PATH_SIZE];
    bool insecure; /* plain http may leave this machine */
};

/* EINVAL says what is wrong, also with the file. */
MUST_USE enum hoist_err sink_read(const char *text, bool insecure, struct sink *ret);

enum sink_outcome {
    SINK_SENT,
    SINK_FAILED,  /* once more, later */
    SINK_REFUSED, /* this very message: once more is of little use */
};

/*
 * Try once to deliver `body`, for at most 10 s, or until *stop.
 *
 * Gives:   what came of it; of other than SINK_SENT a sentence in err_last(), and in *ret_wait_ms how
 *          long the other side asks to be left alone (0: it does not say)
 * Threads: any; waits.
 */
enum sink_outcome sink_send(const struct sink *s, const char *id, struct slice body,
                            const atomic_bool *stop, int64_t *ret_wait_ms);

#endif
