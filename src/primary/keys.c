#include "primary/keys.h"

#include <string.h>

#include "base/log.h"
#include "wire/change.h"

bool keys_name(const struct keys *k, uint32_t count, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    struct certificate c;
    for (uint32_t i = 0; i < count; i++)
        if (certificate_decode(k->list[i], &c) == HOIST_OK &&
            (memcmp(c.key, key, SIGN_PUBLIC_SIZE) == 0 || memcmp(c.by, key, SIGN_PUBLIC_SIZE) == 0))
            return true;
    return false;
}

/* Trust began with whoever signed the first. A later one by a key that none before it names: the
 * primary was started with that all the same, and hosts were given it by hand. */
static void find_first(const struct keys *k, struct trust *ret)
{
    struct certificate c;
    for (uint32_t i = 0; i < k->count && ret->count < TRUST_KEYS_MAX; i++)
        if (certificate_decode(k->list[i], &c) == HOIST_OK && !keys_name(k, i, c.by))
            memcpy(ret->keys[ret->count++], c.by, SIGN_PUBLIC_SIZE);
}

/* Where trust that begins with `first` leads to, as a host finds it. */
static enum hoist_err follow(const struct keys *k, const struct trust *first, struct keyring *ring)
{
    enum keyring_verdict verdict;
    keyring_init(ring, first);
    for (uint32_t i = 0; i < k->count; i++)
        if (keyring_take(ring, k->list[i], &verdict) == HOIST_ENOMEM)
            return HOIST_ENOMEM;
    return HOIST_OK;
}

enum hoist_err keys_read(struct store_read *r, struct keys *ret)
{
    struct slice list;
    struct keys k = {0};
    struct trust first = {0};
    enum hoist_err err = store_keys_get(r, &list);
    if (err == HOIST_OK)
        err = arena_own(&k.arena, &list);
    if (err == HOIST_OK)
        err = certificates_get(list, &k.arena, &k.list, &k.count);
    if (err == HOIST_OK) {
        find_first(&k, &first);
        err = follow(&k, &first, &k.ring);
    }
    if (err != HOIST_OK && err != HOIST_ENOTFOUND) {
        keys_done(&k);
        return err;
    }
    *ret = k;
    return HOIST_OK;
}

void keys_done(struct keys *k)
{
    keyring_done(&k->ring);
    arena_done(&k->arena);
    *k = (struct keys){0};
}

enum hoist_err keys_add(const struct keys *k, struct store_write *w, struct slice certificate)
{
    struct slice list[CERTIFICATES_KEPT];
    struct buf bytes = BUF_INIT(CERTIFICATES_BYTES_MAX);
    uint32_t first = k->count == CERTIFICATES_KEPT, count = 0;
    for (uint32_t i = first; i < k->count; i++)
        list[count++] = k->list[i];
    list[count++] = certificate;
    certificates_put(&bytes, list, count);
    enum hoist_err err = buf_err(&bytes);
    if (err == HOIST_OK)
        err = store_keys_put(w, buf_slice(&bytes));
    buf_done(&bytes);
    return err;
}

enum key_state keys_state(const struct keys *k, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    if (keyring_trusts(&k->ring, key))
        return KEY_TRUSTED;
    if (keyring_has_revoked(&k->ring, key))
        return KEY_REVOKED;
    return keys_name(k, k->count, key) ? KEY_DROPPED : KEY_UNKNOWN;
}

static struct trust trust_of(const struct sign_key *key)
{
    struct trust t = {.count = 1};
    memcpy(t.keys[0], key->public, SIGN_PUBLIC_SIZE);
    return t;
}

enum hoist_err keys_trusted(struct store_read *r, const struct sign_key *own, struct trust *ret)
{
    struct keys k;
    struct keyring ring;
    struct trust first = trust_of(own);
    enum hoist_err err = keys_read(r, &k);
    if (err != HOIST_OK)
        return err;
    err = follow(&k, &first, &ring);
    if (err == HOIST_OK)
        *ret = ring.trusted;
    keyring_done(&ring);
    keys_done(&k);
    return err;
}

bool keys_signed_head(struct store_read *r, const struct store_env *env, const struct trust *t,
                      bool *ret_is_signed)
{
    struct slice bytes;
    struct change c;
    bool vouched;
    *ret_is_signed = false;
    if (env->head == 0)
        return env->flags == 0;
    if (store_head_get(r, env, &bytes) != HOIST_OK || change_decode(bytes, &c) != HOIST_OK)
        return false;
    *ret_is_signed = c.signature.len > 0;
    change_vouch(t, &c, 1, &vouched);
    return vouched && slice_eq(c.head.env, slice_str(env->name)) && c.head.epoch == env->epoch &&
           c.head.version == env->head && memcmp(c.hash, env->hash, HASH_SIZE) == 0 &&
           memcmp(c.head.digest, env->digest, HASH_SIZE) == 0;
}

/* ------------------------------------------------------------------ the primary's own */

static enum hoist_err judge(const struct keys *k, const struct sign_key *key)
{
    char name[KEY_SHORT_SIZE];
    enum key_state state = keys_state(k, key->public);
    key_short(key->public, name);
    if (state == KEY_REVOKED)
        return err_set(
            HOIST_EINVAL,
            "--sign-key: key %s was revoked, and hosts take nothing that it signs; start "
            "with the key that was rotated to",
            name);
    if (state == KEY_DROPPED)
        return err_set(
            HOIST_EINVAL,
            "--sign-key: hosts take nothing that key %s signs any more: the key that had rotated "
            "to it was revoked; start with the key that revoked that one",
            name);
    return HOIST_OK;
}

enum hoist_err keys_judge(struct store_read *r, const struct sign_key *key)
{
    struct keys k;
    enum hoist_err err = keys_read(r, &k);
    if (err != HOIST_OK)
        return err;
    err = judge(&k, key);
    keys_done(&k);
    return err;
}

/* The keys whose changes hosts take, as far as this store can tell. */
static struct trust trust_of_hosts(const struct keys *k, const struct sign_key *key)
{
    struct trust t = k->ring.trusted;
    if (!keyring_trusts(&k->ring, key->public))
        memcpy(t.keys[t.count < TRUST_KEYS_MAX ? t.count++ : 0], key->public, SIGN_PUBLIC_SIZE);
    return t;
}

static void tell_other(const struct store_env *env, const struct sign_key *key)
{
    char name[KEY_SHORT_SIZE];
    key_short(key->public, name);
    log_warn("primary: the last change of %s was signed by another key than %s, and no certificate "
             "leads from one to the other: hosts that trust the old key take nothing from this "
             "primary. Go back to the old --sign-key and rotate (flagctl key rotate), or "
             "give every host the new trust file",
             env->name, name);
}

static void tell_not_taken(const struct store_env *env, bool is_signed)
{
    log_warn("primary: the last change of %s is %s: hosts that have --trust take nothing of %s "
             "until its next change. If what it has now is right: flagctl env epoch --new --env %s",
             env->name, is_signed ? "signed by no key that hosts take" : "not signed", env->name,
             env->name);
}

/* A follower's store that is unsigned will be taken over, by a change that is signed. */
static void tell_heads(struct store_read *r, const struct keys *k, const struct sign_key *key,
                       bool was_follower)
{
    struct store_env env;
    bool is_signed, unknown = keys_state(k, key->public) == KEY_UNKNOWN;
    struct trust t = trust_of_hosts(k, key);
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++) {
        if (keys_signed_head(r, &env, &t, &is_signed))
            continue;
        if (is_signed && unknown)
            tell_other(&env, key);
        else if (!was_follower)
            tell_not_taken(&env, is_signed);
    }
}

enum hoist_err keys_check_own(struct store *s, const struct sign_key *key)
{
    struct store_read *r;
    struct keys k;
    if (!key)
        return HOIST_OK;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err != HOIST_OK)
        return err;
    err = keys_read(r, &k);
    if (err == HOIST_OK) {
        err = judge(&k, key);
        if (err == HOIST_OK)
            tell_heads(r, &k, key, store_was_follower(s));
        keys_done(&k);
    }
    store_read_end(r);
    return err;
}
