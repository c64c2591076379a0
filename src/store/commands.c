#include "store/write_int.h"

#include "store/upkeep.h"

/*
 * Answers to commands, so that one that is repeated is answered and not done again. They are kept
 * by request, and by a sequence number that tells which is the oldest:
 *
 *   "i" request  → sequence u64, time i64, answer
 *   "s" sequence → request
 */
enum { KEEP_COUNT = 10000, KEEP_MS = 10 * 60 * 1000, PIECE = 256 };

/* Old answers go when they are many, or long: each may be the list of a whole import. */
static const uint64_t keep_bytes = UINT64_C(64) << 20;

static enum hoist_err get_bytes(struct store_read *r, uint64_t *ret)
{
    MDB_val key = val_of(SLICE("answers")), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "read the size of answers");
    *ret = rc == 0 && row.mv_size == 8 ? be64_read(row.mv_data) : 0;
    return HOIST_OK;
}

static enum hoist_err put_bytes(struct store_write *w, uint64_t bytes)
{
    uint8_t row[8];
    be64_write(row, bytes);
    return write_put(w, DB_META, val_of(SLICE("answers")), slice_of(row, sizeof row), 0);
}

/* The oldest sequence number, or the newest. ENOTFOUND: there are none. */
static enum hoist_err end_of_sequence(struct store_read *r, bool newest, uint64_t *ret)
{
    MDB_cursor *cursor;
    MDB_val key = val_of(SLICE("s")), row;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_COMMANDS], &cursor);
    if (rc != 0)
        return db_err(rc, "read answers");
    /* "s" stands behind "i" */
    rc = db_cursor_get(r->db, cursor, &key, &row, newest ? MDB_LAST : MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read answers");
    if (key.mv_size != 9 || *(uint8_t *)key.mv_data != 's')
        return HOIST_ENOTFOUND;
    *ret = be64_read((uint8_t *)key.mv_data + 1);
    return HOIST_OK;
}

/* Delete the answer of `sequence` unless it is younger than `before_ms`; EAGAIN: it is. */
static enum hoist_err drop(struct store_write *w, uint64_t sequence, int64_t before_ms,
                           uint64_t *bytes)
{
    struct row_key s = row_sequence(sequence);
    MDB_val key = val_key(&s), row;
    int rc = db_get(w->db, w->txn, DB_COMMANDS, &key, &row);
    if (rc == MDB_NOTFOUND)
        return HOIST_OK; /* its request was answered anew */
    if (rc != 0 || row.mv_size != REQUEST_ID_SIZE)
        return rc ? db_err(rc, "read answers")
                  : err_set(HOIST_ECORRUPT, "store: the list of answers is damaged");
    struct row_key i = row_command(row.mv_data);
    key = val_key(&i);
    rc = db_get(w->db, w->txn, DB_COMMANDS, &key, &row);
    if (rc == 0 && row.mv_size >= COMMAND_HEAD) {
        if ((int64_t)be64_read((uint8_t *)row.mv_data + 8) > before_ms)
            return HOIST_EAGAIN;
        *bytes -= row.mv_size < *bytes ? row.mv_size : *bytes;
    }
    enum hoist_err err = write_del(w, DB_COMMANDS, val_key(&i));
    return err ? err : write_del(w, DB_COMMANDS, val_key(&s));
}

static enum hoist_err put_answer(struct store_write *w, const uint8_t request[REQUEST_ID_SIZE],
                                 uint64_t sequence, int64_t now_ms, struct slice answer)
{
    struct row_key i = row_command(request), s = row_sequence(sequence);
    uint8_t head[COMMAND_HEAD];
    be64_write(head, sequence);
    be64_write(head + 8, (uint64_t)now_ms);
    buf_clear(&w->scratch);
    buf_add(&w->scratch, head, sizeof head);
    buf_add_slice(&w->scratch, answer);
    enum hoist_err err = buf_err(&w->scratch);
    if (!err)
        err = write_put(w, DB_COMMANDS, val_key(&i), buf_slice(&w->scratch), 0);
    if (!err)
        err = write_put(w, DB_COMMANDS, val_key(&s), slice_of(request, REQUEST_ID_SIZE), 0);
    return err;
}

enum hoist_err store_command_put(struct store_write *w, const uint8_t request[REQUEST_ID_SIZE],
                                 struct slice answer, int64_t now_ms)
{
    struct row_key i = row_command(request);
    MDB_val key = val_key(&i), row;
    uint64_t bytes, sequence = 0;
    enum hoist_err err = get_bytes(&w->read, &bytes);
    if (err)
        return err;
    int rc = db_get(w->db, w->txn, DB_COMMANDS, &key, &row);
    if (rc == 0 && row.mv_size >= COMMAND_HEAD)
        err = drop(w, be64_read(row.mv_data), INT64_MAX, &bytes);
    else if (rc != 0 && rc != MDB_NOTFOUND)
        err = db_err(rc, "read answers");
    if (!err)
        err = end_of_sequence(&w->read, true, &sequence);
    if (err && err != HOIST_ENOTFOUND)
        return err;
    err = put_answer(w, request, sequence + 1, now_ms, answer);
    return err ? err : put_bytes(w, bytes + COMMAND_HEAD + answer.len);
}

/* ------------------------------------------------------------------ forgetting */

struct answers {
    uint64_t oldest, newest, bytes;
};

static bool are_many(const struct answers *a)
{
    return a->newest - a->oldest >= KEEP_COUNT || a->bytes > keep_bytes;
}

static enum hoist_err look(struct store_read *r, struct answers *ret)
{
    enum hoist_err err = end_of_sequence(r, false, &ret->oldest);
    if (!err)
        err = end_of_sequence(r, true, &ret->newest);
    return err ? err : get_bytes(r, &ret->bytes);
}

static enum hoist_err forget_in(struct store_write *w, struct answers *a, int64_t now_ms,
                                size_t *ret_dropped)
{
    enum hoist_err err = HOIST_OK;
    size_t dropped = 0;
    while (!err && dropped < PIECE && a->oldest <= a->newest && are_many(a)) {
        err = drop(w, a->oldest++, now_ms - KEEP_MS, &a->bytes);
        dropped += !err;
    }
    if (err == HOIST_EAGAIN)
        err = HOIST_OK; /* the oldest is young: so are all */
    if (!err && dropped > 0)
        err = put_bytes(w, a->bytes);
    *ret_dropped = dropped;
    return err;
}

enum hoist_err commands_forget(struct store *s, int64_t now_ms, bool *ret_more)
{
    struct store_read *r;
    struct answers a;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err)
        return err;
    err = look(r, &a);
    store_read_end(r);
    if (err == HOIST_ENOTFOUND || (!err && !are_many(&a)))
        return HOIST_OK;
    if (err)
        return err;
    struct store_write *w;
    size_t dropped = 0;
    err = store_write_begin(s, &w);
    if (err)
        return err;
    err = forget_in(w, &a, now_ms, &dropped);
    if (dropped == PIECE)
        *ret_more = true;
    if (err || dropped == 0) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}
