/* A listener that takes new certificates: who is let in by which, and who has to go when. */
#include "../repl_site.h"

#include <nng/protocol/pubsub0/sub.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cert.h"
#include "base/hash.h"
#include "repl/listeners.h"
#include "repl/net.h"

enum { CLIENTS = 4, CLIENTS_MAX = 8, PATIENCE_MS = 10000, SETTLE_MS = 300, SPREAD_MS = 350 };

static const int64_t DAY_MS = 86400000;

struct guest { /* one who dials */
    nng_socket socket;
    atomic_int came, went; /* its connections */
};

struct door { /* a replier's listeners, with a CA of its own, and another one */
    struct cert_pair ca, other_ca;
    struct net_tls *tls;
    struct quota *quota;
    nng_socket socket;
    struct listeners *listeners;
    char url[80];
    struct guest guests[CLIENTS_MAX];
    size_t guest_count;
    atomic_int came; /* connections that were let in */
};

/* ---------------------------------------------------------------- certificates */

static struct cert_order order(const char *name, const char *const *hosts, size_t count)
{
    int64_t now = clock_wall_ms();
    return (struct cert_order){name, hosts, count, now - DAY_MS, now + DAY_MS};
}

static struct cert_pair new_ca(const char *name)
{
    struct cert_pair ca;
    struct cert_order o = order(name, NULL, 0);
    assert_ok(cert_make_ca(&o, &ca));
    return ca;
}

/* A new certificate signed by `ca`, for one who believes only in it. */
static struct net_tls *new_tls(const struct cert_pair *ca)
{
    static const char *const hosts[] = {"127.0.0.1"};
    struct cert_order o = order("one", hosts, 1);
    struct cert_pair own;
    struct net_tls *tls;
    assert_ok(cert_make(ca, &o, &own));
    assert_ok(net_tls_new(&(struct tls_files){.cert = own.cert, .key = own.key, .ca = ca->cert},
                          NULL, &tls));
    cert_pair_done(&own);
    return tls;
}

/* ---------------------------------------------------------------- the door */

static void on_let_in(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct door *d = arg;
    (void)pipe, (void)event;
    atomic_fetch_add(&d->came, 1);
}

static void door_open(struct door *d, bool encrypted)
{
    char plain[64];
    *d = (struct door){0};
    d->ca = new_ca("ca");
    d->other_ca = new_ca("other");
    d->tls = new_tls(&d->ca);
    free_tcp_url(plain);
    snprintf(d->url, sizeof d->url, "%s%s", encrypted ? "tls+" : "", plain);
    assert_ok(quota_new(&(struct quota_limits){0}, &d->quota));
    assert_int_equal(nng_rep0_open(&d->socket), 0);
    assert_int_equal(nng_pipe_notify(d->socket, NNG_PIPE_EV_ADD_POST, on_let_in, d), 0);
    assert_ok(listeners_new(d->socket, NET_COMMAND_MAX, d->tls, d->quota, QUOTA_CONNECTION,
                            &d->listeners));
    assert_ok(listeners_add(d->listeners, d->url));
}

static void door_close(struct door *d)
{
    for (size_t i = 0; i < d->guest_count; i++)
        assert_true(net_close(d->guests[i].socket));
    assert_true(net_close(d->socket));
    listeners_free(d->listeners);
    quota_free(d->quota);
    net_tls_drop(d->tls);
    cert_pair_done(&d->ca);
    cert_pair_done(&d->other_ca);
}

static void renew(struct door *d, const struct cert_pair *ca)
{
    struct net_tls *tls = new_tls(ca);
    assert_ok(listeners_renew(d->listeners, tls));
    net_tls_drop(tls);
}

/* ---------------------------------------------------------------- guests */

static void on_came(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct guest *g = arg;
    (void)pipe;
    atomic_fetch_add(event == NNG_PIPE_EV_ADD_POST ? &g->came : &g->went, 1);
}

/* One who comes by a certificate of `ca`, and again whenever it is sent away. */
static struct guest *dial(struct door *d, const struct cert_pair *ca)
{
    struct guest *g = &d->guests[d->guest_count++];
    struct net_tls *tls = new_tls(ca);
    assert_true(d->guest_count <= CLIENTS_MAX);
    assert_int_equal(nng_req0_open(&g->socket), 0);
    assert_int_equal(nng_pipe_notify(g->socket, NNG_PIPE_EV_ADD_POST, on_came, g), 0);
    assert_int_equal(nng_pipe_notify(g->socket, NNG_PIPE_EV_REM_POST, on_came, g), 0);
    assert_ok(net_dial(g->socket, d->url, NET_COMMAND_MAX, tls, NULL));
    net_tls_drop(tls);
    return g;
}

static struct guest *come_in(struct door *d, const struct cert_pair *ca)
{
    int before = d->came;
    struct guest *g = dial(d, ca);
    wait_until(d->came > before && g->came == 1, PATIENCE_MS);
    return g;
}

static int times_gone(const struct door *d)
{
    int went = 0;
    for (size_t i = 0; i < d->guest_count; i++)
        went += d->guests[i].went;
    return went;
}

static bool all_are_in(const struct door *d)
{
    int came = 0;
    for (size_t i = 0; i < d->guest_count; i++) {
        came += d->guests[i].came;
        if (d->guests[i].came != d->guests[i].went + 1)
            return false;
    }
    return d->came == came;
}

/* ---------------------------------------------------------------- tests */

static void new_certificates_are_for_those_who_come(void **state)
{
    struct door d;
    door_open(&d, true);
    struct guest *first = come_in(&d, &d.ca);
    struct guest *stranger = dial(&d, &d.other_ca);
    usleep(SETTLE_MS * 1000);
    assert_int_equal(stranger->came, 0);
    renew(&d, &d.other_ca);
    wait_until(stranger->came == 1, PATIENCE_MS);
    assert_int_equal(first->went, 0);
    struct guest *late = dial(&d, &d.ca);
    usleep(SETTLE_MS * 1000);
    assert_int_equal(late->came, 0);
    assert_int_equal(stranger->went, 0);
    door_close(&d);
    (void)state;
}

/* Nobody is let in by the certificates that nng still had when the first one came. */
static void the_first_who_comes_is_let_in_by_the_new_ones(void **state)
{
    struct door d;
    door_open(&d, true);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        const struct cert_pair *now = i % 2 ? &d.ca : &d.other_ca;
        renew(&d, now);
        come_in(&d, now);
    }
    assert_int_equal(times_gone(&d), 0);
    door_close(&d);
    (void)state;
}

static void old_connections_are_closed_a_part_at_a_time(void **state)
{
    struct door d;
    door_open(&d, true);
    for (int i = 0; i < CLIENTS; i++)
        come_in(&d, &d.ca);
    assert_false(listeners_close_old(d.listeners, 1));
    renew(&d, &d.ca);
    assert_false(listeners_close_old(d.listeners, 1));
    listeners_grow_old(d.listeners);
    for (int part = 0; part < CLIENTS; part++) {
        assert_true(listeners_close_old(d.listeners, (unsigned)(CLIENTS - part)));
        wait_until(times_gone(&d) == part + 1 && all_are_in(&d), PATIENCE_MS);
    }
    assert_false(listeners_close_old(d.listeners, 1));
    assert_int_equal(times_gone(&d), CLIENTS);
    listeners_grow_old(d.listeners);
    assert_true(listeners_close_old(d.listeners, 2));
    wait_until(times_gone(&d) == CLIENTS + 2 && all_are_in(&d), PATIENCE_MS);
    assert_true(listeners_close_old(d.listeners, 1));
    wait_until(times_gone(&d) == CLIENTS + 4 && all_are_in(&d), PATIENCE_MS);
    door_close(&d);
    (void)state;
}

static void ask(struct guest *g)
{
    nng_msg *m = net_msg(SLICE("?"));
    assert_int_equal(nng_sendmsg(g->socket, m, 0), 0);
}

static void who_came_by_old_certificates_can_say_no_more(void **state)
{
    struct door d;
    door_open(&d, true);
    struct guest *first = come_in(&d, &d.ca);
    uint64_t number = net_tls_begin_new();
    renew(&d, &d.ca);
    struct guest *second = come_in(&d, &d.ca);
    net_tls_end_old(number);
    ask(first);
    ask(second);
    wait_until(first->went == 1, PATIENCE_MS);
    wait_until(first->came == 2, PATIENCE_MS); /* by the new ones */
    assert_int_equal(second->went, 0);
    door_close(&d);
    (void)state;
}

static void an_error_leaves_all_as_it_was(void **state)
{
    struct door d;
    door_open(&d, true);
    struct guest *first = come_in(&d, &d.ca);
    assert_int_equal(listeners_renew(d.listeners, NULL), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--tls-cert"));
    come_in(&d, &d.ca);
    assert_int_equal(first->went, 0);
    renew(&d, &d.other_ca);
    come_in(&d, &d.other_ca);
    door_close(&d);
    (void)state;
}

static void a_plain_connection_never_grows_old(void **state)
{
    struct door d;
    door_open(&d, false);
    struct guest *g = come_in(&d, &d.ca);
    renew(&d, &d.other_ca);
    listeners_grow_old(d.listeners);
    assert_false(listeners_close_old(d.listeners, 1));
    assert_int_equal(g->went, 0);
    door_close(&d);
    (void)state;
}

/* ---------------------------------------------------------------- a server's hosts */

struct host { /* one who subscribes */
    nng_socket socket;
    atomic_int came;
    _Atomic int64_t went_ms; /* the first time; 0: not yet */
};

static void on_host(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct host *h = arg;
    int64_t never = 0;
    (void)pipe;
    if (event == NNG_PIPE_EV_ADD_POST)
        atomic_fetch_add(&h->came, 1);
    else
        atomic_compare_exchange_strong(&h->went_ms, &never, clock_mono_ms());
}

static void host_begin(struct host *h, const char *stream, struct net_tls *tls)
{
    *h = (struct host){0};
    assert_int_equal(nng_sub0_open(&h->socket), 0);
    assert_int_equal(nng_pipe_notify(h->socket, NNG_PIPE_EV_ADD_POST, on_host, h), 0);
    assert_int_equal(nng_pipe_notify(h->socket, NNG_PIPE_EV_REM_POST, on_host, h), 0);
    assert_ok(net_dial(h->socket, stream, NET_STREAM_MAX, tls, NULL));
    wait_until(h->came == 1, PATIENCE_MS);
}

/* Thousands that came back in one moment would have to be answered in one. */
static void with_new_certificates_hosts_go_one_after_the_other(void **state)
{
    struct host hosts[CLIENTS_MAX];
    struct cert_pair ca = new_ca("ca");
    struct net_tls *tls = new_tls(&ca), *next = new_tls(&ca);
    struct site site;
    struct server *server;
    char plain[128], url[160], stream[NET_URL_MAX];
    const char *listen = url;
    int64_t first = INT64_MAX, last = 0;
    (void)state;
    site_open(&site, true);
    free_tcp_url(plain);
    snprintf(url, sizeof url, "tls+%s", plain);
    assert_ok(net_stream_url(url, stream));
    assert_ok(server_start(
        site.store,
        &(struct server_config){
            .listen = &listen, .listen_count = 1, .id = "primary", .software = "t", .tls = tls},
        &server));
    for (int i = 0; i < CLIENTS_MAX; i++)
        host_begin(&hosts[i], stream, tls);
    assert_ok(server_renew(server, next));
    server_close_old(&server, 1);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        wait_until(hosts[i].came == 2, PATIENCE_MS);
        first = hosts[i].went_ms < first ? hosts[i].went_ms : first;
        last = hosts[i].went_ms > last ? hosts[i].went_ms : last;
    }
    assert_true(last - first >= SPREAD_MS);
    for (int i = 0; i < CLIENTS_MAX; i++)
        assert_true(net_close(hosts[i].socket));
    server_stop(server);
    site_end(&site);
    net_tls_drop(tls);
    net_tls_drop(next);
    cert_pair_done(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_certificates_are_for_those_who_come),
        cmocka_unit_test(the_first_who_comes_is_let_in_by_the_new_ones),
        cmocka_unit_test(old_connections_are_closed_a_part_at_a_time),
        cmocka_unit_test(who_came_by_old_certificates_can_say_no_more),
        cmocka_unit_test(with_new_certificates_hosts_go_one_after_the_other),
        cmocka_unit_test(an_error_leaves_all_as_it_was),
        cmocka_unit_test(a_plain_connection_never_grows_old),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
