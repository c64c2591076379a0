/* secure.h - TLS of the HTTP server: certificates that can be replaced while it serves.
 *
 * A connection keeps the certificates it began with; those that come later get the newest. Clients
 * have to show a certificate that the CA has signed, unless any client will do. TLS 1.2 and later.
 */
#ifndef HTTP_SECURE_H
#define HTTP_SECURE_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/tls.h"

struct secure;
struct secure_set; /* certificates, as some connections have them */

/* What GnuTLS may negotiate, for the server's settings. */
extern const char secure_priorities[];

/* EINVAL: certificate, key and CA are not such, or do not belong together; ENOMEM. `tls` is read and
 * not kept. */
MUST_USE enum hoist_err secure_new(const struct tls_files *tls, bool any_client,
                                   struct secure **ret);
/* After the last secure_end(). NULL is fine. */
void secure_free(struct secure *s);

/* For connections that come from now on. On error (as above) they get what there was. */
MUST_USE enum hoist_err secure_renew(struct secure *s, const struct tls_files *tls);

/* Before the handshake of `session`. Any thread. secure_end() when the connection ends; NULL: out of
 * memory, and the session must not go on. */
struct secure_set *secure_begin(struct secure *s, gnutls_session_t session);
void secure_end(struct secure_set *set);

#endif
