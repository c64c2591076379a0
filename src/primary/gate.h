/* gate.h - who gave a command, and whether they may.
 *
 * Somebody is known by the key that signed the command, else by their user over a local socket; who
 * is neither may do what `anonymous` says. One gate for each thread that judges: what was granted is
 * read again when that has changed.
 */
#ifndef PRIMARY_GATE_H
#define PRIMARY_GATE_H

#include "access/grants.h"
#include "primary/denials.h"
#include "primary/primary.h"
#include "wire/frame.h"

struct gate {
    enum anonymous anonymous;
    struct denials *denials; /* shared by all gates */
    struct grants grants;
};

enum claim_peer { PEER_NEAR, PEER_TLS, PEER_USER }; /* plain or loopback; TLS; over ipc */

struct claim { /* what a command says of who gave it */
    enum claim_peer peer;
    uint64_t uid; /* PEER_USER */
    bool is_signed;
    bool forged; /* it is signed, and not by that key */
    uint8_t key[SIGN_PUBLIC_SIZE];
    uint64_t epoch;
    int64_t time_ms;
    const char *const *hidden; /* what the listener that it came by does not give out; borrowed */
    uint32_t hidden_count;
};

enum { GATE_NAME_SIZE = 160 };

/* The error's code where a signature is of another epoch, or time: it is to be made anew. */
#define GATE_OLD_SIGNATURE "signature-old"

struct person {
    const struct access_subject *subject; /* the roles; borrowed from the gate */
    const char *const *hidden;            /* environments of which nothing is for them */
    uint32_t hidden_count;
    char name[GATE_NAME_SIZE];        /* for sentences */
    char author[ACCESS_NAME_MAX + 1]; /* the grant's name; "": there is none */
    char grant_by
        [GATE_NAME_SIZE]; /* what a grant would know them by, as an option; if there is none */
};

/* `peer` is as net_peer() gives it. Looks at the signature: not for a thread that must not wait. */
void claim_read(const struct frame_command *frame, const char *peer, struct claim *ret);

/* Read the grants as `r` sees them. On an error nobody may do anything. */
MUST_USE enum hoist_err gate_look(struct gate *g, struct store_read *r);
void gate_done(struct gate *g);

/* The greatest epoch of the primary's environments, but for those that are hidden. A command is to be
 * signed for that of those that it could be told of. */
uint64_t gate_epoch(struct store_read *r, const char *const *hidden, uint32_t hidden_count);

void gate_person(const struct gate *g, const struct claim *c, struct person *ret);

/* Whether the signature is right, and of now. False: the answer is in `out` and *ret_exit. */
bool gate_check_signature(struct gate *g, const struct claim *c, const struct access_need *need,
                          struct store_read *r, int64_t wall_ms, struct buf *out,
                          uint32_t *ret_exit);

/* Count, log and keep it. */
void gate_tell_denied(struct gate *g, const struct person *p, const struct access_need *need,
                      struct slice env, struct slice key, const char *why);

/* Whether `p` may, in `env` and for `key`; ptr NULL: not known yet, or none. False: likewise, and
 * it is counted, logged and kept. */
bool gate_allows(struct gate *g, const struct person *p, const struct access_need *need,
                 struct slice env, struct slice key, struct buf *out, uint32_t *ret_exit);

#endif
