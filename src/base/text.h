/* text.h - small conversions between values and what people read. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    TEXT_TIME_SIZE = 32,
    TEXT_NUMBER_SIZE = 40,
    TEXT_DIGITS_SIZE = 18,
    TEXT_DISTANCE_LEN = 255,
};

/* RFC 3339, UTC, with milliseconds: 2026-11-24T14:02:03.123Z. */
void text_time(char out[TEXT_TIME_SIZE], int64_t wall_ms);

/* The milliseconds of such a time, as text_time() writes it or with fewer digits of a fraction, or none.
 * EINVAL, also where the calendar has no such day. */
MUST_USE enum hoist_err text_time_read(const char *in, int64_t *ret_wall_ms);

/* The shortest decimal that reads back as `v`; whole numbers below 2^53 without a point. What is no
 * number is named as Prometheus has it: NaN, +Inf, -Inf. */
void text_number(char out[TEXT_NUMBER_SIZE], double v);

/* The shortest digits that read back as `v`, which is finite and above 0: v = 0.DIGITS × 10^n.
 * Gives n. */
int text_digits(char out[TEXT_DIGITS_SIZE], double v);

/* Whether `in` is a number as JSON has them; *ret_whole: with neither fraction nor exponent. */
bool text_is_number(struct slice in, bool *ret_whole);

/* The nearest double to a decimal: sign, digits, fraction and exponent as JSON has them, or with
 * the digits on one side of the point missing. Infinite beyond what a double holds. Like the two
 * above it knows no locale: in a program that has set one, strtod() would want another point. */
double text_double(struct slice in);

/* `in` as lower-case hex with a NUL; `out` has room for 2 × in.len + 1. */
void text_hex(char *out, struct slice in);

/* Exactly `len` bytes from 2 × `len` hex digits. */
MUST_USE enum hoist_err text_unhex(struct slice in, uint8_t *out, size_t len);

/* A whole unsigned number in decimal, no sign, nothing behind it. */
MUST_USE enum hoist_err text_u64(const char *in, uint64_t *ret);

/* Well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). */
bool text_utf8(struct slice in);

/* How many single edits (insert, delete, replace, swap of neighbours) turn `a` into `b`; more than
 * `max` answers max + 1, as does what is longer than TEXT_DISTANCE_LEN bytes and not the same. To
 * notice a typo. Damerau-Levenshtein distance, optimal string alignment, in bytes. */
int text_distance(struct slice a, struct slice b, int max);

#endif
