#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Room for `more` bytes and a NUL behind them. */
static bool reserve(struct buf *b, size_t more)
{
    if (b->err)
        return false;
    if (more > b->max || b->len > b->max - more) {
        b->err = HOIST_ELIMIT;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    uint8_t *grown = mem_realloc(b->ptr, cap);
    if (!grown) {
        b->err = HOIST_ENOMEM;
        return false;
    }
    b->ptr = grown;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *ptr, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

void buf_add_str(struct buf *b, const char *str)
{
    buf_add(b, str, strlen(str));
}

void buf_add_byte(struct buf *b, uint8_t byte)
{
    buf_add(b, &byte, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len <= 0 || !reserve(b, (size_t)len))
        return;
    va_start(args, fmt);
    vsnprintf((char *)b->ptr + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

enum hoist_err buf_err(const struct buf *b)
{
    if (b->err == HOIST_ELIMIT)
        return err_set(HOIST_ELIMIT, "longer than %zu bytes", b->max);
    if (b->err == HOIST_ENOMEM)
        return err_set(HOIST_ENOMEM, "out of memory");
    return b->err;
}

const char *buf_str(struct buf *b)
{
    if (b->err || !b->ptr)
        return "";
    b->ptr[b->len] = '\0'; /* reserve() always keeps this byte */
    return (const char *)b->ptr;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->err = HOIST_OK;
}

void buf_done(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){.max = b->max};
}
