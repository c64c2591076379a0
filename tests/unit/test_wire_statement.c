#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../wire_samples.h"
#include "wire/statement.h"

static struct sign_key key;
static uint8_t signature[SIGNATURE_SIZE];

static struct frame_command a_command(struct slice body)
{
    struct frame_command c = {.name = SLICE("kill"), .body = body, .epoch = 7, .time_ms = 1000};
    fill(c.request, sizeof c.request, 1);
    assert_int_equal(frame_command_sign(&c, &key, signature), HOIST_OK);
    return c;
}

static void a_signed_command_is_what_it_says(void **state)
{
    struct frame_command c = a_command(SLICE("{\"keys\":[\"a\"]}")), got;
    struct buf frame = BUF_INIT(FRAME_COMMAND_MAX);
    (void)state;
    frame_put_command(&frame, &c);
    assert_int_equal(buf_err(&frame), HOIST_OK);
    assert_int_equal(frame_get_command(buf_slice(&frame), &got), HOIST_OK);
    assert_true(frame_command_is_signed(&got));
    assert_int_equal(got.epoch, 7);
    assert_int_equal(got.time_ms, 1000);
    buf_done(&frame);
}

static void whatever_is_altered_ends_the_signature(void **state)
{
    struct frame_command good = a_command(SLICE("{\"keys\":[\"a\"]}"));
    struct sign_key other;
    (void)state;
    for (int what = 0; what < 7; what++) {
        struct frame_command c = good;
        uint8_t bad[SIGNATURE_SIZE];
        memcpy(bad, signature, sizeof bad);
        sign_key_random(&other);
        switch (what) {
        case 0:
            c.request[3]++;
            break;
        case 1:
            c.name = SLICE("restore");
            break;
        case 2:
            c.body = SLICE("{\"keys\":[\"b\"]}");
            break;
        case 3:
            c.epoch++;
            break;
        case 4:
            c.time_ms--;
            break;
        case 5:
            c.key = slice_of(other.public, sizeof other.public);
            break;
        default:
            bad[0] ^= 1;
            c.signature = slice_of(bad, sizeof bad);
        }
        assert_false(frame_command_is_signed(&c));
    }
    assert_true(frame_command_is_signed(&good));
}

static void a_command_without_a_signature_is_sent_as_ever(void **state)
{
    struct frame_command c = {.name = SLICE("kill"), .body = SLICE("{}"), .epoch = 7}, got;
    struct buf frame = BUF_INIT(1024);
    (void)state;
    frame_put_command(&frame, &c);
    assert_int_equal(frame.ptr[0], 0x96); /* six elements */
    assert_int_equal(frame_get_command(buf_slice(&frame), &got), HOIST_OK);
    assert_int_equal(got.key.len, 0);
    assert_int_equal(got.epoch, 0);
    assert_false(frame_command_is_signed(&got));
    buf_done(&frame);
}

static void a_key_of_another_length_is_no_frame(void **state)
{
    struct frame_command c = a_command(SLICE("{}")), got;
    struct buf frame = BUF_INIT(1024);
    (void)state;
    c.key.len--;
    frame_put_command(&frame, &c);
    assert_int_equal(frame_get_command(buf_slice(&frame), &got), HOIST_ECORRUPT);
    buf_done(&frame);
}

static void prove(const struct frame_command *c, struct buf *out, struct proof *ret)
{
    buf_clear(out);
    assert_int_equal(proof_put(c, out), HOIST_OK);
    assert_int_equal(proof_get(buf_slice(out), ret), HOIST_OK);
}

static void a_proof_holds_on_its_own(void **state)
{
    struct frame_command c = a_command(SLICE("{\"keys\":[\"a\"]}"));
    struct buf out = BUF_INIT(CHANGE_PROOF_MAX);
    struct proof p;
    (void)state;
    prove(&c, &out, &p);
    assert_true(proof_holds(&p));
    assert_true(slice_eq(p.body, c.body));
    assert_true(slice_eq(p.said.name, c.name));
    assert_memory_equal(p.said.request, c.request, sizeof c.request);
    c.signature = slice_of(c.body.ptr, 0);
    ((uint8_t *)p.body.ptr)[2] ^= 1;
    assert_false(proof_holds(&p));
    buf_done(&out);
}

static void a_long_body_is_there_by_its_hash(void **state)
{
    static uint8_t body[PROOF_BODY_MAX + 1];
    struct buf out = BUF_INIT(CHANGE_PROOF_MAX);
    struct proof p;
    (void)state;
    memset(body, 'x', sizeof body);
    struct frame_command c = a_command(slice_of(body, sizeof body));
    prove(&c, &out, &p);
    assert_null(p.body.ptr);
    assert_true(proof_holds(&p));
    c = a_command(slice_of(body, PROOF_BODY_MAX));
    prove(&c, &out, &p);
    assert_int_equal(p.body.len, PROOF_BODY_MAX);
    assert_true(out.len <= CHANGE_PROOF_MAX);
    buf_done(&out);
}

static void a_proof_that_is_cut_or_longer_is_refused(void **state)
{
    struct frame_command c = a_command(SLICE("{}"));
    struct buf out = BUF_INIT(CHANGE_PROOF_MAX);
    struct proof p, untouched;
    (void)state;
    prove(&c, &out, &p);
    memset(&untouched, 7, sizeof untouched);
    p = untouched;
    for (size_t len = 0; len < out.len; len++)
        assert_int_not_equal(proof_get(slice_of(out.ptr, len), &p), HOIST_OK);
    buf_add_byte(&out, 0);
    assert_int_equal(proof_get(buf_slice(&out), &p), HOIST_ECORRUPT);
    assert_memory_equal(&p, &untouched, sizeof p);
    buf_done(&out);
}

static void a_change_carries_its_proof_in_a_minor_of_its_own(void **state)
{
    struct buf bytes = BUF_INIT(1 << 20), plain = BUF_INIT(1 << 20);
    struct change c, old;
    struct proof p;
    (void)state;
    sample_change_proved(&bytes);
    sample_change(&plain);
    assert_int_equal(change_decode(buf_slice(&bytes), &c), HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&plain), &old), HOIST_OK);
    assert_int_equal(c.header_bytes.ptr[4], CHANGE_MINOR); /* behind dc, count, major */
    assert_int_equal(old.head.proof.len, 0);
    assert_int_equal(proof_get(c.head.proof, &p), HOIST_OK);
    assert_false(proof_holds(&p)); /* the sample's signature is none */
    buf_done(&bytes);
    buf_done(&plain);
}

static int begin(void **state)
{
    (void)state;
    hash_init();
    sign_key_random(&key);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_command_is_what_it_says),
        cmocka_unit_test(whatever_is_altered_ends_the_signature),
        cmocka_unit_test(a_command_without_a_signature_is_sent_as_ever),
        cmocka_unit_test(a_key_of_another_length_is_no_frame),
        cmocka_unit_test(a_proof_holds_on_its_own),
        cmocka_unit_test(a_long_body_is_there_by_its_hash),
        cmocka_unit_test(a_proof_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(a_change_carries_its_proof_in_a_minor_of_its_own),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
