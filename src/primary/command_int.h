/* command_int.h - a command's insides, for the files that carry one out. Private to the room. */
#ifndef PRIMARY_COMMAND_INT_H
#define PRIMARY_COMMAND_INT_H

#include <jansson.h>

#include "flag/json.h"
#include "primary/command.h"
#include "primary/gate.h"
#include "primary/plan.h"

struct command_args { /* all that any command takes; absent is NULL or 0 */
    const char *env, *message, *if_version;
    const char *key, *value, *type, *file, *variant, *to, *from;
    const char *percent, *by, *only_if, *also, *rule;
    size_t file_len, rule_len;
    json_t *keys;
    int dry_run, force, everyone, only_default, prune, new_epoch, last, with_overrides,
        with_percentages, create, clear, skip_invalid;
};

struct command_kind {
    const char *name;
    const char *takes; /* the arguments it knows, with spaces around each */
    enum hoist_err (*run)(struct command *c, struct store_write *w, struct answer *a);
};

struct command {
    const struct command_kind *kind;
    uint8_t request[REQUEST_ID_SIZE];
    struct slice author; /* owned */
    json_t *body;
    struct command_args args; /* borrowed from body */
    struct flag_file *file;   /* what an apply carries */
    struct problems problems; /* of its flags that are left out */
    struct tree rule;         /* what a target carries, in rule_arena; count 0: none */
    struct arena rule_arena;
    struct answer refused;    /* refused.exit: what was wrong with it as it came */
    uint8_t print[HASH_SIZE]; /* of its name, body and key: two commands are not of one id */
    bool author_said;         /* by the asker, not guessed here */
    struct claim claim;
    struct buf proof; /* for the change; empty: it was not signed */
    const struct access_need *need;

    /* while it runs */
    struct fleet *fleet;
    struct releases *releases; /* NULL: none are run here */
    struct gate *gate;         /* NULL: everybody may */
    struct person person;
    const struct sign_key *key; /* NULL: changes are not signed */
    int64_t wall_ms;
    struct store_env env;
    bool is_protected; /* the environment is */
    bool fast;         /* nothing may hold it back: no limits, no checks */
    uint64_t restores; /* a rollback's version, else 0 */
    void (*put_more)(struct json_writer *w, struct command *c); /* into the answer, or NULL */
    const void *more;                                           /* for put_more() */
};

/* Carry out `plan`: stage, log, keep the answer; or only say what would be done. */
MUST_USE enum hoist_err command_carry_out(struct command *c, struct store_write *w,
                                          enum change_kind kind, struct plan *plan,
                                          struct answer *a);

/* Whether the asker may do this in `env`; ptr NULL: anywhere at all. False: that is answered. */
bool command_may(struct command *c, const struct access_need *need, const char *env,
                 struct answer *a);

/* Whether the environment was not set back. False: that is answered. */
bool command_check_set_back(struct command *c, struct answer *a);

/* Put a change without edits: an environment's first, an epoch's. */
MUST_USE enum hoist_err command_mark(struct store_write *w, const struct sign_key *key,
                                     struct change_header *head, const struct store_env *env,
                                     struct buf *change);

/* Put the plan's edits as the next change of `env`: *head has who, when, why and the kind, and is filled
 * in. The change, signed unless `key` is NULL, goes into `change`. */
MUST_USE enum hoist_err command_put_plan(struct store_write *w, const struct sign_key *key,
                                         struct change_header *head, const struct store_env *env,
                                         const struct plan *plan, struct buf *change);

/* The header of the next change of `env`, with all that comes from the command. */
struct change_header command_next(const struct command *c, const struct store_env *env);

/* An epoch: the time it begins, in seconds, then 24 random bits; always above `above`. */
uint64_t command_new_epoch(int64_t wall_ms, uint64_t above);

/* Begin a new epoch of `env`, above `above` and its own: the next change says so. *head has time,
 * author and message, and is filled in; env->epoch becomes the new one. */
MUST_USE enum hoist_err command_begin_epoch(struct store_write *w, const struct sign_key *key,
                                            struct change_header *head, uint64_t above,
                                            struct store_env *env, struct buf *change);

/* Keep the answer under the command's request id, to be given again when that is repeated. */
MUST_USE enum hoist_err command_keep_answer(struct command *c, struct store_write *w,
                                            const struct answer *a);

/* {"env","epoch","version","result",…} for a change of `env` as it is now. `plan` may be NULL. */
void command_put_result(struct command *c, const struct store_env *env, uint64_t version,
                        const char *result, const struct plan *plan, struct answer *a);

/* What is the asker's to mend is answered, with OK; the rest ends the transaction. */
MUST_USE enum hoist_err command_answer_or_fail(struct answer *a, enum hoist_err err,
                                               const char *mend);

/* The version that `text`, which is argument `at`, names: V, or EPOCH:V. *ret_epoch is left alone
 * where there is none. False: it names none, and that is answered. */
MUST_USE bool command_version(const char *text, const char *at, uint64_t *ret_epoch,
                              uint64_t *ret_version, struct answer *a);

/* "edits": what the plan would do, flag by flag, in the shape of the log's. */
void command_put_edits(struct json_writer *w, const struct plan *plan);

/* Leave out the file's flags that require what will not be there. */
MUST_USE enum hoist_err command_skip_unmet(struct command *c, const struct plan *plan);

/* Whether the file has a flag of that name, if only one that is left out. */
bool command_file_names(const struct flag_file *file, struct slice key);

/* "skipped": the flags that are left out, with their problems. */
void command_put_skipped(struct json_writer *w, struct command *c);

enum hoist_err command_set(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_delete(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_target(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_apply(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_kill(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_restore(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_rollback(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_promote(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_env_create(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_key_rotate(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_key_revoke(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_host_retire(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_env_set(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_env_epoch(struct command *c, struct store_write *w, struct answer *a);

enum hoist_err command_release_start(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_release_say(struct command *c, struct store_write *w, struct answer *a);

/* Whether no release moves one of the plan's flags. False: that is answered. */
bool command_check_releases(struct command *c, const struct plan *plan, struct answer *a);

enum hoist_err command_access_grant(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_access_revoke(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_token_create(struct command *c, struct store_write *w, struct answer *a);
enum hoist_err command_token_revoke(struct command *c, struct store_write *w, struct answer *a);

#endif
