/* repl_site.h - for tests of replication: stores in folders of their own, a primary that is nothing
 * but a store and a server, free addresses, and waiting for a condition. */
#ifndef TESTS_REPL_SITE_H
#define TESTS_REPL_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repl/agent.h"
#include "repl/server.h"
#include "wire/record.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        enum hoist_err err_ = (call);                                                              \
        if (err_ != HOIST_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, err_word(err_), err_last());                             \
    } while (0)

/* Until `condition` holds; fails the test after `limit_ms`. */
#define wait_until(condition, limit_ms)                                                            \
    do {                                                                                           \
        int64_t until_ = clock_mono_ms() + (limit_ms);                                             \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > until_)                                                          \
                fail_msg("not within %d ms: %s", (int)(limit_ms), #condition);                     \
            usleep(2000);                                                                          \
        }                                                                                          \
    } while (0)

struct site { /* a store in a folder of its own */
    char dir[64];
    struct store *store;
};

static inline void site_open(struct site *s, bool primary)
{
    if (!*s->dir) {
        snprintf(s->dir, sizeof s->dir, "/tmp/hoist-repl-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
    }
    struct store_options options = {.write = true, .primary = primary, .map_bytes = 1 << 30};
    assert_ok(store_open(s->dir, &options, &s->store));
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void site_close(struct site *s)
{
    store_close(s->store);
    s->store = NULL;
}

static inline void site_end(struct site *s)
{
    site_close(s);
    nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* tcp://127.0.0.1:P with P and the port behind it free just now. */
static inline void free_tcp_url(char out[64])
{
    for (int tries = 0; tries < 100; tries++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof a;
        int first = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);
        bool ok = bind(first, (struct sockaddr *)&a, sizeof a) == 0 &&
                  getsockname(first, (struct sockaddr *)&a, &len) == 0;
        uint16_t port = ntohs(a.sin_port);
        a.sin_port = htons((uint16_t)(port + 1));
        ok = ok && port < 65534 && bind(second, (struct sockaddr *)&a, sizeof a) == 0;
        close(first);
        close(second);
        if (ok) {
            snprintf(out, 64, "tcp://127.0.0.1:%u", port);
            return;
        }
    }
    fail_msg("no two free ports");
}

static inline void free_ipc_url(const struct site *s, char out[128])
{
    snprintf(out, 128, "ipc://%s/rpc.sock", s->dir);
}

/* ---------------------------------------------------------------- changes */

/* The record of a string flag whose one value is `len` bytes long and begins with `number`. */
static inline void text_record(struct buf *out, uint32_t number, size_t len)
{
    struct flag *f = flag_new(SLICE("any"));
    char *text = mem_alloc(len + 16);
    assert_non_null(f);
    assert_non_null(text);
    memset(text, 'x', len + 16);
    int digits = snprintf(text, 16, "%u-", number);
    text[digits] = 'x';
    struct node *node = arena_alloc(&f->arena, 1, sizeof *node);
    *node = (struct node){.kind = NODE_STRING, .span = 1};
    node->text = slice_of(text, len);
    f->type = HOIST_STRING;
    f->enabled = true;
    f->variants = arena_alloc(&f->arena, 1, sizeof *f->variants);
    f->variants[0] = (struct variant){SLICE("value"), {node, 1}};
    f->variant_count = 1;
    f->default_variant = 0;
    f->override = f->otherwise = FLAG_NO_VARIANT;
    assert_ok(record_encode(f, out));
    flag_free(f);
    mem_free(text);
}

/* Log a change of `edits` (made by edits_begin & co.) in `w`; its bytes are appended to `out`. */
static inline void log_change(struct store_write *w, const char *env_name, uint32_t kind,
                              struct slice edits, uint32_t edits_count, struct buf *out)
{
    struct store_env env;
    assert_ok(store_env_get(store_write_read(w), env_name, &env));
    struct change_header head = {
        .env = slice_str(env_name),
        .epoch = env.epoch,
        .version = env.head + 1,
        .time_ms = clock_wall_ms(),
        .author = SLICE("test"),
        .message = SLICE("because"),
        .kind = kind,
        .edits_count = edits_count,
    };
    memcpy(head.prev, env.hash, HASH_SIZE);
    assert_ok(store_change_stage(w, env.id, edits, head.version, head.digest));
    assert_ok(change_encode(&head, edits, SLICE(""), out, NULL));
    struct change c;
    assert_ok(change_decode(buf_slice(out), &c));
    assert_ok(store_change_log(w, env.id, &c));
}

static inline void make_env(struct store *s, const char *name, uint64_t epoch)
{
    struct store_write *w;
    struct store_env env;
    struct buf edits = BUF_INIT(64), change = BUF_INIT(4096);
    assert_ok(store_write_begin(s, &w));
    assert_ok(store_env_create(w, name, &env));
    assert_ok(store_epoch_set(w, env.id, epoch));
    edits_begin(&edits, 0);
    log_change(w, name, CHANGE_CREATE, buf_slice(&edits), 0, &change);
    assert_ok(store_write_commit(w));
    buf_done(&edits);
    buf_done(&change);
}

/* Change `count` flags "flag-FIRST" … to texts of `len` bytes, in one change, and publish it unless
 * `server` is NULL. */
static inline void change_flags(struct store *s, struct server *server, const char *env,
                                uint32_t first, uint32_t count, size_t len)
{
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX), change = BUF_INIT(CHANGE_BYTES_MAX);
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct store_write *w;
    edits_begin(&edits, count);
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "flag-%06u", first + i);
        buf_clear(&record);
        text_record(&record, first + i, len);
        edits_put(&edits, slice_str(key), buf_slice(&record));
    }
    assert_ok(buf_err(&edits));
    assert_ok(store_write_begin(s, &w));
    log_change(w, env, CHANGE_APPLY, buf_slice(&edits), count, &change);
    assert_ok(store_write_commit(w));
    if (server) {
        struct slice bytes = buf_slice(&change);
        server_publish(server, &bytes, 1);
    }
    buf_done(&edits);
    buf_done(&change);
    buf_done(&record);
}

/* ---------------------------------------------------------------- comparing */

static inline struct store_env env_of(struct store *s, const char *name)
{
    struct store_env env = {0};
    struct store_read *r;
    enum hoist_err err;
    while ((err = store_read_begin(s, false, &r)) == HOIST_EAGAIN)
        usleep(1000);
    assert_ok(err);
    err = store_env_get(r, name, &env);
    store_read_end(r);
    if (err == HOIST_ENOTFOUND)
        return (struct store_env){0};
    assert_ok(err);
    return env;
}

static inline bool same_head(struct store *a, struct store *b, const char *name)
{
    struct store_env x = env_of(a, name), y = env_of(b, name);
    return x.head == y.head && x.epoch == y.epoch && memcmp(x.hash, y.hash, HASH_SIZE) == 0 &&
           memcmp(x.digest, y.digest, HASH_SIZE) == 0;
}

/* Flag by flag, byte by byte. */
static inline void assert_same_flags(struct store *a, struct store *b, const char *name)
{
    struct store_env x = env_of(a, name), y = env_of(b, name);
    struct store_read *ra, *rb;
    struct slice ka = {0}, kb = {0}, va, vb;
    enum hoist_err ea, eb;
    assert_ok(store_read_begin(a, false, &ra));
    assert_ok(store_read_begin(b, false, &rb));
    do {
        ea = store_record_next(ra, x.id, ka, &ka, &va);
        eb = store_record_next(rb, y.id, kb, &kb, &vb);
        assert_int_equal(ea, eb);
        if (ea == HOIST_OK) {
            assert_true(slice_eq(ka, kb));
            assert_true(slice_eq(va, vb));
        }
    } while (ea == HOIST_OK);
    assert_int_equal(ea, HOIST_ENOTFOUND);
    store_read_end(ra);
    store_read_end(rb);
}

/* ---------------------------------------------------------------- starting */

static inline struct server *serve(struct site *s, const char *url)
{
    struct server *server;
    struct server_config config = {
        .listen = &url, .listen_count = 1, .id = "primary", .software = "test"};
    assert_ok(server_start(s->store, &config, &server));
    return server;
}

static inline struct agent *follow_urls(struct site *s, const char *const *urls, uint32_t count)
{
    static const char *const envs[] = {"production"};
    struct agent *agent;
    struct agent_config config = {
        .id = "host1",
        .software = "test",
        .upstreams = urls,
        .upstream_count = count,
        .envs = envs,
        .env_count = 1,
    };
    assert_ok(agent_start(s->store, &config, &agent));
    return agent;
}

static inline struct agent *follow_url(struct site *s, const char *url)
{
    return follow_urls(s, &url, 1);
}

#endif
