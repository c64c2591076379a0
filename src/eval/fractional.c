#include "eval/fractional.h"

#include <math.h>

#include "eval/rule_int.h"

/* ------------------------------------------------------------------ the hash */

/* MurmurHash3_x86_32 by Austin Appleby (smhasher, public domain), seed 0. */
static uint32_t murmur3_32(struct slice s)
{
    uint32_t h = 0, k;
    const uint8_t *p = s.ptr, *blocks_end = p + (s.len & ~(size_t)3);
    for (; p < blocks_end; p += 4) {
        k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= 0xcc9e2d51;
        k = k << 15 | k >> 17;
        h ^= k * 0x1b873593;
        h = h << 13 | h >> 19;
        h = h * 5 + 0xe6546b64;
    }
    k = 0;
    for (size_t left = s.len & 3; left > 0; left--)
        k = k << 8 | p[left - 1];
    if (s.len & 3) {
        k *= 0xcc9e2d51;
        k = k << 15 | k >> 17;
        h ^= k * 0x1b873593;
    }
    h ^= (uint32_t)s.len;
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ h >> 16;
}

uint32_t bucket_of(enum bucket_rule rule, struct slice text, uint32_t total)
{
    switch (rule) {
    case BUCKET_FLAGD:
        break;
    }
    return (uint32_t)((uint64_t)murmur3_32(text) * total >> 32);
}

/* ------------------------------------------------------------------ the operator */

/* Flag key and targeting key, joined. False: there is no targeting key. */
static bool default_text(struct machine *m, struct value data, struct slice *ret)
{
    struct value key;
    if (data.kind != VALUE_CONTEXT || !value_member(m, data, SLICE("targetingKey"), &key) ||
        !value_truth(key))
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
    if (value_is_object(ret->variant) || weight.kind != VALUE_NUMBER ||
        weight.number != trunc(weight.number) || weight.number > INT32_MAX)
        return false;
    ret->weight = weight.number > 0 ? (uint32_t)weight.number : 0;
    return true;
}

struct value op_fractional(struct machine *m, struct value data, const struct value *args,
                           uint32_t count)
{
    struct slice text;
    struct share share;
    uint64_t total = 0, before = 0;
    bool named = count && args[0].kind == VALUE_STRING;
    if (named)
        text = value_slice(args[0]);
    else if (!default_text(m, data, &text))
        return value_null();
    for (uint32_t i = named; i < count; i++) {
        if (!machine_work(m, 1) || !read_share(args[i], &share))
            return value_null();
        total += share.weight;
    }
    if (total == 0 || total > INT32_MAX || !machine_work(m, (uint32_t)(text.len / 64)))
        return value_null();
    uint32_t bucket = bucket_of(BUCKET_FLAGD, text, (uint32_t)total);
    if (m->trace)
        trace_bucket(m, text, bucket, (uint32_t)total);
    for (uint32_t i = named; i < count && read_share(args[i], &share); i++) {
        before += share.weight;
        if (before > bucket)
            return share.variant;
    }
    return value_null();
}
