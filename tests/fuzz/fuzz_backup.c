/* Any bytes as a backup: as they are, and with a sum at the end that is right for them, which no one
 * but an attacker makes. What passes the check is taken by recovery, or refused with the reason. */
#include "../unit/store_kit.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(struct slice bytes, bool sealed)
{
    uint8_t sum[HASH_SIZE];
    int fd = memfd_create("backup", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    assert(n == (ssize_t)bytes.len);
    if (sealed) {
        hash_blake2b(sum, bytes);
        n = write(fd, sum, sizeof sum);
        assert(n == sizeof sum);
    }
    return fd;
}

static void ignore(void *arg, const struct store_fault *fault)
{
    (void)arg, (void)fault;
}

/* What came of it may be full of faults, which a check then finds. */
static void look(struct store *s)
{
    struct store_read *r;
    struct store_checked sums;
    enum hoist_err err = store_read_begin(s, false, &r);
    assert(err == HOIST_OK);
    err = store_check(r, ignore, NULL, &sums);
    assert(err == HOIST_OK);
    store_read_end(r);
}

static void recover(int fd)
{
    static char *dir;
    struct store_backup_info info;
    struct store *s;
    struct store_options options = {.write = true, .primary = true, .map_bytes = 16 << 20};
    if (!dir)
        dir = kit_dir();
    rmdir(dir);
    if (store_recover_begin(dir, &options, fd, &s, &info) == HOIST_OK) {
        look(s);
        store_recover_abort(s);
    } else {
        assert(*err_last());
    }
    kit_remove(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_backup_info info;
    hash_init();
    for (int sealed = 0; sealed <= 1; sealed++) {
        int fd = file_of(slice_of(data, size), sealed);
        if (store_backup_check(fd, &info) == HOIST_OK)
            recover(fd);
        else
            assert(*err_last());
        close(fd);
    }
    return 0;
}
