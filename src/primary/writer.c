/* The writer's thread: group commit, publishing, answering, upkeep. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "primary/drill.h"
#include "primary/evaluations.h"
#include "primary/ledger.h"
#include "primary/primary_int.h"
#include "primary/query.h"
#include "repl/status.h"

enum {
    BATCH_JOBS = 1024,      /* in one transaction */
    BATCH_BYTES = 16 << 20, /* about */
    TICK_MS = 100,
    STATUS_MS = 1000,
    USAGE_MS = 1000,      /* between two times that evaluations are written … */
    USAGE_MS_MAX = 10000, /* … and where that takes long: a hundred times as long, up to this */
    USAGE_PART = 100,
    LANDINGS = 64, /* of one transaction that are measured: an environment, and a kind of change */
};

struct batch {
    struct job *jobs[BATCH_JOBS];
    uint32_t count;
};

static const char unknown_mend[] =
    "see whether it is there: flagctl log (the change names its request)";

/* ------------------------------------------------------------------ one transaction */

static enum hoist_err run_command(struct primary *p, struct job *j, struct store_write *w,
                                  int64_t now_ms)
{
    enum hoist_err err = job_read(p, j);
    if (err != HOIST_OK)
        return err;
    command_sign_with(j->command, p->key);
    command_judge_by(j->command, &p->writer_gate);
    command_release_with(j->command, p->releases);
    return command_run(j->command, w, p->fleet, now_ms, &j->answer);
}

/* Judge each job against what those before it left. On error nothing may be committed. */
static enum hoist_err run_jobs(struct primary *p, struct store_write *w, struct batch *b,
                               bool *ret_changed)
{
    int64_t now_ms = clock_wall_ms();
    *ret_changed = false;
    for (uint32_t i = 0; i < b->count; i++) {
        struct job *j = b->jobs[i];
        answer_done(&j->answer);
        j->answer = ANSWER_INIT;
        enum hoist_err err =
            job_is_releases(j) ? releasing_run(p, j, w, now_ms) : run_command(p, j, w, now_ms);
        if (err != HOIST_OK)
            return err;
        *ret_changed |= j->answer.changed || j->answer.wrote;
    }
    return HOIST_OK;
}

static enum hoist_err commit_batch(struct primary *p, struct batch *b, int64_t *ret_commit_ns)
{
    struct store_write *w;
    bool changed;
    int64_t began_ns = clock_mono_ns();
    enum hoist_err err = store_write_begin(p->store, &w);
    if (err != HOIST_OK)
        return err;
    releases_begin(p->releases);
    err = run_jobs(p, w, b, &changed);
    if (err != HOIST_OK || !changed) {
        store_write_abort(w);
        return err;
    }
    err = store_write_commit(w);
    if (err == HOIST_OK)
        releases_committed(p->releases);
    *ret_commit_ns = clock_mono_ns();
    metric_observe(p->txn_duration, (double)(*ret_commit_ns - began_ns) / 1e9);
    return err;
}

/* ------------------------------------------------------------------ what came of it */

static void publish(struct primary *p, const struct batch *b)
{
    struct slice changes[BATCH_JOBS];
    uint32_t count = 0;
    bool announce = false;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct answer *a = &b->jobs[i]->answer;
        if (a->changed)
            changes[count++] = buf_slice(&a->change);
        announce |= a->announce;
    }
    for (uint32_t i = 0; i < p->server_count && count; i++)
        server_publish(p->servers[i], changes, count);
    for (uint32_t i = 0; i < p->server_count && announce; i++)
        server_heartbeat(p->servers[i]);
}

/* The commits of a batch, by where they are measured: versions that were committed together land
 * together. */
struct landings {
    struct fleet_commit commits[LANDINGS];
    char envs[LANDINGS][STORE_ENV_NAME_MAX + 1];
    uint32_t count;
};

static void add_landing(struct primary *p, struct landings *l, const struct job *j)
{
    const struct answer *a = &j->answer;
    struct change c;
    if (change_decode(buf_slice(&a->change), &c) != HOIST_OK)
        return; /* it was encoded a moment ago */
    bool drill = drill_is(&c);
    if (drill)
        primary_metrics_drill(p, a->env, c.head.time_ms);
    struct metric *duration = primary_metrics_landing(p, a->env, c.head.kind);
    struct metric *since_asked =
        primary_metrics_kill(p, a->env, c.head.kind, drill ? TRIGGER_DRILL : j->trigger);
    for (uint32_t i = 0; i < l->count; i++) {
        struct fleet_commit *at = &l->commits[i];
        if (at->duration == duration && at->since_asked == since_asked &&
            at->epoch == c.head.epoch && strcmp(at->env, a->env) == 0) {
            at->version = c.head.version;
            return;
        }
    }
    if (l->count == LANDINGS)
        return;
    snprintf(l->envs[l->count], sizeof l->envs[0], "%s", a->env);
    l->commits[l->count] = (struct fleet_commit){.env = l->envs[l->count],
                                                 .epoch = c.head.epoch,
                                                 .first = c.head.version,
                                                 .version = c.head.version,
                                                 .duration = duration,
                                                 .since_asked = since_asked,
                                                 .asked_ns = j->asked_ns};
    l->count++;
}

/* Before the answers go out: whoever waits for a version asks for it as soon as it has its own. */
static void land(struct primary *p, const struct batch *b, int64_t commit_ns)
{
    struct landings l = {.count = 0};
    for (uint32_t i = 0; i < b->count; i++)
        if (b->jobs[i]->answer.changed)
            add_landing(p, &l, b->jobs[i]);
    for (uint32_t i = 0; i < l.count; i++)
        fleet_committed(p->fleet, &l.commits[i], commit_ns);
}

static void settle_all(const struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->jobs[i]->answer.wrote && b->jobs[i]->command)
            command_committed(b->jobs[i]->command);
}

static void answer_all(struct primary *p, struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct job *j = b->jobs[i];
        if (j->answer.announce)
            primary_metrics_env(p, j->answer.env);
        primary_metrics_count(p, &j->answer);
        job_answer(j);
    }
    b->count = 0;
}

/* None of them is done: the same error for each. */
static void fail_all(struct primary *p, struct batch *b, enum hoist_err err, const char *mend)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct answer *a = &b->jobs[i]->answer;
        a->changed = a->announce = a->wrote = false;
        a->exit = query_fail(&a->body, err, mend);
    }
    answer_all(p, b);
}

/* The disk failed in the middle of a commit. What is on it can only be told by opening it anew. */
static void break_off(struct primary *p, struct batch *b)
{
    log_error("primary: %s; it is not known whether %" PRIu32 " commands were carried out. No more "
              "are taken until the store was opened again",
              err_last(), b->count);
    atomic_store(&p->broken, true);
    fail_all(p, b, HOIST_EUNKNOWN, unknown_mend);
}

static void run_batch(struct primary *p, struct batch *b);

/* One of several is to blame, for want of room say: alone, each stands or falls for itself. */
static void run_one_by_one(struct primary *p, struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct batch one = {.jobs = {b->jobs[i]}, .count = 1};
        run_batch(p, &one);
    }
    b->count = 0;
}

static void run_batch(struct primary *p, struct batch *b)
{
    if (atomic_load(&p->broken)) {
        (void)err_set(HOIST_EIO, "the disk failed under a change before this one: this primary "
                                 "takes no more until its store was opened again");
        fail_all(p, b, HOIST_EIO, "nothing was done; try again");
        return;
    }
    int64_t commit_ns = 0;
    enum hoist_err err = commit_batch(p, b, &commit_ns);
    if (err == HOIST_OK) {
        publish(p, b);
        settle_all(b);
        land(p, b, commit_ns);
        answer_all(p, b);
    } else if (err == HOIST_EUNKNOWN) {
        break_off(p, b);
    } else if (b->count > 1) {
        run_one_by_one(p, b);
    } else {
        log_warn("primary: a change was refused: %s", err_last());
        fail_all(p, b, err,
                 err == HOIST_ENOSPC ? "make room on the primary's disk, or raise its "
                                       "quota; nothing was changed"
                                     : "nothing was changed");
    }
}

static void run_all(struct primary *p, struct queue_item *item)
{
    struct batch b = {.count = 0};
    size_t bytes = 0;
    while (item) {
        struct job *j = (struct job *)item;
        item = item->next;
        b.jobs[b.count++] = j;
        bytes += j->frame.body.len;
        if (!item || b.count == BATCH_JOBS || bytes >= BATCH_BYTES) {
            run_batch(p, &b);
            bytes = 0;
        }
    }
}

/* ------------------------------------------------------------------ upkeep */

static void put_status(struct primary *p)
{
    struct buf json = BUF_INIT(STATUS_STORED_MAX);
    enum hoist_err err = primary_status_text(p, STATUS_STORED_MAX, &json);
    if (err == HOIST_OK)
        err = store_status_put(p->store, buf_slice(&json));
    if (err != HOIST_OK)
        log_debug("primary: the status in the store is old: %s", err_last());
    buf_done(&json);
}

/* Who the hosts are, for the next start. */
static void keep_ledger(struct primary *p, enum hoist_err err)
{
    if (err == HOIST_EUNKNOWN) {
        log_error("primary: %s; no changes are taken until the store was opened again", err_last());
        atomic_store(&p->broken, true);
    } else if (err != HOIST_OK) {
        log_debug("primary: the ledger of hosts was not written: %s; it is tried again",
                  err_last());
    }
}

static void keep_denials(struct primary *p)
{
    enum hoist_err err = denials_write(p->denials, p->store);
    if (err == HOIST_EUNKNOWN) {
        log_error("primary: %s; no changes are taken until the store was opened again", err_last());
        atomic_store(&p->broken, true);
    } else if (err != HOIST_OK) {
        log_warn("primary: what was denied is not kept: %s; it is tried again", err_last());
    }
}

/* How often flags were evaluated. */
static void keep_evaluations(struct primary *p, bool *ret_more)
{
    enum hoist_err err =
        p->sums ? evaluations_write(p->sums, p->store, clock_wall_ms(), ret_more) : HOIST_OK;
    if (err == HOIST_EUNKNOWN) {
        log_error("primary: %s; no changes are taken until the store was opened again", err_last());
        atomic_store(&p->broken, true);
    } else if (err != HOIST_OK) {
        log_warn("primary: how often flags were evaluated is not written: %s; it is tried again",
                 err_last());
    }
}

void writer_keep_evaluations(struct primary *p)
{
    bool more = !atomic_load(&p->broken);
    while (more) {
        more = false;
        keep_evaluations(p, &more);
    }
}

static void upkeep_evaluations(struct primary *p, int64_t now_ms)
{
    bool more = false;
    int64_t began_ns = clock_mono_ns();
    keep_evaluations(p, &more);
    p->usage_took_ns += clock_mono_ns() - began_ns;
    if (more) {
        p->usage_ms = now_ms + TICK_MS;
        return;
    }
    int64_t pause_ms = USAGE_PART * p->usage_took_ns / 1000000;
    p->usage_took_ns = 0;
    p->usage_ms = now_ms + (pause_ms < USAGE_MS       ? USAGE_MS
                            : pause_ms > USAGE_MS_MAX ? USAGE_MS_MAX
                                                      : pause_ms);
}

/* What is due. Returns how long there is time until the next. */
static int64_t upkeep(struct primary *p)
{
    int64_t now_ms = clock_mono_ms();
    if (atomic_load(&p->broken))
        return TICK_MS;
    if (now_ms >= p->tick_ms) {
        bool more = false;
        enum hoist_err err = store_tick(p->store, clock_wall_ms(), &more);
        if (err == HOIST_EUNKNOWN) {
            log_error("primary: %s; no changes are taken until the store was opened again",
                      err_last());
            atomic_store(&p->broken, true);
        } else if (err != HOIST_OK) {
            log_debug("primary: upkeep of the store: %s; it is tried again", err_last());
        }
        if (!atomic_load(&p->broken))
            keep_ledger(p, ledger_tick(p->fleet, p->store, &more));
        if (!atomic_load(&p->broken))
            releasing_tick(p);
        p->tick_ms = more && err == HOIST_OK ? now_ms : now_ms + TICK_MS;
    }
    if (now_ms >= p->status_ms) {
        keep_denials(p);
        put_status(p);
        p->status_ms = now_ms + STATUS_MS;
    }
    if (now_ms >= p->usage_ms)
        upkeep_evaluations(p, now_ms);
    return p->tick_ms > now_ms ? p->tick_ms - now_ms : 0;
}

void *writer_main(void *primary)
{
    struct primary *p = primary;
    for (;;) {
        int64_t wait_ms = upkeep(p);
        bool closed = queue_is_closed(&p->changes); /* before the take: then what is in it is all */
        struct queue_item *first = queue_take(&p->changes, wait_ms);
        if (first)
            run_all(p, first);
        else if (closed)
            break;
    }
    if (!atomic_load(&p->broken))
        keep_ledger(p, ledger_finish(p->fleet, p->store));
    if (!atomic_load(&p->broken))
        keep_denials(p);
    return NULL;
}
