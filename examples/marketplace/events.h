/* events.h - the program's log: a JSON object a line on stderr, each with an event of this list.
 *
 * The list is closed, so that the counter marketplace_log_messages_total can have the event as a
 * label; the sentence beside it says the rest.
 */
#ifndef MARKETPLACE_EVENTS_H
#define MARKETPLACE_EVENTS_H

#define EVENTS(X)                                                                                  \
    X(STARTED, "info", "main", "started")                                                          \
    X(DRAINING, "info", "main", "draining")                                                        \
    X(ENDED, "info", "main", "ended")                                                              \
    X(FLAGS_AWAY, "warn", "main", "flags_away")                                                    \
    X(SYNC_DONE, "info", "sync", "sync_done")                                                      \
    X(SYNC_STOPPED, "info", "sync", "sync_stopped_by_flag")                                        \
    X(SYNC_FAILED, "error", "sync", "sync_failed")                                                 \
    X(LISTINGS_GONE, "info", "sync", "listings_gone")                                              \
    X(LIMITED, "warn", "github", "rate_limited")                                                   \
    X(TRIED_AGAIN, "warn", "github", "tried_again")                                                \
    X(REFUSED, "error", "github", "refused")                                                       \
    X(BAD_BODY, "error", "github", "bad_body")                                                     \
    X(INCOMPLETE, "warn", "github", "incomplete_results")                                          \
    X(MOVED, "info", "github", "moved")                                                            \
    X(DATA_FAILED, "error", "data", "data_failed")                                                 \
    X(REQUEST_FAILED, "error", "api", "request_failed")

enum event {
#define X(id, level, subsystem, name) EVENT_##id,
    EVENTS(X)
#undef X
        EVENT_COUNT
};

void events_init(void); /* the counters, at 0 */

/* One line, and one more in the counter. */
void event(enum event what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
