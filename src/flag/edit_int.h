/* edit_int.h - private to src/flag: the parts of `set`. */
#ifndef FLAG_EDIT_INT_H
#define FLAG_EDIT_INT_H

#include "flag/edit.h"

struct mend { /* what to do about a refusal */
    char *text;
    size_t size;
};

void mend_set(struct mend m, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The variant that is meant: by its name, or by true, false, on or off where one variant alone has
 * that value. EINVAL. */
MUST_USE enum hoist_err edit_choose_variant(const struct flag *f, struct slice value,
                                            struct mend mend, int32_t *ret);

/* Make a share of the traffic of `f`, the wish's own copy, get the wish's value. */
MUST_USE enum hoist_err edit_share(struct flag *f, const struct flag_wish *wish, struct mend mend);

#endif
