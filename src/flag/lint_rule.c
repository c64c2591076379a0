#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/lint_int.h"

bool is_operator(const struct node *n, const char *name)
{
    return n->kind == NODE_OP && slice_eq(n->text, slice_str(name));
}

size_t path_argument(struct path *p, const struct node *n, uint32_t index)
{
    size_t back = path_key(p, n->text);
    if (!n->bare)
        path_index(p, index);
    return back;
}

/* ------------------------------------------------------------------ what is always so */

/* Whether it is the same for every context. */
static bool is_constant(const struct node *n)
{
    static const char *const readers[] = {"var", "missing", "missing_some", "fractional", NULL};
    for (uint32_t i = 0; i < n->span; i++)
        if (n[i].kind == NODE_OP && is_one_of(n[i].text, readers))
            return false;
    return true;
}

static enum truth negate(enum truth t)
{
    return t == TRUTH_UNKNOWN ? t : t == TRUTH_ALWAYS ? TRUTH_NEVER : TRUTH_ALWAYS;
}

/* `decides`: what one of the arguments must be for the whole to be that. */
static enum truth truth_of_all(const struct node *n, enum truth decides)
{
    const struct node *item = n + 1;
    bool unknown = n->count == 0;
    for (uint32_t i = 0; i < n->count; i++, item += item->span) {
        enum truth t = rule_truth(item);
        if (t == decides)
            return decides;
        unknown |= t == TRUTH_UNKNOWN;
    }
    return unknown ? TRUTH_UNKNOWN : negate(decides);
}

static enum truth known(bool is_true)
{
    return is_true ? TRUTH_ALWAYS : TRUTH_NEVER;
}

enum truth rule_truth(const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_NULL:
    case NODE_FALSE:
        return TRUTH_NEVER;
    case NODE_TRUE:
    case NODE_OBJECT:
        return TRUTH_ALWAYS;
    case NODE_NUMBER:
        return known(n->number != 0);
    case NODE_STRING:
        return known(n->text.len > 0);
    case NODE_ARRAY:
        return known(n->count > 0);
    case NODE_REF:
        return rule_truth(n + 1);
    case NODE_OP:
        break;
    }
    if (is_operator(n, "and"))
        return truth_of_all(n, TRUTH_NEVER);
    if (is_operator(n, "or"))
        return truth_of_all(n, TRUTH_ALWAYS);
    if (is_operator(n, "!") && n->count == 1)
        return negate(rule_truth(n + 1));
    if (is_operator(n, "!!") && n->count == 1)
        return rule_truth(n + 1);
    return TRUTH_UNKNOWN;
}

/* ------------------------------------------------------------------ conditions */

static void look_at_condition(struct lint *l, const struct node *n, bool more)
{
    static const char mend[] =
        "ask for something of the context by {\"var\": NAME}, or leave it out";
    switch (rule_truth(n)) {
    case TRUTH_ALWAYS:
        lint_warn(l, mend, "the condition is always true%s",
                  more ? ", so that nothing behind it is ever reached" : "");
        return;
    case TRUTH_NEVER:
        lint_warn(l, mend,
                  "the condition is never true, so that what it leads to is never reached");
        return;
    case TRUTH_UNKNOWN:
        break;
    }
    if (is_constant(n))
        lint_warn(l, mend, "the condition is the same for every context");
}

/* Whether one of the first `count` conditions of `if` is the same. */
static bool stood_before(const struct node *n, const struct node *condition, uint32_t count,
                         uint32_t *ret_at)
{
    const struct node *item = n + 1;
    for (uint32_t i = 0; i < count; i++, item += item->span)
        if (i % 2 == 0 && tree_equal((struct tree){(struct node *)item, item->span},
                                     (struct tree){(struct node *)condition, condition->span})) {
            *ret_at = i;
            return true;
        }
    return false;
}

static void look_at_if(struct lint *l, const struct node *n)
{
    const struct node *item = n + 1;
    uint32_t same;
    for (uint32_t i = 0; i + 1 < n->count; i++, item += item->span) {
        if (i % 2)
            continue;
        size_t back = path_argument(&l->r->path, n, i);
        look_at_condition(l, item, i + 2 < n->count);
        if (stood_before(n, item, i, &same))
            lint_warn(l, "leave one of them out",
                      "what this condition leads to is never reached: the same one stands at [%u]",
                      same);
        path_back(&l->r->path, back);
    }
}

/* The last argument may be what is yielded, as in {"or": [{"var": "plan"}, "free"]}. */
static void look_at_and_or(struct lint *l, const struct node *n)
{
    const struct node *item = n + 1;
    for (uint32_t i = 0; i + 1 < n->count; i++, item += item->span) {
        size_t back = path_argument(&l->r->path, n, i);
        if (is_constant(item))
            look_at_condition(l, item, false);
        path_back(&l->r->path, back);
    }
}

/* ------------------------------------------------------------------ weights */

static bool is_hundred(double sum)
{
    double hundred = 100;
    while (hundred < sum)
        hundred *= 10;
    return sum == hundred;
}

/* The sum of all weights; false when it cannot be told, or none is said. */
static bool sum_weights(const struct node *n, double *ret)
{
    const struct node *item = n + 1;
    bool said = false;
    *ret = 0;
    for (uint32_t i = 0; i < n->count; i++, item += item->span) {
        if (item->kind != NODE_ARRAY) {
            if (i == 0)
                continue; /* what is divided by */
            return false;
        }
        const struct node *weight = item + 1 + (item->count ? item[1].span : 0);
        if (item->count > 2 || item->count == 0 ||
            (item->count == 2 && weight->kind != NODE_NUMBER))
            return false;
        said |= item->count == 2;
        *ret += item->count == 1 ? 1 : fmax(weight->number, 0);
    }
    return said;
}

static void look_at_weights(struct lint *l, const struct node *n)
{
    char sum_text[TEXT_NUMBER_SIZE];
    double sum;
    size_t back = path_key(&l->r->path, n->text);
    if (sum_weights(n, &sum) && sum == 0)
        lint_warn(l, "give one of them a weight", "no weight is above 0: it divides nobody");
    else if (sum_weights(n, &sum) && !is_hundred(sum)) {
        text_number(sum_text, sum);
        lint_warn(l, "write shares of 100 (or of 1000, for tenths)",
                  "the weights add up to %s, so they are no percentages", sum_text);
    }
    path_back(&l->r->path, back);
}

/* ------------------------------------------------------------------ attributes */

static bool make_room(struct lint *l)
{
    if (l->attribute_count < l->attribute_cap)
        return true;
    size_t cap = l->attribute_cap ? 2 * l->attribute_cap : 64;
    struct attribute *grown = mem_realloc(l->attributes, cap * sizeof *grown);
    if (grown) {
        l->attributes = grown;
        l->attribute_cap = cap;
    }
    return grown;
}

static void note_attribute(struct lint *l, const struct node *n)
{
    if (n->kind != NODE_STRING || n->text.len == 0)
        return;
    char *path = mem_dup_str(l->r->path.text);
    if (!path || !make_room(l)) {
        mem_free(path);
        l->no_memory = true;
        return;
    }
    l->attributes[l->attribute_count] = (struct attribute){n->text, path, l->attribute_count};
    l->attribute_count++;
}

/* Those of var, missing and missing_some that are written out. */
static void note_attributes(struct lint *l, const struct node *n)
{
    const struct node *list = n;
    if (is_operator(n, "var")) {
        if (n->count)
            note_attribute(l, n + 1);
        return;
    }
    if (is_operator(n, "missing_some") && n->count == 2)
        list = n + 1 + n[1].span;
    else if (is_operator(n, "missing") && n->count == 1 && n[1].kind == NODE_ARRAY)
        list = n + 1;
    else if (!is_operator(n, "missing"))
        return;
    const struct node *item = list + 1;
    if (list->kind == NODE_ARRAY || list == n)
        for (uint32_t i = 0; i < list->count; i++, item += item->span)
            note_attribute(l, item);
}

static int compare_but_for_case(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return strncasecmp((const char *)a.ptr, (const char *)b.ptr, a.len);
}

static int by_spelling(const void *x, const void *y)
{
    const struct attribute *a = x, *b = y;
    int order = compare_but_for_case(a->name, b->name);
    if (order == 0)
        order = slice_cmp(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* How many of those that stand behind each other are spelled alike. */
static size_t run_length(const struct attribute *a, size_t count)
{
    size_t n = 1;
    while (n < count && slice_eq(a[n].name, a->name))
        n++;
    return n;
}

/* `count` places that name one attribute: the usual spelling is the most frequent one; of two as
 * frequent the first in the file. */
static void compare_spellings(struct lint *l, const struct attribute *a, size_t count)
{
    const struct attribute *usual = a;
    size_t most = 0;
    for (size_t i = 0, n; i < count; i += n) {
        n = run_length(a + i, count - i);
        if (n > most || (n == most && a[i].order < usual->order)) {
            usual = a + i;
            most = n;
        }
    }
    for (size_t i = 0, n; i < count; i += n) {
        n = run_length(a + i, count - i);
        if (a + i != usual)
            problems_add(l->warnings, a[i].path,
                         "attributes differ by their case: write both the same way",
                         "the attribute \"%s\" is \"%s\" elsewhere, as at %s", show(a[i].name).text,
                         show(usual->name).text, usual->path);
    }
}

void lint_attributes(struct lint *l)
{
    struct attribute *a = l->attributes;
    if (l->attribute_count > 1)
        qsort(a, l->attribute_count, sizeof *a, by_spelling);
    for (size_t i = 0, n; i < l->attribute_count; i += n) {
        for (n = 1; i + n < l->attribute_count; n++)
            if (compare_but_for_case(a[i].name, a[i + n].name) != 0)
                break;
        compare_spellings(l, a + i, n);
    }
}

/* ------------------------------------------------------------------ the walk */

enum place { IN_CONTEXT, IN_LIST }; /* in the latter `var` is of a list's item */

static const struct node *walk(struct lint *l, const struct node *n, enum place place);

static void walk_arguments(struct lint *l, const struct node *n, enum place place)
{
    static const char *const over_lists[] = {"map",  "filter", "reduce", "all",
                                             "some", "none",   NULL};
    const struct node *item = n + 1;
    bool over_list = is_one_of(n->text, over_lists);
    for (uint32_t i = 0; i < n->count; i++) {
        size_t back = path_argument(&l->r->path, n, i);
        item = walk(l, item, over_list && i > 0 ? IN_LIST : place);
        path_back(&l->r->path, back);
    }
}

static void look_at_operator(struct lint *l, const struct node *n, enum place place)
{
    if (is_operator(n, "if") || is_operator(n, "?:"))
        look_at_if(l, n);
    else if (is_operator(n, "and") || is_operator(n, "or"))
        look_at_and_or(l, n);
    else if (is_operator(n, "fractional"))
        look_at_weights(l, n);
    size_t back = path_key(&l->r->path, n->text);
    if (place == IN_CONTEXT)
        note_attributes(l, n);
    path_back(&l->r->path, back);
    walk_arguments(l, n, place);
}

/* Gives what stands behind the subtree. Goes as deep as the tree, which is TREE_DEPTH_MAX. What a
 * $ref stands for is looked at once, where it is named; data has no rules in it. */
static const struct node *walk(struct lint *l, const struct node *n, enum place place)
{
    if (n->kind == NODE_OP) {
        look_at_operator(l, n, place);
    } else if (n->kind == NODE_ARRAY) {
        const struct node *item = n + 1;
        for (uint32_t i = 0; i < n->count; i++) {
            size_t back = path_index(&l->r->path, i);
            item = walk(l, item, place);
            path_back(&l->r->path, back);
        }
    }
    return n + n->span;
}

void lint_rule(struct lint *l, struct tree rule)
{
    if (rule.count == 0)
        return;
    const struct node *n = rule.nodes;
    bool has_conditions = is_operator(n, "if") || is_operator(n, "?:"); /* which are looked at */
    if (is_constant(n) && !has_conditions)
        lint_warn(l, "say it by the default, or ask for something of the context",
                  "the rule is the same for every context");
    else
        walk(l, n, IN_CONTEXT);
}
