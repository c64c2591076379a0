/* net.h - nng as Hoist uses it: addresses, and every option of a listener or dialer in one place.
 *
 * What nng does by default would not do here: messages of any size are taken, keep-alive is off,
 * and a queue drops its oldest message without a word. How connections are encrypted stands in
 * net_tls.h.
 */
#ifndef REPL_NET_H
#define REPL_NET_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "repl/net_tls.h"
#include "wire/frame.h"

#define NET_TLS_SCHEME "tls+tcp://"

enum {
    NET_URL_MAX = 256,
    NET_QUEUE = 1024, /* messages kept per subscriber; a drop costs one fetch */
    NET_RECONNECT_MIN_MS = 10,
    NET_RECONNECT_MAX_MS = 250,
    NET_CLOSE_MS = 2000, /* a handshake under way is ended first */
    /* What one message may be long, by what comes there. A heartbeat of FRAME_ENVS_MAX environments
     * is longer than FRAME_PUB_MAX. */
    NET_STREAM_MAX = FRAME_PUB_MAX + (512 << 10),
    NET_REPLY_MAX = FRAME_REPLY_MAX + 4096,
    NET_COMMAND_MAX = FRAME_COMMAND_MAX + 4096,
};

/* OK for tls+tcp://HOST:PORT, tcp://HOST:PORT and ipc:///PATH that leave room for the stream's address
 * beside them; else EINVAL with the mend. */
MUST_USE enum hoist_err net_check_url(const char *url);

bool net_is_tls(const char *url);

/* Whether it stays on this machine: ipc, or a loopback address. */
bool net_is_local(const char *url);

/* Whether option `option` may name `url`: beside net_check_url(), plain tcp stays on this machine
 * unless `insecure`, and tls+tcp wants `tls`. EINVAL with the mend. */
MUST_USE enum hoist_err net_check_use(const char *option, const char *url, bool tls, bool insecure);

/* The stream's address beside rpc address `url`: the next port, or the path + ".pub". EINVAL. */
MUST_USE enum hoist_err net_stream_url(const char *url, char ret[NET_URL_MAX]);

/* Listen; `tls` is for tls+tcp, and may be NULL for the others. *ret (may be NULL) is the listener.
 * EBUSY names the address and, where it can, its holder; EINVAL, EACCES, EIO, ENOMEM. */
MUST_USE enum hoist_err net_listen(nng_socket s, const char *url, size_t message_max,
                                   const struct net_tls *tls, nng_listener *ret);

/* Dial without waiting; the connection is made again whenever it breaks. *ret (may be NULL) is the
 * dialer. EINVAL, EIO, ENOMEM. */
MUST_USE enum hoist_err net_dial(nng_socket s, const char *url, size_t message_max,
                                 const struct net_tls *tls, nng_dialer *ret);

/*
 * Close a socket. False: nng did not manage to within NET_CLOSE_MS; the socket is abandoned, and
 * what belongs to it must not be freed.
 *
 * nng 1.5 loses the end of a receive when a connection is closed in the microseconds between a
 * message's length and its body: its reaper then waits for ever, and so would nng_close(). Whoever
 * can, closes when nothing is coming; for the rest there is this limit.
 */
MUST_USE bool net_close(nng_socket s);

enum { NET_PEER_SIZE = 32 };

/* Who sent `m`: "uid:1000" over ipc; "tls" over an encrypted connection from another machine; ""
 * over a plain one, or from this machine. */
void net_peer(nng_msg *m, char out[NET_PEER_SIZE]);

/* An nng error as ours, with the sentence "WHAT: nng's word for it". */
enum hoist_err net_err(int rc, const char *what);

/* A message of these bytes; NULL: out of memory. */
nng_msg *net_msg(struct slice bytes);
struct slice net_msg_bytes(nng_msg *m);

#endif
