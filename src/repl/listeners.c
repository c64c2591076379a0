#include "repl/listeners.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repl/net.h"

struct listener {
    nng_listener l;
    char url[NET_URL_MAX];
    bool accepts_old; /* it was waiting for a connection when the certificates changed */
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

static struct listener *find(struct listeners *l, nng_listener id)
{
    for (size_t i = 0; i < l->count; i++)
        if (nng_listener_id(l->all[i].l) == nng_listener_id(id) && net_is_tls(l->all[i].url))
            return &l->all[i];
    return NULL;
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

/* nng had begun to wait for the next connection with the certificates of that time: that one is not
 * let in, and comes again. */
static void on_add(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct listeners *l = arg;
    (void)event;
    pthread_mutex_lock(&l->lock);
    struct listener *at = find(l, nng_pipe_listener(pipe));
    bool welcome = !at || (!at->accepts_old && remember(l, pipe));
    if (at)
        at->accepts_old = false;
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

static enum hoist_err add(struct listeners *l, const char *url)
{
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

static enum hoist_err renew(struct listeners *l, const struct net_tls *tls)
{
    for (size_t i = 0; i < l->count; i++) {
        struct listener *at = &l->all[i];
        if (!net_is_tls(at->url))
            continue;
        enum hoist_err err = net_tls_listen(tls, at->l, at->url);
        if (err)
            return err;
        at->accepts_old = true;
    }
    for (size_t i = 0; i < l->connection_count; i++)
        l->connections[i].old = true;
    return HOIST_OK;
}

enum hoist_err listeners_renew(struct listeners *l, struct net_tls *tls)
{
    pthread_mutex_lock(&l->lock);
    enum hoist_err err = renew(l, tls);
    if (!err) {
        net_tls_drop(l->tls);
        l->tls = net_tls_hold(tls);
    }
    pthread_mutex_unlock(&l->lock);
    return err;
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
