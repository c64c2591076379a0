/* prometheus_range.h - asking a Prometheus what was: a query over a span of time.
 *
 * For reports, where whoever asks waits for the answer. What it says is never a verdict on a release that
 * is under way: that is prometheus.h.
 */
#ifndef HTTP_PROMETHEUS_RANGE_H
#define HTTP_PROMETHEUS_RANGE_H

#include <jansson.h>

#include "http/prometheus.h"

enum {
    PROMETHEUS_POINTS_MAX = 10000, /* Prometheus itself refuses more than 11,000 */
    PROMETHEUS_RANGE_ANSWER_MAX = 16 << 20,
};

struct prometheus_range {
    int64_t from_ms, to_ms; /* by the wall clock, both of them asked about */
    int64_t step_ms;        /* > 0 */
};

/* How often it is asked about: each step from `from_ms` on, up to `to_ms`. */
uint32_t prometheus_range_points(const struct prometheus_range *range);

/* The step, at least `least_ms`, at which a span of `ms` has no more points than may be. */
int64_t prometheus_range_step(int64_t ms, int64_t least_ms);

/*
 * What `query` yielded.
 *
 * Gives:   *ret_series, to be given back: Prometheus's own array, of which each series has been looked
 *          at: {"metric": {LABEL: TEXT, …}, "values": [[SECONDS, "NUMBER"], …]}
 * Errors:  EIO       nobody answers, or not in time: the next query would fare no better
 *          ECORRUPT  there is an answer, and not that
 *          EINVAL    the URL or a file of `config` is wrong; ENOMEM
 */
MUST_USE enum hoist_err prometheus_range_ask(const struct prometheus_config *config,
                                             const char *query,
                                             const struct prometheus_range *range,
                                             json_t **ret_series);

/* The time and the value (it may be NaN) of number `i` of a series. */
void prometheus_range_value(const json_t *series, size_t i, int64_t *ret_ms, double *ret_value);

#endif
