/* ticker.h - calls a function every so often, from a thread of its own.
 *
 * By a clock that nobody sets. nng's timers (1.5.2) go by the wall clock: set back by an hour, it
 * would hold the heartbeats of a server for an hour.
 */
#ifndef REPL_TICKER_H
#define REPL_TICKER_H

#include <stdint.h>

#include "base/err.h"

struct ticker;

/* The first call comes `every_ms` from now. EIO, ENOMEM. */
MUST_USE enum hoist_err ticker_start(uint32_t every_ms, void (*call)(void *arg), void *arg,
                                     struct ticker **ret);
/* Waits for a call that is under way; there is none behind it. NULL is fine. */
void ticker_stop(struct ticker *t);

#endif
