#include "listings.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAP_BYTES = 1 << 30, URL_KEY_MAX = 500, TEXT_MAX = 1000 };

/* A value is a byte of these, the text that is searched, ended by a NUL, and the listing as JSON. */
enum { FROM_GITHUB = 1, MISSED = 2 /* by the last run that saw all there were */ };

struct listings {
    MDB_env *env;
    MDB_dbi items, urls, state;
};

/* Commit what went well; leave no trace of what did not. */
static int finish(MDB_txn *txn, int rc)
{
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int open_tables(struct listings *l)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "items", MDB_CREATE, &l->items);
    if (!rc)
        rc = mdb_dbi_open(txn, "urls", MDB_CREATE, &l->urls);
    if (!rc)
        rc = mdb_dbi_open(txn, "state", MDB_CREATE, &l->state);
    return finish(txn, rc);
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
        rc = mdb_env_set_maxdbs(l->env, 3);
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

/* ------------------------------------------------------------------ the worker's state */

static MDB_val state_key = {6, "worker"};

int listings_state(struct listings *l, struct worker_state *ret)
{
    MDB_txn *txn;
    MDB_val value;
    *ret = (struct worker_state){.limit = -1, .remaining = -1, .reset_s = -1};
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_get(txn, l->state, &state_key, &value);
    if (!rc && value.mv_size == sizeof *ret)
        memcpy(ret, value.mv_data, sizeof *ret);
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int listings_put_state(struct listings *l, const struct worker_state *state)
{
    MDB_txn *txn;
    MDB_val value = {sizeof *state, (void *)state};
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    return rc ? rc : finish(txn, mdb_put(txn, l->state, &state_key, &value, 0));
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
    value[n++] = is_github(item) ? FROM_GITHUB : 0;
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
    int dead,
        rc = mdb_reader_check(l->env, &dead); /* of processes that were killed while they read */
    if (!rc)
        rc = mdb_txn_begin(l->env, NULL, 0, &txn);
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
    return finish(txn, rc);
}

/* The row at the cursor with `flags` in place of its own. */
static int put_flags(MDB_cursor *cursor, uint64_t id, const MDB_val *value, char flags)
{
    MDB_val key = {sizeof id, &id}, copy = {value->mv_size, malloc(value->mv_size)};
    if (!copy.mv_data)
        return ENOMEM;
    memcpy(copy.mv_data, value->mv_data, copy.mv_size);
    *(char *)copy.mv_data = flags;
    int rc = mdb_cursor_put(cursor, &key, &copy, MDB_CURRENT);
    free(copy.mv_data);
    return rc;
}

static int settle_item(MDB_cursor *cursor, const struct ids *seen, const MDB_val *key,
                       const MDB_val *value, uint64_t *gone)
{
    uint64_t id;
    char flags = *(const char *)value->mv_data;
    if (!(flags & FROM_GITHUB) || key->mv_size != sizeof id)
        return 0;
    memcpy(&id, key->mv_data, sizeof id);
    bool is_seen = ids_has(seen, be64toh(id)), was_missed = flags & MISSED;
    if (!is_seen && was_missed) {
        (*gone)++;
        return mdb_cursor_del(cursor, 0);
    }
    return is_seen != was_missed ? 0 : put_flags(cursor, id, value, (char)(flags ^ MISSED));
}

int listings_settle(struct listings *l, const struct ids *seen, uint64_t *ret_gone)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t gone = 0;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_cursor_open(txn, l->items, &cursor);
    if (rc)
        return finish(txn, rc);
    while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        if ((rc = settle_item(cursor, seen, &key, &value, &gone)))
            break;
    mdb_cursor_close(cursor);
    rc = finish(txn, rc == MDB_NOTFOUND ? 0 : rc);
    if (!rc)
        *ret_gone = gone;
    return rc;
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
    return (q->github || !(bytes[0] & FROM_GITHUB)) && (!*lower || strstr(bytes + 1, lower));
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
