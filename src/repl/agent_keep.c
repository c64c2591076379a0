/* agent_keep.c - keeps what is known of the primary across a start: the certificates of its keys, and
 * the greatest counter of its heartbeats. What cannot be kept is kept later: a revocation must outlive
 * this process. */
#include "base/log.h"
#include "repl/agent_int.h"

enum hoist_err agent_kept(struct agent *a, struct arena *arena, struct follower_config *ret)
{
    struct store_read *r;
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err != HOIST_OK)
        return err;
    err = store_keys_get(r, &ret->certificates);
    if (err == HOIST_OK)
        err = arena_own(arena, &ret->certificates);
    if (err == HOIST_OK || err == HOIST_ENOTFOUND)
        err = store_origin_get(r, &ret->counter);
    store_read_end(r);
    a->counter = ret->counter;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* The end of a transaction in which `err` came of putting. */
static bool finish(struct agent *a, struct store_write *w, enum hoist_err err, const char *what)
{
    if (err == HOIST_OK)
        err = store_write_commit(w);
    else
        store_write_abort(w);
    if (err == HOIST_EUNKNOWN)
        agent_break(a, err_last());
    else if (err != HOIST_OK)
        log_warn("repl: %s cannot be kept in the store: %s", what, err_last());
    return err == HOIST_OK;
}

static bool put_keys(struct agent *a, struct slice certificates)
{
    static const char what[] = "the certificates of signing keys";
    struct store_write *w;
    if (store_write_begin(a->store, &w) == HOIST_OK)
        return finish(a, w, store_keys_put(w, certificates), what);
    log_warn("repl: %s cannot be kept in the store: %s", what, err_last());
    return false;
}

void agent_keep_keys(struct agent *a, struct slice certificates)
{
    buf_clear(&a->unkept_keys);
    if (!put_keys(a, certificates))
        buf_add_slice(&a->unkept_keys, certificates);
}

void agent_keep_unkept_keys(struct agent *a)
{
    if (a->unkept_keys.len > 0 && put_keys(a, buf_slice(&a->unkept_keys)))
        buf_clear(&a->unkept_keys);
}

void agent_keep_counter(struct agent *a)
{
    struct follower_view view;
    struct store_write *w;
    pthread_mutex_lock(&a->lock);
    follower_look(a->follower, 0, &view);
    pthread_mutex_unlock(&a->lock);
    if (view.counter <= a->counter || store_write_begin(a->store, &w) != HOIST_OK)
        return;
    a->counter = view.counter;
    finish(a, w, store_origin_put(w, view.counter), "the counter of heartbeats");
}
