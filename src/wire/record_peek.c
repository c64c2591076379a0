#include <math.h>

#include "wire/mp.h"
#include "wire/record.h"

static bool value_peek(struct mp_reader *r, enum hoist_type type, struct node *ret)
{
    *ret = (struct node){.span = 1};
    switch (type) {
    case HOIST_BOOL:
        ret->kind = mp_bool(r) ? NODE_TRUE : NODE_FALSE;
        return true;
    case HOIST_NUMBER:
        ret->kind = NODE_NUMBER;
        ret->number = mp_double(r);
        return isfinite(ret->number);
    case HOIST_STRING:
        ret->kind = NODE_STRING;
        ret->text = mp_str(r);
        return true;
    case HOIST_OBJECT:
        break;
    }
    return false;
}

static bool variants_peek(struct mp_reader *r, struct record_peek *p)
{
    uint32_t count = mp_map(r, RECORD_PEEK_VARIANTS);
    for (uint32_t i = 0; i < count; i++) {
        p->variants[i].name = mp_str(r);
        p->variants[i].value = (struct tree){&p->values[i], 1};
        if (!value_peek(r, p->flag.type, &p->values[i]))
            return false;
    }
    p->flag.variants = p->variants;
    p->flag.variant_count = count;
    return !r->bad && count > 0;
}

static int32_t index_peek(struct mp_reader *r, uint32_t count)
{
    if (mp_try_nil(r))
        return FLAG_NO_VARIANT;
    uint32_t index = mp_u32(r);
    if (index >= count)
        mp_fail(r, "the index of a variant that is not there");
    return (int32_t)index;
}

bool record_peek(struct slice key, struct slice record, struct record_peek *ret)
{
    struct flag *f = &ret->flag;
    struct mp_reader r = mp_reader(record);
    if (mp_array(&r, FLAG_RECORD_MAX) < RECORD_FIELDS || mp_u32(&r) != RECORD_MAJOR)
        return false;
    (void)mp_u32(&r); /* minor */
    *f = (struct flag){.key = key, .otherwise = FLAG_NO_VARIANT};
    f->enabled = mp_bool(&r);
    f->type = mp_u32(&r);
    if (!variants_peek(&r, ret))
        return false;
    f->default_variant = index_peek(&r, f->variant_count);
    f->override = index_peek(&r, f->variant_count);
    /* An override wins over all that follows, so nothing of it matters. */
    if (f->override == FLAG_NO_VARIANT) {
        if (!mp_try_nil(&r)) {
            f->targeting.count = 1;
            mp_skip(&r);
        }
        mp_skip(&r); /* metadata */
        f->requires_count = mp_map(&r, FLAG_RECORD_MAX);
    }
    return !r.bad;
}
