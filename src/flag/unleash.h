/* unleash.h - Unleash's features as flags.
 *
 * A feature becomes a boolean flag of its name, with the variants on and off: what isEnabled() says.
 * If it has variants it becomes a second flag as well, NAME.variant, whose values are the payloads:
 * what getVariant() says. docs/migrating.md tells all of it.
 */
#ifndef FLAG_UNLEASH_H
#define FLAG_UNLEASH_H

#include "flag/flag.h"

/*
 * Read the answer of Unleash's /api/client/features.
 *
 * A flag answers each context of strings and numbers as Unleash's own SDK answers it. What no rule
 * can say that exactly is a problem, unless `approximate`: then it is mapped to what comes near, and
 * `changes` gets the place, what is different, and (in the mend) whose answers change. Some things
 * have nothing that comes near, and are a problem always.
 *
 * Gives:   *ret_file, to be freed.
 * Errors:  EINVAL  with *problems filled: all of them, not the first; *ret_file untouched
 *          ENOMEM
 */
MUST_USE enum hoist_err unleash_read(struct slice json, bool approximate,
                                     struct flag_file **ret_file, struct problems *problems,
                                     struct problems *changes);

#endif
