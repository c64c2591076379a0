/* Any bytes as what a store keeps of how often a flag is evaluated: what is read can be counted on,
 * asked for and written, and is the same when it is read again. */
#include <assert.h>

#include "usage/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOON = 20000 * USAGE_DAY_S + USAGE_DAY_S / 2 };

static void ask(const struct usage_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        uint64_t week = usage_variant_in(&row->variants[i], NOON, 7);
        assert(week <= usage_variant_in(&row->variants[i], NOON, 30));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct usage_row row, again;
    struct buf once = BUF_INIT(4 << 20), more = BUF_INIT(4 << 20);
    if (usage_row_read(slice_of(data, size), &row) != HOIST_OK)
        return 0;
    ask(&row);
    enum hoist_err err = usage_row_add(&row, SLICE("on"), 1, NOON);
    assert(err == HOIST_OK && row.count > 0);
    usage_row_write(&row, &once);
    err = usage_row_read(buf_slice(&once), &again);
    assert(err == HOIST_OK);
    usage_row_write(&again, &more);
    assert(slice_eq(buf_slice(&once), buf_slice(&more)));
    usage_row_done(&again);
    usage_row_done(&row);
    buf_done(&once);
    buf_done(&more);
    return 0;
}
