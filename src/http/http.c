#include "http/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "http/listen.h"

enum {
    CONNECTIONS_MAX = 256,
    IDLE_MAX_S = 10,
    HEAD_MAX = 16 << 10, /* bytes of a request, and of the head of its answer */
    PAGE_MAX = 16 << 20,
};

struct http {
    struct MHD_Daemon *daemon;
    struct http_config config;
};

/* ------------------------------------------------------------------ pages */

struct page {
    unsigned status;
    const char *type;
    struct buf body;
};

static const char text_plain[] = "text/plain; charset=utf-8";

static void page_failed(struct page *p, enum hoist_err err)
{
    p->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    p->type = text_plain;
    buf_clear(&p->body);
    buf_printf(&p->body, "%s\n", err == HOIST_EAGAIN || !*err_last() ? err_word(err) : err_last());
}

static void page_health(struct http *h, struct page *p)
{
    (void)h;
    buf_add_str(&p->body, "ok\n");
}

static void page_ready(struct http *h, struct page *p)
{
    struct buf why = BUF_INIT(1000);
    bool ready = h->config.ready(h->config.arg, &why);
    p->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    buf_printf(&p->body, "%s\n", ready ? "ready" : buf_str(&why));
    buf_done(&why);
}

static void page_metrics(struct http *h, struct page *p)
{
    (void)h;
    p->type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(&p->body);
}

static void page_status(struct http *h, struct page *p)
{
    p->type = "application/json";
    enum hoist_err err = h->config.status(h->config.arg, &p->body);
    if (err)
        page_failed(p, err);
}

static const struct {
    const char *path;
    void (*make)(struct http *h, struct page *p);
} pages[] = {
    {"/healthz", page_health},
    {"/readyz", page_ready},
    {"/metrics", page_metrics},
    {"/status", page_status},
};

static void make_page(struct http *h, const char *path, const char *method, struct page *p)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
            p->status = MHD_HTTP_METHOD_NOT_ALLOWED;
            buf_add_str(&p->body, "GET or HEAD\n");
        } else {
            pages[i].make(h, p);
        }
        return;
    }
    p->status = MHD_HTTP_NOT_FOUND;
    buf_add_str(&p->body, "there are /healthz, /readyz, /metrics and /status\n");
}

static enum MHD_Result send_page(struct MHD_Connection *connection, const struct page *p)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(p->body.len, p->body.ptr, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    enum MHD_Result rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, p->type);
    if (rc == MHD_YES)
        rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (rc == MHD_YES && p->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        rc = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (rc == MHD_YES)
        rc = MHD_queue_response(connection, p->status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct http *h, const char *path,
                              const char *method)
{
    struct page p = {.status = MHD_HTTP_OK, .type = text_plain, .body = BUF_INIT(PAGE_MAX)};
    make_page(h, path, method, &p);
    enum hoist_err err = buf_err(&p.body);
    if (err)
        page_failed(&p, err);
    enum MHD_Result rc = send_page(connection, &p);
    buf_done(&p.body);
    return rc;
}

static bool brings_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/*
 * libmicrohttpd calls first with the head, then with pieces of a body until there are no more. No
 * page takes a body: a request that brings one is answered at once, which ends its connection, so
 * that nobody can keep us reading.
 */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **state)
{
    static int begun;
    (void)version;
    (void)body;
    (void)body_len;
    if (!*state && !brings_body(connection)) {
        *state = &begun;
        return MHD_YES; /* answered at the next call, the connection goes on */
    }
    return answer(connection, arg, path, method);
}

/* ------------------------------------------------------------------ start and stop */

static void log_trouble(void *arg, const char *fmt, va_list args)
{
    char text[300];
    (void)arg;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http: %s", text); /* what a client did wrong is no news */
}

static struct MHD_Daemon *serve(struct http *h, int fd)
{
    /* The logger comes first, or what the others have to say goes to stderr. */
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, h,
        MHD_OPTION_EXTERNAL_LOGGER, log_trouble, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_MAX_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX, MHD_OPTION_END);
}

enum hoist_err http_start(const struct http_config *config, struct http **ret)
{
    const char *option = config->option ? config->option : "--http";
    struct http *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return err_set(HOIST_ENOMEM, "out of memory");
    h->config = *config;
    int fd = -1;
    enum hoist_err err = http_listen(option, config->listen, &fd);
    if (!err) {
        h->daemon = serve(h, fd);
        if (!h->daemon) {
            close(fd);
            err = err_set(HOIST_EIO, "%s %s: the server does not start", option, config->listen);
        }
    }
    if (err) {
        mem_free(h);
        return err;
    }
    *ret = h;
    return HOIST_OK;
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    MHD_stop_daemon(h->daemon); /* closes the socket it was given */
    mem_free(h);
}
