#include "eval/context.h"

#include "base/mem.h"
#include "base/text.h"
#include "flag/value_read.h"

void ctx_done(struct hoist_ctx *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        mem_free(c->attributes[i].value);
    mem_free(c->attributes);
    *c = (struct hoist_ctx){0};
}

/* ------------------------------------------------------------------ one attribute */

static bool has_text(const struct node *n)
{
    return n->kind == NODE_STRING;
}

/* Nodes, then their texts and the name, in one block. */
static enum hoist_err make(struct slice name, struct tree value, struct attribute *ret)
{
    size_t size = value.count * sizeof(struct node) + name.len;
    for (uint32_t i = 0; i < value.count; i++) {
        if (!has_text(&value.nodes[i]))
            continue;
        if (!text_utf8(value.nodes[i].text))
            return err_set(HOIST_EINVAL, "attribute \"%.*s\" is not UTF-8", SLICE_ARG(name));
        size += value.nodes[i].text.len;
    }
    if (size > (size_t)CTX_JSON_MAX * sizeof(struct node))
        return err_set(HOIST_ELIMIT, "attribute \"%.*s\" is too long", SLICE_ARG(name));
    struct node *nodes = mem_alloc(size);
    if (!nodes)
        return err_set(HOIST_ENOMEM, "out of memory");
    memcpy(nodes, value.nodes, value.count * sizeof *nodes);
    uint8_t *at = (uint8_t *)(nodes + value.count);
    for (uint32_t i = 0; i < value.count; i++) {
        if (!has_text(&nodes[i]) || nodes[i].text.len == 0)
            continue;
        memcpy(at, nodes[i].text.ptr, nodes[i].text.len);
        nodes[i].text.ptr = at;
        at += nodes[i].text.len;
    }
    memcpy(at, name.ptr, name.len);
    *ret = (struct attribute){slice_of(at, name.len), nodes};
    return HOIST_OK;
}

/* Where `name` stands, or would. */
static uint32_t place_of(const struct hoist_ctx *c, struct slice name)
{
    uint32_t low = 0, high = c->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (slice_cmp(c->attributes[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const struct hoist_ctx *c, uint32_t i, struct slice name)
{
    return i < c->count && slice_eq(c->attributes[i].name, name);
}

static enum hoist_err check_count(uint32_t count)
{
    return count <= CTX_ATTRIBUTES_MAX
               ? HOIST_OK
               : err_set(HOIST_ELIMIT, "a context has %d attributes at most", CTX_ATTRIBUTES_MAX);
}

static enum hoist_err make_room(struct hoist_ctx *c)
{
    enum hoist_err err = check_count(c->count + 1);
    if (err || c->count < c->cap)
        return err;
    uint32_t cap = c->cap ? 2 * c->cap : 8;
    struct attribute *grown = mem_realloc(c->attributes, cap * sizeof *grown);
    if (!grown)
        return err_set(HOIST_ENOMEM, "out of memory");
    c->attributes = grown;
    c->cap = cap;
    return HOIST_OK;
}

enum hoist_err ctx_set(struct hoist_ctx *c, struct slice name, struct tree value)
{
    struct attribute a;
    if (!text_utf8(name))
        return err_set(HOIST_EINVAL, "an attribute's name is not UTF-8");
    uint32_t i = place_of(c, name);
    bool there = is_at(c, i, name);
    enum hoist_err err = there ? HOIST_OK : make_room(c);
    if (!err)
        err = make(name, value, &a);
    if (err)
        return err;
    if (there) {
        mem_free(c->attributes[i].value);
    } else {
        memmove(c->attributes + i + 1, c->attributes + i, (c->count - i) * sizeof a);
        c->count++;
    }
    c->attributes[i] = a;
    return HOIST_OK;
}

enum hoist_err ctx_set_node(struct hoist_ctx *c, struct slice name, struct node value)
{
    value.span = 1;
    return ctx_set(c, name, (struct tree){&value, 1});
}

void ctx_unset(struct hoist_ctx *c, struct slice name)
{
    uint32_t i = place_of(c, name);
    if (!is_at(c, i, name))
        return;
    mem_free(c->attributes[i].value);
    c->count--;
    memmove(c->attributes + i, c->attributes + i + 1, (c->count - i) * sizeof *c->attributes);
}

/* ------------------------------------------------------------------ from JSON */

/* How many attributes there are of both together, counting those of one name once. */
static uint32_t count_both(const struct hoist_ctx *c, const struct hoist_ctx *with)
{
    uint32_t count = c->count;
    for (uint32_t i = 0, j = 0; j < with->count; j++) {
        while (i < c->count && slice_cmp(c->attributes[i].name, with->attributes[j].name) < 0)
            i++;
        count += !is_at(c, i, with->attributes[j].name);
    }
    return count;
}

/* All of `with` into `c`: what there is of both is freed or taken over. */
static enum hoist_err take_over(struct hoist_ctx *c, struct hoist_ctx *with)
{
    if (c->count == 0) {
        mem_free(c->attributes);
        *c = *with;
        return HOIST_OK;
    }
    struct hoist_ctx both = {0};
    both.cap = count_both(c, with);
    enum hoist_err err = check_count(both.cap);
    if (!err) {
        both.attributes = mem_alloc(both.cap * sizeof *both.attributes);
        if (!both.attributes)
            err = err_set(HOIST_ENOMEM, "out of memory");
    }
    if (err) {
        ctx_done(with);
        return err;
    }
    for (uint32_t i = 0, j = 0; i < c->count || j < with->count;) {
        int order = i == c->count      ? 1
                    : j == with->count ? -1
                                       : slice_cmp(c->attributes[i].name, with->attributes[j].name);
        if (order == 0)
            mem_free(c->attributes[i++].value);
        both.attributes[both.count++] = order < 0 ? c->attributes[i++] : with->attributes[j++];
    }
    mem_free(c->attributes);
    mem_free(with->attributes);
    *c = both;
    return HOIST_OK;
}

enum hoist_err ctx_set_tree(struct hoist_ctx *c, struct tree object)
{
    struct hoist_ctx fresh = {0};
    enum hoist_err err = HOIST_OK;
    if (object.count == 0 || object.nodes[0].kind != NODE_OBJECT)
        return err_set(HOIST_EINVAL, "it is no object, like {\"targetingKey\": \"ana\"}");
    const struct node *at = object.nodes + 1;
    for (uint32_t i = 0; !err && i < object.nodes[0].count; i++) {
        struct tree value = {(struct node *)at + 1, at[1].span};
        err = ctx_set(&fresh, at->text, value);
        at += 1 + at[1].span;
    }
    if (err) {
        ctx_done(&fresh);
        return err;
    }
    return take_over(c, &fresh);
}

enum hoist_err ctx_set_json(struct hoist_ctx *c, struct slice json)
{
    struct tree t;
    if (json.len > CTX_JSON_MAX)
        return err_set(HOIST_ELIMIT, "a context has %d bytes at most, not %zu", CTX_JSON_MAX,
                       json.len);
    struct value_text text;
    enum hoist_err err = value_read(json, &text, &t);
    if (err)
        return err;
    err = ctx_set_tree(c, t);
    value_done(&text);
    return err;
}
