/* recover.c - a new store from a backup. It is filled and synced before anything leads to it: what
 * a crash leaves is a numbered directory without a link, as when a store was being made. */
#include "store/write_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backup.h"
#include "store/files.h"

enum { PIECE_BYTES = 4 << 20 };

struct filling {
    struct db *db;
    MDB_txn *txn; /* NULL: none is open */
    size_t bytes; /* in it */
};

/* What is of the store that the backup was made of, and not of its flags. */
static bool is_of_the_other(MDB_val key)
{
    static const char *const names[] = {"format", "store", "base", "probe", "host", ROW_ROLE};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq(slice_val(key), slice_str(names[i])))
            return true;
    return false;
}

static enum hoist_err commit(struct filling *f)
{
    if (!f->txn)
        return HOIST_OK;
    int rc = mdb_txn_commit(f->txn);
    f->txn = NULL;
    f->bytes = 0;
    if (rc == EIO) /* what LMDB makes of a write that ended early */
        return err_set(HOIST_EIO, "store: commit: %s; is the disk full?", strerror(rc));
    return db_err(rc, "commit");
}

/* Rows come sorted, as the other store gave them. */
static enum hoist_err put_row(void *arg, enum db_name name, MDB_val key, MDB_val row)
{
    struct filling *f = arg;
    if (name == DB_META && is_of_the_other(key))
        return HOIST_OK;
    if (key.mv_size == 0 || key.mv_size > ROW_KEY_MAX)
        return err_set(HOIST_ECORRUPT, "the backup is damaged: a key of %zu bytes", key.mv_size);
    if (name == DB_TOUCH && row.mv_size != 8)
        return err_set(HOIST_ECORRUPT, "the backup is damaged: a version of %zu bytes",
                       row.mv_size);
    int rc = f->txn ? 0 : mdb_txn_begin(f->db->env, NULL, 0, &f->txn);
    if (rc != 0)
        return db_err(rc, "begin to write");
    unsigned flags = name == DB_META || name == DB_TOUCH ? 0 : MDB_APPEND;
    rc = mdb_put(f->txn, f->db->dbi[name], &key, &row, flags);
    if (rc == MDB_KEYEXIST)
        return err_set(HOIST_ECORRUPT, "the backup is damaged: its rows are not in order");
    f->bytes += key.mv_size + row.mv_size;
    if (rc == 0 && f->bytes >= PIECE_BYTES)
        return commit(f);
    return db_err(rc, "write");
}

static enum hoist_err fill(struct db *db, int fd, struct store_backup_info *ret_info)
{
    struct filling f = {.db = db};
    enum hoist_err err = backup_walk(fd, put_row, &f, ret_info);
    if (!err)
        err = commit(&f);
    if (f.txn)
        mdb_txn_abort(f.txn);
    return err;
}

static enum hoist_err check_none_there(const char *dir)
{
    uint32_t number;
    enum hoist_err err = files_current(dir, &number);
    if (err == HOIST_ENOTFOUND)
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "there is a store in %s already, which is left as it is; name a directory that "
                   "is empty or not there",
                   dir);
}

enum hoist_err recover_fill(const struct writer *wr, const char *dir, int fd,
                            struct store_backup_info *ret_info, struct db **ret)
{
    enum { NUMBER = 1 };
    uint8_t id[STORE_ID_SIZE];
    struct db *db = NULL;
    struct db_options o = writer_db_options(wr);
    enum hoist_err err = check_none_there(dir);
    if (!err) /* all of it first: a backup that is damaged should not cost a store's worth of disk */
        err = store_backup_check(fd, ret_info);
    if (err)
        return err;
    hash_random(id, sizeof id);
    o.create = id;
    files_remove_others(dir, 0);
    err = number_prepare(dir, NUMBER, wr->options.primary, id);
    if (!err)
        err = db_open(dir, NUMBER, &o, &db);
    if (!err)
        err = fill(db, fd, ret_info);
    if (err) {
        db_free(db);
        files_remove_number(dir, NUMBER);
    } else {
        *ret = db;
    }
    return err;
}

enum hoist_err store_recover_begin(const char *dir, const struct store_options *options, int fd,
                                   struct store **ret, struct store_backup_info *ret_info)
{
    struct backup_source from = {.fd = fd};
    enum hoist_err err = writer_open(dir, options, &from, ret);
    if (!err)
        *ret_info = from.info;
    return err;
}

void store_recover_abort(struct store *s)
{
    char dir[PATH_MAX];
    uint32_t current;
    if (!s)
        return;
    uint32_t number = atomic_load(&s->db)->number;
    snprintf(dir, sizeof dir, "%s", s->dir);
    store_close(s);
    if (files_current(dir, &current) == HOIST_ENOTFOUND)
        files_remove_number(dir, number);
}

enum hoist_err store_recover_finish(struct store *s)
{
    return number_finish(s->writer, s->dir, atomic_load(&s->db));
}
