/* Any bytes as a value, and as a context: value_read() and jansson take the same texts and find the
 * same in them, but for what value_read.h says: it has limits of its own, the last of two equal keys
 * counts, whole numbers are rounded, a key may hold a NUL, and texts are not checked for UTF-8 until a
 * context is. */
#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "eval/context.h"
#include "flag/value_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct node *equal(const struct node *n, const json_t *j);

static const struct node *equal_members(const struct node *n, const json_t *j)
{
    const struct node *at = n + 1;
    assert(n->count == json_object_size(j));
    for (uint32_t i = 0; i < n->count; i++) {
        json_t *value = json_object_getn(j, (const char *)at->text.ptr, at->text.len);
        assert(value);
        at = equal(at + 1, value);
    }
    return at;
}

/* Asserts that the tree at `n` is `j`; gives what stands behind it. */
static const struct node *equal(const struct node *n, const json_t *j)
{
    const struct node *at = n + 1;
    switch (n->kind) {
    case NODE_OBJECT:
        assert(json_is_object(j));
        at = equal_members(n, j);
        break;
    case NODE_ARRAY:
        assert(json_is_array(j) && n->count == json_array_size(j));
        for (uint32_t i = 0; i < n->count; i++)
            at = equal(at, json_array_get(j, i));
        break;
    case NODE_STRING:
        assert(json_is_string(j) && n->text.len == json_string_length(j) &&
               (n->text.len == 0 || memcmp(n->text.ptr, json_string_value(j), n->text.len) == 0));
        break;
    case NODE_NUMBER:
        assert(json_is_number(j) && isfinite(n->number) && n->number == json_number_value(j));
        break;
    default:
        assert(n->kind == NODE_TRUE    ? json_is_true(j)
               : n->kind == NODE_FALSE ? json_is_false(j)
                                       : json_is_null(j));
    }
    assert(at == n + n->span);
    return at;
}

/* Texts that value_read() takes and jansson need not. */
static bool is_apart(struct slice in, const json_error_t *e)
{
    enum json_error_code code = json_error_code(e);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_invalid_utf8 || !text_utf8(in) || memchr(in.ptr, '\0', in.len);
}

static void check_context(struct slice in, bool is_object)
{
    struct hoist_ctx ctx = {0};
    enum hoist_err err = ctx_set_json(&ctx, in);
    assert(err != HOIST_OK || is_object);
    assert(err == HOIST_OK || ctx.count == 0);
    for (uint32_t i = 0; i < ctx.count; i++) {
        assert(ctx_find(&ctx, ctx.attributes[i].name) == ctx.attributes[i].value);
        assert(i == 0 || slice_cmp(ctx.attributes[i - 1].name, ctx.attributes[i].name) < 0);
    }
    if (err == HOIST_OK) { /* once more changes nothing */
        uint32_t count = ctx.count;
        err = ctx_set_json(&ctx, in);
        assert(err == HOIST_OK && ctx.count == count);
    }
    ctx_done(&ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct value_text text;
    struct tree t;
    json_error_t e;
    enum hoist_err err = value_read(in, &text, &t);
    json_t *j = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (err == HOIST_OK) {
        assert(j || is_apart(in, &e));
        if (j)
            assert(equal(t.nodes, j) == t.nodes + t.count);
        check_context(in, t.nodes[0].kind == NODE_OBJECT);
        value_done(&text);
    } else {
        assert(err == HOIST_EINVAL || err == HOIST_ELIMIT);
        /* jansson takes a NUL for the end */
        assert(!j || err == HOIST_ELIMIT || memchr(data, '\0', size));
        check_context(in, false);
    }
    json_decref(j);
    return 0;
}
