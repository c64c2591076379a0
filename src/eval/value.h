/* value.h - a value while a rule is evaluated, and JavaScript's way to turn one into another.
 *
 * JSONLogic is defined by what JavaScript does (json-logic-js), so this does the same: what is
 * equal to what, when text is a number, how a number is written. Section numbers are those of
 * ECMA-262, 15th edition. A value is 16 bytes and owns nothing: text and items belong to the rule,
 * the context or the evaluation's scratch.
 */
#ifndef EVAL_VALUE_H
#define EVAL_VALUE_H

#include "eval/context.h"
#include "eval/eval.h"

enum value_kind {
    VALUE_UNDEFINED, /* an argument that is not there */
    VALUE_NULL,
    VALUE_FALSE,
    VALUE_TRUE,
    VALUE_NUMBER, /* may be NaN or infinite */
    VALUE_STRING, /* UTF-8 */
    VALUE_ARRAY,  /* of a rule or context: a NODE_ARRAY */
    VALUE_LIST,   /* one that the rule made */
    VALUE_OBJECT, /* of a rule or context: a NODE_OBJECT */
    VALUE_FOLD,   /* what `reduce` looks at: items[0] is `current`, items[1] `accumulator` */
    VALUE_CONTEXT,
    VALUE_FLAGD, /* $flagd, $hoist and $hoist.labels */
    VALUE_HOIST,
    VALUE_LABELS,
};

struct value {
    uint32_t kind;
    uint32_t len; /* bytes of text, items of a list */
    union {
        double number;
        const uint8_t *text;
        const struct node *node; /* its children follow it */
        const struct value *items;
    };
};

_Static_assert(sizeof(struct value) == 16, "values are passed in two registers");

/* One evaluation. */
struct machine {
    const struct eval_ask *ask;
    struct trace *trace; /* NULL: nobody wants to know */
    uint8_t *scratch;    /* what texts and lists are made in, from `used` on */
    uint32_t used, size;
    uint32_t steps;    /* left */
    uint32_t depth;    /* of operators, while it is explained */
    const char *error; /* over a limit: the rule has no answer */
};

enum { SCRATCH_ALIGN = 16 };

/* Fails the evaluation; what it yields from here on does not matter. */
void machine_fail(struct machine *m, const char *error);

/* `count` steps of work; false when there were too many. */
static inline bool machine_work(struct machine *m, uint32_t count)
{
    if (__builtin_expect(m->steps < count, 0)) {
        machine_fail(m, "the rule takes too many steps");
        return false;
    }
    m->steps -= count;
    return true;
}

/* Room for the length of the evaluation; NULL when there is none left. */
void *machine_room(struct machine *m, size_t size);

/* ------------------------------------------------------------------ making values */

static inline struct value value_of_kind(enum value_kind kind)
{
    return (struct value){.kind = kind};
}

static inline struct value value_null(void)
{
    return value_of_kind(VALUE_NULL);
}

static inline struct value value_bool(bool v)
{
    return value_of_kind(v ? VALUE_TRUE : VALUE_FALSE);
}

static inline struct value value_number(double v)
{
    return (struct value){.kind = VALUE_NUMBER, .number = v};
}

static inline struct value value_text(struct slice s)
{
    return (struct value){.kind = VALUE_STRING, .len = (uint32_t)s.len, .text = s.ptr};
}

static inline struct slice value_slice(struct value v)
{
    return slice_of(v.text, v.len);
}

static inline struct value value_of_node(const struct node *n)
{
    if (__builtin_expect(n->kind == NODE_STRING, 1))
        return value_text(n->text);
    switch (n->kind) {
    case NODE_FALSE:
        return value_of_kind(VALUE_FALSE);
    case NODE_TRUE:
        return value_of_kind(VALUE_TRUE);
    case NODE_NUMBER:
        return value_number(n->number);
    case NODE_ARRAY:
        return (struct value){.kind = VALUE_ARRAY, .len = n->count, .node = n};
    case NODE_OBJECT:
        return (struct value){.kind = VALUE_OBJECT, .len = n->count, .node = n};
    default:
        return value_null();
    }
}

/* ------------------------------------------------------------------ asking values */

static inline bool value_is_array(struct value v)
{
    return v.kind == VALUE_ARRAY || v.kind == VALUE_LIST;
}

static inline bool value_is_nothing(struct value v)
{
    return v.kind <= VALUE_NULL;
}

static inline bool value_is_object(struct value v) /* or an array */
{
    return v.kind >= VALUE_ARRAY;
}

/* JSONLogic's truth: an empty array is false, every object is true. */
static inline bool value_truth(struct value v)
{
    switch (v.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
    case VALUE_FALSE:
        return false;
    case VALUE_NUMBER:
        return v.number != 0 && v.number == v.number;
    case VALUE_STRING:
    case VALUE_ARRAY:
    case VALUE_LIST:
        return v.len != 0;
    default:
        return true;
    }
}

/* Walks over the items of an array, of either kind. */
struct items {
    struct value of;
    uint32_t next;
    const struct node *at;
};

static inline struct items items_of(struct value array)
{
    return (struct items){array, 0, array.kind == VALUE_ARRAY ? array.node + 1 : NULL};
}

static inline bool items_next(struct items *i, struct value *ret)
{
    if (i->next >= i->of.len)
        return false;
    if (i->of.kind == VALUE_LIST) {
        *ret = i->of.items[i->next];
    } else {
        *ret = value_of_node(i->at);
        i->at += i->at->span;
    }
    i->next++;
    return true;
}

/* v[name] as JavaScript has it: a member of an object, an item, a letter, a length. False: there is
 * no such thing. */
bool value_member(struct machine *m, struct value v, struct slice name, struct value *ret);

/* ------------------------------------------------------------------ turning one into another */

/* 7.1.4 ToNumber. */
double value_to_number(struct machine *m, struct value v);

/* 7.1.17 ToString; text that had to be made is in the scratch. */
struct slice value_to_text(struct machine *m, struct value v);

/* parseFloat(String(v)), 19.2.4: the number at the front of the text, or NaN. */
double value_parse_float(struct machine *m, struct value v);

/* 7.1.5 ToIntegerOrInfinity, cut to what fits. */
int64_t value_to_integer(struct machine *m, struct value v);

/* 7.2.15 IsStrictlyEqual, 7.2.14 IsLooselyEqual. */
bool value_same(struct machine *m, struct value a, struct value b);
bool value_equal_unlike(struct machine *m, struct value a, struct value b); /* of two kinds */

static inline bool value_equal(struct machine *m, struct value a, struct value b)
{
    return a.kind == b.kind ? value_same(m, a, b) : value_equal_unlike(m, a, b);
}

/* 7.2.13 IsLessThan: -1, 0, 1, or VALUE_UNORDERED when one is not a number. */
enum { VALUE_UNORDERED = 2 };
int value_order(struct machine *m, struct value a, struct value b);

/* Text in JavaScript's units, of which a letter beyond U+FFFF takes two: how many, and what lies
 * between two of them. Half a letter becomes none, since UTF-8 cannot write it. */
uint32_t text_units(struct slice s);
struct slice text_cut(struct slice s, uint32_t from, uint32_t to);

#endif
