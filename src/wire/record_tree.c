#include <math.h>

#include "base/arena.h"
#include "flag/flag.h"
#include "wire/record_int.h"

/* A composite node whose children are still to come. */
struct open_node {
    uint32_t index;
    uint32_t left;    /* subtrees: items, arguments, or twice the pairs */
    bool object;      /* then an even `left` means that a key is next */
    struct slice key; /* the last one read, */
    bool keyed;       /* if there was one */
};

/* A tree being read. Its spans are filled in as nodes close. */
struct builder {
    struct mp_reader *r;
    struct arena *arena;
    enum tree_use use;
    struct node *nodes;
    uint32_t count;
    uint32_t at;            /* the node being read */
    uint64_t owed;          /* subtrees that were announced and did not come yet */
    uint32_t depth;         /* open nodes */
    struct open_node *open; /* TREE_DEPTH_MAX of them */
};

void *piece_get(struct mp_reader *r, struct arena *arena, size_t count, size_t size)
{
    void *piece = r->bad ? NULL : arena_alloc(arena, count, size);
    if (!piece && !r->bad)
        mp_no_memory(r);
    return piece;
}

struct slice text_get(struct mp_reader *r, struct arena *arena, size_t max)
{
    struct slice s = mp_text(r, max);
    if (!r->bad && arena_own(arena, &s) != HOIST_OK)
        mp_no_memory(r);
    return r->bad ? (struct slice){0} : s;
}

void scalar_get(struct mp_reader *r, struct arena *arena, struct node *ret)
{
    ret->span = 1;
    switch (mp_peek(r)) {
    case MP_NIL:
        ret->kind = NODE_NULL;
        if (!mp_try_nil(r))
            mp_fail(r, "it ends too early");
        break;
    case MP_BOOL:
        ret->kind = mp_bool(r) ? NODE_TRUE : NODE_FALSE;
        break;
    case MP_UINT:
    case MP_INT:
    case MP_FLOAT:
        ret->kind = NODE_NUMBER;
        ret->number = mp_double(r);
        if (!isfinite(ret->number))
            mp_fail(r, "a number that is not finite");
        break;
    case MP_STR:
        ret->kind = NODE_STRING;
        ret->text = text_get(r, arena, FLAG_RECORD_MAX);
        break;
    default:
        mp_fail(r, "an item of a type that no value has");
    }
}

/* A node that others follow: [kind, count] or [kind, count, name]. Returns the subtrees owed. */
static uint32_t composite_get(struct builder *b, struct node *ret)
{
    struct mp_reader *r = b->r;
    uint32_t size = mp_array(r, 3);
    uint32_t kind = mp_u32(r);
    bool named = kind >= RECORD_OP && kind <= RECORD_REF;
    ret->count = mp_u32(r);
    if (r->bad)
        return 0;
    if (kind < RECORD_ARRAY || kind > RECORD_REF)
        mp_fail(r, "a node of unknown kind");
    else if (size != (named ? 3 : 2))
        mp_fail(r, "a node with too few elements or too many");
    else if (named && b->use != TREE_RULE)
        mp_fail(r, "an operator in a value");
    else if (ret->count > TREE_NODES_MAX)
        mp_limit(r, "more nodes than allowed");
    else if ((kind == RECORD_OP_BARE || kind == RECORD_REF) && ret->count != 1)
        mp_fail(r, "a node that must have one child and has not");
    if (r->bad)
        return 0;
    if (named)
        ret->text = text_get(r, b->arena, FLAG_RECORD_MAX);

    static const uint8_t kinds[] = {[RECORD_ARRAY] = NODE_ARRAY,
                                    [RECORD_OBJECT] = NODE_OBJECT,
                                    [RECORD_OP] = NODE_OP,
                                    [RECORD_OP_BARE] = NODE_OP,
                                    [RECORD_REF] = NODE_REF};
    ret->kind = kinds[kind];
    ret->bare = kind == RECORD_OP_BARE;
    return kind == RECORD_OBJECT ? 2 * ret->count : ret->count;
}

/* Object keys are strings, sorted and distinct. */
static void key_check(struct builder *b, struct open_node *parent, const struct node *key)
{
    if (key->kind != NODE_STRING)
        mp_fail(b->r, "an object's key that is not text");
    else if (parent->keyed && slice_cmp(parent->key, key->text) >= 0)
        mp_fail(b->r, "an object's keys that are not sorted and distinct");
    else {
        parent->key = key->text;
        parent->keyed = true;
    }
}

/* Nodes whose last child was just read are whole. */
static void close_nodes(struct builder *b)
{
    while (b->depth > 0 && b->open[b->depth - 1].left == 0) {
        struct node *n = &b->nodes[b->open[b->depth - 1].index];
        n->span = b->at + 1 - b->open[b->depth - 1].index;
        b->depth--;
    }
}

static void node_get(struct builder *b)
{
    struct node *n = &b->nodes[b->at];
    uint32_t children = 0;
    if (b->depth == TREE_DEPTH_MAX) {
        mp_limit(b->r, "nodes nested deeper than allowed");
        return;
    }
    if (mp_peek(b->r) == MP_ARRAY)
        children = composite_get(b, n);
    else
        scalar_get(b->r, b->arena, n);
    if (b->r->bad)
        return;

    if (b->depth > 0) {
        struct open_node *parent = &b->open[b->depth - 1];
        if (parent->object && parent->left % 2 == 0)
            key_check(b, parent, n);
        parent->left--;
    }
    b->owed = b->owed - 1 + children;
    if (b->owed > b->count - b->at - 1) {
        mp_fail(b->r, "a node that claims more children than there are");
        return;
    }
    if (children > 0)
        b->open[b->depth++] =
            (struct open_node){.index = b->at, .left = children, .object = n->kind == NODE_OBJECT};
    else {
        n->span = 1;
        close_nodes(b);
    }
}

void tree_get(struct mp_reader *r, struct arena *arena, enum tree_use use, struct tree *ret)
{
    uint32_t count = mp_array(r, TREE_NODES_MAX);
    if (!r->bad && count == 0)
        mp_fail(r, "a tree without nodes");
    struct open_node open[TREE_DEPTH_MAX]; /* not zeroed: most trees need few of them */
    struct builder b = {
        .r = r, .arena = arena, .use = use, .count = count, .owed = 1, .open = open};
    b.nodes = piece_get(r, arena, count, sizeof *b.nodes);
    for (; b.at < count && !r->bad; b.at++) {
        if (b.owed == 0)
            mp_fail(r, "nodes behind the end of a tree");
        else
            node_get(&b);
    }
    if (r->bad)
        return;
    if (use == TREE_VALUE && b.nodes[0].kind != NODE_ARRAY && b.nodes[0].kind != NODE_OBJECT)
        mp_fail(r, "an object's value that is neither array nor object");
    *ret = (struct tree){b.nodes, count};
}
