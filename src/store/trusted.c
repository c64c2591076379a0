/* trusted.c - what a host has learnt of whom it follows: certificates of signing keys, and how far the
 * primary's heartbeats had counted. */
#include "store/write_int.h"

#include "store/rows.h"

static MDB_val key_of(const char *name)
{
    return val_of(slice_str(name));
}

static enum hoist_err get(struct store_read *r, const char *name, struct slice *ret)
{
    MDB_val key = key_of(name), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc == MDB_NOTFOUND)
        return HOIST_ENOTFOUND;
    if (rc != 0)
        return db_err(rc, "read what is known of the primary");
    *ret = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_keys_get(struct store_read *r, struct slice *ret)
{
    return get(r, ROW_KEYS, ret);
}

enum hoist_err store_keys_put(struct store_write *w, struct slice certificates)
{
    return write_put(w, DB_META, key_of(ROW_KEYS), certificates, 0);
}

enum hoist_err store_origin_get(struct store_read *r, uint64_t *ret)
{
    struct slice row = {0};
    enum hoist_err err = get(r, ROW_ORIGIN, &row);
    if (err == HOIST_OK && row.len != sizeof *ret)
        err = err_set(HOIST_ECORRUPT, "store: a heartbeat's counter of %zu bytes", row.len);
    if (err == HOIST_OK)
        *ret = be64_read(row.ptr);
    return err;
}

enum hoist_err store_origin_put(struct store_write *w, uint64_t counter)
{
    uint8_t row[sizeof counter];
    be64_write(row, counter);
    return write_put(w, DB_META, key_of(ROW_ORIGIN), slice_of(row, sizeof row), 0);
}
