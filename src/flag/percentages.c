/* The weights of `fractional` operators: how far a rollout has come in one environment. */
#include "flag/edit.h"
#include "flag/rollout.h"

static bool is_fractional(const struct node *n)
{
    return n->kind == NODE_OP && slice_eq(n->text, SLICE("fractional"));
}

/* ["variant", weight], both written out. */
static bool is_pair(const struct node *n)
{
    return n->kind == NODE_ARRAY && n->count == 2 && n[1].kind == NODE_STRING &&
           n[2].kind == NODE_NUMBER;
}

static bool fits(const struct node *a, const struct node *b)
{
    if (is_pair(a) && is_pair(b))
        return slice_eq(a[1].text, b[1].text);
    return tree_equal((struct tree){(struct node *)a, a->span},
                      (struct tree){(struct node *)b, b->span});
}

/* Whether the two divide among the same variants, in the same order, by the same attribute. */
static bool same_but_for_weights(const struct node *a, const struct node *b)
{
    const struct node *x = a + 1, *y = b + 1;
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++, x += x->span, y += y->span)
        if (!fits(x, y))
            return false;
    return true;
}

static bool take_weights(struct node *to, const struct node *from)
{
    struct node *x = to + 1;
    const struct node *y = from + 1;
    bool changed = false;
    for (uint32_t i = 0; i < to->count; i++, x += x->span, y += y->span)
        if (is_pair(x) && x[2].number != y[2].number) {
            x[2].number = y[2].number;
            changed = true;
        }
    return changed;
}

static uint32_t next_fractional(struct tree t, uint32_t from)
{
    while (from < t.count && !is_fractional(&t.nodes[from]))
        from++;
    return from;
}

static uint32_t count_fractionals(struct tree t)
{
    uint32_t n = 0;
    for (uint32_t i = next_fractional(t, 0); i < t.count; i = next_fractional(t, i + 1))
        n++;
    return n;
}

/* Where `set --percent` wrote the rule, who has no key to be divided by is part of it: the default. */
static void keep_default(struct flag *f, const struct flag *of)
{
    struct rollout r;
    if (!rollout_read(f->targeting, &r) || !rollout_read(of->targeting, &r) ||
        of->default_variant == FLAG_NO_VARIANT)
        return;
    int32_t kept = flag_variant(f, of->variants[of->default_variant].name);
    if (kept != FLAG_NO_VARIANT)
        f->default_variant = kept;
}

bool flag_keep_percentages(struct flag *f, const struct flag *of)
{
    struct tree a = f->targeting, b = of->targeting;
    bool changed = false;
    if (count_fractionals(a) != count_fractionals(b))
        return false;
    for (uint32_t i = next_fractional(a, 0), k = next_fractional(b, 0); i < a.count;
         i = next_fractional(a, i + 1), k = next_fractional(b, k + 1))
        if (same_but_for_weights(&a.nodes[i], &b.nodes[k]))
            changed |= take_weights(&a.nodes[i], &b.nodes[k]);
    if (changed)
        keep_default(f, of);
    return changed;
}
