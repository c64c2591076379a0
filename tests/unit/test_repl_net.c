#include "repl/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "repl/net_tls.h"

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

struct peer { /* who answers just when nobody waits for it any more */
    int listener;
    useconds_t after_us;
    char url[64];
};

static void peer_listen(struct peer *p, useconds_t after_us)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    p->after_us = after_us;
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(p->url, sizeof p->url, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
}

static void *answer(void *arg)
{
    struct peer *p = arg;
    int c = accept(p->listener, NULL, NULL);
    usleep(p->after_us);
    (void)!write(c, "late", 4);
    close(c);
    return NULL;
}

static void *ask_why(void *arg)
{
    struct peer *p = arg;
    struct buf out = BUF_INIT(1000);
    net_tls_why(NULL, p->url, &out);
    buf_done(&out);
    return NULL;
}

/* nng's clock ends the wait (300 ms) just as the answer does; one of the two comes too late. */
static void an_answer_at_the_very_end_of_the_time_is_no_harm(void **state)
{
    enum { PEERS = 100, ROUNDS = 10, EARLY_US = 298500, SPREAD_US = 2500 };
    static struct peer peers[PEERS];
    pthread_t threads[2 * PEERS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PEERS; i++) {
            peer_listen(&peers[i], EARLY_US + (useconds_t)i * SPREAD_US / PEERS);
            pthread_create(&threads[2 * i], NULL, answer, &peers[i]);
            pthread_create(&threads[2 * i + 1], NULL, ask_why, &peers[i]);
        }
        for (int i = 0; i < 2 * PEERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < PEERS; i++)
            close(peers[i].listener);
    }
    (void)state;
}

static int end_nng(void **state)
{
    (void)state;
    nng_fini();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_lies_beside_each_kind_of_address),
        cmocka_unit_test(addresses_that_are_none_are_refused),
        cmocka_unit_test(what_stays_on_this_machine_may_be_plain),
        cmocka_unit_test(what_leaves_it_is_encrypted_or_said_to_be_insecure),
        cmocka_unit_test(certificates_that_cannot_be_read_are_refused),
        cmocka_unit_test(an_answer_at_the_very_end_of_the_time_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, end_nng);
}
