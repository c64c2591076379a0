/* sums.h - evaluations that were counted, on their way up, and those of this host since its start.
 *
 * What is counted here and what other hosts tell is added up until whoever passes it on takes it, a
 * frame at a time. A frame that was taken stays, byte for byte, until it is known to have arrived:
 * so nothing is lost or counted twice when it is not known. Bounded: what finds no room is counted in
 * hoist_evaluations_left_out_total alone.
 * Threads: any; none of these waits for anything but each other.
 */
#ifndef USAGE_SUMS_H
#define USAGE_SUMS_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/frame.h"

enum {
    SUMS_PENDING_MAX = 100000, /* rows that wait */
    SUMS_SERIES_MAX = 10000,   /* rows of this host's own that are told as metrics */
};

struct sums;
struct store;

MUST_USE enum hoist_err sums_new(struct sums **ret);
void sums_free(struct sums *s); /* NULL is fine */

/* Programs on this host evaluated a flag `n` times; an empty variant: their own fallback held. */
void sums_add(struct sums *s, struct slice env, struct slice key, struct slice variant, uint64_t n);

/* Another host tells what it has counted. What it repeats is not counted again. */
void sums_hear(struct sums *s, const struct frame_usage *f, int64_t now_ms);

/*
 * What is to be passed on, as a frame of at most about `max` bytes (up to FRAME_USAGE_MAX), and its
 * sequence: the same one until sums_passed_on() says that it arrived. Empty: there is nothing, or
 * memory is out. Borrowed until then. One taker at a time.
 */
struct slice sums_take(struct sums *s, size_t max, uint64_t *ret_sequence);
void sums_passed_on(struct sums *s, uint64_t sequence);

/* Whether anything waits, or is on its way. */
bool sums_waits(struct sums *s);

/* From here on this host's own sums are in /metrics, without those of flags that `store`, which is
 * borrowed, does not have any more. Once a process at a time. */
void sums_metrics_begin(struct sums *s, struct store *store);
void sums_metrics_end(void);

#endif
