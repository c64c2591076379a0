/* usage.h - rows of `usage`, for the store's own files. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/write_int.h"

/* Whether it is the one that says since when is counted; all others are of flags. */
bool usage_row_is_since(struct slice row_key);

/* All of it: who follows a primary counts nothing here. */
MUST_USE enum hoist_err usage_forget(struct store_write *w);

#endif
