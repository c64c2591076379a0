#include <sched.h>

#include "store/store_int.h"

enum { APART = 7 }; /* neighbours in the array share cache lines; prime to STORE_PARKED */

/*
 * Parked read transactions, each with a word that says whether it is taken. Whoever wants one looks
 * first where others on the same processor did: threads that read at once seldom meet on a word,
 * and no more transactions are begun than there are processors or readers at once, however many
 * threads come and go.
 */

void pool_give(struct store_read *r)
{
    atomic_store_explicit(&r->taken, false, memory_order_release);
}

struct store_read *pool_take(struct db *db, bool view)
{
    struct store_read *reads = &db->reads[view ? STORE_PARKED : 0];
    int cpu = sched_getcpu();
    for (unsigned i = 0, first = cpu < 0 ? 0 : (unsigned)cpu * APART; i < STORE_PARKED; i++) {
        struct store_read *r = &reads[(first + i) % STORE_PARKED];
        if (!atomic_load_explicit(&r->taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&r->taken, true, memory_order_acquire))
            return r;
    }
    return NULL;
}

void pool_fill(struct db *db)
{
    for (int i = 0; i < READS; i++) {
        db->reads[i].db = db;
        pool_give(&db->reads[i]);
    }
}
