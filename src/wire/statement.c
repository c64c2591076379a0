#include "wire/statement.h"

#include <string.h>

#include "wire/mp.h"

enum { STATEMENT_FIELDS = 6, PROOF_FIELDS = 4, STATEMENT_MAX = 512 };

static const char what[] = "hoist-command-1";

static void statement_put(const struct frame_command *c, struct buf *out)
{
    uint8_t hash[HASH_SIZE];
    hash_blake2b(hash, c->body);
    mp_put_array(out, STATEMENT_FIELDS);
    mp_put_u64(out, STATEMENT_MAJOR);
    mp_put_bin(out, slice_of(c->request, sizeof c->request));
    mp_put_str(out, c->name);
    mp_put_u64(out, c->epoch);
    mp_put_i64(out, c->time_ms);
    mp_put_bin(out, slice_of(hash, sizeof hash));
}

static enum hoist_err statement_get(struct slice in, struct statement *ret)
{
    struct statement s = {0};
    struct mp_reader r = mp_reader(in);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    uint32_t major = mp_u32(&r);
    if (!r.bad && major != STATEMENT_MAJOR)
        return err_set(HOIST_EVERSION,
                       "statement: it has version %u, this program reads version %d", major,
                       STATEMENT_MAJOR);
    if (!r.bad && elements < STATEMENT_FIELDS)
        mp_fail(&r, "elements are missing");
    mp_fixed(&r, s.request, sizeof s.request);
    s.name = mp_text(&r, FRAME_ID_MAX);
    s.epoch = mp_u64(&r);
    s.time_ms = mp_i64(&r);
    mp_fixed(&r, s.body_hash, sizeof s.body_hash);
    for (uint32_t i = STATEMENT_FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    enum hoist_err err = mp_err(&r, "statement");
    if (err == HOIST_OK)
        *ret = s;
    return err;
}

enum hoist_err frame_command_sign(struct frame_command *c, const struct sign_key *key,
                                  uint8_t room[SIGNATURE_SIZE])
{
    struct buf statement = BUF_INIT(STATEMENT_MAX);
    statement_put(c, &statement);
    enum hoist_err err = buf_err(&statement);
    if (err == HOIST_OK)
        err = sign(key, what, buf_slice(&statement), room);
    buf_done(&statement);
    if (err == HOIST_OK) {
        c->key = slice_of(key->public, sizeof key->public);
        c->signature = slice_of(room, SIGNATURE_SIZE);
    }
    return err;
}

static bool has_signed(struct slice key, struct slice statement, struct slice signature)
{
    struct trust who = {.count = 1};
    if (key.len != SIGN_PUBLIC_SIZE)
        return false;
    memcpy(who.keys[0], key.ptr, SIGN_PUBLIC_SIZE);
    return trust_check(&who, what, statement, signature);
}

bool frame_command_is_signed(const struct frame_command *c)
{
    struct buf statement = BUF_INIT(STATEMENT_MAX);
    statement_put(c, &statement);
    bool is =
        buf_err(&statement) == HOIST_OK && has_signed(c->key, buf_slice(&statement), c->signature);
    buf_done(&statement);
    return is;
}

enum hoist_err proof_put(const struct frame_command *c, struct buf *out)
{
    struct buf statement = BUF_INIT(STATEMENT_MAX);
    statement_put(c, &statement);
    enum hoist_err err = buf_err(&statement);
    if (err == HOIST_OK) {
        mp_put_array(out, PROOF_FIELDS);
        mp_put_bin(out, buf_slice(&statement));
        mp_put_bin(out, c->key);
        mp_put_bin(out, c->signature);
        if (c->body.len <= PROOF_BODY_MAX)
            mp_put_bin(out, c->body);
        else
            mp_put_nil(out);
        err = buf_err(out);
    }
    buf_done(&statement);
    return err;
}

enum hoist_err proof_get(struct slice in, struct proof *ret)
{
    struct proof p = {0};
    struct mp_reader r = mp_reader(in);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    if (!r.bad && elements < PROOF_FIELDS)
        mp_fail(&r, "elements are missing");
    p.statement = mp_bin(&r);
    p.key = mp_bin(&r);
    p.signature = mp_bin(&r);
    if (!r.bad && (p.key.len != SIGN_PUBLIC_SIZE || p.signature.len != SIGNATURE_SIZE))
        mp_fail(&r, "a key or a signature of another length");
    if (!mp_try_nil(&r))
        p.body = mp_bin(&r);
    if (p.body.len > PROOF_BODY_MAX)
        mp_limit(&r, "a body longer than allowed");
    for (uint32_t i = PROOF_FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    enum hoist_err err = mp_err(&r, "proof");
    if (err == HOIST_OK)
        err = statement_get(p.statement, &p.said);
    if (err == HOIST_OK)
        *ret = p;
    return err;
}

bool proof_holds(const struct proof *p)
{
    uint8_t hash[HASH_SIZE];
    if (p->body.ptr) {
        hash_blake2b(hash, p->body);
        if (memcmp(hash, p->said.body_hash, sizeof hash) != 0)
            return false;
    }
    return has_signed(p->key, p->statement, p->signature);
}
