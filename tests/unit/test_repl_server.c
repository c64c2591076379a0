/* A server spoken to by hand: what it answers, refuses, and puts off. */
#include "../repl_site.h"

#include <sys/un.h>

#include "repl/heartbeat.h"
#include "repl/net.h"

static const char *const ENV = "production";
static const uint64_t EPOCH = 0x0070000000000001; /* of the year 2029 */

struct place { /* a server and one who asks it */
    struct site site;
    char url[128];
    struct server *server;
    nng_socket req;
};

static nng_socket open_asker(const char *url)
{
    nng_socket req;
    assert_int_equal(nng_req0_open(&req), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_RECVTIMEO, 5000), 0);
    assert_int_equal(nng_socket_set_ms(req, NNG_OPT_SENDTIMEO, 5000), 0);
    assert_ok(net_dial(req, url, NET_COMMAND_MAX, NULL, NULL));
    return req;
}

static void place_prepare(struct place *p, bool ipc)
{
    *p = (struct place){0};
    site_open(&p->site, true);
    make_env(p->site.store, ENV, EPOCH);
    if (ipc)
        free_ipc_url(&p->site, p->url);
    else
        free_tcp_url(p->url);
}

static void place_begin(struct place *p)
{
    place_prepare(p, false);
    p->server = serve(&p->site, p->url);
    p->req = open_asker(p->url);
}

static void place_end(struct place *p)
{
    if (p->req.id)
        assert_true(net_close(p->req));
    server_stop(p->server);
    site_end(&p->site);
}

/* Ask; the answer stays until the next question. */
static struct slice ask_by(nng_socket req, struct buf *question)
{
    static nng_msg *answer;
    assert_ok(buf_err(question));
    nng_msg *m = net_msg(buf_slice(question));
    assert_non_null(m);
    assert_int_equal(nng_sendmsg(req, m, 0), 0);
    nng_msg_free(answer);
    answer = NULL;
    assert_int_equal(nng_recvmsg(req, &answer, 0), 0);
    return net_msg_bytes(answer);
}

static struct frame_fetch_reply fetch_reply(struct place *p, struct arena *arena,
                                            const struct frame_fetch *f)
{
    struct buf question = BUF_INIT(4096);
    struct frame_fetch_reply reply;
    frame_put_fetch(&question, f);
    assert_ok(frame_get_fetch_reply(ask_by(p->req, &question), arena, &reply));
    buf_done(&question);
    return reply;
}

static struct frame_snapshot_reply snapshot_reply(nng_socket req, struct arena *arena,
                                                  const struct frame_snapshot *f)
{
    struct buf question = BUF_INIT(4096);
    struct frame_snapshot_reply reply;
    frame_put_snapshot(&question, f);
    assert_ok(frame_get_snapshot_reply(ask_by(req, &question), arena, &reply));
    buf_done(&question);
    return reply;
}

/* ---------------------------------------------------------------- questions */

static void hello_is_answered_with_the_heads(void **state)
{
    (void)state;
    struct place p;
    struct arena arena = {0};
    struct buf question = BUF_INIT(4096);
    struct frame_hello hello = {.id = SLICE("h"), .software = SLICE("t"), .role = SLICE("agent")};
    struct frame_hello reply;
    place_begin(&p);
    change_flags(p.site.store, NULL, ENV, 0, 1, 10);
    frame_put_hello(&question, FRAME_HELLO, &hello);
    assert_ok(frame_get_hello(ask_by(p.req, &question), FRAME_HELLO_REPLY, &arena, &reply));
    assert_true(slice_eq(reply.id, SLICE("primary")));
    assert_int_equal(reply.env_count, 1);
    assert_true(slice_eq(reply.envs[0].name, slice_str(ENV)));
    assert_int_equal(reply.envs[0].epoch, EPOCH);
    assert_int_equal(reply.envs[0].version, 2);
    assert_true(reply.incarnation != 0);
    buf_done(&question);
    arena_done(&arena);
    place_end(&p);
}

/* A relay that knows of one environment, and is behind in it. */
static enum hoist_err stand_behind(void *arg, struct arena *arena, struct standing *ret)
{
    struct env_head *head = arena_alloc(arena, 1, sizeof *head);
    assert_non_null(head);
    *head = (struct env_head){.name = slice_str(ENV), .version = 7, .state = ENV_BEHIND};
    *ret = (struct standing){.distance = 3, .heads = head, .head_count = 1};
    (*(int *)arg)++;
    return HOIST_OK;
}

static void a_relays_hello_says_what_it_is_and_how_it_stands_itself(void **state)
{
    (void)state;
    struct site site = {0};
    struct arena arena = {0};
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    struct frame_hello reply;
    int asked = 0;
    site_open(&site, false);
    struct answerer relay = {.store = site.store,
                             .id = SLICE("r"),
                             .software = SLICE("t"),
                             .standing = stand_behind,
                             .standing_arg = &asked};
    answer_hello(&relay, &out);
    assert_ok(frame_get_hello(buf_slice(&out), FRAME_HELLO_REPLY, &arena, &reply));
    assert_true(slice_eq(reply.role, SLICE("relay")));
    assert_int_equal(asked, 1);
    assert_int_equal(reply.env_count, 1);
    assert_int_equal(reply.envs[0].version, 7);
    assert_int_equal(reply.envs[0].state, ENV_BEHIND);
    relay.standing = NULL;
    buf_clear(&out);
    answer_hello(&relay, &out);
    assert_ok(frame_get_hello(buf_slice(&out), FRAME_HELLO_REPLY, &arena, &reply));
    assert_true(slice_eq(reply.role, SLICE("primary")));
    assert_int_equal(reply.env_count, 0);
    buf_done(&out);
    arena_done(&arena);
    site_end(&site);
}

static void what_a_relay_no_longer_follows_is_not_to_be_had_from_it(void **state)
{
    (void)state;
    struct site site = {0};
    struct arena arena = {0};
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    struct frame_fetch_reply fetched;
    struct frame_snapshot_reply page;
    site_open(&site, true);
    make_env(site.store, ENV, EPOCH);
    make_env(site.store, "staging", EPOCH);
    const char *follows = "staging";
    struct answerer relay = {.store = site.store, .envs = &follows, .env_count = 1};
    assert_ok(downloads_new(site.store, &relay.downloads));
    for (int given = 0; given < 2; given++) {
        struct slice env = given ? SLICE("staging") : slice_str(ENV);
        buf_clear(&out);
        answer_fetch(&relay, &(struct frame_fetch){.env = env, .epoch = EPOCH, .after = 1}, &out);
        assert_ok(frame_get_fetch_reply(buf_slice(&out), &arena, &fetched));
        assert_int_equal(fetched.status, given ? REPLY_OK : REPLY_NO_ENV);
        buf_clear(&out);
        answer_snapshot(&relay, &(struct download_asker){0}, &(struct frame_snapshot){.env = env},
                        &out);
        assert_ok(frame_get_snapshot_reply(buf_slice(&out), &arena, &page));
        assert_int_equal(page.status, given ? REPLY_OK : REPLY_NO_ENV);
    }
    downloads_free(relay.downloads);
    buf_done(&out);
    arena_done(&arena);
    site_end(&site);
}

static void fetch_gives_what_follows_and_says_why_when_it_cannot(void **state)
{
    (void)state;
    struct place p;
    struct arena arena = {0};
    place_begin(&p);
    for (uint32_t i = 0; i < 4; i++)
        change_flags(p.site.store, NULL, ENV, i, 1, 1000);
    struct frame_fetch f = {.env = slice_str(ENV), .epoch = EPOCH, .after = 2, .budget = 1 << 20};
    struct frame_fetch_reply r = fetch_reply(&p, &arena, &f);
    struct change c;
    assert_int_equal(r.status, REPLY_OK);
    assert_int_equal(r.head, 5);
    assert_int_equal(r.count, 3);
    assert_ok(change_decode(r.changes[0], &c));
    assert_int_equal(c.head.version, 3);

    f.budget = 1; /* one change at least, else nobody would ever get on */
    assert_int_equal(fetch_reply(&p, &arena, &f).count, 1);
    f.after = 99; /* ahead of the server: nothing, not "snapshot" */
    r = fetch_reply(&p, &arena, &f);
    assert_int_equal(r.status, REPLY_OK);
    assert_int_equal(r.count, 0);
    f.epoch = EPOCH - 1;
    assert_int_equal(fetch_reply(&p, &arena, &f).status, REPLY_SNAPSHOT);
    f.epoch = EPOCH + 1;
    assert_int_equal(fetch_reply(&p, &arena, &f).status, REPLY_BEHIND);
    f.env = SLICE("nowhere");
    assert_int_equal(fetch_reply(&p, &arena, &f).status, REPLY_NO_ENV);
    arena_done(&arena);
    place_end(&p);
}

static void a_change_longer_than_a_page_comes_in_parts(void **state)
{
    (void)state;
    struct place p;
    struct arena arena = {0};
    struct buf whole = BUF_INIT(CHANGE_BYTES_MAX);
    place_begin(&p);
    change_flags(p.site.store, NULL, ENV, 0, 2500, 1000);
    struct frame_fetch f = {.env = slice_str(ENV), .epoch = EPOCH, .after = 1, .budget = 1 << 20};
    struct frame_fetch_reply r;
    do {
        f.offset = whole.len;
        r = fetch_reply(&p, &arena, &f);
        assert_int_equal(r.status, REPLY_OK);
        assert_int_equal(r.part_offset, whole.len);
        assert_in_range(r.part.len, 1, FRAME_PAGE);
        buf_add_slice(&whole, r.part);
    } while (whole.len < r.part_total);
    struct change c;
    assert_ok(change_decode(buf_slice(&whole), &c));
    assert_int_equal(c.head.version, 2);
    assert_non_null(c.edits.ptr);
    assert_true(whole.len > 2 * FRAME_PAGE);
    buf_done(&whole);
    arena_done(&arena);
    place_end(&p);
}

static void eight_hosts_download_at_a_time_and_the_ninth_comes_again(void **state)
{
    (void)state;
    struct place p;
    struct arena arena = {0};
    nng_socket askers[9];
    place_begin(&p);
    change_flags(p.site.store, NULL, ENV, 0, 2500, 1000);
    struct frame_snapshot first = {.env = slice_str(ENV), .budget = 1 << 20};
    struct frame_snapshot_reply r = {0};
    for (int i = 0; i < 9; i++)
        askers[i] = open_asker(p.url);
    for (int i = 0; i < 8; i++) {
        r = snapshot_reply(askers[i], &arena, &first);
        assert_int_equal(r.status, REPLY_OK);
        assert_false(r.last);
        assert_true(r.base.len > 0);
    }
    struct frame_snapshot next = first;
    next.epoch = r.epoch;
    next.version = r.version;
    uint8_t key[64];
    struct slice last = r.records[r.count - 1].key;
    memcpy(key, last.ptr, last.len);
    next.after_key = slice_of(key, last.len);

    r = snapshot_reply(askers[8], &arena, &first);
    assert_int_equal(r.status, REPLY_BUSY);
    assert_true(r.busy_ms > 0);

    do { /* the first host finishes … */
        r = snapshot_reply(askers[0], &arena, &next);
        assert_int_equal(r.status, REPLY_OK);
        assert_int_equal(r.base.len, 0);
        if (r.count) {
            last = r.records[r.count - 1].key;
            memcpy(key, last.ptr, last.len);
        }
    } while (!r.last);
    /* … and there is room for the ninth. */
    assert_int_equal(snapshot_reply(askers[8], &arena, &first).status, REPLY_OK);

    next.epoch++; /* pages of a history that is not there (any more) */
    assert_int_equal(snapshot_reply(askers[8], &arena, &next).status, REPLY_SNAPSHOT);
    for (int i = 0; i < 9; i++)
        assert_true(net_close(askers[i]));
    arena_done(&arena);
    place_end(&p);
}

struct listener { /* whoever keeps what hosts tell */
    uint32_t count;
    char ids[64], vias[64];
    uint32_t age_ms;
    bool whole;
};

static void keep_told(void *arg, const struct told_host *told)
{
    struct listener *l = arg;
    size_t ids = strlen(l->ids), vias = strlen(l->vias);
    l->count++;
    l->age_ms += told->age_ms;
    l->whole = told->whole;
    snprintf(l->ids + ids, sizeof l->ids - ids, "%.*s ", SLICE_ARG(told->status.id));
    snprintf(l->vias + vias, sizeof l->vias - vias, "%.*s ", SLICE_ARG(told->via));
}

static void put_status(struct buf *out, const char *id)
{
    *out = BUF_INIT(4096);
    frame_put_status(out, &(struct frame_status){.id = slice_str(id), .software = SLICE("t")});
}

static void what_hosts_tell_is_handed_on_one_by_one_but_for_what_cannot_be_read(void **state)
{
    (void)state;
    struct place p;
    struct listener l = {0};
    struct buf question = BUF_INIT(65536), h1, h2;
    uint32_t status = 99;
    place_prepare(&p, false);
    const char *url = p.url;
    struct server_config config = {.listen = &url,
                                   .listen_count = 1,
                                   .id = "primary",
                                   .software = "t",
                                   .told = keep_told,
                                   .arg = &l};
    assert_ok(server_start(p.site.store, &config, &p.server));
    p.req = open_asker(p.url);
    put_status(&h1, "h1");
    put_status(&h2, "h2");

    assert_ok(frame_get_status_reply(ask_by(p.req, &h1), &status));
    assert_int_equal(status, REPLY_OK);
    assert_string_equal(l.ids, "h1 ");
    assert_string_equal(l.vias, " ");
    assert_true(l.whole);

    l = (struct listener){0};
    struct subtree_host hosts[] = {{SLICE("r1"), 3, buf_slice(&h1)},
                                   {SLICE("r1"), 0, SLICE("rubbish")},
                                   {SLICE("r2"), 4, buf_slice(&h2)}};
    frame_put_subtree(&question, hosts, 3);
    assert_ok(frame_get_status_reply(ask_by(p.req, &question), &status));
    assert_int_equal(status, REPLY_OK);
    assert_string_equal(l.ids, "h1 h2 ");
    assert_string_equal(l.vias, "r1 r2 ");
    assert_int_equal(l.age_ms, 7);

    l = (struct listener){0};
    buf_clear(&question);
    frame_put_hello(&question, FRAME_HELLO,
                    &(struct frame_hello){.id = SLICE("h3"), .role = SLICE("agent")});
    ask_by(p.req, &question);
    assert_string_equal(l.ids, "h3 ");
    assert_false(l.whole);
    buf_done(&question);
    buf_done(&h1);
    buf_done(&h2);
    place_end(&p);
}

static void garbage_is_answered_with_an_error_and_the_server_goes_on(void **state)
{
    (void)state;
    struct place p;
    struct buf question = BUF_INIT(4096);
    place_begin(&p);
    static const struct slice garbage[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18},
        {(const uint8_t *)"\x93\x0b\x01\xdd\xff\xff\xff\xff", 8}, /* a fetch, cut */
        {(const uint8_t *)"\xdd\xff\xff\xff\xff", 5},             /* four billion elements */
        {(const uint8_t *)"\x93\x0b\x63\xc0", 4},                 /* major version 99 */
        {(const uint8_t *)"\x93\x01\x01\x90", 4},                 /* a change is no request */
        {(const uint8_t *)"\x98\x0e\x01\xc0", 4},                 /* a command, cut */
    };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct slice why;
        buf_clear(&question);
        buf_add_slice(&question, garbage[i]);
        assert_ok(frame_get_error_reply(ask_by(p.req, &question), &why));
        assert_true(why.len > 0);
    }
    struct arena arena = {0};
    struct frame_fetch f = {.env = slice_str(ENV), .epoch = EPOCH};
    assert_int_equal(fetch_reply(&p, &arena, &f).status, REPLY_OK);
    arena_done(&arena);
    buf_done(&question);
    place_end(&p);
}

/* ---------------------------------------------------------------- the stream */

static void heartbeats_count_up_and_the_first_comes_at_once(void **state)
{
    (void)state;
    struct place p;
    char stream[NET_URL_MAX];
    nng_socket sub;
    uint64_t before = 0;
    place_prepare(&p, true);
    assert_ok(net_stream_url(p.url, stream));
    assert_int_equal(nng_sub0_open(&sub), 0);
    assert_int_equal(nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
    assert_int_equal(nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 3000), 0);
    assert_ok(net_dial(sub, stream, NET_STREAM_MAX, NULL, NULL));
    p.server = serve(&p.site, p.url);
    p.req = open_asker(p.url);
    for (int i = 0; i < 4; i++) {
        struct arena arena = {0};
        struct frame_heartbeat h;
        nng_msg *m;
        assert_int_equal(nng_recvmsg(sub, &m, 0), 0);
        assert_ok(frame_get_heartbeat(net_msg_bytes(m), &arena, &h));
        assert_true(h.counter > before);
        assert_int_equal(h.counter >> 32, (EPOCH >> 24) + store_starts(p.site.store));
        assert_int_equal(h.distance, 0);
        assert_int_equal(h.origin_count, 1);
        assert_int_equal(h.hop_envs[0].version, 1);
        before = h.counter;
        arena_done(&arena);
        nng_msg_free(m);
        if (i < 3)
            server_heartbeat(p.server); /* and whenever one is wanted */
    }
    usleep(20000); /* between two heartbeats: net_close() wants a quiet moment */
    assert_true(net_close(sub));
    place_end(&p);
}

static void heartbeats_count_on_from_what_was_heard_before(void **state)
{
    (void)state;
    const uint64_t heard = (uint64_t)0x90000000 << 32 | 7;
    struct place p;
    struct store_write *w;
    struct store_read *r;
    uint64_t counter;
    place_prepare(&p, true);
    assert_ok(store_write_begin(p.site.store, &w));
    assert_ok(store_origin_put(w, heard));
    assert_ok(store_write_commit(w));
    assert_ok(store_read_begin(p.site.store, false, &r));
    assert_ok(heartbeat_counter(p.site.store, r, 1, &counter));
    store_read_end(r);
    assert_true(counter > heard);
    assert_int_equal(counter >> 32, 0x90000001 + store_starts(p.site.store));
    p.server = serve(&p.site, p.url);
    p.req = open_asker(p.url);
    place_end(&p);
}

/* ---------------------------------------------------------------- commands */

struct taker { /* whoever takes commands: answers from another thread */
    pthread_t thread;
    bool started;
    struct server_request *request;
    char peer[32], name[32];
    bool refuse;
};

static void *answer_later(void *arg)
{
    struct taker *t = arg;
    usleep(20000);
    server_reply(t->request, 3, SLICE("{\"env\":\"production\"}"));
    return NULL;
}

static enum hoist_err take_command(void *arg, struct server_request *request,
                                   const struct frame_command *c, const char *peer)
{
    struct taker *t = arg;
    if (t->refuse)
        return err_set(HOIST_EBUSY, "the queue is full");
    t->request = request;
    snprintf(t->peer, sizeof t->peer, "%s", peer);
    snprintf(t->name, sizeof t->name, "%.*s", SLICE_ARG(c->name));
    t->started = pthread_create(&t->thread, NULL, answer_later, t) == 0;
    return t->started ? HOIST_OK : HOIST_EBUSY;
}

static void a_command_is_handed_over_with_its_peer(bool ipc, const char *peer)
{
    struct place p;
    struct taker taker = {0};
    place_prepare(&p, ipc);
    const char *url = p.url;
    struct server_config config = {.listen = &url,
                                   .listen_count = 1,
                                   .id = "primary",
                                   .software = "t",
                                   .command = take_command,
                                   .arg = &taker};
    assert_ok(server_start(p.site.store, &config, &p.server));
    p.req = open_asker(p.url);

    struct buf question = BUF_INIT(4096);
    struct frame_command command = {.request = "0123456789abcde", .name = SLICE("set")};
    struct frame_command_reply reply;
    frame_put_command(&question, &command);
    assert_ok(frame_get_command_reply(ask_by(p.req, &question), &reply));
    pthread_join(taker.thread, NULL);
    assert_int_equal(reply.exit, 3);
    assert_memory_equal(reply.request, command.request, REQUEST_ID_SIZE);
    assert_true(slice_eq(reply.body, SLICE("{\"env\":\"production\"}")));
    assert_string_equal(taker.name, "set");
    assert_string_equal(taker.peer, peer);

    taker.refuse = true;
    assert_ok(frame_get_command_reply(ask_by(p.req, &question), &reply));
    assert_int_equal(reply.exit, 1);
    assert_non_null(memmem(reply.body.ptr, reply.body.len, "\"busy\"", 6));
    assert_non_null(memmem(reply.body.ptr, reply.body.len, "the queue is full", 17));
    buf_done(&question);
    place_end(&p);
}

static void a_command_over_ipc_says_whose_it_is(void **state)
{
    (void)state;
    char peer[32];
    snprintf(peer, sizeof peer, "uid:%u", getuid());
    a_command_is_handed_over_with_its_peer(true, peer);
}

static void a_command_over_tcp_is_nobodys(void **state)
{
    (void)state;
    a_command_is_handed_over_with_its_peer(false, "");
}

/* ---------------------------------------------------------------- addresses */

static void a_taken_address_is_named_with_the_option(bool ipc)
{
    struct place p;
    struct server *second = NULL;
    place_prepare(&p, ipc);
    p.server = serve(&p.site, p.url);
    const char *url = p.url;
    struct server_config config = {
        .listen = &url, .listen_count = 1, .id = "second", .software = "t"};
    assert_int_equal(server_start(p.site.store, &config, &second), HOIST_EBUSY);
    assert_null(second);
    assert_non_null(strstr(err_last(), "--listen"));
    if (!ipc) {
        char pid[32];
        snprintf(pid, sizeof pid, "pid %d", getpid());
        assert_non_null(strstr(err_last(), pid));
    }
    place_end(&p);
}

static void a_taken_port_is_named_with_the_option_and_the_holder(void **state)
{
    (void)state;
    a_taken_address_is_named_with_the_option(false);
}

static void a_taken_socket_is_named_with_the_option(void **state)
{
    (void)state;
    a_taken_address_is_named_with_the_option(true);
}

static void a_socket_left_by_a_dead_process_is_taken_over(void **state)
{
    (void)state;
    struct place p;
    place_prepare(&p, true);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = p.url + strlen("ipc://");
    assert_true(strlen(path) < sizeof a.sun_path);
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    p.server = serve(&p.site, p.url);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    place_end(&p);
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
        cmocka_unit_test(hello_is_answered_with_the_heads),
        cmocka_unit_test(a_relays_hello_says_what_it_is_and_how_it_stands_itself),
        cmocka_unit_test(what_a_relay_no_longer_follows_is_not_to_be_had_from_it),
        cmocka_unit_test(fetch_gives_what_follows_and_says_why_when_it_cannot),
        cmocka_unit_test(a_change_longer_than_a_page_comes_in_parts),
        cmocka_unit_test(eight_hosts_download_at_a_time_and_the_ninth_comes_again),
        cmocka_unit_test(what_hosts_tell_is_handed_on_one_by_one_but_for_what_cannot_be_read),
        cmocka_unit_test(garbage_is_answered_with_an_error_and_the_server_goes_on),
        cmocka_unit_test(heartbeats_count_up_and_the_first_comes_at_once),
        cmocka_unit_test(heartbeats_count_on_from_what_was_heard_before),
        cmocka_unit_test(a_command_over_ipc_says_whose_it_is),
        cmocka_unit_test(a_command_over_tcp_is_nobodys),
        cmocka_unit_test(a_taken_port_is_named_with_the_option_and_the_holder),
        cmocka_unit_test(a_taken_socket_is_named_with_the_option),
        cmocka_unit_test(a_socket_left_by_a_dead_process_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, end_nng);
}
