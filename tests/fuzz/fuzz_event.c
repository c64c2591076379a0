/* Any bytes as the events of a release: rows, each behind its length (two bytes, big endian). What decodes is the
 * same when it is encoded again, and the release goes its way whatever it is told: no step forward but by a
 * round, none after a rollback, and always a word for what it waits for. */
#include <assert.h>

#include "../release_samples.h"
#include "base/bytes.h"
#include "release/waiting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct release_event *e)
{
    struct buf out = BUF_INIT(RELEASE_ROW_MAX * 4), more = BUF_INIT(RELEASE_ROW_MAX * 4);
    struct release_event again;
    enum hoist_err err = release_event_encode(e, &out);
    assert(err == HOIST_OK);
    err = release_event_decode(buf_slice(&out), &again);
    assert(err == HOIST_OK);
    err = release_event_encode(&again, &more);
    assert(err == HOIST_OK);
    assert(slice_eq(buf_slice(&out), buf_slice(&more)));
    buf_done(&out);
    buf_done(&more);
}

static void take(const struct release_plan *plan, struct release_record *r,
                 const struct release_event *e)
{
    struct release_wait waits[RELEASE_WAITS_MAX];
    struct release_effects fx;
    struct release_record before = *r;
    release_step(plan, r, e, &fx);
    if (fx.refused[0])
        assert(memcmp(&before, r, sizeof before) == 0 && !fx.deed);
    assert(r->step <= before.step + 1 && r->step >= before.step);
    assert(r->step == before.step || e->kind == RELEASE_TICK);
    assert(r->state >= before.state && r->step < plan->step_count);
    assert(before.state != RELEASE_ROLLING_BACK || fx.deed != RELEASE_DO_CHANGE);
    bool lives = r->state == RELEASE_MOVING || r->state == RELEASE_ROLLING_BACK;
    assert((release_waiting(plan, r, e->wall_ms, waits) > 0) == lives);
    assert(release_earliest(plan, r, e->wall_ms) >= e->wall_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sample sample;
    struct release_record r = {0};
    struct release_event e;
    sample_plan(&sample);
    while (size >= 2) {
        size_t len = be16_read(data);
        data += 2;
        size -= 2;
        if (len > size)
            len = size;
        if (release_event_decode(slice_of(data, len), &e) == HOIST_OK) {
            write_again(&e);
            take(&sample.plan, &r, &e);
        }
        data += len;
        size -= len;
    }
    return 0;
}
