/* follower_probe.c - at the start: which upstream knows most of the primary.
 *
 * A relay that was cut off, or that lies, shows an old state which is genuine in every byte. So a host
 * that starts listens to its other upstreams as well, until each was heard or for a moment, and goes
 * to one whose heartbeats are further on, if the first in order is clearly behind.
 */
#include <inttypes.h>

#include "repl/follower_int.h"

static uint32_t bit(uint32_t upstream)
{
    return upstream < PROBES_MAX ? UINT32_C(1) << upstream : 0;
}

void probe_begin(struct follower *f)
{
    if (f->probe_until_ms != NEVER)
        return;
    f->probe_until_ms = f->config.upstreams > 1 ? f->now + FOLLOWER_PROBE_MS : 0;
    for (uint32_t u = 0; u < f->config.upstreams && u < PROBES_MAX; u++)
        if (u != f->follow) {
            tell(f, OUT_PROBE)->upstream = u;
            f->probes |= bit(u);
        }
}

static void end_probe(struct follower *f, uint32_t upstream)
{
    if (!(f->probes & bit(upstream)))
        return;
    f->probes &= ~bit(upstream);
    tell(f, OUT_PROBED)->upstream = upstream;
}

void probe_message(struct follower *f, uint32_t upstream, struct slice bytes)
{
    enum frame_kind kind;
    struct frame_heartbeat h;
    if (!(f->probes & bit(upstream)) || frame_kind_of(bytes, &kind) != HOIST_OK ||
        kind != FRAME_HEARTBEAT || frame_get_heartbeat(bytes, &f->arena, &h) != HOIST_OK)
        return;
    if (h.origin.len == 0 || !upstream_is_signed(f, &h))
        return; /* it may hear of the primary yet, or of its new key */
    f->probed[upstream] = h.counter;
    end_probe(f, upstream);
}

/* The one that has heard most; the present one if that is about as much. */
static uint32_t best(const struct follower *f)
{
    uint64_t slack = PROBE_SLACK_MS / f->config.heartbeat_ms + 1;
    uint32_t at = f->follow;
    uint64_t most = f->counter;
    for (uint32_t u = 0; u < f->config.upstreams; u++)
        if (f->probed[u] > most && f->probed[u] - most > (at == f->follow ? slack : 0)) {
            at = u;
            most = f->probed[u];
        }
    return at;
}

void probe_keep(struct follower *f)
{
    bool running = f->probe_until_ms != NEVER && f->probe_until_ms != 0;
    if (!running || (f->now < f->probe_until_ms && (f->probes || f->signed_ms == INT64_MIN)))
        return;
    for (uint32_t u = 0; u < PROBES_MAX; u++)
        end_probe(f, u);
    f->probe_until_ms = 0;
    uint32_t next = best(f);
    if (next == f->follow)
        return;
    tell_count(f, COUNT_OLDER);
    tell_log(
        f, LOG_WARN,
        "repl: %s is behind: it has heard less of the primary than %s, which is followed instead",
        upstream_name(f, f->follow), upstream_name(f, next));
    upstream_leave_for(f, next);
}

int64_t probe_next_ms(const struct follower *f)
{
    return f->probe_until_ms == 0 ? NEVER : f->probe_until_ms;
}
