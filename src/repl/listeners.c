#include "repl/listeners.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "repl/net.h"

enum { KNOCK_MS = 100 };

struct listener {
    nng_listener l;
    char url[NET_URL_MAX];
};

struct connection {
    nng_pipe pipe;
    bool old;
};

struct listeners {
    nng_socket socket;
    size_t message_max;
    struct quota *quota;
    enum quota_kind kind;
    pthread_mutex_t lock;
    struct net_tls *tls;
    struct listener *all;
    size_t count, cap;
    struct connection *connections; /* those that are encrypted */
    size_t connection_count, connection_cap;
};

/* ---------------------------------------------------------------- who is here */

static bool is_encrypted(const struct listeners *l, nng_listener id)
{
    for (size_t i = 0; i < l->count; i++)
        if (nng_listener_id(l->all[i].l) == nng_listener_id(id))
            return net_is_tls(l->all[i].url);
    return false;
}

static bool remember(struct listeners *l, nng_pipe pipe)
{
    if (l->connection_count == l->connection_cap) {
        struct connection *more =
            mem_grow(l->connections, &l->connection_cap, 64, sizeof *l->connections);
        if (!more)
            return false;
        l->connections = more;
    }
    l->connections[l->connection_count++] = (struct connection){.pipe = pipe};
    return true;
}

static void on_add(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct listeners *l = arg;
    (void)event;
    pthread_mutex_lock(&l->lock);
    bool welcome = !is_encrypted(l, nng_pipe_listener(pipe)) || remember(l, pipe);
    pthread_mutex_unlock(&l->lock);
    if (welcome)
        quota_come(l->quota, pipe, l->kind);
    else
        nng_pipe_close(pipe);
}

static void on_remove(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct listeners *l = arg;
    (void)event;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->connection_count; i++)
        if (nng_pipe_id(l->connections[i].pipe) == nng_pipe_id(pipe)) {
            l->connections[i] = l->connections[--l->connection_count];
            break;
        }
    pthread_mutex_unlock(&l->lock);
    quota_go(l->quota, pipe);
}

/* ---------------------------------------------------------------- life */

enum hoist_err listeners_new(nng_socket socket, size_t message_max, struct net_tls *tls,
                             struct quota *quota, enum quota_kind kind, struct listeners **ret)
{
    struct listeners *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    l->socket = socket;
    l->message_max = message_max;
    l->quota = quota;
    l->kind = kind;
    l->tls = net_tls_hold(tls);
    pthread_mutex_init(&l->lock, NULL);
    int rc = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, on_add, l);
    if (rc == 0)
        rc = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_remove, l);
    if (rc != 0) {
        listeners_free(l);
        return net_err(rc, "repl: a socket's connections");
    }
    *ret = l;
    return HOIST_OK;
}

void listeners_free(struct listeners *l)
{
    if (!l)
        return;
    net_tls_drop(l->tls);
    pthread_mutex_destroy(&l->lock);
    mem_free(l->connections);
    mem_free(l->all);
    mem_free(l);
}

static socklen_t own_address(nng_listener l, struct sockaddr_storage *ret)
{
    nng_sockaddr at;
    *ret = (struct sockaddr_storage){0};
    if (nng_listener_get_addr(l, NNG_OPT_LOCADDR, &at) != 0)
        return 0;
    if (at.s_family == NNG_AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
        v4->sin_family = AF_INET;
        v4->sin_port = at.s_in.sa_port;
        v4->sin_addr.s_addr = at.s_in.sa_addr;
        return sizeof *v4;
    }
    if (at.s_family != NNG_AF_INET6)
        return 0;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = at.s_in6.sa_port;
    v6->sin6_scope_id = at.s_in6.sa_scope;
    memcpy(&v6->sin6_addr, at.s_in6.sa_addr, sizeof v6->sin6_addr);
    return sizeof *v6;
}

static enum hoist_err add(struct listeners *l, const char *url)
{
    struct sockaddr_storage where;
    if (l->count == l->cap) {
        struct listener *more = mem_grow(l->all, &l->cap, 4, sizeof *l->all);
        if (!more)
            return err_set(HOIST_ENOMEM, "repl: out of memory");
        l->all = more;
    }
    struct listener *at = &l->all[l->count];
    *at = (struct listener){0};
    snprintf(at->url, sizeof at->url, "%s", url);
    enum hoist_err err = net_listen(l->socket, url, l->message_max, l->tls, &at->l);
    if (err == HOIST_OK && own_address(at->l, &where))
        err = quota_listen(l->quota, &where, l->kind);
    l->count += err == HOIST_OK;
    return err;
}

enum hoist_err listeners_add(struct listeners *l, const char *url)
{
    pthread_mutex_lock(&l->lock); /* who comes at once waits until its listener is known */
    enum hoist_err err = add(l, url);
    pthread_mutex_unlock(&l->lock);
    return err;
}

/* ---------------------------------------------------------------- new certificates */

/*
 * nng waits for the next connection with the certificates of the moment at which it began to. It is
 * given one that ends at once, so that no host comes in by them. Where this one finds no place, others
 * stand in line before it, and the first of them takes that turn.
 */
static void knock(nng_listener l)
{
    const struct timeval limit = {.tv_usec = KNOCK_MS * 1000};
    struct sockaddr_storage to;
    socklen_t len = own_address(l, &to);
    int s = len ? socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (s < 0)
        return;
    if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0)
        (void)connect(s, (struct sockaddr *)&to, len);
    close(s);
}

/* To the first `count` listeners; *ret_done of them have it when there is an error. */
static enum hoist_err give(struct listeners *l, const struct net_tls *tls, size_t count,
                           size_t *ret_done)
{
    enum hoist_err err = HOIST_OK;
    for (*ret_done = 0; *ret_done < count; ++*ret_done) {
        struct listener *at = &l->all[*ret_done];
        if (net_is_tls(at->url) && (err = net_tls_listen(tls, at->l, at->url)) != HOIST_OK)
            break;
    }
    return err;
}

static void take(struct listeners *l, struct net_tls *tls)
{
    net_tls_drop(l->tls);
    l->tls = net_tls_hold(tls);
    for (size_t i = 0; i < l->count; i++)
        if (net_is_tls(l->all[i].url))
            knock(l->all[i].l);
}

enum hoist_err listeners_renew(struct listeners *l, struct net_tls *tls)
{
    size_t done;
    pthread_mutex_lock(&l->lock);
    enum hoist_err err = give(l, tls, l->count, &done);
    if (err == HOIST_OK)
        take(l, tls);
    else
        (void)give(l, l->tls, done, &done);
    pthread_mutex_unlock(&l->lock);
    return err;
}

void listeners_grow_old(struct listeners *l)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->connection_count; i++)
        l->connections[i].old = true;
    pthread_mutex_unlock(&l->lock);
}

bool listeners_close_old(struct listeners *l, unsigned of)
{
    size_t old = 0;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->connection_count; i++)
        old += l->connections[i].old;
    size_t rest = old ? (old + of - 1) / of : 0;
    for (size_t i = 0; i < l->connection_count && rest > 0; i++)
        if (l->connections[i].old) {
            l->connections[i].old = false;
            nng_pipe_close(l->connections[i].pipe); /* nng tells on_remove() later */
            rest--;
        }
    pthread_mutex_unlock(&l->lock);
    return old > 0;
}
