#include <assert.h>

#include "wire/mp.h"
#include "wire/record.h"
#include "wire/record_int.h"

static void composite_put(struct buf *out, enum record_node kind, const struct node *n)
{
    bool named = kind >= RECORD_OP;
    mp_put_array(out, named ? 3 : 2);
    mp_put_u64(out, kind);
    /* A $ref has one child, whatever its count says. */
    mp_put_u64(out, kind == RECORD_REF ? 1 : n->count);
    if (named)
        mp_put_str(out, n->text);
}

static void node_put(struct buf *out, const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_NULL:
        mp_put_nil(out);
        break;
    case NODE_FALSE:
    case NODE_TRUE:
        mp_put_bool(out, n->kind == NODE_TRUE);
        break;
    case NODE_NUMBER:
        mp_put_double(out, n->number);
        break;
    case NODE_STRING:
        mp_put_str(out, n->text);
        break;
    case NODE_ARRAY:
        composite_put(out, RECORD_ARRAY, n);
        break;
    case NODE_OBJECT:
        composite_put(out, RECORD_OBJECT, n);
        break;
    case NODE_OP:
        composite_put(out, n->bare ? RECORD_OP_BARE : RECORD_OP, n);
        break;
    case NODE_REF:
        composite_put(out, RECORD_REF, n);
        break;
    }
}

static void tree_put(struct buf *out, struct tree t)
{
    mp_put_array(out, t.count);
    for (uint32_t i = 0; i < t.count; i++)
        node_put(out, &t.nodes[i]);
}

static void index_put(struct buf *out, int32_t variant)
{
    if (variant == FLAG_NO_VARIANT)
        mp_put_nil(out);
    else
        mp_put_u64(out, (uint64_t)variant);
}

static void variants_put(struct buf *out, const struct flag *f)
{
    mp_put_map(out, f->variant_count);
    for (uint32_t i = 0; i < f->variant_count; i++) {
        const struct variant *v = &f->variants[i];
        mp_put_str(out, v->name);
        if (f->type == HOIST_OBJECT)
            tree_put(out, v->value);
        else
            node_put(out, &v->value.nodes[0]);
    }
}

static void metadata_put(struct buf *out, const struct flag *f)
{
    mp_put_map(out, f->metadata_count);
    for (uint32_t i = 0; i < f->metadata_count; i++) {
        mp_put_str(out, f->metadata[i].name);
        node_put(out, &f->metadata[i].value);
    }
}

static void requires_put(struct buf *out, const struct flag *f)
{
    mp_put_map(out, f->requires_count);
    for (uint32_t i = 0; i < f->requires_count; i++) {
        mp_put_str(out, f->requires[i].flag);
        mp_put_str(out, f->requires[i].variant);
    }
}

enum hoist_err record_encode(const struct flag *f, struct buf *out)
{
    assert(f->variant_count >= 1);
    size_t start = out->len;
    mp_put_array(out, RECORD_FIELDS);
    mp_put_u64(out, RECORD_MAJOR);
    mp_put_u64(out, RECORD_MINOR);
    mp_put_bool(out, f->enabled);
    mp_put_u64(out, f->type);
    variants_put(out, f);
    index_put(out, f->default_variant);
    index_put(out, f->override);
    if (f->targeting.count > 0)
        tree_put(out, f->targeting);
    else
        mp_put_nil(out);
    metadata_put(out, f);
    requires_put(out, f);
    index_put(out, f->otherwise);

    enum hoist_err err = buf_err(out);
    if (err == HOIST_OK && out->len - start > FLAG_RECORD_MAX)
        err = err_set(HOIST_ELIMIT, "flag '%.*s' has %zu bytes, more than the %d a flag may have",
                      SLICE_ARG(f->key), out->len - start, FLAG_RECORD_MAX);
    if (err != HOIST_OK)
        out->len = start;
    return err;
}
