/* primary.h - the one process that accepts changes and numbers them.
 *
 * Commands come from server.c, wait in a bounded queue, and are carried out by one thread: all that
 * wait together in one transaction (group commit), in order, each checked whole before its first
 * put and against the head that the one before left. After the commit they are published, then
 * answered.
 */
#ifndef PRIMARY_PRIMARY_H
#define PRIMARY_PRIMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repl/server.h"
#include "store/store.h"

struct primary;

/* What somebody may do who signs nothing and is no user with a grant. */
enum anonymous {
    ANONYMOUS_OPEN, /* until the first grant everything, from then on reading; over TLS from
                       another machine reading alone, ever */
    ANONYMOUS_VIEWER,
    ANONYMOUS_NONE,
};

struct release_plan;
struct release_answer;

/* Who asks the guards of releases. To be stopped before the primary is. */
struct primary_guards {
    /* Ask those of the plan's guards that are in the bit set `guards`, and go on; done() is called once,
     * from any thread, with an answer for each, in the order of their indices. An error: it will not
     * be called, with why in err_last(). NULL: nobody asks, and no guard ever passes. */
    enum hoist_err (*ask)(void *arg, const struct release_plan *plan, uint32_t guards,
                          void (*done)(void *done_arg, const struct release_answer *answers),
                          void *done_arg);
    void *arg;
};

struct primary_config {
    const char *const *envs; /* made if they are not there; none and none there: "production" */
    uint32_t env_count;
    const char *const *listen;
    uint32_t listen_count;
    const char *stream;
    struct net_tls *tls;         /* for the tls+tcp addresses; NULL: there are none */
    const char *const *privates; /* "ENV=URL": ENV is given out at URL, and nowhere else */
    struct net_tls *private_tls; /* for those of them that are tls+tcp; NULL: there are none */
    uint32_t private_count;
    const char *const *kill_on_alert; /* "ENV:ALERT=FLAG", see alerts.h */
    uint32_t kill_count;
    struct primary_guards guards;
    const char *id;
    const char *software;
    const char *role; /* "primary" or "dev", as status says it */
    uint32_t heartbeat_ms;
    struct quota_limits quota;
    enum anonymous anonymous;
    struct sums *sums;          /* of evaluations, to be kept; borrowed; NULL: none are */
    const struct sign_key *key; /* signs changes and heartbeats; stays the caller's; NULL: none */
    bool key_named;             /* not made with the store: hosts may trust it already */
};

MUST_USE enum hoist_err primary_start(struct store *s, const struct primary_config *config,
                                      struct primary **ret);
/* Answers what it has taken, then stops; within two seconds. NULL is fine. */
void primary_stop(struct primary *p);

/* Take new certificates, and those of private listeners: server_renew() and server_close_old(). */
MUST_USE enum hoist_err primary_renew(struct primary *p, struct net_tls *tls,
                                      struct net_tls *private_tls);

MUST_USE enum hoist_err primary_status(struct primary *p, struct buf *out);

/*
 * Alertmanager's webhook: kill what the alerts in `body` may kill (kill_on_alert), each flag once for
 * an alert, however often that is said. An alert that is resolved turns nothing on.
 *
 * Gives:   the HTTP status, and its body in `out`: 200 when all that is to be killed is, and
 *          committed; 400 where it is no such message; 413 where it was `too_long`, more than
 *          ALERTS_BODY_MAX bytes; 503 to be asked again
 * Threads: any but the primary's own; waits for the commit, up to 5 s.
 */
unsigned primary_alerts(struct primary *p, struct slice body, bool too_long, struct buf *out);

/* A commit ended with an outcome that nobody knows (the disk failed in the middle): its commands
 * were told so, and no change is taken any more. Stop it, close the store, open it again, and start
 * anew: primary_start() logs what it finds. */
bool primary_is_broken(const struct primary *p);

#endif
