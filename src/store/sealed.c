#include "store/sealed.h"

#include "store/seal.h"

bool sealed_open(struct slice key, struct slice row, struct slice *ret)
{
    uint8_t hash[SEAL_SIZE];
    if (row.len < SEAL_SIZE)
        return false;
    struct slice rest = slice_of(row.ptr + SEAL_SIZE, row.len - SEAL_SIZE);
    seal_hash(val_of(key), rest, hash);
    if (memcmp(row.ptr, hash, sizeof hash) != 0)
        return false;
    *ret = rest;
    return true;
}

enum hoist_err sealed_put(struct store_write *w, enum db_name name, MDB_val key, struct slice row)
{
    uint8_t hash[SEAL_SIZE];
    seal_hash(key, row, hash);
    buf_clear(&w->scratch);
    buf_add(&w->scratch, hash, sizeof hash);
    buf_add_slice(&w->scratch, row);
    enum hoist_err err = buf_err(&w->scratch);
    return err ? err : write_put(w, name, key, buf_slice(&w->scratch), 0);
}
