#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void a_time_is_rfc_3339_with_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795528923123, "2026-11-24T14:02:03.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char out[TEXT_TIME_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_time(out, cases[i].ms);
        assert_string_equal(out, cases[i].text);
        int64_t back = 7;
        assert_int_equal(text_time_read(out, &back), HOIST_OK);
        assert_int_equal(back, cases[i].ms);
    }
    static const struct {
        const char *text;
        int64_t ms;
    } shorter[] = {{"1970-01-01T00:00:07Z", 7000},
                   {"1970-01-01T00:00:00.5Z", 500},
                   {"1970-01-01T00:00:00.05Z", 50},
                   {"1970-01-01T00:00:01.25Z", 1250},
                   {"1969-12-31T23:59:59.9Z", -100}};
    for (size_t i = 0; i < sizeof shorter / sizeof *shorter; i++) {
        int64_t ms;
        assert_int_equal(text_time_read(shorter[i].text, &ms), HOIST_OK);
        assert_int_equal(ms, shorter[i].ms);
    }
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2026-11-24",
                                      "2026-11-24T14:02:03.123",
                                      "2026-11-24T14:02:03",
                                      "2026-11-24T14:02:03.Z",
                                      "2026-11-24T14:02:03.1234Z",
                                      "2026-11-24T14:02:03.123Z ",
                                      "2026-11-24T14:02:03.+1Z",
                                      "2026-02-31T25:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:60Z",
                                      "2026-1-1T00:00:00Z",
                                      " 2026-01-01T00:00:00Z",
                                      "+026-01-01T00:00:00Z"};
    int64_t untouched = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(text_time_read(bad[i], &untouched), HOIST_EINVAL);
    assert_int_equal(untouched, 7);
    text_time(out, INT64_MAX); /* no such year: whole all the same */
    text_time(out, INT64_MIN);
    assert_true(strlen(out) < sizeof out);
}

static void a_number_is_short_and_reads_back(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-17, "-17"},
        {0.1, "0.1"},
        {0.5, "0.5"},
        {9007199254740991, "9007199254740991"},
        {1.0 / 3, "0.3333333333333333"},
        {1e21, "1e+21"},
        {5e-324, "5e-324"},
        {0.1 + 0.2, "0.30000000000000004"},
    };
    char out[TEXT_NUMBER_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_number(out, cases[i].v);
        assert_true(strtod(out, NULL) == cases[i].v);
        assert_string_equal(out, cases[i].text);
    }
    uint64_t x = 88172645463325252u; /* xorshift: doubles of every size */
    for (int i = 0; i < 20000; i++) {
        double v;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&v, &x, sizeof v);
        if (!isfinite(v))
            continue;
        text_number(out, v);
        assert_true(strtod(out, NULL) == v);
    }
}

static void what_is_no_number_is_named(void **state)
{
    char out[TEXT_NUMBER_SIZE];
    (void)state;
    text_number(out, NAN);
    assert_string_equal(out, "NaN");
    text_number(out, -NAN);
    assert_string_equal(out, "NaN");
    text_number(out, INFINITY);
    assert_string_equal(out, "+Inf");
    text_number(out, -INFINITY);
    assert_string_equal(out, "-Inf");
}

static void a_decimal_is_the_nearest_double(void **state)
{
    static const char *const cases[] = {
        "0", "-0", "1", "-1.5", ".5", "5.", "1e3", "1E-3", "+2.25e+2", "0.1",
        "123456789012345678901", "9007199254740993", "2.2250738585072011e-308", "4.9e-324",
        "2.4e-324", "1.7976931348623157e308", "1e400", "-1e400", "1e-400", "000000000001",
        "0.0000000000000000000000000000000001e34", "1e99999999999999999999",
        "1e-99999999999999999999",
        /* halfway between 1 and the next double, which goes to the even one; and a hair above */
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203126"};
    char zeros[2100];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(text_double(slice_str(cases[i])) == strtod(cases[i], NULL));
    snprintf(zeros, sizeof zeros, "1.00000000000000011102230246251565404236316680908203125%02000d",
             0);
    assert_true(text_double(slice_str(zeros)) == 1);
    zeros[strlen(zeros) - 1] = '1';
    assert_true(text_double(slice_str(zeros)) > 1);
    memset(zeros, '1', 2000);
    memcpy(zeros + 2000, "e-1999", 7);
    assert_true(text_double(slice_str(zeros)) == strtod(zeros, NULL));
}

static void the_shortest_digits_read_back(void **state)
{
    char digits[TEXT_DIGITS_SIZE];
    (void)state;
    assert_int_equal(text_digits(digits, 0.5), 0);
    assert_string_equal(digits, "5");
    assert_int_equal(text_digits(digits, 1e21), 22);
    assert_string_equal(digits, "1");
    assert_int_equal(text_digits(digits, 0.1 + 0.2), 0);
    assert_string_equal(digits, "30000000000000004");
    assert_int_equal(text_digits(digits, 6.290184345309701e-235), -234); /* a power of two */
    assert_string_equal(digits, "6290184345309701");
    assert_int_equal(text_digits(digits, 5e-324), -323);
    assert_string_equal(digits, "5");
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256], back[256];
    char text[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    text_hex(text, slice_of(bytes, 256));
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 506, "fdfeff", 6);
    assert_int_equal(text_unhex(slice_str(text), back, 256), HOIST_OK);
    assert_memory_equal(bytes, back, 256);
    assert_int_equal(text_unhex(SLICE("aBCd"), back, 2), HOIST_OK);
    assert_memory_equal(back, "\xab\xcd", 2);
}

static void what_is_not_hex_is_refused_untouched(void **state)
{
    (void)state;
    uint8_t out[2] = {7, 7};
    assert_int_equal(text_unhex(SLICE("abc"), out, 2), HOIST_EINVAL);
    assert_int_equal(text_unhex(SLICE("abcde"), out, 2), HOIST_EINVAL);
    assert_int_equal(text_unhex(SLICE("ab g"), out, 2), HOIST_EINVAL);
    assert_int_equal(text_unhex(SLICE("abc:"), out, 2), HOIST_EINVAL);
    assert_int_equal(text_unhex(SLICE("@bcd"), out, 2), HOIST_EINVAL);
    assert_memory_equal(out, "\7\7", 2);
}

static void a_whole_number_has_no_sign_and_nothing_behind(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    " 1", "+1",  "-1",  "1 ",
                                        "1.0", "x",  "0x1", "1e3", "18446744073709551616"};
    uint64_t v = 99;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(text_u64(wrong[i], &v), HOIST_EINVAL);
    assert_int_equal(v, 99);
    assert_int_equal(text_u64("18446744073709551615", &v), HOIST_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(text_u64("007", &v), HOIST_OK);
    assert_int_equal(v, 7);
}

static void well_formed_utf8_is_told_from_the_rest(void **state)
{
    (void)state;
    static const struct slice good[] = {
        SLICE(""),
        SLICE("plain"),
        SLICE("\0"),
        SLICE("\x7f"),
        SLICE("\xc2\x80"),
        SLICE("\xdf\xbf"),
        SLICE("\xe0\xa0\x80"),
        SLICE("\xed\x9f\xbf"),
        SLICE("\xee\x80\x80"),
        SLICE("\xef\xbf\xbf"),
        SLICE("\xf0\x90\x80\x80"),
        SLICE("\xf4\x8f\xbf\xbf"),
    };
    static const struct slice bad[] = {
        SLICE("\x80"),             /* a tail alone */
        SLICE("\xc0\x80"),         /* overlong NUL */
        SLICE("\xc1\xbf"),         /* overlong */
        SLICE("\xe0\x9f\xbf"),     /* overlong */
        SLICE("\xf0\x8f\xbf\xbf"), /* overlong */
        SLICE("\xed\xa0\x80"),     /* a surrogate */
        SLICE("\xed\xbf\xbf"),     /* a surrogate */
        SLICE("\xf4\x90\x80\x80"), /* above U+10FFFF */
        SLICE("\xf5\x80\x80\x80"), /* above U+10FFFF */
        SLICE("\xff"),
        SLICE("\xc2"),               /* cut */
        SLICE("\xe2\x82"),           /* cut */
        SLICE("\xf0\x9f\x98"),       /* cut */
        SLICE("\xe2\x82x"),          /* no tail */
        SLICE("\xe2x\x82"),          /* no tail */
        SLICE("\xc2\xc2\x80"),       /* a lead for a tail */
        SLICE("ok\xe2\x82\xac\xbf"), /* one tail too many */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_utf8(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_utf8(bad[i]));
}

static void distance_counts_single_edits(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int is;
    } cases[] = {
        {"", "", 0},          {"same", "same", 0},  {"", "ab", 2},         {"store", "stoer", 1},
        {"store", "stor", 1}, {"stre", "store", 1}, {"store", "stare", 1}, {"kitten", "sitting", 3},
        {"abcd", "badc", 2},  {"ca", "abc", 3}, /* 2 if a swap might be edited again */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice a = slice_str(cases[i].a), b = slice_str(cases[i].b);
        assert_int_equal(text_distance(a, b, 10), cases[i].is);
        assert_int_equal(text_distance(b, a, 10), cases[i].is);
    }
}

static void distance_beyond_the_limit_is_one_more_than_it(void **state)
{
    (void)state;
    assert_int_equal(text_distance(SLICE("kitten"), SLICE("sitting"), 2), 3);
    assert_int_equal(text_distance(SLICE("a"), SLICE("abcdef"), 2), 3);
    char longer[400];
    memset(longer, 'x', sizeof longer);
    struct slice a = slice_of(longer, 400), b = slice_of(longer, 399);
    assert_int_equal(text_distance(a, b, 2), 3);
    assert_int_equal(text_distance(a, slice_of(longer, 400), 2), 0);
    assert_int_equal(text_distance(slice_of(longer, 255), slice_of(longer, 254), 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_rfc_3339_with_milliseconds),
        cmocka_unit_test(a_number_is_short_and_reads_back),
        cmocka_unit_test(what_is_no_number_is_named),
        cmocka_unit_test(a_decimal_is_the_nearest_double),
        cmocka_unit_test(the_shortest_digits_read_back),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(what_is_not_hex_is_refused_untouched),
        cmocka_unit_test(a_whole_number_has_no_sign_and_nothing_behind),
        cmocka_unit_test(well_formed_utf8_is_told_from_the_rest),
        cmocka_unit_test(distance_counts_single_edits),
        cmocka_unit_test(distance_beyond_the_limit_is_one_more_than_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
