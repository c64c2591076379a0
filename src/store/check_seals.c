/* check_seals.c - whether each row that has a seal is what was sealed. */
#include "store/check_int.h"

#include "store/seal.h"

struct sealed {
    struct check *c;
    bool tell;
    uint64_t rows, broken;
};

static void check_seal(struct sealed *s, const struct walk *w)
{
    struct seal seal = seal_make(w->name, val_of(w->row_key), w->row);
    MDB_val key = {seal.key_len, seal.key}, there;
    s->rows++;
    if (db_get(s->c->r->db, s->c->r->txn, DB_SEALS, &key, &there) == 0 &&
        slice_eq(slice_val(there), slice_of(seal.hash, sizeof seal.hash)))
        return;
    s->broken++;
    if (s->tell)
        check_tell(s->c, w->name, w->row_key,
                   "the row is not what was written: its checksum is "
                   "another");
}

/* These every start writes, also one of a program that keeps no seals. */
static bool is_of_start(const struct walk *w)
{
    static const char *const names[] = {"store", "host", ROW_ROLE};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (w->name == DB_META && slice_eq(w->key, slice_str(names[i])))
            return true;
    return false;
}

static enum hoist_err check_database(struct sealed *s, enum db_name name)
{
    struct walk w;
    enum hoist_err err = walk_begin(s->c, name, NULL, &w);
    while (!err && walk_next(&w)) {
        s->c->sums.rows--; /* counted elsewhere */
        if (s->tell || !is_of_start(&w))
            check_seal(s, &w);
    }
    walk_end(&w);
    return err;
}

static enum hoist_err check_databases(struct sealed *s)
{
    enum hoist_err err = HOIST_OK;
    for (int name = 0; !err && name < DB_COUNT; name++)
        if (seal_has((enum db_name)name))
            err = check_database(s, (enum db_name)name);
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

/*
 * A start that the seals do not know is of a program that keeps none: then they are of rows of
 * before, until the next start seals all anew. If nothing else differs, that number itself is wrong.
 */
enum hoist_err check_seals(struct check *c)
{
    struct sealed s = {.c = c};
    uint64_t last;
    enum hoist_err err = seal_starts(c->r->db, c->r->txn, &last);
    struct row_key k = {.bytes = "store", .len = 5};
    struct slice row;
    if (err || !c->r->db->dbi[DB_SEALS])
        return err;
    if (last == 0) /* no start has sealed anything yet */
        return count_seals(c, 0);
    uint64_t starts = check_meta(c, k, &row) && row.len == STORE_ID_SIZE + 8
                          ? be64_read(row.ptr + STORE_ID_SIZE)
                          : 0;
    s.tell = last == starts;
    err = check_databases(&s);
    if (!err && s.tell)
        err = count_seals(c, s.rows + 1 /* the start's number */);
    if (!err && !s.tell && s.broken == 0)
        check_tell(c, DB_META, slice_of(k.bytes, k.len),
                   "the number of starts is not what was written");
    return err;
}
