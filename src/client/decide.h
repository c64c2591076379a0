/* decide.h - from a decoded flag and a context to an answer, with the flags that it requires. */
#ifndef CLIENT_DECIDE_H
#define CLIENT_DECIDE_H

#include "client/decoded.h"
#include "client/read.h"

enum { OTHERS_MAX = 16 }; /* cached flags that one answer may lean on */

/* Where the flags come from that a flag requires: they are evaluated for the same context, and must
 * be of the same version. */
struct others {
    hoist *hoist;
    struct span *span; /* what is not cached is read in it; NULL: then there is no answer */
    const struct hoist_ctx *ctx;
    uint64_t at;     /* the transaction in which what is cached must hold */
    bool last_known; /* without a span: what is cached need not hold any more */
    uint32_t depth, asked;
    uint32_t seen_count;
    const struct decoded *seen[OTHERS_MAX]; /* without a span: to be looked at once more */
    bool stuck;                             /* without a span: one is not cached */
};

/* What `d` yields for who asks. `others` may be NULL if it requires none. */
void decide(const struct decoded *d, const struct ask *ask, struct others *others,
            struct answer *ret);

/* Whether `d` yields `variant` for the context of `others`. */
bool decided_as(const struct decoded *d, struct others *others, struct slice variant);

/* Whether all that an answer without a span leaned on held at one moment. */
bool others_hold(const struct others *others);

/* ------------------------------------------------------------------ read.c */

void answer_error(struct answer *ret, enum hoist_code code, const char *why);

/* What is cached of `f` and held in the span; NULL: nothing. */
const struct decoded *span_cached(const struct span *s, hoist_flag *f);

/* decided_as() of flag `key` as the span has it. */
bool span_decide_other(struct span *s, struct slice key, struct others *others,
                       struct slice variant);

#endif
