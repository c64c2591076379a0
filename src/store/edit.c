#include "store/write_int.h"

#include <inttypes.h>

#include "flag/peaks.h"
#include "store/seal.h"
#include "wire/record.h"

/* A flag as it stands before an edit. */
struct before {
    bool there;
    struct slice record; /* in the map: until the first put */
    bool held;
    struct held_row held_row; /* likewise */
};

static enum hoist_err look(struct store_write *w, const struct env_work *e, struct row_key *k,
                           struct before *ret)
{
    struct before b = {0};
    MDB_val key = val_key(k), row;
    int rc = db_get(w->db, w->txn, DB_FLAGS, &key, &row);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "read a flag");
    b.there = rc == 0;
    if (b.there)
        b.record = slice_val(row);
    if (e->env.held > 0) {
        rc = db_get(w->db, w->txn, DB_HELD, &key, &row);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return db_err(rc, "read a held flag");
        b.held = rc == 0;
        if (b.held) {
            enum hoist_err err = held_row_read(row, &b.held_row);
            if (err)
                return err;
        }
    }
    *ret = b;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ room */

/* A flag that is replaced by one of about its size finds room beyond the quota: a full store must
 * not stand in the way of a kill switch. */
static enum hoist_err check_room(struct store_write *w, uint64_t before, uint64_t after)
{
    enum { ABOUT = 1024 };
    enum hoist_err err = write_records(w);
    if (err)
        return err;
    uint64_t quota = w->store->quota_bytes;
    uint64_t limit = before > 0 && after - before <= ABOUT ? quota + quota / 16 : quota;
    if (after > before && w->records - before + after > limit)
        return err_set(HOIST_ENOSPC,
                       "the store's quota is reached: %" PRIu64 " of %" PRIu64
                       " bytes of records; delete flags or raise the quota",
                       w->records, quota);
    w->records += after - before; /* modulo 2^64: may shrink */
    return HOIST_OK;
}

static enum hoist_err count(struct store_write *w, struct env_work *e, const struct edit *edit,
                            const struct before *b)
{
    uint64_t before = b->there ? edit->key.len + b->record.len : 0;
    uint64_t after = edit->put ? edit->key.len + edit->record.len : 0;
    enum hoist_err err = check_room(w, before, after);
    if (!err)
        err = write_sum(w, e);
    if (err)
        return err;
    if (b->there)
        lthash_sub(&e->sum, edit->key, b->record);
    if (edit->put)
        lthash_add(&e->sum, edit->key, edit->record);
    e->sum_changed = true;
    e->env.flags += (uint64_t)edit->put - (uint64_t)b->there;
    e->env.bytes += after - before;
    return HOIST_OK;
}

enum hoist_err edit_check_flags(const struct store_write *w, const struct env_work *e,
                                uint64_t before)
{
    uint64_t most = w->store->env_flags;
    if (e->env.flags <= most || e->env.flags <= before)
        return HOIST_OK;
    return err_set(HOIST_ELIMIT,
                   "'%s' would have %" PRIu64 " flags: %" PRIu64 " at most (--env-flags)",
                   e->env.name, e->env.flags, most);
}

static void raise_to(_Atomic uint64_t *peak, uint64_t value)
{
    if (value > atomic_load_explicit(peak, memory_order_relaxed)) /* there is one writer */
        atomic_store_explicit(peak, value, memory_order_relaxed);
}

/* ------------------------------------------------------------------ history */

/* What stood before the first change in the log that touches the key; to be made before any put. */
static void make_baseline(struct store_write *w, const struct before *b, enum history_kind kind)
{
    buf_clear(&w->scratch);
    if (kind == HISTORY_UNKNOWN) {
        buf_add_byte(&w->scratch, BASELINE_UNKNOWN);
        return;
    }
    buf_add_byte(&w->scratch, b->there ? BASELINE_RECORD : BASELINE_NONE);
    if (b->there)
        buf_add_slice(&w->scratch, b->record);
}

static enum hoist_err put_history(struct store_write *w, struct row_key *k,
                                  const struct edit_how *how)
{
    uint8_t version[8];
    MDB_val key = val_key(k), row = val_of(buf_slice(&w->scratch));
    int rc = mdb_put(w->txn, w->db->dbi[DB_BASELINE], &key, &row, MDB_NOOVERWRITE);
    if (rc == 0) {
        struct seal seal = seal_make(DB_BASELINE, val_key(k), buf_slice(&w->scratch));
        rc = seal_put(w->db, w->txn, &seal);
    }
    if (rc != 0 && rc != MDB_KEYEXIST) /* there is one as long as the log touches the key */
        return db_err(rc, "keep what was before a change");
    be64_write(version, how->version);
    return write_put(w, DB_TOUCH, val_key(k), slice_of(version, sizeof version), 0);
}

/* ------------------------------------------------------------------ holding back */

/* Why this version cannot read the record; "": it can. */
static enum hoist_err judge(const struct edit *edit, struct slice *ret_why)
{
    struct flag *flag = NULL;
    enum hoist_err err = record_decode(edit->key, edit->record, &flag, NULL);
    if (!err)
        flag_peaks_note(flag);
    flag_free(flag);
    if (err == HOIST_ENOMEM)
        return err;
    *ret_why = slice_str("");
    if (err) {
        *ret_why = slice_str(err_last());
        if (ret_why->len > HELD_WHY_MAX)
            ret_why->len = HELD_WHY_MAX;
    }
    return HOIST_OK;
}

/* The row for a flag that is held back from here on, or still; to be made before any put. */
static void make_held(struct store_write *w, const struct before *b, struct slice why,
                      uint64_t version)
{
    struct held_row row = {.version = version, .why = why};
    if (b->held) {
        row.has_last = b->held_row.has_last;
        row.last = b->held_row.last;
    } else if (b->there) {
        row.has_last = true;
        row.last = b->record;
    }
    buf_clear(&w->scratch_held);
    held_row_write(&w->scratch_held, &row);
}

static enum hoist_err put_held(struct store_write *w, struct env_work *e, struct row_key *k,
                               bool was, bool is)
{
    enum hoist_err err = HOIST_OK;
    if (is)
        err = write_put(w, DB_HELD, val_key(k), buf_slice(&w->scratch_held), 0);
    else if (was)
        err = write_del(w, DB_HELD, val_key(k));
    uint64_t before = e->env.held;
    e->env.held += (uint64_t)is - (uint64_t)was;
    if (!e->is_load && (before == 0) != (e->env.held == 0))
        w->mark_envs = true; /* readers begin, or cease, to look into `held` */
    return err;
}

/* ------------------------------------------------------------------ all of it */

enum hoist_err edit_apply(struct store_write *w, struct env_work *e, const struct edit *edit,
                          const struct edit_how *how)
{
    if (edit->key.len == 0 || edit->key.len > FLAG_KEY_BYTES_MAX)
        return err_set(HOIST_ECORRUPT, "an edit's key has %zu bytes", edit->key.len);
    struct row_key k = row_flag(e->env.id, edit->key);
    struct slice why = {0};
    struct before b = {0};
    enum hoist_err err = look(w, e, &k, &b);
    if (!err && edit->put && how->hold_back)
        err = judge(edit, &why);
    if (!err)
        err = count(w, e, edit, &b);
    if (err)
        return err;
    raise_to(&w->store->flag_bytes, edit->record.len);

    /* A put moves what was read from the map: all that is kept of it is copied before the first. */
    if (how->history != HISTORY_NONE)
        make_baseline(w, &b, how->history);
    if (why.len > 0)
        make_held(w, &b, why, how->version);
    err = buf_err(&w->scratch);
    if (!err)
        err = buf_err(&w->scratch_held);
    if (!err && how->history != HISTORY_NONE)
        err = put_history(w, &k, how);
    if (!err && edit->put)
        err = write_put(w, DB_FLAGS, val_key(&k), edit->record, 0);
    if (!err && !edit->put && b.there)
        err = write_del(w, DB_FLAGS, val_key(&k));
    if (!err && !edit->put && b.there)
        err = write_del(w, DB_USAGE, val_key(&k));
    if (!err && (b.held || why.len > 0))
        err = put_held(w, e, &k, b.held, why.len > 0);
    if (!err && !e->is_load) /* nobody reads it yet */
        write_mark(w, e->env.id, edit->key);
    return err;
}

enum hoist_err edits_apply(struct store_write *w, struct env_work *e, struct slice edits,
                           const struct edit_how *how)
{
    struct edits_reader reader;
    struct edit edit;
    uint64_t before = e->env.flags;
    if (edits.len == 0)
        return HOIST_OK;
    raise_to(&w->store->change_bytes, edits.len);
    enum hoist_err err = edits_open(edits, &reader);
    while (!err) {
        err = edits_next(&reader, &edit);
        if (!err)
            err = edit_apply(w, e, &edit, how);
    }
    return err == HOIST_ENOTFOUND ? edit_check_flags(w, e, before) : err;
}
