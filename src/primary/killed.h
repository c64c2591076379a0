/* killed.h - which flags of each environment are killed, kept up to date by the log: the first look
 * reads every record, a later one only what has changed since.
 *
 * Threads: one.
 */
#ifndef PRIMARY_KILLED_H
#define PRIMARY_KILLED_H

#include "store/store.h"

struct killed_env {
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t version; /* that it is up to date with, and its hash; 0: with none */
    uint8_t hash[HASH_SIZE];
    struct slice *keys; /* in order */
    size_t count, cap;
};

struct killed { /* all zero: nothing was looked at yet */
    struct killed_env *envs;
    size_t count, cap;
};

/* Those of `env` at its head; *ret is the caller's to read until the next look. ECORRUPT, EIO,
 * ENOMEM: the next look begins anew. */
MUST_USE enum hoist_err killed_look(struct killed *k, struct store_read *r,
                                    const struct store_env *env, const struct killed_env **ret);
void killed_done(struct killed *k);

#endif
