/* Which variants a rule can yield: a default that nobody gets, names that are no variant's. */
#include "base/mem.h"
#include "flag/lint_int.h"

struct outcome {
    const struct flag *f;
    bool *yields; /* by variant */
    bool null;    /* then the default is what is yielded */
    bool unknown;
};

static void look_at(struct lint *l, const struct node *n, struct outcome *o);

static void yield(struct lint *l, struct slice name, struct outcome *o)
{
    int32_t index = flag_variant(o->f, name);
    if (index != FLAG_NO_VARIANT) {
        o->yields[index] = true;
        return;
    }
    o->unknown = true;
    lint_warn(l, list_variants(o->f).text, "the rule can yield \"%s\", which is no variant",
              show(name).text);
}

static void look_at_argument(struct lint *l, const struct node *n, uint32_t index,
                             const struct node *item, struct outcome *o)
{
    size_t back = path_argument(&l->r->path, n, index);
    look_at(l, item, o);
    path_back(&l->r->path, back);
}

/* Condition, outcome, condition, outcome … and what is yielded otherwise. */
static void look_at_if(struct lint *l, const struct node *n, struct outcome *o)
{
    const struct node *item = n + 1;
    for (uint32_t i = 0; i < n->count; i += 2) {
        if (i + 1 == n->count) {
            look_at_argument(l, n, i, item, o);
            return;
        }
        enum truth truth = rule_truth(item);
        item += item->span;
        if (truth != TRUTH_NEVER)
            look_at_argument(l, n, i + 1, item, o);
        if (truth == TRUTH_ALWAYS)
            return;
        item += item->span;
    }
    o->null = true;
}

static void look_at_fractional(struct lint *l, const struct node *n, struct outcome *o)
{
    const struct node *item = n + 1;
    o->null = true; /* there may be nothing to divide by */
    for (uint32_t i = 0; i < n->count; i++, item += item->span) {
        if (item->kind != NODE_ARRAY || item->count == 0) {
            o->unknown |= i > 0;
            continue;
        }
        size_t back = path_argument(&l->r->path, n, i);
        path_index(&l->r->path, 0);
        look_at(l, item + 1, o);
        path_back(&l->r->path, back);
    }
}

static void look_at(struct lint *l, const struct node *n, struct outcome *o)
{
    switch ((enum node_kind)n->kind) {
    case NODE_NULL:
        o->null = true;
        return;
    case NODE_FALSE:
    case NODE_TRUE:
        yield(l, n->kind == NODE_TRUE ? SLICE("true") : SLICE("false"), o);
        return;
    case NODE_STRING:
        yield(l, n->text, o);
        return;
    case NODE_NUMBER:
    case NODE_ARRAY:
    case NODE_OBJECT:
        o->unknown = true;
        lint_warn(l, list_variants(o->f).text,
                  "the rule can yield a value that is no variant's name");
        return;
    case NODE_REF: {
        size_t back = path_key(&l->r->path, SLICE("$ref"));
        look_at(l, n + 1, o);
        path_back(&l->r->path, back);
        return;
    }
    case NODE_OP:
        break;
    }
    if (is_operator(n, "if") || is_operator(n, "?:"))
        look_at_if(l, n, o);
    else if (is_operator(n, "fractional"))
        look_at_fractional(l, n, o);
    else
        o->unknown = true;
}

void lint_outcome(struct lint *l, const struct flag *f)
{
    struct outcome o = {.f = f};
    if (f->targeting.count == 0)
        return;
    o.yields = mem_zalloc(f->variant_count, sizeof *o.yields);
    l->no_memory |= !o.yields;
    if (!o.yields)
        return;
    look_at(l, f->targeting.nodes, &o);
    int32_t d = f->default_variant;
    bool otherwise =
        d == f->otherwise || d == f->override; /* by these there is no need of a rule */
    if (d != FLAG_NO_VARIANT && !o.null && !o.unknown && !o.yields[d] && !otherwise)
        lint_warn(l, "let the rule end without an else, so that the rest gets the default",
                  "the rule hides the default: nobody gets \"%s\"", show(f->variants[d].name).text);
    mem_free(o.yields);
}
