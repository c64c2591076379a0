/* certificate.h - what one signing key says of another: "trust this one too", or "never again".
 *
 *   certificate = [ statement: bin, by: bin(32), signature: bin(64), … ]
 *   statement   = [ kind, key: bin(32), time_ms, … ]
 *
 * The signature is Ed25519 over "hoist-key-1" and the statement's bytes, by the key `by`. A key says
 * nothing of itself: so whoever revokes is trusted still, and somebody always is.
 */
#ifndef WIRE_CERTIFICATE_H
#define WIRE_CERTIFICATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sign.h"
#include "base/slice.h"

enum {
    CERTIFICATE_BYTES_MAX = 255,
    CERTIFICATES_GIVEN = 16, /* so many travel with a hello's answer and with each heartbeat */
    CERTIFICATES_KEPT = 256, /* and so many are kept in a store */
    CERTIFICATES_BYTES_MAX = CERTIFICATES_KEPT * (CERTIFICATE_BYTES_MAX + 2) + 3,
};

enum certificate_kind { CERTIFICATE_ROTATE = 1, CERTIFICATE_REVOKE = 2 };

struct certificate {
    enum certificate_kind kind;
    uint8_t key[SIGN_PUBLIC_SIZE]; /* the one that it is about */
    int64_t time_ms;
    uint8_t by[SIGN_PUBLIC_SIZE];
    struct slice statement, signature;
};

/* Appends one, signed by `by`. ENOMEM; EINVAL: a key that would speak of itself. */
MUST_USE enum hoist_err certificate_put(enum certificate_kind kind,
                                        const uint8_t key[SIGN_PUBLIC_SIZE], int64_t time_ms,
                                        const struct sign_key *by, struct buf *out);

/* Borrowed from `bytes`. ECORRUPT, ELIMIT; whether it is rightly signed is another question. */
MUST_USE enum hoist_err certificate_decode(struct slice bytes, struct certificate *ret);

/* Whether `by` has made the signature. */
bool certificate_is_signed(const struct certificate *c);

/* A list of them, [bin, …], oldest first. */
void certificates_put(struct buf *out, const struct slice *list, uint32_t count);
/* ECORRUPT, ELIMIT, ENOMEM. What is in it is not decoded. */
MUST_USE enum hoist_err certificates_get(struct slice bytes, struct arena *arena,
                                         struct slice **ret, uint32_t *ret_count);

#endif
