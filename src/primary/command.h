/* command.h - one change that somebody asks for: read, judged, and carried out in a write
 * transaction. Knows no socket and no thread.
 *
 * A command has two halves, so that the long one can be done elsewhere than on the writer's thread:
 * command_new() reads what was sent (a flag file of 100,000 flags, say), command_run() does it.
 */
#ifndef PRIMARY_COMMAND_H
#define PRIMARY_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "flag/flag.h"
#include "primary/fleet.h"
#include "store/store.h"
#include "wire/frame.h"

struct command;
struct gate;
struct claim;

/* What came of a command. */
struct answer {
    uint32_t exit;
    struct buf body; /* the JSON for the asker */
    struct buf change;
    char env[STORE_ENV_NAME_MAX + 1]; /* where it was about; "" when that is not known */
    bool changed;                     /* `change` is a new version, to be published */
    bool wrote;                       /* something else was put that has to be committed */
    bool announce;                    /* an environment or an epoch began: send a heartbeat */
};

#define ANSWER_INIT                                                                                \
    ((struct answer){.body = BUF_INIT(FRAME_COMMAND_MAX), .change = BUF_INIT(CHANGE_BYTES_MAX)})

void answer_done(struct answer *a);

/* Whether `name` is a command: set, target, delete, apply, kill, restore, rollback, promote, env_create,
 * env_set, env_epoch, release_start, release_sign, release_check, release_hold, release_resume,
 * release_abort, release_note, host_retire, key_rotate, key_revoke, access_grant, access_revoke, token_create,
 * token_revoke. */
bool command_is(struct slice name);
size_t command_count(void); /* how many there are */

/*
 * Read a command; `author` is used where it names none. Whatever is wrong with it, command_run()
 * will say. Errors: ENOMEM alone.
 */
MUST_USE enum hoist_err command_new(const struct frame_command *frame, const char *author,
                                    struct command **ret);
void command_free(struct command *c);

/* Who gave it, as claim_read() has read it of `frame`, which is command_new()'s. Errors: ENOMEM. */
MUST_USE enum hoist_err command_claim(struct command *c, const struct frame_command *frame,
                                      const struct claim *claim);

/* Let `gate` judge who may; it stays the caller's. NULL: nobody is asked who they are. */
void command_judge_by(struct command *c, struct gate *gate);

struct releases;

/* The releases that it may be about, or whose flags it may not change; they stay the caller's. A command
 * about releases needs them. */
void command_release_with(struct command *c, struct releases *rs);

/* What its change is to be signed with; NULL: it is not. `key` stays the caller's. */
void command_sign_with(struct command *c, const struct sign_key *key);

/*
 * Carry it out in `w`. `fleet` may be NULL: nothing was heard.
 *
 * Gives:   OK: *ret is the answer, true once `w` is committed. A refused command has put nothing
 *          into `w`, so that those before and behind it are not touched.
 * Errors:  others: the transaction must be aborted; *ret says nothing.
 */
MUST_USE enum hoist_err command_run(struct command *c, struct store_write *w, struct fleet *fleet,
                                    int64_t wall_ms, struct answer *ret);

/* Its answer says that it wrote something, and that was committed: what is to follow from it. */
void command_committed(struct command *c);

/* Make environment `name` within `w`, as env_create does. *head says who, when, why (author,
 * time_ms, message, request); the rest of it is filled in. The environment's first change, signed
 * unless `key` is NULL, goes into `change`. */
MUST_USE enum hoist_err command_make_env(struct store_write *w, const struct sign_key *key,
                                         const char *name, struct change_header *head,
                                         struct store_env *ret, struct buf *change);

#endif
