/* query_eval.h - evaluating flags as a store has them at one version. Private to the room. */
#ifndef PRIMARY_QUERY_EVAL_H
#define PRIMARY_QUERY_EVAL_H

#include "eval/eval.h"
#include "store/store.h"

struct asker { /* all zero but `r` and `env`: nobody in particular, at the head */
    struct store_read *r;
    struct store_env env;
    uint64_t at; /* the version; 0: the head */
    const struct hoist_ctx *ctx;
    int64_t now_s;
    uint32_t depth, asked; /* of flags that are required */
};

/* The record of flag `key` at the asker's version, as this host evaluates it. ENOTFOUND. */
MUST_USE enum hoist_err asker_find(const struct asker *a, struct slice key, struct slice *ret);

/* What `f` yields; how it came to that is added to `explain`, unless NULL. A rule that cannot be
 * compiled yields ERROR, PARSE_ERROR. */
struct eval_result asker_eval(struct asker *a, const struct flag *f, struct buf *explain);

#endif
