/* A flag and its parts as JSON, in the flagd format. */
#include "flag/json_int.h"

static const struct node *put_node(struct json_writer *w, const struct node *n,
                                   const struct json_style *style);

/* The `n->count` subtrees behind `n`. */
static void put_children(struct json_writer *w, const struct node *n,
                         const struct json_style *style)
{
    const struct node *child = n + 1;
    for (uint32_t i = 0; i < n->count; i++)
        child = put_node(w, child, style);
}

static void put_object(struct json_writer *w, const struct node *n, const struct json_style *style)
{
    const struct node *child = n + 1;
    json_object_begin(w);
    for (uint32_t i = 0; i < n->count; i++) {
        json_key_slice(w, child->text);
        child = put_node(w, child + 1, style);
    }
    json_object_end(w);
}

static void put_op(struct json_writer *w, const struct node *n, const struct json_style *style)
{
    json_object_begin(w);
    json_key_slice(w, n->text);
    if (!n->bare)
        json_array_begin(w);
    put_children(w, n, style);
    if (!n->bare)
        json_array_end(w);
    json_object_end(w);
}

static void put_ref(struct json_writer *w, const struct node *n, const struct json_style *style)
{
    if (!style->keeps_ref || !style->keeps_ref(style->arg, n->text)) {
        put_node(w, n + 1, style);
        return;
    }
    json_object_begin(w);
    json_key(w, "$ref");
    json_put_slice(w, n->text);
    json_object_end(w);
}

/* Gives what stands behind the subtree. Goes as deep as the tree, which is TREE_DEPTH_MAX. */
static const struct node *put_node(struct json_writer *w, const struct node *n,
                                   const struct json_style *style)
{
    switch ((enum node_kind)n->kind) {
    case NODE_NULL:
        json_put_null(w);
        break;
    case NODE_FALSE:
    case NODE_TRUE:
        json_put_bool(w, n->kind == NODE_TRUE);
        break;
    case NODE_NUMBER:
        json_put_number(w, n->number);
        break;
    case NODE_STRING:
        json_put_slice(w, n->text);
        break;
    case NODE_ARRAY:
        json_array_begin(w);
        put_children(w, n, style);
        json_array_end(w);
        break;
    case NODE_OBJECT:
        put_object(w, n, style);
        break;
    case NODE_OP:
        put_op(w, n, style);
        break;
    case NODE_REF:
        put_ref(w, n, style);
        break;
    }
    return n + n->span;
}

void json_put_tree_as(struct json_writer *w, struct tree t, const struct json_style *style)
{
    if (t.count)
        put_node(w, t.nodes, style);
    else
        json_put_null(w);
}

static bool keep_all(const void *arg, struct slice name)
{
    (void)arg;
    (void)name;
    return true;
}

void json_put_tree(struct json_writer *w, struct tree t)
{
    json_put_tree_as(w, t, &(struct json_style){.keeps_ref = keep_all});
}

void json_put_meta(struct json_writer *w, const struct meta_item *item)
{
    struct node value = item->value;
    json_key_slice(w, item->name);
    json_put_tree(w, (struct tree){&value, 1});
}

void json_put_metadata(struct json_writer *w, const struct flag *f)
{
    json_object_begin(w);
    for (uint32_t i = 0; i < f->metadata_count; i++)
        json_put_meta(w, &f->metadata[i]);
    json_object_end(w);
}

static bool is_lifted(const struct json_style *style, const struct meta_item *item)
{
    for (uint32_t i = 0; i < style->lifted_count; i++)
        if (slice_eq(style->lifted[i].name, item->name))
            return true;
    return false;
}

static void put_metadata(struct json_writer *w, const struct flag *f,
                         const struct json_style *style)
{
    bool any = false;
    for (uint32_t i = 0; i < f->metadata_count; i++) {
        if (is_lifted(style, &f->metadata[i]))
            continue;
        if (!any) {
            json_key(w, "metadata");
            json_object_begin(w);
            any = true;
        }
        json_put_meta(w, &f->metadata[i]);
    }
    if (any)
        json_object_end(w);
}

static void put_requires(struct json_writer *w, const struct flag *f)
{
    json_key(w, "requires");
    json_object_begin(w);
    json_key(w, "flags");
    json_object_begin(w);
    for (uint32_t i = 0; i < f->requires_count; i++) {
        json_key_slice(w, f->requires[i].flag);
        json_put_slice(w, f->requires[i].variant);
    }
    json_object_end(w);
    if (f->otherwise != FLAG_NO_VARIANT) {
        json_key(w, "otherwise");
        json_put_slice(w, f->variants[f->otherwise].name);
    }
    json_object_end(w);
}

static void put_variants(struct json_writer *w, const struct flag *f)
{
    json_key(w, "variants");
    json_object_begin(w);
    for (uint32_t i = 0; i < f->variant_count; i++) {
        json_key_slice(w, f->variants[i].name);
        json_put_tree(w, f->variants[i].value);
    }
    json_object_end(w);
}

/* Fields in the order of their names; variants in their own order, which is part of the flag. */
void json_put_flag_as(struct json_writer *w, const struct flag *f, const struct json_style *style)
{
    json_object_begin(w);
    if (f->default_variant != FLAG_NO_VARIANT) {
        json_key(w, "defaultVariant");
        json_put_slice(w, f->variants[f->default_variant].name);
    }
    put_metadata(w, f, style);
    if (f->override != FLAG_NO_VARIANT) {
        json_key(w, "override");
        json_put_slice(w, f->variants[f->override].name);
    }
    if (f->requires_count)
        put_requires(w, f);
    json_key(w, "state");
    json_put_str(w, f->enabled ? "ENABLED" : "DISABLED");
    if (f->targeting.count) {
        json_key(w, "targeting");
        json_put_tree_as(w, f->targeting, style);
    }
    put_variants(w, f);
    json_object_end(w);
}

void json_put_flag(struct json_writer *w, const struct flag *f)
{
    json_put_flag_as(w, f, &(struct json_style){0});
}
