/* edit.h - what `flagctl set` means: an old flag and a wish make a new flag. Pure. */
#ifndef FLAG_EDIT_H
#define FLAG_EDIT_H

#include "base/text.h" /* text_distance(), for near keys */
#include "flag/flag.h"

struct flag_wish {
    struct slice key;
    struct slice value;   /* as typed: a variant's name, or a value */
    enum hoist_type type; /* 0: not said */
    bool everyone;        /* drop the targeting */
    bool only_default;    /* move the default alone, keep the targeting */

    /* As typed; ptr NULL: not said. */
    struct slice percent;       /* so many get the value: 0 to 100, decimals allowed */
    struct slice by;            /* the attribute to divide by, where that is not targetingKey */
    struct slice only_if, also; /* a condition (condition.h): of those alone; all those, too */
};

/*
 * The flag that `flagctl set` asks for.
 *
 * old:     the present flag, or NULL: it is created. on/off/true/false make a boolean with variants
 *          on and off; --type T makes one variant called `value`, and a later value replaces it.
 * Gives:   *ret_new, to be freed; equal to `old` when there is nothing to change. Everybody gets
 *          the value, so a flag that was disabled is enabled, unless `only_default`. `override` and
 *          `requires` are kept.
 *          With `percent` a rule divides between the value's variant and one for the rest (the
 *          other of two, else the default; which the default then is, until everybody has the
 *          value). A rule of that shape is moved: `by`, `only_if` and `also` stay where they are not
 *          said anew, and whoever has the growing variant keeps it while that grows.
 * Errors:  EINVAL  with the sentence, and the mend in ret_mend (≥ 512 bytes, else ""): a value
 *                  of no type, no such variant (names the known), targeting in the way (the
 *                  three commands), no percentage, no condition
 *          ENOMEM
 */
MUST_USE enum hoist_err flag_edit_set(const struct flag *old, const struct flag_wish *wish,
                                      struct flag **ret_new, char *ret_mend, size_t mend_size);

/* A copy of `old` with that rule, or none (count 0). NULL: no memory. */
struct flag *flag_edit_targeting(const struct flag *old, struct tree rule);

/*
 * Give the `fractional` operators of `f` the weights that those of `of` have, one by one in the order
 * in which they stand: where both divide among the same variants by the same attribute, and both
 * flags have as many of them. True if that changed any.
 */
bool flag_keep_percentages(struct flag *f, const struct flag *of);

/* What plain flagd has no word for, to be added up. */
enum {
    PLAIN_OVERRIDE =
        1, /* written as what it yields: everybody gets the variant, the rule is gone */
    PLAIN_REQUIRES = 2, /* left out */
    PLAIN_HOIST = 4,    /* its rule looks at `$hoist`, which flagd does not fill in */
};

/* Turn `f` into a flag of plain flagd. Gives what is not as it was. */
unsigned flag_make_plain(struct flag *f);

/* A deep copy. NULL: no memory. */
struct flag *flag_copy(const struct flag *f);

#endif
