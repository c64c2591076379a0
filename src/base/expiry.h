/* expiry.h - how long this process's own certificate is still good: a metric, and a warning in time.
 *
 * hoist_certificate_expires_seconds is what is left of it; below 0: since when it is over. Threads:
 * expiry_set() and expiry_remind() one at a time, the other any.
 */
#ifndef BASE_EXPIRY_H
#define BASE_EXPIRY_H

#include <stdint.h>

#include "base/cert.h"

enum { EXPIRY_WARN_DAYS = 14 };

/* `cert` and `other` (NULL: there is no second one) are in use from now on; told of is the one that ends
 * first. Warns if it ends soon. */
void expiry_set(const struct cert_info *cert, const struct cert_info *other);

/* Warns once more when a day has passed since it last did; mono_ms: clock_mono_ms(). */
void expiry_remind(int64_t mono_ms);

/* When it ends; 0: there is none. */
int64_t expiry_until_ms(void);

#endif
