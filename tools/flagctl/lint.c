/* lint: a flag file judged without a primary. */
#include <inttypes.h>
#include <string.h>

#include "flagctl.h"

struct found {
    const char *path; /* of the file */
    size_t flags;     /* without problems */
    struct problems problems, warnings;
};

/* ------------------------------------------------------------------ showing */

/* As compilers do, so that editors find the place. */
void found_show(const struct call *c, const char *path, const struct problems *p, const char *word,
                enum look l)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *item = &p->items[i];
        bool syntax = strncmp(item->path, "line ", 5) == 0; /* the place is all there is */
        printf("%s:%" PRIu32 ":%" PRIu32 ": %s%s%s: %s%s%s\n", path, item->line, item->column,
               look(c, l), word, look(c, LOOK_PLAIN), syntax ? "" : item->path,
               syntax || !item->path[0] ? "" : ": ", item->message);
        if (item->mend[0])
            printf("    %s\n", item->mend);
    }
    if (p->total > p->count)
        printf("  and %zu more\n", p->total - p->count);
}

void found_count(char out[64], const struct problems *problems, const struct problems *warnings)
{
    snprintf(out, 64, "%zu problem%s, %zu warning%s", problems->total,
             problems->total == 1 ? "" : "s", warnings->total, warnings->total == 1 ? "" : "s");
}

int found_exit(const struct call *c, const struct problems *problems,
               const struct problems *warnings)
{
    if (problems->total)
        return EXIT_INPUT;
    return warnings->total && options_on(c->options, "strict") ? EXIT_NO : EXIT_DONE;
}

static void show_text(const struct call *c, const struct found *f)
{
    char count[64];
    found_show(c, f->path, &f->problems, "problem", LOOK_BAD);
    found_show(c, f->path, &f->warnings, "warning", LOOK_VALUE);
    found_count(count, &f->problems, &f->warnings);
    printf("%s: %s, %zu flag%s without problems\n", f->path, count, f->flags,
           f->flags == 1 ? "" : "s");
}

void found_put(struct json_writer *w, const char *name, const struct problems *p)
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
    found_put(&w, "problems", &f->problems);
    found_put(&w, "warnings", &f->warnings);
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
    problems_sort(&f.problems);
    problems_sort(&f.warnings);
    if (c->json)
        show_object(&f);
    else
        show_text(c, &f);
    exit = found_exit(c, &f.problems, &f.warnings);
out:
    problems_done(&f.problems);
    problems_done(&f.warnings);
    buf_done(&file);
    return exit;
}
