#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repl/ticker.h"

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void it_calls_again_and_again_until_it_is_stopped(void **state)
{
    (void)state;
    atomic_int calls = 0;
    struct ticker *t;
    int64_t began = clock_mono_ms();
    assert_int_equal(ticker_start(20, count, &calls, &t), HOIST_OK);
    while (atomic_load(&calls) < 5)
        usleep(1000);
    assert_true(clock_mono_ms() - began >= 5 * 20);
    ticker_stop(t);
    int last = atomic_load(&calls);
    usleep(60000);
    assert_int_equal(atomic_load(&calls), last);
}

static void stopping_does_not_wait_for_the_next_call(void **state)
{
    (void)state;
    atomic_int calls = 0;
    struct ticker *t;
    int64_t began = clock_mono_ms();
    assert_int_equal(ticker_start(600000, count, &calls, &t), HOIST_OK);
    ticker_stop(t);
    ticker_stop(NULL);
    assert_true(clock_mono_ms() - began < 60000);
    assert_int_equal(calls, 0);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct ticker *t = NULL;
    mem_fail_at(1);
    assert_int_equal(ticker_start(10, count, NULL, &t), HOIST_ENOMEM);
    mem_fail_at(0);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_calls_again_and_again_until_it_is_stopped),
        cmocka_unit_test(stopping_does_not_wait_for_the_next_call),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
