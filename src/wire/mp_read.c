#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "wire/mp.h"

/* What stands at the front of an item. */
struct item {
    enum mp_type type;
    uint8_t width;  /* bytes of the number, as sent: its sign and precision */
    uint64_t value; /* the number's bits, the boolean, the length or the count */
};

/* By first byte: the type, how many bytes of number, length or count follow, and which bits of
 * the first byte itself are the value if none do. */
/* clang-format off */
static const struct form {
    uint8_t type, width, bits;
} forms[256] = {
    [0x00 ... 0x7f] = {MP_UINT, 0, 0x7f},
    [0x80 ... 0x8f] = {MP_MAP, 0, 0x0f},
    [0x90 ... 0x9f] = {MP_ARRAY, 0, 0x0f},
    [0xa0 ... 0xbf] = {MP_STR, 0, 0x1f},
    [0xc0] = {MP_NIL, 0, 0}, {MP_NIL, 0, 0}, {MP_BOOL, 0, 1}, {MP_BOOL, 0, 1},
    [0xc4] = {MP_BIN, 1, 0}, {MP_BIN, 2, 0}, {MP_BIN, 4, 0},
    [0xc7] = {MP_EXT, 1, 0}, {MP_EXT, 2, 0}, {MP_EXT, 4, 0},
    [0xca] = {MP_FLOAT, 4, 0}, {MP_FLOAT, 8, 0},
    [0xcc] = {MP_UINT, 1, 0}, {MP_UINT, 2, 0}, {MP_UINT, 4, 0}, {MP_UINT, 8, 0},
    [0xd0] = {MP_INT, 1, 0}, {MP_INT, 2, 0}, {MP_INT, 4, 0}, {MP_INT, 8, 0},
    [0xd4 ... 0xd8] = {MP_EXT, 0, 0},
    [0xd9] = {MP_STR, 1, 0}, {MP_STR, 2, 0}, {MP_STR, 4, 0},
    [0xdc] = {MP_ARRAY, 2, 0}, {MP_ARRAY, 4, 0},
    [0xde] = {MP_MAP, 2, 0}, {MP_MAP, 4, 0},
    [0xe0 ... 0xff] = {MP_INT, 0, 0xff}, /* two's complement, as 0xd0 would send it */
};
/* clang-format on */

enum { NIL = 0xc0, NEVER_USED = 0xc1, FIXEXT_FIRST = 0xd4 };

struct mp_reader mp_reader(struct slice in)
{
    return (struct mp_reader){.in = in};
}

static void stop(struct mp_reader *r, enum hoist_err err, const char *what)
{
    if (!r->bad) {
        r->bad = what;
        r->err = err;
    }
    r->in.len = 0; /* so that whatever is read next fails at once */
}

void mp_fail(struct mp_reader *r, const char *what)
{
    stop(r, HOIST_ECORRUPT, what);
}

void mp_limit(struct mp_reader *r, const char *what)
{
    stop(r, HOIST_ELIMIT, what);
}

void mp_no_memory(struct mp_reader *r)
{
    stop(r, HOIST_ENOMEM, "out of memory");
}

void mp_end(struct mp_reader *r)
{
    if (!r->bad && r->in.len > 0)
        mp_fail(r, "bytes are left over behind the end");
}

enum hoist_err mp_err(const struct mp_reader *r, const char *what)
{
    return r->bad ? err_set(r->err, "%s: %s", what, r->bad) : HOIST_OK;
}

static uint64_t number_read(const uint8_t *p, uint8_t width)
{
    switch (width) {
    case 1:
        return *p;
    case 2:
        return be16_read(p);
    case 4:
        return be32_read(p);
    case 8:
        return be64_read(p);
    }
    return 0;
}

/* take(), where the first byte does not say all. */
static bool take_long(struct mp_reader *r, struct item *ret)
{
    if (r->in.len == 0) {
        mp_fail(r, "it ends too early");
        return false;
    }
    uint8_t c = r->in.ptr[0];
    const struct form *form = &forms[c];
    /* An ext's own type stands between its length and its bytes. */
    size_t used = 1 + (size_t)form->width + (form->type == MP_EXT);
    if (c == NEVER_USED) {
        mp_fail(r, "byte 0xc1 begins nothing");
        return false;
    }
    if (r->in.len < used) {
        mp_fail(r, "it ends too early");
        return false;
    }
    *ret = (struct item){form->type, form->width, number_read(r->in.ptr + 1, form->width)};
    if (form->type == MP_EXT && form->width == 0)
        ret->value = 1u << (c - FIXEXT_FIRST);
    r->in.ptr += used;
    r->in.len -= used;
    return true;
}

/* Step over an item's front. False when the reader has failed. */
static inline bool take(struct mp_reader *r, struct item *ret)
{
    const struct form *form = r->in.len > 0 ? &forms[r->in.ptr[0]] : NULL;
    if (!form || form->width > 0 || form->bits == 0)
        return take_long(r, ret);
    *ret = (struct item){form->type, 1, r->in.ptr[0] & form->bits};
    r->in.ptr++;
    r->in.len--;
    return true;
}

static int64_t signed_value(const struct item *item)
{
    switch (item->width) {
    case 1:
        return (int8_t)item->value;
    case 2:
        return (int16_t)item->value;
    case 4:
        return (int32_t)item->value;
    }
    return (int64_t)item->value;
}

enum mp_type mp_peek(struct mp_reader *r)
{
    if (r->in.len == 0) {
        mp_fail(r, "it ends too early");
        return MP_NIL;
    }
    if (r->in.ptr[0] == NEVER_USED)
        mp_fail(r, "byte 0xc1 begins nothing");
    return forms[r->in.ptr[0]].type;
}

uint64_t mp_u64(struct mp_reader *r)
{
    struct item item;
    if (!take(r, &item))
        return 0;
    if (item.type == MP_UINT)
        return item.value;
    if (item.type == MP_INT && signed_value(&item) >= 0)
        return (uint64_t)signed_value(&item);
    mp_fail(r, "not an unsigned whole number where one belongs");
    return 0;
}

uint32_t mp_u32(struct mp_reader *r)
{
    uint64_t v = mp_u64(r);
    if (v <= UINT32_MAX)
        return (uint32_t)v;
    mp_fail(r, "a number beyond 32 bits where a smaller one belongs");
    return 0;
}

int64_t mp_i64(struct mp_reader *r)
{
    struct item item;
    if (!take(r, &item))
        return 0;
    if (item.type == MP_INT)
        return signed_value(&item);
    if (item.type == MP_UINT && item.value <= INT64_MAX)
        return (int64_t)item.value;
    mp_fail(r, "not a whole number where one belongs");
    return 0;
}

bool mp_bool(struct mp_reader *r)
{
    struct item item;
    if (!take(r, &item))
        return false;
    if (item.type == MP_BOOL)
        return item.value;
    mp_fail(r, "neither true nor false where one of them belongs");
    return false;
}

static double float_value(const struct item *item)
{
    if (item->width == 4) {
        uint32_t bits = (uint32_t)item->value;
        float v;
        memcpy(&v, &bits, sizeof v);
        return (double)v;
    }
    double v;
    memcpy(&v, &item->value, sizeof v);
    return v;
}

double mp_double(struct mp_reader *r)
{
    static const int64_t exact = INT64_C(1) << 53; /* up to here a double holds every integer */
    struct item item;
    if (!take(r, &item))
        return 0;
    if (item.type == MP_FLOAT)
        return float_value(&item);
    if (item.type == MP_UINT && item.value <= (uint64_t)exact)
        return (double)item.value;
    if (item.type == MP_INT && signed_value(&item) <= exact && signed_value(&item) >= -exact)
        return (double)signed_value(&item);
    mp_fail(r, item.type == MP_UINT || item.type == MP_INT ? "a whole number beyond 2^53"
                                                           : "not a number where one belongs");
    return 0;
}

/* `len` bytes from the front. */
static struct slice bytes(struct mp_reader *r, uint64_t len)
{
    if (len > r->in.len) {
        mp_fail(r, "it ends too early");
        return (struct slice){0};
    }
    struct slice s = {r->in.ptr, (size_t)len};
    r->in.ptr += len;
    r->in.len -= (size_t)len;
    return s;
}

struct slice mp_str(struct mp_reader *r)
{
    struct item item;
    if (!take(r, &item))
        return (struct slice){0};
    if (item.type == MP_STR)
        return bytes(r, item.value);
    mp_fail(r, "not text where text belongs");
    return (struct slice){0};
}

struct slice mp_text(struct mp_reader *r, size_t max)
{
    struct slice s = mp_str(r);
    if (r->bad)
        return s;
    if (s.len > max)
        mp_limit(r, "text longer than allowed");
    else if (!text_utf8(s))
        mp_fail(r, "text that is not UTF-8");
    else
        return s;
    return (struct slice){0};
}

struct slice mp_bin(struct mp_reader *r)
{
    struct item item;
    if (!take(r, &item))
        return (struct slice){0};
    if (item.type == MP_BIN)
        return bytes(r, item.value);
    mp_fail(r, "not bytes where bytes belong");
    return (struct slice){0};
}

bool mp_try_nil(struct mp_reader *r)
{
    if (r->in.len == 0 || r->in.ptr[0] != NIL)
        return false;
    r->in.ptr++;
    r->in.len--;
    return true;
}

void mp_fixed(struct mp_reader *r, uint8_t *out, size_t len)
{
    struct slice s = mp_bin(r);
    if (s.len == len) {
        if (len)
            memcpy(out, s.ptr, len);
        return;
    }
    mp_fail(r, "bytes of another length than belongs here");
    memset(out, 0, len);
}

static uint32_t count(struct mp_reader *r, enum mp_type type, uint32_t max, const char *other)
{
    struct item item;
    if (!take(r, &item))
        return 0;
    uint64_t items = type == MP_MAP ? 2 * item.value : item.value;
    if (item.type != type)
        mp_fail(r, other);
    else if (items > r->in.len)
        mp_fail(r, "it claims more items than its bytes can hold");
    else if (item.value > max)
        mp_limit(r, "more items than allowed");
    else
        return (uint32_t)item.value;
    return 0;
}

uint32_t mp_array(struct mp_reader *r, uint32_t max)
{
    return count(r, MP_ARRAY, max, "not an array where one belongs");
}

uint32_t mp_map(struct mp_reader *r, uint32_t max)
{
    return count(r, MP_MAP, max, "not a map where one belongs");
}

void mp_skip(struct mp_reader *r)
{
    /* Items still to be stepped over. Each takes a byte at least, which bounds both the number and
     * the loop, however deep they are nested. */
    uint64_t left = 1;
    struct item item;
    while (left > 0 && take(r, &item)) {
        left--;
        if (item.type == MP_ARRAY)
            left += item.value;
        else if (item.type == MP_MAP)
            left += 2 * item.value;
        else if (item.type == MP_STR || item.type == MP_BIN || item.type == MP_EXT)
            bytes(r, item.value);
        if (left > r->in.len)
            mp_fail(r, "it claims more items than its bytes can hold");
    }
}

struct slice mp_raw(struct mp_reader *r)
{
    const uint8_t *start = r->in.ptr;
    mp_skip(r);
    if (r->bad)
        return (struct slice){0};
    return slice_of(start, (size_t)(r->in.ptr - start));
}
