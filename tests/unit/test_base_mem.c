#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void the_named_allocation_fails_and_only_that(void **state)
{
    (void)state;
    mem_fail_at(3);
    void *a = mem_alloc(1), *b = mem_zalloc(1, 1), *c = mem_alloc(1), *d = mem_alloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    assert_true(mem_did_fail());
    mem_fail_at(1);
    assert_null(mem_realloc(a, 100)); /* and `a` is still there */
    mem_fail_at(1);
    assert_null(mem_dup_str("x"));
    mem_fail_at(0);
    assert_false(mem_did_fail());
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(NULL);
}

static void nothing_can_be_allocated_too(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0, 8);
    assert_non_null(a);
    assert_non_null(b);
    a = mem_realloc(a, 0);
    assert_non_null(a);
    mem_free(a);
    mem_free(b);
    /* The count is hidden from the compiler, which would warn. */
    volatile size_t count = SIZE_MAX;
    assert_null(mem_zalloc(count, 2));
}

static void an_array_grows_to_twice_its_length_and_stays_when_it_cannot(void **state)
{
    (void)state;
    size_t cap = 0;
    int *a = mem_grow(NULL, &cap, 3, sizeof *a), *b;
    assert_non_null(a);
    assert_int_equal(cap, 3);
    a[2] = 7;
    mem_fail_at(1);
    assert_null(mem_grow(a, &cap, 3, sizeof *a));
    mem_fail_at(0);
    assert_int_equal(cap, 3);
    b = mem_grow(a, &cap, 3, sizeof *a);
    assert_non_null(b);
    assert_int_equal(cap, 6);
    assert_int_equal(b[2], 7);
    mem_free(b);
    cap = SIZE_MAX / 2 + 1;
    assert_null(mem_grow(NULL, &cap, 3, 1));
    cap = SIZE_MAX / 4;
    assert_null(mem_grow(NULL, &cap, 3, 8));
    assert_int_equal(cap, SIZE_MAX / 4);
}

static void a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    char *copy = mem_dup(slice_of("abcdef", 3)), *empty = mem_dup((struct slice){0});
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    mem_free(copy);
    mem_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_named_allocation_fails_and_only_that),
        cmocka_unit_test(nothing_can_be_allocated_too),
        cmocka_unit_test(an_array_grows_to_twice_its_length_and_stays_when_it_cannot),
        cmocka_unit_test(a_copy_ends_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
