/* daemon.h - one run of hoistd: the store, the role, HTTP; until a signal ends it. */
#ifndef HOISTD_DAEMON_H
#define HOISTD_DAEMON_H

#include "settings.h"

enum { EXIT_WRONG_OPTIONS = 2 }; /* also when only starting showed it; no use in trying again */

/* Block the signals that daemon_run() takes, in this thread and all that it starts. Call it first.
 */
void daemon_block_signals(void);

/*
 * Run until SIGTERM or SIGINT; SIGHUP reads argv and the file anew and takes over the log's
 * settings. A store whose commit ended with an unknown outcome is closed, opened and looked at
 * again. Gives the exit code: 0, or 1 or EXIT_WRONG_OPTIONS with the reason in the log.
 */
int daemon_run(const struct settings *s, int argc, char **argv);

#endif
