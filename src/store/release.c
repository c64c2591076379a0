/* release.c - rows of releases: u32 release, u64 sequence → checksum, row. What they say is the primary's
 * to know; here they are bytes that stay in their order. A release's first row has sequence 0.
 *
 * The checksum is in the row for the reason that usage.c gives.
 */
#include "store/check_int.h"
#include "store/seal.h"
#include "store/write_int.h"

enum { KEY_SIZE = 12 };

static void make_key(uint8_t out[KEY_SIZE], uint32_t id, uint64_t sequence)
{
    be32_write(out, id);
    be64_write(out + 4, sequence);
}

/* The row without its checksum; false: that is another's. */
static bool open_row(struct slice key, struct slice row, struct slice *ret)
{
    uint8_t hash[SEAL_SIZE];
    if (row.len < SEAL_SIZE)
        return false;
    *ret = slice_of(row.ptr + SEAL_SIZE, row.len - SEAL_SIZE);
    seal_hash(val_of(key), *ret, hash);
    return memcmp(row.ptr, hash, sizeof hash) == 0;
}

enum hoist_err store_release_put(struct store_write *w, uint32_t id, uint64_t sequence,
                                 struct slice row)
{
    uint8_t key[KEY_SIZE], hash[SEAL_SIZE];
    make_key(key, id, sequence);
    seal_hash(val_of(slice_of(key, sizeof key)), row, hash);
    buf_clear(&w->scratch);
    buf_add(&w->scratch, hash, sizeof hash);
    buf_add_slice(&w->scratch, row);
    enum hoist_err err = buf_err(&w->scratch);
    return err ? err
               : write_put(w, DB_RELEASES, val_of(slice_of(key, sizeof key)),
                           buf_slice(&w->scratch), 0);
}

static enum hoist_err give(MDB_val key, MDB_val row, struct store_release_row *ret)
{
    if (key.mv_size != KEY_SIZE || !open_row(slice_val(key), slice_val(row), &ret->row))
        return err_set(HOIST_ECORRUPT, "store: a row of a release is not what was written");
    ret->id = be32_read(key.mv_data);
    ret->sequence = be64_read((const uint8_t *)key.mv_data + 4);
    return HOIST_OK;
}

enum hoist_err store_release_next(struct store_read *r, uint32_t id, uint64_t sequence,
                                  struct store_release_row *ret)
{
    uint8_t at[KEY_SIZE];
    MDB_cursor *cursor;
    MDB_val key = {sizeof at, at}, row;
    make_key(at, id, sequence);
    if (!r->db->dbi[DB_RELEASES])
        return HOIST_ENOTFOUND;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_RELEASES], &cursor);
    if (rc != 0)
        return db_err(rc, "read releases");
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    return rc ? db_err(rc, "read releases") : give(key, row, ret);
}

enum hoist_err check_releases(struct check *c)
{
    struct walk w;
    struct slice rest;
    uint32_t id = 0;
    uint64_t next = 0;
    enum hoist_err err = walk_begin(c, DB_RELEASES, NULL, &w);
    while (!err && walk_next(&w)) {
        if (w.row_key.len != KEY_SIZE || !open_row(w.row_key, w.row, &rest)) {
            check_tell(c, DB_RELEASES, w.row_key,
                       "the row is not what was written: its checksum is another");
            continue;
        }
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
