/* ledger.h - the fleet's hosts in the store, so that a primary that starts knows whom it has not
 * heard yet.
 *
 * Who a host is (labels, software, what it follows) is written when that changes, when it was last
 * heard as soon as it has fallen silent; what it says every 2 seconds is not, since it will say so
 * again. For the writer's thread.
 */
#ifndef PRIMARY_LEDGER_H
#define PRIMARY_LEDGER_H

#include "primary/fleet.h"

/* Read what was kept, into a fleet that is empty yet. For 10 s from now on they all count as live.
 * A row that cannot be read is left out, and said so. Errors: EIO, ENOMEM, ECORRUPT, EAGAIN. */
MUST_USE enum hoist_err ledger_load(struct fleet *f, struct store *s, int64_t mono_ns);

/* Write what is due, a bounded piece in one transaction; none when nothing is. An error leaves it
 * all due. *ret_more is set when there is more to do at once, and else left as it is. */
MUST_USE enum hoist_err ledger_tick(struct fleet *f, struct store *s, bool *ret_more);

/* Write all that is due, of every host, for a primary that ends. An error leaves the rest due. */
MUST_USE enum hoist_err ledger_finish(struct fleet *f, struct store *s);

#endif
