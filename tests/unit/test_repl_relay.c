/* A primary, a relay and an agent in one process, over real sockets. */
#include "../repl_site.h"

#include "base/metrics.h"
#include "repl/net.h"
#include "repl/relay.h"

static const char *const ENV = "production";
static const uint64_t EPOCH = 0x7000000000000001;

struct ear { /* what the primary was told, newest */
    pthread_mutex_t lock;
    uint64_t version; /* that host1 has, by its relay */
    char via[32];
    uint32_t relays; /* words of the relay itself */
};

struct branch {
    struct site primary, relay, host;
    char url[128], relay_url[128];
    struct ear ear;
    struct server *server;
    struct relay *middle;
    struct agent *agent;
};

static void listen_for(void *arg, const struct told_host *told)
{
    struct ear *e = arg;
    pthread_mutex_lock(&e->lock);
    if (slice_eq(told->status.id, SLICE("host1")) && told->status.env_count) {
        e->version = told->status.envs[0].version;
        snprintf(e->via, sizeof e->via, "%.*s", SLICE_ARG(told->via));
    }
    e->relays += slice_eq(told->status.id, SLICE("middle"));
    pthread_mutex_unlock(&e->lock);
}

static void serve_primary(struct branch *t)
{
    const char *url = t->url;
    struct server_config config = {.listen = &url,
                                   .listen_count = 1,
                                   .id = "primary",
                                   .software = "test",
                                   .told = listen_for,
                                   .arg = &t->ear};
    assert_ok(server_start(t->primary.store, &config, &t->server));
}

static struct relay_config relay_config(const char *const *url, const char *const *listen)
{
    return (struct relay_config){.agent = {.id = "middle",
                                           .software = "test",
                                           .upstreams = url,
                                           .upstream_count = 1,
                                           .envs = &ENV,
                                           .env_count = 1},
                                 .listen = listen,
                                 .listen_count = 1};
}

static void start_relay(struct branch *t)
{
    const char *url = t->url, *listen = t->relay_url;
    struct relay_config config = relay_config(&url, &listen);
    assert_ok(relay_start(t->relay.store, &config, &t->middle));
}

static void branch_begin(struct branch *t)
{
    *t = (struct branch){.ear.lock = PTHREAD_MUTEX_INITIALIZER};
    site_open(&t->primary, true);
    site_open(&t->relay, false);
    site_open(&t->host, false);
    make_env(t->primary.store, ENV, EPOCH);
    free_ipc_url(&t->primary, t->url);
    free_ipc_url(&t->relay, t->relay_url);
    serve_primary(t);
    start_relay(t);
    t->agent = follow_url(&t->host, t->relay_url);
}

static void branch_end(struct branch *t)
{
    agent_stop(t->agent);
    relay_stop(t->middle);
    server_stop(t->server);
    site_end(&t->host);
    site_end(&t->relay);
    site_end(&t->primary);
}

static bool is_equal(struct branch *t)
{
    return same_head(t->primary.store, t->relay.store, ENV) &&
           same_head(t->primary.store, t->host.store, ENV);
}

static bool has_told(struct branch *t, uint64_t version, const char *via)
{
    pthread_mutex_lock(&t->ear.lock);
    bool told = t->ear.version == version && strcmp(t->ear.via, via) == 0 && t->ear.relays > 0;
    pthread_mutex_unlock(&t->ear.lock);
    return told;
}

static double holes(void)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_resyncs_total", "",
                                      "env=\"production\",reason=\"hole\"", NULL));
}

static void changes_go_down_and_what_hosts_have_comes_up(void **state)
{
    (void)state;
    struct branch t;
    branch_begin(&t);
    wait_until(is_equal(&t), 5000);
    wait_until(has_told(&t, 1, "middle"), 5000);
    for (uint32_t i = 0; i < 20; i++)
        change_flags(t.primary.store, t.server, ENV, i, 2, 100 + i);
    wait_until(is_equal(&t), 5000);
    assert_same_flags(t.primary.store, t.host.store, ENV);
    wait_until(has_told(&t, 21, "middle"), 1500); /* at once, not with the next 2 s */
    branch_end(&t);
}

static void a_change_too_big_to_publish_is_announced_by_the_relay_and_fetched_from_it(void **state)
{
    (void)state;
    struct branch t;
    branch_begin(&t);
    wait_until(is_equal(&t), 5000);
    change_flags(t.primary.store, t.server, ENV, 0, 500, 1000);
    change_flags(t.primary.store, t.server, ENV, 100, 4000, 1000); /* in parts */
    change_flags(t.primary.store, t.server, ENV, 0, 1, 10);
    wait_until(is_equal(&t), 10000);
    assert_same_flags(t.primary.store, t.host.store, ENV);
    branch_end(&t);
}

static void what_is_published_is_passed_on_without_anybody_having_to_ask(void **state)
{
    (void)state;
    struct branch t;
    branch_begin(&t);
    wait_until(is_equal(&t), 5000);
    usleep(300000); /* both streams are connected: each sends five times a second */
    double before = holes();
    for (uint32_t i = 0; i < 5; i++) {
        change_flags(t.primary.store, t.server, ENV, i, 1, 10);
        wait_until(is_equal(&t), 5000);
    }
    assert_true(holes() == before);
    branch_end(&t);
}

/* ---------------------------------------------------------------- heartbeats */

static nng_socket open_ear(const char *url)
{
    char stream[NET_URL_MAX];
    nng_socket sub;
    assert_ok(net_stream_url(url, stream));
    assert_int_equal(nng_sub0_open(&sub), 0);
    assert_int_equal(nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
    assert_int_equal(nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 3000), 0);
    assert_ok(net_dial(sub, stream, NET_STREAM_MAX, NULL, NULL));
    return sub;
}

/* The next heartbeat; it borrows from *ret_m. */
static struct frame_heartbeat next_heartbeat(nng_socket sub, struct arena *arena, nng_msg **ret_m)
{
    struct frame_heartbeat h;
    assert_int_equal(nng_recvmsg(sub, ret_m, 0), 0);
    assert_ok(frame_get_heartbeat(net_msg_bytes(*ret_m), arena, &h));
    return h;
}

static void a_relays_heartbeat_has_the_primarys_bytes_and_its_own_heads(void **state)
{
    (void)state;
    struct branch t;
    struct arena arena = {0};
    nng_msg *m, *of_primary;
    bool found = false;
    branch_begin(&t);
    nng_socket above = open_ear(t.url), below = open_ear(t.relay_url);
    wait_until(is_equal(&t), 5000);
    struct frame_heartbeat want = next_heartbeat(above, &arena, &of_primary);
    for (int i = 0; i < 20 && !found; i++) {
        struct frame_heartbeat h = next_heartbeat(below, &arena, &m);
        assert_int_equal(h.distance, 1);
        assert_true(slice_eq(h.id, SLICE("middle")));
        assert_int_equal(h.hop_count, 1);
        found = h.counter >= want.counter;
        if (h.counter == want.counter)
            assert_true(slice_eq(h.origin, want.origin));
        nng_msg_free(m);
    }
    assert_true(found);

    /* When the primary is gone the relay goes on, and its origin stands still. */
    server_stop(t.server);
    t.server = NULL;
    usleep(500000);
    while (nng_recvmsg(below, &m, NNG_FLAG_NONBLOCK) == 0)
        nng_msg_free(m);
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        struct frame_heartbeat h = next_heartbeat(below, &arena, &m);
        assert_true(last == 0 || h.counter == last);
        last = h.counter;
        nng_msg_free(m);
    }
    nng_msg_free(of_primary);
    arena_done(&arena);
    usleep(20000); /* net_close() wants a quiet moment */
    assert_true(net_close(above) && net_close(below));
    branch_end(&t);
}

static void
a_relay_that_has_heard_nobody_beats_without_an_origin_and_answers_all_the_same(void **state)
{
    (void)state;
    struct branch t = {.ear.lock = PTHREAD_MUTEX_INITIALIZER};
    struct arena arena = {0};
    nng_msg *m;
    site_open(&t.primary, true);
    site_open(&t.relay, false);
    site_open(&t.host, false);
    make_env(t.primary.store, ENV, EPOCH);
    free_ipc_url(&t.primary, t.url);
    free_ipc_url(&t.relay, t.relay_url);
    serve_primary(&t);
    start_relay(&t);
    wait_until(same_head(t.primary.store, t.relay.store, ENV), 5000);
    relay_stop(t.middle);
    server_stop(t.server);
    t.server = NULL;

    start_relay(&t);
    nng_socket below = open_ear(t.relay_url);
    struct frame_heartbeat h = next_heartbeat(below, &arena, &m);
    assert_int_equal(h.origin.len, 0);
    assert_int_equal(h.hop_count, 1);
    assert_int_equal(h.hop_envs[0].version, 1);
    assert_int_equal(h.hop_envs[0].state, ENV_BEHIND); /* as far as it knows */
    nng_msg_free(m);
    arena_done(&arena);
    t.agent = follow_url(&t.host, t.relay_url);
    wait_until(is_equal(&t), 5000); /* hello tells what there is */
    assert_true(net_close(below));
    branch_end(&t);
}

/* ---------------------------------------------------------------- a ring */

static bool says(struct relay *r, const char *part)
{
    struct buf out = BUF_INIT(1 << 16);
    assert_ok(agent_status(relay_agent(r), &out));
    bool found = strstr(buf_str(&out), part);
    buf_done(&out);
    return found;
}

static double passed_frames(void)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_relayed_status_frames_total", "",
                                      "result=\"taken\"", NULL));
}

/* Two relays that follow each other, and a host: all has been there before, so only words go round. */
static void in_a_ring_each_relay_sees_it_and_nothing_goes_round(void **state)
{
    (void)state;
    struct branch t;
    struct site other = {0};
    char other_url[128];
    struct relay *second;
    branch_begin(&t);
    wait_until(is_equal(&t), 5000);
    assert_false(says(t.middle, "\"ring\":true"));
    relay_stop(t.middle);
    server_stop(t.server);
    t.server = NULL;

    site_open(&other, false);
    free_ipc_url(&other, other_url);
    const char *up = other_url, *listen = t.relay_url;
    struct relay_config config = relay_config(&up, &listen);
    assert_ok(relay_start(t.relay.store, &config, &t.middle));
    up = t.relay_url, listen = other_url;
    config = relay_config(&up, &listen);
    config.agent.id = "second";
    assert_ok(relay_start(other.store, &config, &second));
    wait_until(same_head(t.relay.store, other.store, ENV), 10000); /* what there is spreads */
    wait_until(says(t.middle, "\"ring\":true") && says(second, "\"ring\":true"), 10000);
    assert_true(says(t.middle, "\"news_ms\":null"));
    assert_false(says(t.middle, "\"state\":\"current\""));

    /* Three hosts, each a second at most for each relay, and nothing that multiplies. */
    double before = passed_frames();
    int64_t began = clock_mono_ms();
    usleep(4000000);
    assert_true(passed_frames() - before <= 4.0 * (double)(clock_mono_ms() - began) / 1000);
    relay_stop(second);
    site_end(&other);
    branch_end(&t);
}

/* ---------------------------------------------------------------- life */

static void a_relay_started_again_goes_on_with_its_hosts(void **state)
{
    (void)state;
    struct branch t;
    branch_begin(&t);
    wait_until(is_equal(&t), 5000);
    relay_stop(t.middle);
    change_flags(t.primary.store, t.server, ENV, 0, 3, 10);
    start_relay(&t);
    wait_until(is_equal(&t), 10000);
    wait_until(has_told(&t, 2, "middle"), 10000);
    branch_end(&t);
}

static void a_primary_started_again_hears_of_the_hosts_again(void **state)
{
    (void)state;
    struct branch t;
    branch_begin(&t);
    wait_until(has_told(&t, 1, "middle"), 5000);
    server_stop(t.server);
    site_close(&t.primary);
    site_open(&t.primary, true); /* as a process would: the counter begins above */
    t.ear.version = 0;
    serve_primary(&t);
    wait_until(has_told(&t, 1, "middle"), 10000);
    change_flags(t.primary.store, t.server, ENV, 0, 3, 10);
    wait_until(is_equal(&t), 5000);
    wait_until(has_told(&t, 2, "middle"), 5000);
    branch_end(&t);
}

static void what_cannot_be_started_leaves_nothing_behind(void **state)
{
    (void)state;
    struct branch t = {0};
    const char *url = "tcp://127.0.0.1:7400", *bad = "nonsense";
    struct relay *r = NULL;
    site_open(&t.relay, false);
    struct relay_config config = relay_config(&bad, &url);
    assert_int_equal(relay_start(t.relay.store, &config, &r), HOIST_EINVAL);
    config = relay_config(&url, &bad);
    assert_int_equal(relay_start(t.relay.store, &config, &r), HOIST_EINVAL);
    assert_null(r);
    relay_stop(NULL);
    site_end(&t.relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_go_down_and_what_hosts_have_comes_up),
        cmocka_unit_test(a_change_too_big_to_publish_is_announced_by_the_relay_and_fetched_from_it),
        cmocka_unit_test(what_is_published_is_passed_on_without_anybody_having_to_ask),
        cmocka_unit_test(a_relays_heartbeat_has_the_primarys_bytes_and_its_own_heads),
        cmocka_unit_test(
            a_relay_that_has_heard_nobody_beats_without_an_origin_and_answers_all_the_same),
        cmocka_unit_test(in_a_ring_each_relay_sees_it_and_nothing_goes_round),
        cmocka_unit_test(a_relay_started_again_goes_on_with_its_hosts),
        cmocka_unit_test(a_primary_started_again_hears_of_the_hosts_again),
        cmocka_unit_test(what_cannot_be_started_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
