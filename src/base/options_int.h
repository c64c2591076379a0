/* options_int.h - what the files of options share: where values come from and how one is set. */
#ifndef BASE_OPTIONS_INT_H
#define BASE_OPTIONS_INT_H

#include "base/arena.h"
#include "base/options.h"
#include "base/slice.h"

enum option_origin { FROM_NOWHERE, FROM_ARGUMENT, FROM_ENVIRONMENT, FROM_FILE, FROM_DEFAULT };

enum {
    OPTION_VALUES_MAX = 10000, /* of one option, and of words */
    OPTION_NAME_MAX = 63,
};

struct value_list {
    const char **items;
    size_t count, cap;
};

struct option_value { /* beside each option of the table */
    enum option_origin origin;
    struct value_list list; /* of a switch that is on: "true" */
    bool off;               /* a switch that was set to false, so that nothing behind may set it */
};

struct options {
    const struct option *table;
    size_t count;
    struct option_value *values;
    struct value_list words;
    struct arena arena; /* the text of all values */
};

/* Whether it is another command's, and here of the file alone. */
static inline bool option_is_elsewhere(const struct option *o)
{
    return !o->help;
}

/* Whether the option may stand without its value. */
static inline bool option_is_optional(const struct option *o)
{
    return o->arg && o->arg[0] == '[';
}

/* The option that a file's key or an argument names, '_' being as good as '-'; -1: none. */
int option_find(const struct options *o, struct slice name);

/* " (did you mean --store?)" for a name that is nearly one, else where to look. */
void option_suggest(const struct options *o, struct slice name, bool in_file, char *out,
                    size_t size);

/*
 * Give option `i` one more value. For a switch `text` is true, yes, on, 1 or their opposites.
 * Errors: EINVAL (given twice, no such truth, a NUL in it), ELIMIT, ENOMEM; the sentence says what
 * is wrong with the value and leaves it to the caller to say where.
 */
MUST_USE enum hoist_err option_add(struct options *o, size_t i, enum option_origin origin,
                                   struct slice text);

/* Read the YAML file at `path`, for options that have no value yet. ENOTFOUND (bare): there is no
 * such file. EACCES: this user may not read it. EINVAL: names file, line and column. */
MUST_USE enum hoist_err options_read_file(struct options *o, const char *path);

#endif
