/* figures.h - the metrics of a hoistd as a whole; those of the rooms are kept there. */
#ifndef HOISTD_FIGURES_H
#define HOISTD_FIGURES_H

#include "settings.h"

/* hoist_build_info{version} and hoist_role{role}. */
void figures_init(enum role role);

/* hoist_limit_ratio{limit}: how near `store` is to each of its limits, and the process to
 * `files` open ones, from here to the end. */
void figures_begin(struct store *store, uint64_t files);
void figures_end(struct store *store);

#endif
