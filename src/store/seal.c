#include "store/seal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

/* How a seal's key says of which database it is; 0: its rows have none. */
static const uint8_t letters[DB_COUNT] = {
    [DB_META] = 'm', [DB_LOG] = 'l',      [DB_BASELINE] = 'b',
    [DB_HELD] = 'h', [DB_COMMANDS] = 'c', [DB_FLEET] = 'f',
};

static const struct slice txn_key = {(const uint8_t *)"txn", 3};

bool seal_has(enum db_name name)
{
    return letters[name] != 0;
}

static void make_key(struct seal *seal, enum db_name name, MDB_val key)
{
    size_t len = key.mv_size < sizeof seal->key ? key.mv_size : sizeof seal->key - 1;
    if (!seal_has(name))
        return;
    seal->key[0] = letters[name];
    memcpy(seal->key + 1, key.mv_data, len);
    seal->key_len = 1 + len;
}

void seal_hash(MDB_val key, struct slice row, uint8_t ret[SEAL_SIZE])
{
    struct hash_stream h;
    uint8_t len[2], whole[HASH_SIZE];
    be16_write(len, (uint16_t)key.mv_size);
    hash_begin(&h);
    hash_add(&h, len, sizeof len);
    hash_add(&h, key.mv_data, key.mv_size);
    hash_add(&h, row.ptr, row.len);
    hash_end(&h, whole);
    memcpy(ret, whole, SEAL_SIZE);
}

struct seal seal_make(enum db_name name, MDB_val key, struct slice row)
{
    struct seal seal;
    seal.key_len = 0;
    make_key(&seal, name, key);
    if (seal.key_len > 0)
        seal_hash(key, row, seal.hash);
    return seal;
}

int seal_put(struct db *db, MDB_txn *txn, const struct seal *seal)
{
    MDB_val key = {seal->key_len, (void *)seal->key};
    MDB_val hash = {sizeof seal->hash, (void *)seal->hash};
    return seal->key_len ? mdb_put(txn, db->dbi[DB_SEALS], &key, &hash, 0) : 0;
}

int seal_del(struct db *db, MDB_txn *txn, enum db_name name, MDB_val key)
{
    struct seal seal = {0};
    make_key(&seal, name, key);
    MDB_val at = {seal.key_len, seal.key};
    int rc = seal.key_len ? mdb_del(txn, db->dbi[DB_SEALS], &at, NULL) : 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum hoist_err seal_last(struct db *db, MDB_txn *txn, uint64_t *ret)
{
    MDB_val key = val_of(txn_key), row;
    int rc = db->dbi[DB_SEALS] ? db_get(db, txn, DB_SEALS, &key, &row) : MDB_NOTFOUND;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "read the seals");
    *ret = rc == 0 && row.mv_size == 8 ? be64_read(row.mv_data) : 0;
    return HOIST_OK;
}

static int seal_rows(struct db *db, MDB_txn *txn, enum db_name name)
{
    MDB_cursor *cursor;
    MDB_val key, row;
    int rc = mdb_cursor_open(txn, db->dbi[name], &cursor);
    if (rc != 0)
        return rc;
    rc = db_cursor_get(db, cursor, &key, &row, MDB_FIRST);
    while (rc == 0) {
        struct seal seal = seal_make(name, key, slice_val(row));
        rc = seal_put(db, txn, &seal);
        if (rc == 0)
            rc = db_cursor_get(db, cursor, &key, &row, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int seal_all(struct db *db, MDB_txn *txn)
{
    int rc = mdb_drop(txn, db->dbi[DB_SEALS], 0);
    for (int name = 0; rc == 0 && name < DB_COUNT; name++)
        if (seal_has((enum db_name)name))
            rc = seal_rows(db, txn, (enum db_name)name);
    return rc;
}

int seal_commit(struct db *db, MDB_txn *txn)
{
    uint8_t number[8];
    be64_write(number, mdb_txn_id(txn));
    MDB_val key = val_of(txn_key), row = {sizeof number, number};
    return mdb_put(txn, db->dbi[DB_SEALS], &key, &row, 0);
}

int seal_forget(struct db *db, MDB_txn *txn)
{
    MDB_val key = val_of(txn_key);
    int rc = mdb_del(txn, db->dbi[DB_SEALS], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum hoist_err seal_begin(struct db *db, MDB_txn *txn)
{
    uint64_t last, before = mdb_txn_id(txn) - 1;
    enum hoist_err err = seal_last(db, txn, &last);
    if (err || last == before)
        return err;
    if (last > 0)
        log_warn("store: a Hoist that keeps no checksums of rows wrote %s since; making them anew",
                 db->path);
    return db_err(seal_all(db, txn), "seal the rows");
}
