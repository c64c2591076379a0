/* change.h - a change in bytes: what is published, logged, hashed and signed.
 *
 *   change = [ header: bin, edits: bin | nil, signature: bin ]
 *   header = [ major, minor, env, epoch, version, time_ms, author, message, kind, prev, edits_hash,
 *              edits_len, edits_count, digest, request, old_epoch, restores, proof, certificate, … ]
 *   edits  = [ [1, key, record] | [2, key], … ]
 *
 * env, author, message and keys are str; hashes, digest, request and records are bin. The outer
 * array has three elements and never more, since what stands beside the header is neither hashed
 * nor signed; what a later version adds stands at the header's end, where it is ignored but kept.
 *
 * A change's hash is BLAKE2b-256 of the header bytes. Whoever receives bytes keeps, hashes and
 * passes on those very bytes: only the primary encodes. `edits` is nil where a change is too big to
 * be published whole; it is then fetched. The signature is Ed25519 over "hoist-change-1" and the
 * header bytes, or empty: not signed.
 */
#ifndef WIRE_CHANGE_H
#define WIRE_CHANGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sign.h"
#include "base/slice.h"

enum {
    CHANGE_MAJOR = 1,
    CHANGE_MINOR = 2, /* 1 has no `proof` and `certificate`, 0 no `restores` either: they are still
                         written where those are empty */
    CHANGE_BYTES_MAX = 64 << 20,
    CHANGE_EDITS_MAX = 1000000,
    CHANGE_AUTHOR_MAX = 255,
    CHANGE_MESSAGE_MAX = 4096,
    CHANGE_SIGNATURE_MAX = 255,
    CHANGE_PROOF_MAX = 2048,
    REQUEST_ID_SIZE = 16,
};

enum change_kind { /* numbers are on disk: add at the end */
                   CHANGE_SET = 1,
                   CHANGE_APPLY = 2,
                   CHANGE_DELETE = 3,
                   CHANGE_ROLLBACK = 4,
                   CHANGE_KILL = 5,
                   CHANGE_RESTORE = 6,
                   CHANGE_PROMOTE = 7,
                   CHANGE_RELEASE = 8,
                   CHANGE_EPOCH = 9, /* begins an epoch: without edits; names the old one in
                                        old_epoch and prev */
                   CHANGE_CREATE =
                       10,          /* version 1 of an environment: its creation, without edits */
                   CHANGE_KEY = 11, /* a signing key is rotated or revoked: without edits */
};

struct change_header {
    struct slice env;
    uint64_t epoch;
    uint64_t version;
    int64_t time_ms;
    struct slice author;
    struct slice message;
    uint32_t kind;                 /* enum change_kind; unknown ones are carried all the same */
    uint8_t prev[HASH_SIZE];       /* hash of the change before; zero in version 1 */
    uint8_t edits_hash[HASH_SIZE]; /* BLAKE2b-256 of the edits bytes */
    uint64_t edits_len;
    uint32_t edits_count;
    uint8_t digest[HASH_SIZE];        /* state digest after this change */
    uint8_t request[REQUEST_ID_SIZE]; /* the command that asked for it; zero if none */
    uint64_t old_epoch; /* CHANGE_EPOCH: the epoch that ends with version - 1; else 0 */
    uint64_t restores;  /* CHANGE_ROLLBACK: the version whose state the edits restore; else 0 */
    struct slice proof; /* who asked for it, as they signed it; or empty */
    struct slice certificate; /* CHANGE_KEY: certificate.h; else empty */
};

struct change {
    struct change_header head;
    struct slice bytes;        /* all of it */
    struct slice header_bytes; /* what is hashed and signed */
    struct slice edits;        /* ptr NULL when absent */
    struct slice signature;
    uint8_t hash[HASH_SIZE]; /* of header_bytes */
};

const char *change_kind_name(uint32_t kind); /* "set"; "unknown" for others */

/* The signature of a change that is to be signed, until change_sign(). */
extern const struct slice change_unsigned;

/* Appends a whole change, or nothing on error (ENOMEM, ELIMIT); `edits` is what edits_begin() & co.
 * made, or empty: no edits. Fills in edits_hash and edits_len of *head, and ret_hash unless NULL;
 * env, author and message of *head must be what a decoder takes. */
MUST_USE enum hoist_err change_encode(struct change_header *head, struct slice edits,
                                      struct slice signature, struct buf *out,
                                      uint8_t ret_hash[HASH_SIZE]);

/*
 * The change in `bytes`, borrowed from them; its edits' length, hash and count are compared with
 * the header (if they are there), each edit's shape is not.
 *
 * Errors:  ECORRUPT, EVERSION (names both majors), ELIMIT (longer than CHANGE_BYTES_MAX, or a part
 *          of it than its own limit). On error *ret is untouched.
 */
MUST_USE enum hoist_err change_decode(struct slice bytes, struct change *ret);

/* Sign the change in `bytes` of `len`, which was encoded with change_unsigned. ECORRUPT, ENOMEM. */
MUST_USE enum hoist_err change_sign(uint8_t *bytes, size_t len, const struct sign_key *key);

/*
 * Which of `changes`, in the order in which they came, are vouched for: one that a trusted key has
 * signed, and one that such a change of its environment follows on, by its `prev`. So of a run only
 * the last signature is checked. With nobody to trust all are.
 */
void change_vouch(const struct trust *t, const struct change *changes, uint32_t count,
                  bool *ret_vouched);

/* The same change with its edits left out (for PUB, and for a snapshot's first page). */
MUST_USE enum hoist_err change_without_edits(const struct change *c, struct buf *out);

/* Edits: an array header for `count`, then `count` edits. */
void edits_begin(struct buf *b, uint32_t count);
void edits_put(struct buf *b, struct slice key, struct slice record);
void edits_delete(struct buf *b, struct slice key);

struct edit {
    bool put;            /* else delete */
    struct slice key;    /* as flag_key_check() has it */
    struct slice record; /* put: the record's bytes, any length */
};

struct edits_reader {
    struct slice rest;
    uint32_t left;
};

MUST_USE enum hoist_err edits_open(struct slice edits, struct edits_reader *ret);

/* The next edit; ENOTFOUND behind the last; ECORRUPT when it is no edit or bytes are left over. */
MUST_USE enum hoist_err edits_next(struct edits_reader *r, struct edit *ret);

/* Whether one of its edits is of `key`. */
bool change_touches(const struct change *c, struct slice key);

#endif
