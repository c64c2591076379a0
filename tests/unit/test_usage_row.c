/* What is kept of one flag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "usage/row.h"
#include "wire/mp.h"

enum { NOON = 20000 * USAGE_DAY_S + USAGE_DAY_S / 2 };

static void add(struct usage_row *row, const char *variant, uint64_t n, int64_t now_s)
{
    assert_int_equal(usage_row_add(row, slice_str(variant), n, now_s), HOIST_OK);
}

static void variants_are_counted_by_day(void **state)
{
    struct usage_row row = {0};
    add(&row, "on", 3, NOON);
    add(&row, "", 1, NOON + 1);
    add(&row, "on", 4, NOON + USAGE_DAY_S);
    add(&row, "on", 5, NOON + 8 * USAGE_DAY_S);
    assert_int_equal(row.count, 2);
    const struct usage_variant *on = &row.variants[0];
    assert_int_equal(on->first_s, NOON);
    assert_int_equal(on->last_s, NOON + 8 * USAGE_DAY_S);
    assert_int_equal(on->total, 12);
    assert_int_equal(usage_variant_in(on, NOON + 8 * USAGE_DAY_S, 1), 5);
    assert_int_equal(usage_variant_in(on, NOON + 8 * USAGE_DAY_S, 7), 5);
    assert_int_equal(usage_variant_in(on, NOON + 8 * USAGE_DAY_S, 8), 9);
    assert_int_equal(usage_variant_in(on, NOON + 8 * USAGE_DAY_S, 9), 12);
    assert_int_equal(usage_variant_in(on, NOON + 9 * USAGE_DAY_S, 1), 0);
    assert_int_equal(usage_variant_in(on, NOON + 100 * USAGE_DAY_S, 30), 0);
    usage_row_done(&row);
    (void)state;
}

static void days_are_kept_for_a_month_and_the_total_for_ever(void **state)
{
    struct usage_row row = {0};
    for (int day = 0; day < 100; day++)
        add(&row, "on", 1, NOON + (int64_t)day * USAGE_DAY_S);
    assert_int_equal(row.variants[0].total, 100);
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + 99 * USAGE_DAY_S, 30), 30);
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + 99 * USAGE_DAY_S, USAGE_DAYS), 32);
    add(&row, "on", 1, NOON + (int64_t)1000 * USAGE_DAY_S); /* after a long silence */
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + (int64_t)1000 * USAGE_DAY_S, 32), 1);
    usage_row_done(&row);
    (void)state;
}

static void a_clock_that_is_set_back_spoils_nothing(void **state)
{
    struct usage_row row = {0};
    add(&row, "on", 1, NOON + 2 * USAGE_DAY_S);
    add(&row, "on", 2, NOON);
    assert_int_equal(row.variants[0].first_s, NOON);
    assert_int_equal(row.variants[0].last_s, NOON);
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + 2 * USAGE_DAY_S, 1), 1);
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + 2 * USAGE_DAY_S, 3), 3);
    add(&row, "on", 4, NOON - 40 * USAGE_DAY_S); /* older than what is kept by day */
    add(&row, "on", 8, -5);
    assert_int_equal(row.variants[0].total, 15);
    assert_int_equal(usage_variant_in(&row.variants[0], NOON + 2 * USAGE_DAY_S, 32), 3);
    add(&row, "on", INT64_MAX, INT64_MAX);
    assert_true(row.variants[0].total == INT64_MAX);
    usage_row_done(&row);
    (void)state;
}

static void bytes_come_back_and_are_few(void **state)
{
    struct usage_row row = {0}, back;
    struct buf once = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    add(&row, "on", 300, NOON);
    add(&row, "", 1, NOON + USAGE_DAY_S);
    add(&row, "on", 7, NOON + 2 * USAGE_DAY_S);
    usage_row_write(&row, &once);
    assert_in_range(once.len, 20, 60);
    assert_int_equal(usage_row_read(buf_slice(&once), &back), HOIST_OK);
    assert_int_equal(back.count, 2);
    assert_int_equal(usage_variant_in(&back.variants[0], NOON + 2 * USAGE_DAY_S, 3), 307);
    assert_int_equal(back.variants[1].name.len, 0);
    usage_row_write(&back, &again);
    assert_true(slice_eq(buf_slice(&once), buf_slice(&again)));
    add(&back, "off", 1, NOON); /* what was read goes on */
    assert_int_equal(back.count, 3);
    usage_row_done(&back);
    usage_row_done(&row);
    buf_done(&once);
    buf_done(&again);
    (void)state;
}

static void what_is_no_row_is_refused_at_each_cut_and_byte(void **state)
{
    struct usage_row row = {0}, back;
    struct buf out = BUF_INIT(1 << 20);
    add(&row, "on", 300, NOON);
    add(&row, "off", 300, NOON);
    usage_row_write(&row, &out);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(usage_row_read(slice_of(out.ptr, len), &back), HOIST_ECORRUPT);
    for (size_t i = 0; i < out.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            out.ptr[i] ^= (uint8_t)(1 << bit);
            if (usage_row_read(buf_slice(&out), &back) == HOIST_OK) {
                add(&back, "on", 1, NOON);
                usage_row_done(&back);
            }
            out.ptr[i] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(usage_row_read(SLICE("\x92\x02\x90"), &back), HOIST_EVERSION);
    assert_int_equal(usage_row_read(SLICE("\x93\x01\x90\xc0"), &back),
                     HOIST_OK); /* a later minor */
    usage_row_done(&back);
    usage_row_done(&row);
    buf_done(&out);
    (void)state;
}

static void of_too_many_variants_the_one_yielded_longest_ago_goes(void **state)
{
    struct usage_row row = {0}, back;
    struct buf out = BUF_INIT(1 << 20);
    char names[USAGE_VARIANTS_MAX + 1][8];
    for (int i = 0; i <= USAGE_VARIANTS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "v%d", i);
        add(&row, names[i], 1, NOON + (i == 0 ? USAGE_DAY_S : i));
    }
    assert_int_equal(row.count, USAGE_VARIANTS_MAX);
    assert_true(slice_eq(row.variants[0].name, SLICE("v0")));
    assert_true(slice_eq(row.variants[1].name, slice_str(names[USAGE_VARIANTS_MAX])));
    usage_row_write(&row, &out);
    assert_int_equal(usage_row_read(buf_slice(&out), &back), HOIST_OK);
    assert_int_equal(back.count, USAGE_VARIANTS_MAX);
    usage_row_done(&back);
    usage_row_done(&row);
    buf_done(&out);
    (void)state;
}

static void running_out_of_memory_is_said(void **state)
{
    struct usage_row row = {0}, back;
    struct buf out = BUF_INIT(1 << 20);
    mem_fail_at(1);
    assert_int_equal(usage_row_add(&row, SLICE("on"), 1, NOON), HOIST_ENOMEM);
    mem_fail_at(0);
    add(&row, "on", 1, NOON);
    usage_row_write(&row, &out);
    mem_fail_at(1);
    assert_int_equal(usage_row_read(buf_slice(&out), &back), HOIST_ENOMEM);
    mem_fail_at(0);
    usage_row_done(&row);
    buf_done(&out);
    (void)state;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_are_counted_by_day),
        cmocka_unit_test(days_are_kept_for_a_month_and_the_total_for_ever),
        cmocka_unit_test(a_clock_that_is_set_back_spoils_nothing),
        cmocka_unit_test(bytes_come_back_and_are_few),
        cmocka_unit_test(what_is_no_row_is_refused_at_each_cut_and_byte),
        cmocka_unit_test(of_too_many_variants_the_one_yielded_longest_ago_goes),
        cmocka_unit_test(running_out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
