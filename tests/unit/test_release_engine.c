#include "release_kit.h"

static struct world w;
static struct sample sample;
static const int64_t monday_noon = INT64_C(1795435200000); /* 2026-11-23T12:00Z */

static int begin(void **state)
{
    sample_plan(&sample);
    world_begin(&w, &sample.plan, monday_noon);
    (void)state;
    return 0;
}

/* A round a little later, all well. */
static void pass(uint64_t exposed)
{
    w.real_ms += SAMPLE_INTERVAL_MS;
    world_hosts_catch_up(&w);
    struct release_event e = world_tick(&w, exposed);
    world_take(&w, &e);
}

static struct release_effects answer(uint32_t guard, enum release_verdict verdict, double value)
{
    w.real_ms += SAMPLE_INTERVAL_MS;
    world_hosts_catch_up(&w);
    struct release_event e = world_tick(&w, 0);
    e.answers[guard] = (struct release_answer){verdict, value};
    return world_take(&w, &e);
}

/* Rounds until it stands at `step`, at most a week of them. */
static void go_to(uint32_t step)
{
    for (int i = 0; i < 60480 && w.now.r.step < step; i++) {
        world_sign_all(&w);
        pass(100);
        w.now.rows = 0; /* nobody folds these */
        w.now.folded = w.now.r;
    }
    assert_int_equal(w.now.r.step, step);
    assert_int_equal(w.now.r.state, RELEASE_MOVING);
}

static const char *waits_for(enum release_condition condition)
{
    static struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t count = release_waiting(w.plan, &w.now.r, world_wall(&w), waits);
    for (uint32_t i = 0; i < count; i++)
        if (waits[i].condition == condition)
            return waits[i].text;
    return "";
}

static struct release_effects by(const char *who, enum release_event_kind kind)
{
    struct release_event e = world_event(&w, kind);
    e.by = slice_str(who);
    e.step = w.now.r.step;
    e.text = SLICE("because");
    world_bind(&w, &e);
    return world_take(&w, &e);
}

static void a_step_without_change_waits_for_its_signature(void **state)
{
    for (int i = 0; i < 5; i++)
        pass(0);
    assert_int_equal(w.now.r.step, 0);
    assert_string_equal(waits_for(RELEASE_SIGN), "signature of qa_lead: the strategy is written");
    assert_string_equal(by("dan", RELEASE_SIGNED).refused, "'dan' has not that role in the plan");
    assert_string_equal(by("ana", RELEASE_SIGNED).refused,
                        "'ana' started the release, and cannot sign for it");
    assert_string_equal(by("bob", RELEASE_SIGNED).refused, "");
    assert_string_equal(by("bob", RELEASE_SIGNED).refused, "it is signed already");
    assert_string_equal(waits_for(RELEASE_SOAK), "the next round");
    pass(0);
    assert_int_equal(w.now.r.step, 1);
    assert_int_equal(w.now.envs[0].share, RELEASE_EVERYBODY);
    (void)state;
}

static void soak_stands_still_while_a_guard_says_nothing(void **state)
{
    go_to(1);
    pass(100);
    pass(100);
    pass(100);
    uint64_t had = w.now.r.soak_ms;
    assert_int_equal(had, 2 * SAMPLE_INTERVAL_MS);
    for (int i = 0; i < 100; i++)
        answer(0, i % 2 ? RELEASE_NODATA : RELEASE_ERROR, 0);
    assert_int_equal(w.now.r.soak_ms, had);
    assert_int_equal(w.now.r.state, RELEASE_MOVING);
    assert_string_equal(waits_for(RELEASE_SOAK), "guard failures: NODATA");
    (void)state;
}

static void a_guard_without_data_is_paged_after_ten_minutes(void **state)
{
    int pages = 0;
    go_to(1);
    for (int i = 0; i < 125; i++) {
        struct release_effects fx = answer(1, RELEASE_NODATA, 0);
        for (uint32_t n = 0; n < fx.line_count; n++) {
            assert_true(fx.lines[n].page);
            assert_non_null(strstr(fx.lines[n].text, "guard latency: NODATA for "));
            pages++;
        }
    }
    assert_int_equal(pages, 2);
    (void)state;
}

static void a_guard_that_fails_three_times_running_rolls_back(void **state)
{
    char why[RELEASE_SAID_SIZE];
    go_to(1);
    pass(0);
    answer(0, RELEASE_FAIL, 1.5);
    answer(0, RELEASE_FAIL, 1.5);
    pass(0); /* ends the run */
    answer(0, RELEASE_FAIL, 1.5);
    answer(0, RELEASE_FAIL, 1.5);
    assert_int_equal(w.now.r.state, RELEASE_MOVING);
    struct release_effects fx = answer(0, RELEASE_FAIL, 2.5);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    assert_int_equal(fx.deed, RELEASE_DO_BASELINE);
    release_say_cause(w.plan, &w.now.r, why);
    assert_string_equal(why, "guard failures: FAIL 3 times in a row, at 2.5");
    assert_int_equal(w.now.envs[0].share, 0);
    pass(0);
    assert_int_equal(w.now.r.state, RELEASE_ENDED);
    (void)state;
}

static void who_holds_it_is_named_and_resumes(void **state)
{
    go_to(1);
    assert_string_equal(by("", RELEASE_HELD).refused, "nobody is named who holds it");
    assert_string_equal(by("eva", RELEASE_RESUMED).refused, "nobody holds it");
    assert_string_equal(by("eva", RELEASE_HELD).refused, "");
    assert_string_equal(by("bob", RELEASE_HELD).refused, "it is held already, by eva");
    for (int i = 0; i < 200; i++)
        pass(100);
    assert_int_equal(w.now.r.step, 1);
    assert_string_equal(by("bob", RELEASE_RESUMED).refused, "");
    pass(100);
    assert_int_equal(w.now.r.step, 2);
    (void)state;
}

static void the_plan_s_author_does_not_sign(void **state)
{
    sample.plan.author = SLICE("bob");
    assert_string_equal(by("bob", RELEASE_SIGNED).refused,
                        "'bob' wrote the plan, and cannot sign for it");
    (void)state;
}

/* However many guards have something to say, what ends it is said. */
static void the_last_word_of_a_round_is_kept(void **state)
{
    static struct release_guard guards[RELEASE_GUARDS_MAX];
    for (int g = 0; g < RELEASE_GUARDS_MAX; g++)
        guards[g] = (struct release_guard){
            .name = SLICE("one"), .pass = {RELEASE_LE, 1}, .critical = {RELEASE_GT, 9}};
    go_to(1);
    sample.plan.guards = guards;
    sample.plan.guard_count = RELEASE_GUARDS_MAX;
    sample.steps[1].guards = UINT32_MAX;
    struct release_event e = world_event(&w, RELEASE_TICK);
    e.step = 1;
    e.asked = UINT32_MAX;
    for (int g = 0; g < RELEASE_GUARDS_MAX; g++)
        e.answers[g] = (struct release_answer){RELEASE_FAIL, g == 31 ? 10 : 2};
    struct release_effects fx;
    release_step(w.plan, &w.now.r, &e, &fx);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    assert_int_equal(fx.line_count, RELEASE_GUARDS_MAX + 1);
    assert_non_null(strstr(fx.lines[fx.line_count - 1].text, "guard one: critical, at 10"));
    (void)state;
}

static void a_critical_value_rolls_back_at_once_though_it_is_held(void **state)
{
    go_to(1);
    by("eva", RELEASE_HELD);
    assert_string_equal(waits_for(RELEASE_UNHELD), "eva to resume it: because");
    answer(0, RELEASE_FAIL, 9.5);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    assert_int_equal(w.now.r.cause, RELEASE_BY_CRITICAL);
    (void)state;
}

static void a_rollback_ends_when_the_last_live_host_has_the_baseline(void **state)
{
    go_to(1);
    by("eva", RELEASE_ABORTED);
    struct release_event e = world_event(&w, RELEASE_FLEET);
    world_hosts_catch_up(&w);
    w.now.envs[0].has[2] = 0;
    world_hear(&w, &e);
    world_take(&w, &e);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    assert_string_equal(waits_for(RELEASE_CONVERGED),
                        "1 of 4 live hosts of staging to have version 12");
    world_hosts_catch_up(&w);
    world_hear(&w, &e);
    world_take(&w, &e);
    assert_int_equal(w.now.r.state, RELEASE_ENDED);
    assert_string_equal(by("eva", RELEASE_ABORTED).refused, "it has ended");
    assert_string_equal(by("eva", RELEASE_NOTED).refused, "");
    (void)state;
}

static void a_rollback_that_does_not_end_is_paged(void **state)
{
    int pages = 0;
    go_to(1);
    by("eva", RELEASE_ABORTED);
    for (int i = 0; i < 125; i++) {
        w.real_ms += SAMPLE_INTERVAL_MS;
        struct release_event e = world_tick(&w, 0);
        pages += (int)world_take(&w, &e).line_count;
    }
    assert_int_equal(pages, 2);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    (void)state;
}

static void what_is_aborted_before_it_changed_anything_has_ended(void **state)
{
    struct release_effects fx = by("eva", RELEASE_ABORTED);
    assert_int_equal(fx.deed, RELEASE_DO_NOTHING);
    assert_int_equal(w.now.r.state, RELEASE_ENDED);
    assert_int_equal(w.now.r.cause, RELEASE_BY_HAND);
    (void)state;
}

static void word_of_a_version_counts_only_once_that_version_is_there(void **state)
{
    go_to(1);
    struct release_event early = world_event(&w, RELEASE_FLEET);
    world_hear(&w, &early);
    early.fleet[0].version = 12; /* which the rollback will make */
    early.fleet[0].lagging = 0;
    world_take(&w, &early);
    by("eva", RELEASE_ABORTED);
    assert_int_equal(w.now.r.envs[0].version, 12);
    assert_false(release_is_everywhere(&w.now.r, 0));
    (void)state;
}

static void a_silent_host_stops_it(void **state)
{
    go_to(1);
    w.now.envs[0].silent[0] = true;
    for (int i = 0; i < 200; i++)
        pass(100);
    assert_int_equal(w.now.r.step, 1);
    assert_string_equal(waits_for(RELEASE_CONVERGED), "hosts of staging: 1 silent, 0 may be");
    w.now.envs[0].silent[0] = false;
    go_to(2);
    (void)state;
}

static void nobody_to_have_it_is_no_convergence(void **state)
{
    go_to(1);
    for (int h = 0; h < WORLD_HOSTS; h++)
        w.now.envs[0].silent[h] = true;
    sample.plan.max_silent = WORLD_HOSTS;
    pass(100);
    assert_string_equal(waits_for(RELEASE_CONVERGED), "a live host in staging");
    (void)state;
}

static void two_signatures_are_of_two_people(void **state)
{
    go_to(2);
    struct release_event e = world_event(&w, RELEASE_SIGNED);
    e.step = 2;
    e.by = SLICE("cleo"); /* has both roles */
    world_bind(&w, &e);
    assert_string_equal(world_take(&w, &e).refused, "");
    e.role = 1;
    assert_string_equal(world_take(&w, &e).refused, "'cleo' has signed for another role");
    e.by = SLICE("eva");
    e.step = 1;
    assert_string_equal(world_take(&w, &e).refused,
                        "it is for step 2, and the release is at step 3");
    e.step = 2;
    assert_string_equal(world_take(&w, &e).refused, "");
    (void)state;
}

static void a_failed_check_waits_for_one_that_passes(void **state)
{
    go_to(2);
    struct release_event e = world_event(&w, RELEASE_ATTESTED);
    e.step = 2;
    e.by = SLICE("ci");
    world_bind(&w, &e);
    assert_string_equal(waits_for(RELEASE_CHECK), "check tests");
    world_take(&w, &e);
    assert_string_equal(waits_for(RELEASE_CHECK), "check tests, which failed");
    e.passed = true;
    world_take(&w, &e);
    assert_string_equal(waits_for(RELEASE_CHECK), "check contract");
    e.check = 2;
    assert_string_equal(world_take(&w, &e).refused, "this step asks for no such check");
    (void)state;
}

static void a_signature_expires(void **state)
{
    go_to(2);
    world_sign_all(&w);
    w.now.envs[0].silent[0] = true; /* so that it stays */
    w.wall_offset_ms += 48 * (int64_t)SAMPLE_HOUR;
    pass(0);
    assert_string_equal(waits_for(RELEASE_SIGN), "signature of qa_lead: staging checklist passed");
    w.wall_offset_ms = 0; /* does not bring it back */
    w.now.envs[0].silent[0] = false;
    for (int i = 0; i < 10; i++)
        pass(0);
    assert_int_equal(w.now.r.step, 2);
    (void)state;
}

/* Else it would count for a year, and as long as it is good for. */
static void a_signature_of_a_clock_that_was_ahead_expires(void **state)
{
    const int64_t year = 365 * 24 * (int64_t)SAMPLE_HOUR;
    go_to(2);
    w.wall_offset_ms = year;
    world_sign_all(&w);
    w.now.envs[0].silent[0] = true; /* so that it stays */
    pass(0);
    assert_string_equal(waits_for(RELEASE_SIGN), "");
    w.wall_offset_ms = 0;
    pass(0);
    assert_string_equal(waits_for(RELEASE_SIGN), "signature of qa_lead: staging checklist passed");
    (void)state;
}

static void a_window_is_waited_for(void **state)
{
    go_to(2);
    world_sign_all(&w);
    w.wall_offset_ms += 6 * SAMPLE_HOUR;
    for (int i = 0; i < 5; i++)
        pass(0);
    assert_int_equal(w.now.r.step, 2);
    assert_string_equal(waits_for(RELEASE_WINDOW),
                        "the window of the next step, which opens 2026-11-24T09:00:00.000Z");
    w.wall_offset_ms += 15 * SAMPLE_HOUR;
    pass(0);
    assert_int_equal(w.now.r.step, 3);
    (void)state;
}

static void a_kill_stands_until_it_is_restored(void **state)
{
    go_to(1);
    struct release_event e = world_event(&w, RELEASE_KILLED);
    e.flag = 1;
    e.by = SLICE("eva");
    world_take(&w, &e);
    for (int i = 0; i < 200; i++)
        pass(100);
    assert_int_equal(w.now.r.step, 1);
    assert_int_equal(w.now.r.soak_ms, 0);
    assert_string_equal(waits_for(RELEASE_UNHELD), "flag mgi.sync to be restored in staging");
    e.kind = RELEASE_RESTORED;
    world_take(&w, &e);
    go_to(2);
    (void)state;
}

/* A round so long after the last one; of guard 0 as said. */
static void soon(int64_t ms, enum release_verdict verdict)
{
    w.real_ms += ms;
    world_hosts_catch_up(&w);
    struct release_event e = world_tick(&w, 100);
    e.answers[0] = (struct release_answer){verdict, 0.5};
    world_take(&w, &e);
}

/* What people say makes rounds due at once: no number of them is three rounds that failed. */
static void rounds_that_come_soon_are_no_further_failures(void **state)
{
    go_to(1);
    soon(SAMPLE_INTERVAL_MS, RELEASE_FAIL);
    for (int i = 0; i < 4; i++)
        soon(SAMPLE_INTERVAL_MS / 10, RELEASE_FAIL);
    assert_int_equal(w.now.r.guards[0].fails, 1);
    soon(6 * SAMPLE_INTERVAL_MS / 10, RELEASE_FAIL);
    assert_int_equal(w.now.r.guards[0].fails, 2);
    assert_int_equal(w.now.r.state, RELEASE_MOVING);
    soon(SAMPLE_INTERVAL_MS, RELEASE_FAIL);
    assert_int_equal(w.now.r.state, RELEASE_ROLLING_BACK);
    (void)state;
}

static void rounds_that_come_soon_are_no_further_good_ones(void **state)
{
    go_to(1);
    soon(SAMPLE_INTERVAL_MS, RELEASE_PASS);
    for (int i = 0; i < 4; i++)
        soon(SAMPLE_INTERVAL_MS / 10, RELEASE_PASS);
    assert_int_equal(w.now.r.rounds, 1);
    assert_int_equal(w.now.r.exposed, 500); /* of all of them */
    soon(6 * SAMPLE_INTERVAL_MS / 10, RELEASE_PASS);
    assert_int_equal(w.now.r.rounds, 2);
    assert_int_equal(w.now.r.soak_ms, SAMPLE_INTERVAL_MS); /* and no time is lost */
    soon(1, RELEASE_FAIL);
    assert_int_equal(w.now.r.rounds, 0);
    (void)state;
}

static void the_last_signature_is_followed_at_once(void **state)
{
    for (int i = 0; i < 5; i++)
        pass(0);
    assert_string_equal(by("bob", RELEASE_SIGNED).refused, "");
    soon(1, RELEASE_PASS);
    assert_int_equal(w.now.r.step, 1);
    (void)state;
}

static void after_a_restart_there_are_three_fresh_rounds(void **state)
{
    go_to(2);
    world_sign_all(&w);
    pass(0);
    pass(0);
    assert_int_equal(w.now.r.step, 2);
    struct release_event e = world_event(&w, RELEASE_RESTARTED);
    world_take(&w, &e);
    pass(0);
    pass(0);
    assert_int_equal(w.now.r.step, 2);
    pass(0);
    assert_int_equal(w.now.r.step, 3);
    (void)state;
}

static void the_whole_plan_is_completed_no_earlier_than_it_said(void **state)
{
    int64_t earliest = release_earliest(w.plan, &w.now.r, world_wall(&w));
    assert_true(earliest > monday_noon + 26 * (int64_t)SAMPLE_HOUR);
    go_to(5);
    assert_int_equal(w.now.envs[1].share, RELEASE_EVERYBODY);
    for (int i = 0; i < 9000 && w.now.r.state == RELEASE_MOVING; i++) {
        world_sign_all(&w);
        pass(0);
        w.now.rows = 0;
        w.now.folded = w.now.r;
    }
    assert_int_equal(w.now.r.state, RELEASE_ENDED);
    assert_int_equal(w.now.r.cause, RELEASE_BY_NOBODY);
    assert_true(world_wall(&w) >= earliest);
    assert_true(world_wall(&w) < earliest + SAMPLE_HOUR);
    (void)state;
}

static void a_start_names_this_plan_and_every_baseline(void **state)
{
    struct release_record r = {0}, none = {0};
    struct release_effects fx;
    struct release_event e = world_event(&w, RELEASE_STARTED);
    e.by = SLICE("ana");
    e.fleet_count = 1;
    world_bind(&w, &e);
    release_step(w.plan, &r, &e, &fx);
    assert_string_equal(fx.refused, "not every environment of the plan has a baseline");
    e.fleet_count = 2;
    e.fleet[1].env = 1;
    e.bound.plan[31] ^= 1;
    release_step(w.plan, &r, &e, &fx);
    assert_string_equal(fx.refused, "the plan is another than the one that was read");
    e.kind = RELEASE_TICK;
    release_step(w.plan, &r, &e, &fx);
    assert_string_equal(fx.refused, "it has not started");
    assert_memory_equal(&r, &none, sizeof r);
    (void)state;
}

static void a_plan_without_a_window_that_opens_never_ends(void **state)
{
    sample.steps[4].window.days = 0;
    assert_true(release_earliest(w.plan, &w.now.r, world_wall(&w)) == INT64_MAX);
    (void)state;
}

static int end(void **state)
{
    world_done(&w);
    (void)state;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_without_change_waits_for_its_signature),
        TEST(soak_stands_still_while_a_guard_says_nothing),
        TEST(a_guard_without_data_is_paged_after_ten_minutes),
        TEST(a_guard_that_fails_three_times_running_rolls_back),
        TEST(who_holds_it_is_named_and_resumes),
        TEST(the_plan_s_author_does_not_sign),
        TEST(the_last_word_of_a_round_is_kept),
        TEST(a_critical_value_rolls_back_at_once_though_it_is_held),
        TEST(a_rollback_ends_when_the_last_live_host_has_the_baseline),
        TEST(a_rollback_that_does_not_end_is_paged),
        TEST(what_is_aborted_before_it_changed_anything_has_ended),
        TEST(word_of_a_version_counts_only_once_that_version_is_there),
        TEST(a_silent_host_stops_it),
        TEST(nobody_to_have_it_is_no_convergence),
        TEST(two_signatures_are_of_two_people),
        TEST(a_failed_check_waits_for_one_that_passes),
        TEST(a_signature_expires),
        TEST(a_signature_of_a_clock_that_was_ahead_expires),
        TEST(a_window_is_waited_for),
        TEST(a_kill_stands_until_it_is_restored),
        TEST(after_a_restart_there_are_three_fresh_rounds),
        TEST(rounds_that_come_soon_are_no_further_failures),
        TEST(rounds_that_come_soon_are_no_further_good_ones),
        TEST(the_last_signature_is_followed_at_once),
        TEST(the_whole_plan_is_completed_no_earlier_than_it_said),
        TEST(a_start_names_this_plan_and_every_baseline),
        TEST(a_plan_without_a_window_that_opens_never_ends),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
