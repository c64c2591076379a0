/* listen.h - a listening socket for an address that a user gave. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>

#include "base/err.h"

/*
 * HOST:PORT of an address that may have http:// or https:// in front. *ret_secure: whether TLS is
 * spoken there, which is also so without either where there are certificates (`has_tls`) and the
 * address is not loopback.
 */
const char *http_address(const char *address, bool has_tls, bool *ret_secure);

/* Listen at `address` (HOST:PORT, [::1]:PORT), which option `option` gave. Errors as http_start().
 */
MUST_USE enum hoist_err http_listen(const char *option, const char *address, int *ret_fd);

#endif
