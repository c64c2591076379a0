/* api.h - the service's HTTP: listings, a run of the worker, health, metrics. */
#ifndef MARKETPLACE_API_H
#define MARKETPLACE_API_H

#include <stdbool.h>

#include "listings.h"
#include "sync.h"

struct api;

/* Serve at `listen`, HOST:PORT with HOST an IPv4 address. NULL: it cannot be had; errno says why. */
struct api *api_start(const char *listen, struct listings *l, struct sync *s);
void api_stop(struct api *a);

#endif
