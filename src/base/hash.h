/* hash.h - BLAKE2b-256, HMAC, random bytes, and the state hash of an environment (all on libsodium).
 *
 * The state hash is LtHash16, the homomorphic hash of Bellare and Micciancio ("A New Paradigm for
 * Collision-Free Hashing", 1997) in the form Facebook uses for update propagation (Lewi et al.,
 * "Securing Update Propagation with Homomorphic Hashing", 2019): each key + record becomes 1,024
 * words of 16 bits, added word by word, so that an edit changes the sum without reading the rest.
 * An element is ChaCha20 (nonce 0, 2,048 bytes) keyed by BLAKE2b-256 of "hoist-lt-1" + key length
 * (u16, little endian) + key + record; its bytes are little-endian words; the empty set is all
 * zero.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { HASH_SIZE = 32, LTHASH_SIZE = 2048 };

/* Must run once before the others; safe to repeat, from any thread. */
void hash_init(void);

void hash_blake2b(uint8_t out[HASH_SIZE], struct slice in);

/* For what people compute again themselves, with sha256sum. */
void hash_sha256(uint8_t out[HASH_SIZE], struct slice in);

/* The same of bytes that come piece by piece. */
struct hash_sha256 {
    _Alignas(8) uint8_t state[104]; /* libsodium's */
};
void hash_sha256_begin(struct hash_sha256 *h);
void hash_sha256_add(struct hash_sha256 *h, const void *ptr, size_t len);
void hash_sha256_end(struct hash_sha256 *h, uint8_t out[HASH_SIZE]);

/* HMAC-SHA-256 (RFC 2104) of `in`, with a key of any length. */
void hash_hmac_sha256(uint8_t out[HASH_SIZE], struct slice key, struct slice in);

/* Whether they are the same, in a time that does not depend on where they differ. */
bool hash_equal(const uint8_t a[HASH_SIZE], const uint8_t b[HASH_SIZE]);

/* The same of bytes that come piece by piece: begin, add any number of times, end once. */
struct hash_stream {
    _Alignas(64) uint8_t state[384]; /* libsodium's */
};
void hash_begin(struct hash_stream *h);
void hash_add(struct hash_stream *h, const void *ptr, size_t len);
void hash_end(struct hash_stream *h, uint8_t out[HASH_SIZE]);

void hash_random(void *out, size_t len);
uint64_t hash_random_below(uint64_t bound); /* uniform in [0, bound); 0 for bound 0 */

struct lthash {
    uint16_t words[LTHASH_SIZE / 2]; /* in memory as the machine counts; on disk little endian */
};

void lthash_add(struct lthash *h, struct slice key, struct slice record);
void lthash_sub(struct lthash *h, struct slice key, struct slice record);
void lthash_write(const struct lthash *h, uint8_t out[LTHASH_SIZE]);
void lthash_read(struct lthash *h, const uint8_t in[LTHASH_SIZE]);

/* The state digest: BLAKE2b-256 of the 2,048 bytes. */
void lthash_digest(const struct lthash *h, uint8_t out[HASH_SIZE]);

#endif
