#include "http/http.h"

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "http/counts.h"
#include "http/listen.h"
#include "http/peers.h"
#include "http/secure.h"
#include "http/shares.h"
#include "http/streams.h"
#include "http/tokens.h"

enum {
    THREADS = 2, /* each with its share of the connections: a long answer delays half of them */
    IDLE_MAX_S = 10,
    HEAD_MAX = 16 << 10, /* bytes of a request, and of the head of its answer */
    PAGE_MAX = 16 << 20,
    THROW_AWAY_MAX = 4 << 20, /* of a body that is too long, so that its sender can read so */
};

struct http {
    struct MHD_Daemon *daemon;
    struct http_config config;
    struct secure *secure; /* NULL: plain HTTP */
    struct ofrep *ofrep;   /* NULL: none */
    struct hook *hook;     /* NULL: none */
    struct tokens *tokens; /* NULL: none are asked for */
    struct streams *streams;
    struct peers peers;
    struct shares shares;
};

struct request {
    struct MHD_Connection *connection;
    struct ofrep_request asked;
    struct buf body;
    size_t held;         /* of the quota of bodies */
    const char *no_room; /* for its body: why */
    struct ofrep_answer a;
    bool is_ofrep;
    bool is_hook;
    bool preflight;
    bool answered; /* `a` is the answer, whatever the body */
    bool too_long;
    size_t thrown_away;
};

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* For a body that is no memory of its own. */
static void keep(void *nothing)
{
    (void)nothing;
}

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
    bool tells; /* more than whether hoistd is well */
} pages[] = {
    {"/healthz", page_health, false},
    {"/readyz", page_ready, false},
    {"/metrics", page_metrics, true},
    {"/status", page_status, true},
};

/* Those that tell more are for who may view, where tokens are asked for. */
static bool may_see(struct http *h, struct MHD_Connection *connection, struct page *p)
{
    static const struct access_need view = {"status", RIGHT_READ, REACH_NONE};
    if (!h->tokens)
        return true;
    struct slice token =
        guard_token_of(header_of(connection, "Authorization"), header_of(connection, "X-API-Key"));
    enum tokens_answer answer =
        tokens_judge(h->tokens, token, &view, (struct slice){0}, (struct slice){0});
    if (answer == TOKENS_YES)
        return true;
    counts_auth_failed();
    p->status = answer == TOKENS_UNKNOWN ? MHD_HTTP_UNAUTHORIZED : MHD_HTTP_FORBIDDEN;
    buf_add_str(&p->body, answer == TOKENS_UNKNOWN
                              ? "a token is needed: Authorization: Bearer TOKEN\n"
                              : "this takes a token of the role viewer\n");
    return false;
}

static void make_page(struct http *h, struct MHD_Connection *connection, const char *path,
                      const char *method, struct page *p)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(path, pages[i].path) != 0)
            continue;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
            p->status = MHD_HTTP_METHOD_NOT_ALLOWED;
            buf_add_str(&p->body, "GET or HEAD\n");
        } else if (!pages[i].tells || may_see(h, connection, p)) {
            pages[i].make(h, p);
        }
        return;
    }
    p->status = MHD_HTTP_NOT_FOUND;
    buf_printf(&p->body, "there are /healthz, /readyz, /metrics and /status%s%s\n",
               h->ofrep ? ", and OFREP below /ofrep/v1" : "", h->hook ? ", and " HOOK_PATH : "");
}

/* ------------------------------------------------------------------ sending */

static bool add_header(struct MHD_Response *r, const char *name, const char *value)
{
    return MHD_add_response_header(r, name, value) == MHD_YES;
}

/* What lets a page of another origin read the answer. */
static bool add_cors(const struct http *h, struct MHD_Connection *connection,
                     struct MHD_Response *r)
{
    const char *origin =
        h->ofrep ? guard_origin(ofrep_guard(h->ofrep), header_of(connection, "Origin")) : NULL;
    return !origin || (add_header(r, "Access-Control-Allow-Origin", origin) &&
                       add_header(r, "Access-Control-Expose-Headers", "ETag") &&
                       add_header(r, "Vary", "Origin"));
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response, bool ok)
{
    enum MHD_Result rc = ok ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return rc;
}

/* The response takes the body over. */
static struct MHD_Response *response_of(struct buf *body)
{
    struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback(
        body->len, body->ptr ? (void *)body->ptr : (void *)"", body->ptr ? mem_free : keep);
    if (r)
        *body = BUF_INIT(body->max);
    return r;
}

static enum MHD_Result send_page(struct MHD_Connection *connection, struct page *p)
{
    struct MHD_Response *r = response_of(&p->body);
    if (!r)
        return MHD_NO;
    bool ok = add_header(r, "Content-Type", p->type) && add_header(r, "Cache-Control", "no-store");
    if (p->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        ok = ok && add_header(r, "Allow", "GET, HEAD");
    if (p->status == MHD_HTTP_UNAUTHORIZED)
        ok = ok && add_header(r, "WWW-Authenticate", "Bearer");
    return send_response(connection, p->status, r, ok);
}

static enum MHD_Result answer_page(struct MHD_Connection *connection, struct http *h,
                                   const char *path, const char *method)
{
    struct page p = {.status = MHD_HTTP_OK, .type = text_plain, .body = BUF_INIT(PAGE_MAX)};
    make_page(h, connection, path, method, &p);
    enum hoist_err err = buf_err(&p.body);
    if (err)
        page_failed(&p, err);
    counts_request(p.status == MHD_HTTP_NOT_FOUND ? ROUTE_NONE : ROUTE_PAGE, p.status);
    enum MHD_Result rc = send_page(connection, &p);
    buf_done(&p.body);
    return rc;
}

/* ------------------------------------------------------------------ OFREP */

static enum MHD_Result send_answer(struct http *h, struct MHD_Connection *connection,
                                   struct ofrep_answer *a)
{
    struct MHD_Response *r = response_of(&a->body);
    if (!r)
        return MHD_NO;
    bool ok = add_cors(h, connection, r);
    if (a->status != MHD_HTTP_NO_CONTENT && a->status != MHD_HTTP_NOT_MODIFIED)
        ok = ok && add_header(r, "Content-Type", "application/json");
    ok = ok && add_header(r, "Cache-Control", *a->etag ? "no-cache" : "no-store");
    if (*a->etag)
        ok = ok && add_header(r, "ETag", a->etag);
    if (a->allow)
        ok = ok && add_header(r, "Allow", a->allow);
    if (a->unauthorized)
        ok = ok && add_header(r, "WWW-Authenticate", "Bearer");
    if (a->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        ok = ok && add_header(r, "Retry-After", "5");
    counts_request(a->route, a->status);
    return send_response(connection, a->status, r, ok);
}

static enum MHD_Result send_stream(struct http *h, struct MHD_Connection *connection,
                                   struct peer *peer, struct ofrep_answer *a)
{
    struct MHD_Response *r;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    enum hoist_err err =
        streams_open(h->streams, a->stream, connection, info->connect_fd, peer ? peer->share : NULL,
                     header_of(connection, "Last-Event-ID"), &r);
    if (err) {
        a->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        buf_printf(&a->body, "{\"errorCode\":\"GENERAL\",\"errorDetails\":\"%s\"}",
                   err == HOIST_EBUSY ? err_last() : "no stream can be opened now");
        return send_answer(h, connection, a);
    }
    bool ok = add_cors(h, connection, r) && add_header(r, "Content-Type", "text/event-stream") &&
              add_header(r, "Cache-Control", "no-cache, no-transform") &&
              add_header(r, "X-Accel-Buffering", "no"); /* a proxy is to pass it on as it comes */
    peer_streams(peer);
    counts_request(a->route, a->status);
    return send_response(connection, a->status, r, ok);
}

/* A browser asks whether a page may ask. */
static enum MHD_Result send_preflight(struct http *h, struct MHD_Connection *connection,
                                      enum http_route route)
{
    struct buf names = BUF_INIT(HEAD_MAX), none = BUF_INIT(0);
    buf_add_str(&names, "Content-Type, If-None-Match, Authorization, X-API-Key, Last-Event-ID");
    ofrep_header_names(h->ofrep, &names);
    struct MHD_Response *r = response_of(&none);
    bool ok = r && add_cors(h, connection, r) &&
              add_header(r, "Access-Control-Allow-Methods", "GET, POST") &&
              add_header(r, "Access-Control-Allow-Headers", buf_str(&names)) &&
              add_header(r, "Access-Control-Max-Age", "600");
    buf_done(&names);
    counts_request(route, MHD_HTTP_NO_CONTENT);
    return r ? send_response(connection, MHD_HTTP_NO_CONTENT, r, ok) : MHD_NO;
}

static bool is_preflight(const struct http *h, const struct request *q)
{
    return slice_eq(q->asked.method, SLICE("OPTIONS")) &&
           guard_origin(ofrep_guard(h->ofrep), header_of(q->connection, "Origin")) &&
           header_of(q->connection, "Access-Control-Request-Method");
}

/* ------------------------------------------------------------------ requests */

static const char *look_up_header(void *arg, const char *name)
{
    return header_of(arg, name);
}

static const char *look_up_query(void *arg, const char *name)
{
    return MHD_lookup_connection_value(arg, MHD_GET_ARGUMENT_KIND, name);
}

static bool brings_body(struct MHD_Connection *connection)
{
    const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && strcmp(length, "0") != 0) ||
           header_of(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static struct share *share_of(struct MHD_Connection *connection)
{
    struct peer *peer = peer_of(connection);
    return peer ? peer->share : NULL;
}

static void drop_body(struct http *h, struct request *q)
{
    shares_give(&h->shares, share_of(q->connection), SHARES_BODIES, q->held);
    q->held = 0;
    buf_done(&q->body);
}

/* What begin() has not found out. */
static void finish(struct http *h, struct request *q)
{
    q->asked.body = buf_slice(&q->body);
    if (q->no_room && q->is_hook)
        hook_no_room(q->no_room, &q->a);
    else if (q->no_room)
        ofrep_no_room(&q->asked, q->no_room, &q->a);
    else if (q->too_long)
        ofrep_too_long(&q->asked, &q->a);
    else if (q->is_hook)
        hook_finish(h->hook, &q->asked, false, &q->a);
    else
        ofrep_finish(h->ofrep, &q->asked, &q->a);
    drop_body(h, q); /* the answer may take its time */
}

/* With what is known of an OFREP request, or with the page. */
static enum MHD_Result answer(struct http *h, struct request *q)
{
    const char *path = (const char *)q->asked.path.ptr, *method = (const char *)q->asked.method.ptr;
    if (!q->is_ofrep && !q->is_hook)
        return answer_page(q->connection, h, path, method);
    if (q->preflight)
        return send_preflight(h, q->connection, ROUTE_FLAGS);
    if (!q->answered)
        finish(h, q);
    if (q->a.stream)
        return send_stream(h, q->connection, peer_of(q->connection), &q->a);
    return send_answer(h, q->connection, &q->a);
}

static enum MHD_Result begin(struct http *h, struct request *q)
{
    bool body = brings_body(q->connection);
    if (q->is_ofrep && is_preflight(h, q))
        q->preflight = q->answered = true;
    else if (q->is_ofrep)
        q->answered = !ofrep_begin(h->ofrep, &q->asked, &q->a);
    else if (q->is_hook)
        q->answered = !hook_begin(h->hook, &q->asked, &q->a);
    else
        q->answered = true;
    /* A body that nobody wants is not waited for: the answer goes out at once, which ends the
     * connection, so that nobody can keep us reading. */
    return body && q->answered ? answer(h, q) : MHD_YES;
}

/* The hook hears of it at once: its sender may be cut off before it has an answer. */
static void take_too_long(struct http *h, struct request *q)
{
    q->too_long = true;
    drop_body(h, q);
    if (q->is_hook)
        hook_finish(h->hook, &q->asked, true, &q->a);
    q->answered = q->is_hook;
}

/* False: no memory. */
static bool keep_body(struct http *h, struct request *q, const char *body, size_t len)
{
    buf_add(&q->body, body, len);
    if (buf_err(&q->body))
        return false;
    q->no_room =
        shares_take(&h->shares, share_of(q->connection), SHARES_BODIES, q->body.cap - q->held);
    if (q->no_room)
        drop_body(h, q);
    else
        q->held = q->body.cap;
    return true;
}

/* Keep the body up to what may be sent; throw away what is beyond, but not for ever. */
static enum MHD_Result take(struct http *h, struct request *q, const char *body, size_t len)
{
    if (!q->too_long && !q->no_room && q->body.len + len > q->body.max)
        take_too_long(h, q);
    if (q->too_long || q->no_room) {
        q->thrown_away += len;
        return q->thrown_away > THROW_AWAY_MAX ? MHD_NO : MHD_YES;
    }
    return keep_body(h, q, body, len) ? MHD_YES : MHD_NO;
}

static struct request *request_new(struct http *h, struct MHD_Connection *connection,
                                   const char *path, const char *method)
{
    struct request *q = mem_zalloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->connection = connection;
    q->asked = (struct ofrep_request){.method = slice_str(method),
                                      .path = slice_str(path),
                                      .header = look_up_header,
                                      .query = look_up_query,
                                      .arg = connection};
    q->a = OFREP_ANSWER_INIT;
    q->is_ofrep = h->ofrep && ofrep_is(q->asked.path);
    q->is_hook = h->hook && slice_eq(q->asked.path, SLICE(HOOK_PATH));
    q->body = BUF_INIT(q->is_hook ? h->config.alerts_max : OFREP_BODY_MAX);
    return q;
}

/* libmicrohttpd calls first with the head, then with pieces of a body until there are no more. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **state)
{
    struct http *h = arg;
    struct request *q = *state;
    (void)version;
    if (!q) {
        *state = q = request_new(h, connection, path, method);
        return q ? begin(h, q) : MHD_NO;
    }
    if (*body_len == 0)
        return answer(h, q);
    enum MHD_Result rc = take(h, q, body, *body_len);
    *body_len = 0;
    return rc;
}

static void completed(void *arg, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode how)
{
    struct request *q = *state;
    (void)how;
    peer_idle(peer_of(connection));
    if (!q)
        return;
    drop_body(arg, q);
    buf_done(&q->a.body);
    mem_free(q);
    *state = NULL;
}

/* Before it is known what it wants. */
static enum MHD_Result admit(void *arg, const struct sockaddr *from, socklen_t from_len)
{
    struct http *h = arg;
    (void)from_len;
    return shares_admit(&h->shares, from) ? MHD_YES : MHD_NO;
}

static void arrive(struct http *h, struct MHD_Connection *connection, struct peer **ret)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct peer *peer = peers_add(&h->peers, info->connect_fd);
    if (peer) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        peer->share = shares_come(&h->shares, info->client_addr);
    }
    if (peer && h->secure) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        peer->tls = secure_begin(h->secure, info->tls_session);
    }
    *ret = peer;
}

static void leave(struct http *h, struct peer *peer)
{
    struct secure_set *tls = peer ? peer->tls : NULL;
    if (peer)
        shares_give(&h->shares, peer->share, SHARES_CONNECTIONS, 1);
    peers_remove(&h->peers, peer);
    secure_end(tls);
}

static void connected(void *arg, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct peer *peer = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        arrive(arg, connection, &peer);
    } else {
        leave(arg, peer);
        peer = NULL;
    }
    *socket_context = peer;
}

/* Paths are ours to decode: a key may have a slash in it. */
static size_t leave_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
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

static unsigned connections_max(const struct http_config *c)
{
    return c->connections_max ? c->connections_max : (unsigned)HTTP_CONNECTIONS_MAX;
}

/* Every connection was given certificates when it began. One that could not be has none. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                          const gnutls_pk_algorithm_t *kinds, int kind_count, gnutls_pcert_st **ret,
                          unsigned *ret_count, gnutls_privkey_t *ret_key)
{
    (void)session;
    (void)names;
    (void)name_count;
    (void)kinds;
    (void)kind_count;
    (void)ret;
    (void)ret_count;
    (void)ret_key;
    return -1;
}

static struct MHD_Daemon *serve(struct http *h, int fd)
{
    unsigned connections = connections_max(&h->config);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)secure_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!h->secure)
        tls[0].option = MHD_OPTION_END;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (h->secure ? MHD_USE_TLS : 0);
    /* The logger comes first, or what the others have to say goes to stderr. Each thread would have its
     * part of the connections: admit() alone counts them. */
    return MHD_start_daemon(
        flags, 0, admit, h, handle, h, MHD_OPTION_EXTERNAL_LOGGER, log_trouble, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, connections * THREADS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_MAX_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEAD_MAX, MHD_OPTION_NOTIFY_COMPLETED, completed, h, MHD_OPTION_NOTIFY_CONNECTION,
        connected, h, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* The address without what says how it is spoken to; TLS is made ready if it is. */
static enum hoist_err choose_scheme(struct http *h, const char *option, const char **ret_address)
{
    const struct tls_files *tls = h->config.tls;
    bool has_tls = tls && tls->cert, secure;
    *ret_address = http_address(h->config.listen, has_tls, &secure);
    if (secure && !has_tls)
        return err_set(HOIST_EINVAL,
                       "%s %s: HTTPS takes certificates: --join, or --tls-cert, --tls-key and "
                       "--tls-ca",
                       option, h->config.listen);
    enum hoist_err err = secure ? secure_new(tls, h->config.any_client, &h->secure) : HOIST_OK;
    h->config.tls = NULL; /* the caller's */
    return err;
}

/* A stream has its connection for good: half of them are left to requests. */
static uint32_t streams_max(const struct http_config *c)
{
    uint32_t most = c->streams_max ? c->streams_max : (uint32_t)STREAMS_MAX;
    uint32_t half = (connections_max(c) + 1) / 2;
    return most < half ? most : half;
}

static enum hoist_err start(struct http *h, const char *option)
{
    int fd = -1;
    const char *address;
    enum hoist_err err = choose_scheme(h, option, &address);
    if (!err)
        err = http_listen(option, address, &fd);
    if (err)
        return err;
    if (h->config.ofrep)
        err = ofrep_new(h->config.ofrep, &h->ofrep);
    if (!err && h->config.access)
        err = tokens_new(h->config.access, &h->tokens);
    if (!err && h->config.alerts)
        err = hook_new(h->config.alerts_tokens, h->config.alerts, h->config.arg, &h->hook);
    if (!err)
        err =
            streams_new(h->ofrep ? ofrep_envs(h->ofrep) : NULL, &h->peers, &h->shares, &h->streams);
    if (!err && !(h->daemon = serve(h, fd)))
        err = err_set(HOIST_EIO, "%s %s: the server does not start", option, h->config.listen);
    if (err)
        close(fd);
    return err;
}

static void init_shares(struct http *h, const char *option)
{
    const struct http_config *c = &h->config;
    const uint64_t max[] = {[SHARES_CONNECTIONS] = connections_max(c),
                            [SHARES_STREAMS] = streams_max(c),
                            [SHARES_BODIES] = c->bodies_max ? c->bodies_max : HTTP_BODIES_MAX};
    shares_init(&h->shares, max, option);
}

enum hoist_err http_start(const struct http_config *config, struct http **ret)
{
    const char *option = config->option ? config->option : "--http";
    struct http *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return err_set(HOIST_ENOMEM, "out of memory");
    h->config = *config;
    counts_init();
    peers_init(&h->peers, config->busy_max_ms ? config->busy_max_ms : PEER_BUSY_MAX_MS);
    init_shares(h, option);
    enum hoist_err err = start(h, option);
    if (err)
        http_stop(h);
    else
        *ret = h;
    return err;
}

enum hoist_err http_renew(struct http *h, const struct tls_files *tls)
{
    return h->secure ? secure_renew(h->secure, tls) : HOIST_OK;
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    streams_end(h->streams); /* no connection is suspended any more, nor will be */
    if (h->daemon)
        MHD_stop_daemon(h->daemon); /* closes the socket it was given */
    streams_free(h->streams);
    ofrep_free(h->ofrep);
    hook_free(h->hook);
    tokens_free(h->tokens);
    shares_done(&h->shares);
    peers_done(&h->peers);
    secure_free(h->secure);
    mem_free(h);
}
