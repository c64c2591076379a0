#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"

static void clocks_go_on(void **state)
{
    (void)state;
    int64_t ns = clock_mono_ns(), ms = clock_mono_ms();
    usleep(2000);
    assert_true(clock_mono_ns() >= ns + 2000000);
    assert_true(clock_mono_ms() > ms);
    assert_true(clock_wall_ms() > INT64_C(1700000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
