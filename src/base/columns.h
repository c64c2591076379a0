/* columns.h - how much room text takes on a terminal, whatever the locale: UTF-8, where East Asian
 * letters and emoji take two columns and accents none. */
#ifndef BASE_COLUMNS_H
#define BASE_COLUMNS_H

#include "base/buf.h"
#include "base/slice.h"

/* Appends the beginning of `text` that fits `columns`, with "…" where it was cut, and gives the columns
 * that it takes. What would steer the terminal, turn the order of letters or is no UTF-8 becomes '?'. */
size_t columns_add(struct buf *out, struct slice text, size_t columns);

#endif
