/* upkeep.h - the pieces of store_tick(). Each does a bounded piece of its work in a transaction of
 * its own, opens none when there is nothing to do, and sets *ret_more when there is more at once.
 */
#ifndef STORE_UPKEEP_H
#define STORE_UPKEEP_H

#include "store/write_int.h"

enum { PIECE_ROWS = 4096, PIECE_BYTES = 4 << 20 };

/* commands.c: forget old answers. */
MUST_USE enum hoist_err commands_forget(struct store *s, int64_t now_ms, bool *ret_more);

/* cut.c: cut the logs of a few environments, in turn. */
MUST_USE enum hoist_err log_cut(struct store *s, int64_t now_ms, bool *ret_more);

/* gone.c: delete what is left of environments that nothing leads to. */
MUST_USE enum hoist_err gone_delete(struct store *s, bool *ret_more);

/* held.c: whether this program can read what the one before held back; once after the start. */
MUST_USE enum hoist_err held_retry(struct store *s, bool *ret_more);

#endif
