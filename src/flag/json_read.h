/* json_read.h - reading the small objects that commands carry, by jansson.
 *
 * Apart from json.h, so that a program that only reads flags needs no jansson.
 */
#ifndef FLAG_JSON_READ_H
#define FLAG_JSON_READ_H

#include <jansson.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * The JSON object in `text`.
 *
 * Gives:   *ret, to be released with json_decref().
 * Errors:  EINVAL  with line and column: not JSON, not an object, a key twice
 *          ENOMEM
 */
MUST_USE enum hoist_err json_read(struct slice text, json_t **ret);

#endif
