#include "store/seal.h"
#include "store/upkeep.h"

/* The first environment whose rows are to go. ENOTFOUND: none. */
static enum hoist_err first_gone(struct store *s, uint16_t *ret)
{
    struct store_read *r;
    MDB_cursor *cursor;
    MDB_val key = val_of(SLICE("gone:")), row;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err)
        return err;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_META], &cursor);
    if (rc == 0) {
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
        if (rc == 0 && (key.mv_size != 7 || memcmp(key.mv_data, "gone:", 5) != 0))
            rc = MDB_NOTFOUND;
        if (rc == 0)
            *ret = be16_read((uint8_t *)key.mv_data + 5);
        mdb_cursor_close(cursor);
    }
    store_read_end(r);
    return db_err(rc, "look for what is to be deleted");
}

struct budget {
    size_t rows, bytes;
};

static bool is_spent(const struct budget *b)
{
    return b->rows >= PIECE_ROWS || b->bytes >= PIECE_BYTES;
}

static enum hoist_err delete_rows(struct store_write *w, enum db_name name, uint16_t id,
                                  struct budget *spent)
{
    MDB_cursor *cursor;
    struct slice rest;
    int rc = mdb_cursor_open(w->txn, w->db->dbi[name], &cursor);
    while (rc == 0 && !is_spent(spent)) {
        struct row_key k = row_flag(id, (struct slice){0});
        MDB_val key = val_key(&k), row;
        rc = db_cursor_get(w->db, cursor, &key, &row, MDB_SET_RANGE);
        if (rc != 0 || !row_is_of(key, id, &rest))
            break;
        spent->rows++;
        spent->bytes += key.mv_size + row.mv_size;
        rc = seal_del(w->db, w->txn, name, key);
        if (rc == 0)
            rc = mdb_cursor_del(cursor, name == DB_TOUCH ? MDB_NODUPDATA : 0);
    }
    w->read.puts++;
    return rc == MDB_NOTFOUND ? HOIST_OK : db_err(rc, "delete an old environment");
}

static enum hoist_err delete_meta(struct store_write *w, uint16_t id)
{
    static const char *const prefixes[] = {"sum:", "cut:", "base:", "gone:"};
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; !err && i < sizeof prefixes / sizeof *prefixes; i++) {
        struct row_key k = row_meta(prefixes[i], id);
        err = write_del(w, DB_META, val_key(&k));
    }
    return err;
}

enum hoist_err gone_delete(struct store *s, bool *ret_more)
{
    static const enum db_name names[] = {DB_USAGE,    DB_FLAGS, DB_HELD,
                                         DB_BASELINE, DB_TOUCH, DB_LOG};
    struct store_write *w;
    struct budget spent = {0};
    uint16_t id = 0;
    enum hoist_err err = first_gone(s, &id);
    if (err)
        return err == HOIST_ENOTFOUND ? HOIST_OK : err;
    err = store_write_begin(s, &w);
    if (err)
        return err;
    for (size_t i = 0; !err && !is_spent(&spent) && i < sizeof names / sizeof *names; i++)
        err = delete_rows(w, names[i], id, &spent);
    if (!err && !is_spent(&spent))
        err = delete_meta(w, id);
    if (err) {
        store_write_abort(w);
        return err;
    }
    *ret_more = true; /* the rest, or the next one */
    return store_write_commit(w);
}
