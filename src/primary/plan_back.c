/* A flag as it was at an earlier version, under the override that it has now. */
#include "primary/plan.h"
#include "wire/record.h"

/* The variant's name that the flag is overridden to now, or was when it was deleted. */
static enum hoist_err present_override(struct plan *p, struct slice key, bool *ret_there,
                                       struct slice *ret)
{
    struct slice record;
    struct flag *f;
    *ret = (struct slice){0};
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &record);
    *ret_there = err == HOIST_OK;
    if (err == HOIST_ENOTFOUND)
        return plan_deleted_override(p, key, ret);
    if (err == HOIST_OK)
        err = record_decode(key, record, &f, NULL);
    if (err != HOIST_OK)
        return err;
    if (f->override != FLAG_NO_VARIANT) {
        *ret = f->variants[f->override].name;
        err = arena_own(&p->arena, ret);
    }
    flag_free(f);
    return err;
}

/* `record` under override `name` (empty: none) in the plan's scratch. ENOTFOUND: no such variant.
 */
static enum hoist_err with_override(struct plan *p, struct slice key, struct slice record,
                                    struct slice name, struct slice *ret)
{
    int32_t variant = FLAG_NO_VARIANT;
    if (name.len) {
        struct flag *f;
        enum hoist_err err = record_decode(key, record, &f, NULL);
        if (err != HOIST_OK)
            return err;
        variant = flag_variant(f, name);
        flag_free(f);
        if (variant == FLAG_NO_VARIANT)
            return HOIST_ENOTFOUND;
    }
    buf_clear(&p->scratch);
    enum hoist_err err = record_override(record, variant, &p->scratch);
    *ret = buf_slice(&p->scratch);
    return err;
}

/* A flag that is overridden and was not there then, or not with that variant, is left as it is: its
 * rules are not asked anyway, and what it yields must not change. */
static enum hoist_err leave(struct plan *p, struct slice key, struct plan_names *left)
{
    enum hoist_err err = arena_own(&p->arena, &key);
    return err ? err : plan_name(left, key);
}

enum hoist_err plan_back(struct plan *p, struct slice key, uint64_t version, bool with_overrides,
                         struct plan_names *left)
{
    struct slice then, name = {0}, record;
    bool there = true;
    enum hoist_err err = store_record_at(p->r, p->env->id, key, version, &then);
    bool was_there = err == HOIST_OK;
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    if (with_overrides)
        return plan_record(p, key, was_there ? &then : NULL);
    err = present_override(p, key, &there, &name);
    if (err != HOIST_OK)
        return err;
    if (!was_there)
        return there && name.len ? leave(p, key, left) : plan_record(p, key, NULL);
    err = with_override(p, key, then, name, &record);
    if (err == HOIST_ENOTFOUND)
        return leave(p, key, left);
    size_t planned = p->count;
    if (err == HOIST_OK)
        err = plan_record(p, key, &record);
    if (err == HOIST_OK && name.len && p->count > planned)
        err = plan_name(&p->kept, p->items[planned].key);
    return err;
}
