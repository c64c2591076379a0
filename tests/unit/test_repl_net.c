#include "repl/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void the_stream_lies_beside_each_kind_of_address(void **state)
{
    char stream[NET_URL_MAX];
    assert_int_equal(net_stream_url("tls+tcp://h:7400", stream), HOIST_OK);
    assert_string_equal(stream, "tls+tcp://h:7401");
    assert_int_equal(net_stream_url("tls+tcp://[::1]:7400", stream), HOIST_OK);
    assert_string_equal(stream, "tls+tcp://[::1]:7401");
    assert_int_equal(net_stream_url("ipc:///run/p", stream), HOIST_OK);
    assert_string_equal(stream, "ipc:///run/p.pub");
    (void)state;
}

static void addresses_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {"tls+tcp://h",     "tls+tcp://h:0",     "tls+tcp://h:65535",
                                        "tls+tcp://:7400", "tls+tcp://h/:740",  "tls://h:7400",
                                        "tls+ipc:///p",    "tls+tcp://::1:7400"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(net_check_url(wrong[i]), HOIST_EINVAL);
    (void)state;
}

static void what_stays_on_this_machine_may_be_plain(void **state)
{
    static const char *const near[] = {"ipc:///run/p", "tcp://127.0.0.1:1", "tcp://[::1]:1",
                                       "tcp://localhost:1"};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        assert_true(net_is_local(near[i]));
        assert_int_equal(net_check_use("--listen", near[i], false, false), HOIST_OK);
    }
    (void)state;
}

static void what_leaves_it_is_encrypted_or_said_to_be_insecure(void **state)
{
    assert_false(net_is_local("tls+tcp://h:7400"));
    assert_int_equal(net_check_use("--listen", "tcp://h:7400", true, false), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--listen tcp://h:7400"));
    assert_non_null(strstr(err_last(), "give tls+tcp://h:7400"));
    assert_non_null(strstr(err_last(), "--insecure"));
    assert_int_equal(net_check_use("--listen", "tcp://h:7400", false, true), HOIST_OK);
    assert_int_equal(net_check_use("--listen", "tls+tcp://h:7400", true, false), HOIST_OK);
    assert_int_equal(net_check_use("--listen", "tls+tcp://h:7400", false, true), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--tls-cert"));
    (void)state;
}

static void certificates_that_cannot_be_read_are_refused(void **state)
{
    static char bad[] = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    struct tls_files files = {.cert = bad, .key = bad, .ca = bad};
    struct net_tls *tls = NULL;
    assert_int_equal(net_tls_new(&files, NULL, &tls), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--tls-cert cannot be read"));
    assert_null(tls);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_lies_beside_each_kind_of_address),
        cmocka_unit_test(addresses_that_are_none_are_refused),
        cmocka_unit_test(what_stays_on_this_machine_may_be_plain),
        cmocka_unit_test(what_leaves_it_is_encrypted_or_said_to_be_insecure),
        cmocka_unit_test(certificates_that_cannot_be_read_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
