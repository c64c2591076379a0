#include "primary/evaluations.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "usage/row.h"

enum {
    PIECE = 32 << 10, /* of a frame of counts: some milliseconds of the writer's time */
    ROW_MAX = 1 << 20,
};

enum hoist_err evaluations_begin(struct store *s, int64_t now_ms)
{
    struct store_write *w;
    int64_t since;
    enum hoist_err err = store_write_begin(s, &w);
    if (err != HOIST_OK)
        return err;
    err = store_usage_since(store_write_read(w), &since);
    if (err != HOIST_ENOTFOUND) {
        store_write_abort(w);
        return err;
    }
    err = store_usage_begin(w, now_ms);
    if (err == HOIST_OK)
        return store_write_commit(w);
    store_write_abort(w);
    return err;
}

/* What is kept of the flag and cannot be read is left alone: fsck names it. */
static enum hoist_err read_row(struct store_read *r, uint16_t env, struct slice key,
                               struct usage_row *ret)
{
    struct slice bytes;
    enum hoist_err err = store_usage_get(r, env, key, &bytes);
    if (err == HOIST_OK)
        err = usage_row_read(bytes, ret);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err add_to_row(struct store_write *w, uint16_t env, const struct usage_count *c,
                                 int64_t now_s)
{
    struct usage_row row = {0};
    struct buf out = BUF_INIT(ROW_MAX);
    enum hoist_err err = read_row(store_write_read(w), env, c->key, &row);
    if (err == HOIST_ECORRUPT || err == HOIST_EVERSION) {
        log_warn("primary: flag '%.*s': %s; its evaluations are not counted", SLICE_ARG(c->key),
                 err_last());
        return HOIST_OK;
    }
    if (err == HOIST_OK)
        err = usage_row_add(&row, c->variant, c->n, now_s);
    if (err == HOIST_OK) {
        usage_row_write(&row, &out);
        err = buf_err(&out);
    }
    if (err == HOIST_OK)
        err = store_usage_put(w, env, c->key, buf_slice(&out));
    usage_row_done(&row);
    buf_done(&out);
    return err;
}

static enum hoist_err add(struct store_write *w, const struct usage_count *c, int64_t now_s)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct store_env env;
    struct slice record;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(c->env));
    enum hoist_err err = store_env_get(store_write_read(w), name, &env);
    if (err == HOIST_OK)
        err = store_record_get(store_write_read(w), env.id, c->key, &record);
    if (err == HOIST_OK)
        err = add_to_row(w, env.id, c, now_s);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err write_all(struct store *s, const struct frame_usage *f, int64_t now_s)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(s, &w);
    if (err != HOIST_OK)
        return err;
    for (uint32_t i = 0; i < f->count && err == HOIST_OK; i++)
        err = add(w, &f->counts[i], now_s);
    if (err == HOIST_OK)
        return store_write_commit(w);
    store_write_abort(w);
    return err;
}

enum hoist_err evaluations_write(struct sums *sums, struct store *s, int64_t now_ms, bool *ret_more)
{
    struct arena arena = {0};
    struct frame_usage f;
    uint64_t sequence;
    struct slice frame = sums_take(sums, PIECE, &sequence);
    if (frame.len == 0)
        return HOIST_OK;
    enum hoist_err err = frame_get_usage(frame, &arena, &f);
    if (err == HOIST_OK)
        err = write_all(s, &f, now_ms / 1000);
    arena_done(&arena);
    if (err != HOIST_OK)
        return err;
    sums_passed_on(sums, sequence);
    *ret_more = true;
    return HOIST_OK;
}
