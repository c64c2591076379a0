/* statement.h - what somebody signs who gives a command, and what a change keeps of it.
 *
 *   statement = [ major, request, name, epoch, time_ms, body_hash, … ]
 *   proof     = [ statement: bin, key: bin, signature: bin, body: bin | nil, … ]
 *
 * The signature is Ed25519 over "hoist-command-1" and the statement's bytes. A command that is sent
 * carries epoch, time, key and signature beside its own fields, from which the statement is made
 * again; a change carries the whole as its proof, so that who keeps the log can check who asked for
 * it, and needs nothing else for that. A body longer than PROOF_BODY_MAX is there by its hash alone.
 */
#ifndef WIRE_STATEMENT_H
#define WIRE_STATEMENT_H

#include "wire/frame.h"

enum { STATEMENT_MAJOR = 1, PROOF_BODY_MAX = 1024 };

struct statement {
    uint8_t request[REQUEST_ID_SIZE];
    struct slice name; /* of the command */
    uint64_t epoch;    /* the greatest of the primary's environments when it was signed */
    int64_t time_ms;   /* by the primary's clock */
    uint8_t body_hash[HASH_SIZE];
};

struct proof {
    struct statement said;
    struct slice statement, key, signature;
    struct slice body; /* ptr NULL: not kept */
};

/* Sign `c`, whose epoch and time are filled in: sets its key and signature, the latter in `room`;
 * the former stays borrowed from `key`. ENOMEM. */
MUST_USE enum hoist_err frame_command_sign(struct frame_command *c, const struct sign_key *key,
                                           uint8_t room[SIGNATURE_SIZE]);

/* Whether the command's own key has signed it. False also when memory is out. */
bool frame_command_is_signed(const struct frame_command *c);

/* The proof of a signed command, at most CHANGE_PROOF_MAX bytes; appended to `out`. ENOMEM. */
MUST_USE enum hoist_err proof_put(const struct frame_command *c, struct buf *out);

/* A proof's parts, borrowed. ECORRUPT, EVERSION (names both majors), ELIMIT. */
MUST_USE enum hoist_err proof_get(struct slice in, struct proof *ret);

/* Whether it holds: its key has signed its statement, which is of the body that it carries, if any.
 * False also when memory is out. */
bool proof_holds(const struct proof *p);

#endif
