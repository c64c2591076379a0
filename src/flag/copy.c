#include <string.h>

#include "flag/edit.h"
#include "flag/flag_int.h"

static bool has_text(const struct node *n)
{
    return n->kind == NODE_STRING || n->kind == NODE_OP || n->kind == NODE_REF;
}

/* All texts of a tree go in one piece, each ended with a NUL: most are a few bytes long. */
enum hoist_err tree_copy(struct arena *arena, struct tree t, struct tree *ret)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < t.count; i++)
        if (has_text(&t.nodes[i]))
            bytes += t.nodes[i].text.len + 1;
    struct node *nodes = arena_alloc(arena, t.count, sizeof *nodes);
    uint8_t *text = arena_alloc(arena, bytes, 1);
    if (!nodes || !text)
        return err_set(HOIST_ENOMEM, "out of memory");

    for (uint32_t i = 0; i < t.count; i++) {
        nodes[i] = t.nodes[i];
        if (!has_text(&nodes[i]))
            continue;
        struct slice from = nodes[i].text;
        if (from.len)
            memcpy(text, from.ptr, from.len);
        nodes[i].text = slice_of(text, from.len);
        text += from.len + 1;
    }
    *ret = (struct tree){nodes, t.count};
    return HOIST_OK;
}

static bool copy_variants(struct flag *to, const struct flag *from)
{
    to->variants = arena_alloc(&to->arena, from->variant_count, sizeof *to->variants);
    if (!to->variants)
        return false;
    for (uint32_t i = 0; i < from->variant_count; i++) {
        to->variants[i].name = from->variants[i].name;
        if (arena_own(&to->arena, &to->variants[i].name) != HOIST_OK ||
            tree_copy(&to->arena, from->variants[i].value, &to->variants[i].value) != HOIST_OK)
            return false;
    }
    to->variant_count = from->variant_count;
    return true;
}

static bool copy_metadata(struct flag *to, const struct flag *from)
{
    to->metadata = arena_alloc(&to->arena, from->metadata_count, sizeof *to->metadata);
    if (!to->metadata)
        return false;
    for (uint32_t i = 0; i < from->metadata_count; i++) {
        struct meta_item *item = &to->metadata[i];
        *item = from->metadata[i];
        if (arena_own(&to->arena, &item->name) != HOIST_OK)
            return false;
        if (has_text(&item->value) && arena_own(&to->arena, &item->value.text) != HOIST_OK)
            return false;
    }
    to->metadata_count = from->metadata_count;
    return true;
}

static bool copy_requires(struct flag *to, const struct flag *from)
{
    to->requires = arena_alloc(&to->arena, from->requires_count, sizeof *to->requires);
    if (!to->requires)
        return false;
    for (uint32_t i = 0; i < from->requires_count; i++) {
        struct requirement *q = &to->requires[i];
        *q = from->requires[i];
        if (arena_own(&to->arena, &q->flag) != HOIST_OK ||
            arena_own(&to->arena, &q->variant) != HOIST_OK)
            return false;
    }
    to->requires_count = from->requires_count;
    return true;
}

struct flag *flag_copy(const struct flag *f)
{
    struct flag *copy = flag_new(f->key);
    if (!copy)
        return NULL;
    copy->type = f->type;
    copy->enabled = f->enabled;
    copy->default_variant = f->default_variant;
    copy->override = f->override;
    copy->otherwise = f->otherwise;
    if (copy_variants(copy, f) && copy_metadata(copy, f) && copy_requires(copy, f) &&
        tree_copy(&copy->arena, f->targeting, &copy->targeting) == HOIST_OK)
        return copy;
    flag_free(copy);
    return NULL;
}
