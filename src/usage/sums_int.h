/* sums_int.h - what the sums are, for the files that keep and show them. Private to the room. */
#ifndef USAGE_SUMS_INT_H
#define USAGE_SUMS_INT_H

#include <pthread.h>

#include "base/metrics.h"
#include "usage/counts.h"
#include "usage/heard.h"
#include "usage/sums.h"

struct sums {
    pthread_mutex_t lock;
    uint64_t incarnation, sequence;
    struct counts pending;
    struct buf message; /* of `sequence`: on its way; or empty */
    struct heard heard;
    struct counts own; /* since the start, of this host's programs */
    uint64_t rest;     /* of those that found no room in it */
    struct metric *left_out;
    struct store *store; /* whose flags are shown; NULL: none is yet */
};

#endif
