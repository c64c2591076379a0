#include "store/upkeep.h"

#include "flag/flag.h"
#include "wire/record.h"

enum { PIECE = 256 };

static bool can_read(struct slice key, struct slice record)
{
    struct flag *flag = NULL;
    enum hoist_err err = record_decode(key, record, &flag, NULL);
    flag_free(flag);
    return err == HOIST_OK;
}

static enum hoist_err release(struct store_write *w, struct env_work *e, struct slice key)
{
    struct row_key k = row_flag(e->env.id, key);
    enum hoist_err err = write_del(w, DB_HELD, val_key(&k));
    e->env.held--;
    write_mark(w, e->env.id, key);
    if (e->env.held == 0)
        w->mark_envs = true;
    return err ? err : write_env_row(w, e);
}

/* Up to PIECE held flags of environment `e` behind wr->retry_key. *ret_left: how many more may be
 * looked at. */
static enum hoist_err retry_env(struct store_write *w, struct env_work *e, size_t *left)
{
    struct writer *wr = w->store->writer;
    enum hoist_err err = HOIST_OK;
    while (!err && *left > 0) {
        struct slice key, why, record, after = slice_of(wr->retry_key, wr->retry_key_len);
        uint64_t version;
        err = store_held_next(&w->read, e->env.id, after, &key, &why, &version);
        if (err)
            break;
        memcpy(wr->retry_key, key.ptr, key.len); /* and it stays when rows move */
        wr->retry_key_len = key.len;
        key.ptr = wr->retry_key;
        (*left)--;
        err = store_record_get(&w->read, e->env.id, key, &record);
        if (!err && can_read(key, record))
            err = release(w, e, key);
    }
    if (err == HOIST_ENOTFOUND)
        wr->retry_key_len = 0;
    return err;
}

static enum hoist_err retry_piece(struct store_write *w)
{
    struct writer *wr = w->store->writer;
    struct store_env env;
    struct env_work *e;
    size_t left = PIECE;
    enum hoist_err err = HOIST_OK;
    while (!err && left > 0) {
        err = store_env_at(&w->read, wr->retry_env, &env);
        if (!err)
            err = write_env(w, env.id, &e);
        if (err == HOIST_ENOTFOUND) { /* that was the last one */
            wr->retry_held = false;
            return HOIST_OK;
        }
        if (!err && env.held > 0)
            err = retry_env(w, e, &left);
        if (!err && left == 0)
            return HOIST_OK;
        if (err == HOIST_ENOTFOUND)
            err = HOIST_OK;
        if (!err)
            wr->retry_env++;
    }
    return err;
}

enum hoist_err held_retry(struct store *s, bool *ret_more)
{
    struct store_write *w;
    if (!s->writer->retry_held)
        return HOIST_OK;
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    err = retry_piece(w);
    if (err) {
        store_write_abort(w);
        return err;
    }
    err = store_write_commit(w);
    if (s->writer->retry_held)
        *ret_more = true;
    return err;
}
