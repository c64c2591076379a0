/* sign.h - Ed25519 keys, and what they sign (libsodium; RFC 8032).
 *
 * A secret key's file has one line, "hoist-sign-1" and 64 hex digits (the seed), and is its owner's
 * alone (0600). A trust file has a line for each public key, "hoist-trust-1" and 64 hex digits; what
 * stands behind them is a comment, as is a line that begins with '#'. What is signed begins with a
 * text that says what it is, so that nothing signed for one use passes for another.
 */
#ifndef BASE_SIGN_H
#define BASE_SIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SIGN_PUBLIC_SIZE = 32, SIGN_SECRET_SIZE = 64, SIGNATURE_SIZE = 64, TRUST_KEYS_MAX = 16 };

struct sign_key {
    uint8_t public[SIGN_PUBLIC_SIZE];
    uint8_t secret[SIGN_SECRET_SIZE];
};

struct trust { /* public keys, any of which may have signed; count 0: nothing is checked */
    uint8_t keys[TRUST_KEYS_MAX][SIGN_PUBLIC_SIZE];
    uint32_t count;
};

/* The key that 32 secret bytes make. */
void sign_key_from_seed(const uint8_t seed[SIGN_PUBLIC_SIZE], struct sign_key *ret);

/* A new key, which nobody has. */
void sign_key_random(struct sign_key *ret);

/*
 * Read the key in file `path`; make one that is not there if `make`, with its public half as a trust
 * file at `trust_path`.
 *
 * Errors:  ENOTFOUND  it is not there, and not to be made
 *          EACCES     it may not be read, or others than its owner may read it: names the mend
 *          EINVAL     it is no key
 *          EIO, ENOSPC, ENOMEM
 */
MUST_USE enum hoist_err sign_key_open(const char *path, bool make, const char *trust_path,
                                      struct sign_key *ret);

/* The public key that `text` is: 64 hex digits, or the path of a trust file with one key. EINVAL. */
MUST_USE enum hoist_err public_key_read(const char *text, uint8_t ret[SIGN_PUBLIC_SIZE]);

/* Make a new key in file `path`. EINVAL (it is there already), EACCES, ENOSPC, ENOTFOUND, EIO, ENOMEM. */
MUST_USE enum hoist_err sign_key_make(const char *path, struct sign_key *ret);

/* The keys in trust file `path`. EINVAL (names the line), ENOTFOUND, EACCES, EIO. */
MUST_USE enum hoist_err trust_read(const char *path, struct trust *ret);

/* Signs `what` (a short text), then `bytes`. ENOMEM. */
MUST_USE enum hoist_err sign(const struct sign_key *key, const char *what, struct slice bytes,
                             uint8_t ret[SIGNATURE_SIZE]);

/* Whether one of the keys has signed that. False also when memory is out. */
bool trust_check(const struct trust *t, const char *what, struct slice bytes,
                 struct slice signature);

#endif
