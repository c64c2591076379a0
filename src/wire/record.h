/* record.h - a flag as it is stored and as it travels: the flag record.
 *
 *   [ major, minor, enabled, type, variants, default, override, targeting, metadata, requires,
 *     otherwise, … ]
 *
 * msgpack, an array with fixed positions; docs/protocol.md has every field. The key is not in it.
 * Unknown elements at the end are ignored by readers; a record that has some is edited by no older
 * primary. Only the primary encodes records: everybody else passes on the bytes that it made.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "flag/flag.h"

enum { RECORD_MAJOR = 1, RECORD_MINOR = 0, RECORD_FIELDS = 11 };

struct record_info {
    uint32_t major, minor;
    bool newer; /* has elements that this version does not know */
};

/* Appends the record of `f`. ELIMIT when it is longer than FLAG_RECORD_MAX. */
MUST_USE enum hoist_err record_encode(const struct flag *f, struct buf *out);

/*
 * The flag in `record`.
 *
 * Gives:   *ret_flag, with copies of all it needs, to be freed; *ret_info unless NULL.
 * Errors:  ECORRUPT  it cannot be right (also: over a limit of flag.h, too deep, bad UTF-8)
 *          EVERSION  another major version; the sentence names both
 *          ELIMIT    longer than FLAG_RECORD_MAX, more variants or nodes or depth than allowed
 *          ENOMEM
 */
MUST_USE enum hoist_err record_decode(struct slice key, struct slice record, struct flag **ret_flag,
                                      struct record_info *ret_info);

#endif
