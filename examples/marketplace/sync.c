#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "flags.h"
#include "sync_int.h"
#include "turn.h"

enum { LOOK_MS = 200 /* at the flags, while it waits */ };

/* ------------------------------------------------------------------ metrics */

#define GITHUB_SOURCE "source=\"github\""

static struct series *requests(const struct sync *s, long status)
{
    char labels[80];
    snprintf(labels, sizeof labels, "resource=\"%s\",code=\"%ld\"", s->resource, status);
    return metric(METRIC_COUNTER, "marketplace_github_requests_total",
                  "Requests to GitHub, by the status of the answer; 0: none came.", labels);
}

static void make_metrics(struct sync *s)
{
    static const long statuses[] = {200, 304, 403, 429, 500};
    static const char *const results[RESULT_COUNT] = {"success", "failure", "skipped"};
    static const char *const kinds[] = {"primary", "secondary"};
    char labels[80];
    for (int i = 0; i < RESULT_COUNT; i++) {
        snprintf(labels, sizeof labels, GITHUB_SOURCE ",result=\"%s\"", results[i]);
        s->operations[i] = metric(METRIC_COUNTER, "marketplace_sync_operations_total",
                                  "Runs of the worker, by how they ended.", labels);
    }
    s->duration = metric(METRIC_HISTOGRAM, "marketplace_sync_duration_seconds",
                         "How long a run took.", GITHUB_SOURCE);
    s->in_progress = metric(METRIC_GAUGE, "marketplace_sync_in_progress", "Whether a run goes on.",
                            GITHUB_SOURCE);
    s->last_success = metric(METRIC_GAUGE, "marketplace_sync_last_success_timestamp_seconds",
                             "When the last run that succeeded ended; 0: none has.", GITHUB_SOURCE);
    s->items = metric(METRIC_COUNTER, "marketplace_items_ingested_total",
                      "Listings stored, those that were there already among them.", GITHUB_SOURCE);
    s->gone = metric(METRIC_COUNTER, "marketplace_items_removed_total",
                     "Listings that two whole runs in a row have not seen.", GITHUB_SOURCE);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        (void)requests(s, statuses[i]);
    s->request_duration = metric(METRIC_HISTOGRAM, "marketplace_github_request_duration_seconds",
                                 "How long GitHub took to answer.", "");
    for (int i = 0; i < 2; i++) {
        snprintf(labels, sizeof labels, "kind=\"%s\"", kinds[i]);
        s->limited[i] = metric(METRIC_COUNTER, "marketplace_github_ratelimited_total",
                               "Answers that named a limit.", labels);
    }
    snprintf(labels, sizeof labels, "resource=\"%s\"", s->resource);
    s->backoff = metric(METRIC_GAUGE, "marketplace_github_backoff_seconds",
                        "How long the worker waits now before it asks again.", labels);
    s->limit_gauge = metric(METRIC_GAUGE, "marketplace_github_ratelimit_limit",
                            "Requests that GitHub grants; 0: it has not said.", labels);
    s->remaining_gauge = metric(METRIC_GAUGE, "marketplace_github_ratelimit_remaining",
                                "Requests that are left of them.", labels);
    s->reset_gauge = metric(METRIC_GAUGE, "marketplace_github_ratelimit_reset_timestamp_seconds",
                            "When they begin anew.", labels);
}

void sync_show(struct sync *s)
{
    struct worker_state known;
    if (listings_state(s->listings, &known) != 0)
        return;
    metric_set(s->last_success, (double)known.success_s);
    if (known.limit >= 0)
        metric_set(s->limit_gauge, (double)known.limit);
    if (known.remaining >= 0)
        metric_set(s->remaining_gauge, (double)known.remaining);
    if (known.reset_s >= 0)
        metric_set(s->reset_gauge, (double)known.reset_s);
}

/* ------------------------------------------------------------------ what is kept */

bool sync_keep(struct sync *s)
{
    int rc = listings_put_state(s->listings, &s->state);
    if (rc)
        event(EVENT_DATA_FAILED, "the worker's state could not be stored: %s", mdb_strerror(rc));
    return rc == 0;
}

void sync_be_quiet(struct sync *s, int64_t ms)
{
    int64_t until =
        mono_ms() + ms + (ms > 0); /* now is cut to a millisecond, and that would be early */
    if (until <= s->quiet_until_mono)
        return;
    s->quiet_until_mono = until;
    s->state.quiet_ms = ms;
    s->state.quiet_until_ms = clock_ms(CLOCK_REALTIME) + ms;
}

/* Of what was stored, perhaps before a clock was set: never more than it was at first. */
static void load_state(struct sync *s)
{
    int rc = listings_state(s->listings, &s->state);
    if (rc)
        event(EVENT_DATA_FAILED, "the worker's state cannot be read: %s", mdb_strerror(rc));
    int64_t left = s->state.quiet_until_ms - clock_ms(CLOCK_REALTIME);
    if (left > s->state.quiet_ms)
        left = s->state.quiet_ms;
    if (mono_ms() + left > s->quiet_until_mono)
        s->quiet_until_mono = mono_ms() + left;
}

bool sync_take_reply(struct sync *s, const struct github_reply *r, int64_t took_ms, int64_t wait_ms)
{
    int64_t until_reset_ms = (r->reset_s - time(NULL) + 1) * 1000;
    metric_add(requests(s, r->status), 1);
    metric_observe(s->request_duration, (double)took_ms / 1000);
    if (r->limit >= 0)
        s->state.limit = r->limit;
    if (r->remaining >= 0)
        s->state.remaining = r->remaining;
    if (r->reset_s >= 0)
        s->state.reset_s = r->reset_s;
    if (r->poll_interval_s > s->state.poll_interval_s)
        s->state.poll_interval_s = r->poll_interval_s;
    if (r->remaining == 0 && r->reset_s >= 0 && wait_ms < until_reset_ms)
        wait_ms = until_reset_ms;
    sync_be_quiet(s, wait_ms);
    return sync_keep(s);
}

/* ------------------------------------------------------------------ going on or not */

bool sync_may_call(void)
{
    return flag_is_on(FLAG_SYNC, NULL) && flag_is_on(FLAG_GITHUB_SOURCES, NULL);
}

static bool ends(struct sync *s)
{
    pthread_mutex_lock(&s->lock);
    bool yes = s->ends;
    pthread_mutex_unlock(&s->lock);
    return yes;
}

static void sleep_ms(struct sync *s, int64_t ms, bool until_asked)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->ends && !(until_asked && s->asked) &&
           pthread_cond_clockwait(&s->wake, &s->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&s->lock);
}

bool sync_hold(struct sync *s)
{
    int64_t left;
    while ((left = s->quiet_until_mono - mono_ms()) > 0 && sync_may_call() && !ends(s)) {
        metric_set(s->backoff, (double)left / 1000);
        sleep_ms(s, left < LOOK_MS ? left : LOOK_MS, false);
    }
    metric_set(s->backoff, 0);
    return sync_may_call() && !ends(s);
}

/* ------------------------------------------------------------------ runs */

static void count_run(struct sync *s, enum step step, const struct walk *w, int64_t took_ms)
{
    metric_observe(s->duration, (double)took_ms / 1000);
    if (step == STEP_END) {
        metric_add(s->operations[RESULT_SUCCESS], 1);
        event(EVENT_SYNC_DONE, "%ju listings stored in %lld ms", (uintmax_t)w->stored,
              (long long)took_ms);
    } else if (step == STEP_STOPPED) {
        metric_add(s->operations[RESULT_SKIPPED], 1);
        event(EVENT_SYNC_STOPPED, "after %ju listings: a flag is off, or the service ends",
              (uintmax_t)w->stored);
    } else {
        metric_add(s->operations[RESULT_FAILURE], 1);
        event(EVENT_SYNC_FAILED, "after %ju listings, which stay; next run in %lld s",
              (uintmax_t)w->stored, (long long)s->config.interval_ms / 1000);
    }
}

static void run(struct sync *s)
{
    struct walk w = {.total = -1};
    int64_t began = mono_ms();
    if (!sync_may_call()) {
        metric_add(s->operations[RESULT_SKIPPED], 1);
        return;
    }
    metric_set(s->in_progress, 1);
    enum step step = sync_walk(s, &w);
    ids_free(&w.seen);
    if (step == STEP_END)
        s->state.success_s = time(NULL);
    if (step != STEP_STOPPED) {
        s->state.ended_ms = clock_ms(CLOCK_REALTIME);
        (void)sync_keep(s);
    }
    metric_set(s->in_progress, 0);
    count_run(s, step, &w, mono_ms() - began);
}

/* How long after the last run, whoever made it, the next one begins. */
static int64_t until_due(const struct sync *s)
{
    int64_t every_ms = s->config.interval_ms, since;
    if (every_ms < s->state.poll_interval_s * 1000)
        every_ms = s->state.poll_interval_s * 1000;
    since = clock_ms(CLOCK_REALTIME) - s->state.ended_ms;
    return since >= 0 && since < every_ms ? every_ms - since : 0;
}

static void set_running(struct sync *s, bool running)
{
    pthread_mutex_lock(&s->lock);
    s->running = running;
    if (running)
        s->asked = false;
    pthread_mutex_unlock(&s->lock);
}

static bool was_asked(struct sync *s)
{
    pthread_mutex_lock(&s->lock);
    bool asked = s->asked;
    pthread_mutex_unlock(&s->lock);
    return asked;
}

/* One run, if it is time and no other process makes one. */
static void run_in_turn(struct sync *s)
{
    bool asked = was_asked(s);
    set_running(s, true);
    if (turn_take(s->turn)) {
        load_state(s);
        if (asked || until_due(s) == 0)
            run(s);
        turn_end(s->turn);
    }
    set_running(s, false);
}

static void *work(void *arg)
{
    struct sync *s = arg;
    while (!ends(s)) {
        run_in_turn(s);
        int64_t wait_ms = until_due(s);
        sleep_ms(s, wait_ms > 0 ? wait_ms : s->config.interval_ms, true);
    }
    return NULL;
}

enum sync_started sync_now(struct sync *s)
{
    if (!sync_may_call())
        return SYNC_IS_OFF;
    pthread_mutex_lock(&s->lock);
    bool busy = s->running || s->asked || turn_is_taken(s->turn);
    if (!busy) {
        s->asked = true;
        pthread_cond_broadcast(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return busy ? SYNC_RUNS_ALREADY : SYNC_STARTED;
}

static void sync_free(struct sync *s)
{
    if (s->turn >= 0)
        close(s->turn);
    github_free(s->github);
    free(s);
}

struct sync *sync_start(struct listings *l, const struct sync_config *config)
{
    struct sync *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct sync){
        .listings = l,
        .config = *config,
        .github = github_new(config->token),
        .turn = turn_open(config->data),
        .resource = config->search ? "search" : "core",
    };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    make_metrics(s);
    if (!s->github || s->turn < 0 || pthread_create(&s->thread, NULL, work, s) != 0) {
        sync_free(s);
        return NULL;
    }
    return s;
}

void sync_stop(struct sync *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    sync_free(s);
}

/* ------------------------------------------------------------------ the seed */

bool sync_store_seed(struct listings *l)
{
    static const char *const names[] = {"starter-kit", "example-agent", "style-guide"};
    json_t *items = json_array();
    for (int i = 0; i < 3; i++)
        (void)json_array_append_new(
            items,
            json_pack("{si ss ss ss ss sn si s[] sn}", "id", i + 1, "source", "seed", "name",
                      names[i], "url", "https://marketplace.example/seed", "description",
                      "comes with the service", "language", "stars", 0, "topics", "updated_at"));
    int rc = listings_store(l, items, NULL, NULL);
    json_decref(items);
    if (rc)
        event(EVENT_DATA_FAILED, "the built-in listings could not be stored: %s", mdb_strerror(rc));
    return rc == 0;
}
