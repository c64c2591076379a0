/* check_usage.c - what is kept of how often flags are evaluated: each row is what was written, and of
 * a flag that is there. */
#include "store/check_int.h"
#include "store/sealed.h"
#include "store/usage.h"

static bool is_of_flag(struct check *c, struct slice row_key)
{
    MDB_val key = val_of(row_key), row;
    return row_key.len > sizeof(uint16_t) && db_get(c->r->db, c->r->txn, DB_FLAGS, &key, &row) == 0;
}

enum hoist_err check_usage(struct check *c)
{
    struct walk w;
    struct slice rest;
    enum hoist_err err = walk_begin(c, DB_USAGE, NULL, &w);
    while (!err && walk_next(&w))
        if (!sealed_open(w.row_key, w.row, &rest))
            check_tell(c, DB_USAGE, w.row_key,
                       "the row is not what was written: its checksum is another");
        else if (usage_row_is_since(w.row_key) && rest.len != 8)
            check_tell(c, DB_USAGE, w.row_key, "since when is counted has %zu bytes", rest.len);
        else if (!usage_row_is_since(w.row_key) && !is_of_flag(c, w.row_key))
            check_tell(c, DB_USAGE, w.row_key, "it is of a flag that is not there");
    walk_end(&w);
    return err;
}
