/* listeners.h - where one socket is found, and the connections that came there; takes new
 * certificates while it runs.
 *
 * Connections by the old certificates are known one by one, so that they can be closed a few at a
 * time: thousands of hosts that came back in one moment would have to be answered in one.
 */
#ifndef REPL_LISTENERS_H
#define REPL_LISTENERS_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "repl/net_tls.h"
#include "repl/quota.h"

struct listeners;

/* For `socket`, which is borrowed, and must be closed before this is freed; `quota` counts who comes,
 * as `kind`. `tls` may be NULL. */
MUST_USE enum hoist_err listeners_new(nng_socket socket, size_t message_max, struct net_tls *tls,
                                      struct quota *quota, enum quota_kind kind,
                                      struct listeners **ret);
void listeners_free(struct listeners *l); /* NULL is fine */

/* Listen at `url` as well: net_listen()'s errors. */
MUST_USE enum hoist_err listeners_add(struct listeners *l, const char *url);

/* Take new connections by `tls` from now on. Handshakes that are under way go on as they began, until
 * net_tls_end_old(). On an error all is as it was. EINVAL, ENOMEM, EIO. */
MUST_USE enum hoist_err listeners_renew(struct listeners *l, struct net_tls *tls);

/* Those who are here count as old from now on. */
void listeners_grow_old(struct listeners *l);

/* Close the first `1/of` of the old connections, at least one. False: there are none. */
bool listeners_close_old(struct listeners *l, unsigned of);

#endif
