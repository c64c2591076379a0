/* Texts as JavaScript, and Unleash's SDK in it, read them. */
#include <string.h>

#include "base/text.h"
#include "flag/unleash_int.h"

/* ------------------------------------------------------------------ spaces and lists */

/* JavaScript's white space beyond ASCII, in UTF-8. */
static const char *const wide_spaces[] = {
    "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
    "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87",
    "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
    "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf"};

/* The bytes of the white space that `s` begins with, or ends with, or 0. */
static size_t space_at(struct slice s, bool at_end)
{
    if (s.len == 0)
        return 0;
    uint8_t c = s.ptr[at_end ? s.len - 1 : 0];
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    for (size_t i = 0; i < sizeof wide_spaces / sizeof *wide_spaces; i++) {
        struct slice space = slice_str(wide_spaces[i]);
        if (s.len >= space.len &&
            memcmp(at_end ? s.ptr + s.len - space.len : s.ptr, space.ptr, space.len) == 0)
            return space.len;
    }
    return 0;
}

static struct slice trim_start(struct slice s)
{
    for (size_t n; (n = space_at(s, false)) > 0;)
        s = slice_of(s.ptr + n, s.len - n);
    return s;
}

static struct slice trim_end(struct slice s)
{
    for (size_t n; (n = space_at(s, true)) > 0;)
        s.len -= n;
    return s;
}

struct slice js_trim(struct slice s)
{
    return trim_end(trim_start(s));
}

json_t *js_split(struct slice s)
{
    json_t *items = json_array();
    bool first = true;
    for (;;) {
        const uint8_t *comma = s.len ? memchr(s.ptr, ',', s.len) : NULL;
        struct slice item = comma ? slice_of(s.ptr, (size_t)(comma - s.ptr)) : s;
        if (!first)
            item = trim_start(item);
        if (comma)
            item = trim_end(item);
        json_array_append_new(items, rule_text(item));
        if (!comma)
            return items;
        s = slice_of(comma + 1, s.len - (size_t)(comma + 1 - s.ptr));
        first = false;
    }
}

/* ------------------------------------------------------------------ numbers, cases */

bool js_number(const json_t *v, double *ret)
{
    if (json_is_number(v))
        *ret = json_number_value(v);
    return json_is_number(v) ||
           (json_is_string(v) && number_parse(js_trim(json_text(v)), ret) == NUMBER_FINE);
}

bool in_number(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\0' || !strchr("0123456789+-.e", s.ptr[i]))
            return false;
    return true;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool has_case(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_letter(s.ptr[i]) || s.ptr[i] >= 0x80)
            return true;
    return false;
}

json_t *in_case(struct slice s, bool upper)
{
    json_t *text = rule_text(s);
    char *p = (char *)json_string_value(text); /* nobody else has it yet */
    for (size_t i = 0; text && i < s.len; i++)
        if (is_letter((uint8_t)p[i]))
            p[i] = (char)(upper ? p[i] & ~0x20 : p[i] | 0x20);
    return text;
}

/* ------------------------------------------------------------------ versions */

static size_t run(struct slice s, size_t at, bool letters)
{
    while (at < s.len && ((s.ptr[at] >= '0' && s.ptr[at] <= '9') ||
                          (letters && (is_letter(s.ptr[at]) || s.ptr[at] == '-'))))
        at++;
    return at;
}

/* Digits without a zero in front, at most as many as a double holds exactly. */
static bool is_plain_number(const uint8_t *digits, size_t len)
{
    return len > 0 && len <= 15 && (digits[0] != '0' || len == 1);
}

/* Identifiers with dots between them; where they begin and end `s`. */
static bool are_identifiers(struct slice s, bool of_build)
{
    for (size_t at = 0;; at++) {
        size_t end = run(s, at, true);
        bool digits = run(s, at, false) == end;
        if (end == at || (digits && !of_build && !is_plain_number(s.ptr + at, end - at)))
            return false;
        if (end == s.len)
            return true;
        if (s.ptr[end] != '.')
            return false;
        at = end;
    }
}

bool is_semver(struct slice s)
{
    size_t at = 0;
    if (s.len > 256)
        return false;
    for (int part = 0; part < 3; part++) {
        size_t end = run(s, at, false);
        if (!is_plain_number(s.ptr + at, end - at) ||
            (part < 2 && (end == s.len || s.ptr[end] != '.')))
            return false;
        at = part < 2 ? end + 1 : end;
    }
    const uint8_t *plus = at < s.len ? memchr(s.ptr + at, '+', s.len - at) : NULL;
    size_t end = plus ? (size_t)(plus - s.ptr) : s.len;
    if (plus && !are_identifiers(slice_of(plus + 1, s.len - end - 1), true))
        return false;
    if (at == end)
        return true;
    return s.ptr[at] == '-' && are_identifiers(slice_of(s.ptr + at + 1, end - at - 1), false);
}

/* ------------------------------------------------------------------ addresses */

/* A number of at most `most` from `at` on, written as briefly as can be; 0 when there is none. */
static size_t small_number(struct slice s, size_t at, uint32_t most, uint32_t *ret)
{
    uint32_t v = 0;
    size_t end = at;
    for (; end < s.len && end < at + 3 && s.ptr[end] >= '0' && s.ptr[end] <= '9'; end++)
        v = v * 10 + (s.ptr[end] - '0');
    if (end == at || v > most || (s.ptr[at] == '0' && end > at + 1))
        return 0;
    *ret = v;
    return end;
}

bool ipv4_read(struct slice s, uint32_t *ret_address, unsigned *ret_bits)
{
    uint32_t address = 0, part, bits = 32;
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        at = small_number(s, at, 255, &part);
        if (at == 0 || (i < 3 && (at == s.len || s.ptr[at++] != '.')))
            return false;
        address = address << 8 | part;
    }
    if (at < s.len && (s.ptr[at] != '/' || (at = small_number(s, at + 1, 32, &bits)) == 0))
        return false;
    if (at < s.len)
        return false;
    *ret_address = address;
    *ret_bits = bits;
    return true;
}
