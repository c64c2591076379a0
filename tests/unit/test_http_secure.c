/* HTTPS: who is let in, and certificates that are replaced while it serves. */
#include "http/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "http/listen.h"

static const int64_t DAY_MS = 86400000;

struct site {
    struct http *http;
    char address[64];
    struct cert_pair ca, other_ca;
    struct tls_files own;
    struct cert_pair client;
};

static struct cert_pair issue(const struct cert_pair *ca, const char *name, bool server,
                              int64_t until_ms)
{
    static const char *const hosts[] = {"127.0.0.1"};
    struct cert_order o = {.name = name,
                           .hosts = hosts,
                           .host_count = server,
                           .from_ms = clock_wall_ms() - 2 * DAY_MS,
                           .until_ms = until_ms};
    struct cert_pair pair;
    enum hoist_err err = ca ? cert_make(ca, &o, &pair) : cert_make_ca(&o, &pair);
    assert_int_equal(err, HOIST_OK);
    return pair;
}

static struct tls_files files(const struct cert_pair *ca)
{
    struct cert_pair pair = issue(ca, "server", true, clock_wall_ms() + DAY_MS);
    return (struct tls_files){.cert = pair.cert, .key = pair.key, .ca = mem_dup_str(ca->cert)};
}

static bool ready(void *arg, struct buf *why_not)
{
    (void)arg;
    (void)why_not;
    return true;
}

static enum hoist_err status(void *arg, struct buf *out)
{
    (void)arg;
    (void)out;
    return HOIST_EIO;
}

static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static enum hoist_err start_with(struct site *s, const struct tls_files *tls, bool any_client)
{
    struct http_config config = {.listen = s->address,
                                 .ready = ready,
                                 .status = status,
                                 .tls = tls,
                                 .any_client = any_client};
    return http_start(&config, &s->http);
}

static int set_up(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    snprintf(s->address, sizeof s->address, "https://127.0.0.1:%u", free_port());
    s->ca = issue(NULL, "fleet", false, clock_wall_ms() + 9 * DAY_MS);
    s->other_ca = issue(NULL, "fleet", false, clock_wall_ms() + 9 * DAY_MS);
    s->own = files(&s->ca);
    s->client = issue(&s->ca, "ana", false, clock_wall_ms() + DAY_MS);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct site *s = *state;
    http_stop(s->http);
    cert_pair_done(&s->ca);
    cert_pair_done(&s->other_ca);
    cert_pair_done(&s->client);
    tls_files_done(&s->own);
    free(s);
    return 0;
}

/* ------------------------------------------------------------------ asking */

static size_t ignore(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static void give(CURL *c, CURLoption option, const char *pem)
{
    struct curl_blob blob = {(void *)pem, pem ? strlen(pem) : 0, CURL_BLOB_COPY};
    if (pem)
        assert_int_equal(curl_easy_setopt(c, option, &blob), CURLE_OK);
}

static CURL *client(const struct site *s, const char *ca, const struct cert_pair *own)
{
    char url[100];
    CURL *c = curl_easy_init();
    assert_non_null(c);
    snprintf(url, sizeof url, "%s/healthz", s->address);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    give(c, CURLOPT_CAINFO_BLOB, ca);
    if (own) {
        give(c, CURLOPT_SSLCERT_BLOB, own->cert);
        give(c, CURLOPT_SSLKEY_BLOB, own->key);
    }
    return c;
}

/* The status of the answer; 0: there was none. */
static long ask(const struct site *s, const char *ca, const struct cert_pair *own)
{
    long code = 0;
    CURL *c = client(s, ca, own);
    if (curl_easy_perform(c) == CURLE_OK)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(c);
    return code;
}

/* ------------------------------------------------------------------ the tests */

static void whoever_has_a_certificate_of_the_ca_is_let_in(void **state)
{
    struct site *s = *state;
    assert_int_equal(start_with(s, &s->own, false), HOIST_OK);
    assert_int_equal(ask(s, s->ca.cert, &s->client), 200);
    assert_int_equal(ask(s, s->ca.cert, NULL), 0);
    struct cert_pair stranger = issue(&s->other_ca, "ana", false, clock_wall_ms() + DAY_MS);
    assert_int_equal(ask(s, s->ca.cert, &stranger), 0);
    struct cert_pair late = issue(&s->ca, "ana", false, clock_wall_ms() - DAY_MS);
    assert_int_equal(ask(s, s->ca.cert, &late), 0);
    assert_int_equal(ask(s, s->other_ca.cert, &s->client), 0); /* the client wants another */
    assert_int_equal(ask(s, s->ca.cert, &s->client), 200);
    cert_pair_done(&stranger);
    cert_pair_done(&late);
}

static void any_client_is_let_in_where_that_was_said(void **state)
{
    struct site *s = *state;
    assert_int_equal(start_with(s, &s->own, true), HOIST_OK);
    assert_int_equal(ask(s, s->ca.cert, NULL), 200);
    assert_int_equal(ask(s, s->other_ca.cert, NULL), 0);
}

static void tls_is_1_2_at_least(void **state)
{
    struct site *s = *state;
    assert_int_equal(start_with(s, &s->own, false), HOIST_OK);
    for (long v = CURL_SSLVERSION_TLSv1_1; v <= CURL_SSLVERSION_TLSv1_3; v++) {
        CURL *c = client(s, s->ca.cert, &s->client);
        curl_easy_setopt(c, CURLOPT_SSLVERSION, v | v << 16); /* the least, and the most */
        curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0");
        CURLcode rc = curl_easy_perform(c);
        assert_int_equal(rc == CURLE_OK, v >= CURL_SSLVERSION_TLSv1_2);
        curl_easy_cleanup(c);
    }
}

static void new_certificates_are_for_new_connections(void **state)
{
    struct site *s = *state;
    struct tls_files fresh = files(&s->other_ca);
    struct cert_pair fresh_client = issue(&s->other_ca, "ana", false, clock_wall_ms() + DAY_MS);
    assert_int_equal(start_with(s, &s->own, false), HOIST_OK);
    CURL *open = client(s, s->ca.cert, &s->client);
    assert_int_equal(curl_easy_perform(open), CURLE_OK);

    assert_int_equal(http_renew(s->http, &fresh), HOIST_OK);
    assert_int_equal(ask(s, s->other_ca.cert, &fresh_client), 200);
    assert_int_equal(ask(s, s->ca.cert, &s->client), 0);
    long connects = 1;
    assert_int_equal(curl_easy_perform(open), CURLE_OK); /* the old one goes on */
    curl_easy_getinfo(open, CURLINFO_NUM_CONNECTS, &connects);
    assert_int_equal(connects, 0);

    struct tls_files wrong = {.cert = fresh.cert, .key = s->own.key, .ca = fresh.ca};
    assert_int_equal(http_renew(s->http, &wrong), HOIST_EINVAL);
    assert_int_equal(ask(s, s->other_ca.cert, &fresh_client), 200);
    curl_easy_cleanup(open);
    tls_files_done(&fresh);
    cert_pair_done(&fresh_client);
}

static void what_cannot_be_served_is_told_at_the_start(void **state)
{
    struct site *s = *state;
    struct tls_files wrong = {.cert = s->own.cert, .key = s->client.key, .ca = s->own.ca};
    assert_int_equal(start_with(s, NULL, false), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--join"));
    assert_int_equal(start_with(s, &wrong, false), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "do not match"));
}

static void the_scheme_is_chosen_by_the_address(void **state)
{
    static const struct {
        const char *address, *rest;
        bool has_tls, secure;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true, false},
        {"0.0.0.0:1", "0.0.0.0:1", true, true},
        {"0.0.0.0:1", "0.0.0.0:1", false, false},
        {"https://[::1]:1", "[::1]:1", true, true},
        {"https://10.0.0.1:1", "10.0.0.1:1", false, true},
        {"http://10.0.0.1:1", "10.0.0.1:1", true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool secure;
        const char *rest = http_address(cases[i].address, cases[i].has_tls, &secure);
        assert_string_equal(rest, cases[i].rest);
        assert_int_equal(secure, cases[i].secure);
    }
}

/* Bytes that are no TLS, and connections that say nothing, are nobody else's trouble. */
static void noise_and_silence_do_no_harm(void **state)
{
    enum { SILENT = 50 };
    struct site *s = *state;
    int fds[SILENT];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(start_with(s, &s->own, false), HOIST_OK);
    a.sin_port = htons((uint16_t)atoi(strrchr(s->address, ':') + 1));
    for (int i = 0; i < SILENT; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&a, sizeof a), 0);
        if (i % 2)
            assert_int_equal(send(fds[i], "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    }
    assert_int_equal(ask(s, s->ca.cert, &s->client), 200);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    assert_int_equal(ask(s, s->ca.cert, &s->client), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_has_a_certificate_of_the_ca_is_let_in, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(any_client_is_let_in_where_that_was_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tls_is_1_2_at_least, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_certificates_are_for_new_connections, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_served_is_told_at_the_start, set_up,
                                        tear_down),
        cmocka_unit_test(the_scheme_is_chosen_by_the_address),
        cmocka_unit_test_setup_teardown(noise_and_silence_do_no_harm, set_up, tear_down),
    };
    hash_init();
    curl_global_init(CURL_GLOBAL_ALL);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return rc;
}
