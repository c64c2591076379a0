/* denials.h - what was denied: counted, logged, and kept in the store for who audits.
 *
 * Whoever is denied can come again as often as they like, so no more than DENIALS_PER_SECOND are
 * logged and kept, and they cost the writer one transaction a second; all are counted.
 */
#ifndef PRIMARY_DENIALS_H
#define PRIMARY_DENIALS_H

#include "base/err.h"
#include "base/slice.h"
#include "store/store.h"

enum { DENIALS_PER_SECOND = 10 };

struct denial {
    const char *who, *command, *role, *why;
    struct slice env, key; /* empty: of none */
};

struct denials;

MUST_USE enum hoist_err denials_new(struct denials **ret);
void denials_free(struct denials *d);

/* Any thread. `d` may be NULL: then it is counted alone. */
void denials_add(struct denials *d, const struct denial *x);

/* Write what waits, in a transaction of its own. What cannot be written waits on, and what comes when
 * too much waits is left out. The writer's thread. */
MUST_USE enum hoist_err denials_write(struct denials *d, struct store *s);

#endif
