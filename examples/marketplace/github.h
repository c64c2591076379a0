/* github.h - one request to GitHub's REST API at a time, and what its answer means.
 *
 * The rules are those of GitHub's pages "Rate limits for the REST API" and "Best practices for using
 * the REST API": a limited client waits for `retry-after`, else for the reset of a budget that is
 * used up, else for a minute that doubles each time. That the budget is not used up says nothing: a
 * secondary limit leaves it as it is.
 */
#ifndef MARKETPLACE_GITHUB_H
#define MARKETPLACE_GITHUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GITHUB_URL_MAX = 2048, GITHUB_BODY_MAX = 8 << 20, GITHUB_TRIES = 5 };

struct github;

struct github_reply {
    long status; /* 0: none came */
    char *body;  /* owned, ended by a NUL */
    size_t length;
    bool truncated; /* it ended before its length, or the connection broke, or a header was lost */
    bool lost_header; /* it was longer than there is room for */
    bool conditional; /* the request had an ETag: 304 is an answer to it */
    char etag[256], next[GITHUB_URL_MAX], location[GITHUB_URL_MAX], resource[32];
    int64_t retry_after_s, remaining, limit, reset_s, poll_interval_s; /* -1: not said */
    char error[256];                                                   /* where status is 0 */
};

/* `token` may be NULL. NULL: libcurl has no memory. */
struct github *github_new(const char *token);
void github_free(struct github *g);

/* Ask for `url`; `etag` may be "". *ret is always filled; free it with github_reply_done(). Waits up
 * to 30 s; one thread at a time. */
void github_get(struct github *g, const char *url, const char *etag, struct github_reply *ret);
void github_reply_done(struct github_reply *r);

enum github_verdict {
    GITHUB_GOOD,      /* 200 */
    GITHUB_FRESH,     /* 304 */
    GITHUB_MOVED,     /* to `location`: for good, if the status is 301 or 308 */
    GITHUB_PRIMARY,   /* the budget is used up: wait */
    GITHUB_SECONDARY, /* too much at once: wait */
    GITHUB_AGAIN,     /* it failed, and may not next time: wait */
    GITHUB_REFUSED,   /* it will be refused next time, too */
};

/* What `r` means after `tries` tries that failed; *ret_wait_ms is how long nothing may be sent.
 * `first_wait_ms` is the minute after which to try again when a limit names no time (after
 * what merely failed it is a second); `jitter` is from 0 to 1. */
enum github_verdict github_judge(const struct github_reply *r, int tries, int64_t now_s,
                                 int64_t first_wait_ms, double jitter, int64_t *ret_wait_ms);

#endif
