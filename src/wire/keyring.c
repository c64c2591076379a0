#include "wire/keyring.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static bool same(const uint8_t a[SIGN_PUBLIC_SIZE], const uint8_t b[SIGN_PUBLIC_SIZE])
{
    return memcmp(a, b, SIGN_PUBLIC_SIZE) == 0;
}

static int find(const struct keyring *k, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    for (uint32_t i = 0; i < k->trusted.count; i++)
        if (same(k->trusted.keys[i], key))
            return (int)i;
    return -1;
}

bool keyring_trusts(const struct keyring *k, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    return find(k, key) >= 0;
}

/* ------------------------------------------------------------------ where trust leads to */

static void begin(struct keyring *k)
{
    k->trusted = k->file;
    memcpy(k->brought_by, k->file.keys, sizeof k->brought_by);
}

static void add(struct keyring *k, const struct certificate *c)
{
    uint32_t at = k->trusted.count++;
    memcpy(k->trusted.keys[at], c->key, SIGN_PUBLIC_SIZE);
    memcpy(k->brought_by[at], c->by, SIGN_PUBLIC_SIZE);
}

static void drop(struct keyring *k, uint32_t at)
{
    uint32_t behind = --k->trusted.count - at;
    memmove(k->trusted.keys[at], k->trusted.keys[at] + SIGN_PUBLIC_SIZE,
            (size_t)behind * SIGN_PUBLIC_SIZE);
    memmove(k->brought_by[at], k->brought_by[at] + SIGN_PUBLIC_SIZE,
            (size_t)behind * SIGN_PUBLIC_SIZE);
}

/* The first key whose bringer is trusted no more; -1: none. */
static int find_orphan(const struct keyring *k)
{
    for (uint32_t i = 0; i < k->trusted.count; i++)
        if (find(k, k->brought_by[i]) < 0)
            return (int)i;
    return -1;
}

/* The key goes, and all that it brought in, but for the signer, which stands by itself from now on. */
static void revoke(struct keyring *k, const struct certificate *c)
{
    int signer = find(k, c->by), at = find(k, c->key);
    assert(signer >= 0);
    memcpy(k->brought_by[signer], c->by, SIGN_PUBLIC_SIZE);
    while (at >= 0) {
        drop(k, (uint32_t)at);
        at = find_orphan(k);
    }
}

static void apply(struct keyring *k, const struct certificate *c)
{
    if (c->kind == CERTIFICATE_REVOKE)
        revoke(k, c);
    else
        add(k, c);
}

/* ------------------------------------------------------------------ what is kept */

static struct slice kept(const struct keyring *k, size_t i)
{
    return slice_of(k->kept[i].bytes, k->kept[i].len);
}

bool keyring_has_revoked(const struct keyring *k, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    struct certificate c;
    for (size_t i = 0; i < k->count; i++)
        if (certificate_decode(kept(k, i), &c) == HOIST_OK && c.kind == CERTIFICATE_REVOKE &&
            same(c.key, key))
            return true;
    return false;
}

void keyring_revoked(const struct keyring *k, struct trust *ret)
{
    struct certificate c;
    *ret = (struct trust){0};
    for (size_t i = k->count; i > 0 && ret->count < TRUST_KEYS_MAX; i--)
        if (certificate_decode(kept(k, i - 1), &c) == HOIST_OK && c.kind == CERTIFICATE_REVOKE)
            memcpy(ret->keys[ret->count++], c.key, SIGN_PUBLIC_SIZE);
}

static bool is_kept(const struct keyring *k, struct slice bytes)
{
    for (size_t i = 0; i < k->count; i++)
        if (slice_eq(kept(k, i), bytes))
            return true;
    return false;
}

static enum hoist_err keep(struct keyring *k, struct slice bytes)
{
    assert(k->count < CERTIFICATES_KEPT);
    if (k->count == k->cap) {
        struct kept_certificate *more = mem_grow(k->kept, &k->cap, 4, sizeof *more);
        if (!more)
            return err_set(HOIST_ENOMEM, "out of memory");
        k->kept = more;
    }
    struct kept_certificate *to = &k->kept[k->count++];
    memcpy(to->bytes, bytes.ptr, bytes.len);
    to->len = (uint8_t)bytes.len;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ life */

void keyring_init(struct keyring *k, const struct trust *file)
{
    *k = (struct keyring){.file = *file};
    begin(k);
}

void keyring_done(struct keyring *k)
{
    mem_free(k->kept);
    k->kept = NULL;
    k->count = k->cap = 0;
}

/* By a key that was revoked, to one that is trusted. One for each such two is enough: whoever stole the
 * old key can sign any number. */
static bool leads_here(const struct keyring *k, const struct certificate *c)
{
    struct certificate other;
    if (!keyring_has_revoked(k, c->by) || k->count == CERTIFICATES_KEPT)
        return false;
    for (size_t i = 0; i < k->count; i++)
        if (certificate_decode(kept(k, i), &other) == HOIST_OK &&
            other.kind == CERTIFICATE_ROTATE && same(other.key, c->key) && same(other.by, c->by))
            return false;
    return certificate_is_signed(c);
}

static enum keyring_verdict judge(const struct keyring *k, const struct certificate *c)
{
    bool trusted = find(k, c->key) >= 0, revoked = keyring_has_revoked(k, c->key);
    if (find(k, c->by) < 0) {
        if (c->kind != CERTIFICATE_ROTATE || !trusted)
            return KEYRING_STRANGE;
        return leads_here(k, c) ? KEYRING_OLDER : KEYRING_KNOWN;
    }
    if (c->kind == CERTIFICATE_ROTATE ? trusted || revoked : revoked && !trusted)
        return KEYRING_KNOWN;
    if (!certificate_is_signed(c))
        return KEYRING_FORGED;
    /* None may go to make room: without its revocation an old key would be trusted again. */
    if (k->count == CERTIFICATES_KEPT ||
        (c->kind == CERTIFICATE_ROTATE && k->trusted.count == TRUST_KEYS_MAX))
        return KEYRING_FULL;
    return KEYRING_TAKEN;
}

enum hoist_err keyring_take(struct keyring *k, struct slice bytes, enum keyring_verdict *ret)
{
    struct certificate c;
    enum keyring_verdict verdict = KEYRING_KNOWN;
    enum hoist_err err = certificate_decode(bytes, &c);
    if (err == HOIST_OK && k->file.count > 0 && !is_kept(k, bytes))
        verdict = judge(k, &c);
    if (err == HOIST_OK && (verdict == KEYRING_TAKEN || verdict == KEYRING_OLDER))
        err = keep(k, bytes);
    if (err != HOIST_OK)
        return err;
    if (verdict == KEYRING_TAKEN)
        apply(k, &c);
    *ret = verdict;
    return HOIST_OK;
}

void keyring_put(const struct keyring *k, uint32_t max, struct buf *out)
{
    struct slice list[CERTIFICATES_KEPT];
    size_t count = k->count < max ? k->count : max;
    for (size_t i = 0; i < count; i++)
        list[i] = kept(k, k->count - count + i);
    certificates_put(out, list, (uint32_t)count);
}

enum hoist_err keyring_get(struct keyring *k, struct slice bytes)
{
    struct arena arena = {0};
    struct slice *list;
    uint32_t count = 0;
    enum keyring_verdict verdict;
    enum hoist_err err = certificates_get(bytes, &arena, &list, &count);
    for (uint32_t i = 0; i < count && err == HOIST_OK; i++)
        err = keyring_take(k, list[i], &verdict);
    arena_done(&arena);
    return err;
}

void key_short(const uint8_t key[SIGN_PUBLIC_SIZE], char out[KEY_SHORT_SIZE])
{
    enum { SHOWN = 8 };
    char hex[2 * SHOWN + 1];
    text_hex(hex, slice_of(key, SHOWN));
    snprintf(out, KEY_SHORT_SIZE, "%s…", hex);
}
