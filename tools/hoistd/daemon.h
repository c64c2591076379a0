/* daemon.h - one run of hoistd: the store, the role, HTTP; until a signal ends it. */
#ifndef HOISTD_DAEMON_H
#define HOISTD_DAEMON_H

#include "settings.h"

enum { ROLE_WORDS = 2 /* of main()'s arguments: the program, and the role */ };
enum { EXIT_WRONG_OPTIONS = 2 }; /* also when only starting showed it; no use in trying again */

/* Block the signals that daemon_run() takes, in this thread and all that it starts. Call it first.
 */
void daemon_block_signals(void);

/*
 * Run until SIGTERM or SIGINT; SIGHUP reads argv and the file anew and takes over the log's
 * settings and the certificates, whose files this takes out of `s`. `argv` is main()'s behind
 * ROLE_WORDS; the process starts anew with them when nng has to be left behind. A store whose commit
 * ended with an unknown outcome is closed, opened and looked at
 * again. Gives the exit code: 0, or 1 or EXIT_WRONG_OPTIONS with the reason in the log.
 */
int daemon_run(struct settings *s, int argc, char **argv);

#endif
