#include "client/table.h"

#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/decoded.h"

enum {
    SLOTS_FIRST = 64,
    SLAB_SIZE = 64 << 10,
    MISSING_MAX = 4096,
    FLAGS_MAX = 2000000, /* twice what an environment may have */
};

struct slab {
    struct slab *next;
    size_t used;
    size_t size;
    uint8_t bytes[];
};

/* ------------------------------------------------------------------ hashing */

uint64_t table_secret;

void table_init(void)
{
    if (table_secret == 0 &&
        getrandom(&table_secret, sizeof table_secret, GRND_NONBLOCK) != sizeof table_secret)
        table_secret = (uint64_t)clock_mono_ns() ^ (uintptr_t)&table_secret;
}

/* ------------------------------------------------------------------ adding */

static void put(struct table *t, hoist_flag *f)
{
    uint32_t i = (uint32_t)f->rest->hash & t->mask;
    while (atomic_load_explicit(&t->slots[i], memory_order_relaxed) != 0)
        i = (i + 1) & t->mask;
    t->used++;
    atomic_store_explicit(&t->slots[i], (uintptr_t)f | table_tag(f->rest->hash),
                          memory_order_release);
}

static hoist_flag *flag_in(struct table *t, uint32_t i)
{
    uintptr_t s = atomic_load_explicit(&t->slots[i], memory_order_acquire);
    return (hoist_flag *)(s & ~(uintptr_t)TABLE_TAG);
}

/* A table with room for one more. Old ones are kept: together they are no bigger than the new. */
static struct table *with_room(hoist *h)
{
    struct table *t = atomic_load_explicit(&h->table, memory_order_relaxed);
    if (t && t->used < (t->mask + 1) / 2)
        return t;
    uint32_t slots = t ? 2 * (t->mask + 1) : SLOTS_FIRST;
    struct table *bigger = mem_zalloc(1, sizeof *t + slots * sizeof(table_slot));
    if (!bigger)
        return NULL;
    bigger->mask = slots - 1;
    bigger->smaller = t;
    for (uint32_t i = 0; t && i <= t->mask; i++)
        if (flag_in(t, i))
            put(bigger, flag_in(t, i));
    atomic_store_explicit(&h->table, bigger, memory_order_release);
    return bigger;
}

/* Zeroed, freed with the handle. Slabs begin at a cache line; what all sizes are a multiple of
 * is the alignment within. */
static void *slab_alloc(struct slab **slabs, size_t size)
{
    struct slab *s = *slabs;
    if (!s || s->size - s->used < size) {
        size_t room = size > SLAB_SIZE ? size : SLAB_SIZE;
        s = mem_zalloc(1, sizeof *s + CACHE_LINE + room);
        if (!s)
            return NULL;
        s->used = -(uintptr_t)s->bytes & (CACHE_LINE - 1);
        s->size = s->used + room;
        s->next = *slabs;
        *slabs = s;
    }
    void *p = s->bytes + s->used;
    s->used += size;
    return p;
}

static hoist_flag *line_new(hoist *h, struct slice key, uint64_t hash)
{
    size_t align = alignof(struct flag_rest);
    size_t size = (sizeof(struct flag_rest) + key.len + 1 + align - 1) & ~(align - 1);
    hoist_flag *f = slab_alloc(&h->lines, sizeof *f);
    struct flag_rest *rest = f ? slab_alloc(&h->rests, size) : NULL;
    if (!rest)
        return NULL; /* the line is lost until the handle is closed */
    rest->hoist = h;
    rest->hash = hash;
    memcpy(rest->key, key.ptr, key.len);
    f->rest = rest;
    f->key_len = (uint16_t)key.len;
    if (key.len <= KEY_NEAR)
        memcpy(f->key_near, key.ptr, key.len);
    return f;
}

static hoist_flag *add(hoist *h, struct slice key, uint64_t hash, enum table_why why)
{
    hoist_flag *f = table_find(h, key, hash);
    if (f)
        return f;
    if (why == TABLE_MISSING && h->missing >= MISSING_MAX)
        return NULL;
    struct table *t = with_room(h);
    if (!t || (why != TABLE_BOUND && t->used >= FLAGS_MAX))
        return NULL;
    f = line_new(h, key, hash);
    if (!f)
        return NULL;
    h->missing += why == TABLE_MISSING;
    put(t, f);
    return f;
}

hoist_flag *table_add(hoist *h, struct slice key, uint64_t hash, enum table_why why)
{
    if (why == TABLE_BOUND)
        pthread_mutex_lock(&h->table_lock);
    else if (pthread_mutex_trylock(&h->table_lock) != 0)
        return NULL;
    hoist_flag *f = add(h, key, hash, why);
    pthread_mutex_unlock(&h->table_lock);
    return f;
}

void table_each(hoist *h, void (*each)(hoist_flag *f))
{
    struct table *t = atomic_load_explicit(&h->table, memory_order_acquire);
    for (uint32_t i = 0; t && i <= t->mask; i++)
        if (flag_in(t, i))
            each(flag_in(t, i));
}

static void slabs_free(struct slab **slabs)
{
    for (struct slab *s = *slabs, *next; s; s = next) {
        next = s->next;
        mem_free(s);
    }
    *slabs = NULL;
}

static void flag_done(hoist_flag *f)
{
    decoded_free(atomic_load(&f->rest->decoded));
}

void table_done(hoist *h)
{
    table_each(h, flag_done);
    for (struct table *t = atomic_load(&h->table), *smaller; t; t = smaller) {
        smaller = t->smaller;
        mem_free(t);
    }
    slabs_free(&h->lines);
    slabs_free(&h->rests);
    atomic_store(&h->table, NULL);
}
