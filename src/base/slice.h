/* slice.h - bytes that somebody else owns: a pointer and a length. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr;
    size_t len;
};

/* A literal as a slice, usable in initialisers; bytes after a NUL count. */
#define SLICE(lit) ((struct slice){(const uint8_t *)("" lit), sizeof(lit) - 1})

/* For printf: "%.*s", SLICE_ARG(s). */
#define SLICE_ARG(s) (int)(s).len, (const char *)(s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

/* The bytes of C string `str` without its NUL; NULL is empty. */
static inline struct slice slice_str(const char *str)
{
    return (struct slice){(const uint8_t *)str, str ? strlen(str) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Whether `s` is one of the texts. */
static inline bool slice_is_among(const char *const *texts, uint32_t count, struct slice s)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_eq(slice_str(texts[i]), s))
            return true;
    return false;
}

/* As slice_eq(), for short texts in a hot loop: a call of memcmp() costs more than they do. */
static inline bool slice_same(struct slice a, struct slice b)
{
    uint64_t x, y;
    uint32_t v, w;
    if (a.len != b.len)
        return false;
    if (a.len > 32)
        return memcmp(a.ptr, b.ptr, a.len) == 0;
    if (a.len < 4) {
        for (size_t i = 0; i < a.len; i++)
            if (a.ptr[i] != b.ptr[i])
                return false;
        return true;
    }
    if (a.len < 8) { /* the first four, and the last four */
        memcpy(&v, a.ptr, sizeof v);
        memcpy(&w, b.ptr, sizeof w);
        uint32_t differ = v ^ w;
        memcpy(&v, a.ptr + a.len - 4, sizeof v);
        memcpy(&w, b.ptr + b.len - 4, sizeof w);
        return (differ | (v ^ w)) == 0;
    }
    uint64_t differ = 0;
    for (size_t i = 0; i + 8 < a.len; i += 8) {
        memcpy(&x, a.ptr + i, sizeof x);
        memcpy(&y, b.ptr + i, sizeof y);
        differ |= x ^ y;
    }
    memcpy(&x, a.ptr + a.len - 8, sizeof x);
    memcpy(&y, b.ptr + b.len - 8, sizeof y);
    return (differ | (x ^ y)) == 0;
}

/* As memcmp; a prefix comes first. The order in which LMDB keeps keys. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t min = a.len < b.len ? a.len : b.len;
    int order = min ? memcmp(a.ptr, b.ptr, min) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

#endif
