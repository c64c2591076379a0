/* github_limits.h - the check `github_limits`, which a plan names without a command. */
#ifndef FLAGCTL_GITHUB_LIMITS_H
#define FLAGCTL_GITHUB_LIMITS_H

#include "flagctl.h"

/*
 * Ask the API that --github names what it grants, and say that in `said`, a line each. True: each limit is
 * at least what a client with a token counts on. An answer that tells none, or no answer, is no pass.
 */
bool github_limits_hold(struct call *c, struct buf *said);

/* Whom that asks. */
const char *github_limits_url(const struct call *c);

#endif
