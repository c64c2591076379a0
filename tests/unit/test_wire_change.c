#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../wire_samples.h"
#include "base/mem.h"
#include "wire/mp.h"

static struct buf out;

static int begin(void **state)
{
    (void)state;
    hash_init();
    out = BUF_INIT(CHANGE_BYTES_MAX + 1024);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

/* What decoding answers, of bytes in a block of their own; *ret is untouched when it is an error.
 */
static enum hoist_err judged(struct slice in)
{
    struct change c, before;
    uint8_t *copy = sure(malloc(in.len ? in.len : 1));
    memset(&before, 0x5a, sizeof before);
    memcpy(&c, &before, sizeof c);
    if (in.len)
        memcpy(copy, in.ptr, in.len);
    enum hoist_err err = change_decode(slice_of(copy, in.len), &c);
    if (err != HOIST_OK)
        assert_memory_equal(&c, &before, sizeof c);
    free(copy);
    return err;
}

/* ------------------------------------------------------------------ round trips */

static void a_change_comes_back_with_its_edits(void **state)
{
    struct change_header h = sample_header();
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    uint8_t hash[HASH_SIZE], edits_hash[HASH_SIZE];
    struct change c;
    (void)state;
    sample_edits(&edits);
    assert_int_equal(change_encode(&h, buf_slice(&edits), SLICE("signed"), &out, hash), HOIST_OK);
    hash_blake2b(edits_hash, buf_slice(&edits));
    assert_memory_equal(h.edits_hash, edits_hash, HASH_SIZE);
    assert_int_equal(h.edits_len, edits.len);

    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    assert_true(slice_eq(c.bytes, buf_slice(&out)));
    assert_true(slice_eq(c.edits, buf_slice(&edits)));
    assert_true(slice_eq(c.signature, SLICE("signed")));
    assert_memory_equal(c.hash, hash, HASH_SIZE);
    assert_true(slice_eq(c.head.env, h.env));
    assert_true(c.head.epoch == h.epoch);
    assert_true(c.head.version == h.version);
    assert_true(c.head.time_ms == h.time_ms);
    assert_true(slice_eq(c.head.author, h.author));
    assert_true(slice_eq(c.head.message, h.message));
    assert_int_equal(c.head.kind, CHANGE_APPLY);
    assert_memory_equal(c.head.prev, h.prev, HASH_SIZE);
    assert_memory_equal(c.head.edits_hash, edits_hash, HASH_SIZE);
    assert_true(c.head.edits_len == edits.len);
    assert_int_equal(c.head.edits_count, 2);
    assert_memory_equal(c.head.digest, h.digest, HASH_SIZE);
    assert_memory_equal(c.head.request, h.request, REQUEST_ID_SIZE);
    assert_true(c.head.old_epoch == 0);
    buf_done(&edits);
}

static void edits_come_back_in_order(void **state)
{
    struct edits_reader r;
    struct edit e;
    (void)state;
    edits_begin(&out, 3);
    edits_put(&out, SLICE("a"), SLICE("record of a"));
    edits_delete(&out, SLICE("b"));
    edits_put(&out, SLICE("c"), SLICE(""));
    assert_int_equal(edits_open(buf_slice(&out), &r), HOIST_OK);
    assert_int_equal(r.left, 3);
    assert_int_equal(edits_next(&r, &e), HOIST_OK);
    assert_true(e.put && slice_eq(e.key, SLICE("a")) && slice_eq(e.record, SLICE("record of a")));
    assert_int_equal(edits_next(&r, &e), HOIST_OK);
    assert_true(!e.put && slice_eq(e.key, SLICE("b")));
    assert_int_equal(edits_next(&r, &e), HOIST_OK);
    assert_true(e.put && slice_eq(e.key, SLICE("c")) && e.record.len == 0);
    assert_int_equal(edits_next(&r, &e), HOIST_ENOTFOUND);
    assert_int_equal(edits_next(&r, &e), HOIST_ENOTFOUND);
}

static void a_change_without_any_edits_has_an_empty_array_of_them(void **state)
{
    struct change c;
    struct edits_reader r;
    struct edit e;
    (void)state;
    sample_change_epoch(&out);
    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    assert_int_equal(c.head.kind, CHANGE_EPOCH);
    assert_true(c.head.old_epoch + 1 == c.head.epoch);
    assert_int_equal(c.head.edits_count, 0);
    assert_int_equal(edits_open(c.edits, &r), HOIST_OK);
    assert_int_equal(edits_next(&r, &e), HOIST_ENOTFOUND);
}

static void a_rollback_says_what_it_restores_and_others_stay_as_they_were(void **state)
{
    struct change c;
    struct change_header h = sample_header();
    (void)state;
    sample_change_rollback(&out);
    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    assert_int_equal(c.head.kind, CHANGE_ROLLBACK);
    assert_int_equal(c.head.restores, h.version - 2);
    assert_memory_equal(c.header_bytes.ptr, "\xdc\x00\x11\x01\x01", 5); /* 17 elements, 1.1 */
    buf_clear(&out);
    sample_change(&out);
    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    assert_int_equal(c.head.restores, 0);
    assert_memory_equal(c.header_bytes.ptr, "\xdc\x00\x10\x01\x00", 5); /* 16, of minor 0 */
}

static void leaving_the_edits_out_keeps_header_hash_and_signature(void **state)
{
    struct change_header h = sample_header();
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX), bare = BUF_INIT(CHANGE_BYTES_MAX);
    struct change whole, c;
    (void)state;
    sample_edits(&edits);
    assert_int_equal(change_encode(&h, buf_slice(&edits), SLICE("signed"), &out, NULL), HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&out), &whole), HOIST_OK);
    assert_int_equal(change_without_edits(&whole, &bare), HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&bare), &c), HOIST_OK);
    assert_null(c.edits.ptr);
    assert_memory_equal(c.hash, whole.hash, HASH_SIZE);
    assert_true(slice_eq(c.header_bytes, whole.header_bytes));
    assert_true(slice_eq(c.signature, SLICE("signed")));
    assert_int_equal(c.head.edits_count, 2);
    buf_done(&edits);
    buf_done(&bare);
}

static void the_hash_is_that_of_the_header_and_of_nothing_else(void **state)
{
    struct change_header h = sample_header();
    struct change c;
    uint8_t hash[HASH_SIZE], first[HASH_SIZE];
    (void)state;
    h.edits_count = 0;
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, first), HOIST_OK);
    buf_clear(&out);
    assert_int_equal(change_encode(&h, SLICE(""), SLICE("signed"), &out, hash), HOIST_OK);
    assert_memory_equal(hash, first, HASH_SIZE);
    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    hash_blake2b(hash, c.header_bytes);
    assert_memory_equal(hash, first, HASH_SIZE);
    buf_clear(&out);
    h.prev[0] ^= 1;
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, hash), HOIST_OK);
    assert_memory_not_equal(hash, first, HASH_SIZE);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (uint32_t kind = CHANGE_SET; kind <= CHANGE_KEY; kind++)
        assert_string_not_equal(change_kind_name(kind), "unknown");
    assert_string_equal(change_kind_name(CHANGE_ROLLBACK), "rollback");
    assert_string_equal(change_kind_name(0), "unknown");
    assert_string_equal(change_kind_name(CHANGE_KEY + 1), "unknown");
    assert_string_equal(change_kind_name(UINT32_MAX), "unknown");
}

/* ------------------------------------------------------------------ what cannot be right */

/* A change around header bytes that a test made. */
static struct slice around(const struct buf *header, struct slice behind)
{
    buf_clear(&out);
    mp_put_array(&out, 3);
    mp_put_bin(&out, buf_slice(header));
    buf_add_slice(&out, behind);
    assert_int_equal(buf_err(&out), HOIST_OK);
    return buf_slice(&out);
}

/* The header of the sample as a buf, without its array's count. */
static struct buf header_body(void)
{
    struct buf whole = BUF_INIT(CHANGE_BYTES_MAX), body = BUF_INIT(CHANGE_BYTES_MAX);
    struct change c;
    sample_change(&whole);
    assert_int_equal(change_decode(buf_slice(&whole), &c), HOIST_OK);
    assert_int_equal(c.header_bytes.ptr[0], 0xdc); /* an array with a count of 16 bits */
    buf_add(&body, c.header_bytes.ptr + 3, c.header_bytes.len - 3);
    buf_done(&whole);
    return body;
}

static const struct slice no_edits_no_signature = SLICE("\xc0\xc4\x00");

static void another_major_version_is_refused_naming_both(void **state)
{
    struct buf h = BUF_INIT(100);
    (void)state;
    buf_add_slice(&h, SLICE("\x93\x02\x00\xc0"));
    assert_int_equal(judged(around(&h, no_edits_no_signature)), HOIST_EVERSION);
    assert_non_null(strstr(err_last(), "version 2"));
    assert_non_null(strstr(err_last(), "version 1"));
    buf_done(&h);
}

static void elements_behind_the_known_ones_are_ignored(void **state)
{
    struct buf body = header_body(), h = BUF_INIT(CHANGE_BYTES_MAX);
    (void)state;
    mp_put_array(&h, 21);
    buf_add_slice(&h, buf_slice(&body));
    mp_put_u64(&h, 7); /* restores */
    mp_put_bin(&h, SLICE("proof"));
    mp_put_bin(&h, SLICE("certificate"));
    buf_add_slice(&h, SLICE("\x81\xa1x\x01\xd4\x01\x00"));
    assert_int_equal(judged(around(&h, no_edits_no_signature)), HOIST_OK);
    buf_clear(&h);
    mp_put_array(&h, 15);
    buf_add_slice(&h, buf_slice(&body));
    assert_int_equal(judged(around(&h, no_edits_no_signature)), HOIST_ECORRUPT);
    buf_done(&h);
    buf_done(&body);
}

static void nothing_may_stand_beside_header_edits_and_signature(void **state)
{
    (void)state;
    sample_change(&out);
    buf_add_byte(&out, 0xc0);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ECORRUPT);
    out.ptr[0] = 0x94; /* now the array claims it */
    assert_int_equal(judged(buf_slice(&out)), HOIST_ECORRUPT);
}

static void a_header_over_its_limits_is_refused(void **state)
{
    char text[CHANGE_MESSAGE_MAX + 1];
    struct change_header h = sample_header();
    (void)state;
    memset(text, 'x', sizeof text);
    h.edits_count = 0;
    h.author = slice_of(text, CHANGE_AUTHOR_MAX);
    h.message = slice_of(text, CHANGE_MESSAGE_MAX);
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(judged(buf_slice(&out)), HOIST_OK);
    h.author.len++;
    buf_clear(&out);
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ELIMIT);
    h.author.len--;
    h.message.len++;
    buf_clear(&out);
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ELIMIT);
}

static void a_header_that_names_no_environment_is_refused(void **state)
{
    static const struct slice names[] = {SLICE(""), SLICE("Production"), SLICE("a b"),
                                         SLICE("\xff")};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct change_header h = sample_header();
        h.env = names[i];
        h.edits_count = 0;
        buf_clear(&out);
        assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
        assert_int_equal(judged(buf_slice(&out)), HOIST_ECORRUPT);
    }
}

static void edits_that_are_not_the_headers_are_refused(void **state)
{
    (void)state;
    sample_change(&out);
    /* The last byte of the edits stands before the empty signature's two. */
    out.ptr[out.len - 3] ^= 1;
    assert_int_equal(judged(buf_slice(&out)), HOIST_ECORRUPT);
    assert_non_null(strstr(err_last(), "edits"));
}

static void a_count_of_edits_that_is_not_the_headers_is_refused(void **state)
{
    struct change_header h = sample_header();
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    (void)state;
    h.edits_count = 3;
    sample_edits(&edits);
    assert_int_equal(change_encode(&h, buf_slice(&edits), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ECORRUPT);
    buf_done(&edits);
}

static void a_change_over_the_limit_is_refused_unread_and_unwritten(void **state)
{
    static const struct slice too_long = {(const uint8_t *)"", (size_t)CHANGE_BYTES_MAX + 1};
    struct change_header h = sample_header();
    struct change c;
    (void)state;
    assert_int_equal(change_decode(too_long, &c), HOIST_ELIMIT);

    struct slice edits = {sure(calloc(1, CHANGE_BYTES_MAX)), CHANGE_BYTES_MAX};
    buf_add_str(&out, "before");
    assert_int_equal(change_encode(&h, edits, SLICE(""), &out, NULL), HOIST_ELIMIT);
    assert_int_equal(out.len, 6);
    free((void *)edits.ptr);
}

static void edits_of_no_known_shape_are_refused(void **state)
{
    static const struct slice wrong[] = {
        SLICE("\x91\x93\x03\xa1"
              "a\xc4\x00"), /* neither put nor delete */
        SLICE("\x91\x92\x01\xa1"
              "a"),            /* a put without a record */
        SLICE("\x91\x91\x02"), /* a delete without a key */
        SLICE("\x91\x92\x02\xa0"),
        SLICE("\x91\x92\x02\xa1\x07"),
        SLICE("\x91\x92\x02\xa1\xff"),
        SLICE("\x91\x92\x02\xc4\x01"
              "a"),
        SLICE("\x91\x93\x01\xa1"
              "a\xa1"
              "b"), /* a record that is text */
        SLICE("\x91\xd4\x01\x00"),
    };
    struct edits_reader r;
    struct edit e = {.put = true};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(edits_open(wrong[i], &r), HOIST_OK);
        assert_int_equal(edits_next(&r, &e), HOIST_ECORRUPT);
        assert_true(e.put && e.key.ptr == NULL);
    }
    assert_int_equal(edits_open(SLICE(""), &r), HOIST_ECORRUPT);
    assert_int_equal(edits_open(SLICE("\xc0"), &r), HOIST_ECORRUPT);
    assert_int_equal(edits_open(SLICE("\xdd\xff\xff\xff\xff\xc0"), &r), HOIST_ECORRUPT);
}

static void bytes_behind_the_last_edit_are_refused(void **state)
{
    struct edits_reader r;
    struct edit e;
    (void)state;
    edits_begin(&out, 1);
    edits_delete(&out, SLICE("a"));
    buf_add_byte(&out, 0xc0);
    assert_int_equal(edits_open(buf_slice(&out), &r), HOIST_OK);
    assert_int_equal(edits_next(&r, &e), HOIST_OK);
    assert_int_equal(edits_next(&r, &e), HOIST_ECORRUPT);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    sample_change(&out);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(judged(slice_of(out.ptr, len)), HOIST_ECORRUPT);
}

static void every_changed_byte_decodes_or_is_refused(void **state)
{
    (void)state;
    sample_change(&out);
    for (size_t at = 0; at < out.len; at++) {
        uint8_t was = out.ptr[at];
        for (int v = 0; v < 256; v++) {
            out.ptr[at] = (uint8_t)v;
            enum hoist_err err = judged(buf_slice(&out));
            assert_true(err == HOIST_OK || err == HOIST_ECORRUPT || err == HOIST_ELIMIT ||
                        err == HOIST_EVERSION);
        }
        out.ptr[at] = was;
    }
}

static void running_out_of_memory_while_encoding_is_said(void **state)
{
    struct change_header h = sample_header();
    (void)state;
    h.edits_count = 0;
    for (int n = 1;; n++) {
        struct buf b = BUF_INIT(CHANGE_BYTES_MAX);
        mem_fail_at(n);
        enum hoist_err err = change_encode(&h, SLICE(""), SLICE(""), &b, NULL);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        buf_done(&b);
        if (!failed)
            break;
        assert_true(n < 100);
    }
}

/* ------------------------------------------------------------------ signatures */

enum { RUN = 5 };

/* Changes in a row, of environments a, b, a, b, a; those in `signs` are signed by `key`. */
static void make_run(struct buf bytes[RUN], struct change run[RUN], unsigned signs,
                     const struct sign_key *key)
{
    for (int i = 0; i < RUN; i++) {
        struct change_header h = sample_header();
        h.env = i % 2 ? SLICE("b") : SLICE("a");
        h.version = (uint64_t)i / 2 + 1;
        h.edits_count = 0;
        if (i >= 2)
            memcpy(h.prev, run[i - 2].hash, HASH_SIZE);
        bytes[i] = BUF_INIT(CHANGE_BYTES_MAX);
        bool signing = signs >> i & 1;
        assert_int_equal(
            change_encode(&h, SLICE(""), signing ? change_unsigned : SLICE(""), &bytes[i], NULL),
            HOIST_OK);
        if (signing)
            assert_int_equal(change_sign(bytes[i].ptr, bytes[i].len, key), HOIST_OK);
        assert_int_equal(change_decode(buf_slice(&bytes[i]), &run[i]), HOIST_OK);
    }
}

static unsigned vouched_of(const struct trust *t, const struct change run[RUN])
{
    bool vouched[RUN];
    unsigned bits = 0;
    change_vouch(t, run, RUN, vouched);
    for (int i = 0; i < RUN; i++)
        bits |= (unsigned)vouched[i] << i;
    return bits;
}

static void a_signed_change_vouches_for_those_that_lead_to_it(void **state)
{
    struct buf bytes[RUN];
    struct change run[RUN];
    struct sign_key key = {0};
    struct trust t = {.count = 1}, none = {0}, other = {.count = 1};
    (void)state;
    sign_key_random(&key);
    memcpy(t.keys[0], key.public, SIGN_PUBLIC_SIZE);
    static const struct {
        unsigned signs, vouched;
    } cases[] = {
        {0x1f, 0x1f}, {0x10, 0x15}, /* the last of a: all of a */
        {0x08, 0x0a},               /* the last of b: all of b */
        {0x04, 0x05}, {0x01, 0x01}, {0x00, 0x00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_run(bytes, run, cases[i].signs, &key);
        assert_int_equal(vouched_of(&t, run), cases[i].vouched);
        assert_int_equal(vouched_of(&none, run), 0x1f);
        assert_int_equal(vouched_of(&other, run), 0);
        run[2].hash[0] ^= 1; /* another change than the one that the next names */
        if (cases[i].signs == 0x10)
            assert_int_equal(vouched_of(&t, run), 0x10);
        for (int k = 0; k < RUN; k++)
            buf_done(&bytes[k]);
    }
}

static void a_signature_of_other_bytes_does_not_count(void **state)
{
    struct buf bytes[RUN];
    struct change run[RUN];
    struct sign_key key = {0};
    struct trust t = {.count = 1};
    (void)state;
    sign_key_random(&key);
    memcpy(t.keys[0], key.public, SIGN_PUBLIC_SIZE);
    make_run(bytes, run, 0x1f, &key);
    run[4].signature = run[3].signature;
    assert_int_equal(vouched_of(&t, run), 0x0f);
    run[4].signature = SLICE("short");
    assert_int_equal(vouched_of(&t, run), 0x0f);
    assert_int_equal(change_sign(bytes[0].ptr, bytes[0].len - 1, &key), HOIST_ECORRUPT);
    for (int k = 0; k < RUN; k++)
        buf_done(&bytes[k]);
}

static void a_proof_and_a_certificate_come_back(void **state)
{
    struct change_header h = sample_header();
    struct change c;
    uint8_t big[CHANGE_PROOF_MAX + 1] = {0};
    (void)state;
    h.edits_count = 0;
    h.proof = SLICE("proof");
    h.certificate = SLICE("certificate");
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&out), &c), HOIST_OK);
    assert_true(slice_eq(c.head.proof, SLICE("proof")));
    assert_true(slice_eq(c.head.certificate, SLICE("certificate")));
    assert_int_equal(c.head.restores, 0);
    buf_clear(&out);
    h.proof = slice_of(big, sizeof big);
    assert_int_equal(change_encode(&h, SLICE(""), SLICE(""), &out, NULL), HOIST_OK);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ELIMIT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_change_comes_back_with_its_edits),
        CASE(edits_come_back_in_order),
        CASE(a_change_without_any_edits_has_an_empty_array_of_them),
        CASE(a_rollback_says_what_it_restores_and_others_stay_as_they_were),
        CASE(leaving_the_edits_out_keeps_header_hash_and_signature),
        CASE(the_hash_is_that_of_the_header_and_of_nothing_else),
        CASE(every_kind_has_a_name),
        CASE(another_major_version_is_refused_naming_both),
        CASE(elements_behind_the_known_ones_are_ignored),
        CASE(nothing_may_stand_beside_header_edits_and_signature),
        CASE(a_header_over_its_limits_is_refused),
        CASE(a_header_that_names_no_environment_is_refused),
        CASE(edits_that_are_not_the_headers_are_refused),
        CASE(a_count_of_edits_that_is_not_the_headers_is_refused),
        CASE(a_change_over_the_limit_is_refused_unread_and_unwritten),
        CASE(edits_of_no_known_shape_are_refused),
        CASE(bytes_behind_the_last_edit_are_refused),
        CASE(every_truncation_is_refused),
        CASE(every_changed_byte_decodes_or_is_refused),
        CASE(running_out_of_memory_while_encoding_is_said),
        CASE(a_proof_and_a_certificate_come_back),
        CASE(a_signed_change_vouches_for_those_that_lead_to_it),
        CASE(a_signature_of_other_bytes_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
