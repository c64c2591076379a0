/* agent_keep.c - keeps what is known of the primary across a start: the certificates of its keys, and
 * the greatest counter of its heartbeats. What cannot be kept is learnt again. */
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
static void finish(struct agent *a, struct store_write *w, enum hoist_err err, const char *what)
{
    if (err == HOIST_OK)
        err = store_write_commit(w);
    else
        store_write_abort(w);
    if (err == HOIST_EUNKNOWN)
        agent_break(a, err_last());
    else if (err != HOIST_OK)
        log_warn("repl: %s cannot be kept in the store: %s", what, err_last());
}

void agent_keep_keys(struct agent *a, struct slice certificates)
{
    struct store_write *w;
    if (store_write_begin(a->store, &w) == HOIST_OK)
        finish(a, w, store_keys_put(w, certificates), "the certificates of signing keys");
    else
        log_warn("repl: the certificates of signing keys cannot be kept: %s", err_last());
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
