/* Any bytes as what somebody types behind `flagctl set`: lines of value, type, percentage, attribute,
 * the two conditions, and then the same for a second time, on the flag that the first made. What is
 * taken is a flag that can be kept; what is refused has a sentence. */
#include <assert.h>
#include <string.h>

#include "flag/edit.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take_line(struct slice *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct slice line = end ? slice_of(rest->ptr, (size_t)(end - rest->ptr)) : *rest;
    size_t used = end ? line.len + 1 : line.len;
    *rest = slice_of(rest->ptr + used, rest->len - used);
    return line;
}

/* An empty line: it is not said. */
static struct slice take_word(struct slice *rest)
{
    struct slice line = take_line(rest);
    return line.len ? line : (struct slice){0};
}

static void check_flag(const struct flag *f)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX * 4);
    struct flag *again;
    enum hoist_err err = record_encode(f, &record);
    assert(err == HOIST_OK || err == HOIST_ELIMIT);
    if (err == HOIST_OK) {
        err = record_decode(f->key, buf_slice(&record), &again, NULL);
        assert(err == HOIST_OK && flag_equal(f, again));
        flag_free(again);
    }
    buf_done(&record);
}

/* The flag that comes of it; `old` where it is refused. */
static struct flag *set(struct flag *old, struct slice *rest)
{
    struct flag *f = NULL;
    char mend[1024];
    struct flag_wish wish = {.key = SLICE("x"), .value = take_line(rest)};
    struct slice how = take_line(rest);
    wish.type = how.len ? (enum hoist_type)(how.ptr[0] % 6) : 0;
    wish.everyone = how.len > 1 && how.ptr[1] == 'e';
    wish.only_default = how.len > 1 && how.ptr[1] == 'd';
    wish.percent = take_word(rest);
    wish.by = take_word(rest);
    wish.only_if = take_word(rest);
    wish.also = take_word(rest);
    enum hoist_err err = flag_edit_set(old, &wish, &f, mend, sizeof mend);
    if (err != HOIST_OK) {
        assert(err == HOIST_EINVAL && *err_last());
        return old;
    }
    check_flag(f);
    flag_free(old);
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(size ? data : (const uint8_t *)"", size);
    struct flag *f = set(NULL, &rest);
    f = set(f, &rest);
    flag_free(f);
    return 0;
}
