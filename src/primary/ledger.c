#include "primary/ledger.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "primary/fleet_int.h"

/*
 * A row: when the host was last heard (i64, wall clock), then what it said, as the frame that
 * brought it, so that the wire's decoders bound both: a status, or for a host that hangs on a relay
 * a subtree of this one host. Rows from before there were relays are statuses, too.
 */
enum {
    HEARD_SIZE = 8,
    ROW_MAX = HEARD_SIZE + FRAME_REPLY_MAX,
    LOOK_PIECE = 2048, /* hosts looked at in one go, */
    ROWS_PIECE = 256,  /* and written */
    BYTES_PIECE = 1 << 20,
};

/* ------------------------------------------------------------------ loading */

static enum hoist_err read_frame(struct slice frame, struct arena *arena, struct slice *ret_via,
                                 struct frame_status *ret)
{
    enum frame_kind kind;
    struct frame_subtree subtree;
    enum hoist_err err = frame_kind_of(frame, &kind);
    if (err != HOIST_OK || kind != FRAME_SUBTREE)
        return err == HOIST_OK ? frame_get_status(frame, arena, ret) : err;
    err = frame_get_subtree(frame, arena, &subtree);
    if (err == HOIST_OK && subtree.count != 1)
        err = err_set(HOIST_ECORRUPT, "a row of the ledger is one host's");
    if (err == HOIST_OK)
        err = frame_get_status(subtree.hosts[0].status, arena, ret);
    if (err == HOIST_OK)
        *ret_via = subtree.hosts[0].via;
    return err;
}

static bool read_row(struct fleet *f, struct store_read *r, struct slice id, struct slice row,
                     struct arena *arena, int64_t mono_ns)
{
    struct frame_status status;
    struct slice via = {0};
    if (row.len < HEARD_SIZE)
        return false;
    struct slice frame = slice_of(row.ptr + HEARD_SIZE, row.len - HEARD_SIZE);
    if (read_frame(frame, arena, &via, &status) != HOIST_OK || !slice_eq(status.id, id))
        return false;
    struct host *h = host_get(f, id);
    if (!h || !host_take_via(h, via) || !host_take(f, h, r, &status, true, false, mono_ns))
        return false;
    h->incarnation = status.incarnation;
    h->heard_ms = mono_ns / FLEET_NS;
    h->heard_wall_ms = (int64_t)be64_read(row.ptr);
    h->refusals_logged = true;
    h->silence_saved = true;
    h->saved = h->edition;
    return true;
}

enum hoist_err ledger_load(struct fleet *f, struct store *s, int64_t mono_ns)
{
    struct store_read *r;
    struct slice id = {0}, row;
    uint32_t bad = 0;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err != HOIST_OK)
        return err;
    pthread_mutex_lock(&f->lock);
    while ((err = store_host_next(r, id, &id, &row)) == HOIST_OK) {
        struct arena arena = {0};
        bad += !read_row(f, r, id, row, &arena, mono_ns);
        arena_done(&arena);
    }
    pthread_mutex_unlock(&f->lock);
    store_read_end(r);
    if (bad > 0)
        log_warn(
            "primary: %u hosts of the ledger could not be read; they are known again when they "
            "speak",
            bad);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* ------------------------------------------------------------------ what is due */

struct due {              /* a row to be written, or deleted */
    struct slice id, row; /* without a row: deleted */
    uint32_t edition;
    bool silent;
};

struct dues {
    struct arena arena;
    struct due items[ROWS_PIECE];
    uint32_t count;
    uint32_t deletes; /* the first so many */
};

static struct env_head head_of(const struct said *said)
{
    struct env_head head = {.name = slice_str(said->env),
                            .epoch = said->epoch,
                            .version = said->version,
                            .state = said->state,
                            .held = said->held};
    memcpy(head.hash, said->hash, HASH_SIZE);
    memcpy(head.digest, said->digest, HASH_SIZE);
    return head;
}

static void put_frame(struct buf *out, const struct host *h, const struct frame_status *status)
{
    if (h->via.len == 0) {
        frame_put_status(out, status);
        return;
    }
    struct buf bytes = BUF_INIT(FRAME_STATUS_MAX);
    frame_put_status(&bytes, status);
    struct subtree_host one = {.via = h->via, .status = buf_slice(&bytes)};
    frame_put_subtree(out, &one, 1);
    if (out->err == HOIST_OK)
        out->err = bytes.err;
    buf_done(&bytes);
}

static bool write_row(const struct host *h, struct buf *out, int64_t mono_ms, int64_t wall_ms)
{
    uint8_t heard[HEARD_SIZE];
    int64_t heard_wall_ms = h->heard ? wall_ms - (mono_ms - h->heard_ms) : h->heard_wall_ms;
    struct env_head *heads = mem_zalloc(h->said_count, sizeof *heads);
    if (!heads)
        return false;
    for (uint32_t i = 0; i < h->said_count; i++)
        heads[i] = head_of(&h->said[i]);
    be64_write(heard, (uint64_t)heard_wall_ms);
    buf_clear(out);
    buf_add(out, heard, sizeof heard);
    put_frame(out, h,
              &(struct frame_status){.id = h->id,
                                     .incarnation = h->incarnation,
                                     .software = h->software,
                                     .labels = h->labels,
                                     .label_count = h->label_count,
                                     .envs = heads,
                                     .env_count = h->said_count,
                                     .refusals = h->refusals,
                                     .refusal_count = h->refusal_count});
    mem_free(heads);
    return buf_err(out) == HOIST_OK;
}

static bool add_due(struct dues *d, struct slice id, struct slice row)
{
    struct due due = {.id = id, .row = row};
    if (arena_own(&d->arena, &due.id) != HOIST_OK ||
        (row.len && arena_own(&d->arena, &due.row) != HOIST_OK))
        return false;
    d->items[d->count++] = due;
    return true;
}

static bool is_full(const struct dues *d)
{
    return d->count == ROWS_PIECE || d->arena.total > BYTES_PIECE;
}

static void gather_hosts(struct fleet *f, struct dues *d, int64_t mono_ms, int64_t wall_ms)
{
    struct buf row = BUF_INIT(ROW_MAX);
    uint32_t looks = f->host_count < LOOK_PIECE ? f->host_count : LOOK_PIECE;
    for (; looks > 0 && !is_full(d); looks--) {
        if (f->look_next >= f->host_count)
            f->look_next = 0;
        const struct host *h = f->hosts[f->look_next++];
        bool silent = !host_is_live(h, mono_ms);
        if (h->saved == h->edition && (h->silence_saved || !silent))
            continue;
        if (!write_row(h, &row, mono_ms, wall_ms) || !add_due(d, h->id, buf_slice(&row)))
            break;
        d->items[d->count - 1].edition = h->edition;
        d->items[d->count - 1].silent = silent;
    }
    buf_done(&row);
}

static void gather(struct fleet *f, struct dues *d)
{
    int64_t mono_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
    pthread_mutex_lock(&f->lock);
    while (d->deletes < f->gone_count && !is_full(d) &&
           add_due(d, f->gone[d->deletes], (struct slice){0}))
        d->deletes++;
    gather_hosts(f, d, mono_ms, wall_ms);
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ writing */

static enum hoist_err write_dues(struct store *s, const struct dues *d)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(s, &w);
    if (err != HOIST_OK)
        return err;
    for (uint32_t i = 0; i < d->count && err == HOIST_OK; i++) {
        const struct due *due = &d->items[i];
        err = due->row.len ? store_host_put(w, due->id, due->row) : store_host_delete(w, due->id);
    }
    if (err != HOIST_OK) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

/* What was written is no longer due, unless it has changed again meanwhile. */
static void note_written(struct fleet *f, const struct dues *d)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < d->deletes; i++)
        mem_free((void *)f->gone[i].ptr);
    f->gone_count -= d->deletes;
    memmove(f->gone, f->gone + d->deletes, f->gone_count * sizeof *f->gone);
    for (uint32_t i = d->deletes; i < d->count; i++) {
        struct host *h = host_find(f, d->items[i].id);
        if (!h)
            continue;
        h->saved = d->items[i].edition;
        h->silence_saved |= d->items[i].silent && !host_is_live(h, clock_mono_ms());
    }
    pthread_mutex_unlock(&f->lock);
}

enum hoist_err ledger_tick(struct fleet *f, struct store *s, bool *ret_more)
{
    struct dues d = {.count = 0};
    enum hoist_err err = HOIST_OK;
    gather(f, &d);
    if (d.count > 0)
        err = write_dues(s, &d);
    if (d.count > 0 && err == HOIST_OK) {
        note_written(f, &d);
        *ret_more |= is_full(&d);
    }
    arena_done(&d.arena);
    return err;
}

enum hoist_err ledger_finish(struct fleet *f, struct store *s)
{
    enum hoist_err err = HOIST_OK;
    for (uint32_t looked = 0; err == HOIST_OK && looked < f->room;) {
        bool more = false;
        err = ledger_tick(f, s, &more);
        looked += more ? 0 : LOOK_PIECE;
    }
    return err;
}
