/* Certificates of signing keys, and where trust leads to by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/keyring.h"

enum { KEYS = 6 };

static struct sign_key keys[KEYS];
static struct keyring ring;
static struct buf made;

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        sign_key_random(&keys[i]);
    made = BUF_INIT(1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    keyring_done(&ring);
    buf_done(&made);
    return 0;
}

/* The trust file has key `first` alone. */
static void trust_in(int first)
{
    struct trust file = {.count = 1};
    memcpy(file.keys[0], keys[first].public, SIGN_PUBLIC_SIZE);
    keyring_done(&ring);
    keyring_init(&ring, &file);
}

static struct slice make(enum certificate_kind kind, int key, int by)
{
    buf_clear(&made);
    assert_int_equal(certificate_put(kind, keys[key].public, 1, &keys[by], &made), HOIST_OK);
    return buf_slice(&made);
}

static enum keyring_verdict take(enum certificate_kind kind, int key, int by)
{
    enum keyring_verdict verdict;
    assert_int_equal(keyring_take(&ring, make(kind, key, by), &verdict), HOIST_OK);
    return verdict;
}

/* A bit for each key that is trusted. */
static unsigned trusted(void)
{
    unsigned bits = 0;
    for (int i = 0; i < KEYS; i++) {
        uint8_t signature[SIGNATURE_SIZE];
        assert_int_equal(sign(&keys[i], "test", SLICE("bytes"), signature), HOIST_OK);
        if (trust_check(&ring.trusted, "test", SLICE("bytes"),
                        slice_of(signature, sizeof signature)))
            bits |= 1u << i;
    }
    return bits;
}

static void a_certificate_comes_back_and_is_signed(void **state)
{
    struct certificate c;
    (void)state;
    assert_int_equal(certificate_decode(make(CERTIFICATE_REVOKE, 1, 0), &c), HOIST_OK);
    assert_int_equal(c.kind, CERTIFICATE_REVOKE);
    assert_memory_equal(c.key, keys[1].public, SIGN_PUBLIC_SIZE);
    assert_memory_equal(c.by, keys[0].public, SIGN_PUBLIC_SIZE);
    assert_true(certificate_is_signed(&c));
    memcpy(c.by, keys[2].public, SIGN_PUBLIC_SIZE);
    assert_false(certificate_is_signed(&c));
}

static void a_key_says_nothing_of_itself(void **state)
{
    struct certificate c;
    (void)state;
    assert_int_equal(certificate_put(CERTIFICATE_REVOKE, keys[0].public, 1, &keys[0], &made),
                     HOIST_EINVAL);
    make(CERTIFICATE_REVOKE, 1, 0);
    for (size_t i = 0; i + SIGN_PUBLIC_SIZE < made.len; i++) {
        if (memcmp(made.ptr + i, keys[1].public, SIGN_PUBLIC_SIZE) != 0)
            continue;
        memcpy(made.ptr + i, keys[0].public, SIGN_PUBLIC_SIZE);
        assert_int_equal(certificate_decode(buf_slice(&made), &c), HOIST_ECORRUPT);
        return;
    }
    fail_msg("the key is not in it");
}

static void every_truncation_and_every_changed_byte_is_refused_or_not_signed(void **state)
{
    struct certificate c;
    (void)state;
    size_t len = make(CERTIFICATE_ROTATE, 1, 0).len;
    for (size_t i = 0; i < len; i++) {
        make(CERTIFICATE_ROTATE, 1, 0);
        assert_int_not_equal(certificate_decode(slice_of(made.ptr, i), &c), HOIST_OK);
        made.ptr[i] ^= 1;
        assert_true(certificate_decode(buf_slice(&made), &c) != HOIST_OK ||
                    !certificate_is_signed(&c));
    }
    buf_add(&made, (uint8_t[CERTIFICATE_BYTES_MAX]){0}, CERTIFICATE_BYTES_MAX);
    assert_int_equal(certificate_decode(buf_slice(&made), &c), HOIST_ELIMIT);
}

static void trust_goes_from_key_to_key(void **state)
{
    (void)state;
    trust_in(0);
    assert_int_equal(trusted(), 1);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_TAKEN);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_KNOWN);
    assert_int_equal(trusted(), 3);
    assert_int_equal(take(CERTIFICATE_REVOKE, 0, 1), KEYRING_TAKEN);
    assert_int_equal(trusted(), 2);
    assert_int_equal(take(CERTIFICATE_ROTATE, 2, 1), KEYRING_TAKEN);
    assert_int_equal(take(CERTIFICATE_REVOKE, 1, 2), KEYRING_TAKEN);
    assert_int_equal(trusted(), 4);
}

static void a_revoked_key_is_trusted_no_more_whatever_it_signs_and_whoever_wants_it(void **state)
{
    (void)state;
    trust_in(0);
    (void)take(CERTIFICATE_ROTATE, 1, 0);
    (void)take(CERTIFICATE_REVOKE, 0, 1);
    assert_int_equal(take(CERTIFICATE_ROTATE, 3, 0), KEYRING_STRANGE);
    assert_int_equal(take(CERTIFICATE_REVOKE, 1, 0), KEYRING_STRANGE);
    assert_int_equal(take(CERTIFICATE_ROTATE, 0, 1), KEYRING_KNOWN);
    assert_int_equal(trusted(), 2);
    assert_true(keyring_has_revoked(&ring, keys[0].public));
    assert_false(keyring_has_revoked(&ring, keys[1].public));
}

static void what_a_revoked_key_brought_in_goes_with_it(void **state)
{
    (void)state;
    trust_in(0);
    (void)take(CERTIFICATE_ROTATE, 1, 0); /* the owner's next */
    (void)take(CERTIFICATE_ROTATE, 2, 0); /* a thief's … */
    (void)take(CERTIFICATE_ROTATE, 3, 2); /* … who thought of this */
    (void)take(CERTIFICATE_ROTATE, 4, 1);
    assert_int_equal(trusted(), 0x1f);
    assert_int_equal(take(CERTIFICATE_REVOKE, 0, 1), KEYRING_TAKEN);
    assert_int_equal(trusted(), 0x12);
}

static void a_key_that_is_not_trusted_leads_nowhere(void **state)
{
    (void)state;
    trust_in(5);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_STRANGE);
    assert_int_equal(take(CERTIFICATE_REVOKE, 5, 0), KEYRING_STRANGE);
    assert_int_equal(trusted(), 1u << 5);
    trust_in(1); /* a newer file: what led to it is no news, the end of the old one is taken */
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_KNOWN);
    assert_int_equal(take(CERTIFICATE_REVOKE, 0, 1), KEYRING_TAKEN);
    assert_int_equal(trusted(), 2);
}

static void a_signature_that_is_not_its_signers_is_forged(void **state)
{
    enum keyring_verdict verdict;
    (void)state;
    trust_in(0);
    make(CERTIFICATE_ROTATE, 1, 0);
    made.ptr[made.len - 1] ^= 1;
    assert_int_equal(keyring_take(&ring, buf_slice(&made), &verdict), HOIST_OK);
    assert_int_equal(verdict, KEYRING_FORGED);
    assert_int_equal(trusted(), 1);
    verdict = KEYRING_KNOWN;
    assert_int_equal(keyring_take(&ring, SLICE("none"), &verdict), HOIST_ECORRUPT);
    assert_int_equal(verdict, KEYRING_KNOWN);
}

static void without_a_trust_file_nothing_is_kept(void **state)
{
    (void)state;
    keyring_init(&ring, &(struct trust){0});
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_KNOWN);
    assert_int_equal(ring.count, 0);
    assert_int_equal(ring.trusted.count, 0);
}

static void what_is_kept_leads_there_again(void **state)
{
    struct buf list = BUF_INIT(1 << 20), newest = BUF_INIT(1 << 20);
    (void)state;
    trust_in(0);
    (void)take(CERTIFICATE_ROTATE, 1, 0);
    (void)take(CERTIFICATE_REVOKE, 0, 1);
    (void)take(CERTIFICATE_ROTATE, 2, 1);
    keyring_put(&ring, CERTIFICATES_KEPT, &list);
    keyring_put(&ring, 1, &newest);
    trust_in(0);
    assert_int_equal(keyring_get(&ring, buf_slice(&list)), HOIST_OK);
    assert_int_equal(trusted(), 6);
    trust_in(0);
    assert_int_equal(keyring_get(&ring, buf_slice(&newest)), HOIST_OK);
    assert_int_equal(trusted(), 1);
    trust_in(1);
    assert_int_equal(keyring_get(&ring, buf_slice(&newest)), HOIST_OK);
    assert_int_equal(trusted(), 6);
    assert_int_equal(keyring_get(&ring, slice_of(list.ptr, list.len - 1)), HOIST_ECORRUPT);
    buf_done(&list);
    buf_done(&newest);
}

static void only_so_many_are_kept_and_no_revocation_is_forgotten(void **state)
{
    uint8_t first[SIGN_PUBLIC_SIZE];
    (void)state;
    memcpy(first, keys[0].public, sizeof first);
    trust_in(0);
    for (int i = 0; i < CERTIFICATES_KEPT / 2; i++) { /* to and fro by keys that nobody has seen */
        struct sign_key next;
        sign_key_random(&next);
        keys[1] = next;
        assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_TAKEN);
        assert_int_equal(take(CERTIFICATE_REVOKE, 0, 1), KEYRING_TAKEN);
        keys[0] = next;
    }
    assert_int_equal(ring.count, CERTIFICATES_KEPT);
    assert_int_equal(take(CERTIFICATE_ROTATE, 2, 0), KEYRING_FULL);
    assert_int_equal(ring.trusted.count, 1);
    assert_memory_equal(ring.trusted.keys[0], keys[0].public, SIGN_PUBLIC_SIZE);
    assert_true(keyring_has_revoked(&ring, first));
}

static void no_more_keys_are_trusted_than_there_is_room_for(void **state)
{
    (void)state;
    trust_in(0);
    for (int i = 1; i < TRUST_KEYS_MAX; i++) {
        sign_key_random(&keys[1]);
        assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_TAKEN);
    }
    sign_key_random(&keys[1]);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_FULL);
    assert_int_equal(ring.trusted.count, TRUST_KEYS_MAX);
}

static void without_memory_nothing_is_taken(void **state)
{
    enum keyring_verdict verdict = KEYRING_KNOWN;
    (void)state;
    trust_in(0);
    struct slice c = make(CERTIFICATE_ROTATE, 1, 0);
    mem_fail_at(2); /* the first one is the signature check's */
    assert_int_equal(keyring_take(&ring, c, &verdict), HOIST_ENOMEM);
    mem_fail_at(0);
    assert_int_equal(trusted(), 1);
    assert_int_equal(keyring_take(&ring, c, &verdict), HOIST_OK);
    assert_int_equal(trusted(), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* The trust file is from after the rotation, that of other hosts is not. */
static void what_led_to_a_trusted_key_is_kept_for_hosts_with_an_older_file(void **state)
{
    struct buf list = BUF_INIT(CERTIFICATES_BYTES_MAX);
    (void)state;
    trust_in(1);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_KNOWN); /* anybody can say that */
    assert_int_equal(take(CERTIFICATE_REVOKE, 0, 1), KEYRING_TAKEN);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 2), KEYRING_KNOWN);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_OLDER);
    assert_int_equal(take(CERTIFICATE_ROTATE, 1, 0), KEYRING_KNOWN);
    buf_clear(&made);
    assert_int_equal(certificate_put(CERTIFICATE_ROTATE, keys[1].public, 2, &keys[0], &made),
                     HOIST_OK);
    enum keyring_verdict verdict;
    assert_int_equal(keyring_take(&ring, buf_slice(&made), &verdict), HOIST_OK); /* another time */
    assert_int_equal(verdict, KEYRING_KNOWN);
    assert_int_equal(trusted(), 2);
    assert_int_equal(ring.count, 2);

    keyring_put(&ring, CERTIFICATES_KEPT, &list);
    trust_in(0);
    assert_int_equal(keyring_get(&ring, buf_slice(&list)), HOIST_OK);
    assert_int_equal(keyring_get(&ring, buf_slice(&list)),
                     HOIST_OK); /* as it is heard, again and again */
    assert_int_equal(trusted(), 2);
    trust_in(1); /* and at the next start here */
    assert_int_equal(keyring_get(&ring, buf_slice(&list)), HOIST_OK);
    assert_int_equal(ring.count, 2);
    buf_done(&list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_certificate_comes_back_and_is_signed),
        TEST(a_key_says_nothing_of_itself),
        TEST(every_truncation_and_every_changed_byte_is_refused_or_not_signed),
        TEST(trust_goes_from_key_to_key),
        TEST(a_revoked_key_is_trusted_no_more_whatever_it_signs_and_whoever_wants_it),
        TEST(what_a_revoked_key_brought_in_goes_with_it),
        TEST(a_key_that_is_not_trusted_leads_nowhere),
        TEST(a_signature_that_is_not_its_signers_is_forged),
        TEST(without_a_trust_file_nothing_is_kept),
        TEST(what_is_kept_leads_there_again),
        TEST(only_so_many_are_kept_and_no_revocation_is_forgotten),
        TEST(no_more_keys_are_trusted_than_there_is_room_for),
        TEST(without_memory_nothing_is_taken),
        TEST(what_led_to_a_trusted_key_is_kept_for_hosts_with_an_older_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
