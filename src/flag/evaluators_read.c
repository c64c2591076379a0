/* The named rules of a file: `$evaluators`. */
#include <stdlib.h>

#include "flag/flag_int.h"
#include "flag/read_int.h"

static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct evaluator *)a)->name, ((const struct evaluator *)b)->name);
}

/* Texts stay jansson's: each flag that refers to the rule copies it. */
static void read_evaluator(struct reader *r, const json_t *v, struct evaluator *e)
{
    if (!json_is_object(v) || json_object_size(v) != 1) {
        complain(r, "write it like {\"ends_with\": [{\"var\": \"email\"}, \"@example.com\"]}",
                 "a rule is an object with one operator");
        return;
    }
    struct tree t = tree_read(r, v, TREE_RULE);
    struct node *nodes = arena_alloc(&r->arena, t.count, sizeof *nodes);
    r->no_memory |= !nodes;
    if (nodes && t.count) {
        memcpy(nodes, t.nodes, t.count * sizeof *nodes);
        e->rule = (struct tree){nodes, t.count};
        e->depth = r->deepest;
    }
}

static void read_each_evaluator(struct reader *r, const json_t *v)
{
    r->evaluators = arena_alloc(&r->arena, json_object_size(v), sizeof *r->evaluators);
    r->no_memory |= !r->evaluators;
    for (void *it = json_object_iter((json_t *)v); it && !r->no_memory;
         it = json_object_iter_next((json_t *)v, it)) {
        struct evaluator *e = &r->evaluators[r->evaluator_count++];
        e->name = slice_str(json_object_iter_key(it));
        size_t back = path_key(&r->path, e->name);
        if (name_check(e->name, "the rule's name") != HOIST_OK)
            complain(r, "give it a short name like \"internal\"", "%s", err_last());
        read_evaluator(r, json_object_iter_value(it), e);
        path_back(&r->path, back);
    }
    if (r->evaluator_count)
        qsort(r->evaluators, r->evaluator_count, sizeof *r->evaluators, by_name);
}

void evaluators_read(struct reader *r, const json_t *v)
{
    if (!v)
        return;
    size_t back = path_key(&r->path, SLICE("$evaluators"));
    r->in_evaluator = true;
    if (json_is_object(v))
        read_each_evaluator(r, v);
    else
        complain(r, "write it like {\"internal\": RULE}", "the named rules are %s, not an object",
                 json_type_word(v));
    r->in_evaluator = false;
    path_back(&r->path, back);
}
