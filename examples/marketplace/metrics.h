/* metrics.h - counters, gauges and histograms, and their text for Prometheus.
 *
 * Every series is made at start and begins at 0, so that a first failure is an increase and not a
 * new line. Values may be changed from any thread.
 */
#ifndef MARKETPLACE_METRICS_H
#define MARKETPLACE_METRICS_H

#include <stddef.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct series;

/* The series of `name` with `labels` (as they stand between the braces, "" for none), made if it is
 * not there. `name` and `help` must live on. Ends the program when memory is out. */
struct series *metric(enum metric_kind kind, const char *name, const char *help,
                      const char *labels);

void metric_add(struct series *s, double by);
void metric_set(struct series *s, double to);
void metric_observe(struct series *s, double seconds); /* of a histogram */
double metric_value(const struct series *s);

/* All of them; to be freed. NULL: memory is out. */
char *metrics_text(size_t *ret_length);

#endif
