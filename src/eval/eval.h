/* eval.h - context + flag → value. Pure: no I/O, no clock of its own, nothing from the heap.
 *
 * A flag's targeting is compiled once, when the flag is decoded (rule_new), and evaluated as often
 * as it is asked for. What JSONLogic leaves open is as json-logic-js has it, and flagd's operators
 * are as its specification has them: docs/flag-format.md.
 */
#ifndef EVAL_EVAL_H
#define EVAL_EVAL_H

#include "eval/context.h"
#include "flag/flag.h"

enum {
    EVAL_STEPS_MAX = 100000,      /* operators, items and 64 bytes of text count one each */
    EVAL_SCRATCH_SIZE = 32 << 10, /* for texts and lists that a rule makes */
    EVAL_REQUIRES_DEPTH_MAX = 16, /* of flags that require flags */
    EVAL_REQUIRES_MAX = 256,      /* flags that one decision may look at */
};

/* ------------------------------------------------------------------ rules */

struct rule; /* targeting, compiled */

/* What a rule looks at beside the context: for whom it has to be filled in. */
enum { RULE_SEES_TIME = 1, RULE_SEES_HOST = 2 };

/*
 * Compile `targeting`, whose nodes and texts are borrowed for the rule's life.
 *
 * Gives:   *ret, to be freed with rule_free(); NULL when there is no targeting.
 * Errors:  EINVAL  an operator that this version does not know
 *          ENOMEM
 */
MUST_USE enum hoist_err rule_new(struct tree targeting, struct rule **ret);
void rule_free(struct rule *r);

unsigned rule_sees(const struct rule *r); /* NULL sees nothing */
size_t rule_bytes(const struct rule *r);

/* ------------------------------------------------------------------ evaluating */

/* The host that evaluates: `$hoist`. */
struct eval_host {
    struct slice id;
    const struct meta_item *labels; /* texts, sorted by name */
    uint32_t label_count;
};

/* Everything that a decision depends on. */
struct eval_ask {
    const struct flag *flag;
    const struct rule *rule;      /* of the flag's targeting */
    const struct hoist_ctx *ctx;  /* NULL: empty */
    const struct eval_host *host; /* NULL: unknown */
    int64_t now_s;                /* `$flagd.timestamp`: Unix seconds */

    /* Whether flag `key` yields `variant` for the same context; asked for what the flag `requires`.
     * Beyond the limits above it answers false: a requirement that cannot be looked at is not met.
     * NULL: none is. */
    bool (*yields)(void *of, struct slice key, struct slice variant);
    void *of;
};

struct eval_result {
    enum hoist_reason reason;
    enum hoist_code code;
    int32_t variant; /* index into the flag's variants, or FLAG_NO_VARIANT: the caller's fallback */
    const char *error; /* static sentence when reason is HOIST_ERROR, else NULL */
    bool limited;      /* GENERAL, since the rule took too many steps or too much room */
};

/* What the flag yields, of whatever type. Threads: any. Stack: EVAL_SCRATCH_SIZE and a little. */
struct eval_result eval_flag(const struct eval_ask *ask);

/* The same, and how it came to that: lines of text added to `out`, one for each operator in the
 * order in which they were evaluated. */
struct eval_result eval_explain(const struct eval_ask *ask, struct buf *out);

/* Whether `r` has a value that an accessor of type `want` can take (0: any); a mismatch turns *r
 * into ERROR, TYPE_MISMATCH. */
bool eval_want(const struct flag *f, struct eval_result *r, enum hoist_type want);

/* A number as a whole one: false when that would lose something (3.5, 1e300). */
bool eval_int(double v, int64_t *ret);

#endif
