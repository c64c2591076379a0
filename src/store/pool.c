#include "store/store_int.h"

/*
 * Parked read transactions lie in a stack, linked by their index, without a lock. The word that
 * names the top counts its changes too, so that a top that went and came back is not taken for one
 * that stayed.
 */

static _Atomic uint64_t *stack_of(struct store_read *r)
{
    ptrdiff_t index = r - r->db->reads;
    return &r->db->parked[index / STORE_PARKED];
}

void pool_give(struct store_read *r)
{
    _Atomic uint64_t *stack = stack_of(r);
    uint32_t self = (uint32_t)(r - r->db->reads) + 1;
    uint64_t top = atomic_load_explicit(stack, memory_order_relaxed), next;
    do {
        atomic_store_explicit(&r->below, (uint32_t)top, memory_order_relaxed);
        next = ((top >> 32) + 1) << 32 | self;
    } while (!atomic_compare_exchange_weak_explicit(stack, &top, next, memory_order_release,
                                                    memory_order_relaxed));
}

struct store_read *pool_take(struct db *db, bool view)
{
    _Atomic uint64_t *stack = &db->parked[view];
    uint64_t top = atomic_load_explicit(stack, memory_order_acquire), next;
    struct store_read *r;
    do {
        uint32_t index = (uint32_t)top;
        if (index == 0)
            return NULL;
        r = &db->reads[index - 1];
        uint32_t below = atomic_load_explicit(&r->below, memory_order_relaxed);
        next = ((top >> 32) + 1) << 32 | below;
    } while (!atomic_compare_exchange_weak_explicit(stack, &top, next, memory_order_acquire,
                                                    memory_order_acquire));
    return r;
}

void pool_fill(struct db *db)
{
    for (int i = READS - 1; i >= 0; i--) {
        db->reads[i].db = db;
        pool_give(&db->reads[i]);
    }
}
