/* context.h - who is asking: attributes by name, built once and used for many evaluations.
 *
 * Attributes are sorted by name. Each is one block of memory, so that setting one anew frees what
 * it was. Threads: one may build it; any number may evaluate with it meanwhile it stays as it is.
 */
#ifndef EVAL_CONTEXT_H
#define EVAL_CONTEXT_H

#include "base/err.h"
#include "base/slice.h"
#include "flag/tree.h"

struct attribute {
    struct slice name;
    struct node *value; /* and what is in it; owns the block that all of this is in */
};

struct hoist_ctx { /* all zero: empty */
    struct attribute *attributes;
    uint32_t count, cap;
};

enum {
    CTX_ATTRIBUTES_MAX = 4096,
    CTX_JSON_MAX = 1 << 20, /* bytes of a context as JSON */
};

void ctx_done(struct hoist_ctx *c);

/*
 * Set attribute `name` to a copy of `value`.
 *
 * Errors:  EINVAL  the name or a text is not UTF-8
 *          ELIMIT  more than CTX_ATTRIBUTES_MAX, or CTX_JSON_MAX bytes in one
 *          ENOMEM
 */
MUST_USE enum hoist_err ctx_set(struct hoist_ctx *c, struct slice name, struct tree value);

/* Of one node: text, a number, true … */
MUST_USE enum hoist_err ctx_set_node(struct hoist_ctx *c, struct slice name, struct node value);

/* Set every member of the JSON object `json`, all of them or none. Errors as above, and EINVAL with
 * line and column where it is not JSON, or no object. */
MUST_USE enum hoist_err ctx_set_json(struct hoist_ctx *c, struct slice json);

/* Set every member of `object`, all of them or none. EINVAL when it is no object. */
MUST_USE enum hoist_err ctx_set_tree(struct hoist_ctx *c, struct tree object);

/* Take `name` away, if it is there. */
void ctx_unset(struct hoist_ctx *c, struct slice name);

/* The value of `name`, or NULL. `c` may be NULL. */
static inline const struct node *ctx_find(const struct hoist_ctx *c, struct slice name)
{
    uint32_t low = 0, high = c ? c->count : 0;
    while (high - low > 8) { /* then one by one, which takes fewer compares of text */
        uint32_t mid = low + (high - low) / 2;
        if (slice_cmp(name, c->attributes[mid].name) < 0)
            high = mid;
        else
            low = mid;
    }
    for (; low < high; low++)
        if (slice_same(c->attributes[low].name, name))
            return c->attributes[low].value;
    return NULL;
}

#endif
