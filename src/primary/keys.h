/* keys.h - the primary's list of certificates: what it has said of the keys that sign for it. */
#ifndef PRIMARY_KEYS_H
#define PRIMARY_KEYS_H

#include "base/arena.h"
#include "store/store.h"
#include "wire/keyring.h"

struct keys { /* all zero: none */
    struct arena arena;
    struct slice *list; /* oldest first */
    uint32_t count;
    struct keyring ring; /* where they lead a host that has heard all of them */
};

/* As the store has them. EIO, ECORRUPT, ENOMEM. */
MUST_USE enum hoist_err keys_read(struct store_read *r, struct keys *ret);
void keys_done(struct keys *k);

/* Put one more into the store; where there is no room the oldest goes. */
MUST_USE enum hoist_err keys_add(const struct keys *k, struct store_write *w,
                                 struct slice certificate);

/* Whether one of the first `count` certificates is of that key or by it. */
bool keys_name(const struct keys *k, uint32_t count, const uint8_t key[SIGN_PUBLIC_SIZE]);

enum key_state {
    KEY_UNKNOWN, /* no certificate names it */
    KEY_TRUSTED, /* hosts take what it signs */
    KEY_REVOKED,
    KEY_DROPPED, /* they do not: the key that had rotated to it was revoked */
};
enum key_state keys_state(const struct keys *k, const uint8_t key[SIGN_PUBLIC_SIZE]);

/* The keys whose changes are this primary's: `own`, and those that it leads to by the store's
 * certificates. ECORRUPT, EIO, ENOMEM. */
MUST_USE enum hoist_err keys_trusted(struct store_read *r, const struct sign_key *own,
                                     struct trust *ret);

/* Whether one of `t` has signed the newest change of `env`, and with it all that is there (an
 * environment that has nothing yet is anybody's). *ret_is_signed: somebody has, or claims to. */
bool keys_signed_head(struct store_read *r, const struct store_env *env, const struct trust *t,
                      bool *ret_is_signed);

/* Whether hosts may take what `key` signs. EINVAL: by the store's certificates they do not. */
MUST_USE enum hoist_err keys_judge(struct store_read *r, const struct sign_key *key);

/* The same at a primary's start; and the log warns of each environment whose newest change hosts do
 * not take. */
MUST_USE enum hoist_err keys_check_own(struct store *s, const struct sign_key *key);

/* The question `keys` (query_keys.c): {"signs", "keys": [{"key", "state"}], "certificates": […]}. Its exit code. */
uint32_t keys_answer(struct store_read *r, const struct sign_key *own, struct buf *out);

#endif
