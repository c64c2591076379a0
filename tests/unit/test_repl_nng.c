/* A server on one store and an agent on another, in one process, over real sockets. */
#include "../repl_site.h"

#include <nng/supplemental/util/platform.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "repl/net.h"

static const char *const ENV = "production";
static const uint64_t EPOCH = 0x7000000000000001;

struct pair { /* a primary and a host */
    struct site primary, host;
    char url[128];
    struct server *server;
    struct agent *agent;
};

static void pair_begin(struct pair *p, bool ipc)
{
    *p = (struct pair){0};
    site_open(&p->primary, true);
    site_open(&p->host, false);
    make_env(p->primary.store, ENV, EPOCH);
    if (ipc)
        free_ipc_url(&p->primary, p->url);
    else
        free_tcp_url(p->url);
}

static void pair_run(struct pair *p)
{
    p->server = serve(&p->primary, p->url);
    p->agent = follow_url(&p->host, p->url);
}

static void pair_end(struct pair *p)
{
    agent_stop(p->agent);
    server_stop(p->server);
    site_end(&p->primary);
    site_end(&p->host);
}

static bool pair_is_equal(struct pair *p)
{
    return same_head(p->primary.store, p->host.store, ENV);
}

static void an_agent_fills_its_store_and_follows(bool ipc)
{
    struct pair p;
    pair_begin(&p, ipc);
    change_flags(p.primary.store, NULL, ENV, 0, 3000, 1000); /* 3 MB: several pages */
    pair_run(&p);
    wait_until(pair_is_equal(&p), 10000);

    for (uint32_t i = 0; i < 20; i++)
        change_flags(p.primary.store, p.server, ENV, i, 2, 100 + i);
    wait_until(pair_is_equal(&p), 5000);
    assert_int_equal(env_of(p.host.store, ENV).head, 22);
    assert_int_equal(env_of(p.host.store, ENV).flags, 3000);
    assert_same_flags(p.primary.store, p.host.store, ENV);
    pair_end(&p);
}

static void an_agent_fills_its_store_and_follows_over_tcp(void **state)
{
    (void)state;
    an_agent_fills_its_store_and_follows(false);
}

static void an_agent_fills_its_store_and_follows_over_ipc(void **state)
{
    (void)state;
    an_agent_fills_its_store_and_follows(true);
}

static void a_change_too_big_to_publish_is_fetched_whole_and_in_parts(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, true);
    pair_run(&p);
    wait_until(pair_is_equal(&p), 5000);
    change_flags(p.primary.store, p.server, ENV, 0, 500, 1000); /* over 256 KiB: without edits */
    wait_until(pair_is_equal(&p), 5000);
    change_flags(p.primary.store, p.server, ENV, 100, 4000, 1000); /* over 1 MiB: in parts */
    change_flags(p.primary.store, p.server, ENV, 0, 1, 10);        /* and one right behind it */
    wait_until(pair_is_equal(&p), 5000);
    assert_same_flags(p.primary.store, p.host.store, ENV);
    pair_end(&p);
}

static void ten_thousand_changes_at_once_end_equal(void **state)
{
    (void)state;
    enum { CHANGES = 10000, AT_ONCE = 100 };
    struct pair p;
    pair_begin(&p, false);
    pair_run(&p);
    wait_until(pair_is_equal(&p), 5000);

    struct buf record = BUF_INIT(FLAG_RECORD_MAX), edits = BUF_INIT(4096);
    for (uint32_t i = 0; i < CHANGES / AT_ONCE; i++) {
        struct buf changes[AT_ONCE];
        struct slice slices[AT_ONCE];
        struct store_write *w;
        assert_ok(store_write_begin(p.primary.store, &w));
        for (uint32_t k = 0; k < AT_ONCE; k++) {
            buf_clear(&record);
            buf_clear(&edits);
            text_record(&record, i * AT_ONCE + k, 20);
            edits_begin(&edits, 1);
            edits_put(&edits, SLICE("the-flag"), buf_slice(&record));
            changes[k] = BUF_INIT(4096);
            log_change(w, ENV, CHANGE_SET, buf_slice(&edits), 1, &changes[k]);
            slices[k] = buf_slice(&changes[k]);
        }
        assert_ok(store_write_commit(w));
        for (uint32_t k = 0; k < AT_ONCE; k++) /* one message each: what a queue likes least */
            server_publish(p.server, &slices[k], 1);
        for (uint32_t k = 0; k < AT_ONCE; k++)
            buf_done(&changes[k]);
    }
    wait_until(pair_is_equal(&p), 120000);
    assert_int_equal(env_of(p.host.store, ENV).head, CHANGES + 1);
    assert_same_flags(p.primary.store, p.host.store, ENV);
    buf_done(&record);
    buf_done(&edits);
    pair_end(&p);
}

static void an_agent_started_again_goes_on_where_it_was(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, false);
    pair_run(&p);
    change_flags(p.primary.store, p.server, ENV, 0, 10, 100);
    wait_until(pair_is_equal(&p), 5000);

    agent_stop(p.agent);
    site_close(&p.host);
    for (uint32_t i = 0; i < 50; i++)
        change_flags(p.primary.store, p.server, ENV, i, 3, 50);
    site_open(&p.host, false);
    assert_int_equal(env_of(p.host.store, ENV).head, 2);
    p.agent = follow_url(&p.host, p.url);
    wait_until(pair_is_equal(&p), 5000);
    assert_same_flags(p.primary.store, p.host.store, ENV);
    pair_end(&p);
}

static void a_server_started_again_is_found_by_its_agents(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, false);
    pair_run(&p);
    wait_until(pair_is_equal(&p), 5000);

    server_stop(p.server);
    site_close(&p.primary);
    site_open(&p.primary, true);
    change_flags(p.primary.store, NULL, ENV, 0, 10, 100);
    p.server = serve(&p.primary, p.url);
    wait_until(pair_is_equal(&p), 10000);
    change_flags(p.primary.store, p.server, ENV, 5, 10, 100);
    wait_until(pair_is_equal(&p), 5000);
    pair_end(&p);
}

static bool status_has(struct agent *agent, struct buf *json, const char *text)
{
    buf_clear(json);
    assert_ok(agent_status(agent, json));
    return strstr(buf_str(json), text) != NULL;
}

static void an_agent_is_told_of_by_its_status(void **state)
{
    (void)state;
    struct pair p;
    struct buf json = BUF_INIT(1 << 20), why = BUF_INIT(1000);
    pair_begin(&p, true);
    p.agent = follow_url(&p.host, p.url);
    assert_false(agent_is_ready(p.agent, &why));
    assert_non_null(strstr(buf_str(&why), "production"));
    assert_ok(agent_status(p.agent, &json));
    assert_non_null(strstr(buf_str(&json), "\"ready\":false"));
    assert_non_null(strstr(buf_str(&json), "\"last_word_ms\":null"));

    p.server = serve(&p.primary, p.url);
    wait_until(pair_is_equal(&p), 10000);
    assert_true(agent_is_ready(p.agent, &why));
    wait_until(status_has(p.agent, &json, "\"connected\":true"), 3000);
    wait_until(status_has(p.agent, &json, "\"state\":\"current\""), 3000);
    assert_non_null(strstr(buf_str(&json), "\"host\":\"host1\",\"role\":\"agent\""));
    assert_non_null(strstr(buf_str(&json), "\"env\":\"production\",\"epoch\":\"7000000000000001\","
                                           "\"version\":1,\"head\":1,\"lag\":0"));

    /* And whoever reads the store without asking the agent soon finds the same there. */
    bool left = false;
    for (int i = 0; i < 300 && !left; i++) {
        buf_clear(&json);
        left = store_status_get(p.host.store, &json) == HOIST_OK &&
               strstr(buf_str(&json), "\"state\":\"current\"");
        usleep(10000);
    }
    assert_true(left);
    buf_done(&json);
    buf_done(&why);
    pair_end(&p);
}

/* ---------------------------------------------------------------- bad upstreams */

struct liar { /* an upstream that publishes and answers garbage */
    char url[64], stream[NET_URL_MAX];
    nng_socket pub, rep;
    pthread_t thread;
    atomic_bool stop;
    atomic_int asked;
};

static void *lie(void *arg)
{
    struct liar *l = arg;
    uint8_t noise[300];
    for (uint32_t n = 0; !atomic_load(&l->stop); n++) {
        nng_msg *m;
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)(n * 31 + i * i * 7);
        nng_send(l->pub, noise, n % sizeof noise, 0);
        /* A frame that begins well and lies about its counts. */
        nng_send(l->pub, "\x93\x01\x01\xdd\xff\xff\xff\xff", 8, 0);
        if (nng_recvmsg(l->rep, &m, 0) == 0) {
            nng_msg_free(m);
            atomic_fetch_add(&l->asked, 1);
            nng_send(l->rep, noise, n % 50, 0);
        }
    }
    return NULL;
}

static void liar_start(struct liar *l)
{
    *l = (struct liar){0};
    free_tcp_url(l->url);
    assert_ok(net_stream_url(l->url, l->stream));
    assert_int_equal(nng_pub0_open(&l->pub), 0);
    assert_int_equal(nng_rep0_open(&l->rep), 0);
    assert_int_equal(nng_socket_set_ms(l->rep, NNG_OPT_RECVTIMEO, 20), 0);
    assert_ok(net_listen(l->pub, l->stream, NET_STREAM_MAX, NULL, NULL));
    assert_ok(net_listen(l->rep, l->url, NET_COMMAND_MAX, NULL, NULL));
    assert_int_equal(pthread_create(&l->thread, NULL, lie, l), 0);
}

static void liar_stop(struct liar *l)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    assert_true(net_close(l->pub));
    assert_true(net_close(l->rep));
}

static void an_agent_leaves_an_upstream_that_talks_garbage(void **state)
{
    (void)state;
    struct pair p;
    struct liar liar;
    pair_begin(&p, false);
    change_flags(p.primary.store, NULL, ENV, 0, 10, 100);
    liar_start(&liar);
    p.server = serve(&p.primary, p.url);
    const char *urls[] = {liar.url, p.url};
    p.agent = follow_urls(&p.host, urls, 2);
    wait_until(pair_is_equal(&p), 20000);
    assert_true(atomic_load(&liar.asked) > 0);
    liar_stop(&liar);
    pair_end(&p);
}

static void an_agent_leaves_a_silent_upstream_for_the_next(void **state)
{
    (void)state;
    struct pair p;
    char silent[64], stream[NET_URL_MAX];
    nng_socket pub, rep;
    pair_begin(&p, false);
    free_tcp_url(silent);
    assert_ok(net_stream_url(silent, stream));
    assert_int_equal(nng_pub0_open(&pub), 0);
    assert_int_equal(nng_rep0_open(&rep), 0);
    assert_ok(net_listen(pub, stream, NET_STREAM_MAX, NULL, NULL));
    assert_ok(
        net_listen(rep, silent, NET_COMMAND_MAX, NULL, NULL)); /* takes requests, never answers */

    p.server = serve(&p.primary, p.url);
    const char *urls[] = {silent, p.url};
    p.agent = follow_urls(&p.host, urls, 2);
    wait_until(pair_is_equal(&p), 15000);
    assert_true(net_close(pub));
    assert_true(net_close(rep));
    pair_end(&p);
}

static void an_agent_stops_within_a_second_whatever_upstream_does(void **state)
{
    (void)state;
    struct site host = {0};
    site_open(&host, false);
    const char *urls[] = {"tcp://127.0.0.1:9", "tcp://10.255.255.1:9", "ipc:///nonexistent/sock"};
    struct agent *agent = follow_urls(&host, urls, 3);
    usleep(300000);
    int64_t begin = clock_mono_ms();
    agent_stop(agent);
    assert_true(clock_mono_ms() - begin < 1000);
    assert_true(env_of(host.store, ENV).head == 0);
    site_end(&host);
}

/* ---------------------------------------------------------------- evaluations */

/* With sums on both sides; those of the primary may be NULL. */
static void pair_count(struct pair *p, struct sums *here, struct sums *there)
{
    const char *url = p->url, *env = ENV;
    struct server_config server = {
        .listen = &url, .listen_count = 1, .id = "primary", .software = "test", .sums = there};
    struct agent_config agent = {.id = "host1",
                                 .software = "test",
                                 .upstreams = &url,
                                 .upstream_count = 1,
                                 .envs = &env,
                                 .env_count = 1,
                                 .sums = here};
    assert_ok(server_start(p->primary.store, &server, &p->server));
    assert_ok(agent_start(p->host.store, &agent, &p->agent));
}

static uint64_t taken(struct sums *s)
{
    struct arena arena = {0};
    struct frame_usage f = {0};
    uint64_t sequence, sum = 0;
    struct slice frame = sums_take(s, FRAME_USAGE_MAX, &sequence);
    if (frame.len > 0)
        assert_ok(frame_get_usage(frame, &arena, &f));
    for (uint32_t i = 0; i < f.count; i++)
        sum += f.counts[i].n;
    sums_passed_on(s, sequence);
    arena_done(&arena);
    return sum;
}

static void what_is_counted_goes_up_at_intervals_and_when_the_agent_ends(void **state)
{
    (void)state;
    struct pair p;
    struct sums *here, *there;
    assert_ok(sums_new(&here));
    assert_ok(sums_new(&there));
    pair_begin(&p, true);
    pair_count(&p, here, there);
    sums_add(here, slice_str(ENV), SLICE("k"), SLICE("on"), 5);
    wait_until(!sums_waits(here), 10000);
    assert_int_equal(taken(there), 5);
    sums_add(here, slice_str(ENV), SLICE("k"), SLICE("on"), 3);
    agent_stop(p.agent);
    p.agent = NULL;
    assert_false(sums_waits(here));
    assert_int_equal(taken(there), 3);
    pair_end(&p);
    sums_free(here);
    sums_free(there);
}

static void an_upstream_that_counts_nothing_is_left_in_peace(void **state)
{
    (void)state;
    struct pair p;
    struct sums *here;
    struct metric *asked =
        metric_series(METRIC_COUNTER, "hoist_requests_total", "", "kind=\"usage\"", NULL);
    double before = metric_value(asked);
    assert_ok(sums_new(&here));
    pair_begin(&p, true);
    pair_count(&p, here, NULL);
    sums_add(here, slice_str(ENV), SLICE("k"), SLICE("on"), 5);
    wait_until(metric_value(asked) == before + 1, 10000);
    change_flags(p.primary.store, p.server, ENV, 0, 5, 100); /* all else goes on */
    wait_until(pair_is_equal(&p), 5000);
    nng_msleep(2500);
    assert_true(metric_value(asked) == before + 1);
    pair_end(&p);
    assert_int_equal(taken(here), 5);
    sums_free(here);
}

static void an_agent_refuses_a_wrong_address_or_label(void **state)
{
    (void)state;
    static const char *const wrong[] = {"tcp://host",     "tcp://host:0",     "tcp://host:65535",
                                        "ipc://relative", "http://host:7400", "host:7400",
                                        "tcp://:7400",    "tcp://::1:7400",   ""};
    struct site host = {0};
    struct agent *agent = NULL;
    const char *env = ENV, *label = "no-equals-sign", *url = "tcp://127.0.0.1:9";
    site_open(&host, false);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct agent_config config = {.id = "h",
                                      .software = "t",
                                      .upstreams = &wrong[i],
                                      .upstream_count = 1,
                                      .envs = &env,
                                      .env_count = 1};
        assert_int_equal(agent_start(host.store, &config, &agent), HOIST_EINVAL);
    }
    struct agent_config config = {.id = "h",
                                  .software = "t",
                                  .upstreams = &url,
                                  .upstream_count = 1,
                                  .envs = &env,
                                  .env_count = 1,
                                  .labels = &label,
                                  .label_count = 1};
    assert_int_equal(agent_start(host.store, &config, &agent), HOIST_EINVAL);
    assert_null(agent);
    site_end(&host);
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
        cmocka_unit_test(an_agent_fills_its_store_and_follows_over_tcp),
        cmocka_unit_test(an_agent_fills_its_store_and_follows_over_ipc),
        cmocka_unit_test(a_change_too_big_to_publish_is_fetched_whole_and_in_parts),
        cmocka_unit_test(ten_thousand_changes_at_once_end_equal),
        cmocka_unit_test(an_agent_started_again_goes_on_where_it_was),
        cmocka_unit_test(a_server_started_again_is_found_by_its_agents),
        cmocka_unit_test(an_agent_is_told_of_by_its_status),
        cmocka_unit_test(an_agent_leaves_an_upstream_that_talks_garbage),
        cmocka_unit_test(an_agent_leaves_a_silent_upstream_for_the_next),
        cmocka_unit_test(an_agent_stops_within_a_second_whatever_upstream_does),
        cmocka_unit_test(what_is_counted_goes_up_at_intervals_and_when_the_agent_ends),
        cmocka_unit_test(an_upstream_that_counts_nothing_is_left_in_peace),
        cmocka_unit_test(an_agent_refuses_a_wrong_address_or_label),
    };
    return cmocka_run_group_tests(tests, NULL, end_nng);
}
