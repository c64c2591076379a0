#include "repl/net.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/holder.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    IPC_PATH_MAX = 100, /* a socket's path has 108 bytes, the stream's is 4 longer */
    IPC_MODE = 0660,
};

static bool is_ipc(const char *url)
{
    return strncmp(url, "ipc://", 6) == 0;
}

bool net_is_tls(const char *url)
{
    return strncmp(url, NET_TLS_SCHEME, strlen(NET_TLS_SCHEME)) == 0;
}

/* What stands behind tcp:// or tls+tcp://, or NULL. */
static const char *tcp_address(const char *url)
{
    if (net_is_tls(url))
        return url + strlen(NET_TLS_SCHEME);
    return strncmp(url, "tcp://", 6) == 0 ? url + 6 : NULL;
}

bool net_is_local(const char *url)
{
    const char *address = tcp_address(url);
    return address ? address_is_loopback(address) : is_ipc(url);
}

/* The port of tcp://HOST:PORT; 0: there is none. */
static uint16_t port_of(const char *url)
{
    uint64_t port = 0;
    const char *colon = strrchr(url, ':');
    if (!colon || text_u64(colon + 1, &port) != HOIST_OK || port > UINT16_MAX)
        return 0;
    return (uint16_t)port;
}

static enum hoist_err check_tcp(const char *url, const char *host)
{
    const char *colon = strrchr(host, ':');
    int scheme = (int)(host - url);
    uint16_t port = port_of(url);
    if (!colon || colon == host || port == 0 || port == UINT16_MAX)
        return err_set(HOIST_EINVAL,
                       "address '%s': give %.*sHOST:PORT with a port of 1 to 65534 (the stream "
                       "takes the next one)",
                       url, scheme, url);
    if (strchr(host, '/') || (strchr(host, ':') != colon && *host != '['))
        return err_set(HOIST_EINVAL, "address '%s': give %.*sHOST:PORT, or %.*s[IPV6]:PORT", url,
                       scheme, url, scheme, url);
    return HOIST_OK;
}

static enum hoist_err check_ipc(const char *url)
{
    const char *path = url + strlen("ipc://");
    if (*path != '/' || path[1] == '\0')
        return err_set(HOIST_EINVAL, "address '%s': give ipc:///PATH with an absolute path", url);
    if (strlen(path) > IPC_PATH_MAX)
        return err_set(HOIST_EINVAL, "address '%s': the path is longer than %d bytes", url,
                       IPC_PATH_MAX);
    return HOIST_OK;
}

enum hoist_err net_check_url(const char *url)
{
    if (strlen(url) >= NET_URL_MAX - sizeof ".pub")
        return err_set(HOIST_EINVAL, "address '%.40s…' is longer than %d bytes", url, NET_URL_MAX);
    const char *address = tcp_address(url);
    if (address)
        return check_tcp(url, address);
    if (is_ipc(url))
        return check_ipc(url);
    return err_set(HOIST_EINVAL,
                   "address '%s' is none of tls+tcp://HOST:PORT, tcp://HOST:PORT and ipc:///PATH",
                   url);
}

enum hoist_err net_check_use(const char *option, const char *url, bool tls, bool insecure)
{
    enum hoist_err err = net_check_url(url);
    if (err)
        return err_prefix(err, "%s", option);
    if (net_is_tls(url) && !tls)
        return err_set(HOIST_EINVAL, "%s %s takes --tls-cert, --tls-key and --tls-ca", option, url);
    if (net_is_tls(url) || net_is_local(url) || insecure)
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "%s %s: plain tcp leaves this machine unencrypted, and anybody may speak there; "
                   "give tls+%s with --tls-cert, --tls-key and --tls-ca, or say --insecure",
                   option, url, url);
}

enum hoist_err net_stream_url(const char *url, char ret[NET_URL_MAX])
{
    enum hoist_err err = net_check_url(url);
    if (err != HOIST_OK)
        return err;
    if (is_ipc(url))
        snprintf(ret, NET_URL_MAX, "%s.pub", url);
    else
        snprintf(ret, NET_URL_MAX, "%.*s:%d", (int)(strrchr(url, ':') - url), url,
                 port_of(url) + 1);
    return HOIST_OK;
}

enum hoist_err net_err(int rc, const char *what)
{
    enum hoist_err err = rc == NNG_ENOMEM       ? HOIST_ENOMEM
                         : rc == NNG_EADDRINUSE ? HOIST_EBUSY
                         : rc == NNG_EPERM      ? HOIST_EACCES
                         : rc == NNG_EADDRINVAL ? HOIST_EINVAL
                         : rc == NNG_ETIMEDOUT  ? HOIST_ETIMEOUT
                                                : HOIST_EIO;
    return err_set(err, "%s: %s", what, nng_strerror(rc));
}

static enum hoist_err listen_err(int rc, const char *url)
{
    if (rc != NNG_EADDRINUSE)
        return net_err(rc, url);
    char holder[HOLDER_SIZE] = "";
    if (!is_ipc(url))
        holder_of_port(holder, port_of(url));
    return err_set(HOIST_EBUSY, "%s is taken%s%s; choose another address with --listen", url,
                   *holder ? ", " : "", holder);
}

static int set_up_listener(nng_listener l, const char *url, size_t message_max)
{
    int rc = nng_listener_set_size(l, NNG_OPT_RECVMAXSZ, message_max);
    if (rc == 0 && is_ipc(url))
        return nng_listener_set_int(l, NNG_OPT_IPC_PERMISSIONS, IPC_MODE);
    if (rc == 0)
        rc = nng_listener_set_bool(l, NNG_OPT_TCP_NODELAY, true);
    return rc == 0 ? nng_listener_set_bool(l, NNG_OPT_TCP_KEEPALIVE, true) : rc;
}

enum hoist_err net_listen(nng_socket s, const char *url, size_t message_max,
                          const struct net_tls *tls, nng_listener *ret)
{
    nng_listener l;
    enum hoist_err err = HOIST_OK;
    int rc = nng_listener_create(&l, s, url);
    if (rc != 0)
        return net_err(rc, url);
    rc = set_up_listener(l, url, message_max);
    if (rc == 0 && net_is_tls(url))
        err = net_tls_listen(tls, l, url);
    if (rc == 0 && !err)
        rc = nng_listener_start(l, 0);
    if (rc != 0)
        err = listen_err(rc, url);
    if (err)
        nng_listener_close(l);
    else if (ret)
        *ret = l;
    return err;
}

static int set_up_dialer(nng_dialer d, const char *url, size_t message_max)
{
    int rc = nng_dialer_set_size(d, NNG_OPT_RECVMAXSZ, message_max);
    if (rc == 0)
        rc = nng_dialer_set_ms(d, NNG_OPT_RECONNMINT, NET_RECONNECT_MIN_MS);
    if (rc == 0)
        rc = nng_dialer_set_ms(d, NNG_OPT_RECONNMAXT, NET_RECONNECT_MAX_MS);
    if (rc == 0 && !is_ipc(url))
        rc = nng_dialer_set_bool(d, NNG_OPT_TCP_NODELAY, true);
    if (rc == 0 && !is_ipc(url))
        rc = nng_dialer_set_bool(d, NNG_OPT_TCP_KEEPALIVE, true);
    return rc;
}

enum hoist_err net_dial(nng_socket s, const char *url, size_t message_max,
                        const struct net_tls *tls, nng_dialer *ret)
{
    nng_dialer d;
    enum hoist_err err = HOIST_OK;
    int rc = nng_dialer_create(&d, s, url);
    if (rc != 0)
        return net_err(rc, url);
    rc = set_up_dialer(d, url, message_max);
    if (rc == 0 && net_is_tls(url))
        err = net_tls_dial(tls, d, url);
    if (rc == 0 && !err)
        rc = nng_dialer_start(d, NNG_FLAG_NONBLOCK);
    if (rc != 0)
        err = net_err(rc, url);
    if (err)
        nng_dialer_close(d);
    else if (ret)
        *ret = d;
    return err;
}

struct closing { /* shared by who closes and who waits; the last one frees it */
    nng_socket socket;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done, abandoned;
};

static void closing_free(struct closing *c)
{
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void *close_socket(void *arg)
{
    struct closing *c = arg;
    nng_close(c->socket);
    pthread_mutex_lock(&c->lock);
    c->is_done = true;
    bool last = c->abandoned;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
    if (last)
        closing_free(c);
    return NULL;
}

static bool await_closing(struct closing *c, pthread_t thread)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += NET_CLOSE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;

    pthread_mutex_lock(&c->lock);
    int rc = 0;
    while (!c->is_done && rc == 0)
        rc = pthread_cond_timedwait(&c->done, &c->lock, &until);
    bool done = c->is_done;
    c->abandoned = !done;
    pthread_mutex_unlock(&c->lock);
    if (!done) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    closing_free(c);
    return true;
}

bool net_close(nng_socket s)
{
    pthread_t thread;
    sigset_t all, before;
    struct closing *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return false;
    c->socket = s;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, close_socket, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        closing_free(c);
        return false;
    }
    return await_closing(c, thread);
}

nng_msg *net_msg(struct slice bytes)
{
    nng_msg *m;
    if (nng_msg_alloc(&m, bytes.len) != 0)
        return NULL;
    if (bytes.len)
        memcpy(nng_msg_body(m), bytes.ptr, bytes.len);
    return m;
}

struct slice net_msg_bytes(nng_msg *m)
{
    return slice_of(nng_msg_body(m), nng_msg_len(m));
}

/* Whether both ends have one address. */
static bool is_same_host(const nng_sockaddr *a, const nng_sockaddr *b)
{
    if (a->s_family != b->s_family)
        return false;
    if (a->s_family == NNG_AF_INET)
        return a->s_in.sa_addr == b->s_in.sa_addr;
    return a->s_family == NNG_AF_INET6 &&
           memcmp(a->s_in6.sa_addr, b->s_in6.sa_addr, sizeof a->s_in6.sa_addr) == 0;
}

/* What cannot be told came by TLS: from afar one may do less. */
static bool came_by_tls(nng_pipe pipe)
{
    char *url = NULL;
    bool is = nng_listener_get_string(nng_pipe_listener(pipe), NNG_OPT_URL, &url) != 0 ||
              strncmp(url, "tls", 3) == 0;
    nng_strfree(url);
    return is;
}

static bool is_from_here(nng_pipe pipe)
{
    nng_sockaddr from, to;
    return nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &from) == 0 &&
           nng_pipe_get_addr(pipe, NNG_OPT_LOCADDR, &to) == 0 && is_same_host(&from, &to);
}

void net_peer(nng_msg *m, char out[NET_PEER_SIZE])
{
    nng_pipe pipe = nng_msg_get_pipe(m);
    uint64_t uid;
    *out = '\0';
    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0)
        snprintf(out, NET_PEER_SIZE, "uid:%llu", (unsigned long long)uid);
    else if (came_by_tls(pipe) && !is_from_here(pipe))
        snprintf(out, NET_PEER_SIZE, "tls");
}
