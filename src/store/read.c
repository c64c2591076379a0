#include "store/store_int.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/rows.h"

/* ------------------------------------------------------------------ begin and end */

/* The file has outgrown what this process mapped of it. It is mapped anew beside the old map, which
 * goes when its last read ends: to unmap it now would end the program. */
static enum hoist_err map_anew(struct store *s, struct db *small)
{
    enum hoist_err err = HOIST_OK;
    pthread_mutex_lock(&s->swap_lock);
    if (atomic_load(&s->db) == small) {
        const char *slash = strrchr(small->path, '/');
        char dir[PATH_MAX];
        memcpy(dir, small->path, (size_t)(slash - small->path));
        dir[slash - small->path] = '\0';
        struct db *db;
        err = db_open(dir, small->number, &(struct db_options){.map_bytes = s->map_bytes}, &db);
        if (!err)
            store_swap(s, db);
    }
    pthread_mutex_unlock(&s->swap_lock);
    if (!err)
        store_end_older(s);
    return err == HOIST_ENOTFOUND ? HOIST_EAGAIN : err;
}

static void drop_txn(struct store_read *r)
{
    if (r->walk)
        mdb_cursor_close(r->walk);
    r->walk = NULL;
    mdb_txn_abort(r->txn);
    r->txn = NULL;
}

static int begin_txn(struct store_read *r)
{
    if (r->txn) {
        int rc = mdb_txn_renew(r->txn);
        if (rc != MDB_BAD_RSLOT)
            return rc;
        drop_txn(r); /* somebody cleared our slot: take another */
    }
    return mdb_txn_begin(r->db->env, NULL, MDB_RDONLY, &r->txn);
}

/* LMDB keeps the root of each commit in one of two pages, by turns, and a reader copies it only after
 * it has taken its id: a thread that was away in between, for the time of two commits, has a root
 * that is newer than its id, and may not be committed yet, so that its next read would be older. */
static int begin_snapshot(struct store_read *r)
{
    for (;;) {
        MDB_envinfo now;
        int rc = begin_txn(r);
        if (rc == 0)
            rc = mdb_env_info(r->db->env, &now);
        if (rc != 0 || now.me_last_txnid < mdb_txn_id(r->txn) + 2)
            return rc;
        mdb_txn_reset(r->txn);
    }
}

/* Wait up to 1 ms for one that is given back. */
static struct store_read *take(struct store *s, struct db *db, bool view)
{
    struct store_read *r = pool_take(db, view);
    if (r || view)
        return r;
    int64_t until = clock_mono_ns() + 1000000;
    while (!r && clock_mono_ns() < until && atomic_load(&s->db) == db) {
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        r = pool_take(db, view);
    }
    return r;
}

static enum hoist_err begin_in(struct store *s, struct db *db, bool view, struct store_read **ret)
{
    if (db->forks != lmdb_os_forks())
        return err_set(HOIST_EIO, "the store was opened before a fork: it is to be opened again");
    if (atomic_load_explicit(&db->broken, memory_order_relaxed))
        return err_set(HOIST_ECORRUPT, "store: %s/data.mdb is damaged", db->path);
    struct store_read *r = take(s, db, view);
    if (!r)
        return HOIST_EAGAIN;
    int rc = begin_snapshot(r);
    if (rc == 0) {
        *ret = r;
        return HOIST_OK;
    }
    pool_give(r);
    if (rc == MDB_MAP_RESIZED && !db->write)
        return map_anew(s, db);
    return db_err(rc, "begin to read");
}

enum hoist_err store_read_begin(struct store *s, bool view, struct store_read **ret)
{
    enum { TRIES = 4 }; /* another directory taken meanwhile, or the map */
    enum hoist_err err = HOIST_EAGAIN;
    struct store_read *r = NULL;
    for (int i = 0; !r && i < TRIES; i++) {
        struct db *db = atomic_load_explicit(&s->db, memory_order_acquire);
        err = begin_in(s, db, view, &r);
        if (!r && atomic_load(&s->db) == db)
            break;
    }
    if (!r)
        return err ? err : HOIST_EAGAIN;
    *ret = r;
    return HOIST_OK;
}

void store_read_end(struct store_read *r)
{
    if (!r)
        return;
    assert(!r->in_write);
    struct store *s = r->store;
    struct db *db = r->db;
    if (db->forks != lmdb_os_forks())
        return; /* inherited: the slot is the parent's */
    r->walk_renewed = false;
    if (r->history) {
        mem_free(r->history);
        r->history = NULL;
    }
    mdb_txn_reset(r->txn);
    pool_give(r);
    if (db != atomic_load_explicit(&s->db, memory_order_relaxed))
        store_end_older(s);
}

uint64_t store_read_txn(const struct store_read *r)
{
    return r->db->base + mdb_txn_id(r->txn);
}

/* ------------------------------------------------------------------ environments */

static enum hoist_err get_env(struct store_read *r, const char *name, struct store_env *ret)
{
    struct row_key k = row_env(name);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    return rc ? db_err(rc, "read an environment") : env_row_read(slice_str(name), row, ret);
}

/* The environment whose row has `number` at `offset`: few of them, so a walk will do. */
static enum hoist_err find_env(struct store_read *r, size_t offset, uint32_t number,
                               struct store_env *ret)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_META], &cursor);
    if (rc != 0)
        return db_err(rc, "read environments");
    MDB_val key = val_of(SLICE("env:")), row;
    struct slice name;
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
    while (rc == 0 && row_is_env(key, &name) &&
           (row.mv_size != ENV_ROW_SIZE || be16_read((uint8_t *)row.mv_data + offset) != number))
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read environments");
    return row_is_env(key, &name) ? env_row_read(name, row, ret) : HOIST_ENOTFOUND;
}

/* The one that was named first, and while that is not there yet, none. */
static enum hoist_err first_env(struct store_read *r, struct store_env *ret)
{
    char name[STORE_ENV_NAME_MAX + 1];
    MDB_val key = val_of(SLICE(ROW_FIRST)), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc == MDB_NOTFOUND)
        return store_env_at(r, 0, ret);
    if (rc != 0)
        return db_err(rc, "read the order of environments");
    if (row.mv_size == 0 || row.mv_size > STORE_ENV_NAME_MAX)
        return err_set(HOIST_ECORRUPT, "store: the order of environments is damaged");
    memcpy(name, row.mv_data, row.mv_size);
    name[row.mv_size] = '\0';
    return get_env(r, name, ret);
}

enum hoist_err store_env_get(struct store_read *r, const char *name, struct store_env *ret)
{
    if (!name)
        return first_env(r, ret);
    if (name[0] == '\0' || strnlen(name, STORE_ENV_NAME_MAX + 1) > STORE_ENV_NAME_MAX)
        return HOIST_ENOTFOUND;
    return get_env(r, name, ret);
}

enum hoist_err store_env_at(struct store_read *r, uint32_t n, struct store_env *ret)
{
    return find_env(r, ENV_ROW_ORDER, n, ret); /* orders are 0, 1, 2 … without holes */
}

enum hoist_err store_env_by_id(struct store_read *r, uint16_t id, struct store_env *ret)
{
    return find_env(r, ENV_ROW_ID, id, ret);
}

uint64_t store_env_flags_max(const struct store_read *r)
{
    return r->store->env_flags;
}

enum hoist_err store_env_totals(struct store_read *r, uint32_t *ret_count, uint64_t *ret_bytes)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_META], &cursor);
    if (rc != 0)
        return db_err(rc, "read environments");
    enum hoist_err err = HOIST_OK;
    uint32_t count = 0;
    uint64_t bytes = 0;
    MDB_val key = val_of(SLICE("env:")), row;
    struct slice name;
    struct store_env env;
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
    for (; rc == 0 && !err && row_is_env(key, &name); count++) {
        err = env_row_read(name, row, &env);
        if (!err)
            bytes += env.bytes;
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (!err && rc != 0 && rc != MDB_NOTFOUND)
        err = db_err(rc, "read environments");
    if (err)
        return err;
    *ret_count = count;
    *ret_bytes = bytes;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ flags */

enum hoist_err store_record_get(struct store_read *r, uint16_t env, struct slice key,
                                struct slice *ret_record)
{
    if (key.len == 0 || key.len > FLAG_KEY_BYTES_MAX)
        return HOIST_ENOTFOUND;
    struct row_key k = row_flag(env, key);
    MDB_val at = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_FLAGS, &at, &row);
    if (rc != 0)
        return db_err(rc, "read a flag");
    *ret_record = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_flag_get(struct store_read *r, uint16_t env, bool any_held, struct slice key,
                              struct slice *ret_record)
{
    if (!any_held || key.len == 0 || key.len > FLAG_KEY_BYTES_MAX)
        return store_record_get(r, env, key, ret_record);
    struct row_key k = row_flag(env, key);
    MDB_val at = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_HELD, &at, &row);
    if (rc == MDB_NOTFOUND)
        return store_record_get(r, env, key, ret_record);
    if (rc != 0)
        return db_err(rc, "read a flag");
    struct held_row held;
    enum hoist_err err = held_row_read(row, &held);
    if (err)
        return err;
    if (!held.has_last)
        return HOIST_ENOTFOUND;
    *ret_record = held.last;
    return HOIST_OK;
}

/* `cursor` onto the first row of `env` with a key behind `after`. */
static int step(struct db *db, MDB_cursor *cursor, uint16_t env, struct slice after,
                MDB_val *ret_key, MDB_val *ret_row)
{
    struct row_key k = row_flag(env, after);
    MDB_val at = val_key(&k), key, row;
    int rc = db_cursor_get(db, cursor, &key, &row, MDB_GET_CURRENT);
    if (rc != 0 || !slice_eq(slice_val(key), slice_val(at))) {
        key = at;
        rc = db_cursor_get(db, cursor, &key, &row, MDB_SET_RANGE);
        if (rc != 0 || !slice_eq(slice_val(key), slice_val(at)))
            goto out; /* none, or behind already; with `after` empty there is no equal one */
    }
    rc = db_cursor_get(db, cursor, &key, &row, MDB_NEXT);
out:
    *ret_key = key;
    *ret_row = row;
    return rc;
}

static int walk_cursor(struct store_read *r)
{
    int rc = 0;
    if (!r->walk)
        rc = mdb_cursor_open(r->txn, r->db->dbi[DB_FLAGS], &r->walk);
    else if (!r->walk_renewed)
        rc = mdb_cursor_renew(r->txn, r->walk);
    r->walk_renewed = rc == 0;
    return rc;
}

enum hoist_err store_record_next(struct store_read *r, uint16_t env, struct slice after,
                                 struct slice *ret_key, struct slice *ret_record)
{
    if (after.len > FLAG_KEY_BYTES_MAX)
        return HOIST_ENOTFOUND;
    MDB_val key, row;
    int rc = walk_cursor(r);
    if (rc == 0)
        rc = step(r->db, r->walk, env, after, &key, &row);
    if (rc != 0)
        return db_err(rc, "read flags");
    if (!row_is_of(key, env, ret_key))
        return HOIST_ENOTFOUND;
    *ret_record = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_held_next(struct store_read *r, uint16_t env, struct slice after,
                               struct slice *ret_key, struct slice *ret_why, uint64_t *ret_version)
{
    if (after.len > FLAG_KEY_BYTES_MAX)
        return HOIST_ENOTFOUND;
    MDB_cursor *cursor;
    MDB_val key, row;
    struct held_row held;
    struct slice found;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_HELD], &cursor);
    if (rc != 0)
        return db_err(rc, "read held flags");
    rc = step(r->db, cursor, env, after, &key, &row);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read held flags");
    if (!row_is_of(key, env, &found))
        return HOIST_ENOTFOUND;
    enum hoist_err err = held_row_read(row, &held);
    if (err)
        return err;
    *ret_key = found;
    *ret_why = held.why;
    *ret_version = held.version;
    return HOIST_OK;
}

enum hoist_err store_command_get(struct store_read *r, const uint8_t request[REQUEST_ID_SIZE],
                                 struct slice *ret_answer)
{
    struct row_key k = row_command(request);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_COMMANDS, &key, &row);
    if (rc != 0)
        return db_err(rc, "read an answer");
    if (row.mv_size < COMMAND_HEAD)
        return err_set(HOIST_ECORRUPT, "store: a kept answer is damaged");
    *ret_answer = slice_of((uint8_t *)row.mv_data + COMMAND_HEAD, row.mv_size - COMMAND_HEAD);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ the host */

enum hoist_err store_host_get(struct store_read *r, struct slice *ret)
{
    MDB_val key = val_of(SLICE("host")), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc != 0)
        return db_err(rc, "read about the host");
    *ret = slice_val(row);
    return HOIST_OK;
}
