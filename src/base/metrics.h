/* metrics.h - numbers for Prometheus, kept in one registry per process, written as its text format.
 *
 * A metric is registered once with its help and label names; each set of label values is made
 * before it is first counted, so that it stands at 0 from the start (a first-ever increment is
 * invisible to increase()). Counting is an atomic add: any thread, no lock.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric; /* one series (or one histogram with its buckets) */

/*
 * The series of metric `name` with these labels ("env=\"production\",result=\"applied\"", or ""),
 * made at 0 if it is new. The same name and labels give the same series. Lives until the process
 * ends. buckets: ascending upper bounds in the base unit, ended by 0, for histograms; else NULL.
 * Never NULL: when memory is out, a spare that nobody reads.
 */
struct metric *metric_series(enum metric_type type, const char *name, const char *help,
                             const char *labels, const double *buckets);

void metric_add(struct metric *m, double v); /* counters: v ≥ 0 */
void metric_inc(struct metric *m);
void metric_set(struct metric *m, double v);     /* gauges */
void metric_observe(struct metric *m, double v); /* histograms */
double metric_value(const struct metric *m);

/* Every series of `name` to 0: before the one of a set that is so now is set to 1. */
void metric_clear(const char *name);

/*
 * A metric whose series come and go: `write` appends its lines whenever all is written, and may call
 * nothing of this header but metric_label() and metric_add(). NULL ends it: it is not running any more.
 */
void metric_lines(enum metric_type type, const char *name, const char *help,
                  void (*write)(void *arg, struct buf *out), void *arg);

/* All of it, in Prometheus's text format 0.0.4, sorted by name. */
void metrics_write(struct buf *out);

/* `value` escaped for a label, appended as name="value". */
void metric_label(struct buf *labels, const char *name, const char *value);

/* Called before each metrics_write(), to bring gauges up to date; one at a time. At most 2,048. After
 * metrics_off_write() it is not running any more, so it must not call that itself. */
void metrics_on_write(void (*update)(void *arg), void *arg);
void metrics_off_write(void (*update)(void *arg), void *arg);

#endif
