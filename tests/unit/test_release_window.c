#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/text.h"
#include "release/plan.h"
#include "release/say.h"

static const struct release_window mon_thu = {0x0f, 9 * 60, 16 * 60};

static int64_t at(const char *time)
{
    int64_t ms;
    assert_int_equal(text_time_read(time, &ms), HOIST_OK);
    return ms;
}

static void opens(const char *from, const char *when)
{
    assert_true(release_window_next(&mon_thu, at(from)) == at(when));
}

static void a_window_opens_on_its_days_between_its_minutes(void **state)
{
    opens("2026-11-23T08:59:59.999Z", "2026-11-23T09:00:00.000Z"); /* a Monday */
    opens("2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.000Z");
    opens("2026-11-23T15:59:59.999Z", "2026-11-23T15:59:59.999Z");
    opens("2026-11-23T16:00:00.000Z", "2026-11-24T09:00:00.000Z");
    opens("2026-11-26T16:00:00.000Z", "2026-11-30T09:00:00.000Z"); /* Thursday to Monday */
    opens("2026-12-31T23:00:00.000Z", "2027-01-04T09:00:00.000Z");
    opens("1969-12-31T23:59:59.999Z", "1970-01-01T09:00:00.000Z");
    assert_true(release_window_open(&mon_thu, at("2026-11-25T12:00:00.000Z")));
    assert_false(release_window_open(&mon_thu, at("2026-11-27T12:00:00.000Z")));
    (void)state;
}

static void no_window_is_always_open_and_one_without_days_never(void **state)
{
    const struct release_window none = {0}, never = {0, 0, 1440}, whole = {0x7f, 0, 1440};
    assert_true(release_window_open(&none, -1));
    assert_true(release_window_next(&never, 0) == INT64_MAX);
    for (int64_t hour = -48; hour < 48; hour++)
        assert_true(release_window_open(&whole, hour * 3600000 + 1));
    (void)state;
}

static void what_is_not_finite_is_no_data(void **state)
{
    struct release_bound at_most = {RELEASE_LE, 1.25}, above = {RELEASE_GT, 9}, none = {0};
    assert_int_equal(release_judge(at_most, 1.25), RELEASE_PASS);
    assert_int_equal(release_judge(at_most, 1.26), RELEASE_FAIL);
    assert_int_equal(release_judge(at_most, -INFINITY), RELEASE_NODATA);
    assert_int_equal(release_judge(at_most, NAN), RELEASE_NODATA);
    assert_int_equal(release_judge((struct release_bound){RELEASE_LT, 1}, 1), RELEASE_FAIL);
    assert_int_equal(release_judge((struct release_bound){RELEASE_GE, 1}, 1), RELEASE_PASS);
    assert_true(release_within(above, 9.1) && !release_within(above, 9));
    assert_false(release_within(none, 0));
    assert_string_equal(release_verdict_name(RELEASE_NODATA), "NODATA");
    (void)state;
}

static void a_duration_is_said_exactly(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "0s"},          {250, "250ms"},     {45000, "45s"},
                 {5400000, "1h30m"}, {259200000, "72h"}, {3661001, "1h1m1s1ms"}};
    char said[RELEASE_DURATION_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        release_say_duration(cases[i].ms, said);
        assert_string_equal(said, cases[i].text);
    }
    release_say_duration(UINT64_MAX, said);
    assert_string_equal(said, "5124095576030h25m51s615ms");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_opens_on_its_days_between_its_minutes),
        cmocka_unit_test(no_window_is_always_open_and_one_without_days_never),
        cmocka_unit_test(what_is_not_finite_is_no_data),
        cmocka_unit_test(a_duration_is_said_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
