/* The simulation of a large fleet (bench/scale.h), small: 500 hosts behind 25 relays in two levels,
 * through all that can happen to them. In the end all must have what the primary has, and the
 * primary must know. HOIST_SEED=N plays another history. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../bench/scale.h"
#include "base/log.h"
#include "base/text.h"

enum { HOSTS = 500, FANOUT = 21, LIMIT_S = 60, SETTLED_S = 5, SEED = 7 };

static uint64_t seed(void)
{
    const char *text = getenv("HOIST_SEED");
    uint64_t n;
    return text && text_u64(text, &n) == HOIST_OK ? n : SEED;
}

static void lands(struct scale *w, const char *after)
{
    struct scale_took t = scale_settle(w, (int64_t)LIMIT_S * SCALE_S);
    if (t.all_ns < 0)
        print_message("after %s: %" PRIu32 " of %" PRIu32 "; seed %" PRIu64 "\n", after, t.have,
                      t.hosts, seed());
    assert_true(t.all_ns >= 0);
    assert_true(t.half_ns <= t.most_ns && t.most_ns <= t.all_ns);
}

static void change(struct scale *w, const char *after)
{
    scale_change(w, 1, CHANGE_SET);
    lands(w, after);
    if (scale_took(w).known_ns < 0)
        print_message("after %s the ledger did not hear of all; seed %" PRIu64 "\n", after, seed());
    assert_true(scale_took(w).known_ns >= 0);
}

static void all_hosts_are_equal_in_the_end(void **state)
{
    struct scale *w =
        scale_new(&(struct scale_config){.hosts = HOSTS, .fanout = FANOUT, .seed = seed()});
    assert_int_equal(scale_levels(w), 2);
    scale_watch(w);
    scale_start_all(w, SCALE_S);
    lands(w, "their first snapshots");
    scale_run(w, SCALE_S);

    change(w, "a change");
    scale_change(w, 300, CHANGE_KILL);
    lands(w, "a kill behind many changes");

    scale_set_weather(w, &scale_rough);
    scale_churn(w, HOSTS / 10);
    change(w, "a change in rough weather");
    scale_kill_domain(w);
    change(w, "relays that died");
    scale_stop_primary(w);
    scale_run(w, (int64_t)3 * SCALE_S);
    scale_start_primary(w);
    change(w, "a restart of the primary");
    scale_churn(w, 0);
    scale_set_weather(w, &scale_calm);
    scale_revive(w);
    scale_run(w, SCALE_S);

    scale_stop_all(w);
    scale_change(w, 10, CHANGE_SET);
    scale_watch(w);
    scale_start_all(w, 0);
    lands(w, "all came back at once");
    scale_run(w, (int64_t)SETTLED_S * SCALE_S);
    assert_int_equal(scale_up(w), HOSTS);
    assert_int_equal(scale_unequal(w), 0);
    assert_int_equal(scale_seen(w).counts[COUNT_DIVERGED], 0);
    assert_int_equal(scale_seen(w).counts[COUNT_BAD_FRAME], 0);
    assert_int_equal(scale_seen(w).counts[COUNT_BAD_CHANGE], 0);
    scale_free(w);
    (void)state;
}

static struct scale_took played(uint64_t with_seed, uint64_t *ret_events)
{
    struct scale *w =
        scale_new(&(struct scale_config){.hosts = 60, .fanout = 20, .seed = with_seed});
    scale_watch(w);
    scale_start_all(w, SCALE_S);
    scale_settle(w, (int64_t)LIMIT_S * SCALE_S);
    scale_set_weather(w, &scale_rough);
    scale_change(w, 1, CHANGE_SET);
    struct scale_took t = scale_settle(w, (int64_t)LIMIT_S * SCALE_S);
    *ret_events = scale_happened(w);
    scale_free(w);
    return t;
}

static void a_seed_plays_the_same_history(void **state)
{
    uint64_t events[3];
    struct scale_took a = played(1, &events[0]), b = played(1, &events[1]);
    (void)played(2, &events[2]);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(events[0], events[1]);
    assert_int_not_equal(events[0], events[2]);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_hosts_are_equal_in_the_end),
        cmocka_unit_test(a_seed_plays_the_same_history),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
