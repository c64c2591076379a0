#include "flag/value_read.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

struct value_reader {
    struct slice in;
    size_t at;
    struct node *nodes;
    uint32_t count, cap;
    uint8_t *text; /* as long as `in`: an escape is never shorter than what it means */
    size_t used;
    uint32_t depth;
    enum hoist_err err;
};

/* ------------------------------------------------------------------ what is wrong */

static void stop(struct value_reader *r, enum hoist_err err, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < r->at && i < r->in.len; i++) {
        column = r->in.ptr[i] == '\n' ? 1 : column + 1;
        line += r->in.ptr[i] == '\n';
    }
    if (!r->err)
        r->err = err_set(err, "line %zu, column %zu: %s", line, column, what);
}

static int peek(const struct value_reader *r)
{
    return r->at < r->in.len ? r->in.ptr[r->at] : -1;
}

static void skip_blanks(struct value_reader *r)
{
    for (int c; (c = peek(r)) == ' ' || c == '\t' || c == '\n' || c == '\r';)
        r->at++;
}

static bool skip(struct value_reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->at++;
    return true;
}

/* ------------------------------------------------------------------ nodes */

/* The index of a new node; 0 is given to the first, and where there was no room. */
static uint32_t add(struct value_reader *r, enum node_kind kind)
{
    if (r->count == TREE_NODES_MAX) {
        stop(r, HOIST_ELIMIT, "too many values and keys together");
        return 0;
    }
    if (r->count == r->cap) {
        uint32_t cap = r->cap ? 2 * r->cap : 32;
        struct node *grown = mem_realloc(r->nodes, cap * sizeof *grown);
        if (!grown) {
            r->err = err_set(HOIST_ENOMEM, "out of memory");
            return 0;
        }
        r->nodes = grown;
        r->cap = cap;
    }
    r->nodes[r->count] = (struct node){.kind = kind, .span = 1};
    return r->count++;
}

/* ------------------------------------------------------------------ text */

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int read_unit(struct value_reader *r)
{
    int unit = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = hex_value(peek(r));
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static void put_letter(struct value_reader *r, uint32_t c)
{
    uint8_t *out = r->text + r->used;
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        r->used += 1;
    } else if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        r->used += 2;
    } else if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        r->used += 3;
    } else {
        out[0] = (uint8_t)(0xf0 | c >> 18);
        out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[3] = (uint8_t)(0x80 | (c & 0x3f));
        r->used += 4;
    }
}

/* Behind \u: one letter, which may take two of them. */
static bool read_unicode(struct value_reader *r)
{
    int unit = read_unit(r), low;
    if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000))
        return false;
    if (unit < 0xd800 || unit >= 0xe000) {
        put_letter(r, (uint32_t)unit);
        return true;
    }
    if (!skip(r, '\\') || !skip(r, 'u') || (low = read_unit(r)) < 0xdc00 || low >= 0xe000)
        return false;
    put_letter(r, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    return true;
}

static bool read_escape(struct value_reader *r)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    r->at++;
    if (c == 'u')
        return read_unicode(r);
    const char *found = c > 0 ? strchr(names, c) : NULL;
    if (!found)
        return false;
    put_letter(r, (uint8_t)means[found - names]);
    return true;
}

static struct slice read_text(struct value_reader *r)
{
    size_t start = r->used;
    r->at++; /* the quote */
    for (;;) {
        int c = peek(r);
        if (c < 0x20) {
            stop(r, HOIST_EINVAL, c < 0 ? "a text does not end" : "a control character in a text");
            break;
        }
        r->at++;
        if (c == '"')
            break;
        if (c != '\\') {
            r->text[r->used++] = (uint8_t)c;
        } else if (!read_escape(r)) {
            stop(r, HOIST_EINVAL, "this escape means no letter");
            break;
        }
    }
    return slice_of(r->text + start, r->used - start);
}

/* ------------------------------------------------------------------ numbers and words */

static bool skip_digits(struct value_reader *r)
{
    size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > start;
}

static void read_number(struct value_reader *r)
{
    size_t start = r->at;
    skip(r, '-');
    bool ok = skip(r, '0') || skip_digits(r);
    if (ok && skip(r, '.'))
        ok = skip_digits(r);
    if (ok && (skip(r, 'e') || skip(r, 'E'))) {
        if (!skip(r, '+'))
            skip(r, '-');
        ok = skip_digits(r);
    }
    if (!ok) {
        stop(r, HOIST_EINVAL, "this is no number");
        return;
    }
    double v = text_double(slice_of(r->in.ptr + start, r->at - start));
    if (!isfinite(v)) {
        stop(r, HOIST_EINVAL, "a number beyond what a double can hold");
        return;
    }
    uint32_t n = add(r, NODE_NUMBER);
    if (!r->err)
        r->nodes[n].number = v;
}

static void read_word(struct value_reader *r)
{
    static const struct {
        struct slice word;
        enum node_kind kind;
    } words[] = {
        {SLICE("true"), NODE_TRUE}, {SLICE("false"), NODE_FALSE}, {SLICE("null"), NODE_NULL}};
    struct slice rest = slice_of(r->in.ptr + r->at, r->in.len - r->at);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (slice_starts_with(rest, words[i].word)) {
            add(r, words[i].kind);
            r->at += words[i].word.len;
            return;
        }
    }
    stop(r, HOIST_EINVAL, "a value should stand here");
}

/* ------------------------------------------------------------------ arrays and objects */

static void read_value(struct value_reader *r);

static void read_string(struct value_reader *r)
{
    struct slice s = read_text(r);
    uint32_t n = r->err ? 0 : add(r, NODE_STRING);
    if (!r->err)
        r->nodes[n].text = s;
}

struct pair { /* of an object */
    struct slice key;
    uint32_t at; /* its key's node, among those of the object */
    uint32_t order;
};

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = slice_cmp(x->key, y->key);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool is_sorted(const struct value_reader *r, uint32_t object)
{
    const struct node *key = &r->nodes[object + 1];
    for (uint32_t i = 1; i < r->nodes[object].count; i++) {
        const struct node *next = key + 1 + key[1].span;
        if (slice_cmp(key->text, next->text) >= 0)
            return false;
        key = next;
    }
    return true;
}

/* Bring the pairs of `object`, the last node that is open, into the order of a tree. */
static void sort_pairs(struct value_reader *r, uint32_t object)
{
    uint32_t count = r->nodes[object].count, size = r->count - object - 1;
    struct pair *pairs = mem_alloc(count * sizeof *pairs);
    struct node *old = mem_alloc(size * sizeof *old);
    if (!pairs || !old) {
        mem_free(pairs);
        mem_free(old);
        r->err = err_set(HOIST_ENOMEM, "out of memory");
        return;
    }
    memcpy(old, r->nodes + object + 1, size * sizeof *old);
    for (uint32_t i = 0, at = 0; i < count; i++) {
        pairs[i] = (struct pair){old[at].text, at, i};
        at += 1 + old[at + 1].span;
    }
    qsort(pairs, count, sizeof *pairs, by_key);
    struct node *out = r->nodes + object + 1;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && slice_eq(pairs[i].key, pairs[i + 1].key))
            continue;
        uint32_t span = 1 + old[pairs[i].at + 1].span;
        memcpy(out, old + pairs[i].at, span * sizeof *out);
        out += span;
        kept++;
    }
    r->nodes[object].count = kept;
    r->count = (uint32_t)(out - r->nodes);
    mem_free(pairs);
    mem_free(old);
}

static void read_pair(struct value_reader *r)
{
    skip_blanks(r);
    if (peek(r) != '"') {
        stop(r, HOIST_EINVAL, "a key in quotes should stand here");
        return;
    }
    read_string(r);
    skip_blanks(r);
    if (!r->err && !skip(r, ':'))
        stop(r, HOIST_EINVAL, "a colon should stand here");
    if (!r->err)
        read_value(r);
}

static void read_children(struct value_reader *r, enum node_kind kind)
{
    char end = kind == NODE_OBJECT ? '}' : ']';
    uint32_t at = add(r, kind), count = 0;
    r->at++; /* the bracket */
    skip_blanks(r);
    bool more = !skip(r, end);
    while (more && !r->err) {
        if (kind == NODE_OBJECT)
            read_pair(r);
        else
            read_value(r);
        count++;
        skip_blanks(r);
        more = skip(r, ',');
        if (!more && !r->err && !skip(r, end))
            stop(r, HOIST_EINVAL, "a comma or the end should stand here");
    }
    if (r->err)
        return;
    r->nodes[at].count = count;
    if (kind == NODE_OBJECT && !is_sorted(r, at))
        sort_pairs(r, at);
    r->nodes[at].span = r->count - at;
}

/* Goes no deeper than TREE_DEPTH_MAX. */
static void read_value(struct value_reader *r)
{
    skip_blanks(r);
    if (++r->depth > TREE_DEPTH_MAX) {
        stop(r, HOIST_ELIMIT, "too many levels");
        return;
    }
    int c = peek(r);
    if (c == '{')
        read_children(r, NODE_OBJECT);
    else if (c == '[')
        read_children(r, NODE_ARRAY);
    else if (c == '"')
        read_string(r);
    else if (c == '-' || (c >= '0' && c <= '9'))
        read_number(r);
    else
        read_word(r);
    r->depth--;
}

enum hoist_err value_read(struct slice json, struct value_text *ret_text, struct tree *ret)
{
    struct value_reader r = {.in = json, .text = mem_alloc(json.len)};
    if (!r.text)
        return err_set(HOIST_ENOMEM, "out of memory");
    read_value(&r);
    skip_blanks(&r);
    if (!r.err && r.at < json.len)
        stop(&r, HOIST_EINVAL, "something stands behind the value");
    if (r.err) {
        mem_free(r.nodes);
        mem_free(r.text);
        return r.err;
    }
    *ret_text = (struct value_text){r.nodes, r.text};
    *ret = (struct tree){r.nodes, r.count};
    return HOIST_OK;
}

void value_done(struct value_text *t)
{
    mem_free(t->nodes);
    mem_free(t->text);
    *t = (struct value_text){0};
}
