#include "repl/told.h"

#include "base/log.h"
#include "base/metrics.h"

static struct metric *left_out(void)
{
    return metric_series(METRIC_COUNTER, "hoist_frames_refused_total",
                         "Frames that could not be read or were not believed.", "reason=\"status\"",
                         NULL);
}

void told_metrics_begin(void)
{
    (void)left_out();
}

enum hoist_err told_hello(struct slice in, struct arena *arena, told_fn *take, void *arg)
{
    struct frame_hello f;
    enum hoist_err err = frame_get_hello(in, FRAME_HELLO, arena, &f);
    if (err != HOIST_OK || !take || slice_eq(f.role, SLICE(FRAME_ROLE_ASKER)))
        return err;
    take(arg, &(struct told_host){.status = {.id = f.id,
                                             .incarnation = f.incarnation,
                                             .software = f.software,
                                             .envs = f.envs,
                                             .env_count = f.env_count,
                                             .proofs = f.proofs,
                                             .proof_count = f.proof_count}});
    return HOIST_OK;
}

enum hoist_err told_status(struct slice in, struct arena *arena, told_fn *take, void *arg,
                           struct buf *reply)
{
    struct told_host told = {.whole = true, .bytes = in};
    enum hoist_err err = frame_get_status(in, arena, &told.status);
    if (err != HOIST_OK)
        return err;
    if (take)
        take(arg, &told);
    frame_put_status_reply(reply, REPLY_OK);
    return HOIST_OK;
}

static void take_one(const struct subtree_host *h, told_fn *take, void *arg)
{
    struct arena arena = {0}; /* of one host at a time: there may be thousands */
    struct told_host told = {.whole = true, .bytes = h->status, .via = h->via, .age_ms = h->age_ms};
    if (frame_get_status(h->status, &arena, &told.status) == HOIST_OK) {
        take(arg, &told);
    } else {
        log_debug("repl: what a host told relay '%.*s' cannot be read: %s", SLICE_ARG(h->via),
                  err_last());
        metric_inc(left_out());
    }
    arena_done(&arena);
}

enum hoist_err told_subtree(struct slice in, struct arena *arena, told_fn *take, void *arg,
                            struct buf *reply)
{
    struct frame_subtree f;
    enum hoist_err err = frame_get_subtree(in, arena, &f);
    if (err != HOIST_OK)
        return err;
    for (uint32_t i = 0; i < f.count && take; i++)
        take_one(&f.hosts[i], take, arg);
    frame_put_status_reply(reply, REPLY_OK);
    return HOIST_OK;
}
