/* follower_keys.c - which keys may sign: certificates that are believed, kept, and passed on.
 *
 * They come with every hello and heartbeat, so that a host which was away knows a new key before
 * anything that it signed; and with the changes, so that a log tells the same.
 */
#include <string.h>

#include "repl/follower_int.h"

enum hoist_err keys_begin(struct follower *f, const struct follower_config *c)
{
    keyring_init(&f->ring, &c->trust);
    f->given = BUF_INIT(CERTIFICATES_BYTES_MAX);
    if (c->certificates.len == 0)
        return HOIST_OK;
    enum hoist_err err = keyring_get(&f->ring, c->certificates);
    if (err == HOIST_OK)
        keyring_put(&f->ring, CERTIFICATES_GIVEN, &f->given);
    return err == HOIST_OK ? buf_err(&f->given) : err;
}

void keys_end(struct follower *f)
{
    keyring_done(&f->ring);
    buf_done(&f->given);
}

static void tell_taken(struct follower *f, struct slice bytes)
{
    struct certificate c;
    char key[KEY_SHORT_SIZE], by[KEY_SHORT_SIZE];
    if (certificate_decode(bytes, &c) != HOIST_OK)
        return;
    key_short(c.key, key);
    key_short(c.by, by);
    tell_count(f, COUNT_KEY);
    if (c.kind == CERTIFICATE_ROTATE)
        tell_log(f, LOG_INFO, "repl: what key %s signs is taken from now on; key %s says so", key,
                 by);
    else
        tell_log(f, LOG_WARN,
                 "repl: key %s is revoked, key %s says so: what it signs is taken no more, also if "
                 "the trust file has it",
                 key, by);
}

/* Somebody with a trusted key has made as many certificates as a host keeps, or the owner has. */
static void tell_full(struct follower *f)
{
    if (!f->full_told)
        tell_log(f, LOG_ERROR,
                 "repl: there is no room here for another signing key, so that a rotation or "
                 "revocation is not taken. Give this host the present trust file (flagctl key list "
                 "--raw at the primary) and an empty store");
    f->full_told = true;
}

/* True: it is to be kept. */
static bool take(struct follower *f, struct slice bytes)
{
    enum keyring_verdict verdict = KEYRING_KNOWN;
    switch (keyring_take(&f->ring, bytes, &verdict)) {
    case HOIST_OK:
        break;
    case HOIST_ENOMEM:
        f->no_memory = true;
        return false;
    default:
        upstream_garbage(f, COUNT_BAD_FRAME, err_last());
        return false;
    }
    if (verdict == KEYRING_FORGED)
        upstream_forged(f, "a certificate of a signing key");
    if (verdict == KEYRING_FULL)
        tell_full(f);
    if (verdict == KEYRING_TAKEN)
        tell_taken(f, bytes);
    return verdict == KEYRING_TAKEN || verdict == KEYRING_OLDER;
}

static void keep(struct follower *f)
{
    struct buf list = BUF_INIT(CERTIFICATES_BYTES_MAX);
    keyring_put(&f->ring, CERTIFICATES_KEPT, &list);
    struct slice bytes = buf_slice(&list);
    if (buf_err(&list) == HOIST_OK && arena_own(&f->arena, &bytes) == HOIST_OK)
        tell(f, OUT_KEYS)->bytes = bytes;
    else
        f->no_memory = true;
    buf_done(&list);
}

static bool is_signed(struct slice bytes)
{
    struct certificate c;
    return certificate_decode(bytes, &c) == HOIST_OK && certificate_is_signed(&c);
}

static bool is_in(const struct slice *list, uint32_t count, struct slice bytes)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_eq(list[i], bytes))
            return true;
    return false;
}

/* Those that do not count here may count for hosts behind this one, with another trust file; but none
 * that was made up. Where upstream has none, the hosts behind are given what counted here. */
static void pass_on(struct follower *f, const struct slice *certificates, uint32_t count)
{
    struct slice before = buf_slice(&f->given), *given = NULL;
    struct slice *good = arena_alloc(&f->arena, count, sizeof *good);
    uint32_t given_count = 0, good_count = 0;
    if (!good || arena_own(&f->arena, &before) != HOIST_OK ||
        (before.len && certificates_get(before, &f->arena, &given, &given_count) != HOIST_OK)) {
        f->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        if (is_in(given, given_count, certificates[i]) || is_signed(certificates[i]))
            good[good_count++] = certificates[i];
    buf_clear(&f->given);
    if (good_count > 0)
        certificates_put(&f->given, good, good_count);
    else
        keyring_put(&f->ring, CERTIFICATES_GIVEN, &f->given);
    if (buf_err(&f->given) != HOIST_OK)
        f->no_memory = true;
}

/* Whether keys were rotated and none of them is trusted here, neither before nor behind. */
static bool are_strange(const struct follower *f, const struct slice *certificates, uint32_t count)
{
    struct certificate c;
    bool strange = false;
    for (uint32_t i = 0; i < count; i++) {
        if (certificate_decode(certificates[i], &c) != HOIST_OK)
            continue;
        if (keyring_trusts(&f->ring, c.by) || keyring_trusts(&f->ring, c.key))
            return false;
        strange = true;
    }
    return strange;
}

void keys_heard(struct follower *f, const struct slice *certificates, uint32_t count)
{
    bool news = false;
    for (uint32_t i = 0; i < count; i++)
        news |= take(f, certificates[i]);
    if (news)
        keep(f);
    f->strange_key = are_strange(f, certificates, count);
    if (f->config.relay)
        pass_on(f, certificates, count);
}

void keys_of_changes(struct follower *f, const struct change *changes, uint32_t count)
{
    bool news = false;
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].head.certificate.len)
            news |= take(f, changes[i].head.certificate);
    if (news)
        keep(f);
}

bool keys_were_trusted(const struct follower *f, const struct change *c)
{
    struct trust revoked;
    bool vouched = false;
    keyring_revoked(&f->ring, &revoked);
    if (revoked.count > 0)
        change_vouch(&revoked, c, 1, &vouched);
    return vouched;
}
