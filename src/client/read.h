/* read.h - reading a flag from the store, and leaving it in the caches.
 *
 * A span is one read transaction: begun for one flag, or lent by a view. What is read in it agrees
 * with each other.
 */
#ifndef CLIENT_READ_H
#define CLIENT_READ_H

#include "client/client_int.h"
#include "client/source.h"
#include "eval/eval.h"

struct span {
    hoist *hoist;
    struct era *era;
    struct store_read *read;
    uint64_t txn;
    uint16_t env;
    bool held;       /* flags are held back in it */
    uint32_t domain; /* in which answers are counted (usage/tally.h) */
};

/*
 * Begin to read. ENOTFOUND: there is no store; others: it cannot be read now.
 * To be ended in the same call of the program: it holds up the freeing of what is replaced.
 */
MUST_USE enum hoist_err span_begin(hoist *h, struct span *ret);
void span_end(struct span *s);

/* Fill in `env`, `held` and `domain`. ENOTFOUND: the store has no such environment. */
MUST_USE enum hoist_err span_find_env(struct span *s);

/* The same from what is known of the environment. */
void span_set_env(struct span *s, const struct store_env *env);

/* What is asked, and where text goes. */
struct ask {
    hoist_flag *flag; /* NULL: not in the table (yet) */
    struct slice key;
    const struct hoist_ctx *ctx; /* NULL: nobody in particular */
    uint64_t hash;               /* of `key`, if `flag` is NULL */
    enum hoist_type want;        /* 0: any */
    char *buf;                   /* text is copied here like snprintf() does, */
    size_t size;
    struct arena *lend; /* and whole into here, unless NULL */
    char *variant;      /* the variant's name is copied here, cut to VARIANT_SIZE, unless NULL */
    struct hoist_result *metadata; /* takes the flag's, unless NULL */
    struct json_writer *members;   /* takes what OFREP answers for the flag, unless NULL */
    struct buf *explain;           /* how the decision came about is added to this, unless NULL */
};

enum { VARIANT_SIZE = sizeof((struct hoist_result){0}.variant) };

struct answer {
    enum hoist_type type;      /* the flag's; 0: not known */
    struct eval_result result; /* `variant` ≥ 0: there is a value of the type asked for */
    struct cell_value value;   /* what the flag yields */
    bool depends;              /* on who asks: the value is this context's alone */
    size_t length;             /* of the text */
    const char *lent;          /* the copy in `lend`, ended with a NUL */
    uint32_t slot;             /* in which it is to be counted by whoever gives it to the program */
};

/* Decide a flag within a span that knows its environment. Never fails: the answer says why. */
void span_answer(struct span *s, const struct ask *ask, struct answer *ret);

/*
 * The same from the start: from the caches if they hold, else from the store, else (there is none,
 * or it cannot be read) what was last known.
 * *ret_version, unless NULL: the environment's version; then the store is asked in any case.
 */
void answer_flag(hoist *h, const struct ask *ask, struct answer *ret, uint64_t *ret_version);

/* What a text accessor may answer without the store. False: it has to be asked. */
bool answer_cached(hoist_flag *f, const struct ask *ask, uint64_t at, struct answer *ret);

/* For booleans and numbers: what the flag yields, counted, with its cell refreshed from the store.
 * `ruled`: the cell holds, and says that the flag has to be evaluated. */
struct cell_value refresh_cell(hoist *h, const struct ask *ask, bool ruled);

/* A number that is whole and within int64_t. */
static inline int64_t cell_int(struct cell_value v, int64_t fallback)
{
    int64_t whole;
    return v.kind == CELL_NUMBER && eval_int(cell_double(v, 0), &whole) ? whole : fallback;
}

/* As snprintf(): returns the length of `text`. */
size_t copy_text(char *buf, size_t size, struct slice text);

/* A key that a caller gave, cut to one byte more than a flag's may have. NULL is empty. */
struct slice key_of(const char *key);

#endif
