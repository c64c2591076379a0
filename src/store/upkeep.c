#include "store/upkeep.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

enum { ROTATE_PAUSE_MS = 60000, ROTATE_PAUSE_MS_MAX = 3600000 };

void store_set_rotate_limit(struct store *s, uint64_t bytes)
{
    s->writer->rotate_limit = bytes;
}

/* A commit that changes nothing: who begins to read anew sees it, who is stuck does not. */
static enum hoist_err probe(struct store *s, int64_t now_ms)
{
    struct store_write *w;
    uint8_t row[8];
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    be64_write(row, (uint64_t)now_ms);
    err = write_put(w, DB_META, val_of(SLICE("probe")), slice_of(row, sizeof row), 0);
    if (err) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

static bool wants_rotation(struct store *s)
{
    struct store_stats stats;
    uint64_t cleared;
    if (watch_stuck(s, NULL, 0, &cleared) == 0)
        return false;
    store_stats(s, &stats);
    return stats.file_bytes > s->writer->rotate_limit && stats.file_bytes > 2 * stats.used_bytes;
}

/* Each try writes a copy of all that is live, in the way of changes, and may fill the disk: seldom. */
static void put_rotation_off(struct writer *wr)
{
    int64_t pause_ms = 2 * wr->rotate_pause_ms;
    wr->rotate_pause_ms = pause_ms < ROTATE_PAUSE_MS       ? ROTATE_PAUSE_MS
                          : pause_ms > ROTATE_PAUSE_MS_MAX ? ROTATE_PAUSE_MS_MAX
                                                           : pause_ms;
    wr->rotate_not_before_ms = clock_mono_ms() + wr->rotate_pause_ms;
}

static enum hoist_err rotate_if_wanted(struct store *s)
{
    struct writer *wr = s->writer;
    if (clock_mono_ms() < wr->rotate_not_before_ms || !wants_rotation(s))
        return HOIST_OK;
    log_warn("store: a reader that does not move on makes %s grow: going on in a new file", s->dir);
    enum hoist_err err = rotate(s);
    if (err == HOIST_OK)
        wr->rotate_pause_ms = 0;
    if (err == HOIST_OK || err == HOIST_EUNKNOWN)
        return err;
    put_rotation_off(wr);
    log_warn("%s; the file grows on, and it is tried again in %" PRId64 " s. End the process that "
             "reads without end (flagctl status --store %s names it), or make room for a copy of "
             "what the store holds",
             err_last(), wr->rotate_pause_ms / 1000, s->dir);
    return HOIST_OK;
}

enum hoist_err store_tick(struct store *s, int64_t now_wall_ms, bool *ret_more)
{
    bool more = false;
    enum hoist_err err = HOIST_OK;
    if (s->writer->broken)
        return err_set(HOIST_EUNKNOWN, "the disk failed while the store was written; it is to be "
                                       "opened again");
    err = gone_delete(s, &more);
    if (!err)
        err = log_cut(s, now_wall_ms, &more);
    if (!err)
        err = commands_forget(s, now_wall_ms, &more);
    if (!err)
        err = held_retry(s, &more);
    if (!err && watch_wants_probe(s))
        err = probe(s, now_wall_ms);
    if (!err)
        err = rotate_if_wanted(s);
    store_end_older(s);
    if (err == HOIST_EAGAIN)
        err = HOIST_OK; /* all reads are taken just now: the next tick will do it */
    if (!err)
        *ret_more = more;
    return err;
}
