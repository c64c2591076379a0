/* Releases in a primary's store: rounds that somebody plays, on a store and a fleet that are real. */
#include "stage_kit.h"

static void a_release_goes_from_the_first_signature_to_its_end(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    is_at(s, "live", 1);
    rounds(s, 2);
    is_at(s, "live", 1); /* for nobody has signed */
    sign_all(s);
    all_as(s, "staging", false);
    reach(s, "live", 2);
    all_as(s, "staging", true);
    all_as(s, "production", false);
    reach(s, "live", 3);
    all_as(s, "production", true);
    reach(s, "completed", 4);
    all_as(s, "production", true);
}

static void what_its_release_moves_nobody_else_changes(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    refused(s, "set", "ana",
            json_pack("{s:s,s:s,s:s,s:b}", "env", "production", "key", "a.enabled", "value", "on",
                      "everyone", 1),
            EXIT_CONFLICT, "moved by release demo");
    refused(s, "delete", "ana", json_pack("{s:s,s:s}", "env", "staging", "key", "b.enabled"),
            EXIT_CONFLICT, "moved by release demo");
    tell_ok(s, "set", "ana",
            json_pack("{s:s,s:s,s:s}", "env", "production", "key", "k", "value", "on"));
    tell_ok(s, "set", "ana", /* to see what would change changes nothing */
            json_pack("{s:s,s:s,s:s,s:b,s:b}", "env", "production", "key", "a.enabled", "value",
                      "on", "everyone", 1, "dry_run", 1));
    refused(s, "release_start", "mara", start_body(), EXIT_CONFLICT, "under way");
}

static void a_guard_that_fails_takes_everything_back(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    s->answers[1] = (struct release_answer){RELEASE_FAIL, 0.1};
    rounds(s, 1);
    is_at(s, "live", 3);
    rounds(s, 1);
    is_at(s, "rolling_back", 3);
    all_as(s, "production", false);
    all_as(s, "staging", true);
    rounds(s, 1);
    all_as(s, "staging", false);
    rounds(s, 1);
    is_at(s, "rolled_back", 3);
}

static void it_has_not_ended_before_the_last_host_is_back(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    tell_ok(s, "release_abort", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "it burns"));
    for (int i = 0; i < 4; i++) {
        hosts_have_it(s, false);
        round_of(s);
        is_at(s, "rolling_back", 3);
    }
    all_as(s, "production", false);
    rounds(s, 1);
    is_at(s, "rolled_back", 3);
    refused(s, "release_abort", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "again"), EXIT_CONFLICT, "ended");
    tell_ok(s, "release_note", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "a query was slow"));
}

static void a_kill_stands_above_it_and_it_waits(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    tell_ok(s, "kill", "olga", json_pack("{s:s,s:[s]}", "env", "production", "keys", "a.enabled"));
    rounds(s, 10);
    is_at(s, "live", 3);
    tell_ok(s, "restore", "olga",
            json_pack("{s:s,s:[s]}", "env", "production", "keys", "a.enabled"));
    reach(s, "live", 4);
}

static void a_rollback_of_its_flags_aborts_it(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    tell_ok(s, "rollback", "olga", json_pack("{s:s,s:b}", "env", "production", "last", 1));
    reach(s, "rolled_back", 3);
    all_as(s, "staging", false);
    all_as(s, "production", false);
}

static void missing_answers_never_move_it(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    s->answers[0] = (struct release_answer){RELEASE_NODATA, 0};
    rounds(s, 10);
    is_at(s, "live", 3);
    s->answers[0] = (struct release_answer){RELEASE_ERROR, 0};
    rounds(s, 10);
    is_at(s, "live", 3);
}

/* The next round begins in an interval's time, or at once where a round is all that is left to wait for,
 * or hosts have a change to take. */
static void what_people_say_brings_a_round_only_if_it_may_decide_something(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    struct release *r = releases_nth(s->releases, 0);
    rounds(s, 4);
    r->due_ms = 12345;
    round_of(s);
    tell_ok(s, "release_note", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "a query was slow"));
    tell_ok(s, "release_check", "ci", check_body(s, true));
    tell_ok(s, "release_sign", "quinn", bound_body(s, "role", "qa"));
    assert_int_equal(r->due_ms, 12345);
    tell_ok(s, "release_sign", "rita", bound_body(s, "role", "boss"));
    assert_int_equal(r->due_ms, 0);
    r->due_ms = 12345;
    tell_ok(s, "release_hold", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "a holiday"));
    assert_int_equal(r->due_ms, 12345);
    tell_ok(s, "release_resume", "olga", json_pack("{s:s}", "release", "demo"));
    assert_int_equal(r->due_ms, 0);
    r->due_ms = 12345;
    rounds(s, 1);
    is_at(s, "live", 2);
    assert_int_equal(r->due_ms, 0);
    r->due_ms = 12345;
    tell_ok(s, "release_abort", "olga", json_pack("{s:s,s:s}", "release", "demo", "message", "no"));
    assert_int_equal(r->due_ms, 0);
}

static json_t *new_epoch(void)
{
    return json_pack("{s:s,s:b}", "env", "production", "new_epoch", 1);
}

static void a_primary_that_was_set_back_starts_no_step(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    sign_all(s);
    reach(s, "live", 2);
    uint64_t head = kit_env(s->kit, "production").head;
    was_set_back(s);
    rounds(s, 8);
    is_at(s, "holding", 2);
    const struct release_record *r = &releases_find(s->releases, SLICE("demo"))->record;
    assert_string_equal(r->holder, "hoist");
    assert_non_null(strstr(r->reason, "this primary was set back"));
    assert_true(kit_env(s->kit, "production").head == head);
    tell_ok(s, "env_epoch", "ana", new_epoch());
    tell_ok(s, "release_resume", "olga", json_pack("{s:s}", "release", "demo"));
    reach(s, "live", 3);
    all_as(s, "production", true);
}

static void a_primary_that_was_set_back_takes_nothing_back_before_its_new_epoch(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    uint64_t head = kit_env(s->kit, "production").head;
    was_set_back(s);
    refused(s, "release_abort", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "it burns"), EXIT_REFUSED,
            "its flags cannot be changed: this primary was set back");
    is_at(s, "rolling_back", 3); /* which stays */
    struct release *r = releases_find(s->releases, SLICE("demo"));
    rounds(s, 2);
    r->due_ms = 12345;
    rounds(s, 3);
    is_at(s, "rolling_back", 3);
    assert_int_equal(r->due_ms, 12345);
    assert_true(kit_env(s->kit, "production").head == head);
    all_as(s, "production", true);
    all_as(s, "staging", false); /* of which nobody has more */
    tell_ok(s, "env_epoch", "ana", new_epoch());
    reach(s, "rolled_back", 3);
    all_as(s, "production", false);
}

static void a_primary_that_was_set_back_starts_no_release(void **state)
{
    struct stage *s = *state;
    was_set_back(s);
    refused(s, "release_start", "mara", start_body(), EXIT_REFUSED, "this primary was set back");
    assert_null(releases_nth(s->releases, 0));
}

static void a_restart_forgets_nothing(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    struct release_record before = releases_find(s->releases, SLICE("demo"))->record;
    restart(s);
    const struct release *r = releases_find(s->releases, SLICE("demo"));
    assert_memory_equal(&r->record, &before, sizeof before);
    tell_ok(s, "release_abort", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "it burns"));
    restart(s);
    rounds(s, 3);
    is_at(s, "rolled_back", 3);
    all_as(s, "production", false);
    all_as(s, "staging", false);
}

static void what_was_not_committed_did_not_happen(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    go_to_production(s);
    struct release *r = releases_find(s->releases, SLICE("demo"));
    struct release_record before = r->record;
    struct release_effects fx;
    struct release_event e = release_event_now(RELEASE_ABORTED, wall());
    e.by = SLICE("olga");
    e.text = SLICE("no");
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    assert_int_equal(release_take(r, &work, &e, &fx), HOIST_OK);
    assert_int_equal(r->next.state, RELEASE_ROLLING_BACK);
    store_write_abort(w);
    releases_begin(s->releases);
    assert_memory_equal(&r->next, &before, sizeof before);
    assert_memory_equal(&r->record, &before, sizeof before);
    restart(s);
    assert_memory_equal(&releases_find(s->releases, SLICE("demo"))->record, &before, sizeof before);
    answer_done(&a);
}

static void signatures_are_of_people_who_may_and_of_what_stands(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    refused(s, "release_sign", "olga", bound_body(s, "role", "qa"), EXIT_CONFLICT,
            "has not that role");
    refused(s, "release_sign", "quinn", bound_body(s, "role", "cook"), EXIT_INPUT, "no role");
    json_t *body = bound_body(s, "role", "qa");
    json_object_set_new(body, "commit", json_string("another"));
    refused(s, "release_sign", "quinn", body, EXIT_CONFLICT, "another commit");
    body = bound_body(s, "role", "qa");
    json_object_set_new(body, "plan", json_string("00"));
    refused(s, "release_sign", "quinn", body, EXIT_INPUT, "64 hexadecimal digits");
    tell_ok(s, "release_check", "ci", check_body(s, false));
    tell_ok(s, "release_sign", "quinn", bound_body(s, "role", "qa"));
    refused(s, "release_sign", "qadir", bound_body(s, "role", "qa"), EXIT_CONFLICT,
            "signed already");
    tell_ok(s, "release_sign", "rita", bound_body(s, "role", "boss"));
    rounds(s, 2);
    is_at(s, "live", 1); /* the check failed */
    tell_ok(s, "release_check", "ci", check_body(s, true));
    reach(s, "live", 2);
    refused(s, "release_hold", "olga", json_pack("{s:s}", "release", "demo"), EXIT_INPUT,
            "message");
    refused(s, "release_hold", "olga", json_pack("{s:s,s:s}", "release", "nix", "message", "x"),
            EXIT_NO, "there is no release");
}

/* Each of what a signature and an attestation are bound to, as another would have it. */
static void what_is_said_is_for_this_plan_these_definitions_and_this_commit(void **state)
{
    static const char other[] = "abababababababababababababababababababababababababababababababab";
    static const struct {
        const char *name, *value, *says;
    } bound[] = {{"plan", other, "another plan"},
                 {"definitions", other, "other definitions"},
                 {"commit", "c0ffef", "another commit"}};
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++) {
        json_t *sign = bound_body(s, "role", "qa"), *check = check_body(s, true);
        json_object_set_new(sign, bound[i].name, json_string(bound[i].value));
        json_object_set_new(check, bound[i].name, json_string(bound[i].value));
        refused(s, "release_sign", "quinn", sign, EXIT_CONFLICT, bound[i].says);
        refused(s, "release_check", "ci", check, EXIT_CONFLICT, bound[i].says);
    }
    json_t *late = check_body(s, true);
    json_object_set_new(late, "step", json_integer(2));
    refused(s, "release_check", "ci", late, EXIT_CONFLICT, "it is for step 2");
    json_t *v = status_of(s);
    const json_t *check = json_array_get(json_object_get(v, "checks"), 0);
    assert_true(json_is_false(json_object_get(check, "passed")));
    json_decref(v);
}

static void a_plan_that_does_not_fit_is_not_started(void **state)
{
    struct stage *s = *state;
    refused(s, "release_start", "mara",
            json_pack("{s:s,s:s}", "plan", "release: demo\n", "commit", "c"), EXIT_INPUT,
            "problems");
    kit_do(s->kit, "set", "{\"env\":\"staging\",\"key\":\"a.enabled\",\"value\":\"on\"}",
           "changed");
    refused(s, "release_start", "mara", start_body(), EXIT_INPUT,
            "not what the plan takes them for");
    kit_do(s->kit, "set", "{\"env\":\"staging\",\"key\":\"a.enabled\",\"value\":\"off\"}",
           "changed");
    tell_ok(s, "release_start", "mara", start_body());
    json_t *v = status_of(s);
    assert_int_equal(json_integer_value(json_object_get(v, "id")), 1);
    assert_int_equal(json_array_size(json_object_get(v, "phases")), 5);
    json_decref(v);
}

static void who_alone_could_sign_does_not_start_it(void **state)
{
    struct stage *s = *state;
    refused(s, "release_start", "rita", start_body(), EXIT_INPUT,
            "nobody would be left to sign step 1 as boss: 'rita' starts the release");
    assert_null(releases_nth(s->releases, 0));
    tell_ok(s, "release_start", "quinn", start_body()); /* there is qadir */
}

static void its_log_tells_what_happened(void **state)
{
    struct stage *s = *state;
    struct store_read *r;
    struct buf out = BUF_INIT(1 << 20);
    json_t *args = json_pack("{s:s, s:b}", "release", "demo", "ticks", 0);
    go_to_production(s);
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(release_answer(s->releases, r, SLICE("release_log"), args, wall(), &out),
                     EXIT_DONE);
    store_read_end(r);
    json_t *v = kit_json(&out), *events = json_object_get(v, "events");
    static const char *const expected[] = {"started", "attested", "signed",
                                           "signed",  "changed",  "changed"};
    assert_int_equal(json_array_size(events), 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(kit_text(json_array_get(events, i), "event"), expected[i]);
    assert_string_equal(kit_text(json_array_get(events, 5), "env"), "production");
    json_decref(v);
    json_decref(args);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELEASE_TEST(a_release_goes_from_the_first_signature_to_its_end),
        RELEASE_TEST(what_its_release_moves_nobody_else_changes),
        RELEASE_TEST(a_guard_that_fails_takes_everything_back),
        RELEASE_TEST(it_has_not_ended_before_the_last_host_is_back),
        RELEASE_TEST(a_kill_stands_above_it_and_it_waits),
        RELEASE_TEST(a_rollback_of_its_flags_aborts_it),
        RELEASE_TEST(missing_answers_never_move_it),
        RELEASE_TEST(what_people_say_brings_a_round_only_if_it_may_decide_something),
        RELEASE_TEST(a_primary_that_was_set_back_starts_no_step),
        RELEASE_TEST(a_primary_that_was_set_back_takes_nothing_back_before_its_new_epoch),
        RELEASE_TEST(a_primary_that_was_set_back_starts_no_release),
        RELEASE_TEST(a_restart_forgets_nothing),
        RELEASE_TEST(what_was_not_committed_did_not_happen),
        RELEASE_TEST(signatures_are_of_people_who_may_and_of_what_stands),
        RELEASE_TEST(what_is_said_is_for_this_plan_these_definitions_and_this_commit),
        RELEASE_TEST(a_plan_that_does_not_fit_is_not_started),
        RELEASE_TEST(who_alone_could_sign_does_not_start_it),
        RELEASE_TEST(its_log_tells_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
