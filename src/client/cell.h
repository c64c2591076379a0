/* cell.h - a small value together with what tells whether it still holds.
 *
 * It was decoded in transaction `txn`, and holds as long as the word of its shard is ≤ `txn`. Word,
 * transaction and value belong together: a reader sees those of one cell_write(), by a sequence
 * lock. So a slow writer that still comes from a replaced store leaves a value under a word of
 * that store, and never under one of the store that took its place.
 *
 * Reading is a few loads from one cache line, and one of the word. Everything is atomic with
 * acquire and release, which costs nothing on x86 and spares fences.
 */
#ifndef CLIENT_CELL_H
#define CLIENT_CELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum cell_kind {
    CELL_EMPTY, /* nothing is known */
    CELL_NONE,  /* there is no value: the caller's fallback, whatever type it asks for */
    CELL_FALSE,
    CELL_TRUE,
    CELL_NUMBER, /* bits: those of the double */
    CELL_TEXT,   /* a string or an object, which is not in here */
    CELL_ENV,    /* bits: an environment's id, and CELL_ENV_HELD */
    CELL_RULES,  /* it depends on who asks: the flag has to be evaluated */
};

enum { CELL_ENV_HELD = 1 << 16 };

typedef const _Atomic uint64_t *cell_word;

/* A cell's state: its kind, whether it is being written, and how often it was; in the upper half the
 * slot in which such an answer is counted (usage/tally.h). */
enum { CELL_KIND = 7, CELL_WRITING = 8, CELL_NEXT = 16, CELL_SLOT = 32 };

struct cell { /* all zero: empty */
    _Atomic uint64_t state;
    _Atomic(cell_word) word; /* NULL only while empty. Stays readable for as long as the cell is */
    _Atomic uint64_t txn;
    _Atomic uint64_t bits;
};

struct cell_value { /* fits two registers */
    uint64_t kind;
    uint64_t bits;
};

struct cell_entry {
    struct cell_value value;
    cell_word word;
    uint64_t txn;
    uint32_t slot;
};

static inline uint64_t cell_state(uint32_t slot, uint32_t rest)
{
    return (uint64_t)slot << CELL_SLOT | rest;
}

/* A copy of what is in there, valid or not; false when a writer came between. */
static inline bool cell_copy(const struct cell *c, struct cell_entry *ret)
{
    uint64_t before = atomic_load_explicit(&c->state, memory_order_acquire);
    ret->word = atomic_load_explicit(&c->word, memory_order_acquire);
    ret->txn = atomic_load_explicit(&c->txn, memory_order_acquire);
    ret->value.bits = atomic_load_explicit(&c->bits, memory_order_acquire);
    ret->value.kind = before & CELL_KIND;
    ret->slot = (uint32_t)(before >> CELL_SLOT);
    return !(before & CELL_WRITING) && ret->value.kind != CELL_EMPTY &&
           atomic_load_explicit(&c->state, memory_order_relaxed) == before;
}

/* The value, if it holds now and held in transaction `at` (UINT64_MAX: now is enough). */
static inline bool cell_read(const struct cell *c, uint64_t at, struct cell_entry *ret)
{
    if (!cell_copy(c, ret))
        return false;
    uint64_t changed = atomic_load_explicit(ret->word, memory_order_acquire);
    return changed <= ret->txn && changed <= at;
}

/* cell_read() of a boolean that holds now, which is in the state itself: the shortest way there is. */
static inline bool cell_read_bool(const struct cell *c, bool *ret, uint32_t *slot)
{
    uint64_t before = atomic_load_explicit(&c->state, memory_order_acquire);
    cell_word word = atomic_load_explicit(&c->word, memory_order_acquire);
    uint64_t txn = atomic_load_explicit(&c->txn, memory_order_acquire);
    uint64_t value = (before & (CELL_KIND | CELL_WRITING)) - CELL_FALSE;
    *ret = value;
    *slot = (uint32_t)(before >> CELL_SLOT);
    return value <= CELL_TRUE - CELL_FALSE &&
           atomic_load_explicit(&c->state, memory_order_relaxed) == before &&
           atomic_load_explicit(word, memory_order_acquire) <= txn;
}

/* Put a value in, unless somebody else is just doing so, or did with a newer one. */
static inline void cell_write(struct cell *c, const struct cell_entry *e)
{
    uint64_t state = atomic_load_explicit(&c->state, memory_order_relaxed);
    if (state & CELL_WRITING ||
        !atomic_compare_exchange_strong_explicit(&c->state, &state, state | CELL_WRITING,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    if (atomic_load_explicit(&c->word, memory_order_relaxed) != e->word ||
        atomic_load_explicit(&c->txn, memory_order_relaxed) <= e->txn) {
        atomic_store_explicit(&c->word, e->word, memory_order_release);
        atomic_store_explicit(&c->txn, e->txn, memory_order_release);
        atomic_store_explicit(&c->bits, e->value.bits, memory_order_release);
        state =
            cell_state(e->slot, ((uint32_t)state & ~(uint32_t)CELL_KIND) | (uint32_t)e->value.kind);
    }
    uint32_t rest = (uint32_t)state + CELL_NEXT;
    atomic_store_explicit(&c->state, cell_state((uint32_t)(state >> CELL_SLOT), rest),
                          memory_order_release);
}

/* In a child: whoever was writing at the fork is not here to finish. Nobody else writes now. */
static inline void cell_mend(struct cell *c)
{
    uint64_t state = atomic_load_explicit(&c->state, memory_order_relaxed);
    if (!(state & CELL_WRITING))
        return;
    atomic_store_explicit(&c->word, NULL, memory_order_release);
    uint32_t rest = ((uint32_t)state & ~(uint32_t)CELL_KIND) + CELL_NEXT - CELL_WRITING;
    atomic_store_explicit(&c->state, cell_state((uint32_t)(state >> CELL_SLOT), rest),
                          memory_order_release);
}

static inline bool cell_bool(struct cell_value v, bool fallback)
{
    return v.kind == CELL_TRUE || (v.kind != CELL_FALSE && fallback);
}

static inline double cell_double(struct cell_value v, double fallback)
{
    double d;
    memcpy(&d, &v.bits, sizeof d);
    return v.kind == CELL_NUMBER ? d : fallback;
}

static inline uint64_t cell_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

#endif
