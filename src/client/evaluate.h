/* evaluate.h - an answer as programs see it: struct hoist_result. */
#ifndef CLIENT_EVALUATE_H
#define CLIENT_EVALUATE_H

#include "client/read.h"

/* All of *ret but `variant`, which the answer has filled in. Returns ret->ok. */
bool result_fill(struct hoist_result *ret, const struct ask *ask, const struct answer *a,
                 uint64_t version);

/* For a handle or key that is NULL. */
bool result_of_nothing(struct hoist_result *ret, enum hoist_type want);

#endif
