#include "sync.h"

#include <curl/curl.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "events.h"
#include "flags.h"
#include "github.h"
#include "metrics.h"

enum { LOOK_MS = 200 /* at the flags, while it waits */, REDIRECTS_MAX = 5, RUN_PAGES_MAX = 10000 };

enum result { RESULT_SUCCESS, RESULT_FAILURE, RESULT_SKIPPED, RESULT_COUNT };

struct sync {
    struct listings *listings;
    struct sync_config config;
    struct github *github;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ends, asked, running;

    /* of the budget, as the last answer said it */
    int64_t remaining, reset_s, poll_interval_s;
    char resource[32]; /* "core" or "search" */

    struct series *operations[RESULT_COUNT], *duration, *in_progress, *last_success, *items;
    struct series *request_duration, *limited[2], *backoff, *limit_gauge, *remaining_gauge,
        *reset_gauge;
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

static void count_reply(struct sync *s, const struct github_reply *r, int64_t took_ms)
{
    metric_add(requests(s, r->status), 1);
    metric_observe(s->request_duration, (double)took_ms / 1000);
    if (r->limit >= 0)
        metric_set(s->limit_gauge, (double)r->limit);
    if (r->remaining >= 0)
        metric_set(s->remaining_gauge, (double)r->remaining);
    if (r->reset_s >= 0)
        metric_set(s->reset_gauge, (double)r->reset_s);
    s->remaining = r->remaining;
    s->reset_s = r->reset_s;
    if (r->poll_interval_s > s->poll_interval_s)
        s->poll_interval_s = r->poll_interval_s;
}

/* ------------------------------------------------------------------ going on or not */

static bool may_call(void)
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

/* Nothing is sent for `ms`. False: a flag went off meanwhile, or the program ends. */
static bool hold(struct sync *s, int64_t ms)
{
    int64_t until = mono_ms() + ms, left = ms;
    for (; left > 0 && may_call() && !ends(s); left = until - mono_ms()) {
        metric_set(s->backoff, (double)left / 1000);
        sleep_ms(s, left < LOOK_MS ? left : LOOK_MS, false);
    }
    metric_set(s->backoff, 0);
    return may_call() && !ends(s);
}

/* ------------------------------------------------------------------ a page */

static const char *text_of(const json_t *v, const char *name)
{
    return json_string_value(json_object_get(v, name));
}

/* A repository of GitHub's as a listing of ours. NULL: a field that we need is not there. */
static json_t *listing_of(const json_t *repository)
{
    const json_t *id = json_object_get(repository, "id"),
                 *stars = json_object_get(repository, "stargazers_count"),
                 *topics = json_object_get(repository, "topics");
    const char *name = text_of(repository, "full_name"), *url = text_of(repository, "html_url");
    if (!json_is_integer(id) || json_integer_value(id) <= 0 || !name || !url ||
        !json_is_integer(stars))
        return NULL;
    return json_pack(
        "{sI ss ss ss ss? ss? sI sO? ss?}", "id", json_integer_value(id), "source", "github",
        "name", name, "url", url, "description", text_of(repository, "description"), "language",
        text_of(repository, "language"), "stars", json_integer_value(stars), "topics",
        json_is_array(topics) ? topics : NULL, "updated_at", text_of(repository, "updated_at"));
}

/* The listings of a page, a new array; NULL: it is no page of GitHub's, or one that lacks what we need. */
static json_t *read_page(const struct github_reply *r)
{
    json_t *body = json_loadb(r->body ? r->body : "", r->length, 0, NULL), *item;
    const json_t *found = json_is_object(body) ? json_object_get(body, "items") : body;
    if (json_is_true(json_object_get(body, "incomplete_results")))
        event(EVENT_INCOMPLETE, "GitHub's search ran out of time; the rest comes with a later run");
    json_t *items = json_is_array(found) ? json_array() : NULL;
    size_t i;
    json_array_foreach(found, i, item)
    {
        if (items && json_array_append_new(items, listing_of(item)) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    json_decref(body);
    return items;
}

enum step { STEP_NEXT, STEP_END, STEP_FAILED, STEP_STOPPED, STEP_AGAIN };

/* A token must not go to another host than it is for. */
static bool is_of_github(const struct sync *s, const char *url)
{
    size_t n = strlen(s->config.github);
    return strncmp(url, s->config.github, n) == 0 && url[n] == '/';
}

static enum step go_to(struct sync *s, const char *next, char url[GITHUB_URL_MAX])
{
    if (!*next)
        return STEP_END;
    if (!is_of_github(s, next)) {
        event(EVENT_REFUSED, "GitHub sends us elsewhere, to %.200s; we do not follow", next);
        return STEP_FAILED;
    }
    memmove(url, next, strlen(next) + 1);
    return STEP_NEXT;
}

static enum step take_page(struct sync *s, const struct github_reply *r, char url[GITHUB_URL_MAX])
{
    struct url_known known = {0};
    json_t *items = read_page(r);
    if (!items) {
        event(EVENT_BAD_BODY, "%.200s: %zu bytes that are no page of repositories", url, r->length);
        return STEP_AGAIN;
    }
    if (!may_call()) {
        json_decref(items);
        return STEP_STOPPED;
    }
    snprintf(known.etag, sizeof known.etag, "%s", r->etag);
    snprintf(known.next, sizeof known.next, "%s", r->next);
    int rc = listings_store(s->listings, items, url, &known);
    metric_add(s->items, rc ? 0 : (double)json_array_size(items));
    json_decref(items);
    if (rc) {
        event(EVENT_DATA_FAILED, "a page could not be stored: %s", mdb_strerror(rc));
        return STEP_FAILED;
    }
    return go_to(s, r->next, url);
}

static enum step take_move(struct sync *s, const struct github_reply *r, char url[GITHUB_URL_MAX])
{
    struct url_known known = {0};
    event(EVENT_MOVED, "%.200s is now %.200s", url, r->location);
    if (!is_of_github(s, r->location))
        return go_to(s, r->location, url);
    snprintf(known.moved, sizeof known.moved, "%s", r->location);
    if (r->status == 301 || r->status == 308) {
        json_t *none = json_array();
        (void)listings_store(s->listings, none, url, &known); /* else it is asked once more */
        json_decref(none);
    }
    return go_to(s, r->location, url);
}

static enum step take_wait(struct sync *s, enum github_verdict verdict,
                           const struct github_reply *r, int64_t wait_ms)
{
    if (verdict == GITHUB_AGAIN)
        event(EVENT_TRIED_AGAIN, "GitHub answered %ld %s; again in %.1f s", r->status, r->error,
              (double)wait_ms / 1000);
    else
        event(EVENT_LIMITED, "%s limit (status %ld, %lld left); again in %.1f s",
              verdict == GITHUB_PRIMARY ? "the primary" : "a secondary", r->status,
              (long long)r->remaining, (double)wait_ms / 1000);
    if (verdict != GITHUB_AGAIN)
        metric_add(s->limited[verdict == GITHUB_SECONDARY], 1);
    return hold(s, wait_ms) ? STEP_AGAIN : STEP_STOPPED;
}

/* Ask for `url` once, and do what the answer wants; *url becomes the page behind it. */
static enum step ask(struct sync *s, char url[GITHUB_URL_MAX], int tries)
{
    struct url_known known;
    struct github_reply r;
    int64_t wait_ms, began = mono_ms();
    int rc = listings_url(s->listings, url, &known);
    if (rc) {
        event(EVENT_DATA_FAILED, "the data cannot be read: %s", mdb_strerror(rc));
        return STEP_FAILED;
    }
    if (*known.moved)
        return go_to(s, known.moved, url);
    github_get(s->github, url, known.etag, &r);
    count_reply(s, &r, mono_ms() - began);
    double jitter = (double)random() / (double)RAND_MAX;
    enum github_verdict verdict =
        github_judge(&r, tries, time(NULL), s->config.first_wait_ms, jitter, &wait_ms);
    enum step step = STEP_FAILED;
    if (verdict == GITHUB_GOOD)
        step = take_page(s, &r, url);
    else if (verdict == GITHUB_FRESH)
        step = go_to(s, known.next, url);
    else if (verdict == GITHUB_MOVED)
        step = take_move(s, &r, url);
    else if (verdict == GITHUB_REFUSED)
        event(EVENT_REFUSED, "GitHub refuses %.200s: status %ld", url, r.status);
    else
        step = take_wait(s, verdict, &r, wait_ms);
    if (step == STEP_AGAIN && verdict == GITHUB_GOOD) { /* it said 200, and was no page */
        r.truncated = true;
        verdict = github_judge(&r, tries, time(NULL), s->config.first_wait_ms, jitter, &wait_ms);
        step = take_wait(s, verdict, &r, wait_ms);
    }
    github_reply_done(&r);
    return step;
}

/* The budget may be known to be used up before anything is sent. */
static bool await_budget(struct sync *s)
{
    int64_t left_s = s->reset_s - time(NULL) + 1;
    return s->remaining != 0 || s->reset_s < 0 || left_s <= 0 || hold(s, left_s * 1000);
}

static void first_url(struct sync *s, char url[GITHUB_URL_MAX])
{
    if (!s->config.search) {
        snprintf(url, GITHUB_URL_MAX, "%s/orgs/%s/repos?per_page=100", s->config.github,
                 s->config.org);
        return;
    }
    char *text = curl_easy_escape(NULL, s->config.search, 0);
    snprintf(url, GITHUB_URL_MAX, "%s/search/repositories?q=%s&per_page=100", s->config.github,
             text ? text : "");
    curl_free(text);
}

static enum step walk(struct sync *s)
{
    char url[GITHUB_URL_MAX];
    enum step step = STEP_NEXT;
    first_url(s, url);
    for (int pages = 0, tries = 0; pages < RUN_PAGES_MAX; pages++) {
        if (!may_call() || ends(s) || !await_budget(s))
            return STEP_STOPPED;
        step = ask(s, url, tries);
        if (step != STEP_NEXT && step != STEP_AGAIN)
            return step;
        tries = step == STEP_AGAIN ? tries + 1 : 0;
        if (tries >= GITHUB_TRIES)
            return STEP_FAILED;
    }
    return STEP_FAILED;
}

/* ------------------------------------------------------------------ runs */

static void run(struct sync *s)
{
    if (!may_call()) {
        metric_add(s->operations[RESULT_SKIPPED], 1);
        return;
    }
    int64_t began = mono_ms();
    double before = metric_value(s->items);
    metric_set(s->in_progress, 1);
    enum step step = walk(s);
    metric_set(s->in_progress, 0);
    metric_observe(s->duration, (double)(mono_ms() - began) / 1000);
    double stored = metric_value(s->items) - before;
    if (step == STEP_END) {
        metric_add(s->operations[RESULT_SUCCESS], 1);
        metric_set(s->last_success, (double)time(NULL));
        event(EVENT_SYNC_DONE, "%.0f listings stored in %lld ms", stored,
              (long long)(mono_ms() - began));
    } else if (step == STEP_STOPPED) {
        metric_add(s->operations[RESULT_SKIPPED], 1);
        event(EVENT_SYNC_STOPPED, "after %.0f listings: a flag is off, or the service ends",
              stored);
    } else {
        metric_add(s->operations[RESULT_FAILURE], 1);
        event(EVENT_SYNC_FAILED, "after %.0f listings, which stay; next run in %lld s", stored,
              (long long)s->config.interval_ms / 1000);
    }
}

static void set_running(struct sync *s, bool running)
{
    pthread_mutex_lock(&s->lock);
    s->running = running;
    if (running)
        s->asked = false;
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *arg)
{
    struct sync *s = arg;
    while (!ends(s)) {
        set_running(s, true);
        run(s);
        set_running(s, false);
        int64_t wait_ms = s->config.interval_ms;
        if (wait_ms < s->poll_interval_s * 1000)
            wait_ms = s->poll_interval_s * 1000;
        sleep_ms(s, wait_ms, true);
    }
    return NULL;
}

enum sync_started sync_now(struct sync *s)
{
    if (!may_call())
        return SYNC_IS_OFF;
    pthread_mutex_lock(&s->lock);
    bool busy = s->running || s->asked;
    if (!busy) {
        s->asked = true;
        pthread_cond_broadcast(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return busy ? SYNC_RUNS_ALREADY : SYNC_STARTED;
}

struct sync *sync_start(struct listings *l, const struct sync_config *config)
{
    struct sync *s = calloc(1, sizeof *s);
    if (!s || !(s->github = github_new(config->token))) {
        free(s);
        return NULL;
    }
    s->listings = l;
    s->config = *config;
    s->remaining = s->reset_s = -1;
    snprintf(s->resource, sizeof s->resource, "%s", config->search ? "search" : "core");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    make_metrics(s);
    if (pthread_create(&s->thread, NULL, work, s) != 0) {
        github_free(s->github);
        free(s);
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
    github_free(s->github);
    free(s);
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
