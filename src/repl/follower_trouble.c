/* follower_trouble.c - one environment: asking, asking again, and what stands in its way. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "repl/follower_int.h"

/* ---------------------------------------------------------------- asking, and asking again */

static bool is_asked(const struct follower *f, const struct fenv *e)
{
    return (f->request.kind == REQUEST_FETCH || f->request.kind == REQUEST_SNAPSHOT) &&
           f->request.env == e->index && f->request.life == e->life;
}

/* Neither asking nor about to, nor waiting after a failure. */
bool env_is_idle(const struct follower *f, const struct fenv *e)
{
    return !is_asked(f, e) && e->due_ms == NEVER && e->retry_ms == 0;
}

void env_ask(struct follower *f, struct fenv *e, int64_t when_ms)
{

    bool over = e->phase == PHASE_LIVE && e->trouble == TROUBLE_DIVERGED;
    if (is_asked(f, e) || over || e->phase == PHASE_FINISHING)
        return; /* the answer will tell whether there is more to ask */
    if (when_ms < e->earliest_ms)
        when_ms = e->earliest_ms;
    if (when_ms < e->due_ms)
        e->due_ms = when_ms;
}

static int64_t doubled(int64_t ms, int64_t first)
{
    ms = ms ? 2 * ms : first;
    return ms < FOLLOWER_RETRY_MAX_MS ? ms : FOLLOWER_RETRY_MAX_MS;
}

void env_ask_later(struct follower *f, struct fenv *e)
{
    e->retry_ms = doubled(e->retry_ms, RETRY_FIRST_MS);
    e->earliest_ms = f->now + follower_random(f, e->retry_ms);
    e->due_ms = NEVER;
    env_ask(f, e, e->earliest_ms);
}

/* Upstream said when to come again. Not all who heard it need come at the same moment. */
void env_busy(struct follower *f, struct fenv *e, uint32_t busy_ms)
{
    int64_t wait = busy_ms < FOLLOWER_RETRY_MAX_MS ? busy_ms : FOLLOWER_RETRY_MAX_MS;
    e->earliest_ms = f->now + wait + follower_random(f, wait / 4 + 1);
    e->due_ms = NEVER;
    env_ask(f, e, e->earliest_ms);
}

/* The last request brought something. */
void env_went_well(struct fenv *e)
{
    e->retry_ms = 0;
    e->failures = 0;
}

void env_unanswered(struct follower *f, struct fenv *e)
{
    e->failures++;
    if (load_is_on(e) && e->failures >= LOAD_FAILURES)
        load_fail(f, e, "upstream stopped answering");
    else
        env_ask_later(f, e);
}

void env_drop_part(struct fenv *e)
{
    buf_done(&e->part);
    e->part_version = e->part_total = 0;
}

/* Go back to what the store has; answers under way no longer fit. */
void env_set_back(struct fenv *e)
{
    e->issued = e->committed;
    e->life++;
    e->due_ms = NEVER;
    e->hole = false;
    env_drop_part(e);
}

void env_begin_anew(struct follower *f, struct fenv *e)
{
    env_set_back(e);
    e->earliest_ms = f->now;
    e->retry_ms = 0;
    e->failures = 0;
    e->load_ms = 0;
    e->odd = 0;
    e->chain_break = e->corrupt = 0;
    e->hop_known = e->ahead = false;
}

/* ---------------------------------------------------------------- trouble */

void env_set_trouble(struct follower *f, struct fenv *e, enum trouble trouble, uint64_t version,
                     const char *fmt, ...)
{
    bool same = e->trouble == trouble && e->trouble_version == version;
    if (same || (e->trouble == TROUBLE_DIVERGED))
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->why, sizeof e->why, fmt, args);
    va_end(args);
    e->trouble = trouble;
    e->trouble_version = version;
    tell_log(f, LOG_WARN, "repl: environment '%.*s': %s; serving version %" PRIu64 " meanwhile",
             SLICE_ARG(e->name), e->why, e->committed.version);
    status_soon(f);
}

void env_end_trouble(struct follower *f, struct fenv *e)
{
    if (e->trouble == TROUBLE_NONE)
        return;
    e->trouble = TROUBLE_NONE;
    e->trouble_version = 0;
    e->why[0] = '\0';
    tell_log(f, LOG_INFO, "repl: environment '%.*s' goes on at version %" PRIu64,
             SLICE_ARG(e->name), e->committed.version);
    status_soon(f);
}

void env_refuse(struct follower *f, struct fenv *e, uint64_t version, const char *why)
{
    tell_count(f, COUNT_BAD_CHANGE);
    tell_count(f, COUNT_WRONG);
    env_set_trouble(f, e, TROUBLE_CHANGE, version, "change %" PRIu64 " is refused: %s", version,
                    why);
    f->leave = true;
    if (load_is_on(e))
        load_fail(f, e, why);
    else
        env_ask_later(f, e);
}

void env_diverge(struct follower *f, struct fenv *e, const char *how)
{
    if (e->trouble == TROUBLE_DIVERGED)
        return;
    tell_count(f, COUNT_DIVERGED);
    if (load_is_on(e))
        tell(f, OUT_LOAD_ABORT)->env = e->index;
    load_drop(f, e);
    env_set_back(e);
    env_set_trouble(f, e, TROUBLE_DIVERGED, 0,
                    "diverged: %s in epoch %016" PRIx64 "; nothing more of this epoch is taken "
                    "(flagctl env epoch --new begins another)",
                    how, e->committed.epoch);
}

/* There is nothing to be had of it, nor of an epoch that it had before: what it has next is compared
 * with what is served. */
void env_upstream_is_behind(struct follower *f, struct fenv *e, uint64_t epoch)
{
    if (load_is_on(e))
        tell(f, OUT_LOAD_ABORT)->env = e->index;
    load_drop(f, e);
    e->due_ms = NEVER;
    tell_count(f, COUNT_OLDER);
    env_set_trouble(f, e, TROUBLE_UPSTREAM, 0,
                    "%s is at the older epoch %016" PRIx64
                    ", which is not gone back to from %016" PRIx64,
                    upstream_name(f, f->follow), epoch, e->committed.epoch);
    f->leave = true;
}

void env_missing(struct follower *f, struct fenv *e)
{
    if (e->trouble == TROUBLE_NONE)
        env_set_trouble(f, e, TROUBLE_MISSING, 0, "%s has no such environment",
                        upstream_name(f, f->follow));
    e->hop_known = false;
    if (e->due_ms == NEVER && !is_asked(f, e))
        env_ask_later(f, e); /* more rarely each time */
}
