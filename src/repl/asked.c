#include "repl/asked.h"

#include <pthread.h>

#include "base/metrics.h"

static const struct {
    enum frame_kind kind;
    const char *label;
} kinds[] = {
    {FRAME_FETCH, "kind=\"fetch\""},     {FRAME_SNAPSHOT, "kind=\"snapshot\""},
    {FRAME_HELLO, "kind=\"hello\""},     {FRAME_STATUS, "kind=\"status\""},
    {FRAME_SUBTREE, "kind=\"subtree\""}, {FRAME_COMMAND, "kind=\"command\""},
    {FRAME_USAGE, "kind=\"usage\""},
};

enum { KINDS = sizeof kinds / sizeof *kinds, BUSY_KINDS = 2 }; /* the first ones may be busy */

static struct metric *asked[KINDS], *busy[BUSY_KINDS];

static void begin(void)
{
    for (int i = 0; i < KINDS; i++)
        asked[i] = metric_series(METRIC_COUNTER, "hoist_requests_total",
                                 "Requests that this server was asked.", kinds[i].label, NULL);
    for (int i = 0; i < BUSY_KINDS; i++)
        busy[i] =
            metric_series(METRIC_COUNTER, "hoist_requests_busy_total",
                          "Requests whose asker was told to come again.", kinds[i].label, NULL);
}

void asked_metrics_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

void asked_count(enum frame_kind kind)
{
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            metric_inc(asked[i]);
}

void asked_count_busy(enum frame_kind kind)
{
    asked_metrics_begin(); /* an answer may be made without a server around it */
    for (int i = 0; i < BUSY_KINDS; i++)
        if (kinds[i].kind == kind)
            metric_inc(busy[i]);
}
