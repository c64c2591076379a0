#include "flag/rollout.h"

#include "flag/flag_int.h"

/* ------------------------------------------------------------------ reading */

static bool is_op(const struct node *n, const char *name, uint32_t count)
{
    return n->kind == NODE_OP && n->count == count && slice_eq(n->text, slice_str(name));
}

/* {"var": "name"} */
static bool is_var(const struct node *n, struct slice *ret_name)
{
    if (!is_op(n, "var", 1) || n[1].kind != NODE_STRING)
        return false;
    *ret_name = n[1].text;
    return true;
}

static bool read_by(const struct node *n, struct slice *ret)
{
    struct slice salt, by;
    if (!is_op(n, "cat", 2) || !is_var(n + 1, &salt) || !is_var(n + 1 + n[1].span, &by) ||
        !slice_eq(salt, SLICE("$flagd.flagKey")))
        return false;
    *ret = by;
    return true;
}

/* ["variant", weight], both written out, the weight a whole number. */
static bool read_share(const struct node *n, struct slice *ret_variant, uint32_t *ret_weight)
{
    if (n->kind != NODE_ARRAY || n->count != 2 || n[1].kind != NODE_STRING ||
        n[2].kind != NODE_NUMBER)
        return false;
    double weight = n[2].number;
    if (weight < 0 || weight > INT32_MAX || weight != (double)(uint32_t)weight)
        return false;
    *ret_variant = n[1].text;
    *ret_weight = (uint32_t)weight;
    return true;
}

static bool read_fractional(const struct node *n, struct rollout *ret)
{
    uint32_t left;
    if (n->kind != NODE_OP || n->bare || !slice_eq(n->text, SLICE("fractional")))
        return false;
    const struct node *item = n + 1;
    if (n->count == 3) {
        if (!read_by(item, &ret->by))
            return false;
        item += item->span;
    } else if (n->count != 2) {
        return false;
    }
    if (!read_share(item, &ret->grows, &ret->weight) ||
        !read_share(item + item->span, &ret->rest, &left))
        return false;
    uint64_t whole = (uint64_t)ret->weight + left;
    ret->whole = (uint32_t)whole;
    return whole > 0 && whole <= INT32_MAX && !slice_eq(ret->grows, ret->rest);
}

static bool is_name(const struct node *n, struct slice name)
{
    return n->kind == NODE_STRING && slice_eq(n->text, name);
}

bool rollout_read(struct tree rule, struct rollout *ret)
{
    struct rollout r = {.kind = ROLLOUT_ALL};
    if (rule.count == 0)
        return false;
    const struct node *n = rule.nodes;
    if (is_op(n, "if", 3)) {
        const struct node *condition = n + 1, *met = condition + condition->span,
                          *otherwise = met + met->span;
        r.condition = (struct tree){(struct node *)condition, condition->span};
        if (read_fractional(met, &r) && is_name(otherwise, r.rest))
            r.kind = ROLLOUT_NARROWED;
        else if (read_fractional(otherwise, &r) && is_name(met, r.grows))
            r.kind = ROLLOUT_WIDENED;
        else
            return false;
    } else if (!read_fractional(n, &r)) {
        return false;
    }
    *ret = r;
    return true;
}

/* ------------------------------------------------------------------ writing */

enum { OWN_NODES = 16, OWN_LEVELS = 1 }; /* beside the condition, and above it */

struct writer {
    struct node *nodes;
    uint32_t count;
};

static void put(struct writer *w, struct node n)
{
    n.span = 1;
    w->nodes[w->count++] = n;
}

/* Gives where it stands, for end_node() when its children stand behind it. */
static uint32_t put_op(struct writer *w, const char *name, uint32_t count, bool bare)
{
    put(w, (struct node){.kind = NODE_OP, .bare = bare, .count = count, .text = slice_str(name)});
    return w->count - 1;
}

static void end_node(struct writer *w, uint32_t at)
{
    w->nodes[at].span = w->count - at;
}

static void put_text(struct writer *w, struct slice text)
{
    put(w, (struct node){.kind = NODE_STRING, .text = text});
}

static void put_var(struct writer *w, struct slice name)
{
    uint32_t at = put_op(w, "var", 1, true);
    put_text(w, name);
    end_node(w, at);
}

static void put_share(struct writer *w, struct slice variant, uint32_t weight)
{
    uint32_t at = w->count;
    put(w, (struct node){.kind = NODE_ARRAY, .count = 2});
    put_text(w, variant);
    put(w, (struct node){.kind = NODE_NUMBER, .number = weight});
    end_node(w, at);
}

static void put_fractional(struct writer *w, const struct rollout *r)
{
    uint32_t at = put_op(w, "fractional", r->by.len ? 3 : 2, false);
    if (r->by.len) {
        uint32_t cat = put_op(w, "cat", 2, false);
        put_var(w, SLICE("$flagd.flagKey"));
        put_var(w, r->by);
        end_node(w, cat);
    }
    put_share(w, r->grows, r->weight);
    put_share(w, r->rest, r->whole - r->weight);
    end_node(w, at);
}

static void put_rule(struct writer *w, const struct rollout *r)
{
    if (r->kind == ROLLOUT_ALL) {
        put_fractional(w, r);
        return;
    }
    uint32_t at = put_op(w, "if", 3, false);
    memcpy(w->nodes + w->count, r->condition.nodes, r->condition.count * sizeof *w->nodes);
    w->count += r->condition.count;
    if (r->kind == ROLLOUT_WIDENED)
        put_text(w, r->grows);
    put_fractional(w, r);
    if (r->kind == ROLLOUT_NARROWED)
        put_text(w, r->rest);
    end_node(w, at);
}

static uint32_t levels(struct tree t)
{
    uint32_t ends[TREE_DEPTH_MAX], depth = 0, deepest = 0;
    for (uint32_t i = 0; i < t.count && depth < TREE_DEPTH_MAX; i++) {
        while (depth && ends[depth - 1] == i)
            depth--;
        ends[depth++] = i + t.nodes[i].span;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

enum hoist_err rollout_write(const struct rollout *r, struct arena *arena, struct tree *ret)
{
    if (levels(r->condition) + OWN_LEVELS > TREE_DEPTH_MAX)
        return err_set(HOIST_EINVAL, "the condition has too many levels: %d at most",
                       TREE_DEPTH_MAX - OWN_LEVELS);
    if (r->condition.count + OWN_NODES > TREE_NODES_MAX)
        return err_set(HOIST_EINVAL,
                       "the condition has too many values, keys and operators together: %d at most",
                       TREE_NODES_MAX - OWN_NODES);
    struct node *nodes = arena_alloc(arena, r->condition.count + OWN_NODES, sizeof *nodes);
    if (!nodes)
        return err_set(HOIST_ENOMEM, "out of memory");
    struct writer w = {.nodes = nodes};
    put_rule(&w, r);
    return tree_copy(arena, (struct tree){nodes, w.count}, ret);
}
