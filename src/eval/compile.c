/* From targeting to steps. */
#include "base/mem.h"
#include "base/text.h"
#include "eval/rule_int.h"

static const struct operator operators[] = {
    {SLICE("!"), op_not, NULL},
    {SLICE("!!"), op_truth, NULL},
    {SLICE("!="), op_unequal, NULL},
    {SLICE("!=="), op_different, NULL},
    {SLICE("%"), op_modulo, NULL},
    {SLICE("*"), op_multiply, NULL},
    {SLICE("+"), op_add, NULL},
    {SLICE("-"), op_subtract, NULL},
    {SLICE("/"), op_divide, NULL},
    {SLICE("<"), op_less, NULL},
    {SLICE("<="), op_less_or_equal, NULL},
    {SLICE("=="), op_equal, NULL},
    {SLICE("==="), op_same, NULL},
    {SLICE(">"), op_more, NULL},
    {SLICE(">="), op_more_or_equal, NULL},
    {SLICE("?:"), NULL, op_if},
    {SLICE("all"), NULL, op_all},
    {SLICE("and"), NULL, op_and},
    {SLICE("cat"), op_cat, NULL},
    {SLICE("ends_with"), op_ends_with, NULL},
    {SLICE("filter"), NULL, op_filter},
    {SLICE("fractional"), op_fractional, NULL},
    {SLICE("if"), NULL, op_if},
    {SLICE("in"), op_in, NULL},
    {SLICE("map"), NULL, op_map},
    {SLICE("max"), op_max, NULL},
    {SLICE("merge"), op_merge, NULL},
    {SLICE("min"), op_min, NULL},
    {SLICE("missing"), op_missing, NULL},
    {SLICE("missing_some"), op_missing_some, NULL},
    {SLICE("none"), NULL, op_none},
    {SLICE("or"), NULL, op_or},
    {SLICE("reduce"), NULL, op_reduce},
    {SLICE("sem_ver"), op_sem_ver, NULL},
    {SLICE("some"), NULL, op_some},
    {SLICE("starts_with"), op_starts_with, NULL},
    {SLICE("substr"), op_substr, NULL},
    {SLICE("var"), op_var, NULL},
};

const struct operator* operator_find(struct slice name)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (slice_eq(operators[i].name, name))
            return &operators[i];
    return NULL;
}

struct compiler {
    struct rule *rule;
    enum hoist_err err;
};

/* ------------------------------------------------------------------ constants */

/* Whether the subtree at `n` is data: no operator is in it. */
static bool is_constant(const struct node *n)
{
    for (uint32_t i = 0; i < n->span; i++)
        if (n[i].kind == NODE_OP || n[i].kind == NODE_REF)
            return false;
    return true;
}

static struct step *add(struct compiler *c, enum step_kind kind, const struct node *n)
{
    struct rule *r = c->rule;
    struct step *s = &r->steps[r->count++]; /* there are no more steps than nodes */
    *s = (struct step){.kind = kind, .span = 1, .node = (uint32_t)(n - r->targeting.nodes)};
    return s;
}

/* ------------------------------------------------------------------ paths */

static struct path *path_make(struct compiler *c, struct slice dotted)
{
    uint32_t count = 1;
    for (size_t i = 0; i < dotted.len; i++)
        count += dotted.ptr[i] == '.';
    if (dotted.len == 0)
        count = 0;
    struct path *p = arena_alloc(&c->rule->arena, 1, sizeof *p + count * sizeof *p->names);
    if (!p) {
        c->err = err_set(HOIST_ENOMEM, "out of memory");
        return NULL;
    }
    p->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *dot = dotted.len ? memchr(dotted.ptr, '.', dotted.len) : NULL;
        size_t len = dot ? (size_t)(dot - dotted.ptr) : dotted.len;
        p->names[i] = slice_of(dotted.ptr, len);
        size_t step = dot ? len + 1 : len;
        dotted = slice_of(dotted.ptr + step, dotted.len - step);
    }
    p->plain = count == 1 && (p->names[0].len == 0 || p->names[0].ptr[0] != '$');
    return p;
}

static void see(struct rule *r, const struct path *p)
{
    if (p->count == 0)
        r->sees |= RULE_SEES_TIME | RULE_SEES_HOST;
    else if (slice_eq(p->names[0], SLICE("$flagd")))
        r->sees |= RULE_SEES_TIME;
    else if (slice_eq(p->names[0], SLICE("$hoist")))
        r->sees |= RULE_SEES_HOST;
}

static void compile(struct compiler *c, const struct node *n);

/* {"var": "a.b"} and {"var": ["a.b", default]}. False: the path is known only when it is run. */
static bool compile_var(struct compiler *c, const struct node *n)
{
    const struct node *name = n + 1;
    struct slice dotted;
    char number[TEXT_NUMBER_SIZE];
    if (n->count > 2 || (n->count && !is_constant(name)))
        return false;
    if (n->count == 0 || name->kind == NODE_NULL) {
        dotted = SLICE("");
    } else if (name->kind == NODE_STRING) {
        dotted = name->text;
    } else if (name->kind == NODE_NUMBER && name->number >= 0 && name->number < 1e9 &&
               name->number == (double)(uint32_t)name->number) {
        text_number(number, name->number);
        dotted = slice_str(number);
        if (arena_own(&c->rule->arena, &dotted) != HOIST_OK) {
            c->err = HOIST_ENOMEM;
            return true;
        }
    } else {
        return false;
    }
    struct path *p = path_make(c, dotted);
    if (!p)
        return true;
    see(c->rule, p);
    uint32_t at = c->rule->count;
    struct step *s = add(c, STEP_VAR, n);
    s->path = p;
    s->count = n->count == 2;
    if (s->count)
        compile(c, name + name->span);
    c->rule->steps[at].span = c->rule->count - at;
    return true;
}

/* ------------------------------------------------------------------ steps */

static void compile_children(struct compiler *c, const struct node *n, uint32_t at)
{
    const struct node *child = n + 1;
    c->rule->steps[at].count = n->count;
    for (uint32_t i = 0; i < n->count && !c->err; i++, child += child->span)
        compile(c, child);
    c->rule->steps[at].span = c->rule->count - at;
}

static void compile_op(struct compiler *c, const struct node *n)
{
    const struct operator* op = operator_find(n->text);
    if (!op) {
        c->err = err_set(HOIST_EINVAL,
                         "the rule has an operator \"%.*s\", which this version "
                         "of Hoist does not know",
                         SLICE_ARG(n->text));
        return;
    }
    if (op->eager == op_var && compile_var(c, n))
        return;
    if (op->eager == op_var || op->eager == op_missing || op->eager == op_missing_some)
        c->rule->sees |= RULE_SEES_TIME | RULE_SEES_HOST; /* which names, nobody knows yet */
    uint32_t at = c->rule->count;
    add(c, op->eager ? STEP_EAGER : STEP_LAZY, n)->op = op;
    compile_children(c, n, at);
}

/* Goes no deeper than the tree, TREE_DEPTH_MAX. */
static void compile(struct compiler *c, const struct node *n)
{
    while (n->kind == NODE_REF)
        n++;
    if (n->kind == NODE_OP) {
        compile_op(c, n);
    } else if (n->kind == NODE_ARRAY && !is_constant(n)) {
        uint32_t at = c->rule->count;
        add(c, STEP_LIST, n);
        compile_children(c, n, at);
    } else {
        add(c, STEP_LITERAL, n)->literal = value_of_node(n);
    }
}

enum hoist_err rule_new(struct tree targeting, struct rule **ret)
{
    if (targeting.count == 0) {
        *ret = NULL;
        return HOIST_OK;
    }
    struct compiler c = {.rule = mem_zalloc(1, sizeof *c.rule)};
    if (!c.rule)
        return err_set(HOIST_ENOMEM, "out of memory");
    c.rule->targeting = targeting;
    c.rule->steps = arena_alloc(&c.rule->arena, targeting.count, sizeof *c.rule->steps);
    if (c.rule->steps)
        compile(&c, targeting.nodes);
    else
        c.err = err_set(HOIST_ENOMEM, "out of memory");
    if (c.err) {
        rule_free(c.rule);
        return c.err;
    }
    *ret = c.rule;
    return HOIST_OK;
}

void rule_free(struct rule *r)
{
    if (!r)
        return;
    arena_done(&r->arena);
    mem_free(r);
}

unsigned rule_sees(const struct rule *r)
{
    return r ? r->sees : 0;
}

size_t rule_bytes(const struct rule *r)
{
    return r ? sizeof *r + r->arena.total : 0;
}
