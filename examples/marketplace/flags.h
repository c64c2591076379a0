/* flags.h - the three flags of this service, read at each unit of work: so a kill holds from the
 * next request, or the next page of GitHub's, on. Without a store all of them are off. */
#ifndef MARKETPLACE_FLAGS_H
#define MARKETPLACE_FLAGS_H

#include <stdbool.h>

enum flag_id { FLAG_ENABLED, FLAG_GITHUB_SOURCES, FLAG_SYNC, FLAG_COUNT };

/* Bind them in environment `env` of the store `dir`, either of which may be NULL: the host's. False:
 * memory is out. A store that is not there yet is found when it is. */
bool flags_open(const char *dir, const char *env);
void flags_close(void);

/* Whether the flag is on for `account`; NULL: for nobody in particular, as the worker asks. */
bool flag_is_on(enum flag_id id, const char *account);

const char *flag_key(enum flag_id id);

#endif
