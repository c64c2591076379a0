/* scope.h - what a rule finds beside the context's own attributes: `$flagd` and `$hoist`. */
#ifndef EVAL_SCOPE_H
#define EVAL_SCOPE_H

#include "eval/value.h"

/* Member `name` of the context as a whole, or of what it gains. False: there is no such thing. */
bool scope_member(const struct eval_ask *ask, enum value_kind of, struct slice name,
                  struct value *ret);

#endif
