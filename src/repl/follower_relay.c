/* follower_relay.c - what a relay tells those that follow it: the primary's newest word as it came,
 * and how the relay itself stands. */
#include <string.h>

#include "repl/follower_int.h"

void relay_keep_origin(struct follower *f, const struct frame_heartbeat *h)
{
    buf_clear(&f->origin);
    buf_clear(&f->origin_signature);
    buf_add_slice(&f->origin, h->origin);
    buf_add_slice(&f->origin_signature, h->signature);
    if (f->origin.err == HOIST_OK && f->origin_signature.err == HOIST_OK)
        return;
    relay_drop_origin(f); /* none is better than half of one */
    f->no_memory = true;
}

void relay_drop_origin(struct follower *f)
{
    buf_done(&f->origin);
    buf_done(&f->origin_signature);
    f->origin = f->origin_signature = BUF_INIT(FRAME_REPLY_MAX);
}

enum hoist_err follower_standing(const struct follower *f, struct arena *arena,
                                 struct standing *ret)
{
    bool heard = f->origin.len > 0; /* else the primary is at least one away, and that is all */
    struct standing s = {
        .distance = heard && f->distance < UINT32_MAX ? f->distance + 1 : 1,
        .heads = arena_alloc(arena, f->config.env_count, sizeof *s.heads),
        .head_count = f->config.env_count,
        .origin = buf_slice(&f->origin),
        .signature = buf_slice(&f->origin_signature),
    };
    bool whole = s.heads && arena_own(arena, &s.origin) == HOIST_OK &&
                 arena_own(arena, &s.signature) == HOIST_OK;
    for (uint32_t i = 0; i < f->config.env_count && whole; i++) {
        s.heads[i] = env_head_of(&f->envs[i]);
        whole = arena_own(arena, &s.heads[i].name) == HOIST_OK;
    }
    if (whole && f->given.len > 0) {
        struct slice given = buf_slice(&f->given);
        whole = arena_own(arena, &given) == HOIST_OK &&
                certificates_get(given, arena, &s.certificates, &s.certificate_count) == HOIST_OK;
    }
    if (!whole)
        return err_set(HOIST_ENOMEM, "out of memory");
    *ret = s;
    return HOIST_OK;
}
