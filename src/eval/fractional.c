#include "eval/fractional.h"

#include <math.h>

#include "base/murmur.h"
#include "eval/rule_int.h"

/* ------------------------------------------------------------------ the hash */

uint32_t bucket_of(enum bucket_rule rule, struct slice text, uint32_t total)
{
    switch (rule) {
    case BUCKET_FLAGD:
        break;
    }
    return (uint32_t)((uint64_t)murmur3_32(text, 0) * total >> 32);
}

/* ------------------------------------------------------------------ the operator */

/* Flag key and targeting key, joined. False: there is no targeting key. */
static bool default_text(struct machine *m, struct value data, struct slice *ret)
{
    static const struct slice name = {(const uint8_t *)"targetingKey", 12};
    const struct node *n = data.kind == VALUE_CONTEXT ? ctx_find(m->ask->ctx, name) : NULL;
    struct value key = n ? value_of_node(n) : value_null();
    if (!value_truth(key))
        return false;
    struct slice flag = m->ask->flag->key, who = value_to_text(m, key);
    uint8_t *text = machine_room(m, flag.len + who.len);
    if (!text)
        return false;
    memcpy(text, flag.ptr, flag.len);
    memcpy(text + flag.len, who.ptr, who.len);
    *ret = slice_of(text, flag.len + who.len);
    return true;
}

enum { SHARES_NEAR = 4 };

struct share {
    struct value variant;
    uint32_t weight;
};

/* [variant], [variant, weight] */
static bool read_share(struct value pair, struct share *ret)
{
    struct value weight = value_number(1);
    if (!value_is_array(pair) || pair.len < 1 || pair.len > 2)
        return false;
    struct items items = items_of(pair);
    items_next(&items, &ret->variant);
    items_next(&items, &weight);
    if (value_is_object(ret->variant) || weight.kind != VALUE_NUMBER || !isfinite(weight.number) ||
        weight.number != trunc(weight.number) || weight.number > INT32_MAX)
        return false;
    ret->weight = weight.number > 0 ? (uint32_t)weight.number : 0;
    return true;
}

struct value op_fractional(struct machine *m, struct value data, const struct value *args,
                           uint32_t count)
{
    struct slice text;
    uint64_t total = 0, before = 0;
    bool named = count && args[0].kind == VALUE_STRING;
    struct share near[SHARES_NEAR], *shares = near;
    if (count > SHARES_NEAR && !(shares = machine_room(m, count * sizeof *shares)))
        return value_null();
    if (named)
        text = value_slice(args[0]);
    else if (!default_text(m, data, &text))
        return value_null();
    for (uint32_t i = named; i < count; i++) {
        if (!machine_work(m, 1) || !read_share(args[i], &shares[i]))
            return value_null();
        total += shares[i].weight;
    }
    if (total == 0 || total > INT32_MAX || !machine_work(m, (uint32_t)(text.len / 64)))
        return value_null();
    uint32_t bucket = bucket_of(BUCKET_FLAGD, text, (uint32_t)total);
    if (m->trace)
        trace_bucket(m, text, bucket, (uint32_t)total);
    for (uint32_t i = named; i < count; i++) {
        before += shares[i].weight;
        if (before > bucket)
            return shares[i].variant;
    }
    return value_null();
}
