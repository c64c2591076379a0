/* Any bytes as each kind of frame, as a change, and as edits: what decodes must come out the same
 * when it is encoded and decoded again. */
#include <assert.h>

#include "../wire_again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Encoded once, it is in our own form: from there on the bytes must not change. */
static void twice(again_fn *again, struct slice in)
{
    struct arena arena = {0};
    struct buf once = BUF_INIT(CHANGE_BYTES_MAX), more = BUF_INIT(CHANGE_BYTES_MAX);
    if (again(in, &arena, &once) == HOIST_OK) {
        enum hoist_err err = again(buf_slice(&once), &arena, &more);
        assert(err == HOIST_OK);
        assert(slice_eq(buf_slice(&once), buf_slice(&more)));
    }
    buf_done(&once);
    buf_done(&more);
    arena_done(&arena);
}

static enum hoist_err edits_only(struct slice in, struct arena *a, struct buf *out)
{
    (void)a;
    return edits_again(in, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size};
    enum frame_kind kind;
    hash_init();
    if (frame_kind_of(in, &kind) == HOIST_OK)
        twice(frames_again[kind], in);
    twice(change_again, in);
    twice(edits_only, in);
    return 0;
}
