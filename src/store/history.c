#include "store/store_int.h"

#include <inttypes.h>

#include "base/mem.h"
#include "store/rows.h"

/* Where in a change the last look ended. Whoever asks for many keys of one version asks in their
 * order, which is the order of the edits: so the next is near. */
struct history {
    uint16_t env;
    uint64_t version;
    uint64_t puts;
    struct change change;
    struct edits_reader at;
};

enum hoist_err store_log_get(struct store_read *r, uint16_t env, uint64_t version,
                             struct slice *ret_change)
{
    struct row_key k = row_log(env, version);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_LOG, &key, &row);
    if (rc != 0)
        return db_err(rc, "read the log");
    *ret_change = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_log_next(struct store_read *r, uint16_t env, uint64_t after,
                              uint64_t *ret_version, struct slice *ret_change)
{
    if (after == UINT64_MAX)
        return HOIST_ENOTFOUND;
    struct row_key k = row_log(env, after + 1);
    MDB_val key = val_key(&k), row;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_LOG], &cursor);
    if (rc != 0)
        return db_err(rc, "read the log");
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return db_err(rc, "read the log");
    if (key.mv_size != k.len || be16_read(key.mv_data) != env)
        return HOIST_ENOTFOUND;
    *ret_version = be64_read((const uint8_t *)key.mv_data + 2);
    *ret_change = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_head_get(struct store_read *r, const struct store_env *env,
                              struct slice *ret_change)
{
    enum hoist_err err = store_log_get(r, env->id, env->head, ret_change);
    if (err != HOIST_ENOTFOUND)
        return err;
    struct row_key k = row_meta("base:", env->id);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc != 0)
        return db_err(rc, "read what a snapshot began with");
    *ret_change = slice_val(row);
    return HOIST_OK;
}

/* The newest of a key's versions that is not above `at`. */
static int touched(struct store_read *r, MDB_cursor *cursor, struct row_key *k, uint64_t at,
                   uint64_t *ret)
{
    uint8_t number[8];
    be64_write(number, at);
    MDB_val key = val_key(k), row = {sizeof number, number};
    int rc = db_cursor_get(r->db, cursor, &key, &row, MDB_GET_BOTH_RANGE);
    if (rc == MDB_NOTFOUND) { /* all are below, or there is none */
        key = val_key(k);
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_SET_KEY);
        if (rc == 0)
            rc = db_cursor_get(r->db, cursor, &key, &row, MDB_LAST_DUP);
    } else if (rc == 0 && row.mv_size == 8 && be64_read(row.mv_data) != at) {
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_PREV_DUP);
    }
    if (rc == 0 && row.mv_size != 8)
        rc = MDB_CORRUPTED;
    if (rc == 0)
        *ret = be64_read(row.mv_data);
    return rc;
}

enum hoist_err store_touched(struct store_read *r, uint16_t env, struct slice key, uint64_t at,
                             uint64_t *ret_version)
{
    if (key.len == 0 || key.len > FLAG_KEY_BYTES_MAX)
        return HOIST_ENOTFOUND;
    struct row_key k = row_flag(env, key);
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[DB_TOUCH], &cursor);
    if (rc != 0)
        return db_err(rc, "read a flag's history");
    rc = touched(r, cursor, &k, at, ret_version);
    mdb_cursor_close(cursor);
    return rc ? db_err(rc, "read a flag's history") : HOIST_OK;
}

/* ------------------------------------------------------------------ the record at a version */

static enum hoist_err open_change(struct store_read *r, uint16_t env, uint64_t version,
                                  struct history **ret)
{
    struct history *h = r->history;
    struct slice bytes;
    if (h && h->env == env && h->version == version && h->puts == r->puts) {
        *ret = h;
        return HOIST_OK;
    }
    if (!h) {
        h = mem_zalloc(1, sizeof *h);
        if (!h)
            return err_set(HOIST_ENOMEM, "out of memory");
        r->history = h;
    }
    h->version = 0; /* none, should this fail */
    enum hoist_err err = store_log_get(r, env, version, &bytes);
    if (err == HOIST_ENOTFOUND)
        err = err_set(HOIST_ECORRUPT, "store: change %" PRIu64 " is missing in the log", version);
    if (!err)
        err = change_decode(bytes, &h->change);
    if (!err)
        err = edits_open(h->change.edits, &h->at);
    if (err)
        return err;
    h->env = env;
    h->version = version;
    h->puts = r->puts;
    *ret = h;
    return HOIST_OK;
}

/* The edit of `key` between where `h` stands and the end. */
static enum hoist_err seek(struct history *h, struct slice key, struct edit *ret)
{
    struct edit edit;
    enum hoist_err err;
    do
        err = edits_next(&h->at, &edit);
    while (!err && !slice_eq(edit.key, key));
    if (!err)
        *ret = edit;
    return err;
}

static enum hoist_err record_in_change(struct store_read *r, uint16_t env, uint64_t version,
                                       struct slice key, struct slice *ret)
{
    struct history *h = NULL;
    struct edit edit;
    enum hoist_err err = open_change(r, env, version, &h);
    if (err)
        return err;
    err = seek(h, key, &edit);
    if (err == HOIST_ENOTFOUND) { /* from the beginning */
        err = edits_open(h->change.edits, &h->at);
        if (!err)
            err = seek(h, key, &edit);
        if (err == HOIST_ENOTFOUND)
            err = err_set(HOIST_ECORRUPT, "store: change %" PRIu64 " does not edit '%.*s'", version,
                          SLICE_ARG(key));
    }
    if (err)
        return err;
    if (!edit.put)
        return HOIST_ENOTFOUND;
    *ret = edit.record;
    return HOIST_OK;
}

static enum hoist_err record_before_log(struct store_read *r, uint16_t env, struct slice key,
                                        struct slice *ret)
{
    struct row_key k = row_flag(env, key);
    MDB_val at = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_BASELINE, &at, &row);
    if (rc == MDB_NOTFOUND)
        return store_record_get(r, env, key, ret); /* the log never touched it */
    if (rc != 0)
        return db_err(rc, "read what was before the log");
    struct slice value = slice_val(row);
    if (value.len == 0)
        return err_set(HOIST_ECORRUPT, "store: what is kept of '%.*s' is damaged", SLICE_ARG(key));
    if (value.ptr[0] == BASELINE_UNKNOWN)
        return err_set(HOIST_ELIMIT,
                       "what '%.*s' was before this host loaded the environment is not known here",
                       SLICE_ARG(key));
    if (value.ptr[0] == BASELINE_NONE)
        return HOIST_ENOTFOUND;
    *ret = slice_of(value.ptr + 1, value.len - 1);
    return HOIST_OK;
}

enum hoist_err store_record_at(struct store_read *r, uint16_t env, struct slice key, uint64_t at,
                               struct slice *ret_record)
{
    uint64_t version;
    if (key.len == 0 || key.len > FLAG_KEY_BYTES_MAX)
        return HOIST_ENOTFOUND;
    enum hoist_err err = store_touched(r, env, key, at, &version);
    if (err == HOIST_ENOTFOUND)
        return record_before_log(r, env, key, ret_record);
    return err ? err : record_in_change(r, env, version, key, ret_record);
}
