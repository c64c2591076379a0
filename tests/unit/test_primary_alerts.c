/* Which alerts kill which flags. */
#include "check_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "primary/alerts.h"

static const char *const texts[] = {
    "production:SyncFails=marketplace.sync.enabled",
    "production:ApiFails=marketplace.enabled",
    "production:ApiFails=a=b:c",
    "staging:ApiFails=marketplace.enabled",
};

static struct alert_rules rules(void)
{
    struct alert_rules r;
    assert_int_equal(alert_rules_read(texts, 4, &r), HOIST_OK);
    return r;
}

#define ALERT(status, name, more)                                                                  \
    "{\"status\":\"" status "\",\"labels\":{\"alertname\":\"" name "\"" more                       \
    "},\"annotations\":{\"summary\":\"it fails\"},\"startsAt\":\"2026-01-01T00:00:00Z\","          \
    "\"fingerprint\":\"f1\"}"
#define BODY(alerts) "{\"version\":\"4\",\"truncatedAlerts\":0,\"alerts\":[" alerts "]}"

static enum hoist_err read_body(const char *body, struct arena *a, struct alerts_said *said)
{
    static struct alert_rules r;
    alert_rules_done(&r);
    r = rules();
    return alerts_read(&r, slice_str(body), a, said);
}

static void rules_are_read_or_refused(void **state)
{
    struct alert_rules r = rules();
    assert_int_equal(r.count, 4);
    assert_true(slice_eq(r.rules[2].flag, SLICE("a=b:c")));
    alert_rules_done(&r);
    static const char *const wrong[] = {"",           "production",      "production:Alert",
                                        ":A=f",       "production:=f",   "production:A=",
                                        "no/env:A=f", "production:A b=f"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(alert_rules_read(&wrong[i], 1, &r), HOIST_EINVAL);
        assert_non_null(strstr(err_last(), wrong[i]));
    }
    (void)state;
}

static void a_firing_alert_kills_what_is_listed_for_it(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    assert_int_equal(
        read_body(BODY(ALERT("firing", "ApiFails", ",\"env\":\"production\"")), &a, &said),
        HOIST_OK);
    assert_int_equal(said.count, 2);
    assert_int_equal(said.firing, 1);
    assert_true(slice_eq(said.kills[0].rule->flag, SLICE("marketplace.enabled")));
    assert_true(slice_eq(said.kills[1].rule->flag, SLICE("a=b:c")));
    assert_true(slice_eq(said.kills[0].message,
                         SLICE("alert ApiFails, since 2026-01-01T00:00:00Z, fingerprint f1: it "
                               "fails")));
    assert_int_equal(read_body(BODY(ALERT("firing", "ApiFails", "")), &a, &said), HOIST_OK);
    assert_int_equal(said.count, 3); /* it names no environment: all that list it */
    arena_done(&a);
    (void)state;
}

static void resolved_and_unlisted_alerts_kill_nothing(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    assert_int_equal(
        read_body(BODY(ALERT("resolved", "ApiFails", "") "," ALERT("firing", "Other", "") "," ALERT(
                      "firing", "SyncFails", ",\"env\":\"staging\"")),
                  &a, &said),
        HOIST_OK);
    assert_int_equal(said.count, 0);
    assert_int_equal(said.firing, 2);
    assert_int_equal(said.resolved, 1);
    arena_done(&a);
    (void)state;
}

static void the_same_alert_has_the_same_request_and_no_other_has(void **state)
{
    struct arena a = {0};
    struct alerts_said one, two, later;
    const char *body = BODY(ALERT("firing", "SyncFails", ""));
    assert_int_equal(read_body(body, &a, &one), HOIST_OK);
    assert_int_equal(read_body(body, &a, &two), HOIST_OK);
    assert_memory_equal(one.kills[0].request, two.kills[0].request, REQUEST_ID_SIZE);
    char *again = strdup(body);
    memcpy(strstr(again, "2026-01-01"), "2026-01-02", 10);
    assert_int_equal(read_body(again, &a, &later), HOIST_OK);
    assert_memory_not_equal(one.kills[0].request, later.kills[0].request, REQUEST_ID_SIZE);
    free(again);
    assert_int_equal(read_body(BODY(ALERT("firing", "ApiFails", "")), &a, &two), HOIST_OK);
    assert_memory_not_equal(two.kills[0].request, two.kills[1].request, REQUEST_ID_SIZE);
    arena_done(&a);
    (void)state;
}

static void what_is_no_webhook_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"version\":\"3\",\"alerts\":[]}",
        "{\"version\":\"4\",\"alerts\":{}}",
        "{\"version\":\"4\",\"truncatedAlerts\":-1,\"alerts\":[]}",
        "{\"version\":\"4\",\"truncatedAlerts\":\"many\",\"alerts\":[]}",
        BODY("7"),
        BODY("{}"),
        BODY("{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"},\"startsAt\":\"x\"}"),
        BODY(ALERT("burning", "ApiFails", "")),
    };
    struct arena a = {0};
    struct alerts_said said = {.firing = 99};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_body(wrong[i], &a, &said), HOIST_EINVAL);
    assert_int_equal(said.firing, 99);
    arena_done(&a);
    (void)state;
}

static void what_was_left_out_is_counted(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    assert_int_equal(
        read_body("{\"version\":\"4\",\"truncatedAlerts\":3,\"alerts\":[]}", &a, &said), HOIST_OK);
    assert_int_equal(said.truncated, 3);
    assert_int_equal(read_body("{\"version\":\"4\",\"alerts\":[]}", &a, &said), HOIST_OK);
    assert_int_equal(said.truncated, 0);
    arena_done(&a);
    (void)state;
}

/* A message with so many alerts, each of another name. */
static enum hoist_err read_names(int count, struct arena *a, struct alerts_said *said)
{
    struct buf body = BUF_INIT(ALERTS_BODY_MAX);
    buf_add_str(&body, "{\"version\":\"4\",\"alerts\":[");
    for (int i = 0; i < count; i++)
        buf_printf(&body,
                   "%s{\"status\":\"firing\",\"labels\":{\"alertname\":\"A%d\"},"
                   "\"startsAt\":\"t\",\"fingerprint\":\"f\"}",
                   i ? "," : "", i);
    buf_add_str(&body, "]}");
    enum hoist_err err = read_body(buf_str(&body), a, said);
    buf_done(&body);
    return err;
}

static void no_name_is_left_out_without_a_word(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    assert_int_equal(read_names(ALERTS_NAMES_MAX, &a, &said), HOIST_OK);
    assert_int_equal(said.name_count, ALERTS_NAMES_MAX);
    assert_true(slice_eq(said.names[ALERTS_NAMES_MAX - 1].name, SLICE("A4095")));
    assert_int_equal(said.left_out, 0);
    assert_int_equal(read_names(ALERTS_NAMES_MAX + 2, &a, &said), HOIST_OK);
    assert_int_equal(said.name_count, ALERTS_NAMES_MAX);
    assert_true(slice_eq(said.names[ALERTS_NAMES_MAX - 1].name, SLICE("A4095")));
    assert_int_equal(said.left_out, 2);
    arena_done(&a);
    (void)state;
}

/* Three flags each: of the last that has room still, one is killed. */
static void so_many_flags_are_killed_and_the_rest_is_counted(void **state)
{
    enum { ALERTS = 1367 };
    struct arena a = {0};
    struct alerts_said said;
    struct buf body = BUF_INIT(ALERTS_BODY_MAX);
    buf_add_str(&body, "{\"version\":\"4\",\"alerts\":[");
    for (int i = 0; i < ALERTS; i++)
        buf_printf(&body, "%s%s", i ? "," : "", ALERT("firing", "ApiFails", ""));
    buf_add_str(&body, "]}");
    assert_int_equal(read_body(buf_str(&body), &a, &said), HOIST_OK);
    assert_int_equal(said.count, ALERTS_KILLS_MAX);
    assert_int_equal(said.firing, ALERTS);
    assert_int_equal(said.left_out, 2);
    buf_done(&body);
    arena_done(&a);
    (void)state;
}

static void a_name_is_kept_for_each_environment(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    assert_int_equal(
        read_body(BODY(ALERT("firing", "Other", ",\"env\":\"dev\"") "," ALERT(
                      "firing", "Other", "") "," ALERT("firing", "Other", ",\"env\":\"dev\"")),
                  &a, &said),
        HOIST_OK);
    assert_int_equal(said.name_count, 2);
    assert_true(slice_eq(said.names[0].env, SLICE("dev")));
    assert_true(slice_eq(said.names[1].name, SLICE("Other")));
    assert_int_equal(said.names[1].env.len, 0);
    arena_done(&a);
    (void)state;
}

static void when_an_alert_began_is_read_to_the_millisecond(void **state)
{
    static const struct {
        const char *at;
        int64_t ms;
    } times[] = {{"2026-01-01T00:00:00Z", 1767225600000},
                 {"2026-01-01T00:00:00.5Z", 1767225600500},
                 {"2026-01-01T00:00:00.123456789Z", 1767225600123},
                 {"2026-01-01T00:00:00+01:00", 0},
                 {"2026-01-01T00:00:00.xZ", 0},
                 {"yesterday, at about noonZ", 0},
                 {"Z", 0}};
    struct arena a = {0};
    struct alerts_said said;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":"
                 "{\"alertname\":\"SyncFails\"},\"startsAt\":\"%s\",\"fingerprint\":\"f\"}]}",
                 times[i].at);
        assert_int_equal(read_body(body, &a, &said), HOIST_OK);
        assert_int_equal(said.names[0].began_ms, times[i].ms);
        assert_int_equal(said.kills[0].began_ms, times[i].ms);
    }
    arena_done(&a);
    (void)state;
}

static void a_long_summary_is_cut_between_characters(void **state)
{
    struct arena a = {0};
    struct alerts_said said;
    char *body = malloc(20000);
    size_t n =
        (size_t)sprintf(body, "{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":"
                              "{\"alertname\":\"SyncFails\"},\"startsAt\":\"t\",\"fingerprint\":"
                              "\"f\",\"annotations\":{\"summary\":\"");
    for (int i = 0; i < 4000; i++)
        n += (size_t)sprintf(body + n, "ü");
    sprintf(body + n, "\"}}]}");
    assert_int_equal(read_body(body, &a, &said), HOIST_OK);
    assert_in_range(said.kills[0].message.len, CHANGE_MESSAGE_MAX - 1, CHANGE_MESSAGE_MAX);
    free(body);
    arena_done(&a);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_or_refused),
        cmocka_unit_test(a_firing_alert_kills_what_is_listed_for_it),
        cmocka_unit_test(resolved_and_unlisted_alerts_kill_nothing),
        cmocka_unit_test(the_same_alert_has_the_same_request_and_no_other_has),
        cmocka_unit_test(what_is_no_webhook_is_refused),
        cmocka_unit_test(what_was_left_out_is_counted),
        cmocka_unit_test(no_name_is_left_out_without_a_word),
        cmocka_unit_test(so_many_flags_are_killed_and_the_rest_is_counted),
        cmocka_unit_test(a_name_is_kept_for_each_environment),
        cmocka_unit_test(when_an_alert_began_is_read_to_the_millisecond),
        cmocka_unit_test(a_long_summary_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
