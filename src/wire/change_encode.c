#include <assert.h>

#include "wire/change_int.h"
#include "wire/mp.h"

/* Header bytes are short: two texts, a name, a proof, a certificate, and numbers. */
enum { HEADER_BYTES_MAX = CHANGE_AUTHOR_MAX + CHANGE_MESSAGE_MAX + CHANGE_PROOF_MAX + 1024 };

static void header_put(const struct change_header *h, struct buf *out)
{
    static const uint32_t fields[] = {CHANGE_FIELDS_0, CHANGE_FIELDS_1, CHANGE_FIELDS};
    uint32_t minor = h->proof.len || h->certificate.len ? CHANGE_MINOR : h->restores != 0;
    mp_put_array(out, fields[minor]);
    mp_put_u64(out, CHANGE_MAJOR);
    mp_put_u64(out, minor);
    mp_put_str(out, h->env);
    mp_put_u64(out, h->epoch);
    mp_put_u64(out, h->version);
    mp_put_i64(out, h->time_ms);
    mp_put_str(out, h->author);
    mp_put_str(out, h->message);
    mp_put_u64(out, h->kind);
    mp_put_bin(out, slice_of(h->prev, sizeof h->prev));
    mp_put_bin(out, slice_of(h->edits_hash, sizeof h->edits_hash));
    mp_put_u64(out, h->edits_len);
    mp_put_u64(out, h->edits_count);
    mp_put_bin(out, slice_of(h->digest, sizeof h->digest));
    mp_put_bin(out, slice_of(h->request, sizeof h->request));
    mp_put_u64(out, h->old_epoch);
    if (minor >= 1)
        mp_put_u64(out, h->restores);
    if (minor == 2) {
        mp_put_bin(out, h->proof);
        mp_put_bin(out, h->certificate);
    }
}

enum hoist_err change_encode(struct change_header *head, struct slice edits, struct slice signature,
                             struct buf *out, uint8_t ret_hash[HASH_SIZE])
{
    static const struct slice no_edits = SLICE("\x90");
    size_t start = out->len;
    struct buf header = BUF_INIT(HEADER_BYTES_MAX);
    assert(head->version > 0);
    assert(signature.len <= CHANGE_SIGNATURE_MAX);

    if (edits.len == 0)
        edits = no_edits;
    head->edits_len = edits.len;
    hash_blake2b(head->edits_hash, edits);
    header_put(head, &header);
    mp_put_array(out, 3);
    mp_put_bin(out, buf_slice(&header));
    mp_put_bin(out, edits);
    mp_put_bin(out, signature);

    enum hoist_err err = buf_err(&header);
    if (err == HOIST_OK)
        err = buf_err(out);
    if (err == HOIST_OK && out->len - start > CHANGE_BYTES_MAX)
        err = err_set(HOIST_ELIMIT, "change: %zu bytes are more than the %d it may have",
                      out->len - start, CHANGE_BYTES_MAX);
    if (err == HOIST_OK && ret_hash)
        hash_blake2b(ret_hash, buf_slice(&header));
    if (err != HOIST_OK)
        out->len = start;
    buf_done(&header);
    return err;
}

enum hoist_err change_without_edits(const struct change *c, struct buf *out)
{
    mp_put_array(out, 3);
    mp_put_bin(out, c->header_bytes);
    mp_put_nil(out);
    mp_put_bin(out, c->signature);
    return buf_err(out);
}

void edits_begin(struct buf *b, uint32_t count)
{
    mp_put_array(b, count);
}

void edits_put(struct buf *b, struct slice key, struct slice record)
{
    mp_put_array(b, 3);
    mp_put_u64(b, EDIT_PUT);
    mp_put_str(b, key);
    mp_put_bin(b, record);
}

void edits_delete(struct buf *b, struct slice key)
{
    mp_put_array(b, 2);
    mp_put_u64(b, EDIT_DELETE);
    mp_put_str(b, key);
}
