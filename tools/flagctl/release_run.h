/* release_run.h - the verbs of `release` that the primary answers. */
#ifndef FLAGCTL_RELEASE_RUN_H
#define FLAGCTL_RELEASE_RUN_H

#include "flagctl.h"

bool release_is_run(const char *verb);
int release_run(struct call *c);

int release_report(struct call *c);

#endif
