/* heartbeat.h - what a publisher says of itself several times a second, as a frame. No socket here. */
#ifndef REPL_HEARTBEAT_H
#define REPL_HEARTBEAT_H

#include "repl/answer.h"

/*
 * The heartbeat of `who`, appended to `frame`; `beat` counts them since the start. A relay passes the
 * primary's word on as it came: it has none before it has heard one.
 * EIO, ECORRUPT, ENOMEM.
 */
MUST_USE enum hoist_err heartbeat_make(const struct answerer *who, uint32_t beat,
                                       struct buf *frame);

/*
 * The counter of the `beat`-th heartbeat of the primary that writes `s`, as `r` sees it: above what it
 * was before, in this store, and in the one that its epochs, or its last writer's upstream, were of.
 * EIO, ECORRUPT.
 */
MUST_USE enum hoist_err heartbeat_counter(const struct store *s, struct store_read *r,
                                          uint32_t beat, uint64_t *ret);

#endif
