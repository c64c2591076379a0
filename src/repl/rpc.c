#include "repl/rpc.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/net.h"
#include "wire/statement.h"

enum {
    AGAIN_MS = 20, /* between a broken connection and the next try */
    WHY_MAX = 256,
};

struct call {
    nng_socket req;
    const char *url;
    const struct net_tls *tls;
    const struct frame_command *command;
    struct rpc_signer *signer;
    int64_t began_ms, until_ms;
    bool sent; /* at least once: it may have been done */
};

/* What to make of a reply. */
typedef enum hoist_err read_fn(const struct call *c, struct slice in, void *ret);

static int64_t left_ms(const struct call *c)
{
    int64_t left = c->until_ms - clock_mono_ms();
    return left > 0 ? left : 0;
}

static void close_call(struct call *c)
{
    if (!net_close(c->req))
        log_debug("repl: nng does not let go of a connection; it ends with this process");
}

static enum hoist_err open_call(struct call *c)
{
    int rc = nng_req0_open(&c->req);
    if (rc != 0)
        return net_err(rc, "repl: the socket for commands");
    /* nng must not send a command again by itself: by then another primary may have it. */
    rc = nng_socket_set_ms(c->req, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    enum hoist_err err = rc == 0 ? net_dial(c->req, c->url, NET_COMMAND_MAX, c->tls, NULL)
                                 : net_err(rc, "repl: the socket for commands");
    if (err != HOIST_OK)
        close_call(c);
    return err;
}

/* What is no reply of the expected kind is an error. */
static enum hoist_err check_kind(const struct call *c, struct slice in)
{
    enum frame_kind kind;
    struct slice why;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (err != HOIST_OK || kind != FRAME_ERROR_REPLY)
        return err;
    err = frame_get_error_reply(in, &why);
    return err != HOIST_OK ? err
                           : err_set(HOIST_ECORRUPT, "%s could not read the command: %.*s", c->url,
                                     SLICE_ARG(why));
}

static enum hoist_err read_hello(const struct call *c, struct slice in, void *ret)
{
    struct arena arena = {0};
    struct frame_hello hello;
    struct rpc_signer *signer = ret;
    enum hoist_err err = check_kind(c, in);
    if (err == HOIST_OK)
        err = frame_get_hello(in, FRAME_HELLO_REPLY, &arena, &hello);
    if (err == HOIST_OK) {
        signer->knows = true;
        signer->epoch = 0;
        signer->clock_ms = hello.time_ms - clock_mono_ms();
        for (uint32_t i = 0; i < hello.env_count; i++)
            if (hello.envs[i].epoch > signer->epoch)
                signer->epoch = hello.envs[i].epoch;
    }
    arena_done(&arena);
    return err;
}

static enum hoist_err read_answer(const struct call *c, struct slice in, void *ret)
{
    struct frame_command_reply reply;
    enum hoist_err err = check_kind(c, in);
    if (err != HOIST_OK)
        return err;
    if ((err = frame_get_command_reply(in, &reply)) != HOIST_OK)
        return err;
    if (memcmp(reply.request, c->command->request, REQUEST_ID_SIZE) != 0)
        return err_set(HOIST_ECORRUPT, "%s answered another command than was asked", c->url);
    struct rpc_answer answer = {.exit = reply.exit, .body = BUF_INIT(FRAME_COMMAND_MAX)};
    buf_add_slice(&answer.body, reply.body);
    if ((err = buf_err(&answer.body)) != HOIST_OK) {
        buf_done(&answer.body);
        return err;
    }
    *(struct rpc_answer *)ret = answer;
    return HOIST_OK;
}

/* Send once and wait. EAGAIN: the connection broke, there may be time to try again. */
static enum hoist_err try_once(struct call *c, struct slice frame, read_fn *read, void *ret)
{
    nng_msg *m = net_msg(frame);
    if (!m)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    nng_socket_set_ms(c->req, NNG_OPT_SENDTIMEO, (nng_duration)left_ms(c));
    int rc = nng_sendmsg(c->req, m, 0);
    if (rc != 0) {
        nng_msg_free(m);
        return rc == NNG_ETIMEDOUT ? HOIST_ETIMEOUT : net_err(rc, c->url);
    }
    c->sent = true;
    nng_socket_set_ms(c->req, NNG_OPT_RECVTIMEO, (nng_duration)left_ms(c));
    rc = nng_recvmsg(c->req, &m, 0);
    if (rc != 0)
        return rc == NNG_ETIMEDOUT ? HOIST_ETIMEOUT : HOIST_EAGAIN;
    enum hoist_err err = read(c, net_msg_bytes(m), ret);
    nng_msg_free(m);
    return err;
}

static enum hoist_err nobody_answers(const struct call *c, int64_t waited)
{
    struct buf why = BUF_INIT(WHY_MAX);
    net_tls_why(c->tls, c->url, &why);
    enum hoist_err err =
        err_set(HOIST_ETIMEOUT, "nobody answers at %s (tried for %" PRId64 " ms): %s", c->url,
                waited, why.len ? buf_str(&why) : "is a hoistd primary running there?");
    buf_done(&why);
    return err;
}

static enum hoist_err no_answer(const struct call *c)
{
    int64_t waited = clock_mono_ms() - c->began_ms;
    if (!c->sent)
        return nobody_answers(c, waited);
    return err_set(HOIST_EUNKNOWN,
                   "%s took the command and gave no answer within %" PRId64
                   " ms: it may have been done",
                   c->url, waited);
}

static enum hoist_err call(struct call *c, struct slice frame, read_fn *read, void *ret)
{
    enum hoist_err err = try_once(c, frame, read, ret);
    while (err == HOIST_EAGAIN && left_ms(c) > AGAIN_MS) {
        nng_msleep(AGAIN_MS);
        err = try_once(c, frame, read, ret);
    }
    return err == HOIST_EAGAIN || err == HOIST_ETIMEOUT ? no_answer(c) : err;
}

static enum hoist_err ask_hello(struct call *c)
{
    struct buf frame = BUF_INIT(FRAME_REPLY_MAX);
    struct frame_hello hello = {
        .id = SLICE("flagctl"), .software = SLICE("flagctl"), .role = SLICE(FRAME_ROLE_ASKER)};
    frame_put_hello(&frame, FRAME_HELLO, &hello);
    enum hoist_err err = buf_err(&frame);
    if (err == HOIST_OK)
        err = call(c, buf_slice(&frame), read_hello, c->signer);
    buf_done(&frame);
    bool sent = c->sent;
    c->sent = false; /* the command was not */
    return err == HOIST_EUNKNOWN && sent ? err_set(HOIST_ETIMEOUT, "%s does not answer", c->url)
                                         : err;
}

/* The command, signed if somebody signs. */
static enum hoist_err make_frame(struct call *c, struct buf *out)
{
    uint8_t signature[SIGNATURE_SIZE];
    struct frame_command f = *c->command;
    enum hoist_err err = HOIST_OK;
    if (c->signer && !c->signer->knows)
        err = ask_hello(c);
    if (err == HOIST_OK && c->signer) {
        f.epoch = c->signer->epoch;
        f.time_ms = c->signer->clock_ms + clock_mono_ms();
        err = frame_command_sign(&f, &c->signer->key, signature);
    }
    if (err != HOIST_OK)
        return err;
    frame_put_command(out, &f);
    return buf_err(out);
}

enum hoist_err rpc_command(const char *url, const struct net_tls *tls,
                           const struct frame_command *command, int64_t timeout_ms,
                           struct rpc_answer *ret)
{
    return rpc_signed_command(url, tls, command, NULL, timeout_ms, ret);
}

enum hoist_err rpc_signed_command(const char *url, const struct net_tls *tls,
                                  const struct frame_command *command, struct rpc_signer *signer,
                                  int64_t timeout_ms, struct rpc_answer *ret)
{
    struct buf frame = BUF_INIT(FRAME_COMMAND_MAX);
    struct call c = {
        .url = url, .tls = tls, .command = command, .signer = signer, .began_ms = clock_mono_ms()};
    c.until_ms = c.began_ms + timeout_ms;

    enum hoist_err err = net_check_url(url);
    if (err != HOIST_OK)
        return err;
    err = open_call(&c);
    if (err == HOIST_OK) {
        err = make_frame(&c, &frame);
        if (err == HOIST_OK)
            err = call(&c, buf_slice(&frame), read_answer, ret);
        close_call(&c);
    }
    buf_done(&frame);
    return err;
}

void rpc_answer_done(struct rpc_answer *a)
{
    buf_done(&a->body);
}
