#include "events.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "metrics.h"

static const struct {
    const char *level, *subsystem, *name;
} about[EVENT_COUNT] = {
#define X(id, level, subsystem, name) {level, subsystem, name},
    EVENTS(X)
#undef X
};

static struct series *counts[EVENT_COUNT];

void events_init(void)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        char labels[160];
        snprintf(labels, sizeof labels, "level=\"%s\",subsystem=\"%s\",event=\"%s\"",
                 about[i].level, about[i].subsystem, about[i].name);
        counts[i] = metric(METRIC_COUNTER, "marketplace_log_messages_total",
                           "Lines of the log, by what they tell.", labels);
    }
}

void event(enum event what, const char *fmt, ...)
{
    char text[1024], at[32] = "";
    struct timespec now;
    struct tm utc;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(at, sizeof at, "%FT%TZ", gmtime_r(&now.tv_sec, &utc));
    metric_add(counts[what], 1);

    json_t *line =
        json_pack("{ss ss ss ss ss*}", "time", at, "level", about[what].level, "subsystem",
                  about[what].subsystem, "event", about[what].name, "message", text);
    char *json = line ? json_dumps(line, JSON_COMPACT) : NULL;
    fprintf(stderr, "%s\n", json ? json : about[what].name);
    free(json);
    json_decref(line);
}
