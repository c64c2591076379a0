/* query_int.h - what the answers to questions share. Private to the room. */
#ifndef PRIMARY_QUERY_INT_H
#define PRIMARY_QUERY_INT_H

#include "flag/json.h"
#include "primary/query.h"

/* Environment `name` (NULL: the first). Where there is none *ret_exit is the exit code, and the
 * error, which lists those that there are, is in `out`. */
MUST_USE bool query_env(struct store_read *r, const char *name, struct store_env *ret,
                        struct buf *out, uint32_t *ret_exit);

/* The same for the environment that `args` names. `ok`: whether the other arguments were right; if not,
 * that is the error. */
MUST_USE bool query_env_of(struct store_read *r, const json_t *args, bool ok, const char *question,
                           struct store_env *ret, struct buf *out, uint32_t *ret_exit);

/* The names of all environments, ", " between them. */
void query_env_names(struct store_read *r, struct buf *names);

/* A member of `args` of that kind, or NULL, 0, when it is absent. Another kind clears *ok. */
const char *query_str(const json_t *args, const char *name, bool *ok);
uint64_t query_u64(const json_t *args, const char *name, uint64_t absent, bool *ok);

/* `out` as the answer: OK's exit code, or the error that stuck in it. */
uint32_t query_done(struct buf *out, uint32_t exit);

/* Member `name`: an array of names. */
void query_put_names(struct json_writer *w, const char *name, const struct slice *names,
                     uint32_t count);

enum { QUERY_EDITS_SHOWN = 1000 }; /* of one change; its edits_count tells of more */

/* An argument is of another type than it has to be: the error into `out`; its exit code. */
uint32_t query_bad_args(struct buf *out, const char *question);

/* The first version whose state is known: the log leads back to it. */
uint64_t query_first_version(const struct store_env *env);

/* The version that was the head at `time_ms`; 0: it is not known any more. Times are the primary's,
 * and may have been set back, so the newest change that is not later counts. */
uint64_t query_version_at(struct store_read *r, const struct store_env *env, int64_t time_ms);

/* There is no such version: the error, with those that there are (`least` to the head), into `out`;
 * its exit code. `at`: the argument. */
uint32_t query_no_version(const struct store_env *env, const char *at, uint64_t version,
                          uint64_t least, struct buf *out);

/* Change `version`. ENOTFOUND: not in the log (any more). */
MUST_USE enum hoist_err query_change(struct store_read *r, const struct store_env *env,
                                     uint64_t version, struct change *ret);

/* The existing key that `key` is most likely a slip of; empty when there is none. Borrowed. */
struct slice query_near_key(struct store_read *r, const struct store_env *env, struct slice key);

/* There is no flag `key`: the error, with the key that may be meant, into `out`; its exit code. */
uint32_t query_no_flag(struct store_read *r, const struct store_env *env, struct slice key,
                       struct buf *out);

const char *query_type_name(enum hoist_type type);

/* What a change's header says, and its hash: members into an object that is open. */
void query_put_header(struct json_writer *w, const struct change *c);

/* A flag's definition from its record as JSON; null when the record cannot be read (it is newer
 * than this program, or held back). */
void query_put_record(struct json_writer *w, struct slice key, struct slice record);

uint32_t query_get(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_eval(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_is_on(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_list(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_export(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_log(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_history(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_show(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_diff(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_env_diff(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_env_show(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_audit(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_access_list(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_access_denied(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_usage(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_stale(struct store_read *r, const json_t *args, struct buf *out);
uint32_t query_envs(struct store_read *r, const json_t *args, struct buf *out);

#endif
