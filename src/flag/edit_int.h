/* edit_int.h - private to src/flag: the parts of `set`. */
#ifndef FLAG_EDIT_INT_H
#define FLAG_EDIT_INT_H

#include "flag/edit.h"
#include "flag/read_int.h"

struct mend { /* what to do about a refusal */
    char *text;
    size_t size;
};

void mend_set(struct mend m, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The variant that is meant: by its name, or by true, false, on or off where one variant alone has
 * that value. EINVAL. */
MUST_USE enum hoist_err edit_choose_variant(const struct flag *f, struct slice value,
                                            struct mend mend, int32_t *ret);

/* EINVAL where it is not UTF-8, or has a NUL in it. */
MUST_USE enum hoist_err edit_check_text(struct slice text, struct mend mend);

/* The value, or the rule, that `text` is, in `arena`. `what` it is in a sentence; `like`: how one
 * looks. EINVAL, ENOMEM. */
MUST_USE enum hoist_err edit_read_json(struct slice text, enum tree_kind kind, const char *what,
                                       const char *like, struct mend mend, struct arena *arena,
                                       struct tree *ret);

/* Make a share of the traffic of `f`, the wish's own copy, get the wish's value. */
MUST_USE enum hoist_err edit_share(struct flag *f, const struct flag_wish *wish, struct mend mend);

#endif
