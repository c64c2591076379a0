/* A walk over JSON text that finds what jansson stops at, or does not tell.
 *
 * Jansson ends at the first key that stands twice, the first integer beyond 64 bits and the first
 * byte that is not UTF-8, with a line and no path; and it takes an integer that a double cannot
 * hold. This walk names all of them with their paths, and writes harmless ones of the same length
 * in their place, so that jansson reads on and the rest of the file is looked at too. It judges no
 * grammar: at what it does not expect it ends, and jansson says what is wrong there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/flag_int.h"
#include "flag/read_int.h"

enum { DEPTH_MAX = 2048 }; /* as jansson's */

enum expect { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END, NOTHING };

struct level { /* an array or object that is open */
    bool object;
    size_t index;     /* of the item, in an array */
    size_t first_key; /* in `keys` */
    size_t path_len;  /* of its own path */
};

struct scan {
    uint8_t *text;
    size_t len, at;
    enum expect expect;
    struct problems *problems;
    struct places *places;
    struct path path;
    struct arena arena; /* keys that have escapes, read */
    struct slice *keys; /* of the objects that are open, the innermost one's last */
    size_t key_count, key_cap;
    struct level *levels;
    size_t depth;
    bool no_memory;
};

static struct level *innermost(struct scan *s)
{
    return &s->levels[s->depth - 1];
}

/* ------------------------------------------------------------------ telling */

/* How much of the path names a flag: two steps, the first of which is "flags". */
static size_t flag_len(const struct scan *s)
{
    static const size_t flags = sizeof "flags" - 1;
    if (s->depth < 2 || s->levels[1].path_len != flags ||
        strncmp(s->path.text, "flags", flags) != 0)
        return 0;
    size_t len = s->depth > 2 ? s->levels[2].path_len : s->path.len;
    return len > flags ? len : 0;
}

/* A problem at the scan's path. */
static void complain_here(struct scan *s, const char *mend, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void complain_here(struct scan *s, const char *mend, const char *fmt, ...)
{
    char message[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    s->problems->flag_len = flag_len(s);
    problems_add(s->problems, s->path.text, mend, "%s", message);
    s->problems->flag_len = 0;
}

static void meet(struct scan *s)
{
    if (s->places)
        places_meet(s->places, &s->path, s->at);
}

/* ------------------------------------------------------------------ objects, arrays */

static bool open_level(struct scan *s, bool object)
{
    if (s->depth == DEPTH_MAX)
        return false;
    s->levels[s->depth++] =
        (struct level){.object = object, .first_key = s->key_count, .path_len = s->path.len};
    if (!object)
        path_index(&s->path, 0);
    s->expect = object ? KEY_OR_END : VALUE_OR_END;
    s->at++;
    return true;
}

/* Behind a value: the path is that of what contains it. */
static void after_value(struct scan *s)
{
    if (s->depth)
        path_back(&s->path, innermost(s)->path_len);
    s->expect = s->depth ? COMMA_OR_END : NOTHING;
}

static int by_bytes(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Each key that stands more than once in the object that ends here, once. */
static void find_twice(struct scan *s, size_t first)
{
    size_t count = s->key_count - first;
    if (count < 2)
        return;
    struct slice *keys = s->keys + first;
    qsort(keys, count, sizeof *keys, by_bytes);
    for (size_t i = 1; i < count; i++) {
        if (!slice_eq(keys[i], keys[i - 1]) || (i > 1 && slice_eq(keys[i], keys[i - 2])))
            continue;
        size_t back = path_key(&s->path, keys[i]);
        complain_here(s, "keep one of them", "the key '%s' stands more than once",
                      show(keys[i]).text);
        path_back(&s->path, back);
    }
}

static bool close_level(struct scan *s, bool object)
{
    if (s->depth == 0 || innermost(s)->object != object)
        return false;
    path_back(&s->path, innermost(s)->path_len);
    find_twice(s, innermost(s)->first_key);
    s->key_count = innermost(s)->first_key;
    s->depth--;
    s->at++;
    after_value(s);
    return true;
}

static bool next_item(struct scan *s)
{
    struct level *l = innermost(s);
    s->at++;
    s->expect = l->object ? KEY : VALUE;
    if (!l->object)
        path_index(&s->path, ++l->index);
    return true;
}

/* ------------------------------------------------------------------ text */

/* The text between the quotes at `at`; false when it does not end. Escapes stay as they are. */
static bool find_text(const struct scan *s, struct slice *ret)
{
    for (size_t i = s->at + 1; i < s->len && s->text[i] >= ' '; i++) {
        if (s->text[i] == '"') {
            *ret = slice_of(s->text + s->at + 1, i - s->at - 1);
            return true;
        }
        if (s->text[i] == '\\')
            i++;
    }
    return false;
}

/* Makes bytes that are not ASCII question marks, if together they are not UTF-8. */
static bool mend_utf8(struct scan *s, struct slice text)
{
    if (text_utf8(text))
        return false;
    uint8_t *p = s->text + (text.ptr - s->text);
    for (size_t i = 0; i < text.len; i++)
        if (p[i] >= 0x80)
            p[i] = '?';
    return true;
}

/* Makes each NUL, which no C program could read, a space. */
static bool mend_nul(struct scan *s, struct slice text)
{
    bool found = false;
    uint8_t *p = s->text + (text.ptr - s->text);
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (p[i] != '\\')
            continue;
        if (p[i + 1] == 'u' && text.len - i >= 6 && memcmp(p + i + 2, "0000", 4) == 0) {
            p[i + 4] = '2';
            found = true;
        }
        i++; /* what is escaped begins no escape */
    }
    return found;
}

static bool keep_key(struct scan *s, struct slice key)
{
    if (s->key_count == s->key_cap) {
        size_t cap = s->key_cap ? 2 * s->key_cap : 64;
        struct slice *grown = mem_realloc(s->keys, cap * sizeof *grown);
        if (!grown) {
            s->no_memory = true;
            return false;
        }
        s->keys = grown;
        s->key_cap = cap;
    }
    s->keys[s->key_count++] = key;
    return true;
}

/* The key in `text` by what its escapes mean, as jansson gives it to whoever reads the file. */
static bool enter_key(struct scan *s, struct slice text)
{
    struct slice key;
    s->no_memory |= json_unescape(text, &s->arena, &key) != HOIST_OK;
    if (s->no_memory || !keep_key(s, key))
        return false;
    path_key(&s->path, key);
    meet(s);
    return true;
}

static bool take_text(struct scan *s, bool key)
{
    struct slice text;
    if (!find_text(s, &text))
        return false;
    bool bad = mend_utf8(s, text), nul = mend_nul(s, text);
    if (key && !enter_key(s, text))
        return false;
    if (bad)
        complain_here(s, "save the file as UTF-8", "the text is not valid UTF-8");
    if (nul)
        complain_here(s, "leave it out", "the text has a NUL character (\\u0000) in it");
    s->at += text.len + 2;
    if (key)
        s->expect = COLON;
    else
        after_value(s);
    return true;
}

/* ------------------------------------------------------------------ numbers, words */

static bool is_word_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* A number that cannot be held becomes a 0 with spaces behind it. */
static void judge_number(struct scan *s, size_t from, size_t len)
{
    double v;
    struct slice text = {s->text + from, len};
    enum number_fault fault = number_parse(text, &v);
    if (fault == NUMBER_FINE || fault == NUMBER_NONE) /* what is no number jansson refuses */
        return;
    complain_here(s, number_fault_mend(fault), "%s %s", show(text).text, number_fault_text(fault));
    memset(s->text + from, ' ', len);
    s->text[from] = '0';
}

static bool take_word(struct scan *s)
{
    size_t from = s->at;
    while (s->at < s->len && is_word_byte(s->text[s->at]))
        s->at++;
    if (s->at == from)
        return false;
    if (s->text[from] == '-' || (s->text[from] >= '0' && s->text[from] <= '9'))
        judge_number(s, from, s->at - from);
    after_value(s);
    return true;
}

/* ------------------------------------------------------------------ the walk */

static bool take_value(struct scan *s)
{
    if (s->depth == 0 || !innermost(s)->object)
        meet(s); /* a member's place is its key's */
    switch (s->text[s->at]) {
    case '{':
        return open_level(s, true);
    case '[':
        return open_level(s, false);
    case '"':
        return take_text(s, false);
    default:
        return take_word(s);
    }
}

static bool take(struct scan *s)
{
    uint8_t c = s->text[s->at];
    switch (s->expect) {
    case VALUE:
        return take_value(s);
    case VALUE_OR_END:
        return c == ']' ? close_level(s, false) : take_value(s);
    case KEY:
        return c == '"' && take_text(s, true);
    case KEY_OR_END:
        return c == '}' ? close_level(s, true) : c == '"' && take_text(s, true);
    case COLON:
        s->at++;
        s->expect = VALUE;
        return c == ':';
    case COMMA_OR_END:
        if (c == ',')
            return next_item(s);
        return (c == '}' || c == ']') && close_level(s, c == '}');
    case NOTHING:
        break;
    }
    return false;
}

enum hoist_err json_scan(uint8_t *text, size_t len, struct problems *problems,
                         struct places *places)
{
    struct scan s = {
        .text = text, .len = len, .expect = VALUE, .problems = problems, .places = places};
    s.levels = mem_alloc(DEPTH_MAX * sizeof *s.levels);
    s.no_memory = !s.levels;
    bool going = !s.no_memory;
    while (going) {
        while (s.at < len && strchr(" \t\r\n", text[s.at]) && text[s.at])
            s.at++;
        going = s.at < len && take(&s);
    }
    arena_done(&s.arena);
    mem_free(s.keys);
    mem_free(s.levels);
    return s.no_memory ? err_set(HOIST_ENOMEM, "out of memory") : HOIST_OK;
}
