/* follower_held.c - which flags are held back here, and why: told upstream with the status. */
#include "repl/follower_int.h"

void held_done(struct fenv *e)
{
    arena_done(&e->refusals_room);
    e->refusals = NULL;
    e->refusal_count = 0;
}

static enum hoist_err own(struct fenv *e, const struct refusal *from, struct refusal *to)
{
    *to = *from;
    to->env = e->name;
    enum hoist_err err = arena_own(&e->refusals_room, &to->key);
    return err == HOIST_OK ? arena_own(&e->refusals_room, &to->why) : err;
}

void held_take(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    uint32_t count =
        in->refusal_count < FRAME_REFUSALS_MAX ? in->refusal_count : FRAME_REFUSALS_MAX;
    held_done(e);
    e->held = in->held;
    e->refusals = arena_alloc(&e->refusals_room, count, sizeof *e->refusals);
    enum hoist_err err = e->refusals ? HOIST_OK : HOIST_ENOMEM;
    for (uint32_t i = 0; i < count && err == HOIST_OK; i++)
        err = own(e, &in->refusals[i], &e->refusals[i]);
    if (err == HOIST_OK) {
        e->refusal_count = count;
    } else {
        held_done(e); /* their number is told all the same */
        f->no_memory = true;
    }
    status_soon(f);
}
