/* about.c - what was said about an environment: bytes of whose contents the store knows nothing. */
#include "store/write_int.h"

#include "store/rows.h"

static struct row_key row_about(const char *env)
{
    struct row_key k = {.len = sizeof "about:" - 1};
    size_t len = strnlen(env, STORE_ENV_NAME_MAX);
    memcpy(k.bytes, "about:", k.len);
    memcpy(k.bytes + k.len, env, len);
    k.len += len;
    return k;
}

enum hoist_err store_env_about_get(struct store_read *r, const char *env, struct slice *ret)
{
    struct row_key k = row_about(env);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    if (rc != 0)
        return db_err(rc, "read about an environment");
    *ret = slice_val(row);
    return HOIST_OK;
}

enum hoist_err store_env_about_put(struct store_write *w, const char *env, struct slice about)
{
    struct row_key k = row_about(env);
    return write_put(w, DB_META, val_key(&k), about, 0);
}
