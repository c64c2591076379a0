/* grants.h - who may do what: the flags of environment "hoist-access", read.
 *
 * A grant is an object flag "grant/NAME", a token "token/NAME", with one variant whose value is:
 *
 *   {"key": HEX, "uid": 1000, "roles": [{"role": "editor", "envs": ["staging"], "prefixes": ["a."]}]}
 *   {"hash": HEX, "expires_ms": 1790000000000, "roles": […]}
 *
 * So they are signed, chained, replicated, backed up and audited like every other flag. An empty
 * list of environments or prefixes stands for all, one that is missing for none.
 */
#ifndef ACCESS_GRANTS_H
#define ACCESS_GRANTS_H

#include "access/role.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/sign.h"
#include "store/store.h"

#define ACCESS_ENV "hoist-access"
#define ACCESS_OWN_PREFIX "hoist-" /* of environments that are Hoist's own */
#define ACCESS_GRANT_PREFIX "grant/"
#define ACCESS_TOKEN_PREFIX "token/"

enum {
    ACCESS_NAME_MAX = 64,
    ACCESS_SCOPES_MAX = 64, /* environments, or prefixes, of one role */
    ACCESS_TOKEN_LEN = 49,  /* "hoist_" and 43 characters of base64url */
};

struct access_given { /* a role, and where */
    enum access_role role;
    struct slice *envs, *prefixes;
    uint32_t env_count, prefix_count; /* 0: all */
};

struct access_subject { /* somebody, or a token */
    struct slice name;
    bool is_token, has_key, has_uid;
    uint8_t key[SIGN_PUBLIC_SIZE];
    uint64_t uid;
    uint8_t hash[HASH_SIZE]; /* of a token: BLAKE2b-256 of its text */
    int64_t expires_ms;      /* of a token; 0: never */
    struct access_given given[ACCESS_ROLES];
    uint32_t given_count;
};

struct grants { /* all zero: not looked at yet */
    bool any;   /* there is an environment of grants: somebody was granted something once */
    struct access_subject *subjects;
    uint32_t count;
    struct arena arena;
    uint8_t hash[HASH_SIZE]; /* of the change that they are as of */
};

/* Bring `g` up to what `r` sees; costs a lookup where nothing has changed. A grant that cannot be
 * read gives nobody anything, and is logged. ENOMEM, EIO, ECORRUPT: then `g` grants nothing. */
MUST_USE enum hoist_err grants_load(struct grants *g, struct store_read *r);
void grants_done(struct grants *g);

/* NULL: nobody. The token is compared in a time that does not tell where it differs. */
const struct access_subject *grants_by_key(const struct grants *g, struct slice key);
const struct access_subject *grants_by_uid(const struct grants *g, uint64_t uid);
const struct access_subject *grants_by_token(const struct grants *g, struct slice token);

/* Whether one of the subject's roles has what `need` takes. env.ptr NULL: not known yet, any will
 * do; key.ptr NULL: likewise. */
bool access_allows(const struct access_subject *s, const struct access_need *need, struct slice env,
                   struct slice key);

/* A name of a grant or token: 1 to 64 of a-z, A-Z, 0-9 and . _ @ + -. EINVAL. */
MUST_USE enum hoist_err access_name_check(struct slice name);

/* Whether an environment's name is one that only Hoist itself may make and change. */
bool access_env_is_own(struct slice env);

#endif
