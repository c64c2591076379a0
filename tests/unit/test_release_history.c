#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../release_samples.h"
#include "base/mem.h"
#include "release/history.h"
#include "release/simulate.h"

static struct sample sample;
static struct release_history h;
static struct release_record played;
static const int64_t monday = INT64_C(1795420800000); /* 2026-11-23T08:00Z */

static const char well[] = "{\"exposed\":20}\n"
                           "{\"at\":\"10m\",\"sign\":\"qa_lead\",\"by\":\"ana\"}\n"
                           "{\"at\":\"step 3\",\"check\":\"tests\",\"by\":\"ci\"}\n"
                           "{\"at\":\"step 3\",\"check\":\"contract\",\"by\":\"ci\"}\n"
                           "{\"at\":\"step 3\",\"sign\":\"qa_lead\",\"by\":\"ana\"}\n"
                           "{\"at\":\"step 3\",\"sign\":\"release_manager\",\"by\":\"dan\"}\n";

static int begin(void **state)
{
    sample_plan(&sample);
    release_history_begin(&h, &sample.plan);
    (void)state;
    return 0;
}

static int end(void **state)
{
    release_history_done(&h);
    (void)state;
    return 0;
}

static void take(void *arg, const struct release_event *event)
{
    (void)arg;
    assert_int_equal(release_history_take(&h, event), HOIST_OK);
}

/* The history of a release that goes well, but for `more`. */
static void play(const char *more)
{
    struct buf text = BUF_INIT(1 << 16);
    const struct release_watcher watcher = {.event = take};
    int64_t last_ms;
    uint32_t unused;
    buf_add_str(&text, well);
    buf_add_str(&text, more);
    assert_int_equal(release_simulate(&sample.plan, buf_slice(&text), monday, &watcher, &played,
                                      &last_ms, &unused),
                     HOIST_OK);
    assert_int_equal(unused, 0);
    assert_int_equal(h.at_ms, last_ms);
    buf_done(&text);
}

static int64_t since_start(int64_t ms)
{
    return ms - monday;
}

/* ------------------------------------------------------------------ the tests */

static void at_its_end_the_record_is_the_releases_own(void **state)
{
    play("{\"at\":\"step 6 + 5m\",\"check\":\"limits\",\"by\":\"ci\"}\n"
         "{\"at\":\"step 6 + 20h\",\"check\":\"limits\",\"by\":\"ci\"}\n");
    assert_memory_equal(&h.record, &played, sizeof played);
    assert_int_equal(h.record.state, RELEASE_ENDED);
    assert_int_equal(h.record.cause, RELEASE_BY_NOBODY);
    (void)state;
}

static void each_step_has_when_it_began_and_ended_and_how_it_passed(void **state)
{
    play("{\"at\":\"step 6 + 5m\",\"check\":\"limits\",\"by\":\"ci\"}\n"
         "{\"at\":\"step 6 + 20h\",\"check\":\"limits\",\"by\":\"ci\"}\n");
    assert_int_equal(since_start(h.steps[0].began_ms), 0);
    for (uint32_t i = 0; i < sample.plan.step_count; i++) {
        const struct release_step_history *s = &h.steps[i];
        assert_true(s->ended_ms > s->began_ms);
        assert_int_equal(s->moved_ms + s->stood_ms, s->ended_ms - s->began_ms);
        if (i > 0)
            assert_int_equal(s->began_ms, h.steps[i - 1].ended_ms);
    }
    /* The first waits for a signature for ten minutes, and soaks for none of them. */
    assert_true(h.steps[0].stood_ms >= 9 * SAMPLE_MINUTE);
    assert_true(h.steps[1].moved_ms >= 10 * SAMPLE_MINUTE);
    assert_true(h.steps[1].stood_ms <= SAMPLE_MINUTE);
    (void)state;
}

static void a_report_is_due_when_the_watch_has_soaked_whatever_it_waits_for(void **state)
{
    play("{\"at\":\"step 6 + 24h50m\",\"check\":\"limits\",\"by\":\"ci\"}\n");
    const struct release_step_history *watch = &h.steps[5];
    assert_int_equal(release_history_watch_ms(&h), watch->began_ms);
    int64_t due = watch->watched_ms - watch->began_ms;
    assert_true(due >= 24 * SAMPLE_HOUR && due < 24 * SAMPLE_HOUR + SAMPLE_MINUTE);
    assert_true(watch->ended_ms - watch->watched_ms >= 49 * SAMPLE_MINUTE);
    for (int i = 0; i < 5; i++)
        assert_int_equal(h.steps[i].watched_ms, 0);
    assert_int_equal(release_watched_ms(&sample.plan, 5), 24 * SAMPLE_HOUR);
    (void)state;
}

static void where_it_stood_still_says_for_what_and_how_long(void **state)
{
    play("{\"at\":\"step 4 + 10m\",\"hold\":\"a holiday\",\"by\":\"eva\"}\n"
         "{\"at\":\"step 4 + 40m\",\"resume\":true}\n"
         "{\"at\":\"step 5 + 10m\",\"guard\":\"logs\",\"value\":5}\n"
         "{\"at\":\"step 5 + 20m\",\"guard\":\"logs\",\"value\":0}\n"
         "{\"at\":\"step 6 + 5m\",\"abort\":\"enough\"}\n");
    int held = 0, failed = 0;
    int64_t last = 0;
    for (size_t i = 0; i < h.still_count; i++) {
        const struct release_still *s = &h.still[i];
        int64_t ms = s->to_ms - s->from_ms;
        assert_true(s->from_ms >= last && ms >= 0);
        last = s->to_ms;
        if (s->conditions >> RELEASE_UNHELD & 1) {
            assert_int_equal(s->step, 3);
            assert_int_equal(ms, 30 * SAMPLE_MINUTE);
            assert_string_equal(s->why, "eva to resume it: a holiday");
            held++;
        }
        if (strcmp(s->why, "guard logs: FAIL") == 0) {
            assert_int_equal(s->step, 4);
            assert_int_equal(s->conditions, 1u << RELEASE_SOAK);
            assert_true(ms >= 10 * SAMPLE_MINUTE && ms <= 11 * SAMPLE_MINUTE);
            failed++;
        }
    }
    assert_int_equal(held, 1);
    assert_int_equal(failed, 1);
    (void)state;
}

static void an_abort_by_a_guard_has_a_last_good_round_and_a_first_bad_one(void **state)
{
    /* No answer breaks no run: the first that failed stays the first. */
    play("{\"at\":\"step 4 + 10m\",\"guard\":\"latency\",\"value\":3}\n"
         "{\"at\":\"step 4 + 10m15s\",\"guard\":\"latency\",\"verdict\":\"NODATA\"}\n"
         "{\"at\":\"step 4 + 10m45s\",\"guard\":\"latency\",\"value\":3}\n");
    const struct release_abort_history *a = &h.abort;
    assert_int_equal(h.record.cause, RELEASE_BY_GUARD);
    assert_int_equal(a->failing_ms - a->well_ms, SAMPLE_INTERVAL_MS);
    assert_int_equal(a->failing_ms, h.steps[3].began_ms + 10 * SAMPLE_MINUTE);
    assert_true(a->decided_ms - a->failing_ms > 2 * SAMPLE_INTERVAL_MS);
    assert_int_equal(a->back_ms - a->decided_ms, 1000); /* hosts take a second */
    assert_int_equal(h.steps[3].ended_ms, a->back_ms);
    assert_int_equal(h.steps[4].began_ms, 0);
    (void)state;
}

static void a_critical_value_is_decided_at_once_and_a_hand_detects_nothing(void **state)
{
    play("{\"at\":\"step 4 + 10m\",\"guard\":\"failures\",\"value\":10}\n");
    assert_int_equal(h.record.cause, RELEASE_BY_CRITICAL);
    assert_int_equal(h.abort.decided_ms, h.abort.failing_ms);
    assert_true(h.abort.well_ms && h.abort.well_ms < h.abort.failing_ms);

    release_history_done(&h);
    release_history_begin(&h, &sample.plan);
    play("{\"at\":\"step 4 + 10m\",\"guard\":\"logs\",\"value\":5}\n"
         "{\"at\":\"step 4 + 11m5s\",\"abort\":\"enough\",\"by\":\"eva\"}\n");
    assert_int_equal(h.record.cause, RELEASE_BY_HAND);
    assert_int_equal(h.abort.well_ms | h.abort.failing_ms, 0);
    assert_int_equal(h.abort.decided_ms, h.steps[3].began_ms + 11 * SAMPLE_MINUTE + 5000);
    assert_int_equal(h.abort.back_ms - h.abort.decided_ms, 1000);
    (void)state;
}

static void a_clock_that_is_set_back_takes_no_time_away(void **state)
{
    play("{\"at\":\"step 2 + 3m\",\"clock\":\"-2h\"}\n"
         "{\"at\":\"step 4 + 1m\",\"abort\":\"enough\"}\n");
    for (uint32_t i = 0; i < sample.plan.step_count; i++)
        assert_true(h.steps[i].moved_ms >= 0 && h.steps[i].stood_ms >= 0);
    for (size_t i = 0; i < h.still_count; i++)
        assert_true(h.still[i].to_ms >= h.still[i].from_ms);
    (void)state;
}

static void without_memory_an_event_is_not_taken(void **state)
{
    struct release_event started = {.kind = RELEASE_STARTED, .wall_ms = monday};
    mem_fail_at(1);
    assert_int_equal(release_history_take(&h, &started), HOIST_ENOMEM);
    assert_true(mem_did_fail());
    mem_fail_at(0);
    assert_int_equal(h.record.state, RELEASE_NOT_STARTED);
    assert_int_equal(h.at_ms, 0);
    (void)state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(at_its_end_the_record_is_the_releases_own),
        TEST(each_step_has_when_it_began_and_ended_and_how_it_passed),
        TEST(a_report_is_due_when_the_watch_has_soaked_whatever_it_waits_for),
        TEST(where_it_stood_still_says_for_what_and_how_long),
        TEST(an_abort_by_a_guard_has_a_last_good_round_and_a_first_bad_one),
        TEST(a_critical_value_is_decided_at_once_and_a_hand_detects_nothing),
        TEST(a_clock_that_is_set_back_takes_no_time_away),
        TEST(without_memory_an_event_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
