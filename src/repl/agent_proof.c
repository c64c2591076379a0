/* agent_proof.c - the change that a head is of, as the primary signed it. */
#include <string.h>

#include "repl/agent_int.h"

static enum hoist_err read_head(struct store_read *r, const char *name, struct buf *out,
                                uint8_t ret_hash[HASH_SIZE])
{
    struct store_env env;
    struct slice bytes;
    struct change c;
    enum hoist_err err = store_env_get(r, name, &env);
    if (err == HOIST_OK)
        err = store_head_get(r, &env, &bytes);
    if (err == HOIST_OK)
        err = change_decode(bytes, &c);
    if (err == HOIST_OK)
        err = change_without_edits(&c, out);
    if (err == HOIST_OK)
        memcpy(ret_hash, c.hash, HASH_SIZE);
    return err;
}

enum hoist_err agent_proof(struct agent *a, uint32_t i, struct arena *arena,
                           struct follower_input *ret)
{
    struct store_read *r;
    struct buf bytes = BUF_INIT(FRAME_PROOF_MAX);
    struct follower_input in = {.kind = IN_PROOF, .env = i};
    enum hoist_err err = store_read_begin(a->store, false, &r);
    if (err != HOIST_OK)
        return err;
    err = read_head(r, a->envs[i].name, &bytes, in.hash);
    store_read_end(r);
    in.bytes = buf_slice(&bytes);
    if (err == HOIST_OK)
        err = arena_own(arena, &in.bytes);
    buf_done(&bytes);
    if (err == HOIST_OK)
        *ret = in;
    return err;
}
