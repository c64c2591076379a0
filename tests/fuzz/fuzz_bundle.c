/* Any bytes as a bundle: what is read must be the same when it is written and read again. */
#include <assert.h>
#include <string.h>

#include "base/bundle.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct bundle *a, const struct bundle *b)
{
    assert(a->upstream_count == b->upstream_count && a->trust.count == b->trust.count);
    for (size_t i = 0; i < a->upstream_count; i++)
        assert(strcmp(a->upstreams[i], b->upstreams[i]) == 0);
    assert(memcmp(&a->trust, &b->trust, sizeof a->trust) == 0);
    assert(strcmp(a->tls.cert, b->tls.cert) == 0);
    assert(strcmp(a->tls.key, b->tls.key) == 0);
    assert(strcmp(a->tls.ca, b->tls.ca) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bundle b, again;
    struct buf text = BUF_INIT(2 * BUNDLE_BYTES_MAX);
    hash_init();
    if (bundle_read(slice_of(data, size), &b) != HOIST_OK)
        return 0;
    bundle_write(&b, &text);
    enum hoist_err err = bundle_read(buf_slice(&text), &again);
    assert(err == HOIST_OK || text.len > BUNDLE_BYTES_MAX);
    if (err == HOIST_OK) {
        same(&b, &again);
        bundle_done(&again);
    }
    bundle_done(&b);
    buf_done(&text);
    return 0;
}
