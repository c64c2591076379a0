#include "base/arena.h"
#include "wire/record.h"
#include "wire/record_int.h"

enum { NAMES_AT_ONCE = 16, NAME_SLOTS = 2 * FLAG_VARIANTS_MAX };

/* A few names are compared each with each; many by way of a table, so that a record with a thousand
 * variants costs a thousand steps and not half a million. */
static bool names_distinct(const struct variant *v, uint32_t count)
{
    if (count <= NAMES_AT_ONCE) {
        for (uint32_t i = 1; i < count; i++)
            for (uint32_t j = 0; j < i; j++)
                if (slice_eq(v[i].name, v[j].name))
                    return false;
        return true;
    }
    uint16_t slots[NAME_SLOTS] = {0}; /* index + 1 of a variant; 0: free */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t hash = 2166136261u; /* FNV-1a */
        for (size_t k = 0; k < v[i].name.len; k++)
            hash = (hash ^ v[i].name.ptr[k]) * 16777619u;
        uint32_t at = (hash ^ hash >> 15) % NAME_SLOTS;
        for (; slots[at]; at = (at + 1) % NAME_SLOTS)
            if (slice_eq(v[slots[at] - 1].name, v[i].name))
                return false;
        slots[at] = (uint16_t)(i + 1);
    }
    return true;
}

/* A name: what flag_key_check() takes. Variants and metadata are named by the same rule as flags.
 */
static struct slice name_get(struct mp_reader *r, struct arena *arena)
{
    struct slice name = mp_str(r);
    if (r->bad)
        return name;
    if (name.len > FLAG_KEY_MAX)
        mp_limit(r, "a name longer than allowed");
    else if (flag_key_check(name) != HOIST_OK)
        mp_fail(r, "a name that is empty, or not UTF-8, or has a control character");
    else if (arena_own(arena, &name) != HOIST_OK)
        mp_no_memory(r);
    return name;
}

static bool kind_fits(enum hoist_type type, uint8_t kind)
{
    switch (type) {
    case HOIST_BOOL:
        return kind == NODE_TRUE || kind == NODE_FALSE;
    case HOIST_NUMBER:
        return kind == NODE_NUMBER;
    case HOIST_STRING:
        return kind == NODE_STRING;
    case HOIST_OBJECT:
        break; /* a tree, which is read and checked elsewhere */
    }
    return false;
}

static void variants_get(struct mp_reader *r, struct flag *f)
{
    uint32_t count = mp_map(r, FLAG_VARIANTS_MAX);
    if (!r->bad && count == 0)
        mp_fail(r, "no variants");
    f->variants = piece_get(r, &f->arena, count, sizeof *f->variants);
    struct node *scalars = NULL; /* all in one piece: most flags have nothing else */
    if (f->type != HOIST_OBJECT)
        scalars = piece_get(r, &f->arena, count, sizeof *scalars);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct variant *v = &f->variants[i];
        v->name = name_get(r, &f->arena);
        if (f->type == HOIST_OBJECT) {
            tree_get(r, &f->arena, TREE_VALUE, &v->value);
            continue;
        }
        scalar_get(r, &f->arena, &scalars[i]);
        if (!r->bad && !kind_fits(f->type, scalars[i].kind))
            mp_fail(r, "a variant of another type than its flag");
        v->value = (struct tree){&scalars[i], 1};
    }
    if (r->bad)
        return;
    f->variant_count = count;
    if (!names_distinct(f->variants, count))
        mp_fail(r, "two variants of one name");
}

/* A variant's index, or nil for none. */
static int32_t index_get(struct mp_reader *r, const struct flag *f)
{
    if (mp_try_nil(r))
        return FLAG_NO_VARIANT;
    uint32_t index = mp_u32(r);
    if (!r->bad && index >= f->variant_count)
        mp_fail(r, "the index of a variant that is not there");
    return r->bad ? FLAG_NO_VARIANT : (int32_t)index;
}

static void metadata_get(struct mp_reader *r, struct flag *f)
{
    uint32_t count = mp_map(r, FLAG_RECORD_MAX);
    if (r->bad || count == 0)
        return;
    f->metadata = piece_get(r, &f->arena, count, sizeof *f->metadata);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct meta_item *m = &f->metadata[i];
        m->name = name_get(r, &f->arena);
        scalar_get(r, &f->arena, &m->value);
        if (r->bad)
            return;
        if (m->value.kind == NODE_NULL)
            mp_fail(r, "metadata that is null");
        if (i > 0 && slice_cmp(f->metadata[i - 1].name, m->name) >= 0)
            mp_fail(r, "metadata that is not sorted and distinct");
    }
    f->metadata_count = count;
}

static void requires_get(struct mp_reader *r, struct flag *f)
{
    uint32_t count = mp_map(r, FLAG_RECORD_MAX);
    if (r->bad || count == 0)
        return;
    f->requires = piece_get(r, &f->arena, count, sizeof *f->requires);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct requirement *q = &f->requires[i];
        q->flag = name_get(r, &f->arena);
        q->variant = name_get(r, &f->arena);
        if (r->bad)
            return;
        if (i > 0 && slice_cmp(f->requires[i - 1].flag, q->flag) >= 0)
            mp_fail(r, "requirements that are not sorted and distinct");
    }
    f->requires_count = count;
}

/* The eleven elements that every record of this major version has, behind major and minor. */
static void fields_get(struct mp_reader *r, struct flag *f)
{
    f->enabled = mp_bool(r);
    uint32_t type = mp_u32(r);
    if (!r->bad && (type < HOIST_BOOL || type > HOIST_OBJECT))
        mp_fail(r, "an unknown type");
    f->type = type;
    variants_get(r, f);
    f->default_variant = index_get(r, f);
    f->override = index_get(r, f);
    if (!mp_try_nil(r))
        tree_get(r, &f->arena, TREE_RULE, &f->targeting);
    metadata_get(r, f);
    requires_get(r, f);
    f->otherwise = index_get(r, f);
    if (!r->bad && f->requires_count > 0 && f->otherwise == FLAG_NO_VARIANT)
        mp_fail(r, "requirements without the variant that stands in for them");
}

enum hoist_err record_decode(struct slice key, struct slice record, struct flag **ret_flag,
                             struct record_info *ret_info)
{
    if (record.len > FLAG_RECORD_MAX)
        return err_set(HOIST_ELIMIT, "flag '%.*s': its record has %zu bytes, more than %d",
                       SLICE_ARG(key), record.len, FLAG_RECORD_MAX);
    enum hoist_err err = flag_key_check(key);
    if (err != HOIST_OK)
        return err;

    struct mp_reader r = mp_reader(record);
    uint32_t elements = mp_array(&r, FLAG_RECORD_MAX);
    struct record_info info = {.major = mp_u32(&r)};
    if (!r.bad && info.major != RECORD_MAJOR)
        return err_set(HOIST_EVERSION,
                       "flag '%.*s': its record has version %u, this program reads version %d",
                       SLICE_ARG(key), info.major, RECORD_MAJOR);
    info.minor = mp_u32(&r);
    info.newer = elements > RECORD_FIELDS;
    if (!r.bad && elements < RECORD_FIELDS)
        mp_fail(&r, "elements are missing");

    struct flag *f = flag_new(key);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    fields_get(&r, f);
    for (uint32_t i = RECORD_FIELDS; i < elements && !r.bad; i++)
        mp_skip(&r);
    mp_end(&r);
    err = mp_err(&r, "its record");
    if (err != HOIST_OK) {
        flag_free(f);
        return err_prefix(err, "flag '%.*s'", SLICE_ARG(key));
    }
    *ret_flag = f;
    if (ret_info)
        *ret_info = info;
    return HOIST_OK;
}
