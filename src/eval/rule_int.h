/* rule_int.h - private to src/eval: a compiled rule, and what its operators are.
 *
 *   targeting ──compile.c──▶ steps ──run.c──▶ value
 *                              │ the operators: run.c (lazy), math.c, lists.c, texts.c, lookup.c,
 *                              ▼ fractional.c, semver.c
 *
 * Steps stand in prefix order like the nodes they come from: an operator, then its arguments. What
 * is constant is one step, whose value is ready; so is a `var` whose path is.
 */
#ifndef EVAL_RULE_INT_H
#define EVAL_RULE_INT_H

#include "eval/value.h"

enum step_kind { STEP_LITERAL, STEP_LIST, STEP_VAR, STEP_EAGER, STEP_LAZY };

struct step {
    uint8_t kind;
    uint32_t count; /* arguments; the items of a list; of STEP_VAR: 1 if it has a default */
    uint32_t span;  /* steps, this one among them */
    uint32_t node;  /* where it stands in the targeting */
    union {
        struct value literal;
        const struct path *path;   /* STEP_VAR */
        const struct operator* op; /* STEP_EAGER, STEP_LAZY */
    };
};

struct path { /* of a `var`: all of the data if there is no name */
    uint32_t count;
    bool plain; /* one name, which is an attribute's: all but `$flagd` and `$hoist` */
    struct slice names[];
};

struct rule {
    struct arena arena;
    struct tree targeting; /* borrowed */
    struct step *steps;
    uint32_t count;
    unsigned sees;
};

struct value run_operator(struct machine *m, const struct step *s, struct value data);

/* The value of step `s`, for `data`. */
static inline struct value run(struct machine *m, const struct step *s, struct value data)
{
    return s->kind == STEP_LITERAL ? s->literal : run_operator(m, s, data);
}

/* ------------------------------------------------------------------ operators */

typedef struct value eager(struct machine *m, struct value data, const struct value *args,
                           uint32_t count);
typedef struct value lazy(struct machine *m, const struct step *s, struct value data);

struct operator
{
    struct slice name;
    eager *eager; /* its arguments are evaluated before it */
    lazy *lazy;   /* it evaluates those that it needs */
};

/* The operator called `name`, or NULL. */
const struct operator* operator_find(struct slice name);

/* An argument that may not be there. */
static inline struct value arg(const struct value *args, uint32_t count, uint32_t i)
{
    return i < count ? args[i] : value_of_kind(VALUE_UNDEFINED);
}

/* What `var` yields in the place of what is not in the data. */
static inline struct value default_or_null(struct value otherwise)
{
    return otherwise.kind == VALUE_UNDEFINED ? value_null() : otherwise;
}

static inline const struct step *next_step(const struct step *s)
{
    return s + s->span;
}

/* run.c */
lazy op_if, op_and, op_or;
/* math.c */
eager op_equal, op_unequal, op_same, op_different, op_less, op_less_or_equal, op_more,
    op_more_or_equal, op_not, op_truth, op_add, op_subtract, op_multiply, op_divide, op_modulo,
    op_max, op_min;
/* lists.c */
lazy op_map, op_filter, op_reduce, op_all, op_some, op_none;
eager op_merge, op_in;
/* texts.c */
eager op_cat, op_substr, op_starts_with, op_ends_with;
/* lookup.c */
eager op_var, op_missing, op_missing_some;
/* fractional.c, semver.c */
eager op_fractional, op_sem_ver;

/* ------------------------------------------------------------------ lookups */

/* The value at `path` below `data`; false when there is none. */
bool look_up(struct machine *m, struct value data, const struct path *path, struct value *ret);
bool look_up_text(struct machine *m, struct value data, struct slice dotted, struct value *ret);

/* ------------------------------------------------------------------ explaining */

struct trace {
    struct buf *out;
};

/* A line that says what decided, where that was no rule. `t` may be NULL: nobody wants to know. */
void trace_note(struct trace *t, const char *note);
void trace_lack(struct trace *t, const struct requirement *lacks);

/* Say where `text` falls among `total`. */
void trace_bucket(struct machine *m, struct slice text, uint32_t bucket, uint32_t total);

/* Say that step `s`, an operator, yields `v`; `args` unless they were not evaluated beforehand. */
void trace_step(struct machine *m, const struct step *s, const struct value *args, struct value v);

#endif
