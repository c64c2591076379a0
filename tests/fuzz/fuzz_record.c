/* Any bytes as a record: what decodes must be the same flag when it is encoded and decoded again.
 */
#include <assert.h>

#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void looks_like(const struct record_peek *p, const struct flag *f)
{
    assert(p->flag.enabled == f->enabled && p->flag.type == f->type);
    assert(p->flag.default_variant == f->default_variant && p->flag.override == f->override);
    assert(p->flag.variant_count == f->variant_count);
    for (uint32_t i = 0; i < f->variant_count; i++) {
        assert(slice_eq(p->flag.variants[i].name, f->variants[i].name));
        assert(tree_equal(p->flag.variants[i].value, f->variants[i].value));
    }
    /* An override makes the rest of no matter. */
    if (f->override == FLAG_NO_VARIANT)
        assert((p->flag.targeting.count > 0) == (f->targeting.count > 0) &&
               p->flag.requires_count == f->requires_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice key = SLICE("key");
    struct flag *once, *more;
    struct record_peek peek;
    bool seen = record_peek(key, slice_of(data, size), &peek);
    if (record_decode(key, slice_of(data, size), &once, NULL) != HOIST_OK)
        return 0;
    if (seen)
        looks_like(&peek, once);
    struct buf out = BUF_INIT(FLAG_RECORD_MAX * 2);
    enum hoist_err err = record_override(slice_of(data, size), 0, &out);
    assert(err == HOIST_OK || err == HOIST_ELIMIT);
    if (err == HOIST_OK) {
        once->override = 0;
        err = record_decode(key, buf_slice(&out), &more, NULL);
        assert(err == HOIST_OK);
        assert(flag_equal(once, more));
        flag_free(more);
    }
    buf_clear(&out);
    err = record_encode(once, &out);
    assert(err == HOIST_OK);
    err = record_decode(key, buf_slice(&out), &more, NULL);
    assert(err == HOIST_OK);
    assert(flag_equal(once, more));
    flag_free(once);
    flag_free(more);
    buf_done(&out);
    return 0;
}
