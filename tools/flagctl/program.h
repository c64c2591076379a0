/* program.h - a program that is run, waited for, and ended with all that it started. */
#ifndef FLAGCTL_PROGRAM_H
#define FLAGCTL_PROGRAM_H

#include <stdint.h>

#include "base/hash.h"

struct ran {
    int exit; /* 128 + N: by signal N; -1: it could not be started, or took too long */
    int64_t ms;
    uint8_t output[HASH_SIZE]; /* SHA-256 of what it printed */
    char head[256];            /* the beginning of that */
};

/*
 * Run `argv`, looked for in PATH, without input, for so long at most. It is in a process group of its own,
 * of which nothing is left afterwards, nor when SIGINT, SIGTERM or SIGHUP ends this program meanwhile.
 *
 * Threads: one; it has the handlers of those signals for as long as it runs.
 */
void program_run(char *const *argv, int64_t timeout_ms, struct ran *ret);

#endif
