/* hosts.c - the ledger of hosts: a row for each id, of whose contents the store knows nothing. */
#include "store/write_int.h"

enum { HOST_ID_MAX = 255 };

static bool is_id(struct slice id)
{
    return id.len > 0 && id.len <= HOST_ID_MAX;
}

static int step(struct db *db, MDB_cursor *cursor, struct slice after, MDB_val *key, MDB_val *row)
{
    *key = val_of(after);
    int rc = db_cursor_get(db, cursor, key, row, after.len ? MDB_SET_RANGE : MDB_FIRST);
    if (rc == 0 && after.len && slice_eq(slice_val(*key), after))
        rc = db_cursor_get(db, cursor, key, row, MDB_NEXT);
    return rc;
}

enum hoist_err store_host_next(struct store_read *r, struct slice after, struct slice *ret_id,
                               struct slice *ret_row)
{
    MDB_cursor *cursor;
    MDB_val key, row;
    if (!r->db->dbi[DB_FLEET] || after.len > HOST_ID_MAX)
        return HOIST_ENOTFOUND;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_FLEET], &cursor);
    if (rc != 0)
        return db_err(rc, "read the ledger of hosts");
    rc = step(r->db, cursor, after, &key, &row);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read the ledger of hosts");
    *ret_id = slice_val(key);
    *ret_row = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_host_put(struct store_write *w, struct slice id, struct slice row)
{
    if (!is_id(id))
        return err_set(HOIST_EINVAL, "store: a host's id has 1 to %d bytes", HOST_ID_MAX);
    return write_put(w, DB_FLEET, val_of(id), row, 0);
}

enum hoist_err store_host_delete(struct store_write *w, struct slice id)
{
    return is_id(id) ? write_del(w, DB_FLEET, val_of(id)) : HOIST_OK;
}
