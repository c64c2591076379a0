/* query_usage.h - what the two questions about evaluations share. Private to the room. */
#ifndef PRIMARY_QUERY_USAGE_H
#define PRIMARY_QUERY_USAGE_H

#include "primary/query_int.h"
#include "usage/counts.h"
#include "usage/row.h"

/* Since when is counted. False: nothing is here, which is answered. */
MUST_USE bool usage_since(struct store_read *r, int64_t *ret_ms, struct buf *out,
                          uint32_t *ret_exit);

/* What is kept of flag `key`, to be done with; an empty row where that is nothing. */
MUST_USE enum hoist_err usage_of(struct store_read *r, const struct store_env *env,
                                 struct slice key, struct usage_row *ret);

void usage_put_time(struct json_writer *w, const char *name, int64_t s); /* 0 is null */
void usage_put_variant(struct json_writer *w, struct slice name);        /* an empty one is null */

#endif
