/* ofrep.h - the OpenFeature Remote Evaluation Protocol, 0.3.0: from a request to an answer.
 *
 * No sockets here: a request is what http.c has read of one, so that a test or a fuzzer can ask as
 * well. An event stream is only let in here; streams.c feeds it.
 *
 *     POST /ofrep/v1/evaluate/flags/{key}    one flag
 *     POST /ofrep/v1/evaluate/flags          all flags
 *     GET  /ofrep/v1/events                  Server-Sent Events: what was answered is old
 *
 * in the environment that is named first. /env/NAME before it is another one.
 */
#ifndef HTTP_OFREP_H
#define HTTP_OFREP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "http/counts.h"
#include "http/envs.h"
#include "http/guard.h"
#include "http/tokens.h"

enum {
    OFREP_BODY_MAX = (1 << 20) + 4096, /* a context is 1 MiB at most */
    OFREP_ANSWER_MAX = 64 << 20,
    OFREP_ETAG_SIZE = 40,
};

struct ofrep;

struct ofrep_config { /* all borrowed for the server's life */
    struct store *store;
    const char *const *context; /* NAME=VALUE: JSON if it is such, else text */
    size_t context_count;
    const char *const *headers; /* HEADER=ATTRIBUTE */
    size_t header_count;
    const char *const *origins;
    size_t origin_count;
    const char *token_file; /* NULL: none is asked for */
    bool access;            /* the store's tokens are asked for (tokens.h), beside the file's */
};

/* EINVAL with the option's name; EIO, ENOMEM. The store must stay open until ofrep_free(). */
MUST_USE enum hoist_err ofrep_new(const struct ofrep_config *config, struct ofrep **ret);
void ofrep_free(struct ofrep *o);

const struct guard *ofrep_guard(const struct ofrep *o);
struct envs *ofrep_envs(const struct ofrep *o);

/* The names of the headers that become attributes, for a preflight's answer: ", X-Account" … */
void ofrep_header_names(const struct ofrep *o, struct buf *out);

struct ofrep_request {
    struct slice method;
    struct slice path; /* as it was sent, without the query */
    struct slice body;
    /* The value of header `name`, or of the query's `name`; NULL: there is none. */
    const char *(*header)(void *arg, const char *name);
    const char *(*query)(void *arg, const char *name);
    void *arg;
};

struct ofrep_answer {
    enum http_route route;
    unsigned status;
    struct buf body; /* JSON; empty with 204 and 304 */
    const char *allow;
    char etag[OFREP_ETAG_SIZE]; /* "": none */
    bool unauthorized;          /* the answer is to say how to authenticate */
    struct env *stream;         /* the answer is this environment's stream */
};

#define OFREP_ANSWER_INIT ((struct ofrep_answer){.status = 200, .body = BUF_INIT(OFREP_ANSWER_MAX)})

/* Whether `path` is under OFREP at all. */
bool ofrep_is(struct slice path);

/*
 * Look at the request before its body is read. False: it is answered, with what is wrong, or with a
 * stream; the body matters no more.
 */
bool ofrep_begin(struct ofrep *o, const struct ofrep_request *q, struct ofrep_answer *a);

/* Answer a request that ofrep_begin() let pass, with its body. */
void ofrep_finish(struct ofrep *o, const struct ofrep_request *q, struct ofrep_answer *a);

/* 413, for a body that turned out longer than OFREP_BODY_MAX. */
void ofrep_too_long(const struct ofrep_request *q, struct ofrep_answer *a);

/* 503, for a body that there is no room for now. */
void ofrep_no_room(const struct ofrep_request *q, const char *why, struct ofrep_answer *a);

#endif
