#include <sched.h>

#include "store/store_int.h"

enum { APART = 7 }; /* neighbours in the array share cache lines; prime to STORE_PARKED */

/*
 * Parked read transactions, each with a word that says whether it is taken. Whoever wants one looks
 * first where others on the same processor did, so threads that read at once seldom meet on a word.
 * One more is begun only when all that were are taken: there are as many as there ever were reads
 * at once, however many threads and processors, since the table of readers is the whole host's.
 * Those that were not begun yet count as taken.
 */

void pool_give(struct store_read *r)
{
    atomic_store_explicit(&r->taken, false, memory_order_release);
}

static struct store_read *nth(struct db *db, bool view, uint32_t n)
{
    return &db->reads[(view ? STORE_PARKED : 0) + n * APART % STORE_PARKED];
}

static struct store_read *begin_one_more(struct db *db, bool view, uint32_t begun)
{
    while (begun < STORE_PARKED)
        if (atomic_compare_exchange_weak_explicit(&db->begun[view], &begun, begun + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return nth(db, view, begun);
    return NULL;
}

struct store_read *pool_take(struct db *db, bool view)
{
    uint32_t begun = atomic_load_explicit(&db->begun[view], memory_order_relaxed);
    uint32_t at = (uint32_t)sched_getcpu(); /* any number will do */
    for (uint32_t i = 0; i < begun; i++, at++) {
        at = at < begun ? at : at % begun;
        struct store_read *r = nth(db, view, at);
        if (!atomic_load_explicit(&r->taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&r->taken, true, memory_order_acquire))
            return r;
    }
    return begin_one_more(db, view, begun);
}

void pool_fill(struct db *db)
{
    for (int i = 0; i < READS; i++) {
        db->reads[i].db = db;
        atomic_store_explicit(&db->reads[i].taken, true, memory_order_relaxed);
    }
}
