#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { CONNECTIONS_MAX = 256, TIMEOUT_S = 10, BACKLOG = 64, PAGE_MAX = 16 << 20 };

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
    if (err) {
        p->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        p->type = text_plain;
        buf_clear(&p->body);
        buf_printf(&p->body, "%s\n", *err_last() ? err_last() : err_word(err));
    }
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

static enum MHD_Result answer(struct MHD_Connection *connection, const struct page *p)
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

/* libmicrohttpd calls first with the head, then with pieces of a body until there are no more. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **state)
{
    static int begun;
    (void)version;
    (void)body;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*body_len > 0) { /* no page takes one: it is read and dropped */
        *body_len = 0;
        return MHD_YES;
    }
    struct page p = {.status = MHD_HTTP_OK, .type = text_plain, .body = BUF_INIT(PAGE_MAX)};
    make_page(arg, path, method, &p);
    enum MHD_Result rc = p.body.err ? MHD_NO : answer(connection, &p);
    buf_done(&p.body);
    return rc;
}

/* ------------------------------------------------------------------ listening */

/* HOST:PORT or [ADDRESS]:PORT in its two parts; `host` has room for the whole of it. */
static enum hoist_err split(const char *listen, char *host, size_t room, const char **ret_port)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    if (len > 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    } else if (memchr(listen, ':', len)) {
        len = 0; /* an IPv6 address wants its brackets */
    }
    if (len == 0 || len >= room || !colon[1])
        return err_set(HOIST_EINVAL,
                       "--http %s: HOST:PORT is meant, as in 127.0.0.1:8016 or "
                       "[::1]:8016, or off",
                       listen);
    memcpy(host, listen, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return HOIST_OK;
}

static enum hoist_err taken(const char *listen, const char *port)
{
    char who[HOLDER_SIZE];
    holder_of_port(who, (uint16_t)strtoul(port, NULL, 10));
    return err_set(HOIST_EBUSY, "--http %s: the port is taken%s%s; give another, or off", listen,
                   *who ? ", " : "", who);
}

static enum hoist_err listen_on(const char *listen_at, int *ret_fd)
{
    char host[256];
    const char *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found;
    enum hoist_err err = split(listen_at, host, sizeof host, &port);
    if (err)
        return err;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return err_set(HOIST_EINVAL, "--http %s: %s", listen_at, gai_strerror(rc));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (ok) {
        *ret_fd = fd;
        return HOIST_OK;
    }
    if (fd >= 0)
        close(fd);
    if (why == EADDRINUSE)
        return taken(listen_at, port);
    return err_set(why == EACCES ? HOIST_EACCES : HOIST_EINVAL, "--http %s: %s", listen_at,
                   strerror(why));
}

enum hoist_err http_start(const struct http_config *config, struct http **ret)
{
    int fd = -1;
    enum hoist_err err = listen_on(config->listen, &fd);
    if (err)
        return err;
    struct http *h = mem_zalloc(1, sizeof *h);
    if (!h) {
        close(fd);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    h->config = *config;
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle,
                                 h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)TIMEOUT_S, MHD_OPTION_END);
    if (!h->daemon) {
        close(fd);
        mem_free(h);
        return err_set(HOIST_EIO, "--http %s: the server does not start", config->listen);
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
