/* follower_tell.c - what a follower says: outputs, log lines, heads, the view. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repl/follower_int.h"

enum { OUTPUTS_MIN = 16, LOG_LINE_SIZE = 600 };

struct follower_output *tell(struct follower *f, enum follower_out kind)
{
    struct follower_output *o = &f->spare;
    if (f->output_count == f->output_room) {
        uint32_t room = f->output_room ? 2 * f->output_room : OUTPUTS_MIN;
        struct follower_output *grown = mem_realloc(f->outputs, room * sizeof *grown);
        if (grown) {
            f->outputs = grown;
            f->output_room = room;
        } else {
            f->no_memory = true;
        }
    }
    if (f->output_count < f->output_room)
        o = &f->outputs[f->output_count++];
    *o = (struct follower_output){.kind = kind};
    return o;
}

void tell_count(struct follower *f, enum follower_count what)
{
    tell(f, OUT_COUNT)->what = what;
}

void tell_log(struct follower *f, enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);

    struct slice text = slice_str(line);
    if (arena_own(&f->arena, &text) != HOIST_OK) {
        f->no_memory = true;
        return;
    }
    struct follower_output *o = tell(f, OUT_LOG);
    o->level = level;
    o->text = text;
}

enum env_state env_state_of(const struct fenv *e)
{
    if (e->trouble == TROUBLE_DIVERGED)
        return ENV_DIVERGED;
    if (e->trouble > TROUBLE_MISSING)
        return ENV_REFUSING;
    if (!e->present || e->phase != PHASE_LIVE)
        return ENV_LOADING;
    if (e->trouble == TROUBLE_MISSING || e->behind_since_ms != NEVER)
        return ENV_BEHIND;
    return ENV_CURRENT;
}

struct env_head env_head_of(const struct fenv *e)
{
    struct env_head head = {
        .name = e->name,
        .epoch = e->committed.epoch,
        .version = e->committed.version,
        .state = env_state_of(e),
        .held = e->held,
    };
    memcpy(head.hash, e->committed.hash, HASH_SIZE);
    memcpy(head.digest, e->committed.digest, HASH_SIZE);
    return head;
}

struct env_head *tell_heads(struct follower *f)
{
    struct env_head *heads = arena_alloc(&f->arena, f->config.env_count, sizeof *heads);
    if (!heads) {
        f->no_memory = true;
        return NULL;
    }
    for (uint32_t i = 0; i < f->config.env_count; i++)
        heads[i] = env_head_of(&f->envs[i]);
    return heads;
}

/* Whole changes first: a host that cannot go on matters more than a flag that it holds back. */
struct refusal *tell_refusals(struct follower *f, uint32_t *ret_count)
{
    uint32_t count = 0;
    struct refusal *refusals = arena_alloc(&f->arena, FRAME_REFUSALS_MAX, sizeof *refusals);
    if (!refusals) {
        f->no_memory = true;
        return NULL;
    }
    for (uint32_t i = 0; i < f->config.env_count && count < FRAME_REFUSALS_MAX; i++) {
        const struct fenv *e = &f->envs[i];
        if (e->trouble > TROUBLE_MISSING)
            refusals[count++] = (struct refusal){
                .env = e->name,
                .version = e->trouble_version,
                .why = slice_str(e->why),
            };
    }
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        const struct fenv *e = &f->envs[i];
        for (uint32_t k = 0; k < e->refusal_count && count < FRAME_REFUSALS_MAX; k++)
            refusals[count++] = e->refusals[k];
    }
    *ret_count = count;
    return refusals;
}

/* The newest version that the primary is known to have, as far as it counts for this host. */
static uint64_t head_of(const struct fenv *e)
{
    bool newer = e->origin_epoch > e->committed.epoch || (e->origin_epoch == e->committed.epoch &&
                                                          e->origin_version > e->committed.version);
    return e->origin_known && newer ? e->origin_version : e->committed.version;
}

void follower_look(const struct follower *f, int64_t now_ms, struct follower_view *ret)
{
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        const struct fenv *e = &f->envs[i];
        struct follower_view_env *v = &f->view[i];
        *v = (struct follower_view_env){
            .name = e->name,
            .state = env_state_of(e),
            .epoch = e->committed.epoch,
            .version = e->committed.version,
            .head = head_of(e),
            .behind_ms = e->behind_since_ms == NEVER ? 0 : now_ms - e->behind_since_ms,
            .why = e->why,
        };
        memcpy(v->digest, e->committed.digest, HASH_SIZE);
    }
    int64_t silent_ms = FOLLOWER_SILENT_HEARTBEATS * (int64_t)f->config.heartbeat_ms;
    *ret = (struct follower_view){
        .upstream = f->follow,
        .connected = f->heard && now_ms - f->heard_ms < silent_ms,
        .lags = f->lags_since_ms != NEVER,
        .stale = now_ms - f->counter_ms >= FOLLOWER_STALE_MS,
        .last_word_ms = f->word_ms == NEVER ? -1 : now_ms - f->word_ms,
        .news_ms = !f->has_news ? -1 : now_ms - f->counter_ms,
        .distance = f->distance,
        .signed_ms = f->signed_ms,
        .counter = f->counter,
        .envs = f->view,
        .env_count = f->config.env_count,
    };
}
