#include "listings.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAP_BYTES = 1 << 30, URL_KEY_MAX = 500, TEXT_MAX = 1000 };

/* A value is a flag, the text that is searched, ended by a NUL, and the listing as JSON. */
struct listings {
    MDB_env *env;
    MDB_dbi items, urls;
};

static int open_tables(struct listings *l)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "items", MDB_CREATE, &l->items);
    if (!rc)
        rc = mdb_dbi_open(txn, "urls", MDB_CREATE, &l->urls);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

int listings_open(const char *dir, struct listings **ret)
{
    struct listings *l = calloc(1, sizeof *l);
    if (!l)
        return ENOMEM;
    int rc = mkdir(dir, 0750) == 0 || errno == EEXIST ? 0 : errno;
    if (!rc)
        rc = mdb_env_create(&l->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(l->env, 2);
    if (!rc)
        rc = mdb_env_set_mapsize(l->env, MAP_BYTES);
    if (!rc)
        rc = mdb_env_open(l->env, dir, MDB_NOTLS, 0640);
    if (!rc)
        rc = open_tables(l);
    if (rc) {
        listings_close(l);
        return rc;
    }
    *ret = l;
    return 0;
}

void listings_close(struct listings *l)
{
    if (l && l->env)
        mdb_env_close(l->env);
    free(l);
}

/* ------------------------------------------------------------------ URLs */

/* LMDB's keys end at 511 bytes; a longer URL is not remembered. */
static bool url_key(const char *url, MDB_val *ret)
{
    *ret = (MDB_val){strlen(url), (void *)url};
    return ret->mv_size > 0 && ret->mv_size <= URL_KEY_MAX;
}

int listings_url(struct listings *l, const char *url, struct url_known *ret)
{
    MDB_txn *txn;
    MDB_val key, value;
    memset(ret, 0, sizeof *ret);
    if (!url_key(url, &key))
        return 0;
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_get(txn, l->urls, &key, &value);
    if (!rc && value.mv_size == sizeof *ret)
        memcpy(ret, value.mv_data, sizeof *ret);
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ------------------------------------------------------------------ storing */

static const char *text_of(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text ? text : "";
}

static bool is_github(const json_t *item)
{
    return strcmp(text_of(item, "source"), "github") == 0;
}

/* In lower case, up to `max` bytes; the bytes written. */
static size_t put_lower(char *out, const char *text, size_t max)
{
    size_t n = 0;
    for (; text[n] && n < max; n++)
        out[n] = (char)tolower((unsigned char)text[n]);
    return n;
}

static int put_item(struct listings *l, MDB_txn *txn, const json_t *item)
{
    uint64_t id = htobe64((uint64_t)json_integer_value(json_object_get(item, "id")));
    char *json = json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS);
    if (!json)
        return ENOMEM;
    size_t json_len = strlen(json);
    char *value = malloc(2 * TEXT_MAX + 3 + json_len);
    if (!value) {
        free(json);
        return ENOMEM;
    }
    size_t n = 0;
    value[n++] = is_github(item) ? 1 : 0;
    n += put_lower(value + n, text_of(item, "name"), TEXT_MAX);
    value[n++] = '\n';
    n += put_lower(value + n, text_of(item, "description"), TEXT_MAX);
    value[n++] = '\0';
    memcpy(value + n, json, json_len);
    MDB_val key = {sizeof id, &id}, data = {n + json_len, value};
    int rc = mdb_put(txn, l->items, &key, &data, 0);
    free(value);
    free(json);
    return rc;
}

int listings_store(struct listings *l, const json_t *items, const char *url,
                   const struct url_known *known)
{
    MDB_txn *txn;
    MDB_val key;
    size_t i;
    json_t *item;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc)
        return rc;
    json_array_foreach(items, i, item)
    {
        if (!rc)
            rc = put_item(l, txn, item);
    }
    if (!rc && url && url_key(url, &key)) {
        MDB_val value = {sizeof *known, (void *)known};
        rc = mdb_put(txn, l->urls, &key, &value, 0);
    }
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* ------------------------------------------------------------------ looking */

static json_t *item_of(const MDB_val *value)
{
    const char *bytes = value->mv_data, *end = memchr(bytes + 1, '\0', value->mv_size - 1);
    size_t at = end ? (size_t)(end + 1 - bytes) : value->mv_size;
    return json_loadb(bytes + at, value->mv_size - at, 0, NULL);
}

static bool matches(const MDB_val *value, const struct listings_query *q, const char *lower)
{
    const char *bytes = value->mv_data;
    return (q->github || bytes[0] == 0) && (!*lower || strstr(bytes + 1, lower));
}

static int collect(MDB_cursor *cursor, const struct listings_query *q, json_t *items,
                   uint64_t *ret_total)
{
    char lower[TEXT_MAX + 1] = "";
    put_lower(lower, q->text ? q->text : "", TEXT_MAX);
    uint64_t skip = (q->page - 1) * q->per_page, seen = 0;
    MDB_val key, value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; !rc; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (!matches(&value, q, lower))
            continue;
        if (seen >= skip && seen < skip + q->per_page)
            (void)json_array_append_new(items, item_of(&value));
        seen++;
    }
    *ret_total = seen;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int listings_find(struct listings *l, const struct listings_query *q, json_t **ret_items,
                  uint64_t *ret_total)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    json_t *items = json_array();
    if (!items)
        return ENOMEM;
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (!rc) {
        rc = mdb_cursor_open(txn, l->items, &cursor);
        if (!rc) {
            rc = collect(cursor, q, items, ret_total);
            mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
    }
    if (rc)
        json_decref(items);
    else
        *ret_items = items;
    return rc;
}

int listings_get(struct listings *l, uint64_t id, bool github, json_t **ret)
{
    MDB_txn *txn;
    uint64_t name = htobe64(id);
    MDB_val key = {sizeof name, &name}, value;
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_get(txn, l->items, &key, &value);
    *ret = NULL;
    if (!rc && matches(&value, &(struct listings_query){.github = github}, ""))
        *ret = item_of(&value);
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}
