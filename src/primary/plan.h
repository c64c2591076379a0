/* plan.h - the edits that a change would make, found and checked before the first is put.
 *
 * A plan compares what is asked with what the store has: equal flags are left out, overrides are
 * kept, records that a newer program wrote are left alone. Then it is checked as a whole: limits,
 * and that no flag is left requiring what is not there.
 */
#ifndef PRIMARY_PLAN_H
#define PRIMARY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "flag/flag.h"
#include "store/store.h"

enum plan_what { PLAN_CREATE, PLAN_CHANGE, PLAN_DELETE, PLAN_SAME /* as it is */ };

struct plan_item {
    enum plan_what what;
    struct slice key;
    struct slice before; /* borrowed from the transaction until something is put into it */
    struct slice record; /* of the plan's arena */
    bool requires;       /* the new flag requires others */
    bool lost_variant;   /* the old one had a variant that the new one has not */
};

struct plan_names { /* keys to be named in the answer, borrowed from the plan */
    struct slice *keys;
    size_t count, cap;
};

struct plan {
    struct store_read *r;
    const struct store_env *env;
    struct plan_item *items; /* sorted by key after plan_check() or plan_sort() */
    size_t count, cap;
    struct plan_names kept; /* overrides kept */
    struct plan_names
        dropped;       /* overrides of flags deleted before, which the new one cannot have */
    struct slice near; /* set: an existing key that the new one may be a slip of */
    struct arena arena;
    struct buf scratch;
};

void plan_begin(struct plan *p, struct store_read *r, const struct store_env *env);
void plan_done(struct plan *p);

/* A record decoded for editing, to be freed. EVERSION: it has elements that this version does not know,
 * and would lose. */
MUST_USE enum hoist_err plan_decode(struct slice key, struct slice record, struct flag **ret);

/* The flag that is there under `key`, decoded, to be freed; NULL in *ret where there is none.
 * EVERSION: it has elements that this version does not know, so that it cannot be edited. */
MUST_USE enum hoist_err plan_present(struct plan *p, struct slice key, struct flag **ret);

/* Make the flag `want` be there; its override gives way to the one that is there. Changes
 * want->override. Errors: EINVAL (the override's variant would go), EVERSION, ELIMIT, ENOMEM, EIO,
 * ECORRUPT. */
MUST_USE enum hoist_err plan_put(struct plan *p, struct flag *want);

/* Let the flag be gone, which is there. */
MUST_USE enum hoist_err plan_delete(struct plan *p, struct slice key);

/* Let the flag have this very record, or with NULL be gone; what is so already is left out. */
MUST_USE enum hoist_err plan_record(struct plan *p, struct slice key, const struct slice *record);

/* Let the flag be as it was at `version`, or not be there; the override that it has now stays, unless
 * `with_overrides`. A flag that is overridden and was not there then, or not with that variant, is left
 * as it is, and named in `left` (of the plan): what it yields must not change. */
MUST_USE enum hoist_err plan_back(struct plan *p, struct slice key, uint64_t version,
                                  bool with_overrides, struct plan_names *left);

/* Let `keys` be edited although each stays as it is, there or not: a rollback names all flags of what
 * it undoes. None of them is added where the change would become too large. */
MUST_USE enum hoist_err plan_same(struct plan *p, const struct plan_names *keys);

/* Whether the plan has an edit of `key`; before plan_check() or plan_sort(), by looking at all. */
bool plan_has(const struct plan *p, struct slice key);

/* One more name for the answer; borrowed. */
MUST_USE enum hoist_err plan_name(struct plan_names *n, struct slice key);

/* The variant that flag `key`, which is not there, was overridden to when it was deleted, if the
 * log still knows: deleting and creating anew must not undo a kill. Of the plan; empty: none. */
MUST_USE enum hoist_err plan_deleted_override(struct plan *p, struct slice key, struct slice *ret);

/* For what nothing may hold back: the order that plan_check() makes, and no check. */
void plan_sort(struct plan *p);

/* The whole of it. Errors: ELIMIT and EINVAL (what requires what), with the mend in ret_mend; ENOMEM,
 * EIO, ECORRUPT. */
MUST_USE enum hoist_err plan_check(struct plan *p, bool force, char *ret_mend, size_t mend_size);

/* The part of plan_check() that looks at `requires`: nothing dangling, no cycle. */
MUST_USE enum hoist_err plan_check_requires(struct plan *p, char *ret_mend, size_t mend_size);

/* The item of `key`, or NULL; once they are sorted. */
const struct plan_item *plan_find(const struct plan *p, struct slice key);

/* The edits' bytes. */
MUST_USE enum hoist_err plan_edits(const struct plan *p, struct buf *out);

#endif
