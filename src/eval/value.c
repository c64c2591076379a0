#include "eval/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "eval/scope.h"

/* ------------------------------------------------------------------ the machine */

void machine_fail(struct machine *m, const char *error)
{
    if (!m->error)
        m->error = error;
    m->steps = 0; /* whatever asks next, ends */
}

void *machine_room(struct machine *m, size_t size)
{
    size = size ? size : 1; /* of two empty lists, each is one for itself */
    size_t want = (size + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);
    if (want > m->size - m->used) {
        machine_fail(m, "the rule makes longer texts and lists than there is room for");
        return NULL;
    }
    void *p = m->scratch + m->used;
    m->used += (uint32_t)want;
    return p;
}

/* ------------------------------------------------------------------ numbers as text */

enum { NUMBER_TEXT_SIZE = 40 };

/* 6.1.6.1.20 Number::toString, from the shortest digits that read back the same. */
static size_t number_text(char out[NUMBER_TEXT_SIZE], double v)
{
    static const char zeros[] = "000000000000000000000";
    if (isnan(v))
        return (size_t)snprintf(out, NUMBER_TEXT_SIZE, "NaN");
    if (isinf(v))
        return (size_t)snprintf(out, NUMBER_TEXT_SIZE, v < 0 ? "-Infinity" : "Infinity");
    if (v == 0)
        return (size_t)snprintf(out, NUMBER_TEXT_SIZE, "0");

    char digits[TEXT_DIGITS_SIZE];
    int point = text_digits(digits, fabs(v)); /* 0.DIGITS × 10^point */
    int count = (int)strlen(digits);
    const char *sign = v < 0 ? "-" : "";
    int len;
    if (count <= point && point <= 21)
        len = snprintf(out, NUMBER_TEXT_SIZE, "%s%s%.*s", sign, digits, point - count, zeros);
    else if (0 < point && point <= 21)
        len = snprintf(out, NUMBER_TEXT_SIZE, "%s%.*s.%s", sign, point, digits, digits + point);
    else if (-6 < point && point <= 0)
        len = snprintf(out, NUMBER_TEXT_SIZE, "%s0.%.*s%s", sign, -point, zeros, digits);
    else
        len = snprintf(out, NUMBER_TEXT_SIZE, "%s%c%s%se%+d", sign, digits[0], count > 1 ? "." : "",
                       digits + 1, point - 1);
    return (size_t)len;
}

/* ------------------------------------------------------------------ text as a number */

/* White space and ends of lines (12.2, 12.3) at the front of `s`: bytes of one, or 0. */
static size_t blank_bytes(struct slice s)
{
    static const char *const wide[] = {
        "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
        "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87",
        "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf",
    };
    if (s.len == 0)
        return 0;
    if (s.ptr[0] == ' ' || (s.ptr[0] >= '\t' && s.ptr[0] <= '\r'))
        return 1;
    for (size_t i = 0; s.ptr[0] >= 0x80 && i < sizeof wide / sizeof *wide; i++)
        if (slice_starts_with(s, slice_str(wide[i])))
            return strlen(wide[i]);
    return 0;
}

static struct slice trim_front(struct slice s)
{
    for (size_t n; (n = blank_bytes(s)) != 0;)
        s = slice_of(s.ptr + n, s.len - n);
    return s;
}

static bool is_digit(struct slice s, size_t at)
{
    return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

static size_t digits_end(struct slice s, size_t at)
{
    while (is_digit(s, at))
        at++;
    return at;
}

/* Bytes of the StrDecimalLiteral (7.1.4.1) at the front of `s`; 0: there is none. */
static size_t decimal_bytes(struct slice s)
{
    size_t sign = s.len && (s.ptr[0] == '+' || s.ptr[0] == '-');
    if (slice_starts_with(slice_of(s.ptr + sign, s.len - sign), SLICE("Infinity")))
        return sign + strlen("Infinity");
    size_t end = digits_end(s, sign), count = end - sign;
    if (end < s.len && s.ptr[end] == '.') {
        size_t behind = digits_end(s, end + 1);
        count += behind - end - 1;
        end = behind;
    }
    if (count == 0)
        return 0;
    if (end < s.len && (s.ptr[end] == 'e' || s.ptr[end] == 'E')) {
        size_t from =
            end + 1 + (end + 1 < s.len && (s.ptr[end + 1] == '+' || s.ptr[end + 1] == '-'));
        if (is_digit(s, from))
            end = digits_end(s, from);
    }
    return end;
}

/* The value of such a literal. */
static double decimal_value(struct slice s)
{
    size_t sign = s.ptr[0] == '+' || s.ptr[0] == '-';
    if (s.len == sign + strlen("Infinity") && s.ptr[sign] == 'I')
        return s.ptr[0] == '-' ? -INFINITY : INFINITY;
    return text_double(s);
}

/* 0x, 0o and 0b. NaN: it is none of them. */
static double with_radix(struct slice s)
{
    double base = 0, v = 0;
    if (s.len < 3 || s.ptr[0] != '0')
        return NAN;
    switch (s.ptr[1] | 0x20) {
    case 'x':
        base = 16;
        break;
    case 'o':
        base = 8;
        break;
    case 'b':
        base = 2;
        break;
    default:
        return NAN;
    }
    for (size_t i = 2; i < s.len; i++) {
        uint8_t c = s.ptr[i] | 0x20;
        double digit = is_digit(s, i) ? s.ptr[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit >= base)
            return NAN;
        v = v * base + digit;
    }
    return v;
}

static double text_to_number(struct slice s)
{
    s = trim_front(s);
    size_t end = decimal_bytes(s);
    struct slice rest = trim_front(slice_of(s.ptr + end, s.len - end));
    if (rest.len == 0)
        return end ? decimal_value(slice_of(s.ptr, end)) : 0;
    while (s.len && blank_bytes(slice_of(s.ptr + s.len - 1, 1)))
        s.len--;
    return with_radix(s);
}

/* ------------------------------------------------------------------ conversions */

double value_to_number(struct machine *m, struct value v)
{
    switch (v.kind) {
    case VALUE_NUMBER:
        return v.number;
    case VALUE_NULL:
    case VALUE_FALSE:
        return 0;
    case VALUE_TRUE:
        return 1;
    case VALUE_UNDEFINED:
        return NAN;
    case VALUE_STRING:
        return machine_work(m, v.len / 64) ? text_to_number(value_slice(v)) : NAN;
    default:
        return text_to_number(value_to_text(m, v));
    }
}

/* What is written in the scratch, which must not be used for anything else meanwhile. */
static void append(struct machine *m, struct slice s)
{
    if (s.len > m->size - m->used)
        machine_fail(m, "the rule makes longer texts and lists than there is room for");
    else if (s.len && machine_work(m, 1 + (uint32_t)(s.len / 64))) {
        memcpy(m->scratch + m->used, s.ptr, s.len);
        m->used += (uint32_t)s.len;
    }
}

/* Array.prototype.join(","): nothing for null. Data is nested no deeper than TREE_DEPTH_MAX. */
static void append_items(struct machine *m, struct value array, uint32_t depth)
{
    struct value v;
    bool first = true;
    if (depth > TREE_DEPTH_MAX) {
        machine_fail(m, "the rule makes lists too deep");
        return;
    }
    for (struct items i = items_of(array); machine_work(m, 1) && items_next(&i, &v);
         first = false) {
        char number[NUMBER_TEXT_SIZE];
        if (!first)
            append(m, SLICE(","));
        if (value_is_array(v))
            append_items(m, v, depth + 1);
        else if (v.kind == VALUE_NUMBER)
            append(m, slice_of(number, number_text(number, v.number)));
        else if (!value_is_nothing(v))
            append(m, value_to_text(m, v));
    }
}

static struct slice array_text(struct machine *m, struct value array)
{
    uint32_t start = m->used;
    append_items(m, array, 0);
    struct slice text = slice_of(m->scratch + start, m->used - start);
    m->used = (m->used + SCRATCH_ALIGN - 1) & ~(uint32_t)(SCRATCH_ALIGN - 1);
    return text;
}

struct slice value_to_text(struct machine *m, struct value v)
{
    switch (v.kind) {
    case VALUE_STRING:
        return value_slice(v);
    case VALUE_UNDEFINED:
        return SLICE("undefined");
    case VALUE_NULL:
        return SLICE("null");
    case VALUE_FALSE:
        return SLICE("false");
    case VALUE_TRUE:
        return SLICE("true");
    case VALUE_NUMBER: {
        char *text = machine_room(m, NUMBER_TEXT_SIZE);
        return text ? slice_of(text, number_text(text, v.number)) : SLICE("");
    }
    case VALUE_ARRAY:
    case VALUE_LIST:
        return array_text(m, v);
    default:
        return SLICE("[object Object]");
    }
}

double value_parse_float(struct machine *m, struct value v)
{
    if (v.kind == VALUE_NUMBER)
        return v.number + 0; /* −0 is written as 0 */
    struct slice s = trim_front(value_to_text(m, v));
    size_t end = machine_work(m, (uint32_t)(s.len / 64)) ? decimal_bytes(s) : 0;
    return end ? decimal_value(slice_of(s.ptr, end)) : NAN;
}

int64_t value_to_integer(struct machine *m, struct value v)
{
    double d = trunc(value_to_number(m, v));
    if (isnan(d))
        return 0;
    return d > INT32_MAX ? INT32_MAX : d < -INT32_MAX ? -INT32_MAX : (int64_t)d;
}

/* ------------------------------------------------------------------ equal, less */

bool value_same(struct machine *m, struct value a, struct value b)
{
    if (a.kind != b.kind)
        return false;
    if (__builtin_expect(a.kind == VALUE_STRING, 1))
        return a.len == b.len && machine_work(m, a.len / 64) &&
               slice_same(value_slice(a), value_slice(b));
    switch (a.kind) {
    case VALUE_NUMBER:
        return a.number == b.number;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        return a.node == b.node;
    case VALUE_LIST:
    case VALUE_FOLD:
        return a.items == b.items;
    default:
        return true;
    }
}

/* 7.1.1 ToPrimitive: what has members becomes text. */
static struct value primitive(struct machine *m, struct value v)
{
    return value_is_object(v) ? value_text(value_to_text(m, v)) : v;
}

bool value_equal_unlike(struct machine *m, struct value a, struct value b)
{
    if (value_is_nothing(a) || value_is_nothing(b))
        return value_is_nothing(a) && value_is_nothing(b);
    if (value_is_object(a) && value_is_object(b))
        return false;
    a = primitive(m, a);
    b = primitive(m, b);
    if (a.kind == b.kind)
        return value_same(m, a, b);
    return value_to_number(m, a) == value_to_number(m, b);
}

/* By UTF-16 units: letters beyond U+FFFF (surrogates there, four bytes here) stand before U+E000 to
 * U+FFFF (which begin with 0xee and 0xef). */
static int text_order(struct slice a, struct slice b)
{
    size_t min = a.len < b.len ? a.len : b.len, i = 0;
    while (i < min && a.ptr[i] == b.ptr[i])
        i++;
    if (i == min)
        return (a.len > b.len) - (a.len < b.len);
    uint8_t x = a.ptr[i], y = b.ptr[i];
    bool swapped = (x >= 0xf0) != (y >= 0xf0) && x >= 0xee && y >= 0xee;
    return (x < y) != swapped ? -1 : 1;
}

int value_order(struct machine *m, struct value a, struct value b)
{
    a = primitive(m, a);
    b = primitive(m, b);
    if (a.kind == VALUE_STRING && b.kind == VALUE_STRING) {
        uint32_t len = a.len < b.len ? a.len : b.len;
        return machine_work(m, len / 64) ? text_order(value_slice(a), value_slice(b)) : 0;
    }
    double x = value_to_number(m, a), y = value_to_number(m, b);
    if (isnan(x) || isnan(y))
        return VALUE_UNORDERED;
    return (x > y) - (x < y);
}

/* ------------------------------------------------------------------ members */

/* A canonical array index: digits without a leading zero. */
static bool item_index(struct slice name, uint32_t *ret)
{
    uint32_t v = 0;
    if (name.len == 0 || name.len > 9 || (name.ptr[0] == '0' && name.len > 1))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_digit(name, i))
            return false;
        v = v * 10 + (uint32_t)(name.ptr[i] - '0');
    }
    *ret = v;
    return true;
}

static bool node_member(struct value v, struct slice name, struct value *ret)
{
    const struct node *at = v.node + 1;
    for (uint32_t i = 0; i < v.len; i++) {
        const struct node *value = at + 1;
        if (slice_same(at->text, name)) {
            *ret = value_of_node(value);
            return true;
        }
        at = value + value->span;
    }
    return false;
}

static bool array_member(struct machine *m, struct value v, struct slice name, struct value *ret)
{
    uint32_t index;
    if (slice_same(name, SLICE("length"))) {
        *ret = value_number(v.len);
        return true;
    }
    if (!item_index(name, &index) || index >= v.len || !machine_work(m, 1 + index / 16))
        return false;
    if (v.kind == VALUE_LIST) {
        *ret = v.items[index];
        return ret->kind != VALUE_UNDEFINED;
    }
    const struct node *at = v.node + 1;
    for (; index > 0; index--)
        at += at->span;
    *ret = value_of_node(at);
    return true;
}

static bool text_member(struct machine *m, struct slice s, struct slice name, struct value *ret)
{
    uint32_t index;
    if (!machine_work(m, 1 + (uint32_t)(s.len / 64)))
        return false;
    if (slice_same(name, SLICE("length"))) {
        *ret = value_number(text_units(s));
        return true;
    }
    if (!item_index(name, &index) || index >= text_units(s))
        return false;
    *ret = value_text(text_cut(s, index, index + 1));
    return true;
}

static bool fold_member(struct value v, struct slice name, struct value *ret)
{
    if (slice_same(name, SLICE("current")))
        *ret = v.items[0];
    else if (slice_same(name, SLICE("accumulator")))
        *ret = v.items[1];
    else
        return false;
    return ret->kind != VALUE_UNDEFINED;
}

bool value_member(struct machine *m, struct value v, struct slice name, struct value *ret)
{
    switch (v.kind) {
    case VALUE_OBJECT:
        return machine_work(m, 1 + v.len / 16) && node_member(v, name, ret);
    case VALUE_ARRAY:
    case VALUE_LIST:
        return array_member(m, v, name, ret);
    case VALUE_STRING:
        return text_member(m, value_slice(v), name, ret);
    case VALUE_FOLD:
        return fold_member(v, name, ret);
    case VALUE_CONTEXT:
    case VALUE_FLAGD:
    case VALUE_HOIST:
    case VALUE_LABELS:
        return scope_member(m->ask, v.kind, name, ret);
    default:
        return false;
    }
}

/* ------------------------------------------------------------------ units of text */

static uint32_t units_of(uint8_t first)
{
    return (first & 0xc0) == 0x80 ? 0 : first >= 0xf0 ? 2 : 1;
}

uint32_t text_units(struct slice s)
{
    uint32_t units = 0;
    for (size_t i = 0; i < s.len; i++)
        units += units_of(s.ptr[i]);
    return units;
}

struct slice text_cut(struct slice s, uint32_t from, uint32_t to)
{
    uint32_t passed = 0;
    size_t start = s.len, end = s.len;
    for (size_t i = 0; i < s.len; i++) {
        uint32_t here = units_of(s.ptr[i]);
        if (here == 0)
            continue;
        if (start == s.len && passed >= from)
            start = i;
        passed += here;
        if (passed > to) {
            end = i;
            break;
        }
    }
    return slice_of(s.ptr + start, end > start ? end - start : 0);
}
