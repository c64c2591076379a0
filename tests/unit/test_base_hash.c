#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/uuid.h"

/* The answers here were computed with Python's hashlib and a ChaCha20 written from RFC 8439's
 * description, apart from the code that is tested. */

static int init(void **state)
{
    (void)state;
    hash_init();
    hash_init(); /* safe to repeat */
    return 0;
}

static void assert_digest(const uint8_t got[HASH_SIZE], const char *hex)
{
    char text[2 * HASH_SIZE + 1];
    text_hex(text, slice_of(got, HASH_SIZE));
    assert_string_equal(text, hex);
}

static void blake2b_gives_the_known_answers(void **state)
{
    (void)state;
    uint8_t out[HASH_SIZE];
    hash_blake2b(out, SLICE("abc"));
    assert_digest(out, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    hash_blake2b(out, (struct slice){0});
    assert_digest(out, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

static void what_comes_in_pieces_has_the_same_hash(void **state)
{
    struct hash_stream h;
    uint8_t whole[HASH_SIZE], pieces[HASH_SIZE];
    hash_blake2b(whole, SLICE("abc"));
    hash_begin(&h);
    hash_add(&h, "a", 1);
    hash_add(&h, "", 0);
    hash_add(&h, "bc", 2);
    hash_end(&h, pieces);
    assert_memory_equal(whole, pieces, HASH_SIZE);
    (void)state;
}

static void the_state_digest_gives_the_known_answers(void **state)
{
    (void)state;
    struct lthash h = {0};
    uint8_t out[HASH_SIZE];
    lthash_digest(&h, out);
    assert_digest(out, "200823e5158b3774c11b5c61850ada762f8264144a9bebec3ebac5a2adde67b8");
    lthash_add(&h, SLICE("enable-sync"), SLICE("\1\2\0record"));
    lthash_digest(&h, out);
    assert_digest(out, "1c4bd411061593c170914ce9d23770525e61fe98926a2bc4f5632d61e67ce05b");

    h = (struct lthash){0};
    lthash_add(&h, SLICE("a"), SLICE("1"));
    lthash_add(&h, SLICE("b"), SLICE("2"));
    lthash_digest(&h, out);
    assert_digest(out, "ba56554a713b0036574612885d74ff4bf1dff1e3599ba0ebc458bdc025c56ac2");
}

static void the_state_digest_knows_no_order_and_subtracts_what_was_added(void **state)
{
    (void)state;
    struct lthash one = {0}, other = {0}, empty = {0};
    lthash_add(&one, SLICE("a"), SLICE("1"));
    lthash_add(&one, SLICE("b"), SLICE("2"));
    lthash_add(&other, SLICE("b"), SLICE("2"));
    lthash_add(&other, SLICE("x"), SLICE("gone"));
    lthash_add(&other, SLICE("a"), SLICE("1"));
    lthash_sub(&other, SLICE("x"), SLICE("gone"));
    assert_memory_equal(&one, &other, sizeof one);
    lthash_sub(&one, SLICE("a"), SLICE("1"));
    lthash_sub(&one, SLICE("b"), SLICE("2"));
    assert_memory_equal(&one, &empty, sizeof one);
}

static void where_a_key_ends_is_part_of_the_digest(void **state)
{
    (void)state;
    struct lthash one = {0}, other = {0};
    lthash_add(&one, SLICE("ab"), SLICE("c"));
    lthash_add(&other, SLICE("a"), SLICE("bc"));
    assert_memory_not_equal(&one, &other, sizeof one);
}

static void a_state_hash_is_written_little_endian_and_read_back(void **state)
{
    (void)state;
    struct lthash h = {.words = {0x0102, 0xfffe}}, back;
    uint8_t bytes[LTHASH_SIZE];
    lthash_write(&h, bytes);
    assert_memory_equal(bytes, "\x02\x01\xfe\xff\0\0", 6);
    lthash_add(&h, SLICE("k"), SLICE("r"));
    lthash_write(&h, bytes);
    lthash_read(&back, bytes);
    assert_memory_equal(&h, &back, sizeof h);
}

static void random_numbers_stay_below_their_bound(void **state)
{
    (void)state;
    uint64_t seen = 0;
    assert_int_equal(hash_random_below(0), 0);
    assert_int_equal(hash_random_below(1), 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = hash_random_below(5);
        assert_true(v < 5);
        seen |= UINT64_C(1) << v;
        assert_true(hash_random_below(UINT64_C(1) << 40) < UINT64_C(1) << 40);
    }
    assert_int_equal(seen, 31);
    uint8_t a[32] = {0}, b[32] = {0};
    hash_random(a, sizeof a);
    hash_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* RFC 4231, test cases 2 and 6: a short key, and one longer than a block. */
static void sha256_gives_the_known_answers(void **state)
{
    uint8_t hash[HASH_SIZE], want[HASH_SIZE];
    (void)state;
    hash_sha256(hash, SLICE("abc"));
    assert_int_equal(
        text_unhex(SLICE("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), want,
                   sizeof want),
        HOIST_OK);
    assert_memory_equal(hash, want, sizeof want);
    hash_sha256(hash, (struct slice){0});
    assert_int_equal(
        text_unhex(SLICE("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), want,
                   sizeof want),
        HOIST_OK);
    assert_memory_equal(hash, want, sizeof want);
}

static void hmac_sha256_gives_the_known_answers(void **state)
{
    static const char *const known[] = {
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"};
    uint8_t key[131], mac[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    memset(key, 0xaa, sizeof key);
    hash_hmac_sha256(mac, SLICE("Jefe"), SLICE("what do ya want for nothing?"));
    text_hex(hex, slice_of(mac, sizeof mac));
    assert_string_equal(hex, known[0]);
    hash_hmac_sha256(mac, slice_of(key, sizeof key),
                     SLICE("Test Using Larger Than Block-Size Key - Hash Key First"));
    text_hex(hex, slice_of(mac, sizeof mac));
    assert_string_equal(hex, known[1]);
    (void)state;
}

static void an_id_is_a_uuid_of_version_7_and_sorts_by_its_time(void **state)
{
    uint8_t a[UUID_SIZE], b[UUID_SIZE], later[UUID_SIZE];
    (void)state;
    uuid_new(a, 0x0123456789ab);
    uuid_new(b, 0x0123456789ab);
    uuid_new(later, 0x0123456789ac);
    assert_memory_equal(a, "\x01\x23\x45\x67\x89\xab", 6);
    assert_int_equal(a[6] >> 4, 7);
    assert_int_equal(a[8] >> 6, 2);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(memcmp(a, later, sizeof a) < 0 && memcmp(b, later, sizeof b) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake2b_gives_the_known_answers),
        cmocka_unit_test(sha256_gives_the_known_answers),
        cmocka_unit_test(hmac_sha256_gives_the_known_answers),
        cmocka_unit_test(what_comes_in_pieces_has_the_same_hash),
        cmocka_unit_test(the_state_digest_gives_the_known_answers),
        cmocka_unit_test(the_state_digest_knows_no_order_and_subtracts_what_was_added),
        cmocka_unit_test(where_a_key_ends_is_part_of_the_digest),
        cmocka_unit_test(a_state_hash_is_written_little_endian_and_read_back),
        cmocka_unit_test(random_numbers_stay_below_their_bound),
        cmocka_unit_test(an_id_is_a_uuid_of_version_7_and_sorts_by_its_time),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
