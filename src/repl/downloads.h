/* downloads.h - who is downloading a snapshot, and how long the log must be kept for them.
 *
 * A snapshot is many requests, so "at a time" cannot be seen from one of them: the first page takes
 * a place, each further page renews it, the last page, or ten seconds without a further one, gives it
 * back. One peer leaves some to the others. The log behind the version of the first page stays until a
 * minute after the last page was asked for.
 */
#ifndef REPL_DOWNLOADS_H
#define REPL_DOWNLOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum {
    DOWNLOADS_MAX = 12,
    DOWNLOADS_PEER_MAX = 8,
    DOWNLOAD_SILENT_MS = 10000,
    DOWNLOAD_PIN_MS = 60000,
    DOWNLOAD_PIN_LONGEST_MS = 3600000, /* whoever takes longer starts over */
    DOWNLOAD_PINS_MAX = 64,
};

struct downloads;

MUST_USE enum hoist_err downloads_new(struct store *s, struct downloads **ret);
void downloads_free(struct downloads *d); /* and gives the log free */

struct download_asker {
    uint32_t connection;
    const void *peer; /* whose it is, to be compared with others */
};

enum download_place { DOWNLOAD_HAS, DOWNLOAD_PEER_HAS_MOST, DOWNLOAD_NONE_IS_FREE };

/* The page of environment `env` at `version` that begins behind `after_key` is wanted: whether `asker`
 * has a place, else it comes again. Any thread. */
enum download_place downloads_page(struct downloads *d, const struct download_asker *asker,
                                   uint16_t env, uint64_t version, struct slice after_key,
                                   int64_t now_ms);

/* That was the last page. */
void downloads_end(struct downloads *d, const struct download_asker *asker, uint16_t env,
                   int64_t now_ms);

/* Time passed: give free what has run out. */
void downloads_tick(struct downloads *d, int64_t now_ms);

#endif
