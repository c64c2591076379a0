#include "store/write_int.h"

#include "base/log.h"
#include "store/files.h"
#include "store/seal.h"

/* Transactions of the copy begin at 1 again: from here on they count above all that were. */
static int put_base_row(struct db *db, MDB_txn *txn, uint64_t base, uint64_t copied_txn)
{
    uint8_t row[8];
    uint64_t sealed_txn;
    be64_write(row, base);
    MDB_val key = val_of(SLICE("base")), value = {sizeof row, row};
    if (seal_last(db, txn, &sealed_txn) != HOIST_OK)
        return MDB_CORRUPTED;
    int rc = mdb_put(txn, db->dbi[DB_META], &key, &value, 0);
    struct seal seal = seal_make(DB_META, key, slice_of(row, sizeof row));
    if (rc == 0)
        rc = seal_put(db, txn, &seal);
    if (rc == 0)
        rc = sealed_txn == copied_txn ? seal_commit(db, txn) : seal_forget(db, txn);
    return rc;
}

static enum hoist_err put_base(struct db *db, uint64_t base, uint64_t copied_txn)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0)
        return db_err(rc, "begin to write");
    rc = put_base_row(db, txn, base, copied_txn);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return db_err(rc, "write");
    }
    db->base = base;
    counters_mark_all(&db->counters, base + mdb_txn_id(txn));
    counters_mark_envs(&db->counters, base + mdb_txn_id(txn));
    return db_err(mdb_txn_commit(txn), "commit");
}

static void copy_status(struct db *from, struct db *to)
{
    struct buf text = BUF_INIT(STATUS_TEXT_MAX);
    if (from->counters.head && counters_get_status(&from->counters, &text) == HOIST_OK &&
        counters_put_status(&to->counters, buf_slice(&text)) != HOIST_OK)
        log_debug("store: the status text was not carried over");
    buf_done(&text);
}

static enum hoist_err copy(struct store *s, struct db *from, uint32_t number, struct db **ret)
{
    struct writer *wr = s->writer;
    struct db *db = NULL;
    char path[PATH_MAX];
    MDB_envinfo info;
    if (!path_number(path, s->dir, number))
        return err_set(HOIST_EINVAL, "%s: the path is too long", s->dir);
    enum hoist_err err = number_prepare(s->dir, number, wr->options.primary, from->store_id);
    if (err)
        return err;
    err = db_err(mdb_env_copy2(from->env, path, MDB_CP_COMPACT), "copy the store");
    if (!err)
        err = db_err(mdb_env_info(from->env, &info), "look at the store");
    const struct db_options o = writer_db_options(wr);
    if (!err)
        err = db_open(s->dir, number, &o, &db);
    if (!err && !db->counters.head)
        err = err_set(HOIST_EIO, "store: cannot map %s/counters", db->path);
    if (!err)
        err = put_base(db, from->base + info.me_last_txnid + 1, info.me_last_txnid);
    if (err)
        db_free(db);
    else
        *ret = db;
    return err;
}

enum hoist_err rotate(struct store *s)
{
    struct db *from = atomic_load(&s->db), *to = NULL;
    uint32_t number = from->number + 1;
    enum hoist_err err = copy(s, from, number, &to);
    if (!err)
        err = number_finish(s->writer, s->dir, to);
    if (err) {
        db_free(to);
        if (err ==
            HOIST_EUNKNOWN) /* the link leads there: whoever opens the store anew goes on there */
            s->writer->broken = true;
        else
            files_remove_number(s->dir, number);
        return err_prefix(err, "store: cannot move to a new file");
    }
    copy_status(from, to);
    pthread_mutex_lock(&s->swap_lock);
    store_swap(s, to);
    pthread_mutex_unlock(&s->swap_lock);
    if (from->counters.head)
        counters_retire(&from->counters);
    files_remove_number(s->dir, from->number);
    store_end_older(s);
    atomic_fetch_add(&s->writer->rotations, 1);
    return HOIST_OK;
}
