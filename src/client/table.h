/* table.h - the flags of a handle by key. They are added and never taken away until the handle is
 * closed, so finding one takes no lock.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include "base/slice.h"
#include "client/client_int.h"

/* Once per process, before the others: keys are hashed with a secret, since users may choose them.
 */
void table_init(void);

uint64_t table_hash(struct slice key);

/* NULL: it is not in there. */
hoist_flag *table_find(hoist *h, struct slice key, uint64_t hash);

/* Why a flag is added. */
enum table_why {
    TABLE_BOUND,   /* the program asked for it */
    TABLE_READ,    /* it was read, and there is such a flag */
    TABLE_MISSING, /* it was read, and there is none. A program may read keys that its own users
                    * make up, so there is a limit to these */
};

/*
 * Find or add. NULL: memory is out, or (but for TABLE_BOUND) there are too many, or somebody else
 * is adding one: a read does not wait for that.
 */
hoist_flag *table_add(hoist *h, struct slice key, uint64_t hash, enum table_why why);

/* Call `each` for all flags. */
void table_each(hoist *h, void (*each)(hoist_flag *f));

void table_done(hoist *h);

#endif
