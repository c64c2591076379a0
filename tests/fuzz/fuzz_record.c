/* Any bytes as a record: what decodes must be the same flag when it is encoded and decoded again.
 */
#include <assert.h>

#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice key = SLICE("key");
    struct flag *once, *more;
    if (record_decode(key, slice_of(data, size), &once, NULL) != HOIST_OK)
        return 0;
    struct buf out = BUF_INIT(FLAG_RECORD_MAX * 2);
    enum hoist_err err = record_encode(once, &out);
    assert(err == HOIST_OK);
    err = record_decode(key, buf_slice(&out), &more, NULL);
    assert(err == HOIST_OK);
    assert(flag_equal(once, more));
    flag_free(once);
    flag_free(more);
    buf_done(&out);
    return 0;
}
