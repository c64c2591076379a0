/* agent_held.c - flags that the store holds back, for the follower to tell. They change with
 * changes, and when the store's upkeep finds that it can read one after all. */
#include <string.h>

#include "repl/agent_int.h"

static enum hoist_err read_refusals(struct store_read *r, const struct store_env *env,
                                    struct arena *arena, struct refusal *ret, uint32_t *ret_count)
{
    struct slice after = {0};
    uint32_t count = 0;
    enum hoist_err err = HOIST_OK;
    while (err == HOIST_OK && count < FRAME_REFUSALS_MAX) {
        struct refusal *p = &ret[count];
        err = store_held_next(r, env->id, after, &p->key, &p->why, &p->version);
        if (err == HOIST_OK)
            err = arena_own(arena, &p->key);
        if (err == HOIST_OK)
            err = arena_own(arena, &p->why);
        if (err == HOIST_OK)
            after = ret[count++].key;
    }
    *ret_count = count;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* The same flags may be held at another version for another reason; without any, nothing changes.
 */
static bool is_told(const struct agent_env *e, const struct store_env *env)
{
    return env->held == e->held && (env->held == 0 || env->head == e->held_version);
}

enum hoist_err agent_held(struct agent *a, uint32_t i, struct arena *arena,
                          struct follower_input *ret)
{
    struct agent_env *e = &a->envs[i];
    struct store_read *r;
    struct store_env env;
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err != HOIST_OK)
        return err;
    err = store_env_get(r, e->name, &env);
    if (err == HOIST_OK && is_told(e, &env))
        err = HOIST_ENOTFOUND;
    struct refusal *refusals =
        err == HOIST_OK ? arena_alloc(arena, FRAME_REFUSALS_MAX, sizeof *refusals) : NULL;
    if (err == HOIST_OK && !refusals)
        err = err_set(HOIST_ENOMEM, "repl: out of memory");
    struct follower_input in = {.kind = IN_HELD, .env = i, .refusals = refusals};
    if (err == HOIST_OK)
        err = read_refusals(r, &env, arena, refusals, &in.refusal_count);
    store_read_end(r);
    if (err != HOIST_OK)
        return err;
    e->held = env.held;
    e->held_version = env.head;
    in.held = (uint32_t)env.held;
    *ret = in;
    return HOIST_OK;
}
