/* condition.h - private to src/flag: a condition as it is typed in a shell. */
#ifndef FLAG_CONDITION_H
#define FLAG_CONDITION_H

#include "base/arena.h"
#include "flag/edit_int.h"

/*
 * The rule that `text` stands for, in `arena`: JSONLogic, an object; or ATTRIBUTE OPERATOR VALUE.
 *
 *   plan = pro                    != too; == as JavaScript compares
 *   age >= 18                     < <= > too; a number; an attribute that is missing is no match
 *   country in se, no, "10"       a list, or a JSON array
 *   email ends_with @example.com  starts_with too; always text
 *   version sem_ver >= 2.1.0      the operators of sem_ver; none is =
 *
 * VALUE is a number, true, false or null where it looks like one; in double quotes it is text.
 * Errors: EINVAL with the mend; ENOMEM.
 */
MUST_USE enum hoist_err condition_read(struct slice text, struct mend mend, struct arena *arena,
                                       struct tree *ret);

#endif
