/* check.c - whether a store is what it should be: environments, flags, what is held back. */
#include "store/check_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "flag/flag.h"
#include "store/pages.h"
#include "wire/certificate.h"
#include "wire/record.h"

enum { ENVS_MAX = 1024 };

void check_tell(struct check *c, enum db_name name, struct slice key, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    c->sums.faults++;
    c->fault(c->arg,
             &(struct store_fault){
                 .database = db_database_name(name), .key = key, .env = c->env, .what = what});
}

/* ------------------------------------------------------------------ walking */

enum hoist_err walk_begin(struct check *c, enum db_name name, const uint16_t *env, struct walk *ret)
{
    *ret = (struct walk){.c = c, .name = name, .of_env = env != NULL, .env = env ? *env : 0};
    if (!c->r->db->dbi[name]) /* the store is of before there was that database */
        return HOIST_OK;
    int rc = mdb_cursor_open(c->r->txn, c->r->db->dbi[name], &ret->cursor);
    return rc ? db_err(rc, "read the store") : HOIST_OK;
}

bool walk_next(struct walk *w)
{
    struct row_key first = row_flag(w->env, (struct slice){0});
    MDB_val key = val_key(&first), row;
    if (!w->cursor)
        return false;
    MDB_cursor_op op = w->begun ? MDB_NEXT : w->of_env ? MDB_SET_RANGE : MDB_FIRST;
    int rc = db_cursor_get(w->c->r->db, w->cursor, &key, &row, op);
    w->begun = true;
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc != 0) {
        (void)db_err(rc, "read");
        check_tell(w->c, w->name, (struct slice){0}, "%s; what is behind was not looked at",
                   err_last());
        return false;
    }
    w->row_key = w->key = slice_val(key);
    w->row = slice_val(row);
    if (w->of_env && !row_is_of(key, w->env, &w->key))
        return false;
    w->c->sums.rows++;
    return true;
}

void walk_end(struct walk *w)
{
    if (w->cursor)
        mdb_cursor_close(w->cursor);
    w->cursor = NULL;
}

bool check_meta(struct check *c, struct row_key k, struct slice *ret)
{
    MDB_val key = val_key(&k), row;
    if (db_get(c->r->db, c->r->txn, DB_META, &key, &row) != 0)
        return false;
    *ret = slice_val(row);
    return true;
}

/* ------------------------------------------------------------------ flags */

struct flags {
    struct lthash sum;
    uint64_t count, bytes, held;
};

static bool is_held(struct check *c, uint16_t env, struct slice key)
{
    struct row_key k = row_flag(env, key);
    MDB_val at = val_key(&k), row;
    return db_get(c->r->db, c->r->txn, DB_HELD, &at, &row) == 0;
}

/* OK: it can be read by this program, or is held back since it could not. */
static enum hoist_err check_record(struct check *c, uint16_t env, const struct walk *w)
{
    struct flag *flag = NULL;
    if (flag_key_check(w->key) != HOIST_OK) {
        check_tell(c, w->name, w->row_key, "%s", err_last());
        return HOIST_OK;
    }
    enum hoist_err err = record_decode(w->key, w->row, &flag, NULL);
    flag_free(flag);
    if (err == HOIST_ENOMEM)
        return err;
    if (err && !is_held(c, env, w->key))
        check_tell(c, w->name, w->row_key, "the record cannot be read: %s", err_last());
    return HOIST_OK;
}

static enum hoist_err check_flags(struct check *c, const struct store_env *env, struct flags *ret)
{
    struct walk w;
    enum hoist_err err = walk_begin(c, DB_FLAGS, &env->id, &w);
    while (!err && walk_next(&w)) {
        err = check_record(c, env->id, &w);
        if (w.key.len > FLAG_KEY_BYTES_MAX)
            continue; /* was told */
        lthash_add(&ret->sum, w.key, w.row);
        ret->count++;
        ret->bytes += w.key.len + w.row.len;
    }
    walk_end(&w);
    c->sums.flags += ret->count;
    return err;
}

static enum hoist_err check_held(struct check *c, const struct store_env *env, struct flags *sums)
{
    struct walk w;
    struct held_row held;
    struct slice record;
    enum hoist_err err = walk_begin(c, DB_HELD, &env->id, &w);
    while (!err && walk_next(&w)) {
        MDB_val row = val_of(w.row);
        struct flag *flag = NULL;
        sums->held++;
        if (held_row_read(row, &held) != HOIST_OK) {
            check_tell(c, DB_HELD, w.row_key, "%s", err_last());
            continue;
        }
        if (store_record_get(c->r, env->id, w.key, &record) != HOIST_OK)
            check_tell(c, DB_HELD, w.row_key, "a flag is held back that is not there");
        if (held.version > env->head)
            check_tell(c, DB_HELD, w.row_key, "it is of version %" PRIu64 ", the head is %" PRIu64,
                       held.version, env->head);
        if (held.has_last && record_decode(w.key, held.last, &flag, NULL) != HOIST_OK)
            check_tell(c, DB_HELD, w.row_key, "the last good record cannot be read: %s",
                       err_last());
        flag_free(flag);
    }
    walk_end(&w);
    return err;
}

/* ------------------------------------------------------------------ an environment */

static void check_count(struct check *c, struct slice key, const char *what, uint64_t said,
                        uint64_t there)
{
    if (said != there)
        check_tell(c, DB_META, key, "it says %" PRIu64 " %s, there are %" PRIu64, said, what,
                   there);
}

static void check_sum(struct check *c, const struct store_env *env, const struct lthash *sum)
{
    struct row_key k = row_env(env->name), s = row_meta("sum:", env->id);
    uint8_t bytes[LTHASH_SIZE], digest[HASH_SIZE];
    struct slice row;
    lthash_write(sum, bytes);
    lthash_digest(sum, digest);
    if (!check_meta(c, s, &row))
        check_tell(c, DB_META, slice_of(s.bytes, s.len), "the state hash is missing");
    else if (!slice_eq(row, slice_of(bytes, sizeof bytes)))
        check_tell(c, DB_META, slice_of(s.bytes, s.len),
                   "the state hash is not that of the flags that are there");
    if (memcmp(digest, env->digest, HASH_SIZE) != 0)
        check_tell(c, DB_META, slice_of(k.bytes, k.len),
                   "the state digest is not that of the flags that are there");
}

static enum hoist_err check_env(struct check *c, const struct store_env *env)
{
    struct flags sums = {0};
    struct check_cut cut = {0};
    struct row_key k = row_env(env->name);
    struct slice key = slice_of(k.bytes, k.len);
    enum hoist_err err = check_flags(c, env, &sums);
    if (!err)
        err = check_held(c, env, &sums);
    if (err)
        return err;
    check_count(c, key, "flags", env->flags, sums.count);
    check_count(c, key, "bytes of flags", env->bytes, sums.bytes);
    check_count(c, key, "flags held back", env->held, sums.held);
    check_sum(c, env, &sums.sum);
    err = check_log(c, env, &cut);
    return err || c->at_start ? err : check_past(c, env, &cut, &sums.sum);
}

/* ------------------------------------------------------------------ meta */

struct envs {
    struct store_env all[ENVS_MAX];
    size_t count;
    uint8_t others[8192]; /* a bit for each id that is being loaded, or deleted */
};

static void take_env(struct check *c, struct envs *envs, const struct walk *w, struct slice name)
{
    struct store_env env;
    if (env_row_read(name, val_of(w->row), &env) != HOIST_OK) {
        check_tell(c, DB_META, w->row_key, "%s", err_last());
        return;
    }
    if (flag_env_check(name) != HOIST_OK)
        check_tell(c, DB_META, w->row_key, "%s", err_last());
    for (size_t i = 0; i < envs->count; i++) {
        if (envs->all[i].id == env.id)
            check_tell(c, DB_META, w->row_key, "it has the id %u, as '%s' has", env.id,
                       envs->all[i].name);
        if (envs->all[i].order == env.order)
            check_tell(c, DB_META, w->row_key, "it has the place %u, as '%s' has", env.order,
                       envs->all[i].name);
    }
    if (envs->count == ENVS_MAX)
        check_tell(c, DB_META, w->row_key, "there are more than %d environments", ENVS_MAX);
    else
        envs->all[envs->count++] = env;
}

static void take_other(struct envs *envs, struct slice key)
{
    static const char *const prefixes[] = {"load:", "gone:"};
    for (size_t i = 0; i < 2; i++)
        if (slice_starts_with(key, slice_str(prefixes[i])) && key.len == 7) {
            uint16_t id = be16_read(key.ptr + 5);
            envs->others[id / 8] |= (uint8_t)(1u << id % 8);
        }
}

static bool is_known(const struct envs *envs, uint16_t id)
{
    for (size_t i = 0; i < envs->count; i++)
        if (envs->all[i].id == id)
            return true;
    return envs->others[id / 8] & 1u << id % 8;
}

static void check_size(struct check *c, const struct walk *w, const char *name, size_t size)
{
    if (slice_eq(w->key, slice_str(name)) && w->row.len != size)
        check_tell(c, DB_META, w->row_key, "it has %zu bytes, not %zu", w->row.len, size);
}

/* Certificates of signing keys: each decodes, and its signer has signed it. */
static enum hoist_err check_keys(struct check *c, const struct walk *w)
{
    struct arena arena = {0};
    struct slice *list;
    struct certificate one;
    uint32_t count = 0;
    if (!slice_eq(w->key, SLICE(ROW_KEYS)))
        return HOIST_OK;
    enum hoist_err err = certificates_get(w->row, &arena, &list, &count);
    if (err && err != HOIST_ENOMEM)
        check_tell(c, DB_META, w->row_key, "%s", err_last());
    for (uint32_t i = 0; i < count; i++)
        if (certificate_decode(list[i], &one) != HOIST_OK)
            check_tell(c, DB_META, w->row_key, "%s", err_last());
        else if (!certificate_is_signed(&one))
            check_tell(c, DB_META, w->row_key, "certificate %u is not signed by its signer", i + 1);
    arena_done(&arena);
    return err == HOIST_ENOMEM ? err : HOIST_OK;
}

static enum hoist_err read_meta(struct check *c, struct envs *envs)
{
    struct walk w;
    struct slice name;
    enum hoist_err err = walk_begin(c, DB_META, NULL, &w);
    while (!err && walk_next(&w)) {
        if (row_is_env(val_of(w.row_key), &name))
            take_env(c, envs, &w, name);
        take_other(envs, w.key);
        check_size(c, &w, "format", 4);
        check_size(c, &w, "store", STORE_ID_SIZE + 8);
        check_size(c, &w, "base", 8);
        check_size(c, &w, "answers", 8);
        check_size(c, &w, ROW_ORIGIN, 8);
        check_size(c, &w, ROW_ENDED, 4);
        err = check_keys(c, &w);
        if (slice_eq(w.key, SLICE(ROW_ROLE)) && !slice_eq(w.row, SLICE(ROLE_PRIMARY_TEXT)) &&
            !slice_eq(w.row, SLICE(ROLE_FOLLOWER_TEXT)))
            check_tell(c, DB_META, w.row_key, "there is no such role");
    }
    walk_end(&w);
    for (size_t i = 0; i < envs->count; i++)
        if (envs->all[i].order >= envs->count)
            check_tell(c, DB_META, slice_str(envs->all[i].name), "it has place %u of %zu",
                       envs->all[i].order, envs->count);
    return err;
}

/* Rows of environments that there are not: nothing would ever delete them. One is told of for each
 * id in each database. */
static enum hoist_err check_strays(struct check *c, const struct envs *envs)
{
    static const enum db_name names[] = {DB_FLAGS, DB_LOG, DB_TOUCH, DB_BASELINE, DB_HELD};
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; !err && i < sizeof names / sizeof *names; i++) {
        uint32_t last = UINT32_MAX;
        struct walk w;
        err = walk_begin(c, names[i], NULL, &w);
        while (!err && walk_next(&w)) {
            uint32_t id = w.key.len < 2 ? UINT16_MAX + 1 : be16_read(w.key.ptr);
            if (id != last && (id > UINT16_MAX || !is_known(envs, (uint16_t)id)))
                check_tell(c, names[i], w.row_key, "it is of no environment");
            last = id;
            c->sums.rows--; /* those of environments are counted there */
        }
        walk_end(&w);
    }
    return err;
}

static enum hoist_err check_fleet(struct check *c)
{
    struct walk w;
    enum hoist_err err = walk_begin(c, DB_FLEET, NULL, &w);
    while (!err && walk_next(&w))
        if (w.row.len < 8)
            check_tell(c, DB_FLEET, w.row_key, "what is known of a host is cut short");
    walk_end(&w);
    return err;
}

/* ------------------------------------------------------------------ pages */

static void page_fault(void *arg, const char *tree, const char *what)
{
    struct check *c = arg;
    c->sums.faults++;
    c->fault(c->arg, &(struct store_fault){.database = tree, .env = "", .what = what});
}

static enum hoist_err check_pages(struct check *c, uint64_t *ret_faults)
{
    const struct pages_check how = {mdb_txn_id(c->r->txn), page_fault, c};
    int fd;
    if (mdb_env_get_fd(c->r->db->env, &fd) != 0)
        return err_set(HOIST_EIO, "store: cannot look at data.mdb");
    return pages_check(fd, &how, ret_faults);
}

/* ------------------------------------------------------------------ all of it */

static enum hoist_err check_rows(struct check *c, struct envs *envs)
{
    enum hoist_err err = read_meta(c, envs);
    for (size_t i = 0; !err && i < envs->count; i++) {
        c->env = envs->all[i].name;
        err = check_env(c, &envs->all[i]);
    }
    c->env = "";
    c->sums.environments = envs->count;
    if (!err)
        err = check_strays(c, envs);
    if (!err)
        err = check_commands(c);
    if (!err)
        err = check_fleet(c);
    if (!err)
        err = check_usage(c);
    if (!err)
        err = check_releases(c);
    return err ? err : check_seals(c);
}

enum hoist_err check_store(struct check *c, struct store_checked *ret)
{
    struct envs *envs = mem_zalloc(1, sizeof *envs);
    if (!envs)
        return err_set(HOIST_ENOMEM, "out of memory");
    uint64_t bad_pages = 0;
    enum hoist_err err = check_pages(c, &bad_pages);
    if (!err && bad_pages == 0)
        err = check_rows(c, envs);
    mem_free(envs);
    if (err && err != HOIST_ENOMEM && c->sums.faults > 0)
        err = HOIST_OK; /* LMDB ends a transaction that met a bad page: that page was told of */
    if (!err)
        *ret = c->sums;
    return err;
}

enum hoist_err store_check(struct store_read *r,
                           void (*fault)(void *arg, const struct store_fault *fault), void *arg,
                           struct store_checked *ret)
{
    struct check c = {.r = r, .fault = fault, .arg = arg, .env = ""};
    return check_store(&c, ret);
}
