/* answer.h - an evaluation as OFREP writes it: the members of the JSON object that answers for one
 * flag. The agent's HTTP and `flagctl eval` answer alike.
 */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include "eval/eval.h"
#include "flag/json.h"

/* What is the same in every answer for a flag, as text: writing it anew takes longer than deciding. */
struct answer_text;

/* NULL: no memory, or it would be much text. */
struct answer_text *answer_text_new(const struct flag *f);
void answer_text_free(struct answer_text *t);

struct answer_parts {
    struct slice key;
    const struct flag *flag; /* NULL: there is no such flag */
    const struct eval_result *result;
    const struct answer_text *text; /* of the flag; NULL: there is none */
};

/* Members into an object that is open: `key`, then `reason`, `variant` and `value` (the last two
 * left out where the caller's default counts) or `errorCode` and `errorDetails`; `metadata`. */
void answer_put(struct json_writer *w, const struct answer_parts *a);

#endif
