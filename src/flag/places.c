/* Where in the text a problem is.
 *
 * Jansson keeps no lines. So when something is wrong the text is walked once more, and each path that
 * the walk meets is looked up among those that are wanted: the problems' own, and every beginning of
 * them, since what is missing has no place but in what it is missing from.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "flag/read_int.h"

struct spot {
    struct slice path;     /* borrowed from a problem */
    uint32_t line, column; /* 0: not met yet */
};

struct places {
    struct spot *spots; /* sorted by path */
    size_t count, cap;
    struct slice text;
    size_t at, line_at; /* up to where lines are counted, and where this one begins */
    uint32_t line;
    bool no_memory;
};

/* ------------------------------------------------------------------ what is wanted */

static void want(struct places *p, struct slice path)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct spot *grown = mem_realloc(p->spots, cap * sizeof *grown);
        if (!grown) {
            p->no_memory = true;
            return;
        }
        p->spots = grown;
        p->cap = cap;
    }
    p->spots[p->count++] = (struct spot){.path = path};
}

/* The length of the path without its last step; keys may have dots in them, which does no harm. */
static size_t step_back(struct slice path)
{
    size_t len = path.len;
    while (len > 0 && path.ptr[len - 1] != '.' && path.ptr[len - 1] != '[')
        len--;
    return len > 0 ? len - 1 : 0;
}

static void want_all(struct places *p, struct slice path)
{
    want(p, path);
    while (path.len > 0 && !p->no_memory) {
        path.len = step_back(path);
        want(p, path);
    }
}

static int by_path(const void *a, const void *b)
{
    return slice_cmp(((const struct spot *)a)->path, ((const struct spot *)b)->path);
}

static void drop_doubles(struct places *p)
{
    size_t kept = 0;
    if (p->count > 1)
        qsort(p->spots, p->count, sizeof *p->spots, by_path);
    for (size_t i = 0; i < p->count; i++)
        if (i == 0 || !slice_eq(p->spots[i].path, p->spots[kept - 1].path))
            p->spots[kept++] = p->spots[i];
    p->count = kept;
}

static struct spot *find(const struct places *p, struct slice path)
{
    struct spot wanted = {.path = path};
    return p->count ? bsearch(&wanted, p->spots, p->count, sizeof *p->spots, by_path) : NULL;
}

/* ------------------------------------------------------------------ meeting it */

void places_meet(struct places *p, const struct path *path, size_t at)
{
    struct spot *spot = find(p, slice_of(path->text, path->len));
    if (!spot || spot->line)
        return;
    for (; p->at < at; p->at++)
        if (p->text.ptr[p->at] == '\n') {
            p->line++;
            p->line_at = p->at + 1;
        }
    spot->line = p->line;
    spot->column = 1;
    for (size_t i = p->line_at; i < at; i++)
        spot->column += (p->text.ptr[i] & 0xc0) != 0x80; /* characters, not bytes */
}

static void place(const struct places *p, struct problem *problem)
{
    struct slice path = slice_str(problem->path);
    struct spot *spot = find(p, path);
    while (path.len > 0 && (!spot || !spot->line)) {
        path.len = step_back(path);
        spot = find(p, path);
    }
    if (spot) {
        problem->line = spot->line;
        problem->column = spot->column;
    }
}

/* A syntax error's path is its place. */
static bool is_placed(struct problem *p)
{
    return p->line || sscanf(p->path, "line %u, column %u", &p->line, &p->column) == 2;
}

enum hoist_err problems_locate(struct problems *problems, struct slice json)
{
    struct problems again = {0}; /* the walk finds some once more */
    struct places p = {.text = json, .line = 1};
    uint8_t *copy = NULL;
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; i < problems->count; i++)
        if (!is_placed(&problems->items[i]))
            want_all(&p, slice_str(problems->items[i].path));
    if (p.count == 0 && !p.no_memory)
        goto out;
    drop_doubles(&p);
    copy = (uint8_t *)mem_dup(json);
    if (!copy || p.no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    else
        err = json_scan(copy, json.len, &again, &p);
    if (again.no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    for (size_t i = 0; i < problems->count && err == HOIST_OK; i++)
        if (!problems->items[i].line)
            place(&p, &problems->items[i]);
out:
    problems_done(&again);
    mem_free(p.spots);
    mem_free(copy);
    return err;
}
