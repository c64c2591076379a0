/* lint: a flag file judged without a primary. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flag/json.h"
#include "flagctl.h"

struct found {
    const char *path; /* of the file */
    size_t flags;     /* without problems */
    struct problems problems, warnings;
};

static int by_place(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

static void sort(struct problems *p)
{
    if (p->count > 1)
        qsort(p->items, p->count, sizeof *p->items, by_place);
}

/* ------------------------------------------------------------------ showing */

/* As compilers do, so that editors find the place. */
static void show_all(const struct call *c, const struct found *f, const struct problems *p,
                     const char *word, enum look l)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *item = &p->items[i];
        bool syntax = strncmp(item->path, "line ", 5) == 0; /* the place is all there is */
        printf("%s:%" PRIu32 ":%" PRIu32 ": %s%s%s: %s%s%s\n", f->path, item->line, item->column,
               look(c, l), word, look(c, LOOK_PLAIN), syntax ? "" : item->path,
               syntax || !item->path[0] ? "" : ": ", item->message);
        if (item->mend[0])
            printf("    %s\n", item->mend);
    }
    if (p->total > p->count)
        printf("  and %zu more\n", p->total - p->count);
}

static void show_text(const struct call *c, const struct found *f)
{
    show_all(c, f, &f->problems, "problem", LOOK_BAD);
    show_all(c, f, &f->warnings, "warning", LOOK_VALUE);
    printf("%s: %zu problem%s, %zu warning%s, %zu flag%s without problems\n", f->path,
           f->problems.total, f->problems.total == 1 ? "" : "s", f->warnings.total,
           f->warnings.total == 1 ? "" : "s", f->flags, f->flags == 1 ? "" : "s");
}

static void put_all(struct json_writer *w, const char *name, const struct problems *p)
{
    char total[32];
    json_key(w, name);
    json_array_begin(w);
    for (size_t i = 0; i < p->count; i++)
        query_put_problem(w, &p->items[i]);
    json_array_end(w);
    if (p->total > p->count) {
        snprintf(total, sizeof total, "%s_total", name);
        json_key(w, total);
        json_put_u64(w, p->total);
    }
}

static void show_object(const struct found *f)
{
    struct buf text = BUF_INIT(64 << 20);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_object_begin(&w);
    json_key(&w, "file");
    json_put_str(&w, f->path);
    json_key(&w, "result");
    json_put_str(&w, f->problems.total ? "problems" : f->warnings.total ? "warnings" : "clean");
    json_key(&w, "flags");
    json_put_u64(&w, f->flags);
    put_all(&w, "problems", &f->problems);
    put_all(&w, "warnings", &f->warnings);
    json_object_end(&w);
    puts(buf_str(&text));
    buf_done(&text);
}

/* ------------------------------------------------------------------ the whole */

int run_lint(struct call *c)
{
    struct found f = {.path = strcmp(c->words[0], "-") == 0 ? "stdin" : c->words[0]};
    struct buf file = BUF_INIT(FILE_MAX);
    int exit = EXIT_INPUT;
    if (!load_file(c, c->words[0], &file, &exit))
        goto out;
    if (flag_file_lint(buf_slice(&file), &f.problems, &f.warnings, &f.flags) != HOIST_OK) {
        exit = show_failure(c, EXIT_NO, "no-memory", NULL, "%s: %s", f.path, err_last());
        goto out;
    }
    sort(&f.problems);
    sort(&f.warnings);
    if (c->json)
        show_object(&f);
    else
        show_text(c, &f);
    exit = f.problems.total                                       ? EXIT_INPUT
           : f.warnings.total && options_on(c->options, "strict") ? EXIT_NO
                                                                  : EXIT_DONE;
out:
    problems_done(&f.problems);
    problems_done(&f.warnings);
    buf_done(&file);
    return exit;
}
