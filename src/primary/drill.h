/* drill.h - changes that try the way back: kills and rollbacks of one flag that no program reads, which
 * `flagctl drill` makes. They are measured by themselves. */
#ifndef PRIMARY_DRILL_H
#define PRIMARY_DRILL_H

#include "store/store.h"
#include "wire/change.h"

#define DRILL_FLAG "hoist.drill"

/* Whether it killed or rolled back that flag and no other. */
bool drill_is(const struct change *c);

/* When the last one of the environment's log was, by the wall clock; 0: there is none. */
int64_t drill_last_ms(struct store_read *r, const struct store_env *env);

#endif
