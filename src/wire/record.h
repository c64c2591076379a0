/* record.h - a flag as it is stored and as it travels: the flag record.
 *
 *   [ major, minor, enabled, type, variants, default, override, targeting, metadata, requires,
 *     otherwise, … ]
 *
 *   major, minor   uint      1, 0
 *   enabled        bool      the flag's state
 *   type           uint      1 boolean, 2 number, 3 string, 4 object
 *   variants       map       name → value, in the order they were written; a value of type object
 * is a tree, every other one is itself default        uint|nil  a variant's index override uint|nil
 * a variant's index targeting      tree|nil metadata       map       name → string, number or
 * boolean; sorted by name requires       map       flag key → variant; sorted by key otherwise
 * uint|nil  a variant's index; never nil when `requires` has something
 *
 *   tree = [ node, … ]       in prefix order, as struct tree has them
 *   node = nil | bool | number | str | [1, items] | [2, pairs] | [3, arguments, operator]
 *        | [4, 1, operator] | [5, 1, name]
 *
 * In a node, 1 is an array, 2 an object, 3 an operator, 4 one written with a bare argument, 5 a
 * $ref; the last three stand in `targeting` only. The key is not in the record. Unknown elements at
 * the end are ignored by readers; a record that has some is edited by no older primary. Only the
 * primary encodes records: everybody else passes on the bytes that it made.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "flag/flag.h"

enum { RECORD_MAJOR = 1, RECORD_MINOR = 0, RECORD_FIELDS = 11 };

struct record_info {
    uint32_t major, minor;
    bool newer; /* has elements that this version does not know */
};

/* Appends the record of `f`; nothing on error. ELIMIT when it is longer than FLAG_RECORD_MAX. */
MUST_USE enum hoist_err record_encode(const struct flag *f, struct buf *out);

/*
 * The flag in `record`.
 *
 * Gives:   *ret_flag, with copies of all it needs, to be freed; *ret_info unless NULL. Its texts
 *          are ended with a NUL that is not counted.
 * Errors:  ECORRUPT  it cannot be right
 *          EVERSION  another major version; the sentence names both
 *          ELIMIT    longer than FLAG_RECORD_MAX, more variants or nodes or depth than allowed
 *          EINVAL    `key` is no key
 *          ENOMEM
 *          On error both outputs are left as they were.
 */
MUST_USE enum hoist_err record_decode(struct slice key, struct slice record, struct flag **ret_flag,
                                      struct record_info *ret_info);

/*
 * Appends `record` with another override (a variant's index, or FLAG_NO_VARIANT), every other byte
 * as it was: also what a newer program wrote and this one does not know.
 *
 * Errors:  ECORRUPT  it is no record, or has no such variant
 *          EVERSION  another major version
 *          ELIMIT    it would be longer than FLAG_RECORD_MAX
 *          ENOMEM
 */
MUST_USE enum hoist_err record_override(struct slice record, int32_t variant, struct buf *out);

/*
 * A flag as far as one look at its record shows it, in place and without the heap: what it takes to
 * decide a flag that has no rules.
 *
 * Names and texts are borrowed from the record. Metadata is not read. `targeting` and `requires`
 * only tell by their counts whether there are any: record_decode() reads them.
 */
enum { RECORD_PEEK_VARIANTS = 16 };

struct record_peek {
    struct flag flag;
    struct variant variants[RECORD_PEEK_VARIANTS];
    struct node values[RECORD_PEEK_VARIANTS];
};

/* False when record_decode() has to be asked: values are objects, there are more variants than
 * that, or something is wrong. */
bool record_peek(struct slice key, struct slice record, struct record_peek *ret);

#endif
