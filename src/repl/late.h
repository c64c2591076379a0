/* late.h - answers that are held back for a moment, so that who asks too often has to wait.
 *
 * A connection waits for its answer, and may have few others under way (quota.h). The places are few on
 * purpose: a request for whose answer there is none is not answered.
 */
#ifndef REPL_LATE_H
#define REPL_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct late;

enum { LATE_PLACES = 1024, LATE_EVERY_MS = 25 };

/* `give` is called with each item `after_ms` later, or up to LATE_EVERY_MS more; `tick` as often as
 * that, with the time. Both from a thread of its own, which goes by a clock that nobody sets. */
MUST_USE enum hoist_err late_start(uint32_t after_ms, void (*give)(void *item),
                                   void (*tick)(void *arg, int64_t now_ms), void *arg,
                                   struct late **ret);
/* Waits for a call that is under way; there is none behind it, also of what is still put. NULL is
 * fine. */
void late_stop(struct late *l);
/* When nobody puts anything more. NULL is fine. */
void late_free(struct late *l);

/* False: there is no place. Any thread. */
bool late_put(struct late *l, void *item, int64_t now_ms);

#endif
