#include "wire/certificate.h"

#include <string.h>

#include "wire/mp.h"

static const char what[] = "hoist-key-1";

enum { FIELDS = 3, STATEMENT_FIELDS = 3 };

enum hoist_err certificate_put(enum certificate_kind kind, const uint8_t key[SIGN_PUBLIC_SIZE],
                               int64_t time_ms, const struct sign_key *by, struct buf *out)
{
    struct buf statement = BUF_INIT(CERTIFICATE_BYTES_MAX);
    uint8_t signature[SIGNATURE_SIZE];
    if (memcmp(key, by->public, SIGN_PUBLIC_SIZE) == 0)
        return err_set(HOIST_EINVAL, "a key says nothing of itself: that is for another one");
    mp_put_array(&statement, STATEMENT_FIELDS);
    mp_put_u64(&statement, kind);
    mp_put_bin(&statement, slice_of(key, SIGN_PUBLIC_SIZE));
    mp_put_i64(&statement, time_ms);
    enum hoist_err err = buf_err(&statement);
    if (err == HOIST_OK)
        err = sign(by, what, buf_slice(&statement), signature);
    if (err == HOIST_OK) {
        mp_put_array(out, FIELDS);
        mp_put_bin(out, buf_slice(&statement));
        mp_put_bin(out, slice_of(by->public, SIGN_PUBLIC_SIZE));
        mp_put_bin(out, slice_of(signature, sizeof signature));
        err = buf_err(out);
    }
    buf_done(&statement);
    return err;
}

static enum hoist_err statement_decode(struct certificate *c)
{
    struct mp_reader r = mp_reader(c->statement);
    uint32_t elements = mp_array(&r, UINT32_MAX), kind = mp_u32(&r);
    if (!r.bad && elements < STATEMENT_FIELDS)
        mp_fail(&r, "elements are missing");
    if (!r.bad && kind != CERTIFICATE_ROTATE && kind != CERTIFICATE_REVOKE)
        mp_fail(&r, "neither a rotation nor a revocation");
    c->kind = (enum certificate_kind)kind;
    mp_fixed(&r, c->key, sizeof c->key);
    c->time_ms = mp_i64(&r);
    for (uint32_t i = STATEMENT_FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    if (!r.bad && memcmp(c->key, c->by, sizeof c->key) == 0)
        mp_fail(&r, "a key that speaks of itself");
    return mp_err(&r, "a key's certificate");
}

enum hoist_err certificate_decode(struct slice bytes, struct certificate *ret)
{
    struct certificate c = {0};
    struct mp_reader r = mp_reader(bytes);
    if (bytes.len > CERTIFICATE_BYTES_MAX)
        return err_set(HOIST_ELIMIT, "a key's certificate of %zu bytes, at most %d are allowed",
                       bytes.len, CERTIFICATE_BYTES_MAX);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    if (!r.bad && elements < FIELDS)
        mp_fail(&r, "elements are missing");
    c.statement = mp_bin(&r);
    mp_fixed(&r, c.by, sizeof c.by);
    c.signature = mp_bin(&r);
    for (uint32_t i = FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    enum hoist_err err = mp_err(&r, "a key's certificate");
    if (err == HOIST_OK)
        err = statement_decode(&c);
    if (err == HOIST_OK)
        *ret = c;
    return err;
}

bool certificate_is_signed(const struct certificate *c)
{
    struct trust by = {.count = 1};
    memcpy(by.keys[0], c->by, sizeof c->by);
    return trust_check(&by, what, c->statement, c->signature);
}

void certificates_put(struct buf *out, const struct slice *list, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        mp_put_bin(out, list[i]);
}

enum hoist_err certificates_get(struct slice bytes, struct arena *arena, struct slice **ret,
                                uint32_t *ret_count)
{
    struct mp_reader r = mp_reader(bytes);
    uint32_t count = mp_array(&r, CERTIFICATES_KEPT);
    struct slice *list = r.bad ? NULL : arena_alloc(arena, count, sizeof *list);
    if (!r.bad && !list)
        mp_no_memory(&r);
    for (uint32_t i = 0; i < count && !r.bad; i++)
        list[i] = mp_bin(&r);
    mp_end(&r);
    enum hoist_err err = mp_err(&r, "the list of keys' certificates");
    if (err == HOIST_OK) {
        *ret = list;
        *ret_count = count;
    }
    return err;
}
