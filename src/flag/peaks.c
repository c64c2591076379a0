#include "flag/peaks.h"

#include <stdatomic.h>

static _Atomic uint32_t key_bytes, variants, nodes, depth;

static void raise_to(_Atomic uint32_t *peak, uint32_t value)
{
    uint32_t known = atomic_load_explicit(peak, memory_order_relaxed);
    while (value > known && !atomic_compare_exchange_weak(peak, &known, value))
        ;
}

/* A node is as deep as there are subtrees that it stands in, its own among them. */
static uint32_t depth_of(const struct tree *t)
{
    uint32_t ends[TREE_DEPTH_MAX + 1], open = 0, most = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        while (open > 0 && ends[open - 1] <= i)
            open--;
        if (open <= TREE_DEPTH_MAX)
            ends[open++] = i + t->nodes[i].span;
        if (open > most)
            most = open;
    }
    return most;
}

static void note_tree(const struct tree *t)
{
    raise_to(&nodes, t->count);
    raise_to(&depth, depth_of(t));
}

void flag_peaks_note(const struct flag *f)
{
    raise_to(&key_bytes, (uint32_t)f->key.len);
    raise_to(&variants, f->variant_count);
    note_tree(&f->targeting);
    for (uint32_t i = 0; i < f->variant_count; i++)
        note_tree(&f->variants[i].value);
}

void flag_peaks_get(struct flag_peaks *ret)
{
    *ret = (struct flag_peaks){.key_bytes = atomic_load(&key_bytes),
                               .variants = atomic_load(&variants),
                               .nodes = atomic_load(&nodes),
                               .depth = atomic_load(&depth)};
}
