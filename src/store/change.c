#include "store/write_int.h"

#include <inttypes.h>

#include "base/clock.h"

/* ------------------------------------------------------------------ what fits */

/* The first change of all names the epoch; one of kind `epoch` goes on from another. */
static bool epoch_fits(const struct store_env *env, const struct change_header *h)
{
    if (env->head == 0 && env->epoch == 0)
        return true;
    if (h->kind == CHANGE_EPOCH && h->old_epoch == env->epoch)
        return h->epoch > env->epoch;
    return h->epoch == env->epoch;
}

enum hoist_err change_check(const struct store_env *env, const struct change *c)
{
    const struct change_header *h = &c->head;
    if (h->version != env->head + 1)
        return HOIST_EAGAIN;
    if (!c->edits.ptr)
        return err_set(HOIST_ECORRUPT, "change %" PRIu64 " has come without its edits", h->version);
    if (!slice_eq(h->env, slice_str(env->name)))
        return err_set(HOIST_ECORRUPT, "change %" PRIu64 " is of environment '%.*s', not '%s'",
                       h->version, SLICE_ARG(h->env), env->name);
    if (!epoch_fits(env, h))
        return err_set(HOIST_ECORRUPT,
                       "change %" PRIu64 " is of epoch %016" PRIx64
                       ", this history is of %016" PRIx64,
                       h->version, h->epoch, env->epoch);
    if (memcmp(h->prev, env->hash, HASH_SIZE) != 0)
        return err_set(HOIST_ECORRUPT,
                       "change %" PRIu64 " does not follow the change before it that is here: its "
                       "previous hash is another",
                       h->version);
    return HOIST_OK;
}

static enum hoist_err check_digest(struct store_write *w, struct env_work *e,
                                   const struct change *c)
{
    uint8_t digest[HASH_SIZE];
    enum hoist_err err = write_sum(w, e);
    if (err)
        return err;
    lthash_digest(&e->sum, digest);
    if (memcmp(digest, c->head.digest, HASH_SIZE) != 0)
        return err_set(HOIST_ECORRUPT,
                       "after change %" PRIu64
                       " of '%s' the flags here are not those it names: the "
                       "state digest is another",
                       c->head.version, e->env.name);
    return HOIST_OK;
}

enum hoist_err change_put(struct store_write *w, struct env_work *e, const struct change *c)
{
    struct store_env *env = &e->env;
    struct row_key k = row_log(env->id, c->head.version);
    enum hoist_err err = write_put(w, DB_LOG, val_key(&k), c->bytes, 0);
    if (err)
        return err;
    if (env->log_first > env->head)
        env->log_first = c->head.version; /* it was empty */
    env->log_bytes += c->bytes.len;
    env->epoch = c->head.epoch;
    env->head = c->head.version;
    memcpy(env->hash, c->hash, HASH_SIZE);
    memcpy(env->digest, c->head.digest, HASH_SIZE);
    env->time_ms = c->head.time_ms;
    env->applied_ms = clock_wall_ms();
    e->staged = 0;
    w->announce = true;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ a primary's way */

enum hoist_err store_change_stage(struct store_write *w, uint16_t env, struct slice edits,
                                  uint64_t version, uint8_t ret_digest[HASH_SIZE])
{
    struct env_work *e;
    enum hoist_err err = write_env(w, env, &e);
    if (err)
        return err;
    if (version != e->env.head + 1 || e->staged)
        return err_set(HOIST_EINVAL, "version %" PRIu64 " is not the next of '%s', at %" PRIu64,
                       version, e->env.name, e->env.head);
    const struct edit_how how = {.version = version, .history = HISTORY_EXACT};
    err = edits_apply(w, e, edits, &how);
    if (!err)
        err = write_sum(w, e);
    if (!err)
        err = write_env_row(w, e);
    if (err)
        return err;
    e->staged = version;
    lthash_digest(&e->sum, ret_digest);
    return HOIST_OK;
}

enum hoist_err store_change_log(struct store_write *w, uint16_t env, const struct change *c)
{
    struct env_work *e;
    enum hoist_err err = write_env(w, env, &e);
    if (err)
        return err;
    if (c->head.version != e->staged)
        return err_set(HOIST_EINVAL, "change %" PRIu64 " of '%s' was not staged", c->head.version,
                       e->env.name);
    err = change_check(&e->env, c);
    if (!err)
        err = check_digest(w, e, c);
    if (!err)
        err = change_put(w, e, c);
    return err ? err : write_env_row(w, e);
}

enum hoist_err store_epoch_set(struct store_write *w, uint16_t env, uint64_t epoch)
{
    struct env_work *e;
    enum hoist_err err = write_env(w, env, &e);
    if (err)
        return err;
    if (epoch <= e->env.epoch)
        return err_set(HOIST_EINVAL, "epoch %016" PRIx64 " is not above %016" PRIx64, epoch,
                       e->env.epoch);
    e->env.epoch = epoch;
    w->announce = true;
    return write_env_row(w, e);
}

/* ------------------------------------------------------------------ an agent's way */

enum hoist_err store_change_apply(struct store_write *w, uint16_t env, const struct change *c)
{
    struct env_work *e;
    enum hoist_err err = write_env(w, env, &e);
    if (!err)
        err = change_check(&e->env, c);
    if (err)
        return err;
    const struct edit_how how = {
        .version = c->head.version, .history = HISTORY_EXACT, .hold_back = true};
    err = edits_apply(w, e, c->edits, &how);
    if (!err)
        err = check_digest(w, e, c);
    if (!err)
        err = change_put(w, e, c);
    return err ? err : write_env_row(w, e);
}
