/* decoded.h - flags that do not fit into a cell: texts, objects, rules. Decoded once per change,
 * shared by all threads, freed by the library's thread when nobody can be reading them.
 */
#ifndef CLIENT_DECODED_H
#define CLIENT_DECODED_H

#include <stdatomic.h>

#include "client/answer.h"
#include "client/cell.h"
#include "eval/eval.h"

enum {
    DECODED_WAITING_MAX = 4 << 20
}; /* bytes that may wait before the thread is woken for them */

struct decoded { /* immutable once published */
    struct flag *flag;
    struct rule *rule;     /* its targeting; NULL: none */
    struct eval_host host; /* in the flag's arena; filled in if the rule looks at it */
    struct slice *texts;   /* of each variant, ended with a NUL; NULL if their type has none */
    struct buf json;       /* holds those of objects */
    _Atomic(struct answer_text *) answers; /* made when somebody first asks in OFREP's way */
    uint32_t domain;                       /* in which its answers are counted; 0: they are not */
    _Atomic uint32_t *slots; /* of no variant, and of each; 0: not known yet. NULL: never known */
    cell_word word;          /* as in a cell: it holds as long as *word ≤ txn */
    uint64_t txn;
    size_t bytes;
    struct decoded *next; /* in the list of those to be freed */
};

/* Around `flag`, which it takes over whatever is returned. EINVAL: its rule has an operator that
 * this version does not know. */
MUST_USE enum hoist_err decoded_new(struct flag *flag, struct decoded **ret);

/* Fill in `host` from what the store says of it (eval/host.h). ENOMEM. */
MUST_USE enum hoist_err decoded_set_host(struct decoded *d, struct slice about);
void decoded_free(struct decoded *d);

/* The slot in which an answer with `variant` is counted (usage/tally.h). */
uint32_t decoded_slot(const struct decoded *d, int32_t variant);

/* The texts of its answers; NULL: there are none. */
const struct answer_text *decoded_answers(const struct decoded *d);

/* Whether it holds now and held in transaction `at`. */
static inline bool decoded_holds(const struct decoded *d, uint64_t at)
{
    uint64_t changed = atomic_load_explicit(d->word, memory_order_acquire);
    return changed <= d->txn && changed <= at;
}

/*
 * Put `d` in the place of what is at *at, which is freed later. False when a newer one is there:
 * then `d` stays the caller's. Between grace_enter() and grace_leave().
 */
bool decoded_publish(_Atomic(struct decoded *) *at, struct decoded *d);

/* All that was replaced so far, as a list; to be freed a grace_wait() later. */
struct decoded *decoded_take_replaced(void);
void decoded_free_list(struct decoded *list);

/* Bytes that wait to be freed. */
size_t decoded_waiting(void);

#endif
