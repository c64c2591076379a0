/* What programs on this host, and hosts behind it, have counted, on its way to upstream.
 *
 * It goes by the follower's own connection, while the follower asks nothing: another connection for
 * each host would be twice as many for their upstream. A request of the follower's takes its place at
 * once; the frame is then sent again, and counts once. Only an upstream that has answered the follower
 * since it was dialled is told, so that none of this comes before a hello.
 */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/agent_int.h"
#include "repl/net.h"

enum {
    USAGE_MS = 2000,              /* between two frames, */
    USAGE_MORE_MS = 100,          /* where one was not enough, */
    USAGE_DENIED_MS = 10 * 60000, /* and with an upstream that knows no such frame */
    USAGE_DEADLINE_MS = 5000,
    USAGE_LAST_MS = 1000, /* for what is left when the agent ends */
    NAP_MS = 50,
};

static const uint64_t usage_tag = UINT64_C(1) << 63; /* the follower counts its own from 1 */

void agent_usage_turn(struct agent *a, int64_t now)
{
    uint64_t sequence;
    if (atomic_exchange(&a->usage_hurries, false))
        a->usage_ms = now;
    if (!a->config.sums || !a->upstream || !a->usage_open || now < a->usage_ms ||
        !upstream_is_idle(a->upstream))
        return;
    struct slice frame = sums_take(a->config.sums, FRAME_USAGE_MAX, &sequence);
    if (frame.len == 0)
        return;
    a->usage_ms = now + (frame.len > FRAME_USAGE_MAX / 2 ? USAGE_MORE_MS : USAGE_MS);
    if (upstream_request(a->upstream, usage_tag | sequence, frame, USAGE_DEADLINE_MS) != HOIST_OK)
        log_debug("repl: what was counted is sent later: %s", err_last());
}

static enum hoist_err read_answer(struct slice in, uint32_t *ret_status)
{
    enum frame_kind kind;
    struct slice why;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (err == HOIST_OK && kind == FRAME_ERROR_REPLY) {
        err = frame_get_error_reply(in, &why);
        return err == HOIST_OK ? err_set(HOIST_EINVAL, "%.*s", SLICE_ARG(why)) : err;
    }
    return err == HOIST_OK ? frame_get_status_reply(in, ret_status) : err;
}

bool agent_usage_answer(struct agent *a, const struct event *e)
{
    uint32_t status;
    if (e->kind == EVENT_MESSAGE || !(e->tag & usage_tag)) {
        if (e->kind == EVENT_REPLY)
            a->usage_open = true;
        return false;
    }
    if (e->kind != EVENT_REPLY)
        return true;
    if (read_answer(net_msg_bytes(e->msg), &status) != HOIST_OK) {
        log_info(
            "repl: %s does not take how often flags are evaluated (%s): it is counted here, and "
            "sent when it does",
            a->config.upstreams[a->upstream_number], err_last());
        a->usage_ms = clock_mono_ms() + USAGE_DENIED_MS;
        a->usage_open = false; /* so that nobody waits for it */
    } else if (status == REPLY_OK) {
        sums_passed_on(a->config.sums, e->tag & ~usage_tag);
    }
    return true;
}

void agent_usage_end(struct agent *a)
{
    int64_t until_ms = clock_mono_ms() + USAGE_LAST_MS;
    while (a->config.sums && a->usage_open && sums_waits(a->config.sums) &&
           clock_mono_ms() < until_ms) {
        atomic_store(&a->usage_hurries, true);
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000}, NULL);
    }
}
