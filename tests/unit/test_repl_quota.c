/* What one peer may take, and all together; and that what was taken is given back. */
#include "../repl_site.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "repl/answer.h"
#include "repl/late.h"
#include "repl/net.h"
#include "repl/quota_int.h"

static struct quota *make(struct quota_limits limits)
{
    struct quota *q;
    assert_ok(quota_new(&limits, &q));
    return q;
}

static struct quota_end end_of(uint8_t host, uint16_t port)
{
    struct quota_end end;
    quota_end_v4(&end, (uint8_t[]){10, 0, 0, host}, port);
    end.own_port = 7400;
    return end;
}

static void add_from(struct quota *q, uint32_t id, const char *peer, struct quota_end end)
{
    assert_true(quota_add(q, id, peer, QUOTA_CONNECTION, 0));
    quota_set_end(q, id, &end);
}

static bool is_cut(struct quota *q, struct quota_end end)
{
    return quota_is_cut(q, &end);
}

/* ---------------------------------------------------------------- connections */

static void one_peer_leaves_connections_to_the_others(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.connections = 3, .peer_connections = 2});
    assert_true(quota_add(q, 1, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 2, "a", QUOTA_CONNECTION, 0));
    assert_false(quota_add(q, 3, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 4, "a", QUOTA_SUBSCRIPTION, 0)); /* counted on its own */
    assert_true(quota_add(q, 5, "b", QUOTA_CONNECTION, 0));
    assert_false(quota_add(q, 6, "c", QUOTA_CONNECTION, 0)); /* all three are taken */
    quota_remove(q, 3);                                      /* the refused one: counted nowhere */
    assert_false(quota_add(q, 7, "a", QUOTA_CONNECTION, 0));
    quota_remove(q, 1);
    assert_true(quota_add(q, 8, "a", QUOTA_CONNECTION, 0));
    quota_free(q);
}

static void subscriptions_have_limits_of_their_own(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.subscriptions = 2, .peer_subscriptions = 1});
    assert_true(quota_add(q, 1, "a", QUOTA_SUBSCRIPTION, 0));
    assert_false(quota_add(q, 2, "a", QUOTA_SUBSCRIPTION, 0));
    assert_true(quota_add(q, 3, "b", QUOTA_SUBSCRIPTION, 0));
    assert_false(quota_add(q, 4, "c", QUOTA_SUBSCRIPTION, 0));
    quota_free(q);
}

static void few_files_make_few_connections_and_leave_some_for_each_use(void **state)
{
    (void)state;
    struct quota_limits l = {0};
    assert_false(quota_fit(&l, 65536));
    assert_int_equal(l.connections, 20000);
    assert_int_equal(l.peer_connections, 10000);
    l = (struct quota_limits){0};
    assert_true(quota_fit(&l, 1024));
    assert_int_equal(l.connections, 300);
    assert_int_equal(l.peer_connections, 225);
    assert_true(l.connections + l.subscriptions + quota_share(1024, 2) <= 1024 * 3 / 4);
    l = (struct quota_limits){0};
    assert_true(quota_fit(&l, 3));
    assert_true(l.connections > 0 && l.peer_connections > 0);
}

/* ---------------------------------------------------------------- requests */

static void who_asks_too_often_is_told_so_and_others_are_not(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.peer_requests = 10});
    assert_true(quota_add(q, 1, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 2, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 3, "b", QUOTA_CONNECTION, 0));
    for (int i = 0; i < 20; i++) /* two seconds' worth at once, however many connections */
        assert_true(quota_ask(q, 1 + i % 2, 1000));
    assert_false(quota_ask(q, 1, 1000));
    assert_false(quota_ask(q, 2, 1000));
    assert_true(quota_ask(q, 3, 1000));
    assert_true(quota_ask(q, 1, 1100)); /* a tenth of a second: one more */
    assert_false(quota_ask(q, 1, 1100));
    quota_free(q);
}

static void to_come_anew_does_not_make_a_peer_richer(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.peer_requests = 1});
    assert_true(quota_add(q, 1, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_ask(q, 1, 0));
    assert_true(quota_ask(q, 1, 0));
    quota_remove(q, 1);
    assert_int_equal(quota_sweep(q, 0), 0);
    assert_true(quota_add(q, 2, "a", QUOTA_CONNECTION, 0));
    assert_false(quota_ask(q, 2, 0));
    quota_remove(q, 2);
    assert_int_equal(quota_sweep(q, 2 * QUOTA_QUIET_MS), 0); /* forgotten by now */
    assert_true(quota_add(q, 3, "a", QUOTA_CONNECTION, 2 * QUOTA_QUIET_MS));
    assert_true(quota_ask(q, 3, 2 * QUOTA_QUIET_MS));
    quota_free(q);
}

static void commands_that_wait_are_bounded_in_number_and_bytes(void **state)
{
    (void)state;
    struct quota_peer *a = NULL, *b = NULL;
    struct quota *q = make((struct quota_limits){
        .request_bytes = 100, .peer_request_bytes = 60, .commands = 3, .peer_commands = 2});
    assert_true(quota_add(q, 1, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 2, "b", QUOTA_CONNECTION, 0));
    assert_null(quota_hold(q, 1, 60, 0, &a));
    assert_non_null(strstr(quota_hold(q, 1, 1, 0, &a), "--peer-request-bytes"));
    assert_non_null(strstr(quota_hold(q, 2, 41, 0, &b), "--request-bytes"));
    assert_null(quota_hold(q, 2, 40, 0, &b));
    quota_remove(q, 2); /* gone before its answer */
    quota_release(q, b, 2, 40, 0);
    quota_release(q, a, 1, 60, 0);
    assert_null(quota_hold(q, 1, 1, 0, &a));
    assert_null(quota_hold(q, 1, 1, 0, &a));
    assert_non_null(quota_hold(q, 1, 1, 0, &a)); /* two are the most of one */
    assert_true(quota_add(q, 3, "b", QUOTA_CONNECTION, 0));
    assert_null(quota_hold(q, 3, 1, 0, &b));
    assert_non_null(quota_hold(q, 3, 1, 0, &b)); /* three of all */
    quota_release(q, a, 1, 1, 0);
    quota_release(q, a, 1, 1, 0);
    quota_release(q, b, 3, 1, 0);
    quota_free(q);
}

static void a_connection_with_too_much_under_way_ends(void **state)
{
    (void)state;
    struct quota_peer *held = NULL, *p[QUOTA_CONNECTION_REQUESTS_MAX];
    struct quota *q = make((struct quota_limits){0});
    add_from(q, 1, "10.0.0.1", end_of(1, 1));
    add_from(q, 2, "10.0.0.1", end_of(1, 2));
    assert_null(quota_hold(q, 1, 1, 0, &held)); /* a command is one of them */
    for (int i = 1; i < QUOTA_CONNECTION_REQUESTS_MAX; i++)
        assert_non_null(p[i] = quota_begin(q, 1, 0));
    quota_end(q, p[1], 1);
    assert_non_null(p[1] = quota_begin(q, 1, 0));
    assert_false(quota_marked(q, 0));
    assert_null(quota_begin(q, 1, 0));
    assert_true(quota_marked(q, 0) && !quota_marked(q, 1000)); /* said once */
    assert_true(is_cut(q, end_of(1, 1)) && !is_cut(q, end_of(1, 2)));
    assert_null(quota_peer_of(q, 1)); /* nobody listens to it any more */
    assert_ptr_equal(quota_peer_of(q, 2), held);
    quota_remove(q, 1);
    assert_null(quota_peer_of(q, 1));
    quota_release(q, held, 1, 1, 0);
    for (int i = 1; i < QUOTA_CONNECTION_REQUESTS_MAX; i++)
        quota_end(q, p[i], 1);
    quota_remove(q, 2);
    assert_int_equal(quota_sweep(q, 2 * QUOTA_QUIET_MS), 0); /* it owes nothing: forgotten */
    quota_free(q);
}

static void one_peer_leaves_places_to_the_requests_of_others(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){0});
    struct quota_peer *a = NULL;
    const uint32_t b = 100000;
    assert_true(quota_add(q, b, "b", QUOTA_CONNECTION, 0));
    for (uint32_t i = 0; i < QUOTA_PEER_REQUESTS_MAX; i++) {
        assert_true(quota_add(q, 1 + i, "a", QUOTA_CONNECTION, 0));
        assert_non_null(a = quota_begin(q, 1 + i, 0));
    }
    assert_true(quota_add(q, b + 1, "a", QUOTA_CONNECTION, 0));
    assert_null(quota_begin(q, b + 1, 0));
    assert_ptr_equal(quota_peer_of(q, b + 1), a); /* that is no reason to end it */
    assert_non_null(quota_begin(q, b, 0));
    quota_end(q, a, 1);
    assert_non_null(quota_begin(q, b + 1, 0));
    quota_free(q);
}

static void answers_count_until_they_are_taken(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.answer_bytes = 100, .peer_answer_bytes = 60});
    assert_true(quota_add(q, 1, "a", QUOTA_CONNECTION, 0));
    assert_true(quota_add(q, 2, "b", QUOTA_CONNECTION, 0));
    assert_null(quota_no_answer(q, 1, 0));
    quota_give(q, 1, 59);
    quota_sends(q, 1, 59);
    assert_null(quota_no_answer(q, 1, 0));
    quota_give(q, 1, 10); /* waits behind it */
    assert_non_null(quota_no_answer(q, 1, 0));
    assert_null(quota_no_answer(q, 2, 0));
    quota_sends(q, 1, 10); /* the first was taken */
    assert_null(quota_no_answer(q, 1, 0));
    quota_give(q, 1, 50);
    assert_non_null(quota_no_answer(q, 1, 0));
    quota_take_back(q, 1, 50);
    assert_null(quota_no_answer(q, 1, 0));
    quota_give(q, 1, 50);
    quota_give(q, 2, 40);
    assert_non_null(strstr(quota_no_answer(q, 2, 0), "answers")); /* of all */
    quota_remove(q, 1);
    assert_null(quota_no_answer(q, 2, 0));
    quota_free(q);
}

static void a_connection_that_brings_no_whole_request_ends(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){0});
    struct quota_peer *p = NULL;
    int64_t late = QUOTA_IDLE_MS;
    for (uint16_t id = 1; id <= 3; id++)
        add_from(q, id, "10.0.0.1", end_of(1, id));
    assert_true(quota_add(q, 4, "10.0.0.1", QUOTA_SUBSCRIPTION, 0)); /* it has nothing to say */
    assert_int_equal(quota_sweep(q, late - 1), 0);
    assert_true(quota_ask(q, 2, late - 1));
    assert_null(quota_hold(q, 3, 1, late - 1, &p)); /* it waits for us */
    late += 1000;
    assert_int_equal(quota_sweep(q, late), 1);
    assert_true(is_cut(q, end_of(1, 1)));
    assert_false(is_cut(q, end_of(1, 2)) || is_cut(q, end_of(1, 3)));
    quota_release(q, p, 3, 1, late);
    quota_free(q);
}

/* ---------------------------------------------------------------- what is not whole */

static void bring(struct quota *q, struct quota_end end, uint64_t bytes)
{
    quota_received(q, &end, bytes);
}

static void the_longest_message_of_a_peer_that_has_sent_too_much_is_given_up(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.request_bytes = 100, .peer_request_bytes = 60});
    add_from(q, 1, "10.0.0.1", end_of(1, 1));
    add_from(q, 2, "10.0.0.1", end_of(1, 2));
    add_from(q, 3, "10.0.0.2", end_of(2, 1));
    bring(q, end_of(1, 1), 25);
    bring(q, end_of(1, 2), 35);
    bring(q, end_of(9, 9), 1000); /* nobody's here */
    assert_int_equal(quota_beyond(q, 0), 0);
    bring(q, end_of(1, 1), 26);
    assert_int_equal(quota_beyond(q, 0), 1);
    assert_true(is_cut(q, end_of(1, 2)));
    quota_remove(q, 2);
    bring(q, end_of(2, 1), 60);
    assert_int_equal(quota_beyond(q, 0), 0);
    bring(q, end_of(1, 1), 50); /* 110 of all */
    assert_int_equal(quota_beyond(q, 0), 1);
    assert_true(is_cut(q, end_of(2, 1)) && !is_cut(q, end_of(1, 1)));
    quota_free(q);
}

static void whole_messages_are_not_held_against_their_sender(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.peer_request_bytes = 60});
    add_from(q, 1, "10.0.0.1", end_of(1, 1));
    for (uint64_t n = 1; n <= 100; n++) {
        assert_true(quota_ask(q, 1, 0));
        bring(q, end_of(1, 1), n * 50);
        bring(q, end_of(1, 1), n * 50 + 10); /* the next one has begun */
        assert_int_equal(quota_beyond(q, 0), 0);
    }
    bring(q, end_of(1, 1), 5000 + 61);
    assert_int_equal(quota_beyond(q, 0), 1);
    quota_free(q);
}

static void the_same_port_of_a_peer_at_two_of_ours_is_two_connections(void **state)
{
    (void)state;
    struct quota *q = make((struct quota_limits){.peer_request_bytes = 60});
    struct quota_end other = end_of(1, 1);
    other.own_port = 7401;
    add_from(q, 1, "10.0.0.1", end_of(1, 1));
    add_from(q, 2, "10.0.0.1", other);
    bring(q, end_of(1, 1), 10);
    bring(q, other, 61);
    assert_int_equal(quota_beyond(q, 0), 1);
    assert_true(is_cut(q, other) && !is_cut(q, end_of(1, 1)));
    quota_free(q);
}

/* ---------------------------------------------------------------- what has only begun */

enum { LOOKS_APART_MS = 5000 };

struct door { /* somebody listens, and somebody came */
    struct quota *q;
    int listener, far, near;
    int64_t now_ms;
};

static int listen_here(struct sockaddr_storage *ret)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof *ret;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s >= 0);
    assert_int_equal(bind(s, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(s, 8), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)ret, &len), 0);
    return s;
}

/* From an address that no other program here connects from: its port is free again once we let it go. */
static int connect_from(uint16_t port, int listener, int *ret_near)
{
    struct sockaddr_in to,
        from = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(0x7f00004d)};
    socklen_t len = sizeof to;
    const int on = 1;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(s, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
    assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), 0);
    *ret_near = accept(listener, NULL, NULL);
    assert_true(*ret_near >= 0);
    return s;
}

static int connect_to(int listener, int *ret_near)
{
    return connect_from(0, listener, ret_near);
}

static void door_open(struct door *d, struct quota_limits limits)
{
    struct sockaddr_storage at;
    *d = (struct door){.q = make(limits), .listener = listen_here(&at)};
    assert_ok(quota_listen(d->q, &at, QUOTA_CONNECTION));
    d->far = connect_to(d->listener, &d->near);
}

static void door_close(struct door *d)
{
    close(d->far);
    close(d->near);
    close(d->listener);
    quota_free(d->q);
}

/* Look, so much later than the last time; how many are ended. */
static uint32_t look(struct door *d, int64_t later_ms)
{
    d->now_ms += later_ms;
    assert_true(quota_look(d->q, d->now_ms));
    uint32_t count = quota_begun_judge(d->q, d->now_ms);
    quota_cut(d->q);
    return count;
}

static bool has_ended(int s)
{
    char byte;
    return recv(s, &byte, 1, MSG_DONTWAIT) == 0;
}

static void who_never_says_what_it_is_has_ten_seconds(void **state)
{
    struct door d;
    struct sockaddr_storage elsewhere;
    int other_near;
    (void)state;
    door_open(&d, (struct quota_limits){0});
    int other = listen_here(&elsewhere), other_far = connect_to(other, &other_near);
    assert_int_equal(look(&d, 0), 0);
    assert_int_equal(look(&d, QUOTA_BEGUN_MS - 1), 0);
    assert_false(has_ended(d.far));
    assert_int_equal(look(&d, LOOKS_APART_MS), 1);
    assert_true(has_ended(d.far));
    assert_int_equal(look(&d, LOOKS_APART_MS), 0);               /* it counts once */
    assert_false(has_ended(other_far) || has_ended(other_near)); /* not come to us */
    close(other_far);
    close(other_near);
    close(other);
    door_close(&d);
}

static void a_connection_is_let_alone_and_so_is_the_next_from_its_port(void **state)
{
    struct door d;
    struct quota_end end;
    struct sockaddr_storage at;
    struct sockaddr_in from;
    socklen_t len = sizeof at;
    (void)state;
    door_open(&d, (struct quota_limits){0});
    assert_int_equal(look(&d, 0), 0);
    assert_int_equal(getpeername(d.near, (struct sockaddr *)&at, &len), 0);
    quota_read_address(&at, &end);
    len = sizeof at;
    assert_int_equal(getsockname(d.near, (struct sockaddr *)&at, &len), 0);
    end.own_port = ((struct sockaddr_in *)&at)->sin_port;
    add_from(d.q, 1, "127.0.0.77", end); /* now it is one */
    assert_int_equal(look(&d, QUOTA_BEGUN_MS), 0);
    len = sizeof from;
    assert_int_equal(getsockname(d.far, (struct sockaddr *)&from, &len), 0);
    quota_remove(d.q, 1);
    assert_int_equal(look(&d, LOOKS_APART_MS), 0);
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(d.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(d.far);
    close(d.near);
    d.far = connect_from(from.sin_port, d.listener, &d.near);
    assert_int_equal(look(&d, LOOKS_APART_MS), 0);
    assert_int_equal(look(&d, LOOKS_APART_MS), 0); /* ten seconds of the one before */
    assert_false(has_ended(d.far));
    door_close(&d);
}

static void who_begins_more_than_it_may_have_loses_the_oldest(void **state)
{
    struct door d;
    int far[2], near[2];
    (void)state;
    door_open(&d, (struct quota_limits){.peer_connections = 2});
    assert_int_equal(look(&d, 0), 0);
    for (int i = 0; i < 2; i++)
        far[i] = connect_to(d.listener, &near[i]);
    assert_int_equal(look(&d, LOOKS_APART_MS), 1);
    assert_true(has_ended(d.far));
    assert_false(has_ended(far[0]) || has_ended(far[1]));
    close(d.near);
    assert_int_equal(look(&d, LOOKS_APART_MS - 1), 0);
    assert_true(quota_add(d.q, 1, "127.0.0.77", QUOTA_CONNECTION, 0));
    assert_int_equal(look(&d, LOOKS_APART_MS - 1), 1); /* connections count, too */
    for (int i = 0; i < 2; i++) {
        close(far[i]);
        close(near[i]);
    }
    d.near = -1;
    door_close(&d);
}

static void it_needs_no_descriptor_to_find_them(void **state)
{
    struct door d;
    struct rlimit before, none;
    (void)state;
    door_open(&d, (struct quota_limits){0});
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(dup(0), -1);
    assert_int_equal(look(&d, 0), 0);
    assert_int_equal(look(&d, QUOTA_BEGUN_MS), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(has_ended(d.far));
    door_close(&d);
}

/* ---------------------------------------------------------------- at a server */

struct place {
    struct site site;
    char url[128];
    struct server *server;
};

static void place_begin(struct place *p, struct quota_limits limits)
{
    *p = (struct place){0};
    site_open(&p->site, true);
    make_env(p->site.store, "production", 7);
    free_tcp_url(p->url);
    const char *url = p->url;
    struct server_config config = {
        .listen = &url, .listen_count = 1, .id = "primary", .software = "t", .quota = limits};
    assert_ok(server_start(p->site.store, &config, &p->server));
}

static void place_end(struct place *p)
{
    server_stop(p->server);
    site_end(&p->site);
}

static nng_socket asker(const struct place *p)
{
    nng_socket req;
    assert_int_equal(nng_req0_open(&req), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_RECVTIMEO, 2000), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_SENDTIMEO, 500), 0);
    assert_ok(net_dial(req, p->url, NET_COMMAND_MAX, NULL, NULL));
    return req;
}

static int ask(nng_socket req, struct slice bytes, nng_msg **ret)
{
    nng_msg *m = net_msg(bytes);
    int rc = nng_sendmsg(req, m, 0);
    if (rc != 0) {
        nng_msg_free(m);
        return rc;
    }
    return nng_recvmsg(req, ret, 0);
}

static void put_fetch(struct buf *out)
{
    *out = BUF_INIT(4096);
    frame_put_fetch(out, &(struct frame_fetch){.env = SLICE("production"), .epoch = 7});
    assert_ok(buf_err(out));
}

static uint32_t fetch_status(nng_msg *m, uint32_t *ret_ms)
{
    struct frame_fetch_reply reply;
    struct arena arena = {0};
    assert_ok(frame_get_fetch_reply(net_msg_bytes(m), &arena, &reply));
    *ret_ms = reply.busy_ms;
    nng_msg_free(m);
    arena_done(&arena);
    return reply.status;
}

static void a_greedy_asker_hears_busy_and_hears_it_late(void **state)
{
    (void)state;
    struct place p;
    struct buf fetch;
    nng_msg *m;
    uint32_t again = 0;
    place_begin(&p, (struct quota_limits){.peer_requests = 1});
    nng_socket req = asker(&p);
    put_fetch(&fetch);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(req, buf_slice(&fetch), &m), 0);
        assert_int_not_equal(fetch_status(m, &again), REPLY_BUSY);
    }
    int64_t began = clock_mono_ms();
    assert_int_equal(ask(req, buf_slice(&fetch), &m), 0);
    assert_int_equal(fetch_status(m, &again), REPLY_BUSY);
    assert_int_equal(again, QUOTA_WAIT_MS);
    assert_true(clock_mono_ms() - began >= QUOTA_WAIT_MS);
    buf_done(&fetch);
    assert_true(net_close(req));
    place_end(&p);
}

static void a_server_ends_while_it_holds_answers_back(void **state)
{
    (void)state;
    struct place p;
    struct buf fetch;
    place_begin(&p, (struct quota_limits){.peer_requests = 1});
    nng_socket req[4];
    put_fetch(&fetch);
    for (int i = 0; i < 4; i++) { /* the last two are beyond the two that may come at once */
        req[i] = asker(&p);
        assert_int_equal(nng_sendmsg(req[i], net_msg(buf_slice(&fetch)), 0), 0);
    }
    server_stop(p.server);
    p.server = NULL;
    for (int i = 0; i < 4; i++)
        assert_true(net_close(req[i]));
    buf_done(&fetch);
    place_end(&p);
}

static void a_connection_too_many_is_closed_and_a_place_that_is_left_is_taken(void **state)
{
    (void)state;
    struct place p;
    struct buf fetch;
    nng_msg *m;
    uint32_t again;
    place_begin(&p, (struct quota_limits){.peer_connections = 1});
    nng_socket first = asker(&p), second;
    put_fetch(&fetch);
    assert_int_equal(ask(first, buf_slice(&fetch), &m), 0);
    (void)fetch_status(m, &again);
    second = asker(&p);
    assert_int_not_equal(ask(second, buf_slice(&fetch), &m), 0);
    assert_true(net_close(first));
    assert_true(net_close(second));
    second = asker(&p);
    assert_int_equal(nng_socket_set_ms(second, NNG_OPT_SENDTIMEO, 5000), 0);
    assert_int_equal(ask(second, buf_slice(&fetch), &m), 0);
    (void)fetch_status(m, &again);
    assert_true(net_close(second));
    buf_done(&fetch);
    place_end(&p);
}

/* ---------------------------------------------------------------- held back */

struct given {
    _Atomic int items, ticks;
};

static void give(void *item)
{
    ((struct given *)item)->items++;
}

static void tick(void *arg, int64_t now_ms)
{
    (void)now_ms;
    ((struct given *)arg)->ticks++;
}

static void what_is_held_back_is_given_once_and_in_time(void **state)
{
    (void)state;
    struct given g = {0};
    struct late *l;
    int64_t now = clock_mono_ms();
    assert_ok(late_start(50, give, tick, &g, &l));
    for (int i = 0; i < LATE_PLACES; i++)
        assert_true(late_put(l, &g, now));
    assert_false(late_put(l, &g, now));
    wait_until(g.items == LATE_PLACES, 5000);
    assert_true(clock_mono_ms() - now >= 50);
    assert_true(late_put(l, &g, now + 1000000));
    int ticks = g.ticks;
    wait_until(g.ticks > ticks + 2, 5000);
    late_stop(l);
    assert_int_equal(g.items, LATE_PLACES);
    late_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_peer_leaves_connections_to_the_others),
        cmocka_unit_test(subscriptions_have_limits_of_their_own),
        cmocka_unit_test(few_files_make_few_connections_and_leave_some_for_each_use),
        cmocka_unit_test(who_asks_too_often_is_told_so_and_others_are_not),
        cmocka_unit_test(to_come_anew_does_not_make_a_peer_richer),
        cmocka_unit_test(commands_that_wait_are_bounded_in_number_and_bytes),
        cmocka_unit_test(a_connection_with_too_much_under_way_ends),
        cmocka_unit_test(one_peer_leaves_places_to_the_requests_of_others),
        cmocka_unit_test(answers_count_until_they_are_taken),
        cmocka_unit_test(a_connection_that_brings_no_whole_request_ends),
        cmocka_unit_test(the_longest_message_of_a_peer_that_has_sent_too_much_is_given_up),
        cmocka_unit_test(whole_messages_are_not_held_against_their_sender),
        cmocka_unit_test(the_same_port_of_a_peer_at_two_of_ours_is_two_connections),
        cmocka_unit_test(who_never_says_what_it_is_has_ten_seconds),
        cmocka_unit_test(a_connection_is_let_alone_and_so_is_the_next_from_its_port),
        cmocka_unit_test(who_begins_more_than_it_may_have_loses_the_oldest),
        cmocka_unit_test(it_needs_no_descriptor_to_find_them),
        cmocka_unit_test(a_greedy_asker_hears_busy_and_hears_it_late),
        cmocka_unit_test(a_server_ends_while_it_holds_answers_back),
        cmocka_unit_test(a_connection_too_many_is_closed_and_a_place_that_is_left_is_taken),
        cmocka_unit_test(what_is_held_back_is_given_once_and_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
