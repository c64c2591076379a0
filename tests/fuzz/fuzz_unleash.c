/* Any bytes as Unleash's answer: what becomes flags must be a flag file that reads back as the same
 * flags, and with what comes near allowed no less is taken. What is refused must say why. */
#include <assert.h>

#include "flag/unleash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const struct flag_file *file)
{
    struct problems problems = {0};
    struct flag_file *again = NULL;
    struct buf text = BUF_INIT(SIZE_MAX / 4);
    enum hoist_err err = flag_file_write(file->flags, file->count, &text);
    assert(err == HOIST_OK);
    err = flag_file_read(buf_slice(&text), &again, &problems);
    assert(err == HOIST_OK && problems.total == 0);
    assert(again->count == file->count);
    for (size_t i = 0; i < file->count; i++)
        assert(flag_equal(file->flags[i], again->flags[i]));
    flag_file_free(again);
    buf_done(&text);
}

/* Whether it was taken. */
static bool check(struct slice text, bool approximate)
{
    struct problems problems = {0}, changes = {0};
    struct flag_file *file = NULL;
    enum hoist_err err = unleash_read(text, approximate, &file, &problems, &changes);
    if (err == HOIST_OK) {
        assert(problems.total == 0 && (approximate || changes.total == 0));
        check_file(file);
    } else {
        assert(err == HOIST_EINVAL && problems.count > 0);
    }
    for (size_t i = 0; i < changes.count; i++)
        assert(*changes.items[i].path && *changes.items[i].message && *changes.items[i].mend);
    flag_file_free(file);
    problems_done(&problems);
    problems_done(&changes);
    return err == HOIST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool exact = check(slice_of(data, size), false), near = check(slice_of(data, size), true);
    assert(near || !exact);
    return 0;
}
