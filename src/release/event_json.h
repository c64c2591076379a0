/* event_json.h - an event as JSON, for whoever exports a release's log or plays it again.
 *
 * A line of docs/releases.md, "The log of a release": what a row has as an index stands there by its name in
 * the plan.
 */
#ifndef RELEASE_EVENT_JSON_H
#define RELEASE_EVENT_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "flag/json.h"
#include "release/event.h"

/* The event as an object. Its indices are of the plan. */
void release_event_put_json(struct json_writer *w, const struct release_plan *plan,
                            const struct release_event *e);

/*
 * The event in `object`, as release_event_put_json() writes it.
 *
 * Gives:   *ret; its texts are in `arena`.
 * Errors:  EINVAL says which member is missing or wrong. ENOMEM.
 */
MUST_USE enum hoist_err release_event_read_json(const struct release_plan *plan,
                                                const json_t *object, struct arena *arena,
                                                struct release_event *ret);

#endif
