#include "base/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void what_stays_on_this_machine(void **state)
{
    static const char *const near[] = {"127.0.0.1:7400", "127.8.9.10:1", "localhost:7400",
                                       "LocalHost:1",    "[::1]:7400",   "[0:0:0:0:0:0:0:1]:1"};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        if (!address_is_loopback(near[i]))
            fail_msg("%s", near[i]);
    (void)state;
}

static void what_leaves_it(void **state)
{
    static const char *const far[] = {"0.0.0.0:7400",
                                      "*:7400",
                                      "[::]:7400",
                                      "128.0.0.1:7400",
                                      "10.0.0.1:7400",
                                      "example.com:7400",
                                      "localhost.example:1",
                                      "127.0.0.1.example:1",
                                      "[::2]:1",
                                      "2130706433:1",
                                      ":7400",
                                      "127.1:1",
                                      ""};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        if (address_is_loopback(far[i]))
            fail_msg("%s", far[i]);
    (void)state;
}

static void the_host_of_an_address(void **state)
{
    char host[8];
    address_host("h1:7400", host, sizeof host);
    assert_string_equal(host, "h1");
    address_host("[::1]:7400", host, sizeof host);
    assert_string_equal(host, "::1");
    address_host("h1", host, sizeof host);
    assert_string_equal(host, "h1");
    address_host("a.long.name:1", host, sizeof host);
    assert_string_equal(host, "a.long.");
    (void)state;
}

static void who_is_counted_as_one(void **state)
{
    static const struct {
        const char *ip, *name;
    } v6[] = {
        {"2001:db8:0:1::1", "2001:db8:0:1::/64"},
        {"2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"},
        {"2001:db8:0:2::1", "2001:db8:0:2::/64"},
        {"::ffff:10.0.0.7", "10.0.0.7"},
    };
    char name[ADDRESS_PEER_SIZE];
    uint8_t ip[16];
    for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++) {
        assert_int_equal(inet_pton(AF_INET6, v6[i].ip, ip), 1);
        address_peer_v6(ip, name);
        assert_string_equal(name, v6[i].name);
    }
    assert_int_equal(inet_pton(AF_INET, "10.0.0.7", ip), 1);
    address_peer_v4(ip, name);
    assert_string_equal(name, "10.0.0.7");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_on_this_machine),
        cmocka_unit_test(what_leaves_it),
        cmocka_unit_test(the_host_of_an_address),
        cmocka_unit_test(who_is_counted_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
