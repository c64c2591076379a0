/* mp.h - msgpack: a cursor that reads it, and a writer on msgpack-c.
 *
 * The reader is ours because msgpack-c's ends at depth 32 and allocates by the claimed count: this
 * one neither recurses nor allocates. It borrows; what it gives lives as long as the input. A
 * reader that met something wrong stays failed and gives zero values, so that a decoder reads a
 * whole frame and checks once.
 */
#ifndef WIRE_MP_H
#define WIRE_MP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum mp_type {
    MP_NIL,
    MP_BOOL,
    MP_UINT,
    MP_INT,
    MP_FLOAT,
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_EXT
};

struct mp_reader {
    struct slice in;    /* what is left; nothing, once failed */
    const char *bad;    /* NULL, or what was wrong first: static text */
    enum hoist_err err; /* OK, or ECORRUPT, ELIMIT or ENOMEM to go with it */
};

struct mp_reader mp_reader(struct slice in);

/* The type of the next item; fails the reader at the end of the input or on byte 0xc1. */
enum mp_type mp_peek(struct mp_reader *r);

uint64_t mp_u64(struct mp_reader *r);
uint32_t mp_u32(struct mp_reader *r);
int64_t mp_i64(struct mp_reader *r);
bool mp_bool(struct mp_reader *r);
double mp_double(struct mp_reader *r); /* takes whole numbers within ±2^53 too; may be NaN */
struct slice mp_str(struct mp_reader *r);
struct slice mp_text(struct mp_reader *r, size_t max); /* a str of UTF-8, at most `max` bytes */
struct slice mp_bin(struct mp_reader *r);
bool mp_try_nil(struct mp_reader *r);                         /* steps over a nil if it is next */
void mp_fixed(struct mp_reader *r, uint8_t *out, size_t len); /* a bin of exactly `len` bytes */

/* The count of an array or a map. Fails when that many cannot fit in the bytes that are left (each
 * item takes at least one), or, with ELIMIT, when it is more than `max`. */
uint32_t mp_array(struct mp_reader *r, uint32_t max);
uint32_t mp_map(struct mp_reader *r, uint32_t max);

/* Step over one item with all it contains, without recursion. */
void mp_skip(struct mp_reader *r);

/* One item, whole, as its bytes. */
struct slice mp_raw(struct mp_reader *r);

/* Mark the reader failed: with ECORRUPT; with ELIMIT. The first failure is the one that stays.
 */
void mp_fail(struct mp_reader *r, const char *what);
void mp_limit(struct mp_reader *r, const char *what);
void mp_no_memory(struct mp_reader *r); /* for decoders that allocate: ENOMEM */

/* Fails the reader unless all of its input was read. */
void mp_end(struct mp_reader *r);

/* OK, or ECORRUPT, ELIMIT or ENOMEM with "WHAT: …", what was wrong first. */
MUST_USE enum hoist_err mp_err(const struct mp_reader *r, const char *what);

/* ------------------------------------------------------------------ writing, into a buf */

void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_u64(struct buf *b, uint64_t v);
void mp_put_i64(struct buf *b, int64_t v);
void mp_put_double(struct buf *b, double v); /* whole numbers within ±2^53 as integers: shorter */
void mp_put_str(struct buf *b, struct slice v);
void mp_put_bin(struct buf *b, struct slice v);
void mp_put_array(struct buf *b, uint32_t count);
void mp_put_map(struct buf *b, uint32_t count);

#endif
