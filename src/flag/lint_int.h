/* lint_int.h - private to src/flag: what is odd about the flags of a file, though it may be meant.
 *
 *   lint.c            keys, requirements, and the order of it all
 *   lint_rule.c       conditions, weights, the names of attributes
 *   lint_outcome.c    which variants a rule can yield
 */
#ifndef FLAG_LINT_INT_H
#define FLAG_LINT_INT_H

#include "flag/read_int.h"

struct attribute { /* a place where one is named */
    struct slice name;
    char *path;
    size_t order;
};

struct lint {
    struct reader *r; /* for the path */
    struct problems *warnings;
    struct attribute *attributes;
    size_t attribute_count, attribute_cap;
    bool no_memory;
};

/* A warning at the path. */
void lint_warn(struct lint *l, const char *mend, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What may be odd within a rule, at the path. */
void lint_rule(struct lint *l, struct tree rule);
/* And within all rules together. */
void lint_attributes(struct lint *l);

/* What is odd about a flag's rule as a way to its variants. */
void lint_outcome(struct lint *l, const struct flag *f);

/* Whether every context makes it true, or none does. */
enum truth { TRUTH_UNKNOWN, TRUTH_NEVER, TRUTH_ALWAYS };
enum truth rule_truth(const struct node *n);

bool is_operator(const struct node *n, const char *name);

/* The path of argument `index` of operator `n`; path_back() takes the answer. */
size_t path_argument(struct path *p, const struct node *n, uint32_t index);

#endif
