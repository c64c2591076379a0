/* Which environments are private, and from which listener each is hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "primary/private.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void a_listener_has_all_but_what_is_private_elsewhere(void **state)
{
    static const char *const texts[] = {"a=tcp://127.0.0.1:1000", "b=tcp://127.0.0.1:2000",
                                        "c=tcp://127.0.0.1:1000"};
    struct privates p;
    (void)state;
    assert_int_equal(privates_read(texts, COUNT(texts), &p), HOIST_OK);
    assert_int_equal(p.env_count, 3);
    assert_int_equal(p.listener_count, 2);
    assert_string_equal(p.listeners[0].url, "tcp://127.0.0.1:1000");
    assert_int_equal(p.listeners[0].hidden_count, 1);
    assert_string_equal(p.listeners[0].hidden[0], "b");
    assert_int_equal(p.listeners[1].hidden_count, 2);
    assert_string_equal(p.listeners[1].hidden[0], "a");
    assert_string_equal(p.listeners[1].hidden[1], "c");
    privates_done(&p);
}

static void without_any_there_is_nothing_to_hide(void **state)
{
    struct privates p;
    (void)state;
    assert_int_equal(privates_read(NULL, 0, &p), HOIST_OK);
    assert_int_equal(p.env_count + p.listener_count, 0);
    privates_done(&p);
}

static void what_is_no_pair_is_refused(void **state)
{
    static const char *const twice[] = {"a=tcp://127.0.0.1:1000", "a=tcp://127.0.0.1:2000"};
    static const char *const bad[] = {
        "", "=", "a", "a=", "=tcp://127.0.0.1:1", "A=tcp://127.0.0.1:1", "a=127.0.0.1:1"};
    struct privates p;
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(privates_read(&bad[i], 1, &p), HOIST_EINVAL);
    assert_int_equal(privates_read(twice, 2, &p), HOIST_EINVAL);
    assert_string_equal(err_last(), "--private names environment 'a' twice");
}

static void without_memory_nothing_is_left_behind(void **state)
{
    static const char *const texts[] = {"a=tcp://127.0.0.1:1000", "b=tcp://127.0.0.1:2000"};
    struct privates p;
    (void)state;
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = privates_read(texts, COUNT(texts), &p);
        if (!mem_did_fail())
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    mem_fail_at(0);
    privates_done(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_has_all_but_what_is_private_elsewhere),
        cmocka_unit_test(without_any_there_is_nothing_to_hide),
        cmocka_unit_test(what_is_no_pair_is_refused),
        cmocka_unit_test(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
