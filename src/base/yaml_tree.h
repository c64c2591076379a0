/* yaml_tree.h - a YAML document as a tree, each part of which knows where it stands.
 *
 * Laid flat, in prefix order, as in flag/tree.h: a subtree is `span` items in a row, its first child
 * right behind it. Scalars are text, whatever they look like: what a field wants of it, it reads
 * itself. Strict: one document; anchors, aliases, tags, keys that are no text, keys that are there
 * twice, and control characters are complained of. (libyaml only here and in options_file.c.)
 */
#ifndef BASE_YAML_TREE_H
#define BASE_YAML_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum { YAML_TEXT_MAX = 256 << 10, YAML_ITEMS_MAX = 8192, YAML_DEPTH_MAX = 48 };

enum yaml_kind {
    YAML_WORD, /* a scalar */
    YAML_LIST, /* `count` subtrees follow */
    YAML_MAP,  /* `count` pairs follow: a YAML_WORD or YAML_BAD, then a subtree */
    YAML_BAD,  /* was complained of: nothing more need be said of it */
};

struct yaml_item {
    uint8_t kind;
    bool quoted;           /* or a block of text: not to be read as a number, true or null */
    uint32_t line, column; /* from 1 on, in characters */
    uint32_t count, span;  /* span ≥ 1: itself is among them */
    struct slice text;     /* YAML_WORD: UTF-8 with no control characters but tabs and newlines */
};

/* Whom to tell what is wrong, and what to do about it. */
struct yaml_complaints {
    void (*tell)(void *arg, uint32_t line, uint32_t column, const char *mend, const char *message);
    void *arg;
};

/*
 * Gives:   *ret_items, in `arena`; *ret_count 0 where the document is empty.
 * Errors:  EINVAL  it is no YAML, or over a limit: that was told, and there is no tree
 *          ENOMEM
 *          What else is wrong is told, and the rest of the tree is given.
 */
MUST_USE enum hoist_err yaml_tree_read(struct slice text, struct arena *arena,
                                       const struct yaml_complaints *complaints,
                                       struct yaml_item **ret_items, uint32_t *ret_count);

/* Nothing was written where a value could stand: `key:`, `~` or `null`. */
bool yaml_is_nothing(const struct yaml_item *item);

/* The value of `key` in a map, or NULL. */
const struct yaml_item *yaml_find(const struct yaml_item *map, struct slice key);

#endif
