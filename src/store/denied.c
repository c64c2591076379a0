/* denied.c - the last commands that were denied, a row each, whose contents are the primary's.
 *
 *   "d" sequence → row          in the database of answers
 */
#include "store/write_int.h"

enum { KEEP_DENIED = 10000 };

static struct row_key row_denied(uint64_t sequence)
{
    struct row_key k = {.len = 1 + sizeof sequence};
    k.bytes[0] = ROW_DENIED;
    be64_write(k.bytes + 1, sequence);
    return k;
}

enum hoist_err store_denial_before(struct store_read *r, uint64_t before, uint64_t *ret_sequence,
                                   struct slice *ret_row)
{
    MDB_cursor *cursor;
    struct row_key k = row_denied(before);
    MDB_val key = val_key(&k), row;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_COMMANDS], &cursor);
    if (rc != 0)
        return db_err(rc, "read what was denied");
    /* What stands before the first row that is not before it. */
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
    if (rc == 0 || rc == MDB_NOTFOUND)
        rc = db_cursor_get(r->db, cursor, &key, &row, rc == 0 ? MDB_PREV : MDB_LAST);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read what was denied");
    struct slice found = slice_val(key);
    if (found.len != k.len || found.ptr[0] != ROW_DENIED)
        return HOIST_ENOTFOUND;
    *ret_sequence = be64_read(found.ptr + 1);
    *ret_row = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_denial_put(struct store_write *w, struct slice row)
{
    uint64_t sequence = 0;
    struct slice newest;
    if (row.len == 0 || row.len > STORE_DENIAL_MAX)
        return err_set(HOIST_EINVAL, "store: a denial has 1 to %d bytes", STORE_DENIAL_MAX);
    enum hoist_err err = store_denial_before(&w->read, UINT64_MAX, &sequence, &newest);
    if (err && err != HOIST_ENOTFOUND)
        return err;
    struct row_key k = row_denied(++sequence);
    err = write_put(w, DB_COMMANDS, val_key(&k), row, 0);
    if (err || sequence <= KEEP_DENIED)
        return err;
    k = row_denied(sequence - KEEP_DENIED);
    return write_del(w, DB_COMMANDS, val_key(&k));
}
