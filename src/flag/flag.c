#include "flag/flag.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/flag_int.h"

struct flag *flag_new(struct slice key)
{
    struct flag *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->key = key;
    f->default_variant = FLAG_NO_VARIANT;
    f->override = FLAG_NO_VARIANT;
    f->otherwise = FLAG_NO_VARIANT;
    if (arena_own(&f->arena, &f->key) != HOIST_OK) {
        flag_free(f);
        return NULL;
    }
    return f;
}

void flag_free(struct flag *f)
{
    if (!f)
        return;
    arena_done(&f->arena);
    mem_free(f);
}

int32_t flag_variant(const struct flag *f, struct slice name)
{
    for (uint32_t i = 0; i < f->variant_count; i++)
        if (slice_same(f->variants[i].name, name))
            return (int32_t)i;
    return FLAG_NO_VARIANT;
}

/* ------------------------------------------------------------------ equality */

static bool node_equal(const struct node *a, const struct node *b)
{
    if (a->kind != b->kind || a->bare != b->bare || a->count != b->count || a->span != b->span)
        return false;
    switch ((enum node_kind)a->kind) {
    case NODE_NUMBER:
        return a->number == b->number;
    case NODE_STRING:
    case NODE_OP:
    case NODE_REF:
        return slice_eq(a->text, b->text);
    case NODE_NULL:
    case NODE_FALSE:
    case NODE_TRUE:
    case NODE_ARRAY:
    case NODE_OBJECT:
        break;
    }
    return true;
}

/* Prefix order and spans make a tree's shape part of its nodes: equal nodes are equal trees. */
bool tree_equal(struct tree a, struct tree b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (!node_equal(&a.nodes[i], &b.nodes[i]))
            return false;
    return true;
}

static bool variants_equal(const struct flag *a, const struct flag *b)
{
    if (a->variant_count != b->variant_count)
        return false;
    for (uint32_t i = 0; i < a->variant_count; i++)
        if (!slice_eq(a->variants[i].name, b->variants[i].name) ||
            !tree_equal(a->variants[i].value, b->variants[i].value))
            return false;
    return true;
}

static bool metadata_equal(const struct flag *a, const struct flag *b)
{
    if (a->metadata_count != b->metadata_count)
        return false;
    for (uint32_t i = 0; i < a->metadata_count; i++)
        if (!slice_eq(a->metadata[i].name, b->metadata[i].name) ||
            !node_equal(&a->metadata[i].value, &b->metadata[i].value))
            return false;
    return true;
}

static bool requires_equal(const struct flag *a, const struct flag *b)
{
    if (a->requires_count != b->requires_count || a->otherwise != b->otherwise)
        return false;
    for (uint32_t i = 0; i < a->requires_count; i++)
        if (!slice_eq(a->requires[i].flag, b->requires[i].flag) ||
            !slice_eq(a->requires[i].variant, b->requires[i].variant))
            return false;
    return true;
}

bool flag_equal(const struct flag *a, const struct flag *b)
{
    return slice_eq(a->key, b->key) && a->type == b->type && a->enabled == b->enabled &&
           a->default_variant == b->default_variant && a->override == b->override &&
           variants_equal(a, b) && tree_equal(a->targeting, b->targeting) && metadata_equal(a, b) &&
           requires_equal(a, b);
}

/* ------------------------------------------------------------------ names */

/* Unicode's control characters: C0, DELETE and C1, the last as well-formed UTF-8 has them. */
static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
        if (s.ptr[i] == 0xc2 && i + 1 < s.len && s.ptr[i + 1] < 0xa0)
            return true;
    }
    return false;
}

enum hoist_err name_check(struct slice name, const char *what)
{
    if (name.len == 0)
        return err_set(HOIST_EINVAL, "%s is empty", what);
    if (name.len > FLAG_KEY_MAX)
        return err_set(HOIST_EINVAL, "%s has %zu bytes, more than %d", what, name.len,
                       FLAG_KEY_MAX);
    if (!text_utf8(name))
        return err_set(HOIST_EINVAL, "%s is not valid UTF-8", what);
    if (has_control(name))
        return err_set(HOIST_EINVAL, "%s has a control character in it", what);
    return HOIST_OK;
}

enum hoist_err flag_key_check(struct slice key)
{
    return name_check(key, "the key");
}

static bool is_env_byte(uint8_t c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return !first && (c == '.' || c == '_' || c == '-');
}

enum hoist_err flag_env_check(struct slice name)
{
    if (name.len == 0)
        return err_set(HOIST_EINVAL, "the environment's name is empty");
    if (name.len > FLAG_ENV_MAX)
        return err_set(HOIST_EINVAL, "the environment's name has %zu bytes, more than %d", name.len,
                       FLAG_ENV_MAX);
    for (size_t i = 0; i < name.len; i++)
        if (!is_env_byte(name.ptr[i], i == 0))
            return err_set(HOIST_EINVAL,
                           "an environment's name is made of a-z, 0-9, '.', '_' and '-', and "
                           "begins with a letter or digit");
    return HOIST_OK;
}
