/* api.h - the service's HTTP: listings, a run of the worker, health, metrics. */
#ifndef MARKETPLACE_API_H
#define MARKETPLACE_API_H

#include <stdbool.h>
#include <stdint.h>

#include "listings.h"
#include "sync.h"

struct api;

/*
 * Serve at two listening sockets, which become the api's: `shared`, which other processes may serve too,
 * and `own`, where this one is asked how it is; either may be -1. NULL: the library cannot.
 */
struct api *api_start(int shared, int own, struct listings *l, struct sync *s);

/*
 * Take no new connection, and end those there are once each has had its answer: /readyz is 503, each
 * answer says `Connection: close`. `own` is the last to go, so that it tells of this. Returns when
 * no connection is left, or after `limit_ms`.
 */
void api_drain(struct api *a, int64_t limit_ms);
void api_stop(struct api *a);

#endif
