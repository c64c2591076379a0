#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "flag/flag.h"

enum { PROBLEMS_KEPT = 1000, MESSAGE_SIZE = 1024 };

static void problem_done(struct problem *p)
{
    mem_free(p->path);
    mem_free(p->message);
    mem_free(p->mend);
}

/* Room for one more; doubles at each power of two. */
static bool reserve(struct problems *p)
{
    if (p->count & (p->count - 1))
        return true;
    size_t cap = p->count ? p->count * 2 : 1;
    struct problem *grown = mem_realloc(p->items, cap * sizeof *grown);
    if (grown)
        p->items = grown;
    return grown;
}

/* The problem as it is kept; NULL where there is no room for it. */
static struct problem *keep(struct problems *p, const char *path, const char *mend, const char *fmt,
                            va_list args)
{
    p->total++;
    if (p->count == PROBLEMS_KEPT || p->no_memory)
        return NULL;

    char message[MESSAGE_SIZE];
    vsnprintf(message, sizeof message, fmt, args);
    struct problem made = {.path = mem_dup_str(path),
                           .message = mem_dup_str(message),
                           .mend = mem_dup_str(mend),
                           .flag_len = p->flag_len};
    if (!made.path || !made.message || !made.mend || !reserve(p)) {
        problem_done(&made);
        p->no_memory = true;
        return NULL;
    }
    p->items[p->count++] = made;
    return &p->items[p->count - 1];
}

void problems_add(struct problems *p, const char *path, const char *mend, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)keep(p, path, mend, fmt, args);
    va_end(args);
}

void problems_add_at(struct problems *p, uint32_t line, uint32_t column, const char *path,
                     const char *mend, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct problem *kept = keep(p, path, mend, fmt, args);
    va_end(args);
    if (kept) {
        kept->line = line;
        kept->column = column;
    }
}

static int by_place(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

void problems_sort(struct problems *p)
{
    if (p->count > 1)
        qsort(p->items, p->count, sizeof *p->items, by_place);
}

void problems_done(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        problem_done(&p->items[i]);
    mem_free(p->items);
    *p = (struct problems){0};
}
