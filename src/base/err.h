/* err.h - how a function says that it could not do it, and why.
 *
 * Codes are those of hoist.h. The sentence is kept per thread: set where the error is born, read
 * where it is shown. Answers that are nobody's fault (EAGAIN, ENOTFOUND) are returned bare.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#include "hoist.h"

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Keep the sentence for this thread, and return `err`, so that `return err_set(…)` reads well. */
enum hoist_err err_set(enum hoist_err err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Put "…: " in front of the sentence that is there. Returns `err`. */
enum hoist_err err_prefix(enum hoist_err err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* This thread's sentence, or "". */
const char *err_last(void);

/* Forget it. */
void err_clear(void);

/* A word for the code. */
const char *err_word(enum hoist_err err);

#endif
