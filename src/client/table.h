/* table.h - the flags of a handle by key. They are added and never taken away until the handle is
 * closed, so finding one takes no lock.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <string.h>

#include "base/slice.h"
#include "client/client_int.h"

/* Once per process, before the others: keys are hashed with a secret, since users may choose them.
 */
void table_init(void);

/* NULL: it is not in there. */
static inline hoist_flag *table_find(hoist *h, struct slice key, uint64_t hash);

/* Why a flag is added. */
enum table_why {
    TABLE_BOUND,   /* the program asked for it */
    TABLE_READ,    /* it was read, and there is such a flag */
    TABLE_MISSING, /* it was read, and there is none. A program may read keys that its own users
                    * make up, so there is a limit to these */
};

/*
 * Find or add. NULL: memory is out, or (but for TABLE_BOUND) there are too many, or somebody else
 * is adding one: a read does not wait for that.
 */
hoist_flag *table_add(hoist *h, struct slice key, uint64_t hash, enum table_why why);

/* Call `each` for all flags. */
void table_each(hoist *h, void (*each)(hoist_flag *f));

void table_done(hoist *h);

/* ------------------------------------------------------------------ hashing */

extern uint64_t table_secret;

static inline uint64_t table_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xe7037ed1a0b428db);
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t table_load(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t table_hash(struct slice key)
{
    const uint8_t *p = key.ptr;
    size_t left = key.len;
    uint64_t h = table_secret ^ left;
    if (left < 8) {
        for (; left > 0; left--)
            h = (h ^ *p++) * 0x100000001b3;
        return table_mix(h, table_secret);
    }
    for (; left > 8; left -= 8, p += 8)
        h = table_mix(h, table_load(p));
    return table_mix(
        h, table_load(p + left - 8)); /* the last eight, whether or not some came before */
}

/* ------------------------------------------------------------------ finding */

/* A slot is the address of a flag, whose low bits (it is aligned to a cache line) hold as many bits
 * of its hash: most flags that are not meant are passed over without touching them. */
typedef _Atomic uintptr_t table_slot;

enum { TABLE_TAG = CACHE_LINE - 1 };

struct table {
    struct table *smaller; /* the one before: somebody may still be looking into it */
    uint32_t mask;
    uint32_t used;
    table_slot slots[];
};

static inline uintptr_t table_tag(uint64_t hash)
{
    return (hash >> 58) & TABLE_TAG;
}

static inline bool table_same(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    if (len < 8)
        return memcmp(x, y, len) == 0;
    uint64_t differ = 0;
    for (; len > 8; len -= 8, x += 8, y += 8)
        differ |= table_load(x) ^ table_load(y);
    return (differ | (table_load(x + len - 8) ^ table_load(y + len - 8))) == 0;
}

static inline bool table_has_key(const hoist_flag *f, struct slice key)
{
    if (f->key_len != key.len)
        return false;
    return table_same(key.len <= KEY_NEAR ? f->key_near : f->rest->key, key.ptr, key.len);
}

static inline hoist_flag *table_find(hoist *h, struct slice key, uint64_t hash)
{
    struct table *t = atomic_load_explicit(&h->table, memory_order_acquire);
    for (uint32_t i = (uint32_t)hash; t; i++) {
        uintptr_t s = atomic_load_explicit(&t->slots[i & t->mask], memory_order_acquire);
        if (s == 0)
            return NULL;
        hoist_flag *f = (hoist_flag *)(s & ~(uintptr_t)TABLE_TAG);
        if ((s & TABLE_TAG) == table_tag(hash) && table_has_key(f, key))
            return f;
    }
    return NULL;
}

#endif
