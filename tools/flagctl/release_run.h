/* release_run.h - the verbs of `release` that the primary answers. */
#ifndef FLAGCTL_RELEASE_RUN_H
#define FLAGCTL_RELEASE_RUN_H

#include "flagctl.h"

bool release_is_run(const char *verb);
int release_run(struct call *c);

/* Of the release whose status that is. */
int release_report(struct call *c, const json_t *status);

#endif
