/* Any bytes as what an upstream says to a follower: each byte that is read chooses what comes next, and
 * what it looks like. Replies and messages are right ones of a small history, with a byte altered or
 * the end missing where the input says so, or the input's own bytes. Nobody's signature is looked at,
 * so that nothing is stopped at the door.
 *
 * Whatever comes, the follower must ask its store for changes in order and for whole loads, never go
 * to a smaller epoch or version, have one request at a time, and let time pass. */
#include "../unit/follower_kit.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 400, DEPTH_MAX = 8 };

struct place { /* of the store, or of what is being loaded */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
};

struct play {
    struct slice in;
    struct follower *f;
    int64_t now;
    struct history history;
    struct server server;
    struct place store, load;
    bool loading;
    struct buf request; /* empty: none is outstanding */
    uint64_t tag, counter;
    uint32_t upstream;
    int depth;
};

static uint8_t next(struct play *p)
{
    if (p->in.len == 0)
        return 0;
    uint8_t b = p->in.ptr[0];
    p->in = slice_of(p->in.ptr + 1, p->in.len - 1);
    return b;
}

/* ---------------------------------------------------------------- the store */

static void step(struct play *p, struct follower_input in);

static void tell_store(struct play *p, enum follower_in kind)
{
    struct follower_input in = {
        .kind = kind,
        .epoch = p->store.epoch,
        .version = p->store.version,
        .err = kind == IN_APPLY_FAILED || kind == IN_LOAD_FAILED ? HOIST_EIO : HOIST_OK,
        .why = SLICE("why"),
    };
    memcpy(in.hash, p->store.hash, HASH_SIZE);
    memcpy(in.digest, p->store.digest, HASH_SIZE);
    step(p, in);
}

static void go_on(struct place *at, const struct change *c)
{
    assert(c->head.epoch == at->epoch && c->head.version == at->version + 1);
    assert(memcmp(c->head.prev, at->hash, HASH_SIZE) == 0 && c->edits.ptr);
    at->version++;
    memcpy(at->hash, c->hash, HASH_SIZE);
    memcpy(at->digest, c->head.digest, HASH_SIZE);
}

static void begin_load(struct play *p, const struct change *c)
{
    assert(!p->loading);
    p->loading = true;
    p->load = (struct place){.epoch = c->head.epoch, .version = c->head.version};
    memcpy(p->load.hash, c->hash, HASH_SIZE);
    memcpy(p->load.digest, c->head.digest, HASH_SIZE);
}

static void finish_load(struct play *p)
{
    assert(p->loading);
    assert(p->load.epoch > p->store.epoch ||
           (p->load.epoch == p->store.epoch && p->load.version >= p->store.version));
    p->loading = false;
    p->store = p->load;
}

static void send(struct play *p, const struct follower_output *o)
{
    assert(p->request.len == 0);
    buf_add_slice(&p->request, o->bytes);
    p->tag = o->tag;
}

struct told { /* what the store made of the outputs */
    enum follower_in kinds[8];
    uint32_t count;
    bool failed;
};

static void told(struct told *t, enum follower_in kind)
{
    if (kind == IN_APPLIED && t->count && t->kinds[t->count - 1] == IN_APPLIED)
        return;
    assert(t->count < 8);
    t->kinds[t->count++] = kind;
}

static void carry_out(struct play *p, const struct follower_output *o, struct told *t)
{
    switch (o->kind) {
    case OUT_PROBE:
    case OUT_PROBED:
    case OUT_PROVE:
    case OUT_KEYS:
        break;
    case OUT_FOLLOW:
        p->upstream = o->upstream;
        buf_clear(&p->request);
        break;
    case OUT_REQUEST:
        send(p, o);
        break;
    case OUT_APPLY:
        assert(!p->loading);
        if (t->failed)
            break;
        t->failed = next(p) == 1;
        if (!t->failed)
            go_on(&p->store, &o->change);
        told(t, t->failed ? IN_APPLY_FAILED : IN_APPLIED);
        break;
    case OUT_LOAD_BEGIN:
        begin_load(p, &o->change);
        break;
    case OUT_LOAD_RECORDS:
        assert(p->loading);
        break;
    case OUT_LOAD_CHANGE:
        assert(p->loading);
        go_on(&p->load, &o->change);
        break;
    case OUT_LOAD_FINISH:
        if (next(p) == 1) { /* the flags are not those that the digest says */
            p->loading = false;
            told(t, IN_LOAD_FAILED);
        } else {
            finish_load(p);
            told(t, IN_LOADED);
        }
        break;
    case OUT_LOAD_ABORT:
        p->loading = false;
        break;
    case OUT_LOG:
        assert(o->text.len > 0);
        break;
    case OUT_COUNT:
        assert(o->what < COUNT_END);
        break;
    }
}

static void step(struct play *p, struct follower_input in)
{
    struct follower_outputs out;
    struct told t = {.count = 0};
    enum hoist_err err = follower_step(p->f, p->now, &in, &out);
    assert(err == HOIST_OK && out.next_ms > p->now);
    assert(++p->depth < DEPTH_MAX);
    for (uint32_t i = 0; i < out.count; i++)
        carry_out(p, &out.items[i], &t);
    for (uint32_t i = 0; i < t.count; i++)
        tell_store(p, t.kinds[i]);
    p->depth--;
}

/* ---------------------------------------------------------------- the upstream */

/* As it is; with a byte altered; cut short; or other bytes altogether. */
static void spoil(struct play *p, struct buf *b)
{
    uint8_t how = next(p);
    if (b->len == 0 || how < 128)
        return;
    size_t at = (size_t)(next(p) << 8 | next(p)) % b->len;
    if (how < 224) {
        b->ptr[at] ^= next(p);
    } else if (how < 240) {
        b->len = at;
    } else {
        size_t len = next(p) < p->in.len ? next(p) % (p->in.len + 1) : p->in.len;
        buf_clear(b);
        buf_add(b, p->in.ptr, len);
        p->in = slice_of(p->in.ptr + len, p->in.len - len);
    }
}

static void message(struct play *p, struct buf *b)
{
    spoil(p, b);
    step(p, (struct follower_input){
                .kind = IN_MESSAGE, .upstream = p->upstream, .bytes = buf_slice(b)});
}

static void publish(struct play *p)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    uint64_t first = 1 + next(p) % p->history.head, last = first + next(p) % 3;
    if (last > p->history.head || p->server.part) /* a long one is alone in its message */
        last = first;
    kit_publish(&p->server, &p->history, first, last, &out);
    message(p, &out);
    buf_done(&out);
}

static void heartbeat(struct play *p)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    kit_heartbeat(&p->server, &p->server, ++p->counter, &out);
    message(p, &out);
    buf_done(&out);
}

/* A mangled request is not what this is about: the server knows only right ones. */
static void reply(struct play *p, bool comes)
{
    struct buf out = BUF_INIT(FRAME_REPLY_MAX);
    if (p->request.len == 0)
        return;
    server_answer(&p->server, buf_slice(&p->request), &out);
    buf_clear(&p->request);
    spoil(p, &out);
    step(p, (struct follower_input){.kind = comes ? IN_REPLY : IN_NO_REPLY,
                                    .tag = p->tag,
                                    .bytes = comes ? buf_slice(&out) : (struct slice){0}});
    buf_done(&out);
}

static void write_more(struct play *p)
{
    uint8_t how = next(p);
    if (p->history.all_count > HISTORY - 2)
        return;
    if (how < 8)
        write_epoch(&p->history, p->history.head);
    else
        write_flag(&p->history, how % KEYS, 1000 + p->history.all_count);
    p->server.behind[0] = how % 5 == 0 ? how % 3 : 0;
    p->server.page = how % 4;
    p->server.part = how % 7 == 0 ? 400 : 0;
    p->server.busy_ms = how % 11 == 0 ? 10 : 0;
    p->history.log_first = how % 13 == 0 ? p->history.head : p->history.log_first;
}

static void pass_time(struct play *p)
{
    static const int64_t waits[] = {1, 20, 200, 1000, 3000, 70000};
    p->now += waits[next(p) % 6];
    step(p, (struct follower_input){.kind = IN_TICK});
}

static void go(struct play *p)
{
    switch (next(p) % 8) {
    case 0:
        publish(p);
        break;
    case 1:
        heartbeat(p);
        break;
    case 2:
    case 3:
    case 4:
        reply(p, true);
        break;
    case 5:
        reply(p, false);
        break;
    case 6:
        write_more(p);
        break;
    default:
        pass_time(p);
    }
}

static void begin(struct play *p)
{
    struct follower_env env = {.name = slice_str(p->history.name)};
    struct follower_config config = {
        .id = SLICE("host1"),
        .software = SLICE("fuzz"),
        .incarnation = 1,
        .envs = &env,
        .env_count = 1,
        .upstreams = 1 + next(p) % 2,
        .heartbeat_ms = HEARTBEAT_MS,
        .relay = next(p) % 2,
        .seed = 1,
    };
    enum hoist_err err = follower_new(&config, p->now, &p->f);
    assert(err == HOIST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.in = slice_of(data, size), .now = 1000};
    hash_init();
    p.request = BUF_INIT(FRAME_REPLY_MAX);
    history_init(&p.history, "production", 5, 1 + next(&p) % 20);
    p.server = (struct server){.env = {&p.history}, .envs = 1};
    begin(&p);
    step(&p, (struct follower_input){.kind = IN_TICK});
    for (int i = 0; i < STEPS_MAX && p.in.len; i++)
        go(&p);
    follower_free(p.f);
    buf_done(&p.request);
    history_done(&p.history);
    return 0;
}
