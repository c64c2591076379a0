/* follow.h - the releases that a sink is told of: those whose plan names it.
 *
 * What is told of a release is what the engine says to people, and that is a function of its events. So the
 * events are read from the store and folded once more, from where the sink's cursor stands: nothing but
 * them is kept, and they are the queue. In the cursor stand, beside the environments,
 *
 *   release/12 345     release number 12: events up to 345 need no telling any more
 *   release/done 11    nor does any release up to number 11
 *
 * Threads: one at a time.
 */
#ifndef HTTP_FOLLOW_H
#define HTTP_FOLLOW_H

#include "http/cursor.h"
#include "http/news.h"

struct followed;

struct follow {
    const char *sink;
    struct cursor *cursor;
    struct followed **all; /* by number */
    size_t count, cap;
    uint32_t last_id; /* the last release that was looked at */
    bool moved;       /* the cursor, since this was cleared */
    uint32_t lost;    /* releases that cannot be read, since this was cleared */
};

/* `sink` and `cursor` are borrowed. A cursor that is new begins behind what there is. ENOMEM, EIO. */
MUST_USE enum hoist_err follow_begin(struct follow *f, const char *sink, struct cursor *cursor,
                                     struct store_read *r);
void follow_done(struct follow *f); /* fine on what is zeroed */

/*
 * Pass what is no news, and offer the next news of each release: `at` is its place in the cursor, which
 * moves to news->sequence once that is told. Places of before this call are void. Gives whether there is
 * more to look at.
 */
bool follow_look(struct follow *f, struct store_read *r,
                 void (*offer)(void *arg, size_t at, const struct release_news *news), void *arg);

#endif
