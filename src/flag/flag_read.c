/* One flag's definition. */
#include <stdio.h>

#include "flag/flag_int.h"
#include "flag/read_int.h"

static const char *const fields[] = {"state",    "variants", "defaultVariant", "targeting",
                                     "metadata", "override", "requires",       NULL};

/* What is being read. */
struct definition {
    struct reader *r;
    struct flag *f;
    const json_t *json;
};

/* ------------------------------------------------------------------ fields, state */

static void check_fields(struct definition *d, bool key_inside)
{
    char mend[160];
    for (void *it = json_object_iter((json_t *)d->json); it;
         it = json_object_iter_next((json_t *)d->json, it)) {
        struct slice name = slice_str(json_object_iter_key(it));
        bool known = slice_starts_with(name, SLICE("$")); /* $comment and the like */
        known |= key_inside && slice_eq(name, SLICE("key"));
        known |= is_one_of(name, fields);
        if (known)
            continue;
        const char *near = near_word(name, fields);
        if (near)
            snprintf(mend, sizeof mend, "did you mean \"%s\"?", near);
        else
            snprintf(mend, sizeof mend,
                     "a flag has state, variants, defaultVariant, targeting, metadata, override "
                     "and requires");
        size_t back = path_key(&d->r->path, name);
        complain(d->r, mend, "a flag has no field \"%s\"", show(name).text);
        path_back(&d->r->path, back);
    }
}

static void read_state(struct definition *d)
{
    static const char mend[] = "write \"ENABLED\" or \"DISABLED\"";
    const json_t *v = json_object_get(d->json, "state");
    size_t back = path_key(&d->r->path, SLICE("state"));
    if (!v)
        complain(d->r, mend, "the state is missing");
    else if (!json_is_string(v))
        complain(d->r, mend, "the state is %s", json_type_word(v));
    else if (slice_eq(json_text(v), SLICE("ENABLED")))
        d->f->enabled = true;
    else if (!slice_eq(json_text(v), SLICE("DISABLED")))
        complain(d->r, mend, "there is no state \"%s\"", show(json_text(v)).text);
    path_back(&d->r->path, back);
}

/* ------------------------------------------------------------------ variants */

static enum hoist_type type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return HOIST_BOOL;
    case JSON_INTEGER:
    case JSON_REAL:
        return HOIST_NUMBER;
    case JSON_STRING:
        return HOIST_STRING;
    case JSON_OBJECT:
    case JSON_ARRAY:
        return HOIST_OBJECT;
    case JSON_NULL:
        break;
    }
    return 0;
}

static void read_value(struct definition *d, const json_t *v, struct variant *variant)
{
    struct arena *arena = &d->f->arena;
    if (d->f->type == HOIST_OBJECT) {
        struct tree t = tree_read(d->r, v, TREE_VALUE);
        d->r->no_memory |= tree_copy(arena, t, &variant->value) != HOIST_OK;
        return;
    }
    struct node *n = piece(d->r, arena, 1, sizeof *n);
    if (!n)
        return;
    *n = own_scalar(d->r, arena, v);
    variant->value = (struct tree){n, 1};
}

/* `first`: the variant whose type the others share. */
static void read_variant(struct definition *d, struct slice name, const json_t *v,
                         struct slice first, struct variant *variant)
{
    enum hoist_type type = type_of(v);
    if (name_check(name, "the variant's name") != HOIST_OK)
        complain(d->r, "give it a short name like \"on\"", "%s", err_last());
    variant->name = own(d->r, &d->f->arena, name);
    if (type == 0)
        complain(d->r, "write a boolean, string, number or object", "the value is null");
    else if (d->f->type == 0)
        d->f->type = type;
    if (type && type != d->f->type)
        complain(d->r, "give all variants of a flag values of one type",
                 "the value is %s, unlike that of \"%s\"", json_type_word(v), show(first).text);
    else if (type)
        read_value(d, v, variant);
}

static void read_each_variant(struct definition *d, const json_t *v)
{
    struct flag *f = d->f;
    struct slice first = {0};
    f->variants = piece(d->r, &f->arena, json_object_size(v), sizeof *f->variants);
    for (void *it = json_object_iter((json_t *)v); it && f->variants && !d->r->no_memory;
         it = json_object_iter_next((json_t *)v, it)) {
        struct slice name = slice_str(json_object_iter_key(it));
        const json_t *value = json_object_iter_value(it);
        size_t back = path_key(&d->r->path, name);
        read_variant(d, name, value, first, &f->variants[f->variant_count]);
        f->variant_count++;
        if (!first.ptr && f->type)
            first = name;
        path_back(&d->r->path, back);
    }
}

static void read_variants(struct definition *d)
{
    static const char mend[] = "write them like {\"on\": true, \"off\": false}";
    const json_t *v = json_object_get(d->json, "variants");
    size_t back = path_key(&d->r->path, SLICE("variants"));
    if (!v)
        complain(d->r, mend, "the variants are missing");
    else if (!json_is_object(v))
        complain(d->r, mend, "the variants are %s, not an object", json_type_word(v));
    else if (json_object_size(v) == 0)
        complain(d->r, mend, "there is no variant");
    else if (json_object_size(v) > FLAG_VARIANTS_MAX)
        complain(d->r, "split the flag", "there are %zu variants: %d at most", json_object_size(v),
                 FLAG_VARIANTS_MAX);
    else
        read_each_variant(d, v);
    path_back(&d->r->path, back);
}

int32_t variant_named(struct reader *r, const struct flag *f, const json_t *v)
{
    if (!json_is_string(v)) {
        complain(r, "write the name of a variant, in quotes", "this is %s, not a variant's name",
                 json_type_word(v));
        return FLAG_NO_VARIANT;
    }
    int32_t index = flag_variant(f, json_text(v));
    if (index == FLAG_NO_VARIANT && f->variant_count)
        complain(r, list_variants(f).text, "the flag has no variant \"%s\"",
                 show(json_text(v)).text);
    return index;
}

/* A field that names a variant, or is null or absent. */
static int32_t read_choice(struct definition *d, const char *field)
{
    const json_t *v = json_object_get(d->json, field);
    if (!v || json_is_null(v))
        return FLAG_NO_VARIANT;
    size_t back = path_key(&d->r->path, slice_str(field));
    int32_t index = variant_named(d->r, d->f, v);
    path_back(&d->r->path, back);
    return index;
}

/* ------------------------------------------------------------------ targeting */

struct tree targeting_read(struct reader *r, struct arena *arena, const json_t *v)
{
    struct tree rule = {0};
    if (!json_is_object(v)) {
        complain(r, "write a rule, or leave it out", "the targeting is %s, not a rule",
                 json_type_word(v));
    } else if (json_object_size(v) > 1) {
        complain(r, "put the operators into one, such as \"and\" or \"if\"",
                 "a rule is one operator, and here are %zu keys", json_object_size(v));
    } else if (json_object_size(v) == 1) {
        r->no_memory |= tree_copy(arena, tree_read(r, v, TREE_RULE), &rule) != HOIST_OK;
    } /* none at all is what {} says */
    return rule;
}

static void read_targeting(struct definition *d)
{
    const json_t *v = json_object_get(d->json, "targeting");
    if (!v)
        return;
    size_t back = path_key(&d->r->path, SLICE("targeting"));
    d->f->targeting = targeting_read(d->r, &d->f->arena, v);
    path_back(&d->r->path, back);
}

/* ------------------------------------------------------------------ metadata, requirements */

static void read_metadata(struct definition *d)
{
    const json_t *v = json_object_get(d->json, "metadata");
    struct meta_item *mine = NULL;
    uint32_t mine_count = 0;
    size_t back = path_key(&d->r->path, SLICE("metadata"));
    if (!v || metadata_read(d->r, v, &d->f->arena, &mine, &mine_count))
        metadata_merge(d->r, d->f, mine, mine_count);
    path_back(&d->r->path, back);
}

static void read_requirements(struct definition *d)
{
    const json_t *v = json_object_get(d->json, "requires");
    size_t back = path_key(&d->r->path, SLICE("requires"));
    if (v)
        requires_read(d->r, d->f, v);
    path_back(&d->r->path, back);
}

/* ------------------------------------------------------------------ the whole */

static size_t tree_bytes(struct tree t)
{
    size_t bytes = t.count; /* each node takes one or more */
    for (uint32_t i = 0; i < t.count; i++)
        if (t.nodes[i].kind == NODE_STRING || t.nodes[i].kind == NODE_OP ||
            t.nodes[i].kind == NODE_REF)
            bytes += t.nodes[i].text.len;
    return bytes;
}

/* No record of this flag is shorter than what it says. A little more is refused by the encoder;
 * what is plainly too large is refused here, where its place in the file is known. */
static void check_size(struct definition *d)
{
    const struct flag *f = d->f;
    size_t bytes = tree_bytes(f->targeting);
    for (uint32_t i = 0; i < f->variant_count; i++)
        bytes += f->variants[i].name.len + tree_bytes(f->variants[i].value);
    for (uint32_t i = 0; i < f->metadata_count; i++) {
        struct node value = f->metadata[i].value;
        bytes += f->metadata[i].name.len + tree_bytes((struct tree){&value, 1});
    }
    for (uint32_t i = 0; i < f->requires_count; i++)
    bytes += f->requires[i].flag.len + f->requires[i].variant.len;
    if (bytes > FLAG_RECORD_MAX)
        complain(d->r, "keep large values elsewhere, and their address in the flag",
                 "the flag has %zu KiB, more than %d", bytes >> 10, FLAG_RECORD_MAX >> 10);
}

struct flag *flag_read(struct reader *r, struct slice key, const json_t *v, bool key_inside)
{
    size_t before = r->problems->total;
    if (!json_is_object(v)) {
        complain(r, "write an object with \"state\" and \"variants\"",
                 "the flag is %s, not an object", json_type_word(v));
        return NULL;
    }
    if (flag_key_check(key) != HOIST_OK)
        complain(r, "keys are short names like \"checkout.enabled\"", "%s", err_last());
    struct definition d = {r, flag_new(key), v};
    if (!d.f) {
        r->no_memory = true;
        return NULL;
    }
    check_fields(&d, key_inside);
    read_state(&d);
    read_variants(&d);
    d.f->default_variant = read_choice(&d, "defaultVariant");
    d.f->override = read_choice(&d, "override");
    read_targeting(&d);
    read_metadata(&d);
    read_requirements(&d);
    check_size(&d);
    if (r->no_memory || r->problems->total != before) {
        flag_free(d.f);
        return NULL;
    }
    return d.f;
}
