/* keyring.h - whose signatures a host takes: the keys of its trust file, and those that the
 * certificates which it has seen lead to.
 *
 * Trust begins with the file and goes on certificate by certificate, in the order in which they
 * came: one counts if its signer is trusted at that point. A key that was revoked is trusted no
 * more, even if the file has it; with it goes what it had brought in, but for the key that revoked
 * it, so that whoever stole a key cannot leave another behind.
 */
#ifndef WIRE_KEYRING_H
#define WIRE_KEYRING_H

#include "wire/certificate.h"

struct kept_certificate {
    uint8_t bytes[CERTIFICATE_BYTES_MAX];
    uint8_t len;
};

struct keyring {
    struct trust file;    /* where trust begins; none: nothing is checked, nothing is kept */
    struct trust trusted; /* where it has led to */
    uint8_t brought_by[TRUST_KEYS_MAX][SIGN_PUBLIC_SIZE]; /* for each; itself: the file has it */
    struct kept_certificate *kept;                        /* in the order in which they came */
    size_t count, cap;
};

void keyring_init(struct keyring *k, const struct trust *file);
void keyring_done(struct keyring *k);

enum keyring_verdict {
    KEYRING_KNOWN,   /* it says nothing new */
    KEYRING_TAKEN,   /* it counts, and is kept */
    KEYRING_OLDER,   /* it is news to hosts with an older trust file alone: kept for them */
    KEYRING_STRANGE, /* by a key that is not trusted here: the trust file is too old, or newer */
    KEYRING_FORGED,  /* its signature is not its signer's */
    KEYRING_FULL,    /* it would count, but there is no more room */
};

/* A certificate has come. Errors: ECORRUPT, ELIMIT (it is none); ENOMEM. */
MUST_USE enum hoist_err keyring_take(struct keyring *k, struct slice certificate,
                                     enum keyring_verdict *ret);

/* The keys that were revoked: what they signed before is genuine if it leads to what is trusted. At
 * most TRUST_KEYS_MAX, the newest. */
void keyring_revoked(const struct keyring *k, struct trust *ret);

bool keyring_trusts(const struct keyring *k, const uint8_t key[SIGN_PUBLIC_SIZE]);

/* Whether there is a revocation of `key`. */
bool keyring_has_revoked(const struct keyring *k, const uint8_t key[SIGN_PUBLIC_SIZE]);

/* The list of what is kept, of the newest `max` alone: to be stored, to be given to others. */
void keyring_put(const struct keyring *k, uint32_t max, struct buf *out);
/* Take all of a list as keyring_put() made it; those that do not count here are passed over. */
MUST_USE enum hoist_err keyring_get(struct keyring *k, struct slice list);

/* "c5aa8df4…", to name a key in a sentence. */
enum { KEY_SHORT_SIZE = 20 };
void key_short(const uint8_t key[SIGN_PUBLIC_SIZE], char out[KEY_SHORT_SIZE]);

#endif
