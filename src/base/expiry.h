/* expiry.h - how long this process's own certificate is still good: a metric, and a warning in time.
 *
 * hoist_certificate_expires_seconds is what is left of it; below 0: since when it is over. Threads:
 * expiry_set() and expiry_remind() one at a time, the other any.
 */
#ifndef BASE_EXPIRY_H
#define BASE_EXPIRY_H

#include <stdint.h>

#include "base/err.h"

enum { EXPIRY_WARN_DAYS = 14 };

/* `cert` and `other` (PEM; NULL: there is no second one) are in use from now on; told of is the one that
 * ends first. Warns if it ends soon. EINVAL, ENOMEM as cert_read(). */
MUST_USE enum hoist_err expiry_set(const char *cert, const char *other);

/* Warns once more when a day has passed since it last did; mono_ms: clock_mono_ms(). */
void expiry_remind(int64_t mono_ms);

/* When it ends; 0: there is none. */
int64_t expiry_until_ms(void);

#endif
