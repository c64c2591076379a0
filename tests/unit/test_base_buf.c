#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

static void appending_grows_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100000);
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "%04d,", i);
    assert_int_equal(buf_err(&b), HOIST_OK);
    assert_int_equal(b.len, 25000);
    assert_memory_equal(b.ptr, "0000,0001,", 10);
    assert_memory_equal(b.ptr + 24995, "4999,", 5);
    buf_done(&b);
    assert_null(b.ptr);
    assert_int_equal(b.max, 100000);
}

static void every_kind_of_append_adds_its_bytes(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    buf_add(&b, "a\0b", 3);
    buf_add_slice(&b, SLICE("cd"));
    buf_add_slice(&b, (struct slice){0});
    buf_add_str(&b, "ef");
    buf_add_byte(&b, 'g');
    buf_printf(&b, "%d%s", 12, "");
    assert_true(slice_eq(buf_slice(&b), SLICE("a\0bcdefg12")));
    buf_done(&b);
}

static void one_byte_over_the_limit_is_refused_whole_and_sticks(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(8);
    buf_add_str(&b, "12345678");
    assert_int_equal(buf_err(&b), HOIST_OK);
    assert_string_equal(buf_str(&b), "12345678");
    buf_add_byte(&b, '9');
    assert_int_equal(buf_err(&b), HOIST_ELIMIT);
    assert_non_null(strstr(err_last(), "8 bytes"));
    assert_int_equal(b.len, 8);
    buf_add(&b, "", 0);
    assert_string_equal(buf_str(&b), ""); /* half an answer is none */

    buf_clear(&b);
    buf_printf(&b, "%s", "123456789");
    assert_int_equal(buf_err(&b), HOIST_ELIMIT);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
    buf_add_str(&b, "ok");
    assert_int_equal(buf_err(&b), HOIST_OK);
    assert_string_equal(buf_str(&b), "ok");
    buf_done(&b);
}

static void lack_of_memory_sticks_until_it_is_cleared(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    mem_fail_at(1);
    buf_add_str(&b, "x");
    buf_add_str(&b, "y");
    assert_int_equal(buf_err(&b), HOIST_ENOMEM);
    assert_int_equal(b.len, 0);
    mem_fail_at(0);
    buf_clear(&b);
    buf_add_str(&b, "z");
    assert_string_equal(buf_str(&b), "z");
    buf_done(&b);
}

static void an_empty_buffer_is_an_empty_string(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(10);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_slice(&b).len, 0);
    buf_done(&b);
}

static void big_endian_numbers_sort_as_they_count(void **state)
{
    (void)state;
    uint8_t small[8], big[8];
    be64_write(small, 255);
    be64_write(big, 256);
    assert_true(memcmp(small, big, 8) < 0);
    assert_memory_equal(big, "\0\0\0\0\0\0\1\0", 8);
    assert_int_equal(be64_read(big), 256);
    be32_write(big, 0x01020304);
    assert_memory_equal(big, "\1\2\3\4", 4);
    assert_int_equal(be32_read(big), 0x01020304);
    be16_write(big, 0x0102);
    assert_memory_equal(big, "\1\2", 2);
    assert_int_equal(be16_read(big), 0x0102);
}

static void slices_compare_as_lmdb_sorts_keys(void **state)
{
    (void)state;
    assert_true(slice_cmp(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_cmp(SLICE("\xff"), SLICE("a")) > 0);
    assert_int_equal(slice_cmp(SLICE("ab"), SLICE("ab")), 0);
    assert_int_equal(slice_cmp((struct slice){0}, (struct slice){0}), 0);
    assert_true(slice_eq((struct slice){0}, SLICE("")));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_starts_with(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts_with(SLICE("abc"), (struct slice){0}));
    assert_false(slice_starts_with(SLICE("ab"), SLICE("abc")));
    assert_int_equal(slice_str(NULL).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_grows_and_keeps_what_was_there),
        cmocka_unit_test(every_kind_of_append_adds_its_bytes),
        cmocka_unit_test(one_byte_over_the_limit_is_refused_whole_and_sticks),
        cmocka_unit_test(lack_of_memory_sticks_until_it_is_cleared),
        cmocka_unit_test(an_empty_buffer_is_an_empty_string),
        cmocka_unit_test(big_endian_numbers_sort_as_they_count),
        cmocka_unit_test(slices_compare_as_lmdb_sorts_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
