/* version.h - versions as sem_ver takes them: Semantic Versioning 2.0.0 (semver.org), and those that
 * flagd takes as well: with a "v" in front, without minor or patch. */
#ifndef FLAG_VERSION_H
#define FLAG_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct version {
    uint64_t number[3]; /* major, minor, patch */
    struct slice pre;   /* "rc.1", borrowed; empty: a release */
};

/* False: `s` is no version, and *ret is as it was. */
bool version_read(struct slice s, struct version *ret);

/* Below 0, 0 or above it, as `a` comes before `b`, with it or behind it. */
int version_compare(const struct version *a, const struct version *b);

#endif
