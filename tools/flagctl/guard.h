/* guard.h - work on a store's file that may be damaged in its pages, done by a child: LMDB trusts
 * them, and reading a bad one may end the process. */
#ifndef FLAGCTL_GUARD_H
#define FLAGCTL_GUARD_H

#include "flagctl.h"

/*
 * Run `work` in a child; what it writes to `out` is JSON, an object a line, and each goes to `take`
 * in this process. Gives the signal that ended the child, 0 when it ended by itself, or -1 when
 * there could be no child (err_last() tells).
 */
int guard_run(void (*work)(void *arg, int out), void (*take)(void *arg, const json_t *line),
              void *arg);

/* A line, for `work`; takes over `line`. */
void guard_tell(int out, json_t *line);

#endif
