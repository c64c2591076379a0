/* The counter of heartbeats: a store that was made anew counts on from the epochs that it begins. */
#include "../repl_site.h"

#include "repl/heartbeat.h"

/* As counted by a store of which an environment began its epoch at that second. */
static uint64_t counter_of(uint64_t epoch_s)
{
    struct site site = {0};
    struct store_read *r;
    uint64_t counter;
    site_open(&site, true);
    make_env(site.store, "older", 1 << 24);
    make_env(site.store, "production", epoch_s << 24);
    assert_ok(store_read_begin(site.store, false, &r));
    assert_ok(heartbeat_counter(site.store, r, 7, &counter));
    store_read_end(r);
    site_end(&site);
    return counter;
}

static void a_later_epoch_counts_higher_far_beyond_2038(void **state)
{
    const uint64_t year_s = 31556952;
    uint64_t before = 0;
    (void)state;
    for (uint64_t year = 2020; year < 2105; year += 4) {
        uint64_t counter = counter_of((year - 1970) * year_s);
        assert_true(counter > before);
        assert_int_equal((uint32_t)counter, 7);
        before = counter;
    }
}

static void an_epoch_that_no_clock_gave_leaves_room_for_starts(void **state)
{
    (void)state;
    uint64_t most = counter_of(((uint64_t)1 << 40) - 1);
    assert_true(most >> 32 >= UINT32_MAX - (1 << 24));
    assert_true(most >> 32 < UINT32_MAX - (1 << 23));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_epoch_counts_higher_far_beyond_2038),
        cmocka_unit_test(an_epoch_that_no_clock_gave_leaves_room_for_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
