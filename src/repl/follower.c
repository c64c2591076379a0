/* follower.c - the step: what came in goes to whom it concerns, time does its part, and then the
 * one request that is due next is sent. */
#include "repl/follower.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repl/follower_int.h"

/* ---------------------------------------------------------------- new and free */

static enum hoist_err own_config(struct follower *f, const struct follower_config *c)
{
    f->config = *c;
    if (f->config.heartbeat_ms == 0)
        f->config.heartbeat_ms = 200;

    struct label *labels = arena_alloc(&f->own, c->label_count, sizeof *labels);
    struct slice *names = arena_alloc(&f->own, c->upstreams, sizeof *names);
    f->shun_ms = arena_alloc(&f->own, c->upstreams, sizeof *f->shun_ms);
    f->probed = arena_alloc(&f->own, c->upstreams, sizeof *f->probed);
    f->envs = arena_alloc(&f->own, c->env_count, sizeof *f->envs);
    f->view = arena_alloc(&f->own, c->env_count, sizeof *f->view);
    if (!labels || !names || !f->shun_ms || !f->probed || !f->envs || !f->view)
        return err_set(HOIST_ENOMEM, "out of memory");
    f->config.labels = labels;
    f->config.upstream_names = names;

    enum hoist_err err = arena_own(&f->own, &f->config.id);
    if (err == HOIST_OK)
        err = arena_own(&f->own, &f->config.software);
    for (uint32_t i = 0; i < c->label_count && err == HOIST_OK; i++) {
        labels[i] = c->labels[i];
        err = arena_own(&f->own, &labels[i].name);
        if (err == HOIST_OK)
            err = arena_own(&f->own, &labels[i].value);
    }
    for (uint32_t i = 0; i < c->upstreams && c->upstream_names && err == HOIST_OK; i++) {
        names[i] = c->upstream_names[i];
        err = arena_own(&f->own, &names[i]);
    }
    return err;
}

static enum hoist_err init_env(struct follower *f, uint32_t i, const struct follower_env *from)
{
    struct fenv *e = &f->envs[i];
    *e = (struct fenv){
        .name = from->name,
        .index = i,
        .present = from->present,
        .held = from->held,
        .due_ms = NEVER,
        .earliest_ms = f->now,
        .behind_since_ms = f->now, /* until upstream has told otherwise */
        .part = BUF_INIT(CHANGE_BYTES_MAX),
    };
    if (from->present) {
        e->committed.epoch = from->epoch;
        e->committed.version = from->version;
        memcpy(e->committed.hash, from->hash, HASH_SIZE);
        memcpy(e->committed.digest, from->digest, HASH_SIZE);
        e->issued = e->committed;
    }
    return arena_own(&f->own, &e->name);
}

enum hoist_err follower_new(const struct follower_config *config, int64_t now_ms,
                            struct follower **ret)
{
    assert(config->env_count > 0 && config->upstreams > 0);

    struct follower *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    f->now = now_ms;
    f->random = config->seed;
    f->counter = config->counter;
    f->counter_ms = f->patience_ms = now_ms;
    f->signed_ms = INT64_MIN;
    f->probe_until_ms = NEVER;
    f->word_ms = f->garbage_ms = f->forged_ms = NEVER;
    f->hello_due_ms = f->lags_since_ms = NEVER;
    f->status_due_ms = now_ms;
    /* All tell the same change at once; they are not to speak at the same moments ever after. */
    f->status_ms = FOLLOWER_STATUS_MS - (int64_t)(config->seed % (FOLLOWER_STATUS_MS / 4));
    f->request_bytes = BUF_INIT(FRAME_REPLY_MAX);
    relay_drop_origin(f);

    enum hoist_err err = keys_begin(f, config);
    if (err == HOIST_OK)
        err = own_config(f, config);
    for (uint32_t i = 0; i < config->env_count && err == HOIST_OK; i++)
        err = init_env(f, i, &config->envs[i]);
    if (err != HOIST_OK) {
        f->config.env_count = f->envs ? f->config.env_count : 0;
        follower_free(f);
        return err;
    }
    *ret = f;
    return HOIST_OK;
}

static void free_kept(struct kept *k)
{
    for (struct kept *next; k; k = next) {
        next = k->next;
        mem_free(k->bytes);
        mem_free(k);
    }
}

void follower_free(struct follower *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        free_kept(f->envs[i].load.first);
        buf_done(&f->envs[i].part);
        held_done(&f->envs[i]);
        proof_done(&f->envs[i]);
    }
    free_kept(f->spent);
    buf_done(&f->request_bytes);
    relay_drop_origin(f);
    keys_end(f);
    mem_free(f->outputs);
    arena_done(&f->arena);
    arena_done(&f->own);
    mem_free(f);
}

/* ---------------------------------------------------------------- small things */

/* splitmix64 (Steele, Lea and Flood, 2014): good enough for jitter, and the seed tells all. */
int64_t follower_random(struct follower *f, int64_t bound)
{
    uint64_t z = f->random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return (int64_t)(z % ((uint64_t)bound + 1));
}

struct fenv *follower_find(struct follower *f, struct slice name)
{
    for (uint32_t i = 0; i < f->config.env_count; i++)
        if (slice_eq(f->envs[i].name, name))
            return &f->envs[i];
    return NULL;
}

void follower_forget_request(struct follower *f)
{
    f->told = f->told || f->request.parting;
    f->request = (struct request){.kind = REQUEST_NONE};
}

void status_soon(struct follower *f)
{
    if (f->status_due_ms > f->now + STATUS_GATHER_MS)
        f->status_due_ms = f->now + STATUS_GATHER_MS;
}

void spend(struct follower *f, struct kept *k)
{
    k->next = f->spent;
    f->spent = k;
}

/* ---------------------------------------------------------------- what came in */

/* A decoder's verdict on what upstream sent: our own lack of memory is not its fault. */
static bool is_readable(struct follower *f, enum hoist_err err)
{
    if (err == HOIST_ENOMEM)
        f->no_memory = true;
    else if (err != HOIST_OK)
        upstream_garbage(f, COUNT_BAD_FRAME, err_last());
    return err == HOIST_OK;
}

/* Those of a message that can be read, and are vouched for. Each of the others shows as a hole, and
 * is fetched. */
static void take_changes(struct follower *f, struct slice bytes)
{
    struct frame_changes m;
    uint32_t count = 0;
    if (!is_readable(f, frame_get_changes(bytes, &f->arena, &m)))
        return;
    upstream_heard(f);
    struct change *changes = arena_alloc(&f->arena, m.count, sizeof *changes);
    bool *vouched = arena_alloc(&f->arena, m.count, sizeof *vouched);
    if (!changes || !vouched) {
        f->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < m.count; i++) {
        if (change_decode(m.changes[i], &changes[count]) == HOIST_OK)
            count++;
        else
            upstream_garbage(f, COUNT_BAD_CHANGE, err_last());
    }
    keys_of_changes(f, changes, count);
    change_vouch(&f->ring.trusted, changes, count, vouched);
    for (uint32_t i = 0; i < count; i++) {
        struct fenv *e = follower_find(f, changes[i].head.env);
        if (e && vouched[i])
            env_published(f, e, &changes[i]);
        else if (e)
            upstream_forged(f, "a change");
    }
}

static void take_message(struct follower *f, const struct follower_input *in)
{
    enum frame_kind kind;
    struct frame_heartbeat h;

    if (f->started && in->upstream != f->follow)
        probe_message(f, in->upstream, in->bytes);
    if (!f->started || in->upstream != f->follow)
        return; /* left over from one that was left */
    if (!is_readable(f, frame_kind_of(in->bytes, &kind)))
        return;
    switch (kind) {
    case FRAME_CHANGES:
        take_changes(f, in->bytes);
        break;
    case FRAME_HEARTBEAT:
        if (is_readable(f, frame_get_heartbeat(in->bytes, &f->arena, &h)))
            upstream_heartbeat(f, &h);
        break;
    default:
        upstream_garbage(f, COUNT_BAD_FRAME, "a frame that has no place in a stream");
    }
}

/* The answer to `r` cannot be read, or did not come. */
static void no_answer(struct follower *f, const struct request *r)
{
    struct fenv *e = &f->envs[r->env];
    if (r->kind == REQUEST_HELLO) {
        f->hello_retry_ms = f->hello_retry_ms ? 2 * f->hello_retry_ms : RETRY_FIRST_MS;
        if (f->hello_retry_ms > FOLLOWER_REQUEST_DEADLINE_MS)
            f->hello_retry_ms = FOLLOWER_REQUEST_DEADLINE_MS;
        f->hello_due_ms = f->now + follower_random(f, f->hello_retry_ms);
    } else if (r->kind != REQUEST_STATUS && r->life == e->life) {
        env_unanswered(f, e);
    }
}

/* The answer as the frame that request `r` asks for. */
static bool read_reply(struct follower *f, const struct request *r, struct slice bytes)
{
    struct fenv *e = &f->envs[r->env];
    union {
        struct frame_hello hello;
        struct frame_fetch_reply fetch;
        struct frame_snapshot_reply snapshot;
        uint32_t status;
    } u;

    switch (r->kind) {
    case REQUEST_HELLO:
        if (!is_readable(f, frame_get_hello(bytes, FRAME_HELLO_REPLY, &f->arena, &u.hello)))
            return false;
        upstream_hello(f, &u.hello);
        return true;
    case REQUEST_FETCH:
        if (!is_readable(f, frame_get_fetch_reply(bytes, &f->arena, &u.fetch)))
            return false;
        if (r->life == e->life)
            env_fetched(f, e, r, &u.fetch);
        return true;
    case REQUEST_SNAPSHOT:
        if (!is_readable(f, frame_get_snapshot_reply(bytes, &f->arena, &u.snapshot)))
            return false;
        if (r->life == e->life)
            load_page(f, e, &u.snapshot);
        return true;
    default:
        if (!is_readable(f, frame_get_status_reply(bytes, &u.status)))
            return false;
        if (u.status == REPLY_BUSY)
            f->status_due_ms = f->now + follower_random(f, STATUS_BUSY_MS);
        return true;
    }
}

static void take_reply(struct follower *f, const struct follower_input *in)
{
    enum frame_kind kind;
    struct slice message;
    struct request r = f->request;

    if (r.kind == REQUEST_NONE || r.tag != in->tag)
        return; /* it was given up */
    follower_forget_request(f);
    upstream_word(f);

    bool read = is_readable(f, frame_kind_of(in->bytes, &kind));
    if (read && kind == FRAME_ERROR_REPLY) {
        read = false;
        if (is_readable(f, frame_get_error_reply(in->bytes, &message))) {
            char text[WHY_SIZE];
            int len = (int)(message.len < 200 ? message.len : 200);
            snprintf(text, sizeof text, "it cannot read our request: %.*s", len,
                     (const char *)message.ptr);
            upstream_garbage(f, COUNT_BAD_FRAME, text);
        }
    } else if (read) {
        read = read_reply(f, &r, in->bytes);
    }
    if (read)
        upstream_answered(f, r.kind);
    else
        no_answer(f, &r);
}

static void take_no_reply(struct follower *f, uint64_t tag)
{
    struct request r = f->request;
    if (r.kind == REQUEST_NONE || r.tag != tag)
        return;
    follower_forget_request(f);
    no_answer(f, &r);
    upstream_no_answer(f, r.kind);
}

static void take(struct follower *f, const struct follower_input *in)
{
    struct fenv *e = &f->envs[in->env < f->config.env_count ? in->env : 0];

    switch (in->kind) {
    case IN_TICK:
        break;
    case IN_MESSAGE:
        take_message(f, in);
        break;
    case IN_REPLY:
        take_reply(f, in);
        break;
    case IN_NO_REPLY:
        take_no_reply(f, in->tag);
        break;
    case IN_APPLIED:
        env_applied(f, e, in);
        break;
    case IN_APPLY_FAILED:
        env_apply_failed(f, e, in);
        break;
    case IN_LOADED:
        load_done(f, e, in);
        break;
    case IN_LOAD_FAILED:
        load_failed(f, e, in);
        break;
    case IN_HELD:
        held_take(f, e, in);
        break;
    case IN_PROOF:
        proof_take(f, e, in);
        break;
    case IN_LOST:
        f->lost = true;
        f->lost_ms = f->now;
        break;
    }
}

/* ---------------------------------------------------------------- the step */

static void begin_step(struct follower *f, int64_t now_ms)
{
    f->now = now_ms > f->now ? now_ms : f->now;
    f->output_count = 0;
    buf_clear(&f->request_bytes);
    free_kept(f->spent);
    f->spent = NULL;
    arena_done(&f->arena);
    f->no_memory = false;
}

/* The outputs of the last step were lost: nothing that it thought to have given was given. */
static void mend(struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        struct fenv *e = &f->envs[i];
        tell(f, OUT_LOAD_ABORT)->env = i;
        load_drop(f, e);
        env_begin_anew(f, e);
    }
    f->started = false;
    f->broken = false;
}

enum hoist_err follower_step(struct follower *f, int64_t now_ms, const struct follower_input *in,
                             struct follower_outputs *ret)
{
    begin_step(f, now_ms);
    if (f->broken)
        mend(f);
    take(f, in);
    upstream_keep(f);
    probe_keep(f);
    if (f->request.kind != REQUEST_NONE && f->request.give_up_ms <= f->now)
        take_no_reply(f, f->request.tag);
    proofs_ask(f);
    request_send_next(f);
    if (f->no_memory) {
        f->broken = true;
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    int64_t next = request_next_ms(f), probe = probe_next_ms(f);
    if (probe < next)
        next = probe;
    *ret = (struct follower_outputs){
        .items = f->outputs,
        .count = f->output_count,
        .next_ms = next > f->now ? next : f->now + 1,
    };
    return HOIST_OK;
}
