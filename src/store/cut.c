#include "store/upkeep.h"

#include <inttypes.h>

#include "base/clock.h"

/*
 * Cutting the oldest change off the log: each of its edits moves into `baseline`, or is forgotten
 * when nothing later touches the key. A change may hold a million edits, so that is done in pieces;
 * the row "cut:" ID tells how far it has come. Meanwhile the change still stands in the log, but
 * log_first is behind it already: between its edits that are done and those that are not, the
 * state at any version from there on is found just the same.
 */

enum { ENVS_A_TICK = 16, AGE_PERIOD_MS = 60000 };

struct cut {
    uint64_t version; /* 0: none under way */
    uint64_t offset;  /* into its edits: what is done */
    uint32_t left;    /* edits that are not */
};
enum { CUT_ROW = 20 };

static enum hoist_err get_cut(struct store_read *r, uint16_t id, struct cut *ret)
{
    struct row_key k = row_meta("cut:", id);
    MDB_val key = val_key(&k), row;
    int rc = db_get(r->db, r->txn, DB_META, &key, &row);
    *ret = (struct cut){0};
    if (rc == MDB_NOTFOUND)
        return HOIST_OK;
    if (rc != 0)
        return db_err(rc, "read how far the log is cut");
    if (row.mv_size != CUT_ROW)
        return err_set(HOIST_ECORRUPT, "store: how far the log is cut is damaged");
    const uint8_t *at = row.mv_data;
    *ret = (struct cut){be64_read(at), be64_read(at + 8), be32_read(at + 16)};
    return HOIST_OK;
}

static enum hoist_err put_cut(struct store_write *w, uint16_t id, const struct cut *cut)
{
    struct row_key k = row_meta("cut:", id);
    uint8_t row[CUT_ROW];
    if (cut->version == 0)
        return write_del(w, DB_META, val_key(&k));
    be64_write(row, cut->version);
    be64_write(row + 8, cut->offset);
    be32_write(row + 16, cut->left);
    return write_put(w, DB_META, val_key(&k), slice_of(row, sizeof row), 0);
}

/* ------------------------------------------------------------------ what is to go */

static uint64_t pin_of(struct writer *wr, uint16_t id)
{
    uint64_t version = UINT64_MAX;
    pthread_mutex_lock(&wr->pin_lock);
    for (size_t i = 0; i < wr->pin_count; i++)
        if (wr->pins[i].env == id)
            version = wr->pins[i].version;
    pthread_mutex_unlock(&wr->pin_lock);
    return version;
}

void store_log_pin(struct store *s, uint16_t env, uint64_t version)
{
    struct writer *wr = s->writer;
    size_t i = 0;
    pthread_mutex_lock(&wr->pin_lock);
    while (i < wr->pin_count && wr->pins[i].env != env)
        i++;
    if (version == UINT64_MAX) {
        if (i < wr->pin_count)
            wr->pins[i] = wr->pins[--wr->pin_count];
    } else if (i < ENVS_MAX) { /* there are no more environments */
        wr->pins[i] = (struct pin){env, version};
        if (i == wr->pin_count)
            wr->pin_count++;
    }
    pthread_mutex_unlock(&wr->pin_lock);
}

struct cutter {
    struct store *store;
    struct store_read *r; /* what was there before this transaction: stays while `w` writes */
    struct store_write *w;
    struct env_work *e;
    bool by_age; /* the age is looked at, too */
    int64_t before_ms;
    size_t rows, bytes; /* done in this piece */
};

/* Whether the oldest change is to be cut off. The newest always stays. */
static enum hoist_err is_due(struct cutter *c, bool *ret)
{
    const struct store_options *o = &c->store->writer->options;
    const struct store_env *env = &c->e->env;
    uint64_t count = env->head + 1 - env->log_first;
    *ret = false;
    if (env->log_first >= env->head || env->log_first > pin_of(c->store->writer, env->id))
        return HOIST_OK;
    if (env->log_bytes > o->log_bytes || (count > o->log_min && o->log_age_ms == 0)) {
        *ret = true;
        return HOIST_OK;
    }
    if (count <= o->log_min || !c->by_age)
        return HOIST_OK;
    struct slice bytes;
    struct change change;
    enum hoist_err err = store_log_get(c->r, env->id, env->log_first, &bytes);
    if (!err)
        err = change_decode(bytes, &change);
    if (!err)
        *ret = change.head.time_ms < c->before_ms;
    return err;
}

/* ------------------------------------------------------------------ an edit, a change */

static enum hoist_err cut_edit(struct store_write *w, uint16_t id, uint64_t version,
                               const struct edit *edit)
{
    struct row_key k = row_flag(id, edit->key);
    uint8_t number[8];
    be64_write(number, version);
    MDB_val key = val_key(&k), row = {sizeof number, number};
    int rc = mdb_del(w->txn, w->db->dbi[DB_TOUCH], &key, &row);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "cut the log");
    rc = db_get(w->db, w->txn, DB_TOUCH, &key, &row);
    if (rc == MDB_NOTFOUND)
        return write_del(w, DB_BASELINE, val_key(&k));
    if (rc != 0)
        return db_err(rc, "cut the log");
    buf_clear(&w->scratch);
    buf_add_byte(&w->scratch, edit->put ? BASELINE_RECORD : BASELINE_NONE);
    if (edit->put)
        buf_add_slice(&w->scratch, edit->record);
    enum hoist_err err = buf_err(&w->scratch);
    return err ? err : write_put(w, DB_BASELINE, val_key(&k), buf_slice(&w->scratch), 0);
}

static bool is_spent(const struct cutter *c)
{
    return c->rows >= PIECE_ROWS || c->bytes >= PIECE_BYTES;
}

/* Begin with the oldest change: from here on the log starts behind it. */
static enum hoist_err begin_change(struct cutter *c, struct cut *cut, struct slice edits)
{
    struct edits_reader reader;
    enum hoist_err err = edits_open(edits, &reader);
    if (err)
        return err;
    cut->version = c->e->env.log_first++;
    cut->offset = edits.len - reader.rest.len;
    cut->left = reader.left;
    return HOIST_OK;
}

static enum hoist_err end_change(struct cutter *c, struct cut *cut, size_t bytes)
{
    struct row_key k = row_log(c->e->env.id, cut->version);
    c->e->env.log_bytes -= bytes < c->e->env.log_bytes ? bytes : c->e->env.log_bytes;
    *cut = (struct cut){0};
    return write_del(c->w, DB_LOG, val_key(&k));
}

/* The oldest change, or as much of it as is left of the piece. */
static enum hoist_err cut_change(struct cutter *c, struct cut *cut)
{
    uint16_t id = c->e->env.id;
    uint64_t version = cut->version ? cut->version : c->e->env.log_first;
    struct slice bytes;
    struct change change;
    struct edit edit;
    enum hoist_err err = store_log_get(c->r, id, version, &bytes);
    if (err == HOIST_ENOTFOUND)
        err = err_set(HOIST_ECORRUPT, "store: change %" PRIu64 " is missing in the log of '%s'",
                      version, c->e->env.name);
    if (!err)
        err = change_decode(bytes, &change);
    if (!err && cut->version == 0)
        err = begin_change(c, cut, change.edits);
    if (err)
        return err;
    if (cut->offset > change.edits.len)
        return err_set(HOIST_ECORRUPT, "store: how far the log is cut is damaged");
    struct edits_reader reader = {
        .rest = slice_of(change.edits.ptr + cut->offset, change.edits.len - cut->offset),
        .left = cut->left,
    };
    while (!is_spent(c) && (err = edits_next(&reader, &edit)) == HOIST_OK) {
        err = cut_edit(c->w, id, version, &edit);
        if (err)
            return err;
        c->rows++;
        c->bytes += edit.key.len + edit.record.len;
    }
    c->rows++; /* the change itself: those without edits count as well */
    if (err == HOIST_ENOTFOUND)
        return end_change(c, cut, bytes.len);
    cut->offset = change.edits.len - reader.rest.len;
    cut->left = reader.left;
    return err;
}

/* ------------------------------------------------------------------ an environment */

static enum hoist_err cut_env(struct cutter *c)
{
    struct cut cut;
    bool due;
    enum hoist_err err = get_cut(c->r, c->e->env.id, &cut);
    while (!err && !is_spent(c)) {
        due = true;
        if (cut.version == 0)
            err = is_due(c, &due);
        if (err || !due)
            break;
        err = cut_change(c, &cut);
    }
    if (!err && c->rows > 0)
        err = put_cut(c->w, c->e->env.id, &cut);
    if (!err && c->rows > 0)
        err = write_env_row(c->w, c->e);
    return err;
}

/* Without a transaction: whether it may be worth one. */
static bool may_be_due(const struct store_options *o, struct store_read *r,
                       const struct store_env *env)
{
    struct cut cut;
    return env->head + 1 - env->log_first > o->log_min || env->log_bytes > o->log_bytes ||
           get_cut(r, env->id, &cut) != HOIST_OK || cut.version != 0;
}

static enum hoist_err cut_env_at(struct store *s, uint32_t n, bool by_age, int64_t now_ms,
                                 bool *ret_more)
{
    struct store_env env;
    struct cutter c = {
        .store = s, .by_age = by_age, .before_ms = now_ms - s->writer->options.log_age_ms};
    enum hoist_err err = store_read_begin(s, false, &c.r);
    if (err)
        return err;
    err = store_env_at(c.r, n, &env);
    if (err || !may_be_due(&s->writer->options, c.r, &env))
        goto out;
    err = store_write_begin(s, &c.w);
    if (!err)
        err = write_env(c.w, env.id, &c.e);
    if (!err)
        err = cut_env(&c);
    if (!err && c.rows > 0) {
        *ret_more = *ret_more || is_spent(&c);
        err = store_write_commit(c.w);
    } else {
        store_write_abort(c.w);
    }
out:
    store_read_end(c.r);
    return err;
}

enum hoist_err log_cut(struct store *s, int64_t now_ms, bool *ret_more)
{
    struct writer *wr = s->writer;
    enum hoist_err err = HOIST_OK;
    /* To look at the age of a change is to read it whole: seldom is often enough. */
    if (wr->cut_next == 0) {
        int64_t now = clock_mono_ms();
        wr->cut_by_age = now >= wr->cut_age_at_ms;
        if (wr->cut_by_age)
            wr->cut_age_at_ms = now + AGE_PERIOD_MS;
    }
    for (int i = 0; !err && i < ENVS_A_TICK; i++) {
        bool more = false;
        err = cut_env_at(s, wr->cut_next, wr->cut_by_age, now_ms, &more);
        if (err == HOIST_ENOTFOUND) { /* behind the last: again from the first */
            wr->cut_next = 0;
            return HOIST_OK;
        }
        if (more) {
            *ret_more = true;
            return err; /* this one goes on with the next tick */
        }
        if (!err)
            wr->cut_next++;
    }
    return err;
}
