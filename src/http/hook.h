/* hook.h - Alertmanager's webhook, POST /hooks/alertmanager: for who brings a token of its file. */
#ifndef HTTP_HOOK_H
#define HTTP_HOOK_H

#include "http/ofrep.h"

#define HOOK_PATH "/hooks/alertmanager"

struct hook;

/* Takes a message, puts a JSON answer into `out`, and gives the HTTP status. One that was longer than may
 * be has `too_long`, and no body. Any thread; may wait. */
typedef unsigned hook_fn(void *arg, struct slice body, bool too_long, struct buf *out);

/* As guard_new(). */
MUST_USE enum hoist_err hook_new(const char *token_file, hook_fn *take, void *arg,
                                 struct hook **ret);
void hook_free(struct hook *k);

/* Look at the request before its body is read. False: it is answered, with what is wrong. */
bool hook_begin(const struct hook *k, const struct ofrep_request *q, struct ofrep_answer *a);

/* Answer a request that hook_begin() let pass, with its body, which may turn out too long. */
void hook_finish(const struct hook *k, const struct ofrep_request *q, bool too_long,
                 struct ofrep_answer *a);

/* 503, for a body that there is no room for now. */
void hook_no_room(const char *why, struct ofrep_answer *a);

#endif
