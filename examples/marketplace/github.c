#include "github.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TIMEOUT_S = 30,
    HEADER_MAX = 16384,
    AGAIN_PART = 60 /* of the wait after a limit: a second */
};

struct github {
    CURL *curl;
    char authorization[300]; /* "": none */
};

struct github *github_new(const char *token)
{
    struct github *g = calloc(1, sizeof *g);
    if (!g || !(g->curl = curl_easy_init())) {
        free(g);
        return NULL;
    }
    if (token)
        snprintf(g->authorization, sizeof g->authorization, "Authorization: Bearer %s", token);
    return g;
}

void github_free(struct github *g)
{
    if (!g)
        return;
    curl_easy_cleanup(g->curl);
    explicit_bzero(g->authorization, sizeof g->authorization);
    free(g);
}

void github_reply_done(struct github_reply *r)
{
    free(r->body);
    r->body = NULL;
}

/* ------------------------------------------------------------------ reading an answer */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct github_reply *r = arg;
    size_t n = size * count;
    char *body = r->length + n <= GITHUB_BODY_MAX ? realloc(r->body, r->length + n + 1) : NULL;
    if (!body)
        return 0;
    memcpy(body + r->length, bytes, n);
    r->length += n;
    body[r->length] = '\0';
    r->body = body;
    return n;
}

/* The URL before `; rel="next"`, as it stands: it is not ours to build. */
static void read_link(const char *text, struct github_reply *r)
{
    const char *rel = strstr(text, "rel=\"next\"");
    if (!rel)
        return;
    const char *open = rel;
    while (open > text && *open != '<')
        open--;
    const char *shut = strchr(open, '>');
    if (*open != '<' || !shut || shut > rel)
        return;
    r->lost_header = shut - open > GITHUB_URL_MAX;
    if (!r->lost_header)
        snprintf(r->next, sizeof r->next, "%.*s", (int)(shut - open - 1), open + 1);
}

static void read_number(const char *text, int64_t *ret)
{
    char *end;
    long long v = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && v >= 0)
        *ret = v;
}

static void read_header(struct github_reply *r, const char *name, const char *text)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {
        {"retry-after", &r->retry_after_s},       {"x-ratelimit-remaining", &r->remaining},
        {"x-ratelimit-limit", &r->limit},         {"x-ratelimit-reset", &r->reset_s},
        {"x-poll-interval", &r->poll_interval_s},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcasecmp(name, numbers[i].name) == 0)
            read_number(text, numbers[i].number);
    if (strcasecmp(name, "etag") == 0 && strlen(text) < sizeof r->etag)
        snprintf(r->etag, sizeof r->etag, "%s", text);
    if (strcasecmp(name, "location") == 0 && strlen(text) < sizeof r->location)
        snprintf(r->location, sizeof r->location, "%s", text);
    if (strcasecmp(name, "x-ratelimit-resource") == 0)
        snprintf(r->resource, sizeof r->resource, "%s", text);
    if (strcasecmp(name, "link") == 0)
        read_link(text, r);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    char line[HEADER_MAX];
    struct github_reply *r = arg;
    size_t n = size * count;
    if (n >= sizeof line) {
        r->lost_header = true;
        return n;
    }
    memcpy(line, bytes, n);
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strchr(line, ':');
    if (colon) {
        *colon = '\0';
        read_header(r, line, colon + 1 + strspn(colon + 1, " \t"));
    }
    return n;
}

/* ------------------------------------------------------------------ asking */

static struct curl_slist *headers_of(const struct github *g, const char *etag)
{
    char match[300];
    struct curl_slist *list = curl_slist_append(NULL, "Accept: application/vnd.github+json");
    list = curl_slist_append(list, "X-GitHub-Api-Version: 2022-11-28");
    if (*g->authorization)
        list = curl_slist_append(list, g->authorization);
    if (*etag) {
        snprintf(match, sizeof match, "If-None-Match: %s", etag);
        list = curl_slist_append(list, match);
    }
    return list;
}

void github_get(struct github *g, const char *url, const char *etag, struct github_reply *ret)
{
    *ret = (struct github_reply){.retry_after_s = -1,
                                 .remaining = -1,
                                 .limit = -1,
                                 .reset_s = -1,
                                 .poll_interval_s = -1,
                                 .conditional = *etag};
    struct curl_slist *headers = headers_of(g, etag);
    CURL *c = g->curl;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hoist-marketplace/1");
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, ret);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, ret);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
    ret->truncated = rc != CURLE_OK || ret->lost_header;
    if (ret->lost_header)
        snprintf(ret->error, sizeof ret->error, "a header that is too long");
    if (rc != CURLE_OK)
        snprintf(ret->error, sizeof ret->error, "%s", curl_easy_strerror(rc));
    curl_slist_free_all(headers);
}

/* ------------------------------------------------------------------ judging */

/* Doubling from `first_ms`, and up to a fifth more, so that clients do not come back together. */
static int64_t back_off(int64_t first_ms, int tries, double jitter)
{
    int64_t ms = first_ms << (tries < 10 ? tries : 10);
    return ms + (int64_t)((double)ms * 0.2 * jitter);
}

static int64_t until_reset(const struct github_reply *r, int64_t now_s)
{
    return r->reset_s > now_s ? (r->reset_s - now_s + 1) * 1000 : 1000;
}

static bool speaks_of_secondary(const struct github_reply *r)
{
    return r->body && strstr(r->body, "secondary rate limit");
}

static enum github_verdict judge_limit(const struct github_reply *r, int tries, int64_t now_s,
                                       int64_t first_wait_ms, double jitter, int64_t *ret_wait_ms)
{
    bool used_up = r->remaining == 0 && r->reset_s >= 0;
    if (r->retry_after_s >= 0)
        *ret_wait_ms = r->retry_after_s * 1000;
    else if (used_up)
        *ret_wait_ms = until_reset(r, now_s);
    else
        *ret_wait_ms = back_off(first_wait_ms, tries, jitter);
    if (used_up && !speaks_of_secondary(r))
        return GITHUB_PRIMARY;
    if (r->retry_after_s >= 0 || r->status == 429 || speaks_of_secondary(r))
        return GITHUB_SECONDARY;
    return GITHUB_REFUSED;
}

enum github_verdict github_judge(const struct github_reply *r, int tries, int64_t now_s,
                                 int64_t first_wait_ms, double jitter, int64_t *ret_wait_ms)
{
    *ret_wait_ms = 0;
    switch (r->status) {
    case 200:
        if (!r->truncated)
            return GITHUB_GOOD;
        break;
    case 304:
        if (r->conditional)
            return GITHUB_FRESH;
        break;
    case 301:
    case 302:
    case 307:
    case 308:
        return *r->location ? GITHUB_MOVED : GITHUB_REFUSED;
    case 403:
    case 429:
        return judge_limit(r, tries, now_s, first_wait_ms, jitter, ret_wait_ms);
    default:
        if (r->status >= 400 && r->status < 500)
            return GITHUB_REFUSED;
    }
    *ret_wait_ms = back_off(first_wait_ms / AGAIN_PART, tries, jitter);
    return GITHUB_AGAIN;
}
