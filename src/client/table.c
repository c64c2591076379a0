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

/* A slot is the address of a flag, whose low bits (it is aligned to a cache line) hold as many bits
 * of its hash: most flags that are not meant are passed over without touching them. */
typedef _Atomic uintptr_t slot;

enum { TAG_BITS = CACHE_LINE - 1 };

struct table {
    struct table *smaller; /* the one before: somebody may still be looking into it */
    uint32_t mask;
    uint32_t used;
    slot slots[];
};

struct slab {
    struct slab *next;
    size_t used;
    size_t size;
    uint8_t bytes[];
};

/* ------------------------------------------------------------------ hashing */

static uint64_t secret;

void table_init(void)
{
    if (secret == 0 && getrandom(&secret, sizeof secret, GRND_NONBLOCK) != sizeof secret)
        secret = (uint64_t)clock_mono_ns() ^ (uintptr_t)&secret;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xe7037ed1a0b428db);
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t load(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    memcpy(&v, p, len);
    return v;
}

uint64_t table_hash(struct slice key)
{
    const uint8_t *p = key.ptr;
    size_t left = key.len;
    uint64_t h = secret ^ left;
    if (left < 8) {
        for (; left > 0; left--)
            h = (h ^ *p++) * 0x100000001b3;
        return mix(h, secret);
    }
    for (; left > 8; left -= 8, p += 8)
        h = mix(h, load(p, 8));
    return mix(h, load(p + left - 8, 8)); /* the last eight, whether or not some came before */
}

/* ------------------------------------------------------------------ finding */

static inline uintptr_t tag_of(uint64_t hash)
{
    return (hash >> 58) & TAG_BITS;
}

static hoist_flag *find_in(struct table *t, struct slice key, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & t->mask;; i = (i + 1) & t->mask) {
        uintptr_t s = atomic_load_explicit(&t->slots[i], memory_order_acquire);
        if (s == 0)
            return NULL;
        if ((s & TAG_BITS) != tag_of(hash))
            continue;
        hoist_flag *f = (hoist_flag *)(s & ~(uintptr_t)TAG_BITS);
        if (f->key_len == key.len && memcmp(f->key, key.ptr, key.len) == 0)
            return f;
    }
}

hoist_flag *table_find(hoist *h, struct slice key, uint64_t hash)
{
    struct table *t = atomic_load_explicit(&h->table, memory_order_acquire);
    return t ? find_in(t, key, hash) : NULL;
}

/* ------------------------------------------------------------------ adding */

static void put(struct table *t, hoist_flag *f)
{
    uint32_t i = (uint32_t)f->hash & t->mask;
    while (atomic_load_explicit(&t->slots[i], memory_order_relaxed) != 0)
        i = (i + 1) & t->mask;
    t->used++;
    atomic_store_explicit(&t->slots[i], (uintptr_t)f | tag_of(f->hash), memory_order_release);
}

static hoist_flag *flag_in(struct table *t, uint32_t i)
{
    uintptr_t s = atomic_load_explicit(&t->slots[i], memory_order_acquire);
    return (hoist_flag *)(s & ~(uintptr_t)TAG_BITS);
}

/* A table with room for one more. Old ones are kept: together they are no bigger than the new. */
static struct table *with_room(hoist *h)
{
    struct table *t = atomic_load_explicit(&h->table, memory_order_relaxed);
    if (t && t->used < (t->mask + 1) / 2)
        return t;
    uint32_t slots = t ? 2 * (t->mask + 1) : SLOTS_FIRST;
    struct table *bigger = mem_zalloc(1, sizeof *t + slots * sizeof(slot));
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

static hoist_flag *flag_alloc(hoist *h, size_t key_len)
{
    size_t size = (sizeof(hoist_flag) + key_len + 1 + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
    struct slab *s = h->slabs;
    if (!s || s->size - s->used < size) {
        size_t room = size > SLAB_SIZE ? size : SLAB_SIZE;
        s = mem_zalloc(1, sizeof *s + CACHE_LINE + room);
        if (!s)
            return NULL;
        s->used = -(uintptr_t)s->bytes & (CACHE_LINE - 1);
        s->size = s->used + room;
        s->next = h->slabs;
        h->slabs = s;
    }
    hoist_flag *f = (hoist_flag *)(s->bytes + s->used);
    s->used += size;
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
    f = flag_alloc(h, key.len);
    if (!f)
        return NULL;
    f->hoist = h;
    f->hash = hash;
    f->key_len = (uint32_t)key.len;
    memcpy(f->key, key.ptr, key.len);
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

static void flag_done(hoist_flag *f)
{
    decoded_free(atomic_load(&f->decoded));
}

void table_done(hoist *h)
{
    table_each(h, flag_done);
    for (struct table *t = atomic_load(&h->table), *smaller; t; t = smaller) {
        smaller = t->smaller;
        mem_free(t);
    }
    for (struct slab *s = h->slabs, *next; s; s = next) {
        next = s->next;
        mem_free(s);
    }
    atomic_store(&h->table, NULL);
    h->slabs = NULL;
}
