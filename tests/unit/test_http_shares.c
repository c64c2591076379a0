/* What one address may take of an HTTP server. */
#include "http/shares.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static const uint64_t max[SHARES_KINDS] = {8, 4, 1000};

union from {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union from v4(const char *ip)
{
    union from f = {.v4 = {.sin_family = AF_INET}};
    assert_int_equal(inet_pton(AF_INET, ip, &f.v4.sin_addr), 1);
    return f;
}

static union from v6(const char *ip)
{
    union from f = {.v6 = {.sin6_family = AF_INET6}};
    assert_int_equal(inet_pton(AF_INET6, ip, &f.v6.sin6_addr), 1);
    return f;
}

static double refused(const char *labels)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_refused_total", "", labels, NULL));
}

static void assert_ratio(const char *limit, const char *is)
{
    struct buf text = BUF_INIT(1 << 20);
    char line[200];
    snprintf(line, sizeof line, "hoist_limit_ratio{limit=\"%s\"} %s\n", limit, is);
    metrics_write(&text);
    if (!strstr(buf_str(&text), line))
        fail_msg("no %s in %s", line, buf_str(&text));
    buf_done(&text);
}

/* As many connections as are let in, up to `count`. */
static int come(struct shares *s, union from from, int count, struct share **ret)
{
    int came = 0;
    while (came < count && shares_admit(s, &from.any)) {
        *ret = shares_come(s, &from.any);
        assert_non_null(*ret);
        came++;
    }
    return came;
}

static int start(void **state)
{
    static struct shares s;
    shares_init(&s, max, "--http");
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    shares_done(*state);
    return 0;
}

static void one_address_has_three_quarters_of_the_connections(void **state)
{
    struct shares *s = *state;
    struct share *a = NULL, *b = NULL, *c = NULL;
    double one = refused("limit=\"peer_http_connections\"");
    double all = refused("limit=\"http_connections\"");
    assert_int_equal(come(s, v4("10.0.0.1"), 20, &a), 6);
    assert_string_equal(a->name, "10.0.0.1");
    assert_true(refused("limit=\"peer_http_connections\"") == one + 1);
    assert_int_equal(come(s, v4("10.0.0.2"), 20, &b), 2);
    assert_int_equal(come(s, v4("10.0.0.3"), 20, &c), 0);
    assert_true(refused("limit=\"peer_http_connections\"") == one + 1);
    assert_true(refused("limit=\"http_connections\"") == all + 2);
    assert_ratio("http_connections", "1");
    assert_ratio("peer_http_connections", "1");
    shares_give(s, a, SHARES_CONNECTIONS, 6);
    assert_ratio("http_connections", "0.25");
    assert_int_equal(come(s, v4("10.0.0.3"), 2, &c), 2);
    shares_give(s, b, SHARES_CONNECTIONS, 2);
    shares_give(s, c, SHARES_CONNECTIONS, 2);
}

static void an_ipv6_host_is_its_first_64_bits(void **state)
{
    struct shares *s = *state;
    struct share *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    assert_int_equal(come(s, v6("2001:db8:0:1::1"), 1, &a), 1);
    assert_int_equal(come(s, v6("2001:db8:0:1:ffff::9"), 1, &b), 1);
    assert_int_equal(come(s, v6("2001:db8:0:2::1"), 1, &c), 1);
    assert_int_equal(come(s, v6("::ffff:10.0.0.1"), 1, &d), 1);
    assert_ptr_equal(a, b);
    assert_string_equal(a->name, "2001:db8:0:1::/64");
    assert_string_equal(c->name, "2001:db8:0:2::/64");
    assert_string_equal(d->name, "10.0.0.1");
    assert_int_equal(come(s, v4("10.0.0.1"), 1, &b), 1);
    assert_ptr_equal(d, b);
    shares_give(s, a, SHARES_CONNECTIONS, 2);
    shares_give(s, c, SHARES_CONNECTIONS, 1);
    shares_give(s, d, SHARES_CONNECTIONS, 2);
}

static void streams_and_bytes_are_shared_out_alike(void **state)
{
    struct shares *s = *state;
    struct share *a = NULL, *b = NULL;
    come(s, v4("10.0.0.1"), 1, &a);
    come(s, v4("10.0.0.2"), 1, &b);
    double one = refused("limit=\"peer_http_body_bytes\"");
    assert_null(shares_take(s, a, SHARES_BODIES, 700));
    assert_ratio("http_body_bytes", "0.7");
    assert_non_null(strstr(shares_take(s, a, SHARES_BODIES, 51), "its bodies"));
    assert_true(refused("limit=\"peer_http_body_bytes\"") == one + 1);
    assert_null(shares_take(s, a, SHARES_BODIES, 50));
    assert_ratio("peer_http_body_bytes", "1");
    assert_non_null(shares_take(s, b, SHARES_BODIES, 251));
    assert_null(shares_take(s, b, SHARES_BODIES, 250));
    for (int i = 0; i < 3; i++)
        assert_null(shares_take(s, a, SHARES_STREAMS, 1));
    assert_non_null(shares_take(s, a, SHARES_STREAMS, 1));
    assert_null(shares_take(s, b, SHARES_STREAMS, 1));
    assert_ratio("http_streams", "1");
    assert_non_null(shares_take(s, NULL, SHARES_STREAMS, 1)); /* there was no memory for it */
    shares_give(s, NULL, SHARES_BODIES, 0);
    shares_give(s, a, SHARES_BODIES, 750);
    shares_give(s, b, SHARES_BODIES, 250);
    shares_give(s, a, SHARES_STREAMS, 3);
    shares_give(s, b, SHARES_STREAMS, 1);
    shares_give(s, a, SHARES_CONNECTIONS, 1);
    shares_give(s, b, SHARES_CONNECTIONS, 1);
}

static int count_addresses(const struct shares *s)
{
    int count = 0;
    for (int i = 0; i < SHARES_CHAINS; i++)
        for (const struct share *share = s->chains[i]; share; share = share->next)
            count++;
    return count;
}

static void who_has_nothing_is_forgotten(void **state)
{
    struct shares *s = *state;
    struct share *stays = NULL, *one = NULL;
    union from other = v4("10.2.0.0");
    come(s, v4("10.1.0.0"), 1, &stays);
    for (uint32_t i = 1; i <= 500; i++) {
        union from from = {.v4 = {.sin_family = AF_INET, .sin_addr = {htonl((10U << 24) + i)}}};
        assert_int_equal(come(s, from, 1, &one), 1);
        shares_give(s, one, SHARES_CONNECTIONS, 1);
    }
    for (int i = 0; i < 1000 && count_addresses(s) > 2; i++) {
        usleep(10000);
        assert_true(shares_admit(s, &other.any));
    }
    assert_true(count_addresses(s) <= 2);
    assert_int_equal(stays->used[SHARES_CONNECTIONS], 1);
    shares_give(s, stays, SHARES_CONNECTIONS, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(one_address_has_three_quarters_of_the_connections),
        T(an_ipv6_host_is_its_first_64_bits),
        T(streams_and_bytes_are_shared_out_alike),
        T(who_has_nothing_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
