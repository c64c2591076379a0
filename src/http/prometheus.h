/* prometheus.h - asking a Prometheus what guards say: instant queries, each answered by one verdict.
 *
 * One thread of its own holds all that is asked, by libcurl's multi interface: whoever asks goes on at
 * once, and gets the answers of a set together, each within the time limit, however many hang. Asking
 * from the caller's thread would need neither thread nor queue, but seven guards over a Prometheus that
 * hangs would stop the primary for seven time limits; a thread for each guard would be as quick, and
 * costs a stack and a connection each.
 *
 * An answer is judged as it comes (release/verdict.h). Nothing but one finite sample, of now and whole,
 * in Prometheus's own JSON, is ever PASS or FAIL.
 */
#ifndef HTTP_PROMETHEUS_H
#define HTTP_PROMETHEUS_H

#include <stdint.h>

#include "base/err.h"
#include "release/verdict.h"

enum {
    PROMETHEUS_TIMEOUT_MS = 5000,
    PROMETHEUS_STALE_MS = 30000,
    PROMETHEUS_ANSWER_MAX = 1 << 20,
    PROMETHEUS_QUERY_MAX = 16 << 10,
    PROMETHEUS_ASKED_MAX = 4096, /* queries at a time */
    PROMETHEUS_WHY_SIZE = 320,
};

/* Text stays the caller's. The files are read anew for each set of queries, so what is renewed in
 * them counts without a restart. */
struct prometheus_config {
    const char *url;        /* as in http://127.0.0.1:9090, or what stands before /api/v1 */
    int64_t timeout_ms;     /* of a query, from when it is asked; 0: PROMETHEUS_TIMEOUT_MS */
    int64_t stale_ms;       /* how far a sample's time may be from now; 0: PROMETHEUS_STALE_MS */
    const char *token_file; /* a bearer token; NULL: none */
    const char *user_file;  /* USER:PASSWORD; NULL: none */
    const char *ca;         /* in PEM, whom to believe; NULL: those that the system believes */
    const char *cert, *key; /* ours, in PEM; NULL: none */
    bool insecure;          /* plain http may leave this machine */
};

struct prometheus_query {
    const char *text;
    struct release_bound pass;
};

struct prometheus_answer {
    enum release_verdict verdict;
    double value;                  /* NaN unless the verdict is PASS, FAIL or CRITICAL */
    char why[PROMETHEUS_WHY_SIZE]; /* of NODATA and ERROR: a sentence with the mend; else "" */
};

/* Whether one could be asked so. EINVAL, as prometheus_start(). ENOMEM. */
MUST_USE enum hoist_err prometheus_check(const struct prometheus_config *config);

struct prometheus;

/*
 * Errors:  EINVAL  the URL or a file is wrong, or goes without what belongs to it: names the option
 *          ENOMEM, EIO
 */
MUST_USE enum hoist_err prometheus_start(const struct prometheus_config *config,
                                         struct prometheus **ret);

/* Ends the thread within a second; what is still asked is answered: ERROR. NULL is fine. */
void prometheus_stop(struct prometheus *p);

/* Called once for a set, from the asker's thread (for what is left at the end, from prometheus_stop()'s
 * caller); `answers` are in the order of the queries, and go away with the call. It may ask again. */
typedef void prometheus_done_fn(void *arg, const struct prometheus_answer *answers, uint32_t count);

/*
 * Ask all of `queries` (copied) at once, and go on.
 *
 * Errors:  EAGAIN  PROMETHEUS_ASKED_MAX are asked already: ask in the next round
 *          EINVAL  there is none, or one is empty or longer than PROMETHEUS_QUERY_MAX; ENOMEM
 *          On error `done` is never called.
 * Threads: any; does not wait.
 */
MUST_USE enum hoist_err prometheus_ask(struct prometheus *p, const struct prometheus_query *queries,
                                       uint32_t count, prometheus_done_fn *done, void *arg);

/* The same, for who has nothing else to do: waits for the answers. Not from `done`. */
MUST_USE enum hoist_err prometheus_ask_wait(struct prometheus *p,
                                            const struct prometheus_query *queries, uint32_t count,
                                            struct prometheus_answer *ret_answers);

#endif
