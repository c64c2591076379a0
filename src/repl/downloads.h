/* downloads.h - who is downloading a snapshot, and how long the log must be kept for them.
 *
 * A snapshot is many requests, so "at a time" cannot be seen from one of them: the first page takes
 * a place, each further page renews it, the last page, or ten silent seconds, gives it back. The
 * log behind the version of the first page stays until a minute after the last page was asked for.
 */
#ifndef REPL_DOWNLOADS_H
#define REPL_DOWNLOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum {
    DOWNLOADS_MAX = 8,
    DOWNLOAD_SILENT_MS = 10000,
    DOWNLOAD_PIN_MS = 60000,
    DOWNLOAD_PIN_LONGEST_MS = 3600000, /* whoever takes longer starts over */
    DOWNLOAD_PINS_MAX = 64,
};

struct downloads;

MUST_USE enum hoist_err downloads_new(struct store *s, struct downloads **ret);
void downloads_free(struct downloads *d); /* and gives the log free */

/* A page of environment `env` at `version` is wanted by `asker` (its connection). False: there are
 * DOWNLOADS_MAX others; come again. Any thread. */
bool downloads_page(struct downloads *d, uint32_t asker, uint16_t env, uint64_t version,
                    int64_t now_ms);

/* That was the last page. */
void downloads_end(struct downloads *d, uint32_t asker, uint16_t env, int64_t now_ms);

/* Time passed: give free what has run out. */
void downloads_tick(struct downloads *d, int64_t now_ms);

#endif
