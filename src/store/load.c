#include "store/write_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/mem.h"
#include "flag/flag.h"

enum { PIECE_BYTES = 4 << 20, LOADS_MAX = 64 };

/* An environment that is being loaded under an id that no name leads to yet. The row "load:" ID
 * says so: the next writer deletes what a crash left. The row "base:" ID has the change that the
 * snapshot began with, without its edits: whoever loads from here needs it until the log has a
 * newer one. */
struct store_load {
    struct store *store;
    struct env_work e;
    struct store_load *next;
};

uint64_t loads_bytes(const struct writer *wr)
{
    uint64_t sum = 0;
    for (const struct store_load *l = wr->loads; l; l = l->next)
        sum += l->e.env.bytes;
    return sum;
}

static size_t loads_count(const struct writer *wr)
{
    size_t n = 0;
    for (const struct store_load *l = wr->loads; l; l = l->next)
        n++;
    return n;
}

static void free_load(struct store_load *l)
{
    for (struct store_load **at = &l->store->writer->loads; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    mem_free(l);
}

/* ------------------------------------------------------------------ begin */

static enum hoist_err put_base(struct store_write *w, uint16_t id, const struct change *base)
{
    struct row_key k = row_meta("base:", id);
    struct buf bare = BUF_INIT(CHANGE_BYTES_MAX);
    enum hoist_err err = change_without_edits(base, &bare);
    if (!err)
        err = write_put(w, DB_META, val_key(&k), buf_slice(&bare), 0);
    buf_done(&bare);
    return err;
}

static enum hoist_err reserve_id(struct store *s, const struct change *base, uint16_t *ret)
{
    struct store_write *w;
    uint16_t id;
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    err = write_new_id(w, &id);
    if (!err) {
        struct row_key k = row_meta("load:", id);
        err = write_put(w, DB_META, val_key(&k), SLICE("\1"), 0);
    }
    if (!err)
        err = put_base(w, id, base);
    if (err) {
        store_write_abort(w);
        return err;
    }
    err = store_write_commit(w);
    if (!err)
        *ret = id;
    return err;
}

enum hoist_err store_load_begin(struct store *s, const char *env, const struct change *base,
                                struct store_load **ret)
{
    enum hoist_err err = flag_env_check(slice_str(env));
    if (err)
        return err;
    if (!slice_eq(base->head.env, slice_str(env)))
        return err_set(HOIST_ECORRUPT, "the snapshot is of environment '%.*s', not '%s'",
                       SLICE_ARG(base->head.env), env);
    if (loads_count(s->writer) >= LOADS_MAX)
        return err_set(HOIST_ELIMIT, "store: %d environments are being loaded already", LOADS_MAX);
    struct store_load *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return err_set(HOIST_ENOMEM, "out of memory");
    struct store_env *e = &l->e.env;
    err = reserve_id(s, base, &e->id);
    if (err) {
        mem_free(l);
        return err;
    }
    memcpy(e->name, env, strlen(env) + 1);
    e->epoch = base->head.epoch;
    e->head = base->head.version;
    e->log_first = base->head.version + 1;
    e->time_ms = base->head.time_ms;
    memcpy(e->hash, base->hash, HASH_SIZE);
    memcpy(e->digest, base->head.digest, HASH_SIZE);
    l->e.sum_known = true; /* of no flags: all zero */
    l->e.is_load = true;
    l->store = s;
    l->next = s->writer->loads;
    s->writer->loads = l;
    *ret = l;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ putting in */

/* Edits from a page of records, or from a change. */
struct source {
    const struct edit *records;
    size_t left;
    struct edits_reader *reader;
};

static enum hoist_err next_edit(struct source *from, struct edit *ret)
{
    if (from->reader)
        return edits_next(from->reader, ret);
    if (from->left == 0)
        return HOIST_ENOTFOUND;
    *ret = *from->records++;
    ret->put = true;
    from->left--;
    return HOIST_OK;
}

/* The quota is for what is served: what will be replaced does not count beside its successor. */
static enum hoist_err forget_replaced(struct store_write *w, const char *name)
{
    struct store_env env;
    enum hoist_err err = write_records(w);
    if (!err)
        err = store_env_get(&w->read, name, &env);
    if (!err)
        w->records -= env.bytes;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* One transaction's worth. ENOTFOUND: `from` is at its end; then `c`, unless NULL, is logged. */
static enum hoist_err put_piece(struct store_load *l, struct source *from, const struct change *c,
                                const struct edit_how *how)
{
    struct store_write *w;
    struct edit edit;
    struct env_work before = l->e;
    size_t bytes = 0;
    enum hoist_err err = store_write_begin(l->store, &w);
    if (err)
        return err;
    err = forget_replaced(w, l->e.env.name);
    while (!err && bytes < PIECE_BYTES) {
        err = next_edit(from, &edit);
        if (err)
            break;
        err = edit_apply(w, &l->e, &edit, how);
        bytes += edit.key.len + edit.record.len + 64;
    }
    bool at_end = err == HOIST_ENOTFOUND;
    if (at_end)
        err = edit_check_flags(w, &l->e, 0);
    if (at_end && !err && c)
        err = change_put(w, &l->e, c);
    w->announce = false; /* nobody reads it yet */
    if (err)
        store_write_abort(w);
    else
        err = store_write_commit(w);
    if (err) {
        l->e = before;
        return err;
    }
    return at_end ? HOIST_ENOTFOUND : HOIST_OK;
}

static enum hoist_err put_all(struct store_load *l, struct source *from, const struct change *c,
                              const struct edit_how *how)
{
    enum hoist_err err;
    do
        err = put_piece(l, from, c, how);
    while (!err);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

enum hoist_err store_load_records(struct store_load *l, const struct edit *records, size_t n)
{
    struct source from = {.records = records, .left = n};
    const struct edit_how how = {
        .version = l->e.env.head, .history = HISTORY_NONE, .hold_back = true};
    return put_all(l, &from, NULL, &how);
}

enum hoist_err store_load_change(struct store_load *l, const struct change *c)
{
    struct edits_reader reader;
    enum hoist_err err = change_check(&l->e.env, c);
    if (!err)
        err = edits_open(c->edits, &reader);
    if (err)
        return err;
    /* A page may have been read after this change: what is here is not surely what was before. */
    const struct edit_how how = {
        .version = c->head.version, .history = HISTORY_UNKNOWN, .hold_back = true};
    struct source from = {.reader = &reader};
    return put_all(l, &from, c, &how);
}

uint64_t store_load_version(const struct store_load *l)
{
    return l->e.env.head;
}

/* ------------------------------------------------------------------ end */

static enum hoist_err check_digest(const struct store_load *l)
{
    uint8_t digest[HASH_SIZE];
    lthash_digest(&l->e.sum, digest);
    if (memcmp(digest, l->e.env.digest, HASH_SIZE) == 0)
        return HOIST_OK;
    return err_set(HOIST_ECORRUPT,
                   "the flags that were loaded of '%s' are not those of version %" PRIu64
                   ": the state digest is another",
                   l->e.env.name, l->e.env.head);
}

static enum hoist_err put_gone(struct store_write *w, uint16_t id)
{
    struct row_key k = row_meta("gone:", id);
    return write_put(w, DB_META, val_key(&k), SLICE("\1"), 0);
}

static enum hoist_err put_not_loading(struct store_write *w, uint16_t id)
{
    struct row_key k = row_meta("load:", id);
    return write_del(w, DB_META, val_key(&k));
}

static enum hoist_err point_name(struct store_write *w, struct store_load *l)
{
    struct store_env old;
    uint32_t count;
    uint64_t bytes;
    enum hoist_err err = store_env_get(&w->read, l->e.env.name, &old);
    if (err == HOIST_OK) {
        l->e.env.order = old.order;
        err = put_gone(w, old.id);
    } else if (err == HOIST_ENOTFOUND) {
        err = store_env_totals(&w->read, &count, &bytes);
        if (!err && count >= ENVS_MAX)
            err = err_set(HOIST_ELIMIT, "the store has %d environments, which is the limit",
                          ENVS_MAX);
        if (!err)
            l->e.env.order = (uint16_t)count;
    }
    l->e.env.applied_ms = clock_wall_ms();
    if (!err)
        err = write_env_row(w, &l->e);
    if (!err)
        err = write_sum_row(w, &l->e);
    if (!err)
        err = put_not_loading(w, l->e.env.id);
    w->mark_all = w->announce = true;
    return err;
}

enum hoist_err store_load_finish(struct store_load *l)
{
    struct store_write *w;
    enum hoist_err err = check_digest(l);
    if (!err)
        err = store_write_begin(l->store, &w);
    if (!err) {
        err = point_name(w, l);
        if (err)
            store_write_abort(w);
        else
            err = store_write_commit(w);
    }
    if (err)
        store_load_abort(l);
    else
        free_load(l);
    return err;
}

void store_load_abort(struct store_load *l)
{
    if (!l)
        return;
    /* Where this fails (the disk is full), the row "load:" stays, and the next start sees to it. */
    struct store_write *w;
    char sentence[512];
    strncpy(sentence, err_last(), sizeof sentence - 1);
    sentence[sizeof sentence - 1] = '\0';
    enum hoist_err err = store_write_begin(l->store, &w);
    if (!err) {
        err = put_not_loading(w, l->e.env.id);
        if (!err)
            err = put_gone(w, l->e.env.id);
        if (err)
            store_write_abort(w);
        else
            err = store_write_commit(w);
    }
    if (err)
        err_set(err, "%s", sentence); /* why the load failed is of more use */
    free_load(l);
}
