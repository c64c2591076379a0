/* What hosts say about themselves: hello and status. */
#include <assert.h>

#include "wire/frame_int.h"

enum {
    HELLO_FIELDS_0 = 9,  /* where there are no certificates … */
    HELLO_FIELDS_1 = 10, /* … or no proofs */
    HELLO_FIELDS = 11,
    STATUS_FIELDS_0 = 8, /* where there are no proofs */
    STATUS_FIELDS = 9,
    STATUS_REPLY_FIELDS = 3,
    LABEL_FIELDS = 2,
    PROOF_FIELDS = 2,
    REFUSAL_FIELDS = 4,
};

static void proofs_put(struct buf *out, const struct head_proof *proofs, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        mp_put_array(out, PROOF_FIELDS);
        mp_put_str(out, proofs[i].env);
        mp_put_bin(out, proofs[i].change);
    }
}

/* Those at the frame's end, if it goes on behind `known` elements. */
static struct head_proof *proofs_get(struct frame_reader *f, uint32_t known, uint32_t *ret_count)
{
    struct mp_reader *r = &f->r;
    uint32_t count = f->elements > known ? mp_array(r, FRAME_PROOFS_MAX) : 0;
    struct head_proof *proofs = frame_alloc(f, count, sizeof *proofs);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint32_t elements = tuple_begin(r, PROOF_FIELDS);
        proofs[i].env = env_get(r);
        proofs[i].change = mp_bin(r);
        if (!r->bad && proofs[i].change.len > FRAME_PROOF_MAX)
            mp_fail(r, "a proof that is too long");
        tuple_end(r, elements, PROOF_FIELDS);
    }
    *ret_count = count;
    return proofs;
}

static uint32_t hello_fields(const struct frame_hello *f)
{
    if (f->proof_count)
        return HELLO_FIELDS;
    return f->certificate_count ? HELLO_FIELDS_1 : HELLO_FIELDS_0;
}

void frame_put_hello(struct buf *out, enum frame_kind kind, const struct frame_hello *f)
{
    assert(kind == FRAME_HELLO || kind == FRAME_HELLO_REPLY);
    frame_head(out, kind, hello_fields(f));
    mp_put_str(out, f->id);
    mp_put_u64(out, f->incarnation);
    mp_put_str(out, f->software);
    mp_put_u64(out, f->format);
    mp_put_str(out, f->role);
    heads_put(out, f->envs, f->env_count);
    mp_put_i64(out, f->time_ms);
    if (f->certificate_count || f->proof_count)
        certificates_put(out, f->certificates, f->certificate_count);
    if (f->proof_count)
        proofs_put(out, f->proofs, f->proof_count);
}

enum hoist_err frame_get_hello(struct slice in, enum frame_kind kind, struct arena *arena,
                               struct frame_hello *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, kind, HELLO_FIELDS_0, "hello", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_hello h = {0};
    h.id = some_text_get(&f.r, FRAME_ID_MAX);
    h.incarnation = mp_u64(&f.r);
    h.software = mp_text(&f.r, FRAME_ID_MAX);
    h.format = mp_u32(&f.r);
    h.role = mp_text(&f.r, FRAME_ID_MAX);
    h.envs = heads_get(&f, &h.env_count);
    h.time_ms = mp_i64(&f.r);
    h.certificates = given_get(&f, HELLO_FIELDS_0, &h.certificate_count);
    h.proofs = proofs_get(&f, HELLO_FIELDS_1, &h.proof_count);
    err = frame_end(&f, HELLO_FIELDS);
    if (err == HOIST_OK)
        *ret = h;
    return err;
}

static void labels_put(struct buf *out, const struct label *labels, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        mp_put_array(out, LABEL_FIELDS);
        mp_put_str(out, labels[i].name);
        mp_put_str(out, labels[i].value);
    }
}

static struct label *labels_get(struct frame_reader *f, uint32_t *ret_count)
{
    uint32_t count = mp_array(&f->r, FRAME_LABELS_MAX);
    struct label *labels = frame_alloc(f, count, sizeof *labels);
    for (uint32_t i = 0; i < count && !f->r.bad; i++) {
        uint32_t elements = tuple_begin(&f->r, LABEL_FIELDS);
        labels[i].name = some_text_get(&f->r, FRAME_ID_MAX);
        labels[i].value = mp_text(&f->r, FRAME_ID_MAX);
        tuple_end(&f->r, elements, LABEL_FIELDS);
    }
    *ret_count = count;
    return labels;
}

static void refusals_put(struct buf *out, const struct refusal *refusals, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        mp_put_array(out, REFUSAL_FIELDS);
        mp_put_str(out, refusals[i].env);
        mp_put_str(out, refusals[i].key);
        mp_put_u64(out, refusals[i].version);
        sentence_put(out, refusals[i].why);
    }
}

static struct refusal *refusals_get(struct frame_reader *f, uint32_t *ret_count)
{
    struct mp_reader *r = &f->r;
    uint32_t count = mp_array(r, FRAME_REFUSALS_MAX);
    struct refusal *refusals = frame_alloc(f, count, sizeof *refusals);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint32_t elements = tuple_begin(r, REFUSAL_FIELDS);
        refusals[i].env = env_get(r);
        /* Empty where a change as a whole was refused, and not one flag. */
        refusals[i].key = mp_text(r, FLAG_KEY_MAX);
        refusals[i].version = mp_u64(r);
        refusals[i].why = mp_text(r, FRAME_TEXT_MAX);
        tuple_end(r, elements, REFUSAL_FIELDS);
    }
    *ret_count = count;
    return refusals;
}

void frame_put_status(struct buf *out, const struct frame_status *f)
{
    uint32_t refusals = f->refusal_count;
    if (refusals > FRAME_REFUSALS_MAX)
        refusals = FRAME_REFUSALS_MAX;
    frame_head(out, FRAME_STATUS, f->proof_count ? STATUS_FIELDS : STATUS_FIELDS_0);
    mp_put_str(out, f->id);
    mp_put_u64(out, f->incarnation);
    mp_put_str(out, f->software);
    labels_put(out, f->labels, f->label_count);
    heads_put(out, f->envs, f->env_count);
    refusals_put(out, f->refusals, refusals);
    if (f->proof_count)
        proofs_put(out, f->proofs, f->proof_count);
}

enum hoist_err frame_get_status(struct slice in, struct arena *arena, struct frame_status *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_STATUS, STATUS_FIELDS_0, "status", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_status s = {0};
    s.id = some_text_get(&f.r, FRAME_ID_MAX);
    s.incarnation = mp_u64(&f.r);
    s.software = mp_text(&f.r, FRAME_ID_MAX);
    s.labels = labels_get(&f, &s.label_count);
    s.envs = heads_get(&f, &s.env_count);
    s.refusals = refusals_get(&f, &s.refusal_count);
    s.proofs = proofs_get(&f, STATUS_FIELDS_0, &s.proof_count);
    err = frame_end(&f, STATUS_FIELDS);
    if (err == HOIST_OK)
        *ret = s;
    return err;
}

void frame_put_status_reply(struct buf *out, enum reply_status status)
{
    frame_head(out, FRAME_STATUS_REPLY, STATUS_REPLY_FIELDS);
    mp_put_u64(out, status);
}

enum hoist_err frame_get_status_reply(struct slice in, uint32_t *ret_status)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_STATUS_REPLY, STATUS_REPLY_FIELDS, "status reply", NULL, &f);
    if (err != HOIST_OK)
        return err;
    uint32_t status = mp_u32(&f.r);
    err = frame_end(&f, STATUS_REPLY_FIELDS);
    if (err == HOIST_OK)
        *ret_status = status;
    return err;
}
