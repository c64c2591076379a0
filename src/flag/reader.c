/* What all parts of the reader use. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "flag/read_int.h"

void complain(struct reader *r, const char *mend, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    problems_add(r->problems, r->path.text, mend, "%s", message);
}

struct slice skip_byte_order_mark(struct slice s)
{
    return slice_starts_with(s, SLICE("\xef\xbb\xbf")) ? slice_of(s.ptr + 3, s.len - 3) : s;
}

enum hoist_err problems_verdict(const struct problems *problems, enum hoist_err err)
{
    if (problems->no_memory)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (err != HOIST_EINVAL)
        return err;
    const struct problem *first = &problems->items[0];
    return err_set(err, "%s%s%s%s", first->path, first->path[0] ? ": " : "", first->message,
                   problems->total > 1 ? ", and more" : "");
}

void reader_done(struct reader *r)
{
    mem_free(r->nodes);
    arena_done(&r->arena);
}

void *piece(struct reader *r, struct arena *arena, size_t count, size_t size)
{
    void *p = arena_alloc(arena, count, size);
    r->no_memory |= !p;
    return p;
}

struct slice own(struct reader *r, struct arena *arena, struct slice s)
{
    r->no_memory |= arena_own(arena, &s) != HOIST_OK;
    return s;
}

struct node own_scalar(struct reader *r, struct arena *arena, const json_t *v)
{
    struct node n = scalar_read(v);
    if (n.kind == NODE_STRING)
        n.text = own(r, arena, n.text);
    return n;
}
