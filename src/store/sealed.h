/* sealed.h - rows that carry their own checksum: of databases that a program of before there were any does
 * not know, which would miss them to what it has in `seals`.
 *
 *   key → the first 8 bytes of BLAKE2b-256 of key and row (seal.h), row
 */
#ifndef STORE_SEALED_H
#define STORE_SEALED_H

#include "store/write_int.h"

/* The row without its checksum; false: that is another's. */
bool sealed_open(struct slice key, struct slice row, struct slice *ret);

MUST_USE enum hoist_err sealed_put(struct store_write *w, enum db_name name, MDB_val key,
                                   struct slice row);

#endif
