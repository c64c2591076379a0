#include "http/counts.h"

#include <pthread.h>

#include "base/metrics.h"

static const char *const route_names[ROUTE_COUNT] = {"flag",    "flags", "events",
                                                     "webhook", "page",  "none"};
static const unsigned statuses[] = {200, 204, 304, 400, 401, 403, 404, 405, 413, 415, 500, 503};

enum { STATUS_COUNT = sizeof statuses / sizeof *statuses, LABELS_MAX = 100 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct metric *requests[ROUTE_COUNT][STATUS_COUNT];
static struct metric *evaluations[REASON_COUNT];
static struct metric *limited, *streams, *events, *auth_failures;

static void make(void)
{
    for (int r = 0; r < ROUTE_COUNT; r++) {
        for (int s = 0; s < STATUS_COUNT; s++) {
            struct buf labels = BUF_INIT(LABELS_MAX);
            buf_printf(&labels, "route=\"%s\",status=\"%u\"", route_names[r], statuses[s]);
            requests[r][s] = metric_series(METRIC_COUNTER, "hoist_http_requests_total",
                                           "Requests answered over HTTP.", buf_str(&labels), NULL);
            buf_done(&labels);
        }
    }
    for (int r = 0; r < REASON_COUNT; r++) {
        struct buf labels = BUF_INIT(LABELS_MAX);
        metric_label(&labels, "reason", hoist_reason_name((enum hoist_reason)r));
        evaluations[r] = metric_series(METRIC_COUNTER, "hoist_ofrep_evaluations_total",
                                       "Flags evaluated over OFREP.", buf_str(&labels), NULL);
        buf_done(&labels);
    }
    limited = metric_series(METRIC_COUNTER, "hoist_ofrep_limited_evaluations_total",
                            "Evaluations over OFREP that ended since a rule took too many steps or "
                            "too much room.",
                            "", NULL);
    streams = metric_series(METRIC_GAUGE, "hoist_ofrep_streams", "Event streams that are open.", "",
                            NULL);
    events = metric_series(METRIC_COUNTER, "hoist_ofrep_events_total", "Events written to streams.",
                           "", NULL);
    auth_failures = metric_series(METRIC_COUNTER, "hoist_auth_failures_total",
                                  "Requests without a token that is known.", "", NULL);
}

void counts_init(void)
{
    pthread_once(&once, make);
}

void counts_request(enum http_route route, unsigned status)
{
    for (int s = 0; s < STATUS_COUNT; s++)
        if (statuses[s] == status)
            metric_inc(requests[route][s]);
}

void counts_evaluated(const struct evaluated *e)
{
    for (int r = 0; r < REASON_COUNT; r++)
        if (e->by_reason[r])
            metric_add(evaluations[r], e->by_reason[r]);
    if (e->limited)
        metric_add(limited, e->limited);
}

void counts_streams(uint32_t open)
{
    metric_set(streams, open);
}

void counts_event(void)
{
    metric_inc(events);
}

void counts_auth_failed(void)
{
    metric_inc(auth_failures);
}
