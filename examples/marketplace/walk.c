/* The worker's way through GitHub's pages: one request, what its answer wants, the next page. */
#include <curl/curl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "events.h"
#include "page.h"
#include "sync_int.h"

enum { REDIRECTS_MAX = 5, RUN_PAGES_MAX = 10000 };

/* A token must not go to another host than it is for. */
static bool is_of_github(const struct sync *s, const char *url)
{
    size_t n = strlen(s->config.github);
    return strncmp(url, s->config.github, n) == 0 && url[n] == '/';
}

static enum step go_to(struct sync *s, struct walk *w, const char *next)
{
    if (!*next)
        return STEP_END;
    if (!is_of_github(s, next)) {
        event(EVENT_REFUSED, "GitHub sends us elsewhere, to %.200s; we do not follow", next);
        return STEP_FAILED;
    }
    memmove(w->url, next, strlen(next) + 1);
    return STEP_NEXT;
}

/* What a page has, as it came now or as it was when it had this ETag. */
static enum step see(struct sync *s, struct walk *w, const struct url_known *known)
{
    w->redirects = 0;
    w->moved[0] = '\0';
    w->incomplete = w->incomplete || known->incomplete;
    if (known->total >= 0)
        w->total = known->total;
    for (uint32_t i = 0; i < known->id_count; i++)
        if (!ids_add(&w->seen, known->ids[i]))
            return STEP_FAILED;
    return go_to(s, w, known->next);
}

/* An ETag is kept of what can be told again without the body. */
static void know_page(const struct github_reply *r, const struct page *page, struct url_known *ret)
{
    *ret = (struct url_known){.total = page->total, .incomplete = page->incomplete};
    snprintf(ret->next, sizeof ret->next, "%s", r->next);
    if (json_array_size(page->items) > URL_IDS_MAX) {
        ret->incomplete = true; /* not what we asked for: nothing is concluded from it */
        return;
    }
    snprintf(ret->etag, sizeof ret->etag, "%s", r->etag);
    for (size_t i = 0; i < json_array_size(page->items); i++)
        ret->ids[ret->id_count++] =
            (uint64_t)json_integer_value(json_object_get(json_array_get(page->items, i), "id"));
}

static enum step take_page(struct sync *s, struct walk *w, const struct github_reply *r)
{
    struct url_known known;
    struct page page;
    if (!page_read(r->body ? r->body : "", r->length, &page)) {
        event(EVENT_BAD_BODY, "%.200s: %zu bytes that are no page of repositories", w->url,
              r->length);
        return STEP_AGAIN;
    }
    if (page.incomplete)
        event(EVENT_INCOMPLETE, "GitHub's search ran out of time; the rest comes with a later run");
    if (!sync_may_call()) {
        json_decref(page.items);
        return STEP_STOPPED;
    }
    know_page(r, &page, &known);
    int rc = listings_store(s->listings, page.items, w->url, &known);
    if (!rc) {
        w->stored += json_array_size(page.items);
        metric_add(s->items, (double)json_array_size(page.items));
    }
    json_decref(page.items);
    if (rc) {
        event(EVENT_DATA_FAILED, "a page could not be stored: %s", mdb_strerror(rc));
        return STEP_FAILED;
    }
    return see(s, w, &known);
}

/* Where `url` is from now on; "": it is itself again. */
static void remember_move(struct sync *s, const char *url, const char *where)
{
    struct url_known known = {.total = -1};
    json_t *none = json_array();
    snprintf(known.moved, sizeof known.moved, "%s", where);
    (void)listings_store(s->listings, none, url, &known); /* else it is asked once more */
    json_decref(none);
}

/* A redirect that was remembered leads nowhere: the next run asks again where it began. */
static void forget_move(struct sync *s, const struct walk *w)
{
    if (*w->moved)
        remember_move(s, w->moved, "");
}

/* Follow a redirect; not for ever. */
static enum step move_to(struct sync *s, struct walk *w, const char *where)
{
    if (++w->redirects <= REDIRECTS_MAX)
        return go_to(s, w, where);
    event(EVENT_REFUSED, "GitHub redirects us again and again, now to %.200s", where);
    forget_move(s, w);
    return STEP_FAILED;
}

static enum step take_move(struct sync *s, struct walk *w, const struct github_reply *r)
{
    if (!sync_may_call())
        return STEP_STOPPED;
    event(EVENT_MOVED, "%.200s is now %.200s", w->url, r->location);
    if ((r->status == 301 || r->status == 308) && is_of_github(s, r->location))
        remember_move(s, w->url, r->location);
    return move_to(s, w, r->location);
}

static enum step follow_memory(struct sync *s, struct walk *w, const struct url_known *known)
{
    snprintf(w->moved, sizeof w->moved, "%s", w->url);
    return move_to(s, w, known->moved);
}

static enum step take_refusal(struct sync *s, struct walk *w, const struct github_reply *r)
{
    event(EVENT_REFUSED, "GitHub refuses %.200s: status %ld", w->url, r->status);
    forget_move(s, w);
    return STEP_FAILED;
}

static enum step take_wait(struct sync *s, enum github_verdict verdict,
                           const struct github_reply *r, int64_t wait_ms)
{
    if (verdict == GITHUB_AGAIN) {
        event(EVENT_TRIED_AGAIN, "GitHub answered %ld %s; again in %.1f s", r->status, r->error,
              (double)wait_ms / 1000);
        return STEP_AGAIN;
    }
    event(EVENT_LIMITED, "%s limit (status %ld, %lld left); again in %.1f s",
          verdict == GITHUB_PRIMARY ? "the primary" : "a secondary", r->status,
          (long long)r->remaining, (double)wait_ms / 1000);
    metric_add(s->limited[verdict == GITHUB_SECONDARY], 1);
    return STEP_AGAIN;
}

static enum step take_answer(struct sync *s, struct walk *w, enum github_verdict verdict,
                             const struct github_reply *r, const struct url_known *known,
                             int64_t wait_ms)
{
    switch (verdict) {
    case GITHUB_GOOD:
        return take_page(s, w, r);
    case GITHUB_FRESH:
        return see(s, w, known);
    case GITHUB_MOVED:
        return take_move(s, w, r);
    case GITHUB_REFUSED:
        return take_refusal(s, w, r);
    default:
        return take_wait(s, verdict, r, wait_ms);
    }
}

/* Ask for the walk's URL once, and do what the answer wants; the URL becomes the page behind it. */
static enum step ask(struct sync *s, struct walk *w, int tries)
{
    struct url_known known;
    struct github_reply r;
    int64_t wait_ms, began = mono_ms();
    int rc = listings_url(s->listings, w->url, &known);
    if (rc) {
        event(EVENT_DATA_FAILED, "the data cannot be read: %s", mdb_strerror(rc));
        return STEP_FAILED;
    }
    if (*known.moved)
        return follow_memory(s, w, &known);
    github_get(s->github, w->url, known.etag, &r);
    int64_t took_ms = mono_ms() - began;
    double jitter = (double)random() / (double)RAND_MAX;
    enum github_verdict verdict =
        github_judge(&r, tries, time(NULL), s->config.first_wait_ms, jitter, &wait_ms);
    enum step step = STEP_FAILED;
    if (*r.next) /* a page that is as it was may have one behind it now */
        snprintf(known.next, sizeof known.next, "%s", r.next);
    if (sync_take_reply(s, &r, took_ms, wait_ms))
        step = take_answer(s, w, verdict, &r, &known, wait_ms);
    if (step == STEP_AGAIN && verdict == GITHUB_GOOD) { /* it said 200, and was no page */
        r.truncated = true;
        verdict = github_judge(&r, tries, time(NULL), s->config.first_wait_ms, jitter, &wait_ms);
        sync_be_quiet(s, wait_ms);
        step = sync_keep(s) ? take_wait(s, verdict, &r, wait_ms) : STEP_FAILED;
    }
    github_reply_done(&r);
    return step;
}

static bool first_url(struct sync *s, char url[GITHUB_URL_MAX])
{
    const char *github = s->config.github;
    char *text = s->config.search ? curl_easy_escape(NULL, s->config.search, 0) : NULL;
    int len = text ? snprintf(url, GITHUB_URL_MAX, "%s/search/repositories?q=%s&per_page=100",
                              github, text)
                   : snprintf(url, GITHUB_URL_MAX, "%s/orgs/%s/repos?per_page=100", github,
                              s->config.org);
    curl_free(text);
    if (len < GITHUB_URL_MAX)
        return true;
    event(EVENT_REFUSED, "what is asked for is too long for a URL: %d bytes", len);
    return false;
}

/* All there is was seen: let go what is no more. */
static enum step settle(struct sync *s, struct walk *w)
{
    uint64_t gone;
    ids_sort(&w->seen);
    if (w->incomplete || (w->total >= 0 && (uint64_t)w->total > w->seen.count))
        return STEP_END; /* a search gives the first 1,000 at most */
    if (!sync_may_call())
        return STEP_STOPPED;
    int rc = listings_settle(s->listings, &w->seen, &gone);
    if (rc) {
        event(EVENT_DATA_FAILED, "what is gone could not be removed: %s", mdb_strerror(rc));
        return STEP_FAILED;
    }
    metric_add(s->gone, (double)gone);
    if (gone > 0)
        event(EVENT_LISTINGS_GONE, "%ju listings that two runs have not seen", (uintmax_t)gone);
    return STEP_END;
}

enum step sync_walk(struct sync *s, struct walk *w)
{
    enum step step;
    if (!first_url(s, w->url))
        return STEP_FAILED;
    for (int pages = 0, tries = 0; pages < RUN_PAGES_MAX; pages++) {
        if (!sync_hold(s))
            return STEP_STOPPED;
        step = ask(s, w, tries);
        if (step == STEP_END)
            return settle(s, w);
        if (step != STEP_NEXT && step != STEP_AGAIN)
            return step;
        tries = step == STEP_AGAIN ? tries + 1 : 0;
        if (tries >= GITHUB_TRIES)
            return STEP_FAILED;
    }
    return STEP_FAILED;
}
