/* release.c - rows of releases: u32 release, u64 sequence → checksum, row. What they say is the primary's
 * to know; here they are bytes that stay in their order. A release's first row has sequence 0. */
#include "store/check_int.h"
#include "store/sealed.h"

enum { KEY_SIZE = 12 };

static void make_key(uint8_t out[KEY_SIZE], uint32_t id, uint64_t sequence)
{
    be32_write(out, id);
    be64_write(out + 4, sequence);
}

enum hoist_err store_release_put(struct store_write *w, uint32_t id, uint64_t sequence,
                                 struct slice row)
{
    uint8_t key[KEY_SIZE];
    make_key(key, id, sequence);
    return sealed_put(w, DB_RELEASES, val_of(slice_of(key, sizeof key)), row);
}

enum hoist_err release_rows_forget(struct store_write *w)
{
    int rc = mdb_drop(w->txn, w->db->dbi[DB_RELEASES], 0);
    w->read.puts++;
    return rc ? db_err(rc, "forget releases") : write_del(w, DB_META, val_of(SLICE(ROW_ENDED)));
}

/* Unless it is another release's, damaged or not. */
static enum hoist_err give(uint32_t id, MDB_val key, MDB_val row, struct store_release_row *ret)
{
    if (key.mv_size == KEY_SIZE && be32_read(key.mv_data) != id)
        return HOIST_ENOTFOUND;
    if (key.mv_size != KEY_SIZE || !sealed_open(slice_val(key), slice_val(row), &ret->row))
        return err_set(HOIST_ECORRUPT, "store: a row of a release is not what was written");
    ret->sequence = be64_read((const uint8_t *)key.mv_data + 4);
    return HOIST_OK;
}

/* The first row at or behind `at`, the KEY_SIZE bytes of a key. */
static enum hoist_err find(struct store_read *r, uint8_t at[KEY_SIZE], MDB_val *key, MDB_val *row)
{
    MDB_cursor *cursor;
    *key = (MDB_val){KEY_SIZE, at};
    if (!r->db->dbi[DB_RELEASES])
        return HOIST_ENOTFOUND;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_RELEASES], &cursor);
    if (rc != 0)
        return db_err(rc, "read releases");
    rc = db_cursor_get(r->db, cursor, key, row, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    return rc ? db_err(rc, "read releases") : HOIST_OK;
}

enum hoist_err store_release_find(struct store_read *r, uint32_t id, uint32_t *ret_id)
{
    uint8_t at[KEY_SIZE];
    MDB_val key, row;
    make_key(at, id, 0);
    enum hoist_err err = find(r, at, &key, &row);
    if (!err && key.mv_size != KEY_SIZE)
        err = err_set(HOIST_ECORRUPT, "store: a row of a release is not what was written");
    if (!err)
        *ret_id = be32_read(key.mv_data);
    return err;
}

enum hoist_err store_release_next(struct store_read *r, uint32_t id, uint64_t sequence,
                                  struct store_release_row *ret)
{
    uint8_t at[KEY_SIZE];
    MDB_val key, row;
    make_key(at, id, sequence);
    enum hoist_err err = find(r, at, &key, &row);
    return err ? err : give(id, key, row, ret);
}

enum hoist_err store_releases_ended(struct store_read *r, uint32_t *ret_id)
{
    MDB_val key = val_of(SLICE(ROW_ENDED)), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc != 0)
        return db_err(rc, "read which releases have ended");
    if (row.mv_size != sizeof *ret_id)
        return err_set(HOIST_ECORRUPT, "store: a number of a release of %zu bytes", row.mv_size);
    *ret_id = be32_read(row.mv_data);
    return HOIST_OK;
}

enum hoist_err store_releases_end(struct store_write *w, uint32_t id)
{
    uint8_t row[sizeof id];
    be32_write(row, id);
    return write_put(w, DB_META, val_of(SLICE(ROW_ENDED)), slice_of(row, sizeof row), 0);
}

enum hoist_err check_releases(struct check *c)
{
    struct walk w;
    struct slice rest;
    uint32_t id = 0;
    uint64_t next = 0;
    enum hoist_err err = walk_begin(c, DB_RELEASES, NULL, &w);
    while (!err && walk_next(&w)) {
        bool is_key = w.row_key.len == KEY_SIZE;
        if (!is_key || !sealed_open(w.row_key, w.row, &rest))
            check_tell(c, DB_RELEASES, w.row_key,
                       "the row is not what was written: its checksum is another");
        if (!is_key)
            continue;
        uint64_t sequence = be64_read(w.row_key.ptr + 4);
        if (be32_read(w.row_key.ptr) != id || next == 0) {
            id = be32_read(w.row_key.ptr);
            next = 0;
        }
        if (sequence != next)
            check_tell(c, DB_RELEASES, w.row_key, "what happened before it is missing");
        next = sequence + 1;
    }
    walk_end(&w);
    return err;
}
