#include "flag/json_read.h"

#include "base/mem.h"
#include "flag/read_int.h"

/* ------------------------------------------------------------------ jansson's memory */

/* Jansson's lexer goes on with half a token when memory is out while it grows one, and would give
 * a value that nobody wrote. So whoever loads looks here. */
static _Thread_local bool starved;

static void *alloc_for_jansson(size_t size)
{
    void *ptr = mem_alloc(size);
    if (!ptr)
        starved = true;
    return ptr;
}

/* Before main(), so that no value is made by one allocator and freed by another. */
__attribute__((constructor)) static void give_jansson_our_heap(void)
{
    json_set_alloc_funcs(alloc_for_jansson, mem_free);
}

void json_memory_begin(void)
{
    starved = false;
}

bool json_memory_failed(void)
{
    return starved;
}

/* NULL, with *ret_err and the place, when it is no JSON. */
static json_t *load(struct slice text, size_t flags, json_error_t *at, enum hoist_err *ret_err)
{
    bool before = starved;
    starved = false;
    json_t *v = json_loadb((const char *)text.ptr, text.len, flags, at);
    if (!v || starved) {
        json_decref(v);
        v = NULL;
        *ret_err = starved ? err_set(HOIST_ENOMEM, "out of memory") : HOIST_EINVAL;
    }
    starved |= before;
    return v;
}

enum hoist_err json_unescape(struct slice text, struct arena *arena, struct slice *ret)
{
    enum hoist_err err = HOIST_OK;
    json_error_t at;
    *ret = text;
    if (!memchr(text.ptr, '\\', text.len))
        return HOIST_OK;
    json_t *v = load(slice_of(text.ptr - 1, text.len + 2), JSON_DECODE_ANY, &at, &err);
    if (v) {
        *ret = json_text(v);
        err = arena_own(arena, ret);
    }
    json_decref(v);
    return err == HOIST_EINVAL ? HOIST_OK : err;
}

static int at_least_one(int n)
{
    return n > 0 ? n : 1;
}

/* ------------------------------------------------------------------ reading */

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.ptr[i]) || text.ptr[i] == '\0')
            return false;
    return true;
}

enum hoist_err json_read(struct slice text, json_t **ret)
{
    enum hoist_err err = HOIST_OK;
    json_error_t at;
    if (is_blank(text))
        return err_set(HOIST_EINVAL, "there is nothing where a JSON object should be");
    json_t *v = load(text, JSON_REJECT_DUPLICATES, &at, &err);
    if (err == HOIST_EINVAL)
        return err_set(err, "line %d, column %d: %s", at_least_one(at.line),
                       at_least_one(at.column), at.text);
    if (err != HOIST_OK)
        return err;
    if (!json_is_object(v)) {
        json_decref(v);
        return err_set(HOIST_EINVAL, "an array where a JSON object should be");
    }
    *ret = v;
    return HOIST_OK;
}

static void add_syntax_problem(struct problems *problems, const json_error_t *at)
{
    char place[64];
    snprintf(place, sizeof place, "line %d, column %d", at_least_one(at->line),
             at_least_one(at->column));
    problems_add(problems, place,
                 "look there, or just before, for a missing quote or bracket, a comma too many, a "
                 "comment, or a key that stands twice",
                 "this is not JSON: %s", at->text);
}

enum hoist_err json_load(struct slice text, struct problems *problems, json_t **ret)
{
    text = skip_byte_order_mark(text);
    if (is_blank(text)) {
        problems_add(problems, "line 1, column 1", "it takes a JSON object",
                     "there is nothing in it");
        return HOIST_EINVAL;
    }
    uint8_t *copy = (uint8_t *)mem_dup(text);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");

    size_t before = problems->total;
    enum hoist_err err = json_scan(copy, text.len, problems, NULL);
    if (err == HOIST_OK) {
        /* The scan names the keys that stand twice. Jansson looks again where the scan found
         * nothing wrong; where it did, that could end the reading. */
        size_t flags = problems->total == before ? JSON_REJECT_DUPLICATES : 0;
        json_error_t at;
        json_t *v = load(slice_of(copy, text.len), flags, &at, &err);
        if (v)
            *ret = v;
        else if (err == HOIST_EINVAL)
            add_syntax_problem(problems, &at);
    }
    mem_free(copy);
    return err;
}

struct slice json_text(const json_t *string)
{
    return slice_of(json_string_value(string), json_string_length(string));
}

const char *json_type_word(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}
