/* query_release.h - questions about releases: releases, release_status, release_log, release_plan. */
#ifndef PRIMARY_QUERY_RELEASE_H
#define PRIMARY_QUERY_RELEASE_H

#include <jansson.h>

#include "flag/json.h"
#include "primary/releases.h"

enum release_standing {
    STANDING_MOVING,  /* what it waits for is time, and that is good */
    STANDING_WAITING, /* for people, a window, or more evaluations */
    STANDING_HOLDING, /* something is not as it should be, or somebody holds it */
    STANDING_ROLLING_BACK,
    STANDING_COMPLETED,
    STANDING_ROLLED_BACK,
    RELEASE_STANDINGS
};

/* In words, and which it is. */
extern const char *const release_standings[RELEASE_STANDINGS];
enum release_standing release_standing(const struct release_record *r);

bool release_is_question(struct slice name);

/* Appends JSON to `out`, returns the exit code. Any thread. */
uint32_t release_answer(struct releases *rs, struct store_read *r, struct slice name,
                        const json_t *args, int64_t wall_ms, struct buf *out);

/* Where a release stands: the members of an object that is open. */
void release_put_status(struct json_writer *w, const struct release_plan *plan,
                        const struct release_record *r, uint32_t id, int64_t wall_ms);

#endif
