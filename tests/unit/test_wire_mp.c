#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "wire/mp.h"

static struct buf out;

static int begin(void **state)
{
    (void)state;
    out = BUF_INIT(1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static struct mp_reader written(void)
{
    assert_int_equal(buf_err(&out), HOIST_OK);
    return mp_reader(buf_slice(&out));
}

static void whole_numbers_come_back_at_every_width(void **state)
{
    static const uint64_t numbers[] = {0,         1,          127,       128,        255,
                                       256,       65535,      65536,     UINT32_MAX, 1ull << 32,
                                       INT64_MAX, 1ull << 63, UINT64_MAX};
    static const size_t lengths[] = {1, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 9, 9};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_clear(&out);
        mp_put_u64(&out, numbers[i]);
        assert_int_equal(out.len, lengths[i]);
        struct mp_reader r = written();
        assert_true(mp_u64(&r) == numbers[i]);
        mp_end(&r);
        assert_int_equal(mp_err(&r, "it"), HOIST_OK);
    }
}

static void signed_numbers_come_back_at_every_width(void **state)
{
    static const int64_t numbers[] = {0,      -1,  -32, -33,       -128,      -129,      -32768,
                                      -32769, 127, 128, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_clear(&out);
        mp_put_i64(&out, numbers[i]);
        struct mp_reader r = written();
        assert_true(mp_i64(&r) == numbers[i]);
        mp_end(&r);
        assert_int_equal(mp_err(&r, "it"), HOIST_OK);
    }
}

static void a_negative_number_is_no_unsigned_one(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xff"));
    (void)state;
    assert_true(mp_u64(&r) == 0);
    assert_non_null(r.bad);
}

static void a_positive_number_sent_as_signed_is_an_unsigned_one(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xd0\x05\xd3\0\0\0\0\0\0\0\x07"));
    (void)state;
    assert_true(mp_u64(&r) == 5);
    assert_true(mp_u64(&r) == 7);
    assert_null(r.bad);
}

static void a_number_beyond_its_type_is_refused(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    (void)state;
    assert_true(mp_i64(&r) == 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    r = mp_reader(SLICE("\xcf\0\0\0\1\0\0\0\0"));
    assert_int_equal(mp_u32(&r), 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
}

static void doubles_come_back_and_whole_ones_are_short(void **state)
{
    static const double numbers[] = {
        0, 0.5, -0.1, 1e300, DBL_MIN, -DBL_MAX, 9007199254740992.0, 18014398509481984.0};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_clear(&out);
        mp_put_double(&out, numbers[i]);
        struct mp_reader r = written();
        assert_true(mp_double(&r) == numbers[i]);
        assert_null(r.bad);
    }
    buf_clear(&out);
    mp_put_double(&out, 3.0);
    assert_int_equal(out.len, 1);
    buf_clear(&out);
    mp_put_double(&out, INFINITY);
    struct mp_reader r = written();
    assert_true(isinf(mp_double(&r)));
}

static void a_float_of_32_bits_is_read(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xca\x3f\x00\x00\x00"));
    (void)state;
    assert_true(mp_double(&r) == 0.5);
}

static void a_whole_number_that_no_double_holds_is_refused(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xcf\x00\x20\x00\x00\x00\x00\x00\x01")); /* 2^53 + 1 */
    (void)state;
    assert_true(mp_double(&r) == 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
}

static void text_and_bytes_come_back_at_every_width(void **state)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    static uint8_t bytes[65536];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct slice s = {bytes, lengths[i]};
        buf_clear(&out);
        mp_put_str(&out, s);
        mp_put_bin(&out, s);
        struct mp_reader r = written();
        assert_true(slice_eq(mp_str(&r), s));
        assert_true(slice_eq(mp_bin(&r), s));
        mp_end(&r);
        assert_int_equal(mp_err(&r, "it"), HOIST_OK);
    }
}

static void counts_come_back_at_every_width(void **state)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        buf_clear(&out);
        mp_put_array(&out, counts[i]);
        mp_put_map(&out, counts[i]);
        for (uint32_t k = 0; k < 3 * counts[i]; k++)
            mp_put_nil(&out);
        struct mp_reader r = written();
        assert_int_equal(mp_array(&r, counts[i]), counts[i]);
        assert_int_equal(mp_map(&r, counts[i]), counts[i]);
        for (uint32_t k = 0; k < 3 * counts[i]; k++)
            assert_true(mp_try_nil(&r));
        assert_false(mp_try_nil(&r));
        assert_null(r.bad);
    }
}

static void a_count_that_cannot_fit_is_corrupt(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xdd\xff\xff\xff\xff"));
    (void)state;
    assert_int_equal(mp_array(&r, UINT32_MAX), 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    r = mp_reader(SLICE("\x82\xc0\xc0\xc0")); /* two pairs need four items */
    assert_int_equal(mp_map(&r, UINT32_MAX), 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
}

static void a_count_over_its_limit_is_a_limit(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\x93\xc0\xc0\xc0"));
    (void)state;
    assert_int_equal(mp_array(&r, 2), 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ELIMIT);
}

static void text_must_be_utf8_and_short_enough(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xa2\xc3\x28"));
    (void)state;
    assert_int_equal(mp_text(&r, 10).len, 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    r = mp_reader(SLICE("\xa3"
                        "abc"));
    assert_int_equal(mp_text(&r, 2).len, 0);
    assert_int_equal(mp_err(&r, "it"), HOIST_ELIMIT);
}

static void a_length_behind_the_end_is_refused(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xdb\xff\xff\xff\xff"
                                         "abc"));
    (void)state;
    assert_null(mp_str(&r).ptr);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    r = mp_reader(SLICE("\xc6\0\0\0\4"
                        "abc"));
    assert_null(mp_bin(&r).ptr);
    assert_non_null(r.bad);
}

static void a_failed_reader_stays_failed_and_keeps_the_first_reason(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xc1\x01\x02"));
    uint8_t fixed[4] = {9, 9, 9, 9};
    (void)state;
    mp_peek(&r);
    const char *first = r.bad;
    assert_non_null(first);
    assert_true(mp_u64(&r) == 0);
    assert_false(mp_bool(&r));
    assert_int_equal(mp_array(&r, 5), 0);
    assert_int_equal(mp_str(&r).len, 0);
    mp_fixed(&r, fixed, sizeof fixed);
    assert_int_equal(fixed[3], 0);
    mp_limit(&r, "something else");
    assert_ptr_equal(r.bad, first);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    assert_non_null(strstr(err_last(), first));
}

static void fixed_bytes_must_have_their_length(void **state)
{
    uint8_t got[2];
    struct mp_reader r = mp_reader(SLICE("\xc4\x02"
                                         "ab"
                                         "\xc4\x03"
                                         "abc"));
    (void)state;
    mp_fixed(&r, got, 2);
    assert_memory_equal(got, "ab", 2);
    assert_null(r.bad);
    mp_fixed(&r, got, 2);
    assert_non_null(r.bad);
}

static void bytes_left_over_are_refused(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\x01\x02"));
    (void)state;
    mp_u64(&r);
    mp_end(&r);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
}

/* One of each form there is, from the msgpack specification. */
static const struct slice forms[] = {
    SLICE("\x00"),
    SLICE("\x7f"),
    SLICE("\x80"),
    SLICE("\x81\x01\x02"),
    SLICE("\x90"),
    SLICE("\x92\x01\x91\xc0"),
    SLICE("\xa1\x61"),
    SLICE("\xc0"),
    SLICE("\xc2"),
    SLICE("\xc3"),
    SLICE("\xc4\x01\x00"),
    SLICE("\xc5\x00\x01\x00"),
    SLICE("\xc6\x00\x00\x00\x01\x00"),
    SLICE("\xc7\x01\x05\x00"),
    SLICE("\xc8\x00\x01\x05\x00"),
    SLICE("\xc9\x00\x00\x00\x01\x05\x00"),
    SLICE("\xca\x00\x00\x00\x00"),
    SLICE("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"),
    SLICE("\xcc\x00"),
    SLICE("\xcd\x00\x00"),
    SLICE("\xce\x00\x00\x00\x00"),
    SLICE("\xcf\x00\x00\x00\x00\x00\x00\x00\x00"),
    SLICE("\xd0\x00"),
    SLICE("\xd1\x00\x00"),
    SLICE("\xd2\x00\x00\x00\x00"),
    SLICE("\xd3\x00\x00\x00\x00\x00\x00\x00\x00"),
    SLICE("\xd4\x01\x00"),
    SLICE("\xd5\x01\x00\x00"),
    SLICE("\xd6\x01\x00\x00\x00\x00"),
    SLICE("\xd7\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    SLICE("\xd8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    SLICE("\xd9\x01\x61"),
    SLICE("\xda\x00\x01\x61"),
    SLICE("\xdb\x00\x00\x00\x01\x61"),
    SLICE("\xdc\x00\x01\xc0"),
    SLICE("\xdd\x00\x00\x00\x01\xc0"),
    SLICE("\xde\x00\x01\xc0\xc0"),
    SLICE("\xdf\x00\x00\x00\x01\xc0\xc0"),
    SLICE("\xe0"),
    SLICE("\xff"),
};

static void every_form_is_stepped_over_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        for (size_t len = 0; len < forms[i].len; len++) {
            struct mp_reader cut = mp_reader(slice_of(forms[i].ptr, len));
            mp_skip(&cut);
            assert_non_null(cut.bad);
        }
        struct mp_reader r = mp_reader(forms[i]);
        assert_true(slice_eq(mp_raw(&r), forms[i]));
        mp_end(&r);
        assert_null(r.bad);
    }
}

static void a_million_nested_arrays_are_stepped_over_without_recursion(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++)
        buf_add_byte(&out, 0x91);
    buf_add_byte(&out, 0xc0);
    struct mp_reader r = written();
    mp_skip(&r);
    mp_end(&r);
    assert_null(r.bad);
}

static void skipping_judges_counts_by_the_bytes_that_are_left(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xdf\xff\xff\xff\xff\xdf\xff\xff\xff\xff\xc0"));
    (void)state;
    mp_skip(&r);
    assert_int_equal(mp_err(&r, "it"), HOIST_ECORRUPT);
    r = mp_reader(SLICE("\xdc\xff\xff\xc0"));
    assert_null(mp_raw(&r).ptr);
    assert_non_null(r.bad);
}

static void ext_is_no_value(void **state)
{
    struct mp_reader r = mp_reader(SLICE("\xd4\x01\x00"));
    (void)state;
    assert_int_equal(mp_peek(&r), MP_EXT);
    assert_int_equal(mp_bin(&r).len, 0);
    assert_non_null(r.bad);
}

static void writing_past_the_limit_sticks_in_the_buf(void **state)
{
    struct buf small = BUF_INIT(4);
    (void)state;
    mp_put_u64(&small, 1);
    mp_put_str(&small, SLICE("abcdef"));
    mp_put_nil(&small);
    assert_int_equal(buf_err(&small), HOIST_ELIMIT);
    buf_done(&small);
}

static void text_of_four_gigabytes_is_refused_before_it_is_read(void **state)
{
    struct buf huge = BUF_INIT(SIZE_MAX / 2);
    (void)state;
    mp_put_bin(&huge, slice_of("", (size_t)UINT32_MAX + 1));
    assert_int_equal(buf_err(&huge), HOIST_ELIMIT);
    mp_put_str(&huge, SLICE("x"));
    assert_int_equal(huge.len, 0);
    buf_done(&huge);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_numbers_come_back_at_every_width, begin, end),
        cmocka_unit_test_setup_teardown(signed_numbers_come_back_at_every_width, begin, end),
        cmocka_unit_test(a_negative_number_is_no_unsigned_one),
        cmocka_unit_test(a_positive_number_sent_as_signed_is_an_unsigned_one),
        cmocka_unit_test(a_number_beyond_its_type_is_refused),
        cmocka_unit_test_setup_teardown(doubles_come_back_and_whole_ones_are_short, begin, end),
        cmocka_unit_test(a_float_of_32_bits_is_read),
        cmocka_unit_test(a_whole_number_that_no_double_holds_is_refused),
        cmocka_unit_test_setup_teardown(text_and_bytes_come_back_at_every_width, begin, end),
        cmocka_unit_test_setup_teardown(counts_come_back_at_every_width, begin, end),
        cmocka_unit_test(a_count_that_cannot_fit_is_corrupt),
        cmocka_unit_test(a_count_over_its_limit_is_a_limit),
        cmocka_unit_test(text_must_be_utf8_and_short_enough),
        cmocka_unit_test(a_length_behind_the_end_is_refused),
        cmocka_unit_test(a_failed_reader_stays_failed_and_keeps_the_first_reason),
        cmocka_unit_test(fixed_bytes_must_have_their_length),
        cmocka_unit_test(bytes_left_over_are_refused),
        cmocka_unit_test(every_form_is_stepped_over_whole_or_not_at_all),
        cmocka_unit_test_setup_teardown(a_million_nested_arrays_are_stepped_over_without_recursion,
                                        begin, end),
        cmocka_unit_test(skipping_judges_counts_by_the_bytes_that_are_left),
        cmocka_unit_test(ext_is_no_value),
        cmocka_unit_test(writing_past_the_limit_sticks_in_the_buf),
        cmocka_unit_test(text_of_four_gigabytes_is_refused_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
