/* Bytes of earlier releases are read ever after, and those of this one do not change unnoticed.
 * tests/golden/README.md tells how a file is added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../wire_samples.h"

/* The release whose bytes are still written today; older ones beside it are only read. */
#define WRITTEN "0.1.0"

static void path_of(char *path, size_t size, const char *release, const char *name)
{
    snprintf(path, size, "tests/golden/wire/%s/%s.bin", release, name);
}

/* The whole file in `out`; false when it is not there. */
static bool read_file(const char *path, struct buf *out)
{
    uint8_t chunk[4096];
    FILE *f = fopen(path, "rb");
    if (!f && errno == ENOENT)
        return false;
    assert_non_null(f);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_add(out, chunk, n);
    assert_int_equal(ferror(f), 0);
    fclose(f);
    assert_int_equal(buf_err(out), HOIST_OK);
    return true;
}

/* Files are added and never rewritten: "x" fails where there is one. */
static void add_file(const char *path, struct slice bytes)
{
    FILE *f = fopen(path, "wbx");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    print_message("added %s\n", path);
}

static void what_is_encoded_equals_the_golden_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        struct buf made = BUF_INIT(CHANGE_BYTES_MAX), kept = BUF_INIT(CHANGE_BYTES_MAX);
        char path[256];
        samples[i].put(&made);
        assert_int_equal(buf_err(&made), HOIST_OK);
        path_of(path, sizeof path, WRITTEN, samples[i].name);
        if (!read_file(path, &kept)) {
            if (!getenv("HOIST_GOLDEN_ADD"))
                fail_msg("%s is missing: see tests/golden/README.md", path);
            add_file(path, buf_slice(&made));
            assert_true(read_file(path, &kept));
        }
        if (!slice_eq(buf_slice(&made), buf_slice(&kept)))
            fail_msg("%s: other bytes are written now", path);
        buf_done(&made);
        buf_done(&kept);
    }
}

static void golden_bytes_of_every_release_are_read(void **state)
{
    static const char *const releases[] = {WRITTEN};
    (void)state;
    for (size_t r = 0; r < sizeof releases / sizeof *releases; r++)
        for (int i = 0; i < SAMPLES; i++) {
            struct buf kept = BUF_INIT(CHANGE_BYTES_MAX), again = BUF_INIT(CHANGE_BYTES_MAX);
            struct arena arena = {0};
            char path[256];
            path_of(path, sizeof path, releases[r], samples[i].name);
            /* A sample that is younger than the release has no file there. */
            if (read_file(path, &kept) &&
                samples[i].again(buf_slice(&kept), &arena, &again) != HOIST_OK)
                fail_msg("%s: %s", path, err_last());
            arena_done(&arena);
            buf_done(&kept);
            buf_done(&again);
        }
}

static int begin(void **state)
{
    (void)state;
    hash_init();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_equals_the_golden_bytes),
        cmocka_unit_test(golden_bytes_of_every_release_are_read),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
