#include "base/expiry.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

static const int64_t DAY_MS = 86400000;

static struct {
    _Atomic int64_t until_ms;
    int64_t warned_ms; /* by the monotonic clock */
    char name[CERT_NAME_MAX + 1];
    struct metric *left;
} own;

static void update(void *arg)
{
    (void)arg;
    metric_set(own.left, (double)(expiry_until_ms() - clock_wall_ms()) / 1000);
}

static void warn(int64_t mono_ms)
{
    char until[TEXT_TIME_SIZE];
    int64_t left = expiry_until_ms() - clock_wall_ms();
    own.warned_ms = mono_ms;
    text_time(until, expiry_until_ms());
    if (left >= EXPIRY_WARN_DAYS * DAY_MS)
        return;
    if (left > 0)
        log_warn("certs: the certificate of %s ends in %" PRId64 " days, on %s: renew it (hoistd "
                 "certs renew), then SIGHUP",
                 own.name, left / DAY_MS, until);
    else
        log_error("certs: the certificate of %s ended on %s, so nobody lets us connect: renew it "
                  "(hoistd certs renew), then SIGHUP",
                  own.name, until);
}

void expiry_set(const struct cert_info *cert, const struct cert_info *other)
{
    const struct cert_info *first = other && other->until_ms < cert->until_ms ? other : cert;
    snprintf(own.name, sizeof own.name, "%s", first->name);
    atomic_store(&own.until_ms, first->until_ms);
    if (!own.left) {
        own.left =
            metric_series(METRIC_GAUGE, "hoist_certificate_expires_seconds",
                          "Until this hoistd's certificate ends; below 0: since then.", "", NULL);
        metrics_on_write(update, NULL);
    }
    warn(clock_mono_ms());
}

void expiry_remind(int64_t mono_ms)
{
    if (expiry_until_ms() && mono_ms - own.warned_ms >= DAY_MS)
        warn(mono_ms);
}

int64_t expiry_until_ms(void)
{
    return atomic_load(&own.until_ms);
}
