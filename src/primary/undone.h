/* undone.h - which changes of an environment's log are in force, and which a rollback has undone.
 *
 * A rollback restores, for the flags that it edits, the state at an earlier version; it edits those that
 * are so already, too. It undoes each change behind that version whose flags are all among those; also an earlier rollback, whose
 * effect is then gone. Seen from the head backwards, each change meets the rollbacks behind it
 * first.
 */
#ifndef PRIMARY_UNDONE_H
#define PRIMARY_UNDONE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct key_list { /* sorted, distinct, borrowed from the transaction */
    struct slice *keys;
    size_t count, cap;
};

void key_list_done(struct key_list *l);
MUST_USE enum hoist_err key_list_add(struct key_list *l, struct slice key); /* at the end */
void key_list_sort(struct key_list *l);
/* Where `key` is; -1: nowhere. */
ptrdiff_t key_list_find(const struct key_list *l, struct slice key);

struct undoing; /* a rollback in force */

struct undone_walk {
    struct store_read *r;
    const struct store_env *env;
    uint64_t next; /* the version that is looked at next; 0: none */
    struct undoing *undoing;
    size_t count, cap;
};

/* Begin at the head. */
void undone_begin(struct undone_walk *w, struct store_read *r, const struct store_env *env);
void undone_end(struct undone_walk *w);

/*
 * The next older change that somebody made and that is in force: rollbacks, kills, restores and
 * what has no edits are passed over, and so is what was undone. `ret` is borrowed from the
 * transaction. ENOTFOUND: the log begins here.
 */
MUST_USE enum hoist_err undone_next(struct undone_walk *w, struct change *ret);

#endif
