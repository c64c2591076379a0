#include "flag/version.h"

enum { VERSION_MAX = 256 };

/* ------------------------------------------------------------------ reading */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* A number at the front of *s, which is moved behind it: no leading zeros, no more than 2^53−1. */
static bool take_number(struct slice *s, uint64_t *ret)
{
    size_t len = 0;
    uint64_t v = 0;
    for (; len < s->len && is_digit(s->ptr[len]); len++)
        v = len < 17 ? v * 10 + (uint64_t)(s->ptr[len] - '0') : v;
    if (len == 0 || len > 16 || v > 9007199254740991 || (s->ptr[0] == '0' && len > 1))
        return false;
    *s = slice_of(s->ptr + len, s->len - len);
    *ret = v;
    return true;
}

static bool take(struct slice *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = slice_of(s->ptr + 1, s->len - 1);
    return true;
}

/* The identifier at the front of *s, which is moved behind it and a dot. */
static struct slice take_word(struct slice *s)
{
    size_t len = 0;
    while (len < s->len && is_word(s->ptr[len]))
        len++;
    struct slice word = slice_of(s->ptr, len);
    *s = slice_of(s->ptr + len, s->len - len);
    return word;
}

static bool is_numeric(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_digit(word.ptr[i]))
            return false;
    return word.len > 0;
}

/* Identifiers with dots between them; `strict`: numeric ones have no leading zeros. */
static bool take_words(struct slice *s, bool strict, struct slice *ret)
{
    const uint8_t *start = s->ptr;
    do {
        struct slice word = take_word(s);
        if (word.len == 0 || (strict && word.len > 1 && word.ptr[0] == '0' && is_numeric(word)))
            return false;
    } while (take(s, '.'));
    *ret = slice_of(start, (size_t)(s->ptr - start));
    return true;
}

bool version_read(struct slice s, struct version *ret)
{
    struct slice build;
    struct version v = {0};
    if (s.len > VERSION_MAX)
        return false;
    if (!take(&s, 'v'))
        take(&s, 'V');
    int parts = 0;
    do {
        if (!take_number(&s, &v.number[parts++]))
            return false;
    } while (parts < 3 && take(&s, '.'));
    if (parts == 3) {
        if (take(&s, '-') && !take_words(&s, true, &v.pre))
            return false;
        if (take(&s, '+') && !take_words(&s, false, &build))
            return false;
    }
    if (s.len == 0)
        *ret = v;
    return s.len == 0;
}

/* ------------------------------------------------------------------ comparing */

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Numbers by size, before words; words by their bytes. */
static int compare_words(struct slice a, struct slice b)
{
    bool number = is_numeric(a);
    if (number != is_numeric(b))
        return number ? -1 : 1;
    return number && a.len != b.len ? order(a.len, b.len) : slice_cmp(a, b);
}

/* A release comes after what led to it; the longer list after the one it begins with. */
static int compare_pre(struct slice a, struct slice b)
{
    if (a.len == 0 || b.len == 0)
        return (a.len == 0) - (b.len == 0);
    for (;;) {
        int words = compare_words(take_word(&a), take_word(&b));
        if (words)
            return words;
        bool more = take(&a, '.'), other = take(&b, '.');
        if (!more || !other)
            return more - other;
    }
}

int version_compare(const struct version *a, const struct version *b)
{
    for (int i = 0; i < 3; i++)
        if (a->number[i] != b->number[i])
            return order(a->number[i], b->number[i]);
    return compare_pre(a->pre, b->pre);
}
