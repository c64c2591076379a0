/* query.h - questions about a store, answered as the JSON that interface.md gives. The same code
 * answers a primary's rpc and flagctl on the host's own store. */
#ifndef PRIMARY_QUERY_H
#define PRIMARY_QUERY_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "flag/flag.h"
#include "flag/json.h"
#include "store/store.h"

/* flagctl's exit codes. */
enum {
    EXIT_DONE = 0,
    EXIT_NO = 1,
    EXIT_INPUT = 2,
    EXIT_CONFLICT = 3,
    EXIT_GATE = 4,
    EXIT_REFUSED = 5,
    EXIT_NOT_EVERYWHERE = 6,
    EXIT_NO_ANSWER = 7,
    EXIT_STANDS_STILL = 10, /* a release */
    EXIT_ROLLED_BACK = 11,
};

/* {"error":{"exit","code","message","mend","at"}}; empty mend and at are left out. `problems` (may
 * be NULL) are listed as "problems":[{"path","line","column","message","mend"}], without a line where
 * none is known. Returns `exit`. */
uint32_t query_error(struct buf *out, uint32_t exit, const char *code, const char *at,
                     const char *mend, const struct problems *problems, const char *fmt, ...)
    PRINTF_LIKE(7, 8);

/* One of them. */
void query_put_problem(struct json_writer *w, const struct problem *p);

/* The exit code and word for an error of a room, with err_last() as the message. */
uint32_t query_fail(struct buf *out, enum hoist_err err, const char *mend);

/* Whether `name` is a question that query_run() answers: eval, get, is, list, export, log, history, show,
 * diff, audit, env_diff, env_show, usage, stale, envs, access_list, access_denied. */
bool query_is(struct slice name);
size_t query_count(void); /* how many there are */

/*
 * Answer `name` with `args` (an object; docs/protocol.md has them all). Appends JSON to `out`,
 * returns the exit code. "env" absent: the first environment.
 */
uint32_t query_run(struct store_read *r, struct slice name, const json_t *args, struct buf *out);

#endif
