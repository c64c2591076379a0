#include "wire/mp.h"
#include "wire/record.h"

enum { BEFORE_VARIANTS = 4, AFTER_VARIANTS = 1 }; /* elements in front of the override */

enum hoist_err record_override(struct slice record, int32_t variant, struct buf *out)
{
    struct mp_reader r = mp_reader(record);
    size_t start = out->len;
    if (mp_array(&r, UINT32_MAX) < RECORD_FIELDS)
        mp_fail(&r, "elements are missing");
    struct mp_reader at = r;
    uint32_t major = mp_u32(&at);
    if (!at.bad && major != RECORD_MAJOR)
        return err_set(HOIST_EVERSION, "record: it has version %u, this program reads version %d",
                       major, RECORD_MAJOR);
    for (int i = 0; i < BEFORE_VARIANTS; i++)
        mp_skip(&r);
    at = r;
    uint32_t variants = mp_map(&at, UINT32_MAX);
    for (int i = 0; i < 1 + AFTER_VARIANTS; i++)
        mp_skip(&r);
    if (!at.bad && variant != FLAG_NO_VARIANT && (uint32_t)variant >= variants)
        mp_fail(&r, "the index of a variant that is not there");

    size_t front = (size_t)(r.in.ptr - record.ptr);
    mp_skip(&r);
    enum hoist_err err = mp_err(at.bad ? &at : &r, "record");
    if (err != HOIST_OK)
        return err;
    buf_add(out, record.ptr, front);
    if (variant == FLAG_NO_VARIANT)
        mp_put_nil(out);
    else
        mp_put_u64(out, (uint64_t)variant);
    buf_add_slice(out, r.in);
    err = buf_err(out);
    if (err == HOIST_OK && out->len - start > FLAG_RECORD_MAX)
        err = err_set(HOIST_ELIMIT, "record: %zu bytes are more than the %d it may have",
                      out->len - start, FLAG_RECORD_MAX);
    if (err != HOIST_OK)
        out->len = start;
    return err;
}
