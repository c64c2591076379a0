/* Any bytes as each kind of frame, as a change, as edits, as a proof, and as certificates of keys: what decodes must come out the same
 * when it is encoded and decoded again. */
#include <assert.h>

#include "../wire_again.h"
#include "wire/keyring.h"
#include "wire/statement.h"

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

/* One certificate, or a list of them, at a host that trusts a key. */
static void into_a_keyring(struct slice in)
{
    struct trust file = {.count = 1};
    struct keyring ring;
    struct sign_key key;
    enum keyring_verdict verdict;
    uint8_t seed[SIGN_PUBLIC_SIZE];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)(3 + i); /* the one that has signed those of the corpus */
    sign_key_from_seed(seed, &key);
    memcpy(file.keys[0], key.public, sizeof key.public);
    keyring_init(&ring, &file);
    if (keyring_take(&ring, in, &verdict) == HOIST_OK)
        assert(verdict != KEYRING_TAKEN || ring.count == 1);
    if (keyring_get(&ring, in) == HOIST_OK)
        assert(ring.trusted.count > 0);
    keyring_done(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size};
    enum frame_kind kind;
    struct proof proof;
    hash_init();
    if (frame_kind_of(in, &kind) == HOIST_OK)
        twice(frames_again[kind], in);
    twice(change_again, in);
    twice(edits_only, in);
    into_a_keyring(in);
    if (proof_get(in, &proof) == HOIST_OK)
        (void)proof_holds(&proof);
    return 0;
}
