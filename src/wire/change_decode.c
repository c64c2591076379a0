#include <string.h>

#include "flag/flag.h"
#include "wire/certificate.h"
#include "wire/change_int.h"
#include "wire/mp.h"

const char *change_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [CHANGE_SET] = "set",           [CHANGE_APPLY] = "apply",     [CHANGE_DELETE] = "delete",
        [CHANGE_ROLLBACK] = "rollback", [CHANGE_KILL] = "kill",       [CHANGE_RESTORE] = "restore",
        [CHANGE_PROMOTE] = "promote",   [CHANGE_RELEASE] = "release", [CHANGE_EPOCH] = "epoch",
        [CHANGE_CREATE] = "create",     [CHANGE_KEY] = "key",
    };
    return kind < sizeof names / sizeof *names && names[kind] ? names[kind] : "unknown";
}

static struct slice bounded_bin(struct mp_reader *r, size_t max)
{
    struct slice bytes = mp_bin(r);
    if (bytes.len > max)
        mp_limit(r, "a proof or certificate longer than allowed");
    return bytes;
}

/* The header's elements behind major and minor. */
static void fields_get(struct mp_reader *r, uint32_t elements, struct change_header *h)
{
    h->env = mp_str(r);
    if (!r->bad && flag_env_check(h->env) != HOIST_OK)
        mp_fail(r, "an environment's name that is none");
    h->epoch = mp_u64(r);
    h->version = mp_u64(r);
    if (!r->bad && h->version == 0)
        mp_fail(r, "version 0");
    h->time_ms = mp_i64(r);
    h->author = mp_text(r, CHANGE_AUTHOR_MAX);
    h->message = mp_text(r, CHANGE_MESSAGE_MAX);
    h->kind = mp_u32(r);
    mp_fixed(r, h->prev, sizeof h->prev);
    mp_fixed(r, h->edits_hash, sizeof h->edits_hash);
    h->edits_len = mp_u64(r);
    if (h->edits_len > CHANGE_BYTES_MAX)
        mp_limit(r, "edits longer than allowed");
    h->edits_count = mp_u32(r);
    if (h->edits_count > CHANGE_EDITS_MAX)
        mp_limit(r, "more edits than allowed");
    mp_fixed(r, h->digest, sizeof h->digest);
    mp_fixed(r, h->request, sizeof h->request);
    h->old_epoch = mp_u64(r);
    h->restores = elements >= CHANGE_FIELDS_1 ? mp_u64(r) : 0;
    h->proof = elements > CHANGE_FIELDS_1 ? bounded_bin(r, CHANGE_PROOF_MAX) : SLICE("");
    h->certificate = elements >= CHANGE_FIELDS ? bounded_bin(r, CERTIFICATE_BYTES_MAX) : SLICE("");
}

static enum hoist_err header_get(struct slice bytes, struct change_header *ret)
{
    struct mp_reader r = mp_reader(bytes);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    uint32_t major = mp_u32(&r);
    if (!r.bad && major != CHANGE_MAJOR)
        return err_set(HOIST_EVERSION, "change: it has version %u, this program reads version %d",
                       major, CHANGE_MAJOR);
    mp_u32(&r); /* minor: whatever a later one adds stands behind what is known here */
    if (!r.bad && elements < CHANGE_FIELDS_0)
        mp_fail(&r, "elements are missing");
    fields_get(&r, elements, ret);
    for (uint32_t i = CHANGE_FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    return mp_err(&r, "header of a change");
}

/* Edits that are there must be those that the header names. */
static enum hoist_err edits_check(const struct change_header *h, struct slice edits)
{
    struct edits_reader er;
    uint8_t hash[HASH_SIZE];
    if (edits.len != h->edits_len)
        return err_set(HOIST_ECORRUPT, "change: it has %zu bytes of edits, its header says %llu",
                       edits.len, (unsigned long long)h->edits_len);
    hash_blake2b(hash, edits);
    if (memcmp(hash, h->edits_hash, sizeof hash) != 0)
        return err_set(HOIST_ECORRUPT, "change: its edits are not those its header was made for");
    enum hoist_err err = edits_open(edits, &er);
    if (err == HOIST_OK && er.left != h->edits_count)
        err = err_set(HOIST_ECORRUPT, "change: it has %u edits, its header says %u", er.left,
                      h->edits_count);
    return err;
}

enum hoist_err change_decode(struct slice bytes, struct change *ret)
{
    if (bytes.len > CHANGE_BYTES_MAX)
        return err_set(HOIST_ELIMIT, "change: %zu bytes are more than the %d it may have",
                       bytes.len, CHANGE_BYTES_MAX);

    struct change c = {.bytes = bytes};
    struct mp_reader r = mp_reader(bytes);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    c.header_bytes = mp_bin(&r);
    enum hoist_err err = mp_err(&r, "change");
    if (err == HOIST_OK)
        err = header_get(c.header_bytes, &c.head);
    if (err != HOIST_OK)
        return err;

    /* Neither hashed nor signed is what would stand behind the signature: nothing may. */
    if (elements != 3)
        mp_fail(&r, "not an array of header, edits and signature");
    if (!mp_try_nil(&r))
        c.edits = mp_bin(&r);
    c.signature = mp_bin(&r);
    if (c.signature.len > CHANGE_SIGNATURE_MAX)
        mp_limit(&r, "a signature longer than allowed");
    mp_end(&r);
    err = mp_err(&r, "change");
    if (err == HOIST_OK && c.edits.ptr)
        err = edits_check(&c.head, c.edits);
    if (err != HOIST_OK)
        return err;
    hash_blake2b(c.hash, c.header_bytes);
    *ret = c;
    return HOIST_OK;
}
