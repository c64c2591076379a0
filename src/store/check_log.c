/* check_log.c - an environment's log: the chain, and what is kept beside it. */
#include "store/check_int.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

/* Which change touches which flag, as the log says it: a number for each pair, sorted to be found.
 * What is counted there is compared with `touch`. */
struct pairs {
    uint64_t *all;
    size_t count, cap;
};

static uint64_t pair(struct slice key, uint64_t version)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ version * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.ptr[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

static enum hoist_err pairs_add(struct pairs *p, uint64_t v)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 1024;
        uint64_t *more = mem_realloc(p->all, cap * sizeof *more);
        if (!more)
            return err_set(HOIST_ENOMEM, "out of memory");
        p->all = more;
        p->cap = cap;
    }
    p->all[p->count++] = v;
    return HOIST_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool pairs_have(const struct pairs *p, uint64_t v)
{
    return p->count > 0 && bsearch(&v, p->all, p->count, sizeof v, by_number);
}

/* ------------------------------------------------------------------ the chain */

struct log {
    struct check *c;
    const struct store_env *env;
    MDB_cursor *touch;
    struct pairs pairs;
    uint64_t next; /* the version that is due */
    uint64_t bytes;
    bool known; /* what the one before was */
    uint64_t epoch;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
    struct check_cut cut;
};

static enum hoist_err touch_edit(struct log *l, struct slice row_key, uint64_t version,
                                 struct slice key)
{
    struct row_key k = row_flag(l->env->id, key);
    uint8_t number[8];
    be64_write(number, version);
    MDB_val at = val_key(&k), row = {sizeof number, number};
    if (db_cursor_get(l->c->r->db, l->touch, &at, &row, MDB_GET_BOTH) != 0)
        check_tell(l->c, DB_LOG, row_key,
                   "change %" PRIu64 " edits '%.*s', of which `touch` knows nothing", version,
                   SLICE_ARG(key));
    return pairs_add(&l->pairs, pair(key, version));
}

enum hoist_err check_edits(const struct check_cut *cut, const struct change *c,
                           struct edits_reader *ret)
{
    if (c->head.version != cut->version)
        return edits_open(c->edits, ret);
    if (cut->offset > c->edits.len)
        return err_set(HOIST_ECORRUPT, "how far the log is cut is damaged");
    *ret = (struct edits_reader){slice_of(c->edits.ptr + cut->offset, c->edits.len - cut->offset),
                                 cut->left};
    return HOIST_OK;
}

static enum hoist_err each_edit(struct log *l, const struct walk *w, const struct change *c)
{
    struct edits_reader reader;
    struct edit edit;
    enum hoist_err err = check_edits(&l->cut, c, &reader);
    while (!err) {
        err = edits_next(&reader, &edit);
        if (!err && touch_edit(l, w->row_key, c->head.version, edit.key) != HOIST_OK)
            return HOIST_ENOMEM;
    }
    if (err != HOIST_ENOTFOUND)
        check_tell(l->c, DB_LOG, w->row_key, "the edits of change %" PRIu64 ": %s", c->head.version,
                   err_last());
    return HOIST_OK;
}

static bool epoch_fits(const struct log *l, const struct change_header *h)
{
    if (h->kind == CHANGE_EPOCH && h->old_epoch == l->epoch)
        return h->epoch > l->epoch;
    return h->epoch == l->epoch;
}

static void check_chain(struct log *l, const struct walk *w, const struct change *c)
{
    static const uint8_t none[HASH_SIZE];
    const struct change_header *h = &c->head;
    if (!slice_eq(h->env, slice_str(l->env->name)))
        check_tell(l->c, DB_LOG, w->row_key, "change %" PRIu64 " is of environment '%.*s'",
                   h->version, SLICE_ARG(h->env));
    if (h->version == 1 && memcmp(h->prev, none, HASH_SIZE) != 0)
        check_tell(l->c, DB_LOG, w->row_key, "the first change of all names one before it");
    if (!l->known)
        return;
    if (memcmp(h->prev, l->hash, HASH_SIZE) != 0)
        check_tell(l->c, DB_LOG, w->row_key,
                   "change %" PRIu64
                   " does not follow the one before: its previous hash is another",
                   h->version);
    if (!epoch_fits(l, h))
        check_tell(l->c, DB_LOG, w->row_key,
                   "change %" PRIu64 " is of epoch %016" PRIx64 ", the one before of %016" PRIx64,
                   h->version, h->epoch, l->epoch);
}

static enum hoist_err check_change(struct log *l, const struct walk *w, uint64_t version)
{
    struct change c;
    enum hoist_err err = change_decode(w->row, &c);
    l->bytes += w->row.len;
    l->c->sums.changes++;
    if (!err && !c.edits.ptr)
        err = err_set(HOIST_ECORRUPT, "its edits are missing");
    if (!err && c.head.version != version)
        err = err_set(HOIST_ECORRUPT, "it says that it is version %" PRIu64, c.head.version);
    if (err == HOIST_ENOMEM)
        return err;
    if (err) {
        check_tell(l->c, DB_LOG, w->row_key, "change %" PRIu64 " cannot be read: %s", version,
                   err_last());
        l->known = false;
        return HOIST_OK;
    }
    check_chain(l, w, &c);
    l->known = true;
    l->epoch = c.head.epoch;
    memcpy(l->hash, c.hash, HASH_SIZE);
    memcpy(l->digest, c.head.digest, HASH_SIZE);
    return l->c->at_start ? HOIST_OK : each_edit(l, w, &c);
}

static void check_missing(struct log *l, uint64_t upto)
{
    if (l->next >= upto)
        return;
    struct row_key k = row_log(l->env->id, l->next);
    check_tell(l->c, DB_LOG, slice_of(k.bytes, k.len),
               "versions %" PRIu64 " to %" PRIu64 " are missing", l->next, upto - 1);
    l->known = false;
}

static enum hoist_err check_changes(struct log *l)
{
    struct walk w;
    enum hoist_err err = walk_begin(l->c, DB_LOG, &l->env->id, &w);
    while (!err && walk_next(&w)) {
        uint64_t version = w.key.len == 8 ? be64_read(w.key.ptr) : 0;
        if (version < l->next || version > l->env->head) {
            check_tell(l->c, DB_LOG, w.row_key,
                       "it is none of the versions %" PRIu64 " to %" PRIu64
                       " that the log is said to have",
                       l->env->log_first, l->env->head);
            continue;
        }
        check_missing(l, version);
        err = check_change(l, &w, version);
        l->next = version + 1;
    }
    walk_end(&w);
    if (!err)
        check_missing(l, l->env->head + 1);
    return err;
}

/* ------------------------------------------------------------------ where it begins and ends */

static void read_cut(struct log *l)
{
    struct row_key k = row_meta("cut:", l->env->id);
    struct slice row;
    if (!check_meta(l->c, k, &row))
        return;
    if (row.len != 20 || be64_read(row.ptr) + 1 != l->env->log_first) {
        check_tell(l->c, DB_META, slice_of(k.bytes, k.len), "how far the log is cut is damaged");
        return;
    }
    l->cut =
        (struct check_cut){be64_read(row.ptr), be64_read(row.ptr + 8), be32_read(row.ptr + 16)};
    l->next = l->cut.version;
}

/* What a snapshot began with; before the log begins, it is what the log goes on from. */
static void read_base(struct log *l)
{
    struct row_key k = row_meta("base:", l->env->id);
    struct slice row;
    struct change base;
    if (!check_meta(l->c, k, &row))
        return;
    if (change_decode(row, &base) != HOIST_OK) {
        check_tell(l->c, DB_META, slice_of(k.bytes, k.len), "it cannot be read: %s", err_last());
        return;
    }
    if (base.head.version + 1 != l->next)
        return;
    l->known = true;
    l->epoch = base.head.epoch;
    memcpy(l->hash, base.hash, HASH_SIZE);
    memcpy(l->digest, base.head.digest, HASH_SIZE);
}

static void check_head(struct log *l)
{
    struct row_key k = row_env(l->env->name);
    struct slice key = slice_of(k.bytes, k.len);
    if (l->env->log_bytes != l->bytes)
        check_tell(l->c, DB_META, key, "it says %" PRIu64 " bytes of log, there are %" PRIu64,
                   l->env->log_bytes, l->bytes);
    if (!l->known)
        return;
    if (memcmp(l->hash, l->env->hash, HASH_SIZE) != 0)
        check_tell(l->c, DB_META, key, "the head's hash is not that of change %" PRIu64,
                   l->env->head);
    if (memcmp(l->digest, l->env->digest, HASH_SIZE) != 0)
        check_tell(l->c, DB_META, key,
                   "the state digest is not the one that change %" PRIu64 " names", l->env->head);
    if (l->epoch != l->env->epoch)
        check_tell(l->c, DB_META, key, "it is of epoch %016" PRIx64 ", its head is of %016" PRIx64,
                   l->env->epoch, l->epoch);
}

/* ------------------------------------------------------------------ touch and baseline */

static enum hoist_err check_touch(struct log *l)
{
    struct walk w;
    enum hoist_err err = walk_begin(l->c, DB_TOUCH, &l->env->id, &w);
    struct slice base, last = {0};
    if (l->pairs.count > 0)
        qsort(l->pairs.all, l->pairs.count, sizeof *l->pairs.all, by_number);
    while (!err && walk_next(&w)) {
        uint64_t version = w.row.len == 8 ? be64_read(w.row.ptr) : 0;
        if (!pairs_have(&l->pairs, pair(w.key, version)))
            check_tell(l->c, DB_TOUCH, w.row_key,
                       "no change of version %" PRIu64 " in the log edits that flag", version);
        if (last.ptr && slice_eq(last, w.key))
            continue;
        last = w.key;
        MDB_val key = val_of(w.row_key), row;
        if (db_get(l->c->r->db, l->c->r->txn, DB_BASELINE, &key, &row) != 0)
            check_tell(l->c, DB_BASELINE, w.row_key, "what was before the log is missing");
    }
    walk_end(&w);
    if (!err)
        err = walk_begin(l->c, DB_BASELINE, &l->env->id, &w);
    while (!err && walk_next(&w)) {
        MDB_val key = val_of(w.row_key), row;
        base = w.row;
        if (base.len == 0 || base.ptr[0] > BASELINE_UNKNOWN ||
            (base.len > 1) != (base.ptr[0] == BASELINE_RECORD))
            check_tell(l->c, DB_BASELINE, w.row_key, "what was before the log is damaged");
        if (db_get(l->c->r->db, l->c->r->txn, DB_TOUCH, &key, &row) != 0)
            check_tell(l->c, DB_BASELINE, w.row_key, "nothing in the log edits that flag");
    }
    walk_end(&w);
    return err;
}

enum hoist_err check_log(struct check *c, const struct store_env *env, struct check_cut *ret_cut)
{
    struct log l = {.c = c, .env = env, .next = env->log_first};
    struct row_key k = row_env(env->name);
    if (env->log_first == 0 || env->log_first > env->head + 1) {
        check_tell(c, DB_META, slice_of(k.bytes, k.len),
                   "its log is said to begin with version %" PRIu64 ", its head is %" PRIu64,
                   env->log_first, env->head);
        return HOIST_OK;
    }
    int rc = mdb_cursor_open(c->r->txn, c->r->db->dbi[DB_TOUCH], &l.touch);
    if (rc != 0)
        return db_err(rc, "read the store");
    read_cut(&l);
    read_base(&l);
    enum hoist_err err = check_changes(&l);
    if (!err)
        check_head(&l);
    if (!err && !c->at_start)
        err = check_touch(&l);
    *ret_cut = l.cut;
    mdb_cursor_close(l.touch);
    mem_free(l.pairs.all);
    return err;
}
