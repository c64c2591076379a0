/* record_int.h - what record_encode.c, record_decode.c and record_tree.c share. */
#ifndef WIRE_RECORD_INT_H
#define WIRE_RECORD_INT_H

#include "base/arena.h"
#include "flag/tree.h"
#include "wire/mp.h"

/* The first element of a node that is not a scalar. Numbers are on disk: add at the end, and with a
 * new RECORD_MAJOR. */
enum record_node {
    RECORD_ARRAY = 1,
    RECORD_OBJECT = 2,
    RECORD_OP = 3,
    RECORD_OP_BARE = 4,
    RECORD_REF = 5,
};

/* What may stand in a tree. */
enum tree_use {
    TREE_VALUE, /* JSON only, and an array or object at the top */
    TREE_RULE,  /* operators and $refs too */
};

/* One scalar: nil, a boolean, a finite number, or text, which is copied into `arena`. Failures
 * stick in `r`. */
void scalar_get(struct mp_reader *r, struct arena *arena, struct node *ret);

/* A tree, spans and all, in `arena`. Failures stick in `r`. */
void tree_get(struct mp_reader *r, struct arena *arena, enum tree_use use, struct tree *ret);

/* `count` × `size` bytes of `arena`, zeroed; NULL, and the reader failed, when memory is out. */
void *piece_get(struct mp_reader *r, struct arena *arena, size_t count, size_t size);

/* Text of at most `max` bytes, copied into `arena`. Failures stick in `r`. */
struct slice text_get(struct mp_reader *r, struct arena *arena, size_t max);

#endif
