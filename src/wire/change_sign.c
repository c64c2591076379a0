/* Signing a change, and checking who has. */
#include <string.h>

#include "wire/change_int.h"

static const char what[] = "hoist-change-1";

static const uint8_t no_signature[SIGNATURE_SIZE];
const struct slice change_unsigned = {no_signature, sizeof no_signature};

enum hoist_err change_sign(uint8_t *bytes, size_t len, const struct sign_key *key)
{
    struct change c;
    enum hoist_err err = change_decode(slice_of(bytes, len), &c);
    if (err)
        return err;
    if (c.signature.len != SIGNATURE_SIZE)
        return err_set(HOIST_ECORRUPT, "change: there is no room for a signature in it");
    return sign(key, what, c.header_bytes, bytes + (c.signature.ptr - bytes));
}

/* The change behind `at` that is of the same environment; `count` if there is none. */
static uint32_t next_of_env(const struct change *changes, uint32_t count, uint32_t at)
{
    uint32_t i = at + 1;
    while (i < count && !slice_eq(changes[i].head.env, changes[at].head.env))
        i++;
    return i;
}

void change_vouch(const struct trust *t, const struct change *changes, uint32_t count,
                  bool *ret_vouched)
{
    for (uint32_t i = count; i-- > 0;) {
        const struct change *c = &changes[i];
        uint32_t next = t->count ? next_of_env(changes, count, i) : count;
        ret_vouched[i] = t->count == 0 ||
                         (next < count && ret_vouched[next] &&
                          memcmp(changes[next].head.prev, c->hash, HASH_SIZE) == 0) ||
                         trust_check(t, what, c->header_bytes, c->signature);
    }
}
