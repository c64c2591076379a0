/* Any bytes as a rule, and as a condition that somebody types: what can be read is the rule of a flag
 * that is written, reads back the same and survives its record; what is refused says why. A file of it
 * is linted, and taken as far as it is right. */
#include <assert.h>

#include "flag/edit.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct flag *make_switch(void)
{
    struct flag_wish wish = {.key = SLICE("x"), .value = SLICE("on")};
    struct flag *f = NULL;
    char mend[1024];
    enum hoist_err err = flag_edit_set(NULL, &wish, &f, mend, sizeof mend);
    assert(err == HOIST_OK);
    return f;
}

static void check_flag(struct flag *f)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX * 4), text = BUF_INIT(SIZE_MAX / 4);
    struct problems problems = {0}, warnings = {0};
    struct flag *again;
    struct flag_file *file;
    size_t flags;
    enum hoist_err err = record_encode(f, &record);
    assert(err == HOIST_OK || err == HOIST_ELIMIT);
    if (err == HOIST_OK) {
        err = record_decode(f->key, buf_slice(&record), &again, NULL);
        assert(err == HOIST_OK && flag_equal(f, again));
        flag_free(again);
        err = flag_file_write(&f, 1, &text);
        assert(err == HOIST_OK);
        err = flag_file_read(buf_slice(&text), &file, &problems);
        assert(err == HOIST_OK && flag_equal(f, file->flags[0]));
        flag_file_free(file);
        err = flag_file_lint(buf_slice(&text), &problems, &warnings, &flags);
        assert(err == HOIST_OK && problems.total == 0 && flags == 1);
        for (size_t i = 0; i < warnings.count; i++)
            assert(warnings.items[i].line > 0);
    }
    problems_done(&problems);
    problems_done(&warnings);
    buf_done(&record);
    buf_done(&text);
}

static void check_rule(struct slice text)
{
    struct arena arena = {0};
    struct problems problems = {0};
    struct tree rule;
    enum hoist_err err = flag_rule_read(text, &arena, &rule, &problems);
    if (err == HOIST_OK) {
        struct flag *old = make_switch(), *f = flag_edit_targeting(old, rule);
        check_flag(f);
        flag_free(old);
        flag_free(f);
    } else {
        assert(err == HOIST_EINVAL && problems.count > 0 && problems.items[0].line > 0);
    }
    problems_done(&problems);
    arena_done(&arena);
}

static void check_condition(struct slice text)
{
    struct flag_wish wish = {
        .key = SLICE("x"), .value = SLICE("on"), .percent = SLICE("5"), .also = text};
    struct flag *f = NULL;
    char mend[1024];
    enum hoist_err err = flag_edit_set(NULL, &wish, &f, mend, sizeof mend);
    if (err == HOIST_OK) {
        check_flag(f);
        flag_free(f);
    } else {
        assert(err == HOIST_EINVAL && mend[0]);
    }
}

static void check_file(struct slice text)
{
    struct problems problems = {0}, warnings = {0}, again = {0};
    struct flag_file *file = NULL;
    size_t flags;
    enum hoist_err err = flag_file_lint(text, &problems, &warnings, &flags);
    assert(err == HOIST_OK);
    err = flag_file_read_valid(text, &file, &again);
    assert(again.total == problems.total);
    if (err == HOIST_OK)
        assert(file->count == flags && (again.total > 0) == (file->skipped_count > 0));
    else
        assert(err == HOIST_EINVAL && again.total > 0);
    flag_file_free(file);
    problems_done(&problems);
    problems_done(&warnings);
    problems_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(size ? data : (const uint8_t *)"", size);
    check_rule(text);
    check_condition(text);
    check_file(text);
    return 0;
}
