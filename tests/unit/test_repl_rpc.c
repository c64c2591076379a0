/* rpc_command() against primaries that answer, break off, stay silent, or are not there. */
#include "../repl_site.h"

#include "repl/net.h"
#include "repl/rpc.h"

enum manner { ANSWERS, BREAKS_OFF_ONCE, STAYS_SILENT, ANSWERS_ANOTHER, TALKS_GARBAGE };

struct fake { /* a primary of bad manners */
    char url[64];
    enum manner manner;
    nng_socket rep;
    pthread_t thread;
    atomic_int asked;
    uint8_t ids[8][REQUEST_ID_SIZE];
};

static void reply_to(struct fake *f, nng_msg *m)
{
    struct frame_command c;
    struct buf out = BUF_INIT(4096);
    assert_ok(frame_get_command(net_msg_bytes(m), &c));
    int n = atomic_fetch_add(&f->asked, 1);
    if (n < 8)
        memcpy(f->ids[n], c.request, REQUEST_ID_SIZE);
    struct frame_command_reply reply = {.exit = 3, .body = SLICE("{}")};
    memcpy(reply.request, c.request, REQUEST_ID_SIZE);
    if (f->manner == ANSWERS_ANOTHER)
        reply.request[0] ^= 1;
    frame_put_command_reply(&out, &reply);
    if (f->manner == TALKS_GARBAGE)
        buf_clear(&out);
    if (f->manner == BREAKS_OFF_ONCE && n == 0)
        nng_pipe_close(nng_msg_get_pipe(m));
    else if (f->manner != STAYS_SILENT)
        nng_sendmsg(f->rep, net_msg(buf_slice(&out)), 0);
    buf_done(&out);
}

static void *serve_fake(void *arg)
{
    struct fake *f = arg;
    nng_msg *m;
    while (nng_recvmsg(f->rep, &m, 0) == 0) {
        reply_to(f, m);
        nng_msg_free(m);
    }
    return NULL;
}

static void fake_start(struct fake *f, enum manner manner)
{
    *f = (struct fake){.manner = manner};
    free_tcp_url(f->url);
    assert_int_equal(nng_rep0_open(&f->rep), 0);
    assert_ok(net_listen(f->rep, f->url, NET_COMMAND_MAX, NULL, NULL));
    assert_int_equal(pthread_create(&f->thread, NULL, serve_fake, f), 0);
}

static void fake_stop(struct fake *f)
{
    assert_true(net_close(f->rep));
    pthread_join(f->thread, NULL);
}

static enum hoist_err ask(const char *url, int64_t timeout_ms, struct rpc_answer *ret)
{
    struct frame_command command = {
        .request = "0123456789abcde", .name = SLICE("set"), .body = SLICE("{}")};
    return rpc_command(url, NULL, &command, timeout_ms, ret);
}

static void an_answer_comes_back_whole(void **state)
{
    (void)state;
    struct fake f;
    struct rpc_answer answer;
    fake_start(&f, ANSWERS);
    assert_ok(ask(f.url, 5000, &answer));
    assert_int_equal(answer.exit, 3);
    assert_true(slice_eq(buf_slice(&answer.body), SLICE("{}")));
    rpc_answer_done(&answer);
    fake_stop(&f);
}

static void a_broken_connection_is_tried_again_with_the_same_id(void **state)
{
    (void)state;
    struct fake f;
    struct rpc_answer answer;
    fake_start(&f, BREAKS_OFF_ONCE);
    assert_ok(ask(f.url, 5000, &answer));
    assert_int_equal(atomic_load(&f.asked), 2);
    assert_memory_equal(f.ids[0], f.ids[1], REQUEST_ID_SIZE);
    rpc_answer_done(&answer);
    fake_stop(&f);
}

static void silence_leaves_the_outcome_unknown_and_sends_once(void **state)
{
    (void)state;
    struct fake f;
    struct rpc_answer answer;
    fake_start(&f, STAYS_SILENT);
    assert_int_equal(ask(f.url, 400, &answer), HOIST_EUNKNOWN);
    assert_int_equal(atomic_load(&f.asked), 1); /* nng must not repeat it by itself */
    assert_non_null(strstr(err_last(), "may have been done"));
    fake_stop(&f);
}

static void nobody_there_means_that_nothing_was_done(void **state)
{
    (void)state;
    char url[64];
    struct rpc_answer answer;
    free_tcp_url(url);
    int64_t begin = clock_mono_ms();
    assert_int_equal(ask(url, 300, &answer), HOIST_ETIMEOUT);
    assert_int_equal(ask("ipc:///nonexistent/hoist.sock", 100, &answer), HOIST_ETIMEOUT);
    assert_in_range(clock_mono_ms() - begin, 350, 3000);
}

static void an_answer_that_cannot_be_right_is_refused(void **state)
{
    (void)state;
    struct fake f;
    struct rpc_answer answer;
    fake_start(&f, ANSWERS_ANOTHER);
    assert_int_equal(ask(f.url, 5000, &answer), HOIST_ECORRUPT);
    fake_stop(&f);
    fake_start(&f, TALKS_GARBAGE);
    assert_int_equal(ask(f.url, 5000, &answer), HOIST_ECORRUPT);
    fake_stop(&f);
}

static void a_wrong_address_is_told_at_once(void **state)
{
    (void)state;
    struct rpc_answer answer;
    assert_int_equal(ask("localhost:7400", 5000, &answer), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "tcp://"));
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
        cmocka_unit_test(an_answer_comes_back_whole),
        cmocka_unit_test(a_broken_connection_is_tried_again_with_the_same_id),
        cmocka_unit_test(silence_leaves_the_outcome_unknown_and_sends_once),
        cmocka_unit_test(nobody_there_means_that_nothing_was_done),
        cmocka_unit_test(an_answer_that_cannot_be_right_is_refused),
        cmocka_unit_test(a_wrong_address_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, end_nng);
}
