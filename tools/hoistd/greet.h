/* greet.h - what hoistd says when it has started. */
#ifndef HOISTD_GREET_H
#define HOISTD_GREET_H

#include "settings.h"

/* Where it listens, and what is in the store, for people, with the lines to paste into a shell: on
 * stdout, or as lines of the log where that is JSON. */
void greet(const struct settings *s, struct store *store, const char *const *listen,
           size_t listen_count);

#endif
