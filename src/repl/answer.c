#include "repl/answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repl/asked.h"
#include "wire/record.h"

enum { FETCH_CHANGES_MAX = 4096 }; /* in one reply */

static uint32_t bounded_budget(uint32_t budget)
{
    return budget == 0 || budget > FRAME_PAGE ? FRAME_PAGE : budget;
}

bool answer_gives(const struct answerer *a, struct slice env)
{
    return (!a->envs || slice_is_among(a->envs, a->env_count, env)) &&
           !slice_is_among(a->hidden, a->hidden_count, env);
}

static struct env_head head_of(const struct store_env *e, struct slice name)
{
    struct env_head h = {
        .name = name,
        .epoch = e->epoch,
        .version = e->head,
        .state = ENV_CURRENT,
        .held = (uint32_t)e->held,
    };
    memcpy(h.hash, e->hash, HASH_SIZE);
    memcpy(h.digest, e->digest, HASH_SIZE);
    return h;
}

/* Of all environments in `r` that are given out. */
static enum hoist_err store_heads(const struct answerer *a, struct store_read *r,
                                  struct arena *arena, struct env_head **ret, uint32_t *ret_count)
{
    struct store_env env;
    uint32_t count = 0, given = 0;
    enum hoist_err err;
    while (count < FRAME_ENVS_MAX && (err = store_env_at(r, count, &env)) == HOIST_OK)
        count++;
    if (count < FRAME_ENVS_MAX && err != HOIST_ENOTFOUND)
        return err;

    struct env_head *heads = arena_alloc(arena, count, sizeof *heads);
    if (!heads)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    for (uint32_t i = 0; i < count; i++) {
        if ((err = store_env_at(r, i, &env)) != HOIST_OK)
            return err;
        struct slice name = slice_str(env.name);
        if (!answer_gives(a, name))
            continue;
        if ((err = arena_own(arena, &name)) != HOIST_OK)
            return err;
        heads[given++] = head_of(&env, name);
    }
    *ret = heads;
    *ret_count = given;
    return HOIST_OK;
}

/* The newest of those that the store keeps, in `arena`. */
static enum hoist_err store_certificates(struct store_read *r, struct arena *arena,
                                         struct standing *s)
{
    struct slice list;
    enum hoist_err err = store_keys_get(r, &list);
    if (err == HOIST_ENOTFOUND)
        return HOIST_OK;
    if (err == HOIST_OK)
        err = arena_own(arena, &list);
    if (err == HOIST_OK)
        err = certificates_get(list, arena, &s->certificates, &s->certificate_count);
    if (err == HOIST_OK && s->certificate_count > CERTIFICATES_GIVEN) {
        s->certificates += s->certificate_count - CERTIFICATES_GIVEN;
        s->certificate_count = CERTIFICATES_GIVEN;
    }
    return err;
}

enum hoist_err answer_standing(const struct answerer *a, struct store_read *r, struct arena *arena,
                               struct standing *ret)
{
    struct standing s = {0};
    if (a->standing)
        return a->standing(a->standing_arg, arena, ret);
    enum hoist_err err = store_heads(a, r, arena, &s.heads, &s.head_count);
    if (err == HOIST_OK)
        err = store_certificates(r, arena, &s);
    if (err == HOIST_OK)
        *ret = s;
    return err;
}

/* ENOTFOUND also for an environment that has nothing yet: there is nothing to give of it. One that a
 * relay has ceased to follow is as it was, and whoever took it from there would not learn that. */
static enum hoist_err find_env(const struct answerer *a, struct store_read *r, struct slice name,
                               struct store_env *ret)
{
    char str[STORE_ENV_NAME_MAX + 1];
    if (name.len == 0 || name.len >= sizeof str || !answer_gives(a, name))
        return HOIST_ENOTFOUND;
    memcpy(str, name.ptr, name.len);
    str[name.len] = '\0';
    enum hoist_err err = store_env_get(r, str, ret);
    return err == HOIST_OK && ret->head == 0 ? HOIST_ENOTFOUND : err;
}

static void put_error(struct buf *out)
{
    frame_put_error_reply(out, slice_str(err_last()));
}

void answer_hello(const struct answerer *a, struct buf *out)
{
    struct store_read *r = NULL;
    struct arena arena = {0};
    struct standing standing = {0};
    struct frame_hello f = {
        .id = a->id,
        .incarnation = a->incarnation,
        .software = a->software,
        .format = RECORD_MAJOR,
        .role = a->standing ? SLICE("relay") : SLICE("primary"),
        .time_ms = clock_wall_ms(),
    };
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err == HOIST_OK)
        err = answer_standing(a, r, &arena, &standing);
    f.envs = standing.heads;
    f.env_count = standing.head_count;
    f.certificates = standing.certificates;
    f.certificate_count = standing.certificate_count;
    if (err == HOIST_OK)
        frame_put_hello(out, FRAME_HELLO_REPLY, &f);
    else if (err == HOIST_EAGAIN)
        frame_put_error_reply(out, SLICE("busy, say hello again"));
    else
        put_error(out);
    store_read_end(r);
    arena_done(&arena);
}

/* ---------------------------------------------------------------- fetch */

static void put_fetch_status(struct buf *out, enum reply_status status, const struct store_env *env)
{
    struct frame_fetch_reply reply = {
        .status = status,
        .busy_ms = status == REPLY_BUSY ? ANSWER_FETCH_BUSY_MS : 0,
        .epoch = env->epoch,
        .head = env->head,
    };
    frame_put_fetch_reply(out, &reply);
}

static void put_fetch_busy(struct buf *out)
{
    asked_count_busy(FRAME_FETCH);
    put_fetch_status(out, REPLY_BUSY, &(struct store_env){0});
}

/* A piece of change after+1, whose bytes are `change`. */
static void put_part(struct buf *out, const struct store_env *env, const struct frame_fetch *f,
                     struct slice change)
{
    if (f->offset >= change.len) {
        frame_put_error_reply(out, SLICE("fetch: the offset is behind the change's end"));
        return;
    }
    size_t len = change.len - f->offset;
    if (len > bounded_budget(f->budget))
        len = bounded_budget(f->budget);
    struct frame_fetch_reply reply = {
        .epoch = env->epoch,
        .head = env->head,
        .part = slice_of(change.ptr + f->offset, len),
        .part_offset = f->offset,
        .part_total = change.len,
    };
    frame_put_fetch_reply(out, &reply);
}

/* Whether the log has the whole change, not the mere header of one that a snapshot began with. */
static bool has_edits(struct slice bytes)
{
    struct change c;
    return change_decode(bytes, &c) == HOIST_OK && c.edits.ptr;
}

/* As many changes after f->after as the budget allows, the first of which is `first`. */
static enum hoist_err put_changes(struct buf *out, struct store_read *r,
                                  const struct store_env *env, const struct frame_fetch *f,
                                  struct slice first)
{
    size_t bytes = first.len, budget = bounded_budget(f->budget);
    uint64_t most = env->head - f->after;
    if (most > FETCH_CHANGES_MAX)
        most = FETCH_CHANGES_MAX;
    struct slice *changes = mem_zalloc(most, sizeof *changes);
    if (!changes)
        return err_set(HOIST_ENOMEM, "repl: out of memory");

    enum hoist_err err = HOIST_OK;
    uint32_t count = 1;
    changes[0] = first;
    while (count < most) {
        struct slice next;
        err = store_log_get(r, env->id, f->after + count + 1, &next);
        if (err != HOIST_OK || next.len > budget || bytes > budget - next.len)
            break;
        bytes += next.len;
        changes[count++] = next;
    }
    if (err == HOIST_OK) {
        struct frame_fetch_reply reply = {
            .epoch = env->epoch, .head = env->head, .changes = changes, .count = count};
        frame_put_fetch_reply(out, &reply);
    }
    mem_free(changes);
    return err;
}

static enum hoist_err fetch(const struct answerer *a, struct store_read *r,
                            const struct frame_fetch *f, struct buf *out)
{
    struct store_env env = {0};
    struct slice first;
    enum hoist_err err = find_env(a, r, f->env, &env);

    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    if (err == HOIST_ENOTFOUND) {
        put_fetch_status(out, REPLY_NO_ENV, &env);
    } else if (env.epoch != f->epoch) {
        put_fetch_status(out, env.epoch < f->epoch ? REPLY_BEHIND : REPLY_SNAPSHOT, &env);
    } else if (f->after >= env.head) {
        put_fetch_status(out, REPLY_OK, &env); /* nothing newer; the asker may even be ahead */
    } else {
        err = store_log_get(r, env.id, f->after + 1, &first);
        if (err != HOIST_OK && err != HOIST_ENOTFOUND)
            return err;
        if (err == HOIST_ENOTFOUND || !has_edits(first))
            put_fetch_status(out, REPLY_SNAPSHOT, &env);
        else if (f->offset > 0 || first.len > FRAME_PAGE)
            put_part(out, &env, f, first);
        else
            return put_changes(out, r, &env, f, first);
    }
    return HOIST_OK;
}

void answer_fetch(const struct answerer *a, const struct frame_fetch *f, struct buf *out)
{
    struct store_read *r = NULL;
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err == HOIST_OK)
        err = fetch(a, r, f, out);
    if (err == HOIST_EAGAIN)
        put_fetch_busy(out);
    else if (err != HOIST_OK)
        put_error(out);
    store_read_end(r);
}

/* ---------------------------------------------------------------- snapshot */

struct page { /* records that borrow from a read transaction */
    struct edit *records;
    uint32_t count;
    size_t cap;
    bool last;
};

static enum hoist_err page_add(struct page *p, struct slice key, struct slice record)
{
    if (p->count == p->cap) {
        struct edit *more = mem_grow(p->records, &p->cap, 1024, sizeof *more);
        if (!more)
            return err_set(HOIST_ENOMEM, "repl: out of memory");
        p->records = more;
    }
    p->records[p->count++] = (struct edit){.put = true, .key = key, .record = record};
    return HOIST_OK;
}

static enum hoist_err page_fill(struct page *p, struct store_read *r, uint16_t env,
                                struct slice after, size_t budget)
{
    size_t bytes = 0;
    while (bytes < budget && p->count < FRAME_RECORDS_MAX) {
        struct slice key, record;
        enum hoist_err err = store_record_next(r, env, after, &key, &record);
        if (err == HOIST_ENOTFOUND) {
            p->last = true;
            return HOIST_OK;
        }
        if (err == HOIST_OK)
            err = page_add(p, key, record);
        if (err != HOIST_OK)
            return err;
        bytes += key.len + record.len;
        after = key;
    }
    return HOIST_OK;
}

static void put_snapshot_status(struct buf *out, enum reply_status status)
{
    struct frame_snapshot_reply reply = {
        .status = status,
        .busy_ms = status == REPLY_BUSY ? ANSWER_SNAPSHOT_BUSY_MS : 0,
    };
    if (status == REPLY_BUSY)
        asked_count_busy(FRAME_SNAPSHOT);
    frame_put_snapshot_reply(out, &reply);
}

/* The change that a download begins with: the newest, without its edits. */
static enum hoist_err put_base(struct store_read *r, const struct store_env *env, struct buf *base)
{
    struct slice bytes;
    struct change c;
    enum hoist_err err = store_head_get(r, env, &bytes);
    if (err == HOIST_ENOTFOUND)
        return HOIST_EAGAIN; /* a relay's store of an early build has it with the next change */
    if (err == HOIST_OK)
        err = change_decode(bytes, &c);
    if (err == HOIST_OK)
        err = change_without_edits(&c, base);
    return err;
}

static enum hoist_err put_page(const struct answerer *a, const struct download_asker *asker,
                               struct store_read *r, const struct store_env *env,
                               const struct frame_snapshot *f, struct buf *out)
{
    struct page page = {0};
    struct buf base = BUF_INIT(FRAME_REPLY_MAX);
    enum hoist_err err = page_fill(&page, r, env->id, f->after_key, bounded_budget(f->budget));
    if (err == HOIST_OK && f->version == 0)
        err = put_base(r, env, &base);
    if (err == HOIST_OK) {
        struct frame_snapshot_reply reply = {
            .epoch = env->epoch,
            .version = f->version ? f->version : env->head,
            .base = buf_slice(&base),
            .records = page.records,
            .count = page.count,
            .last = page.last,
            .flags_total = env->flags,
        };
        frame_put_snapshot_reply(out, &reply);
    }
    if (err == HOIST_OK && page.last)
        downloads_end(a->downloads, asker, env->id, clock_mono_ms());
    buf_done(&base);
    mem_free(page.records);
    return err;
}

static enum hoist_err snapshot(const struct answerer *a, const struct download_asker *asker,
                               struct store_read *r, const struct frame_snapshot *f,
                               struct buf *out, enum download_place *ret_place)
{
    struct store_env env = {0};
    enum hoist_err err = find_env(a, r, f->env, &env);

    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    if (err == HOIST_ENOTFOUND) {
        put_snapshot_status(out, REPLY_NO_ENV);
        return HOIST_OK;
    }
    /* A later page is worth nothing when its first page's history, or the log since, is gone. */
    if (f->version && (f->epoch != env.epoch || f->version + 1 < env.log_first)) {
        put_snapshot_status(out, REPLY_SNAPSHOT);
        return HOIST_OK;
    }
    uint64_t version = f->version ? f->version : env.head;
    *ret_place =
        downloads_page(a->downloads, asker, env.id, version, f->after_key, clock_mono_ms());
    if (*ret_place != DOWNLOAD_HAS) {
        put_snapshot_status(out, REPLY_BUSY);
        return HOIST_OK;
    }
    return put_page(a, asker, r, &env, f, out);
}

enum download_place answer_snapshot(const struct answerer *a, const struct download_asker *asker,
                                    const struct frame_snapshot *f, struct buf *out)
{
    struct store_read *r = NULL;
    enum download_place place = DOWNLOAD_HAS;
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err == HOIST_OK)
        err = snapshot(a, asker, r, f, out, &place);
    if (err == HOIST_EAGAIN)
        put_snapshot_status(out, REPLY_BUSY);
    else if (err != HOIST_OK)
        put_error(out);
    store_read_end(r);
    return place;
}

/* ---------------------------------------------------------------- not now */

void answer_busy(enum frame_kind kind, uint32_t again_ms, struct buf *out)
{
    asked_count_busy(kind);
    switch (kind) {
    case FRAME_FETCH:
        frame_put_fetch_reply(
            out, &(struct frame_fetch_reply){.status = REPLY_BUSY, .busy_ms = again_ms});
        break;
    case FRAME_SNAPSHOT:
        frame_put_snapshot_reply(
            out, &(struct frame_snapshot_reply){.status = REPLY_BUSY, .busy_ms = again_ms});
        break;
    case FRAME_STATUS:
    case FRAME_SUBTREE:
    case FRAME_USAGE:
        frame_put_status_reply(out, REPLY_BUSY);
        break;
    default:
        frame_put_error_reply(out, SLICE("busy, ask again"));
    }
}
