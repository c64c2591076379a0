/* Any bytes as a flag file: what can be read must be written so that it reads back as the same
 * flags and the same bytes, and each flag must survive its record, unless that is too long. What is
 * refused must say why. */
#include <assert.h>

#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct flag *f)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX * 4);
    enum hoist_err err = record_encode(f, &record);
    assert(err == HOIST_OK || err == HOIST_ELIMIT);
    if (err == HOIST_OK) {
        struct flag *again;
        err = record_decode(f->key, buf_slice(&record), &again, NULL);
        assert(err == HOIST_OK);
        assert(flag_equal(f, again));
        flag_free(again);
    }
    buf_done(&record);
}

static struct flag_file *read_again(struct slice text)
{
    struct problems problems = {0};
    struct flag_file *file;
    enum hoist_err err = flag_file_read(text, &file, &problems);
    assert(err == HOIST_OK && problems.total == 0);
    problems_done(&problems);
    return file;
}

static void check_file(const struct flag_file *file)
{
    struct buf text = BUF_INIT(SIZE_MAX / 4), same = BUF_INIT(SIZE_MAX / 4);
    enum hoist_err err = flag_file_write(file->flags, file->count, &text);
    assert(err == HOIST_OK);
    struct flag_file *again = read_again(buf_slice(&text));
    assert(again->count == file->count);
    for (size_t i = 0; i < file->count; i++) {
        assert(flag_equal(file->flags[i], again->flags[i]));
        check_record(file->flags[i]);
    }
    err = flag_file_write(again->flags, again->count, &same);
    assert(err == HOIST_OK);
    assert(slice_eq(buf_slice(&text), buf_slice(&same)));
    flag_file_free(again);
    buf_done(&text);
    buf_done(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems = {0};
    struct flag_file *file = NULL;
    enum hoist_err err = flag_file_read(slice_of(data, size), &file, &problems);
    if (err == HOIST_OK) {
        assert(problems.total == 0);
        check_file(file);
    } else {
        assert(err == HOIST_EINVAL && problems.count > 0);
    }
    flag_file_free(file);
    problems_done(&problems);
    return 0;
}
