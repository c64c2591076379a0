#include "usage/counts.h"

#include "base/hash.h"
#include "base/mem.h"

enum { BUCKETS_FIRST = 64 };

uint64_t count_sum(uint64_t a, uint64_t b)
{
    return a > INT64_MAX || b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* FNV-1a from a number of the table's own: nobody else knows which rows fall together. */
static uint64_t hash_of(const struct counts *c, const struct slice part[3])
{
    uint64_t h = c->seed;
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < part[i].len; k++)
            h = (h ^ part[i].ptr[k]) * 1099511628211u;
        h = (h ^ 0xff) * 1099511628211u; /* in no text: the end of one part */
    }
    return h;
}

static struct count **place(const struct counts *c, uint64_t hash)
{
    return &c->buckets[(hash ^ hash >> 32) & (c->bucket_count - 1)];
}

static struct count *find(const struct counts *c, uint64_t hash, const struct slice part[3])
{
    struct count *row = c->bucket_count ? *place(c, hash) : NULL;
    while (row && !(row->hash == hash && slice_eq(row->key, part[1]) &&
                    slice_eq(row->variant, part[2]) && slice_eq(row->env, part[0])))
        row = row->chain;
    return row;
}

/* As many buckets as rows, about. Without memory for more, chains grow. */
static bool make_room(struct counts *c)
{
    if (c->count < c->bucket_count)
        return true;
    uint32_t wanted = c->bucket_count ? 2 * c->bucket_count : BUCKETS_FIRST;
    struct count **buckets = mem_zalloc(wanted, sizeof(struct count *));
    if (!buckets)
        return c->bucket_count > 0;
    mem_free(c->buckets);
    c->buckets = buckets;
    c->bucket_count = wanted;
    for (struct count *row = c->first; row; row = row->next) {
        struct count **at = place(c, row->hash);
        row->chain = *at;
        *at = row;
    }
    return true;
}

static struct slice put(uint8_t **at, struct slice from)
{
    struct slice copy = slice_of(*at, from.len);
    if (from.len)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

static bool append(struct counts *c, uint64_t hash, const struct slice part[3], uint64_t n)
{
    if (c->count == c->max || !make_room(c))
        return false;
    struct count *row = mem_alloc(sizeof *row + part[0].len + part[1].len + part[2].len);
    if (!row)
        return false;
    uint8_t *at = row->bytes;
    struct count **bucket = place(c, hash);
    *row = (struct count){.chain = *bucket, .hash = hash, .n = count_sum(0, n)};
    row->env = put(&at, part[0]);
    row->key = put(&at, part[1]);
    row->variant = put(&at, part[2]);
    *bucket = row;
    if (!c->first)
        c->end = &c->first;
    *c->end = row;
    c->end = &row->next;
    c->count++;
    return true;
}

bool counts_add(struct counts *c, struct slice env, struct slice key, struct slice variant,
                uint64_t n)
{
    const struct slice part[3] = {env, key, variant};
    if (c->bucket_count == 0)
        hash_random(&c->seed, sizeof c->seed);
    uint64_t hash = hash_of(c, part);
    struct count *row = find(c, hash, part);
    if (!row)
        return append(c, hash, part, n);
    row->n = count_sum(row->n, n);
    return true;
}

static void drop(struct counts *c, struct count **at)
{
    struct count *row = *at, **in = place(c, row->hash);
    while (*in != row)
        in = &(*in)->chain;
    *in = row->chain;
    *at = row->next;
    if (c->end == &row->next)
        c->end = at;
    c->count--;
    mem_free(row);
}

void counts_drop_first(struct counts *c)
{
    drop(c, &c->first);
}

void counts_filter(struct counts *c, bool (*keep)(void *arg, const struct count *row), void *arg)
{
    for (struct count **at = &c->first; *at;) {
        if (keep(arg, *at))
            at = &(*at)->next;
        else
            drop(c, at);
    }
}

void counts_done(struct counts *c)
{
    while (c->first)
        counts_drop_first(c);
    mem_free(c->buckets);
    *c = (struct counts){.max = c->max};
}
