#include "api.h"

#include <errno.h>
#include <lmdb.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "flags.h"
#include "metrics.h"

enum {
    THREADS = 4,
    THREADS_BESIDE = 2, /* for an address of its own beside a shared socket */
    IDLE_S = 30,
    LOOK_MS = 10, /* at the connections that are left */
    PER_PAGE = 30,
    PER_PAGE_MAX = 100,
    ACCOUNT_MAX = 255
};
enum { QUERY_MAX = 256 };

enum route {
    ROUTE_LISTINGS,
    ROUTE_LISTING,
    ROUTE_SYNC,
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_NONE,
    ROUTE_COUNT
};

/* marketplace.enabled, as a request read it; none where it decides nothing, so that scrapes and probes
 * are on neither side of a comparison. */
enum variant { VARIANT_OFF, VARIANT_ON, VARIANT_NONE };

static const char get[] = "GET, HEAD", post[] = "POST";

static const struct {
    const char *name, *methods;
} routes[ROUTE_COUNT] = {
    [ROUTE_LISTINGS] = {"/api/v1/listings", get},
    [ROUTE_LISTING] = {"/api/v1/listings/{id}", get},
    [ROUTE_SYNC] = {"/api/v1/sync", post},
    [ROUTE_HEALTH] = {"/healthz", get},
    [ROUTE_READY] = {"/readyz", get},
    [ROUTE_METRICS] = {"/metrics", get},
    [ROUTE_NONE] = {"none", NULL},
};

struct api {
    struct MHD_Daemon *shared, *own; /* either may be NULL */
    atomic_bool drains;
    struct listings *listings;
    struct sync *sync;
};

struct request { /* what is told of it in the metrics */
    enum route route;
    enum variant variant;
    struct timespec began;
    const char *id; /* of one listing, as the path has it */
};

struct answer {
    unsigned status;
    const char *type;
    char *body; /* owned */
    size_t length;
};

/* ------------------------------------------------------------------ answers */

static void put_json(struct answer *a, unsigned status, json_t *v)
{
    a->status = status;
    a->type = "application/json";
    a->body = v ? json_dumps(v, JSON_COMPACT) : NULL;
    a->length = a->body ? strlen(a->body) : 0;
    json_decref(v);
    if (!a->body)
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
}

static void put_error(struct answer *a, unsigned status, const char *code, const char *message)
{
    put_json(a, status, json_pack("{s{ss ss}}", "error", "code", code, "message", message));
}

static void put_failure(struct answer *a, int rc)
{
    event(EVENT_REQUEST_FAILED, "the data cannot be read: %s", mdb_strerror(rc));
    put_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal", "the data cannot be read");
}

/* ------------------------------------------------------------------ routes */

static const char *query_of(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

/* A whole number from 1 to `most`; `otherwise` where there is none. False: it is something else. */
static bool query_number(struct MHD_Connection *c, const char *name, uint64_t otherwise,
                         uint64_t most, uint64_t *ret)
{
    const char *text = query_of(c, name);
    char *end;
    *ret = otherwise;
    if (!text)
        return true;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *ret >= 1 && *ret <= most;
}

/* False: it is too long to be looked for, or has a NUL in it. */
static bool query_text(struct MHD_Connection *c, const char *name, const char **ret)
{
    size_t length = 0;
    *ret = NULL;
    (void)MHD_lookup_connection_value_n(c, MHD_GET_ARGUMENT_KIND, name, strlen(name), ret, &length);
    return !*ret || (length <= QUERY_MAX && strlen(*ret) == length);
}

static const char *account_header(struct MHD_Connection *c)
{
    const char *account = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Account-Id");
    return account ? account : "";
}

static const char *account_of(struct MHD_Connection *c)
{
    const char *account = account_header(c);
    return *account && strlen(account) <= ACCOUNT_MAX ? account : NULL;
}

static void get_listings(struct api *api, struct MHD_Connection *c, struct request *q,
                         struct answer *a)
{
    const char *account = account_of(c);
    struct listings_query query = {0};
    if (!query_number(c, "page", 1, INT32_MAX, &query.page) ||
        !query_number(c, "per_page", PER_PAGE, PER_PAGE_MAX, &query.per_page) ||
        !query_text(c, "q", &query.text)) {
        put_error(a, MHD_HTTP_BAD_REQUEST, "bad_request",
                  "page is a whole number from 1 on, per_page one from 1 to 100, q a text of at "
                  "most 256 bytes");
        return;
    }
    json_t *items = NULL;
    uint64_t total = 0;
    query.github = flag_is_on(FLAG_GITHUB_SOURCES, account);
    int rc = q->variant == VARIANT_ON ? listings_find(api->listings, &query, &items, &total) : 0;
    if (rc)
        put_failure(a, rc);
    else
        put_json(a, MHD_HTTP_OK,
                 json_pack("{so sI sI sI}", "items", items ? items : json_array(), "page",
                           (json_int_t)query.page, "per_page", (json_int_t)query.per_page, "total",
                           (json_int_t)total));
}

static void get_listing(struct api *api, struct MHD_Connection *c, struct request *q,
                        struct answer *a)
{
    char *end;
    json_t *item = NULL;
    errno = 0;
    uint64_t id = strtoull(q->id, &end, 10);
    bool is_id = errno == 0 && *q->id >= '0' && *q->id <= '9' && *end == '\0';
    bool github = flag_is_on(FLAG_GITHUB_SOURCES, account_of(c));
    int rc = q->variant == VARIANT_ON && is_id ? listings_get(api->listings, id, github, &item) : 0;
    if (rc)
        put_failure(a, rc);
    else if (item)
        put_json(a, MHD_HTTP_OK, item);
    else
        put_error(a, MHD_HTTP_NOT_FOUND, "not_found", "there is no such listing");
}

static void post_sync(struct api *api, struct answer *a)
{
    switch (sync_now(api->sync)) {
    case SYNC_STARTED:
        put_json(a, MHD_HTTP_ACCEPTED, json_pack("{ss}", "sync", "started"));
        return;
    case SYNC_RUNS_ALREADY:
        put_error(a, MHD_HTTP_CONFLICT, "running", "a run goes on already");
        return;
    case SYNC_IS_OFF:
        put_error(a, MHD_HTTP_CONFLICT, "off",
                  "marketplace.sync.enabled or marketplace.github_sources.enabled is off");
    }
}

static void get_ready(struct api *api, struct answer *a)
{
    struct listings_query query = {.page = 1, .per_page = 1};
    json_t *items = NULL;
    uint64_t total;
    if (atomic_load(&api->drains)) {
        put_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "draining", "this process ends; ask another");
        return;
    }
    int rc = listings_find(api->listings, &query, &items, &total);
    json_decref(items);
    if (rc)
        put_failure(a, rc);
    else
        put_json(a, MHD_HTTP_OK, json_pack("{ss}", "status", "ready"));
}

static void get_metrics(struct api *api, struct answer *a)
{
    sync_show(api->sync);
    for (int i = 0; i < FLAG_COUNT; i++)
        (void)flag_is_on(i, NULL); /* as it is now, also when nothing else asks */
    a->status = MHD_HTTP_OK;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    a->body = metrics_text(&a->length);
}

static bool is_by_account(enum route route)
{
    return route == ROUTE_LISTINGS || route == ROUTE_LISTING;
}

static bool takes(enum route route, const char *method)
{
    if (routes[route].methods == post)
        return strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static void refuse_method(enum route route, struct answer *a)
{
    char message[64];
    snprintf(message, sizeof message, "this path takes %s", routes[route].methods);
    put_error(a, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", message);
}

static void make_answer(struct api *api, struct MHD_Connection *c, struct request *q,
                        const char *method, struct answer *a)
{
    if (q->route == ROUTE_NONE)
        put_error(a, MHD_HTTP_NOT_FOUND, "not_found", "there is no such path");
    else if (!takes(q->route, method))
        refuse_method(q->route, a);
    else if (is_by_account(q->route) && strlen(account_header(c)) > ACCOUNT_MAX)
        put_error(a, MHD_HTTP_BAD_REQUEST, "bad_request", "X-Account-Id has at most 255 bytes");
    else if (q->route == ROUTE_LISTINGS)
        get_listings(api, c, q, a);
    else if (q->route == ROUTE_LISTING)
        get_listing(api, c, q, a);
    else if (q->route == ROUTE_SYNC)
        post_sync(api, a);
    else if (q->route == ROUTE_HEALTH)
        put_json(a, MHD_HTTP_OK, json_pack("{ss}", "status", "ok"));
    else if (q->route == ROUTE_READY)
        get_ready(api, a);
    else
        get_metrics(api, a);
}

/* ------------------------------------------------------------------ requests */

static const char *const variants[] = {
    [VARIANT_OFF] = "off",
    [VARIANT_ON] = "on",
    [VARIANT_NONE] = "none",
};

static enum variant variant_of(enum route route, const char *account)
{
    if (!is_by_account(route))
        return VARIANT_NONE;
    return flag_is_on(FLAG_ENABLED, account) ? VARIANT_ON : VARIANT_OFF;
}

static struct series *requests(enum route route, unsigned status, enum variant variant)
{
    char labels[120];
    snprintf(labels, sizeof labels, "route=\"%s\",code=\"%u\",variant=\"%s\"", routes[route].name,
             status, variants[variant]);
    return metric(METRIC_COUNTER, "marketplace_http_requests_total",
                  "Requests, by whether marketplace.enabled was on for them.", labels);
}

static struct series *durations(enum route route, enum variant variant)
{
    char labels[120];
    snprintf(labels, sizeof labels, "route=\"%s\",variant=\"%s\"", routes[route].name,
             variants[variant]);
    return metric(METRIC_HISTOGRAM, "marketplace_http_request_duration_seconds",
                  "From a request's head to its answer's queue.", labels);
}

/* A flag may change what the next request gets, and for one account alone: nothing may keep an answer. */
static void put_headers(struct MHD_Response *r, const struct request *q, const struct answer *a)
{
    if (a->type)
        (void)MHD_add_response_header(r, "Content-Type", a->type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    if (is_by_account(q->route))
        (void)MHD_add_response_header(r, "Vary", "X-Account-Id");
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, "Allow", routes[q->route].methods);
}

static enum route route_of(const char *path, const char **ret_id)
{
    static const char one[] = "/api/v1/listings/";
    for (int i = 0; i < ROUTE_NONE; i++)
        if (strcmp(path, routes[i].name) == 0)
            return i;
    if (strncmp(path, one, sizeof one - 1) != 0 || path[sizeof one - 1] == '\0')
        return ROUTE_NONE;
    *ret_id = path + sizeof one - 1;
    return ROUTE_LISTING;
}

static enum MHD_Result send_answer(struct api *api, struct MHD_Connection *c,
                                   const struct request *q, struct answer *a)
{
    struct timespec now;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->length, a->body ? a->body : "",
                                        a->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r) {
        free(a->body);
        return MHD_NO;
    }
    put_headers(r, q, a);
    if (atomic_load(&api->drains))
        (void)MHD_add_response_header(r, "Connection", "close");
    clock_gettime(CLOCK_MONOTONIC, &now);
    metric_add(requests(q->route, a->status, q->variant), 1);
    metric_observe(durations(q->route, q->variant),
                   (double)(now.tv_sec - q->began.tv_sec) +
                       (double)(now.tv_nsec - q->began.tv_nsec) / 1e9);
    enum MHD_Result rc = MHD_queue_response(c, a->status, r);
    MHD_destroy_response(r);
    return rc;
}

/* libmicrohttpd calls with the head, then with pieces of a body, which nothing here wants. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **state)
{
    static int began;
    struct request q = {0};
    struct answer a = {.status = MHD_HTTP_INTERNAL_SERVER_ERROR};
    (void)version;
    (void)body;
    if (!*state) {
        *state = &began;
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    clock_gettime(CLOCK_MONOTONIC, &q.began);
    q.route = route_of(path, &q.id);
    q.variant = variant_of(q.route, account_of(c));
    make_answer(arg, c, &q, method, &a);
    return send_answer(arg, c, &q, &a);
}

/* ------------------------------------------------------------------ start and stop */

static void make_some(enum route route, unsigned status, enum variant variant)
{
    (void)requests(route, status, variant);
    (void)requests(route, MHD_HTTP_INTERNAL_SERVER_ERROR, variant);
    (void)durations(route, variant);
}

static void make_metrics(void)
{
    for (enum route route = ROUTE_LISTINGS; route <= ROUTE_LISTING; route++)
        for (enum variant variant = VARIANT_OFF; variant <= VARIANT_ON; variant++)
            make_some(route, MHD_HTTP_OK, variant);
    make_some(ROUTE_SYNC, MHD_HTTP_ACCEPTED, VARIANT_NONE);
}

static struct MHD_Daemon *serve_at(struct api *a, int fd, int threads)
{
    /* The channel (ITC) wakes the threads when the socket is taken from them. Without it libmicrohttpd
     * would shut the socket down, for all who share it. */
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, a,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)threads,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!d)
        close(fd);
    return d;
}

struct api *api_start(int shared, int own, struct listings *l, struct sync *s)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct api){.listings = l, .sync = s};
    make_metrics();
    if (shared >= 0)
        a->shared = serve_at(a, shared, THREADS);
    if (own >= 0)
        a->own = serve_at(a, own, shared >= 0 ? THREADS_BESIDE : THREADS);
    if ((shared >= 0 && !a->shared) || (own >= 0 && !a->own)) {
        api_stop(a);
        return NULL;
    }
    return a;
}

static unsigned connections(struct MHD_Daemon *d)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

/* The socket is closed here and lives on in whoever else has it. */
static void drain(struct MHD_Daemon *d, int64_t until_ms)
{
    if (!d)
        return;
    MHD_socket fd = MHD_quiesce_daemon(d);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    while (connections(d) > 0 && mono_ms() < until_ms)
        usleep(LOOK_MS * 1000);
}

void api_drain(struct api *a, int64_t limit_ms)
{
    int64_t until_ms = mono_ms() + limit_ms;
    if (!a)
        return;
    atomic_store(&a->drains, true);
    drain(a->shared, until_ms);
    drain(a->own, until_ms);
}

void api_stop(struct api *a)
{
    if (!a)
        return;
    if (a->shared)
        MHD_stop_daemon(a->shared);
    if (a->own)
        MHD_stop_daemon(a->own);
    free(a);
}
