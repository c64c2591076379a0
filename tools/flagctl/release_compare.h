/* release_compare.h - what a Prometheus knows of a release: its guards over the watch and over the same
 * hours before the launch, and the alerts that fired. */
#ifndef FLAGCTL_RELEASE_COMPARE_H
#define FLAGCTL_RELEASE_COMPARE_H

#include "http/prometheus_range.h"
#include "release_story.h"

struct story_window { /* what is compared; watch.to_ms 0: there is no watch yet */
    struct prometheus_range watch, before;
    int64_t days; /* so many between the two */
};

/* From the first step of the watch until now, its end, or the way back; and as long, so many whole days
 * earlier that it ends before the release began. */
struct story_window compare_window(const struct story *t);

/*
 * The comparison, as docs/releases.md has it: `result` is "compared", "no-watch", or without a `config`
 * "not-asked". A query that has no answer is said where its numbers would be.
 */
json_t *compare_guards(const struct story *t, const struct prometheus_config *config);

/* The alerts that fired from the release's start until its end, or now. */
json_t *compare_alerts(const struct story *t, const struct prometheus_config *config);

#endif
