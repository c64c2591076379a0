/* How often flags were evaluated, on its way up. */
#include "wire/frame_int.h"

enum { USAGE_FIELDS = 5, USAGE_COUNT_FIELDS = 4 };

void frame_put_usage(struct buf *out, const struct frame_usage *f)
{
    frame_head(out, FRAME_USAGE, USAGE_FIELDS);
    mp_put_u64(out, f->incarnation);
    mp_put_u64(out, f->sequence);
    mp_put_array(out, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct usage_count *c = &f->counts[i];
        mp_put_array(out, USAGE_COUNT_FIELDS);
        mp_put_str(out, c->env);
        mp_put_str(out, c->key);
        mp_put_str(out, c->variant);
        mp_put_u64(out, c->n);
    }
}

static void count_get(struct mp_reader *r, struct usage_count *c)
{
    uint32_t elements = tuple_begin(r, USAGE_COUNT_FIELDS);
    c->env = env_get(r);
    c->key = key_get(r);
    c->variant = mp_text(r, FLAG_KEY_MAX);
    if (!r->bad && c->variant.len > 0 && flag_key_check(c->variant) != HOIST_OK)
        mp_fail(r, "a variant's name that is none");
    c->n = mp_u64(r);
    if (!r->bad && c->n == 0)
        mp_fail(r, "a count of nothing");
    if (c->n > FRAME_USAGE_N_MAX)
        mp_limit(r, "more evaluations than there can be");
    tuple_end(r, elements, USAGE_COUNT_FIELDS);
}

enum hoist_err frame_get_usage(struct slice in, struct arena *arena, struct frame_usage *ret)
{
    struct frame_reader f;
    if (in.len > FRAME_USAGE_MAX)
        return err_set(HOIST_ELIMIT, "usage: longer than allowed");
    enum hoist_err err = frame_begin(in, FRAME_USAGE, USAGE_FIELDS, "usage", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_usage u = {0};
    u.incarnation = mp_u64(&f.r);
    u.sequence = mp_u64(&f.r);
    u.count = mp_array(&f.r, FRAME_USAGE_COUNTS);
    u.counts = frame_alloc(&f, u.count, sizeof *u.counts);
    for (uint32_t i = 0; i < u.count && !f.r.bad; i++)
        count_get(&f.r, &u.counts[i]);
    err = frame_end(&f, USAGE_FIELDS);
    if (err == HOIST_OK)
        *ret = u;
    return err;
}
