/* value_read.h - JSON text → a tree, for what programs hand over while they run: contexts.
 *
 * Flag files are read by jansson (read_int.h), on the primary and by flagctl. A context is read in
 * other people's programs and for each request. There jansson would be one more library to link,
 * one whose allocator the whole process shares, and it would build a tree of heap objects only for
 * us to copy it. This reads the text once, into nodes that lie in a row. It takes what RFC 8259
 * calls JSON, and nothing else.
 */
#ifndef FLAG_VALUE_READ_H
#define FLAG_VALUE_READ_H

#include "base/err.h"
#include "base/slice.h"
#include "flag/tree.h"

struct value_text { /* what a tree's nodes and texts live in */
    struct node *nodes;
    uint8_t *text;
};

/*
 * The value in `json`. Of a key that stands twice in an object the last value counts, as in
 * JavaScript. Numbers are doubles, whole ones beyond 2^53 rounded. Texts are not checked for UTF-8.
 *
 * Gives:   *ret, living in *ret_text, to be freed with value_done().
 * Errors:  EINVAL  with line and column: not JSON, a number beyond what a double holds
 *          ELIMIT  deeper than TREE_DEPTH_MAX, or more than TREE_NODES_MAX nodes
 *          ENOMEM
 */
MUST_USE enum hoist_err value_read(struct slice json, struct value_text *ret_text,
                                   struct tree *ret);
void value_done(struct value_text *t);

#endif
