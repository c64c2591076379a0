/* sync_int.h - the worker, as its thread (sync.c) and its way through the pages (walk.c) share it. */
#ifndef MARKETPLACE_SYNC_INT_H
#define MARKETPLACE_SYNC_INT_H

#include <pthread.h>

#include "github.h"
#include "ids.h"
#include "metrics.h"
#include "sync.h"

enum result { RESULT_SUCCESS, RESULT_FAILURE, RESULT_SKIPPED, RESULT_COUNT };

struct sync {
    struct listings *listings;
    struct sync_config config;
    struct github *github;
    int turn;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ends, asked, running;

    struct worker_state state; /* as it is stored */
    int64_t quiet_until_mono;  /* as state.quiet_until_ms, by a clock that nobody sets */
    const char *resource;      /* "core" or "search" */

    struct series *operations[RESULT_COUNT], *duration, *in_progress, *last_success, *items, *gone;
    struct series *request_duration, *limited[2], *backoff, *limit_gauge, *remaining_gauge,
        *reset_gauge;
};

struct walk { /* one run's way through the pages */
    char url[GITHUB_URL_MAX];
    char moved[GITHUB_URL_MAX]; /* where a redirect that was remembered led away from; "" */
    struct ids seen;
    int64_t total;   /* as a search says it; -1 */
    bool incomplete; /* not all that there is has been seen */
    int redirects;   /* since the last page */
    uint64_t stored;
};

enum step { STEP_NEXT, STEP_END, STEP_FAILED, STEP_STOPPED, STEP_AGAIN };

/* From the first page to the last one, and then let go what is no more. */
enum step sync_walk(struct sync *s, struct walk *w);

bool sync_may_call(void); /* both flags are on */

/* Wait until something may be sent. False: a flag went off meanwhile, or the program ends. */
bool sync_hold(struct sync *s);

/* Nothing is sent for `ms`, or longer if that was said before; sync_keep() stores it. */
void sync_be_quiet(struct sync *s, int64_t ms);
bool sync_keep(struct sync *s); /* false: it could not be stored, and was logged */

/* Count an answer, and store what it says of the budget and of how long to be quiet. False: as above. */
bool sync_take_reply(struct sync *s, const struct github_reply *r, int64_t took_ms,
                     int64_t wait_ms);

#endif
