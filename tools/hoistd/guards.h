/* guards.h - a primary's guards, asked of a Prometheus. */
#ifndef HOISTD_GUARDS_H
#define HOISTD_GUARDS_H

#include "http/prometheus.h"
#include "primary/primary.h"
#include "settings.h"

/* EINVAL names the option. Without --prometheus there is none: *ret is NULL, and no guard ever passes. */
MUST_USE enum hoist_err guards_start(const struct settings *s, struct prometheus **ret);

/* For primary_config; `p` is to be stopped before the primary is. */
struct primary_guards guards_of(struct prometheus *p);

#endif
