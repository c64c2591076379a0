#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>

#include "base/arena.h"
#include "base/mem.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a = {0};
    uint8_t *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&a, 1, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(pieces[i][j], (uint8_t)i);
    arena_done(&a);
    assert_int_equal(a.total, 0);
}

static void a_product_that_overflows_is_out_of_memory(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_null(arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&a, 1, SIZE_MAX - 4));
    assert_non_null(arena_alloc(&a, 1, 1));
    arena_done(&a);
}

static void many_small_pieces_take_few_blocks(void **state)
{
    (void)state;
    struct arena a = {0};
    for (int i = 0; i < 10000; i++)
        assert_non_null(arena_alloc(&a, 1, 16));
    assert_true(a.total >= 160000 && a.total < 3 * 160000);
    arena_done(&a);
}

static void owning_copies_the_bytes_and_ends_them(void **state)
{
    (void)state;
    struct arena a = {0};
    char text[] = "text";
    struct slice s = slice_str(text), empty = {0};
    assert_int_equal(arena_own(&a, &s), HOIST_OK);
    text[0] = 'X';
    assert_string_equal((const char *)s.ptr, "text");
    assert_int_equal(s.len, 4);
    assert_int_equal(arena_own(&a, &empty), HOIST_OK);
    assert_string_equal((const char *)empty.ptr, "");
    arena_done(&a);
}

static void without_memory_nothing_is_taken_and_what_is_there_stays(void **state)
{
    (void)state;
    struct arena a = {0};
    struct slice s = SLICE("text");
    const uint8_t *before = s.ptr;
    mem_fail_at(1);
    assert_int_equal(arena_own(&a, &s), HOIST_ENOMEM);
    assert_true(mem_did_fail());
    assert_ptr_equal(s.ptr, before);
    assert_non_null(arena_alloc(&a, 1, 8));
    mem_fail_at(0);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_product_that_overflows_is_out_of_memory),
        cmocka_unit_test(many_small_pieces_take_few_blocks),
        cmocka_unit_test(owning_copies_the_bytes_and_ends_them),
        cmocka_unit_test(without_memory_nothing_is_taken_and_what_is_there_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
