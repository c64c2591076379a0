/* Any bytes as a file of keys: of those that are trusted, and a secret one. What is read is written
 * again as a trust file, and comes out the same; what is refused says why. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/sign.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/dev/shm/hoist-fuzz-XXXXXX";

static void end(void)
{
    unlink(path);
}

static void write_file(struct slice text)
{
    static int fd = -1;
    if (fd < 0) {
        hash_init();
        fd = mkstemp(path);
        assert(fd >= 0);
        atexit(end);
    }
    int rc = ftruncate(fd, 0);
    assert(rc == 0);
    ssize_t n = pwrite(fd, text.ptr, text.len, 0);
    assert(n == (ssize_t)text.len);
}

static void check_trust(const struct trust *t)
{
    struct buf text = BUF_INIT(1 << 16);
    struct trust again;
    char hex[2 * SIGN_PUBLIC_SIZE + 1];
    assert(t->count > 0 && t->count <= TRUST_KEYS_MAX);
    for (uint32_t i = 0; i < t->count; i++) {
        text_hex(hex, slice_of(t->keys[i], SIGN_PUBLIC_SIZE));
        buf_printf(&text, "hoist-trust-1 %s\n", hex);
    }
    write_file(buf_slice(&text));
    enum hoist_err err = trust_read(path, &again);
    assert(err == HOIST_OK && again.count == t->count);
    assert(memcmp(again.keys, t->keys, t->count * sizeof t->keys[0]) == 0);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sign_key key;
    struct trust trust;
    uint8_t signature[SIGNATURE_SIZE];
    write_file(slice_of(data, size));
    if (sign_key_open(path, false, NULL, &key) == HOIST_OK) {
        trust = (struct trust){.count = 1};
        memcpy(trust.keys[0], key.public, SIGN_PUBLIC_SIZE);
        enum hoist_err err = sign(&key, "fuzz", slice_of(data, size), signature);
        assert(err == HOIST_OK);
        assert(trust_check(&trust, "fuzz", slice_of(data, size),
                           slice_of(signature, sizeof signature)));
    } else {
        assert(*err_last());
    }
    if (trust_read(path, &trust) == HOIST_OK)
        check_trust(&trust);
    else
        assert(*err_last());
    return 0;
}
