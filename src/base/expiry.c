#include "base/expiry.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/cert.h"
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

/* What is said of the one of them that ends first. */
static enum hoist_err read_first(const char *cert, const char *other, struct cert_info *ret)
{
    struct cert_info i, j;
    enum hoist_err err = cert_read(cert, &i);
    if (err)
        return err;
    if (other && (err = cert_read(other, &j)) != HOIST_OK) {
        cert_info_done(&i);
        return err;
    }
    bool second = other && j.until_ms < i.until_ms;
    if (other)
        cert_info_done(second ? &i : &j);
    *ret = second ? j : i;
    return HOIST_OK;
}

enum hoist_err expiry_set(const char *cert, const char *other)
{
    struct cert_info i;
    enum hoist_err err = read_first(cert, other, &i);
    if (err)
        return err;
    snprintf(own.name, sizeof own.name, "%s", i.name);
    atomic_store(&own.until_ms, i.until_ms);
    cert_info_done(&i);
    if (!own.left) {
        own.left =
            metric_series(METRIC_GAUGE, "hoist_certificate_expires_seconds",
                          "Until this hoistd's certificate ends; below 0: since then.", "", NULL);
        metrics_on_write(update, NULL);
    }
    warn(clock_mono_ms());
    return HOIST_OK;
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
