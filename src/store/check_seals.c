/* check_seals.c - whether each row that has a seal is what was sealed. */
#include "store/check_int.h"

#include "store/seal.h"

static bool is_sealed(struct check *c, enum db_name name, struct slice row_key, struct slice row)
{
    struct seal seal = seal_make(name, val_of(row_key), row);
    MDB_val key = {seal.key_len, seal.key}, there;
    return db_get(c->r->db, c->r->txn, DB_SEALS, &key, &there) == 0 &&
           slice_eq(slice_val(there), slice_of(seal.hash, sizeof seal.hash));
}

static enum hoist_err check_database(struct check *c, enum db_name name, uint64_t *rows)
{
    struct walk w;
    enum hoist_err err = walk_begin(c, name, NULL, &w);
    while (!err && walk_next(&w)) {
        c->sums.rows--; /* counted elsewhere */
        ++*rows;
        if (!is_sealed(c, name, w.row_key, w.row))
            check_tell(c, name, w.row_key,
                       "the row is not what was written: its checksum is another");
    }
    walk_end(&w);
    return err;
}

static enum hoist_err count_seals(struct check *c, uint64_t due)
{
    struct walk w;
    uint64_t seals = 0;
    enum hoist_err err = walk_begin(c, DB_SEALS, NULL, &w);
    while (!err && walk_next(&w))
        seals++;
    walk_end(&w);
    if (!err && seals != due)
        check_tell(c, DB_SEALS, (struct slice){0}, "there are not as many checksums as rows");
    return err;
}

static bool start_is_sealed(struct check *c)
{
    struct row_key k = {.bytes = "store", .len = 5};
    struct slice row;
    return check_meta(c, k, &row) && is_sealed(c, DB_META, slice_of(k.bytes, k.len), row);
}

/*
 * A last commit that is not in the seals is of a program that keeps none: they are of rows of before,
 * until the next start seals all anew. But such a program has also counted its start.
 */
enum hoist_err check_seals(struct check *c)
{
    uint64_t last, rows = 0;
    if (!c->r->db->dbi[DB_SEALS])
        return HOIST_OK;
    enum hoist_err err = seal_last(c->r->db, c->r->txn, &last);
    if (err)
        return err;
    if (last == 0) /* no start has sealed anything yet */
        return count_seals(c, 0);
    if (last != mdb_txn_id(c->r->txn)) {
        if (!start_is_sealed(c))
            return HOIST_OK;
        check_tell(c, DB_SEALS, (struct slice){0}, "the number of the last commit is another");
    }
    for (int name = 0; !err && name < DB_COUNT; name++)
        if (seal_has((enum db_name)name))
            err = check_database(c, (enum db_name)name, &rows);
    return err ? err : count_seals(c, rows + 1 /* the commit's number */);
}
