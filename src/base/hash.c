#include "base/hash.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>

void hash_init(void)
{
    int rc = sodium_init();
    assert(rc >= 0);
    (void)rc;
}

void hash_blake2b(uint8_t out[HASH_SIZE], struct slice in)
{
    crypto_generichash(out, HASH_SIZE, in.ptr, in.len, NULL, 0);
}

void hash_sha256(uint8_t out[HASH_SIZE], struct slice in)
{
    crypto_hash_sha256(out, in.ptr, in.len);
}

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct hash_sha256), "it fits");

void hash_sha256_begin(struct hash_sha256 *h)
{
    crypto_hash_sha256_init((crypto_hash_sha256_state *)h->state);
}

void hash_sha256_add(struct hash_sha256 *h, const void *ptr, size_t len)
{
    crypto_hash_sha256_update((crypto_hash_sha256_state *)h->state, ptr, len);
}

void hash_sha256_end(struct hash_sha256 *h, uint8_t out[HASH_SIZE])
{
    crypto_hash_sha256_final((crypto_hash_sha256_state *)h->state, out);
}

_Static_assert(crypto_auth_hmacsha256_BYTES == HASH_SIZE, "what hash_hmac_sha256() gives");

void hash_hmac_sha256(uint8_t out[HASH_SIZE], struct slice key, struct slice in)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key.ptr, key.len);
    crypto_auth_hmacsha256_update(&state, in.ptr, in.len);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

bool hash_equal(const uint8_t a[HASH_SIZE], const uint8_t b[HASH_SIZE])
{
    return sodium_memcmp(a, b, HASH_SIZE) == 0;
}

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hash_stream) &&
                   _Alignof(crypto_generichash_state) <= _Alignof(struct hash_stream),
               "the room that hash.h leaves");

static crypto_generichash_state *state_of(struct hash_stream *h)
{
    return (crypto_generichash_state *)(void *)h->state;
}

void hash_begin(struct hash_stream *h)
{
    crypto_generichash_init(state_of(h), NULL, 0, HASH_SIZE);
}

void hash_add(struct hash_stream *h, const void *ptr, size_t len)
{
    crypto_generichash_update(state_of(h), ptr, len);
}

void hash_end(struct hash_stream *h, uint8_t out[HASH_SIZE])
{
    crypto_generichash_final(state_of(h), out, HASH_SIZE);
}

void hash_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

uint64_t hash_random_below(uint64_t bound)
{
    if (bound <= UINT32_MAX)
        return randombytes_uniform((uint32_t)bound);
    uint64_t v;
    do {
        randombytes_buf(&v, sizeof v);
    } while (v >= UINT64_MAX - UINT64_MAX % bound);
    return v % bound;
}

static void element(uint16_t words[LTHASH_SIZE / 2], struct slice key, struct slice record)
{
    static const uint8_t domain[] = "hoist-lt-1";
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t seed[crypto_stream_chacha20_KEYBYTES];
    uint8_t len[2] = {(uint8_t)key.len, (uint8_t)(key.len >> 8)};
    crypto_generichash_state st;

    assert(key.len <= UINT16_MAX);
    crypto_generichash_init(&st, NULL, 0, sizeof seed);
    crypto_generichash_update(&st, domain, sizeof domain - 1);
    crypto_generichash_update(&st, len, sizeof len);
    crypto_generichash_update(&st, key.ptr, key.len);
    crypto_generichash_update(&st, record.ptr, record.len);
    crypto_generichash_final(&st, seed, sizeof seed);
    crypto_stream_chacha20((uint8_t *)words, LTHASH_SIZE, nonce, seed);
}

void lthash_add(struct lthash *h, struct slice key, struct slice record)
{
    uint16_t e[LTHASH_SIZE / 2];
    element(e, key, record);
    for (size_t i = 0; i < LTHASH_SIZE / 2; i++)
        h->words[i] = (uint16_t)(h->words[i] + le16toh(e[i]));
}

void lthash_sub(struct lthash *h, struct slice key, struct slice record)
{
    uint16_t e[LTHASH_SIZE / 2];
    element(e, key, record);
    for (size_t i = 0; i < LTHASH_SIZE / 2; i++)
        h->words[i] = (uint16_t)(h->words[i] - le16toh(e[i]));
}

void lthash_write(const struct lthash *h, uint8_t out[LTHASH_SIZE])
{
    for (size_t i = 0; i < LTHASH_SIZE / 2; i++) {
        out[2 * i] = (uint8_t)h->words[i];
        out[2 * i + 1] = (uint8_t)(h->words[i] >> 8);
    }
}

void lthash_read(struct lthash *h, const uint8_t in[LTHASH_SIZE])
{
    for (size_t i = 0; i < LTHASH_SIZE / 2; i++)
        h->words[i] = (uint16_t)(in[2 * i] | in[2 * i + 1] << 8);
}

void lthash_digest(const struct lthash *h, uint8_t out[HASH_SIZE])
{
    uint8_t bytes[LTHASH_SIZE];
    lthash_write(h, bytes);
    hash_blake2b(out, slice_of(bytes, sizeof bytes));
}
