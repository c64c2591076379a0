/* net_tls.h - TLS as nng is to speak it: 1.2 or later, and each side must show a certificate.
 *
 * A dialer checks the server's name, too: the host of its URL, or the one name given here. (Mbed TLS
 * 2.28, which nng speaks through, looks for it among the certificate's DNS names alone: one for an
 * address must carry the address as such a name.)
 *
 * A configuration of nng's cannot change once it is used, but listeners and dialers can be handed
 * another while they run: connections from then on are by the new one.
 */
#ifndef REPL_NET_TLS_H
#define REPL_NET_TLS_H

#include <nng/nng.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/tls.h"

struct net_tls; /* never changes; shared by all who hold it */

/*
 * From what was read of the three files; `server_name` may be NULL. Both are copied.
 *
 * Errors:  EINVAL  a certificate or the key cannot be read, or they do not belong together
 *          ENOMEM
 */
MUST_USE enum hoist_err net_tls_new(const struct tls_files *files, const char *server_name,
                                    struct net_tls **ret);
/* Both take NULL, which is no TLS. */
struct net_tls *net_tls_hold(struct net_tls *t);
void net_tls_drop(struct net_tls *t);

/* What our own certificate lacks for others to believe it: it has ended, begins later, or no CA of
 * ours has signed it. HOIST_OK, or EINVAL with the sentence. */
MUST_USE enum hoist_err net_tls_check_own(const struct net_tls *t);
/* The same, of the dates alone. */
MUST_USE enum hoist_err net_tls_check_dates(const struct net_tls *t);

/*
 * Listeners that are given new certificates after net_tls_begin_new() are of the number that it gives.
 * net_tls_end_old() ends, for all listeners of this process, whatever goes by certificates that were given
 * before `number`: it comes no further in a handshake, and reads and writes no more.
 */
uint64_t net_tls_begin_new(void);
void net_tls_end_old(uint64_t number);

/* EINVAL when `t` is NULL: names the options. ENOMEM. */
MUST_USE enum hoist_err net_tls_listen(const struct net_tls *t, nng_listener l, const char *url);
MUST_USE enum hoist_err net_tls_dial(const struct net_tls *t, nng_dialer d, const char *url);

/*
 * Why there is no TLS connection to `url`, asked by one more that is not kept: appends what is wrong
 * with its certificate or that it does not like ours; nothing when all is well or nobody answers.
 * Takes up to a second. nng tells no more than that it failed.
 */
void net_tls_why(const struct net_tls *t, const char *url, struct buf *out);

#endif
