#include "base/murmur.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Known answers of smhasher's own code, for each length of the tail. */
static void it_gives_the_known_answers(void **state)
{
    static const struct {
        struct slice text;
        uint32_t seed, hash;
    } cases[] = {
        {SLICE(""), 0, 0},
        {SLICE(""), 1, 0x514e28b7},
        {SLICE(""), 0xffffffff, 0x81f16f39},
        {SLICE("\xff\xff\xff\xff"), 0, 0x76293b50},
        {SLICE("!Ce\x87"), 0, 0xf55b516b},
        {SLICE("!Ce\x87"), 0x5082edee, 0x2362f9de},
        {SLICE("!Ce"), 0, 0x7e4a8634},
        {SLICE("!C"), 0, 0xa0f7b07a},
        {SLICE("!"), 0, 0x72661cf4},
        {SLICE("aaaa"), 0x9747b28c, 0x5a97808a},
        {SLICE("Hello, world!"), 0x9747b28c, 0x24884cba},
        {SLICE("The quick brown fox jumps over the lazy dog"), 0x9747b28c, 0x2fa826cd},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(murmur3_32(cases[i].text, cases[i].seed), cases[i].hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_gives_the_known_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
