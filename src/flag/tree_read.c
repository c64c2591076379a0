/* JSON values and rules, laid flat. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/read_int.h"

/* JSONLogic's operators, and flagd's own. */
static const char *const operators[] = {"!",           "!!",
                                        "!=",          "!==",
                                        "%",           "*",
                                        "+",           "-",
                                        "/",           "<",
                                        "<=",          "==",
                                        "===",         ">",
                                        ">=",          "?:",
                                        "all",         "and",
                                        "cat",         "if",
                                        "in",          "filter",
                                        "map",         "max",
                                        "merge",       "min",
                                        "missing",     "or",
                                        "none",        "reduce",
                                        "some",        "substr",
                                        "var",         "missing_some",
                                        "fractional",  "sem_ver",
                                        "starts_with", "ends_with",
                                        NULL};

/* ------------------------------------------------------------------ nodes */

/* Something is over a limit: said once a tree, and the rest of it is not looked at. */
static void overflow(struct reader *r, const char *what, uint32_t most)
{
    if (r->overflow)
        return;
    r->overflow = true;
    complain(r, "make it smaller, or split the flag", "%s: %u at most", what, most);
}

/* Room for `more` nodes on levels up to `level`. */
static bool reserve(struct reader *r, uint32_t more, uint32_t level)
{
    if (r->overflow || r->no_memory)
        return false;
    if (level > TREE_DEPTH_MAX) {
        overflow(r, "too many levels", TREE_DEPTH_MAX);
        return false;
    }
    if (more > TREE_NODES_MAX - r->node_count) {
        overflow(r, "too many values, keys and operators together", TREE_NODES_MAX);
        return false;
    }
    if (level > r->deepest)
        r->deepest = level;
    uint32_t need = r->node_count + more, cap = r->node_cap ? r->node_cap : 64;
    while (cap < need)
        cap *= 2;
    if (cap == r->node_cap)
        return true;
    struct node *grown = mem_realloc(r->nodes, cap * sizeof *grown);
    if (!grown) {
        r->no_memory = true;
        return false;
    }
    r->nodes = grown;
    r->node_cap = cap;
    return true;
}

static bool add(struct reader *r, struct node n, uint32_t level)
{
    if (!reserve(r, 1, level))
        return false;
    n.span = 1;
    r->nodes[r->node_count++] = n;
    return true;
}

/* All that was added behind node `at` belongs to it. */
static void close_node(struct reader *r, uint32_t at)
{
    r->nodes[at].span = r->node_count - at;
}

/* ------------------------------------------------------------------ values */

static void put(struct reader *r, const json_t *v, enum tree_kind kind, uint32_t level);

struct node scalar_read(const json_t *v)
{
    struct node n = {.span = 1};
    switch (json_typeof(v)) {
    case JSON_STRING:
        n.kind = NODE_STRING;
        n.text = json_text(v);
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        n.kind = NODE_NUMBER;
        n.number = json_number_value(v);
        break;
    case JSON_TRUE:
        n.kind = NODE_TRUE;
        break;
    case JSON_FALSE:
        n.kind = NODE_FALSE;
        break;
    default:
        n.kind = NODE_NULL;
    }
    return n;
}

static void put_items(struct reader *r, const json_t *array, enum tree_kind kind, uint32_t level)
{
    for (size_t i = 0; i < json_array_size(array) && !r->overflow; i++) {
        size_t back = path_index(&r->path, i);
        put(r, json_array_get(array, i), kind, level);
        path_back(&r->path, back);
    }
}

static void put_array(struct reader *r, const json_t *v, enum tree_kind kind, uint32_t level)
{
    uint32_t at = r->node_count;
    struct node n = {.kind = NODE_ARRAY, .count = (uint32_t)json_array_size(v)};
    if (!add(r, n, level))
        return;
    put_items(r, v, kind, level + 1);
    close_node(r, at);
}

struct member {
    struct slice key;
    const json_t *value;
};

static int by_key(const void *a, const void *b)
{
    return slice_cmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* The members of `object`, sorted; to be freed. */
static struct member *sort_members(struct reader *r, const json_t *object, uint32_t count)
{
    struct member *members = mem_alloc(count * sizeof *members);
    if (!members) {
        r->no_memory = true;
        return NULL;
    }
    uint32_t i = 0;
    for (void *it = json_object_iter((json_t *)object); it;
         it = json_object_iter_next((json_t *)object, it))
        members[i++] =
            (struct member){slice_str(json_object_iter_key(it)), json_object_iter_value(it)};
    qsort(members, count, sizeof *members, by_key);
    return members;
}

/* Data, and all in it: JSONLogic looks for operators only where an object has exactly one key. */
static void put_object(struct reader *r, const json_t *v, uint32_t level)
{
    size_t count = json_object_size(v);
    uint32_t at = r->node_count;
    if (count > TREE_NODES_MAX / 2) { /* before sorting what will not be taken */
        overflow(r, "too many keys", TREE_NODES_MAX / 2);
        return;
    }
    if (!add(r, (struct node){.kind = NODE_OBJECT, .count = (uint32_t)count}, level))
        return;
    struct member *members = sort_members(r, v, (uint32_t)count);
    for (size_t i = 0; members && i < count && !r->overflow; i++) {
        size_t back = path_key(&r->path, members[i].key);
        if (add(r, (struct node){.kind = NODE_STRING, .text = members[i].key}, level + 1))
            put(r, members[i].value, TREE_VALUE, level + 1);
        path_back(&r->path, back);
    }
    mem_free(members);
    close_node(r, at);
}

/* ------------------------------------------------------------------ rules */

static void check_operator(struct reader *r, struct slice name)
{
    char mend[128] =
        "the operators are JSONLogic's, starts_with, ends_with, sem_ver and fractional";
    if (is_one_of(name, operators))
        return;
    const char *near = near_word(name, operators);
    if (near)
        snprintf(mend, sizeof mend, "did you mean \"%s\"?", near);
    complain(r, mend, "there is no operator \"%s\"", show(name).text);
}

static void put_op(struct reader *r, struct slice name, const json_t *args, uint32_t level)
{
    uint32_t at = r->node_count;
    bool bare = !json_is_array(args);
    struct node n = {.kind = NODE_OP,
                     .bare = bare,
                     .count = bare ? 1 : (uint32_t)json_array_size(args),
                     .text = name};
    check_operator(r, name);
    if (!add(r, n, level))
        return;
    if (bare)
        put(r, args, TREE_RULE, level + 1);
    else
        put_items(r, args, TREE_RULE, level + 1);
    close_node(r, at);
}

static const struct evaluator *find_evaluator(const struct reader *r, struct slice name)
{
    for (uint32_t low = 0, high = r->evaluator_count; low < high;) {
        uint32_t mid = low + (high - low) / 2;
        int order = slice_cmp(name, r->evaluators[mid].name);
        if (order == 0)
            return &r->evaluators[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* {"$ref": name}: the rule itself stands behind its name, so that no evaluation looks it up. */
static void put_ref(struct reader *r, const json_t *name, uint32_t level)
{
    if (!json_is_string(name)) {
        complain(r, "write {\"$ref\": \"NAME\"}", "$ref is %s, not a name", json_type_word(name));
        return;
    }
    if (r->in_evaluator) {
        complain(r, "write the rule itself in its place", "a $ref within $evaluators");
        return;
    }
    const struct evaluator *e = find_evaluator(r, json_text(name));
    if (!e) {
        complain(r, "add it to $evaluators, or mend the name", "there is no evaluator \"%s\"",
                 show(json_text(name)).text);
        return;
    }
    uint32_t at = r->node_count;
    struct node n = {.kind = NODE_REF, .count = 1, .text = json_text(name)};
    if (!add(r, n, level) || !reserve(r, e->rule.count, level + e->depth) || e->rule.count == 0)
        return;
    memcpy(r->nodes + r->node_count, e->rule.nodes, e->rule.count * sizeof *r->nodes);
    r->node_count += e->rule.count;
    close_node(r, at);
}

static void put_rule(struct reader *r, const json_t *object, uint32_t level)
{
    void *it = json_object_iter((json_t *)object);
    struct slice name = slice_str(json_object_iter_key(it));
    const json_t *args = json_object_iter_value(it);
    size_t back = path_key(&r->path, name);
    if (slice_eq(name, SLICE("$ref")))
        put_ref(r, args, level);
    else
        put_op(r, name, args, level);
    path_back(&r->path, back);
}

/* Goes no deeper than TREE_DEPTH_MAX. */
static void put(struct reader *r, const json_t *v, enum tree_kind kind, uint32_t level)
{
    if (json_is_array(v))
        put_array(r, v, kind, level);
    else if (!json_is_object(v))
        add(r, scalar_read(v), level);
    else if (kind == TREE_RULE && json_object_size(v) == 1)
        put_rule(r, v, level);
    else
        put_object(r, v, level);
}

struct tree tree_read(struct reader *r, const json_t *v, enum tree_kind kind)
{
    size_t before = r->problems->total;
    r->node_count = 0;
    r->deepest = 0;
    r->overflow = false;
    put(r, v, kind, 1);
    if (r->no_memory || r->problems->total != before)
        return (struct tree){0};
    return (struct tree){r->nodes, r->node_count};
}
