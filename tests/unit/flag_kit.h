/* flag_kit.h - reading and writing flag files in tests, from C literals. */
#ifndef FLAG_KIT_H
#define FLAG_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "flag/edit.h"
#include "flag/flag.h"

/* A flag file made of JSON in which ' stands for ". */
static inline struct buf json(const char *text)
{
    struct buf b = BUF_INIT(64 << 20);
    buf_add_str(&b, text);
    assert_int_equal(buf_err(&b), HOIST_OK);
    for (size_t i = 0; i < b.len; i++)
        if (b.ptr[i] == '\'')
            b.ptr[i] = '"';
    return b;
}

/* The file in `text`, which must be good. */
static inline struct flag_file *read_good(struct slice text)
{
    struct problems problems = {0};
    struct flag_file *file = NULL;
    enum hoist_err err = flag_file_read(text, &file, &problems);
    if (err != HOIST_OK)
        fail_msg("%s", err_last());
    assert_int_equal(problems.total, 0);
    problems_done(&problems);
    return file;
}

static inline struct flag_file *read_flags(const char *text)
{
    struct buf b = json(text);
    struct flag_file *file = read_good(buf_slice(&b));
    buf_done(&b);
    return file;
}

/* The only flag of a file. */
static inline struct flag *read_flag(const char *definition)
{
    struct buf b = BUF_INIT(64 << 20);
    buf_printf(&b, "{'flags': {'x': %s}}", definition);
    struct flag_file *file = read_flags(buf_str(&b));
    struct flag *f = file->flags[0];
    file->flags[0] = NULL;
    flag_file_free(file);
    buf_done(&b);
    return f;
}

static inline struct buf write_file(const struct flag_file *file)
{
    struct buf b = BUF_INIT(64 << 20);
    assert_int_equal(flag_file_write(file->flags, file->count, &b), HOIST_OK);
    return b;
}

#endif
