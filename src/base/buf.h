/* buf.h - bytes that grow at the end, up to a limit that is told at the start.
 *
 * A failed append sticks: later ones do nothing, and buf_err() tells. So a writer appends freely
 * and checks once at the end. Threads: one at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max; /* never longer than this */
    enum hoist_err err;
};

#define BUF_INIT(limit) ((struct buf){.max = (limit)})

void buf_add(struct buf *b, const void *ptr, size_t len);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *str);
void buf_add_byte(struct buf *b, uint8_t byte);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* OK, ENOMEM or ELIMIT, with the sentence set. */
MUST_USE enum hoist_err buf_err(const struct buf *b);

/* What is there; moves with the next append. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

/* What is there as a C string ("" when empty or failed); moves with the next append. */
const char *buf_str(struct buf *b);

/* Empty it, keep the memory. */
void buf_clear(struct buf *b);

void buf_done(struct buf *b);

#endif
