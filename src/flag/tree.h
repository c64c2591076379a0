/* tree.h - a JSON value, laid flat: its nodes in prefix order.
 *
 * Variant values of type object, targeting rules and metadata are trees. Nothing recurses over
 * pointers: a subtree is `span` nodes in a row, and its first child stands right behind it. Text is
 * borrowed from whoever made the tree (an arena, a record).
 */
#ifndef FLAG_TREE_H
#define FLAG_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum node_kind {
    NODE_NULL,
    NODE_FALSE,
    NODE_TRUE,
    NODE_NUMBER,
    NODE_STRING,
    NODE_ARRAY,  /* `count` items follow */
    NODE_OBJECT, /* `count` pairs follow: a NODE_STRING, then a subtree; keys sorted, distinct */
    NODE_OP,     /* a rule's operator `text`; `count` arguments follow */
    NODE_REF,    /* {"$ref": text}; one subtree follows: the rule it stood for when it was read */
};

struct node {
    uint8_t kind;
    bool bare;      /* NODE_OP: written {"op": x}, not {"op": [x]} */
    uint32_t count; /* children, as the kind says */
    uint32_t span;  /* nodes of this subtree, itself among them: ≥ 1 */
    union {
        double number;     /* NODE_NUMBER: finite */
        struct slice text; /* NODE_STRING, NODE_OP, NODE_REF */
    };
};

struct tree {
    struct node *nodes;
    uint32_t count; /* 0: no tree at all */
};

enum { TREE_DEPTH_MAX = 64, TREE_NODES_MAX = 16384 };

#endif
