/* audit.h - walking an environment's hash chain: each change names the hash of the one before.
 *
 * Pure: the bytes may come from a store, a primary, or a file that somebody kept.
 */
#ifndef PRIMARY_AUDIT_H
#define PRIMARY_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "store/store.h"
#include "wire/keyring.h"

struct audit_proved { /* a change that its author's key has signed the command of */
    uint8_t request[REQUEST_ID_SIZE];
    uint64_t version;
};

struct audit { /* all zero: nothing was seen yet, and signatures are not looked at */
    struct keyring
        *ring; /* whose signatures count, and whose from its certificates on; a change that
                             follows on a signed one's way needs none of its own, the last one does */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t first, last; /* versions seen; 0: none */
    uint64_t count;
    uint8_t hash[HASH_SIZE];     /* of the last */
    struct audit_proved *proved; /* proved_count of them: audit_done() */
    size_t proved_count, proved_room;
    uint64_t signed_count; /* changes that a trusted key has signed */
    bool last_signed;
    uint64_t broken; /* the version at which the chain breaks; 0: it holds */
    char why[512];
};

/* The next change, byte for byte. False: the chain breaks here, and `broken` and `why` tell how. */
bool audit_step(struct audit *a, struct slice change);

/* The chain ends here: the last change must be `version` with `hash`. */
bool audit_end(struct audit *a, uint64_t version, const uint8_t hash[HASH_SIZE]);

/* Nothing more comes: somebody who is trusted must have signed the last change, which vouches for
 * all before it. True where nobody's signature is looked at. */
bool audit_end_signed(struct audit *a);

/* Likewise: no signed command may stand behind two changes, since it was carried out once. */
bool audit_end_proved(struct audit *a);

void audit_done(struct audit *a);

#endif
