/* flag_int.h - private to src/flag: names, numbers and copies of trees. */
#ifndef FLAG_FLAG_INT_H
#define FLAG_FLAG_INT_H

#include "flag/flag.h"

/* EINVAL unless `name` could be a key; the sentence begins with `what`. */
MUST_USE enum hoist_err name_check(struct slice name, const char *what);

/* *ret becomes a copy of `t` in `arena`, its texts with it. */
MUST_USE enum hoist_err tree_copy(struct arena *arena, struct tree t, struct tree *ret);

/* A number as JSON spells it, and whether a double holds it as it was meant. */
enum number_fault {
    NUMBER_FINE,
    NUMBER_NONE,      /* not a JSON number */
    NUMBER_ROUNDED,   /* an integer beyond ±(2^53−1) */
    NUMBER_TOO_LARGE, /* beyond what a double can hold */
};

enum number_fault number_parse(struct slice text, double *ret);

/* "would be rounded: …", to stand behind the number; and the mend. */
const char *number_fault_text(enum number_fault fault);
const char *number_fault_mend(enum number_fault fault);

#endif
