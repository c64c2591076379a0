#include "store/write_int.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "flag/flag.h"
#include "store/seal.h"

/* ------------------------------------------------------------------ rows */

enum hoist_err write_put(struct store_write *w, enum db_name db, MDB_val key, struct slice row,
                         unsigned flags)
{
    MDB_val value = val_of(row);
    struct seal seal = seal_make(db, key, row);
    w->read.puts++;
    int rc = mdb_put(w->txn, w->db->dbi[db], &key, &value, flags);
    if (rc == 0)
        rc = seal_put(w->db, w->txn, &seal);
    return rc ? db_err(rc, "write") : HOIST_OK;
}

enum hoist_err write_del(struct store_write *w, enum db_name db, MDB_val key)
{
    w->read.puts++;
    int rc = seal_del(w->db, w->txn, db, key); /* first: `key` may be the row's own */
    if (rc == 0)
        rc = mdb_del(w->txn, w->db->dbi[db], &key, NULL);
    return rc && rc != MDB_NOTFOUND ? db_err(rc, "delete") : HOIST_OK;
}

void write_mark(struct store_write *w, uint16_t env, struct slice key)
{
    uint32_t shard = store_shard(env, key);
    w->marked[shard / 8] |= (uint8_t)(1u << shard % 8);
    w->announce = true;
}

/* ------------------------------------------------------------------ environments */

static enum hoist_err keep_env(struct store_write *w, const struct store_env *env,
                               struct env_work **ret)
{
    struct env_work **more = mem_realloc(w->envs, (w->env_count + 1) * sizeof(struct env_work *));
    if (!more)
        return err_set(HOIST_ENOMEM, "out of memory");
    w->envs = more;
    struct env_work *e = mem_zalloc(1, sizeof *e);
    if (!e)
        return err_set(HOIST_ENOMEM, "out of memory");
    e->env = *env;
    w->envs[w->env_count++] = e;
    *ret = e;
    return HOIST_OK;
}

enum hoist_err write_env(struct store_write *w, uint16_t id, struct env_work **ret)
{
    for (size_t i = 0; i < w->env_count; i++)
        if (w->envs[i]->env.id == id) {
            *ret = w->envs[i];
            return HOIST_OK;
        }
    struct store_env env;
    enum hoist_err err = store_env_by_id(&w->read, id, &env);
    return err ? err : keep_env(w, &env, ret);
}

enum hoist_err write_env_row(struct store_write *w, struct env_work *e)
{
    uint8_t row[ENV_ROW_SIZE];
    struct row_key k = row_env(e->env.name);
    env_row_write(row, &e->env);
    return write_put(w, DB_META, val_key(&k), slice_of(row, sizeof row), 0);
}

enum hoist_err write_sum(struct store_write *w, struct env_work *e)
{
    if (e->sum_known)
        return HOIST_OK;
    struct row_key k = row_meta("sum:", e->env.id);
    MDB_val key = val_key(&k), row;
    int rc = db_get(w->db, w->txn, DB_META, &key, &row);
    if (rc == MDB_NOTFOUND || (rc == 0 && row.mv_size != LTHASH_SIZE))
        return err_set(HOIST_ECORRUPT, "store: the state hash of '%s' is missing", e->env.name);
    if (rc != 0)
        return db_err(rc, "read a state hash");
    lthash_read(&e->sum, row.mv_data);
    e->sum_known = true;
    return HOIST_OK;
}

enum hoist_err write_sum_row(struct store_write *w, const struct env_work *e)
{
    uint8_t row[LTHASH_SIZE];
    struct row_key k = row_meta("sum:", e->env.id);
    lthash_write(&e->sum, row);
    return write_put(w, DB_META, val_key(&k), slice_of(row, sizeof row), 0);
}

enum hoist_err write_records(struct store_write *w)
{
    uint32_t count;
    if (w->records_known)
        return HOIST_OK;
    enum hoist_err err = store_env_totals(&w->read, &count, &w->records);
    if (err)
        return err;
    w->records += loads_bytes(w->store->writer);
    w->records_known = true;
    return HOIST_OK;
}

static bool has_row(struct store_write *w, const char *prefix, uint16_t id)
{
    struct row_key k = row_meta(prefix, id);
    MDB_val key = val_key(&k), row;
    return db_get(w->db, w->txn, DB_META, &key, &row) == 0;
}

/* Ids are used again, but not while rows of the last that had it remain. */
enum hoist_err write_new_id(struct store_write *w, uint16_t *ret)
{
    struct store_env env;
    for (uint32_t id = 1; id <= UINT16_MAX; id++) {
        if (has_row(w, "load:", (uint16_t)id) || has_row(w, "gone:", (uint16_t)id))
            continue;
        enum hoist_err err = store_env_by_id(&w->read, (uint16_t)id, &env);
        if (err == HOIST_ENOTFOUND) {
            *ret = (uint16_t)id;
            return HOIST_OK;
        }
        if (err)
            return err;
    }
    return err_set(HOIST_ELIMIT, "store: no environment id is free");
}

enum hoist_err store_env_create(struct store_write *w, const char *name, struct store_env *ret)
{
    struct env_work *e;
    struct store_env env = {.log_first = 1};
    uint32_t count;
    uint64_t bytes;
    enum hoist_err err = flag_env_check(slice_str(name));
    if (err)
        return err;
    err = store_env_get(&w->read, name, &env);
    if (err == HOIST_OK)
        return err_set(HOIST_EINVAL, "there is an environment '%s' already", name);
    if (err != HOIST_ENOTFOUND)
        return err;
    err = store_env_totals(&w->read, &count, &bytes);
    if (!err && count >= ENVS_MAX)
        err = err_set(HOIST_ELIMIT, "the store has %d environments, which is the limit", ENVS_MAX);
    if (!err)
        err = write_new_id(w, &env.id);
    if (err)
        return err;
    env.order = (uint16_t)count;
    memcpy(env.name, name, strlen(name) + 1);
    err = keep_env(w, &env, &e);
    if (err)
        return err;
    e->sum_known = e->sum_changed = true; /* of no flags: all zero */
    lthash_digest(&e->sum, e->env.digest);
    err = write_env_row(w, e);
    if (err)
        return err;
    w->mark_envs = w->announce = true;
    *ret = e->env;
    return HOIST_OK;
}

static size_t position(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

/* Orders are given anew: first as named, then the others as they came. */
static enum hoist_err put_order(struct store_write *w, const char *const *names, size_t count)
{
    struct store_env *envs = mem_zalloc(ENVS_MAX, sizeof *envs);
    if (!envs)
        return err_set(HOIST_ENOMEM, "out of memory");
    uint16_t n = 0, order = 0;
    enum hoist_err err = HOIST_OK;
    while (!err && n < ENVS_MAX) {
        err = store_env_at(&w->read, n, &envs[n]);
        n += !err;
    }
    if (err == HOIST_ENOTFOUND)
        err = HOIST_OK;
    for (size_t at = 0; !err && at <= count; at++)
        for (uint16_t i = 0; !err && i < n; i++) {
            if (position(names, count, envs[i].name) != at)
                continue;
            struct env_work *e;
            err = write_env(w, envs[i].id, &e);
            if (!err && e->env.order != order)
                w->mark_envs = w->announce = true;
            if (!err) {
                e->env.order = order++;
                err = write_env_row(w, e);
            }
        }
    mem_free(envs);
    return err;
}

/* Which environment is the first, also while it is not there yet. */
static enum hoist_err put_first(struct store_write *w, const char *name)
{
    MDB_val key = val_of(SLICE(ROW_FIRST)), row;
    struct slice first = slice_str(name);
    int rc = db_get(w->db, w->txn, DB_META, &key, &row);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "read the order of environments");
    if (rc == 0 && slice_eq(slice_val(row), first))
        return HOIST_OK;
    w->mark_envs = w->announce = true;
    return write_put(w, DB_META, val_of(SLICE(ROW_FIRST)), first, 0);
}

enum hoist_err store_env_order(struct store *s, const char *const *names, size_t count)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    err = put_order(w, names, count);
    if (!err && count > 0)
        err = put_first(w, names[0]);
    if (err || !w->announce) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

/* ------------------------------------------------------------------ begin and end */

enum hoist_err store_write_begin(struct store *s, struct store_write **ret)
{
    struct writer *wr = s->writer;
    assert(wr && !wr->busy);
    if (wr->broken)
        return err_set(HOIST_EUNKNOWN, "the disk failed while the store was written; it is to be "
                                       "opened again");
    struct store_write *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return err_set(HOIST_ENOMEM, "out of memory");
    w->store = s;
    w->db = atomic_load(&s->db);
    w->scratch = w->scratch_held = BUF_INIT(CHANGE_BYTES_MAX + 1024);
    int rc = mdb_txn_begin(w->db->env, NULL, 0, &w->txn);
    if (rc != 0) {
        mem_free(w);
        if (rc == MDB_PANIC)
            wr->broken = true;
        return rc == MDB_PANIC ? err_set(HOIST_EUNKNOWN, "the disk failed while the store was "
                                                         "written; it is to be opened again")
                               : db_err(rc, "begin to write");
    }
    w->read = (struct store_read){.store = s, .db = w->db, .txn = w->txn, .in_write = true};
    wr->busy = true;
    *ret = w;
    return HOIST_OK;
}

struct store_read *store_write_read(struct store_write *w)
{
    return &w->read;
}

static void free_write(struct store_write *w)
{
    for (size_t i = 0; i < w->env_count; i++)
        mem_free(w->envs[i]);
    mem_free(w->envs);
    mem_free(w->read.history);
    buf_done(&w->scratch);
    buf_done(&w->scratch_held);
    w->store->writer->busy = false;
    mem_free(w);
}

void store_write_abort(struct store_write *w)
{
    if (!w)
        return;
    mdb_txn_abort(w->txn);
    free_write(w);
}

/* Readers must not trust what they cached of these from the commit on: so it is said before it. A
 * commit that then fails has cost them some reading. */
static void mark(struct store_write *w, uint64_t id)
{
    struct counters *c = &w->db->counters;
    if (w->mark_envs || w->mark_all)
        counters_mark_envs(c, id);
    if (w->mark_all) {
        counters_mark_all(c, id);
        return;
    }
    for (uint32_t shard = 0; shard < STORE_SHARDS; shard++)
        if (w->marked[shard / 8] & 1u << shard % 8)
            counters_mark(c, shard, id);
}

/*
 * What a failed commit has left. LMDB writes pages, syncs them, and only then the page that names
 * them: without room nothing was done. After a failed sync, or when that last page failed (then it
 * refuses all that follows), what will be on the disk is not known.
 */
static enum hoist_err commit_failed(struct store_write *w, int rc)
{
    MDB_txn *probe = NULL;
    bool refuses = mdb_txn_begin(w->db->env, NULL, 0, &probe) == MDB_PANIC;
    if (probe)
        mdb_txn_abort(probe);
    if (!refuses && rc != EIO)
        return db_err(rc, "commit");
    w->store->writer->broken = true;
    return err_set(
        HOIST_EUNKNOWN,
        "store: the disk failed during a commit (%s): it is not known whether it was done",
        mdb_strerror(rc));
}

enum hoist_err store_write_commit(struct store_write *w)
{
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; !err && i < w->env_count; i++)
        if (w->envs[i]->sum_changed)
            err = write_sum_row(w, w->envs[i]);
    if (!err)
        err = db_err(seal_commit(w->db, w->txn), "seal the rows");
    if (err) {
        store_write_abort(w);
        return err;
    }
    uint64_t id = w->db->base + mdb_txn_id(w->txn);
    mark(w, id);
    int rc = mdb_txn_commit(w->txn);
    if (rc != 0)
        err = commit_failed(w, rc);
    else if (w->announce)
        counters_announce(&w->db->counters, id);
    free_write(w);
    return err;
}
