/* counts.h - what HTTP asks are counted by: requests by route and status, evaluations by reason. */
#ifndef HTTP_COUNTS_H
#define HTTP_COUNTS_H

#include <stdint.h>

#include "hoist.h"

enum http_route {
    ROUTE_FLAG,   /* OFREP: one flag */
    ROUTE_FLAGS,  /* OFREP: all flags */
    ROUTE_EVENTS, /* OFREP: the stream of events */
    ROUTE_HOOK,   /* Alertmanager's webhook */
    ROUTE_PAGE,   /* health, metrics, status */
    ROUTE_NONE,   /* nothing is there */
    ROUTE_COUNT,
};

enum { REASON_COUNT = HOIST_ERROR + 1 };

struct evaluated { /* of one request, counted together at its end */
    uint32_t by_reason[REASON_COUNT];
    uint32_t limited; /* rules that took too many steps or too much room */
};

/* Every series at 0. Once per process, or more often. */
void counts_init(void);

void counts_request(enum http_route route, unsigned status);
void counts_evaluated(const struct evaluated *e);
void counts_streams(uint32_t open);
void counts_event(void);
void counts_auth_failed(void);

#endif
