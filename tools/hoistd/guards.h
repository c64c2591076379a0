/* guards.h - a primary's guards, asked of a Prometheus. */
#ifndef HOISTD_GUARDS_H
#define HOISTD_GUARDS_H

#include "primary/primary.h"
#include "settings.h"

struct guards;

/* EINVAL names the option. Without --prometheus there are none: *ret is NULL, and no guard ever passes. */
MUST_USE enum hoist_err guards_start(const struct settings *s, struct guards **ret);
void guards_stop(struct guards *g); /* before the primary is; NULL is fine */

/* For primary_config. Why a guard has no answer goes to the log, whenever its verdict has changed. */
struct primary_guards guards_of(struct guards *g);

#endif
