/* usage.c - what a primary keeps of how often flags are evaluated: a row for each flag, of whose
 * contents the store knows nothing, and since when it has counted.
 *
 *   id key → checksum, row        "s" → checksum, since when: i64
 *
 * It is no part of any history, goes with its flag, and is not in a backup: a store that goes on from
 * one did not see what was evaluated meanwhile, and begins to count anew.
 */
#include "store/usage.h"

#include "store/sealed.h"

#define KEY_SINCE "s"

bool usage_row_is_since(struct slice row_key)
{
    return slice_eq(row_key, SLICE(KEY_SINCE));
}

static enum hoist_err get(struct store_read *r, MDB_val key, struct slice *ret)
{
    MDB_val row;
    if (!r->db->dbi[DB_USAGE])
        return HOIST_ENOTFOUND;
    int rc = db_get(r->db, r->txn, DB_USAGE, &key, &row);
    if (rc != 0)
        return db_err(rc, "read how often a flag was evaluated");
    if (!sealed_open(slice_val(key), slice_val(row), ret))
        return err_set(HOIST_ECORRUPT, "store: a row of usage is not what was written");
    return HOIST_OK;
}

enum hoist_err store_usage_get(struct store_read *r, uint16_t env, struct slice key,
                               struct slice *ret_row)
{
    struct row_key k = row_flag(env, key);
    return get(r, val_key(&k), ret_row);
}

enum hoist_err store_usage_put(struct store_write *w, uint16_t env, struct slice key,
                               struct slice row)
{
    if (key.len == 0 || key.len > FLAG_KEY_BYTES_MAX)
        return err_set(HOIST_EINVAL, "store: a flag's key has 1 to %d bytes", FLAG_KEY_BYTES_MAX);
    struct row_key k = row_flag(env, key);
    return sealed_put(w, DB_USAGE, val_key(&k), row);
}

enum hoist_err store_usage_since(struct store_read *r, int64_t *ret_ms)
{
    struct slice row;
    enum hoist_err err = get(r, val_of(SLICE(KEY_SINCE)), &row);
    if (!err && row.len != 8)
        err = err_set(HOIST_ECORRUPT, "store: since when evaluations are counted is damaged");
    if (!err)
        *ret_ms = (int64_t)be64_read(row.ptr);
    return err;
}

enum hoist_err store_usage_begin(struct store_write *w, int64_t now_ms)
{
    uint8_t row[8];
    be64_write(row, (uint64_t)now_ms);
    return sealed_put(w, DB_USAGE, val_of(SLICE(KEY_SINCE)), slice_of(row, sizeof row));
}

enum hoist_err usage_forget(struct store_write *w)
{
    int rc = mdb_drop(w->txn, w->db->dbi[DB_USAGE], 0);
    w->read.puts++;
    return rc ? db_err(rc, "forget how often flags were evaluated") : HOIST_OK;
}
