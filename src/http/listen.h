/* listen.h - a listening socket for an address that a user gave. */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include "base/err.h"

/* Listen at `address` (HOST:PORT, [::1]:PORT), which option `option` gave. Errors as http_start().
 */
MUST_USE enum hoist_err http_listen(const char *option, const char *address, int *ret_fd);

#endif
