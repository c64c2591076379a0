/* notify.h - telling people and programs of kills, restores and rollbacks, and of the releases that name them,
 * over HTTP.
 *
 * Each sink has a thread of its own, which reads the log of each environment, and of each such release, from
 * where its cursor stands, and sends what it finds there one after the other: by time, and within an environment by
 * version. The cursor moves when the other side has answered 2xx, and is kept before the next is sent.
 * So nothing is lost over a restart, a crash or a sink that is away, and what is sent twice is at most
 * the one that was on its way: it has the same id then. Nothing is held in memory but that one; the
 * log is the queue, and whoever changes flags never waits for a sink.
 *
 * What fails is tried again for ever, after 1 s, 2 s, … up to a minute, by half at random, or as long
 * as the other side asks (Retry-After, at most 10 minutes). A message that is refused (a 4xx which is
 * not about the address) is tried three times and then left out, with an error in the log, so that it
 * does not hold up those behind it.
 */
#ifndef HTTP_NOTIFY_H
#define HTTP_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/store.h"

struct notifier;

struct notifier_config {
    struct store *store;      /* stays open until notifier_stop() */
    const char *dir;          /* for the cursors */
    const char *const *sinks; /* "NAME=KIND:FILE", see sink.h */
    size_t count;
    bool insecure; /* plain http may leave this machine */
};

/* Errors: EINVAL (names the option and the mend), ECORRUPT (a cursor's file), EACCES, EIO, ENOMEM. */
MUST_USE enum hoist_err notifier_start(const struct notifier_config *config, struct notifier **ret);

/* Within about a second; what was on its way is sent again by the next start. NULL is fine. */
void notifier_stop(struct notifier *n);

#endif
