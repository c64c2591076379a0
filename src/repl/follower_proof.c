/* follower_proof.c - what shows that a head here, which upstream has not, is the primary's: else a
 * primary would have to take any host's word that it was set back. */
#include <string.h>

#include "repl/follower_int.h"

static bool same_head(const struct fenv *e, const uint8_t hash[HASH_SIZE])
{
    return memcmp(e->committed.hash, hash, HASH_SIZE) == 0;
}

/* One that was ahead stays so until upstream shows that it has the same: a primary that was set back
 * takes changes before it is told, and may by now have versions as high as those here. */
void proof_hop(struct fenv *e, const struct env_head *hop)
{
    if (hop->epoch > e->committed.epoch)
        e->ahead = false;
    else if (hop->epoch < e->committed.epoch || hop->version < e->committed.version)
        e->ahead = true;
    else if (hop->version == e->committed.version)
        e->ahead = !same_head(e, hop->hash);
}

/* For the same reason a hello proves, which is asked before it is known what upstream has, and who
 * was given a change that does not follow on the one here. */
static bool is_to_prove(const struct follower *f, const struct fenv *e)
{
    bool differs = e->trouble == TROUBLE_DIVERGED || e->trouble == TROUBLE_CHANGE;
    return e->present && (e->ahead || differs || !f->hello_done);
}

static bool is_proven(const struct fenv *e)
{
    return e->proof.len > 0 && same_head(e, e->proof_hash);
}

void proof_done(struct fenv *e)
{
    buf_done(&e->proof);
}

void proofs_ask(struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++) {
        struct fenv *e = &f->envs[i];
        if (!is_to_prove(f, e)) {
            proof_done(e);
            e->proof_ms = f->now;
        } else if (!is_proven(e) && e->proof_ms <= f->now) {
            tell(f, OUT_PROVE)->env = i;
            e->proof_ms = f->now + PROOF_AGAIN_MS;
        }
    }
}

void proof_take(struct follower *f, struct fenv *e, const struct follower_input *in)
{
    if (in->bytes.len == 0 || in->bytes.len > FRAME_PROOF_MAX)
        return;
    proof_done(e);
    e->proof = BUF_INIT(FRAME_PROOF_MAX);
    buf_add_slice(&e->proof, in->bytes);
    if (buf_err(&e->proof) != HOIST_OK) {
        proof_done(e);
        f->no_memory = true;
        return;
    }
    memcpy(e->proof_hash, in->hash, HASH_SIZE);
    if (f->hello_done)
        status_soon(f);
}

bool proofs_are_here(const struct follower *f)
{
    for (uint32_t i = 0; i < f->config.env_count; i++)
        if (is_to_prove(f, &f->envs[i]) && is_proven(&f->envs[i]))
            return true;
    return false;
}

struct head_proof *tell_proofs(struct follower *f, uint32_t *ret_count)
{
    struct head_proof *proofs = arena_alloc(&f->arena, FRAME_PROOFS_MAX, sizeof *proofs);
    uint32_t count = 0, begin = f->proof_turn % f->config.env_count;
    if (!proofs) {
        f->no_memory = true;
        return NULL;
    }
    for (uint32_t i = 0; i < f->config.env_count && count < FRAME_PROOFS_MAX; i++) {
        uint32_t at = (begin + i) % f->config.env_count;
        const struct fenv *e = &f->envs[at];
        if (!is_to_prove(f, e) || !is_proven(e))
            continue;
        proofs[count++] = (struct head_proof){e->name, buf_slice(&e->proof)};
        f->proof_turn = at + 1;
    }
    *ret_count = count;
    return proofs;
}
