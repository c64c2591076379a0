/* sync.h - the worker: brings GitHub's listings into the service's own data, page by page.
 *
 * One thread, one request at a time, also where several processes share the data. Before each request it
 * reads its flags; after one that was answered while a flag went off it stores nothing and stops. What was
 * stored before stays: a page is stored whole, by id, so that coming again stores nothing twice. How long
 * nothing may be sent is stored before it is waited for, and holds after a kill -9, too.
 *
 * A listing goes when two runs in a row have read all there is and not seen it; a run that failed, was stopped,
 * or was told that the results are incomplete counts for nothing here.
 */
#ifndef MARKETPLACE_SYNC_H
#define MARKETPLACE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "listings.h"

struct sync_config {
    const char *github;    /* base URL, without a slash at its end */
    const char *org;       /* whose repositories; or … */
    const char *search;    /* … what to search for; NULL */
    const char *token;     /* NULL */
    int64_t interval_ms;   /* between two runs */
    int64_t first_wait_ms; /* after a limit that names no time */
    const char *data;      /* the listings' directory, where the turn is kept */
};

enum sync_started { SYNC_STARTED, SYNC_RUNS_ALREADY, SYNC_IS_OFF };

struct sync;

/* Starts the thread. NULL: memory is out, or the turn's file cannot be had. What `config` points to stays
 * the caller's. */
struct sync *sync_start(struct listings *l, const struct sync_config *config);
/* Ends it, within a request's time. */
void sync_stop(struct sync *s);

/* Begin a run now. */
enum sync_started sync_now(struct sync *s);

/* What is known of GitHub's budget and of the last success, by whichever process: into the gauges. */
void sync_show(struct sync *s);

/* The listings that are built in. False: they could not be stored. */
bool sync_store_seed(struct listings *l);

#endif
