/* host.h - what a store says of its host: its id and labels, for rules that look at `$hoist`.
 *
 * Texts, each ended with a NUL: the id, then a label as NAME=VALUE, sorted by name.
 */
#ifndef EVAL_HOST_H
#define EVAL_HOST_H

#include "base/arena.h"
#include "base/buf.h"
#include "eval/eval.h"

/* Appends that; of two labels of one name the last counts. EINVAL: a label without a name or '='. */
MUST_USE enum hoist_err host_write(struct slice id, const char *const *labels, size_t label_count,
                                   struct buf *out);

/* Copies into `arena`. What cannot be read is left out. ENOMEM. */
MUST_USE enum hoist_err host_read(struct slice about, struct arena *arena, struct eval_host *ret);

#endif
