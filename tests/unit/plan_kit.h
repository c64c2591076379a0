/* plan_kit.h - release plans in tests: from files of the repository, whole or with some text replaced. */
#ifndef PLAN_KIT_H
#define PLAN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/textfile.h"
#include "release/plan_file.h"

#define GOOD_PLAN "tests/golden/release-plans/good.yaml"
#define MARKETPLACE_PLAN "examples/marketplace/release.yaml"

/* The text of a file of the repository, to be freed. Tests run at its top. */
static inline char *load_text(const char *path)
{
    char *text = NULL;
    if (textfile_read(path, 1 << 20, false, &text) != HOIST_OK)
        fail_msg("%s", err_last());
    return text;
}

/* `text` with the first `from` in it replaced, to be freed; frees `text`. */
static inline char *replaced(char *text, const char *from, const char *to)
{
    struct buf b = BUF_INIT(1 << 20);
    size_t before = 0, len = strlen(from);
    while (text[before] && strncmp(text + before, from, len) != 0)
        before++;
    if (!text[before])
        fail_msg("not in the plan: %s", from);
    buf_add(&b, text, before);
    buf_add_str(&b, to);
    buf_add_str(&b, text + before + len);
    char *made = mem_dup(buf_slice(&b));
    buf_done(&b);
    mem_free(text);
    return made;
}

static inline struct release_plan *read_plan(const char *text)
{
    struct problems problems = {0}, warnings = {0};
    struct release_plan *plan = NULL;
    if (release_plan_read(slice_str(text), &plan, &problems, &warnings) != HOIST_OK)
        fail_msg("%s", err_last());
    assert_int_equal(problems.total, 0);
    problems_done(&problems);
    problems_done(&warnings);
    return plan;
}

static inline struct release_plan *read_plan_file(const char *path)
{
    char *text = load_text(path);
    struct release_plan *plan = read_plan(text);
    mem_free(text);
    return plan;
}

#endif
