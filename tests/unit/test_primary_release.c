/* Releases in a primary's store: rounds that somebody plays, on a store and a fleet that are real. */
#include "fleet_kit.h"

#include <time.h>

#include "primary/query_release.h"
#include "primary/releases.h"
#include "usage/row.h"
#include "wire/record.h"

static const char plan_text[] =
    "release: demo\n"
    "title: A demonstration\n"
    "owner: mara\n"
    "author: mara\n"
    "flags: [a.enabled, b.enabled]\n"
    "bucket: {var: account_id}\n"
    "interval: 100ms\n"
    "abort_after: 2\n"
    "roles: {qa: [quinn, qadir], boss: [rita]}\n"
    "guards:\n"
    "  - {name: freshness, query: 'time() - min(timestamp(up == 1))', pass: '<= 30'}\n"
    "  - {name: errors, query: 'sum(rate(errors_total[5m]))', pass: '<= 0.02', critical: '> 0.2'}\n"
    "kill_on_alert: [Burning]\n"
    "checks: [{name: tests, run: ['true']}]\n"
    "announce: {contact: '#demo'}\n"
    "phases:\n"
    "  flags: {steps: [{check: [tests], sign: {qa: tested, boss: reviewed}}]}\n"
    "  monitoring: {steps: []}\n"
    "  staging: {env: staging, steps: [{percent: 100, soak: 300ms, exposed: 5}]}\n"
    "  production:\n"
    "    env: production\n"
    "    steps:\n"
    "      - {percent: 10, soak: 300ms, exposed: 5}\n"
    "      - {percent: 100, soak: 300ms, exposed: 5}\n"
    "  watch: {steps: []}\n";

struct stage {
    struct kit *kit;
    struct releases *releases;
    struct release_answer answers[2]; /* of the guards */
};

/* ------------------------------------------------------------------ doing things */

static int64_t wall(void)
{
    return clock_wall_ms();
}

/* A command, as the writer's thread carries it out. */
static struct told tell(struct stage *s, const char *name, const char *author, json_t *body)
{
    struct kit *k = s->kit;
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    char *text = json_dumps(body, 0);
    k->author = author;
    struct command *c = kit_command(k, name, text);
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    releases_begin(s->releases);
    command_release_with(c, s->releases);
    enum hoist_err err = command_run(c, w, k->fleet, wall(), &a);
    if (err)
        print_error("%s: %s\n", name, err_last());
    assert_int_equal(err, HOIST_OK);
    if (a.changed || a.wrote) {
        assert_int_equal(store_write_commit(w), HOIST_OK);
        releases_committed(s->releases);
    } else {
        store_write_abort(w);
    }
    struct told t = {a.exit, kit_json(&a.body)};
    answer_done(&a);
    command_free(c);
    free(text);
    json_decref(body);
    return t;
}

static void tell_ok(struct stage *s, const char *name, const char *author, json_t *body)
{
    struct told t = tell(s, name, author, body);
    if (t.exit != EXIT_DONE)
        print_error("%s: %s\n", name, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
}

static void refused(struct stage *s, const char *name, const char *author, json_t *body,
                    uint32_t exit, const char *words)
{
    struct told t = tell(s, name, author, body);
    if (t.exit != exit || !strstr(kit_error(&t), words))
        print_error("%s: exit %u, %s\n", name, t.exit, kit_error(&t));
    assert_int_equal(t.exit, exit);
    assert_non_null(strstr(kit_error(&t), words));
    told_done(&t);
}

static json_t *status_of(struct stage *s)
{
    struct store_read *r;
    struct buf out = BUF_INIT(1 << 20);
    json_t *args = json_pack("{s:s}", "release", "demo");
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(release_answer(s->releases, r, SLICE("release_status"), args, wall(), &out),
                     EXIT_DONE);
    store_read_end(r);
    json_t *v = kit_json(&out);
    buf_done(&out);
    json_decref(args);
    return v;
}

/* "live": it has not ended, and is not rolled back. */
static bool stands(const json_t *v, const char *state, int step)
{
    const char *is = kit_text(v, "state");
    bool live =
        strcmp(is, "moving") == 0 || strcmp(is, "waiting") == 0 || strcmp(is, "holding") == 0;
    return (strcmp(state, "live") == 0 ? live : strcmp(is, state) == 0) &&
           json_integer_value(json_object_get(v, "step")) == step;
}

static void is_at(struct stage *s, const char *state, int step)
{
    json_t *v = status_of(s);
    if (!stands(v, state, step)) {
        char *text = json_dumps(v, JSON_INDENT(1));
        print_error("not %s at %d: %s\n", state, step, text);
        free(text);
    }
    assert_true(stands(v, state, step));
    json_decref(v);
}

/* Both hosts say that they have all of both environments; or only the first does. */
static void hosts_have_it(struct stage *s, bool both)
{
    static const char *const ids[] = {"h1", "h2"};
    static const char *const envs[] = {"staging", "production"};
    for (int h = 0; h < (both ? 2 : 1); h++) {
        struct env_head heads[2];
        for (int i = 0; i < 2; i++) {
            struct store_env env = kit_env(s->kit, envs[i]);
            heads[i] = (struct env_head){.name = slice_str(envs[i]),
                                         .epoch = env.epoch,
                                         .version = env.head,
                                         .state = ENV_CURRENT};
            memcpy(heads[i].hash, env.hash, HASH_SIZE);
        }
        struct frame_status status = says(ids[h], heads);
        status.env_count = 2;
        hear_status(s->kit, &status, clock_mono_ms());
    }
}

static void yield_more(struct stage *s, const char *env, uint64_t n)
{
    struct store_write *w;
    struct slice bytes;
    struct usage_row row = {0};
    struct buf out = BUF_INIT(1 << 20);
    uint16_t id = kit_env(s->kit, env).id;
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    if (store_usage_get(store_write_read(w), id, SLICE("a.enabled"), &bytes) == HOIST_OK)
        assert_int_equal(usage_row_read(bytes, &row), HOIST_OK);
    assert_int_equal(usage_row_add(&row, SLICE("on"), n, wall() / 1000), HOIST_OK);
    usage_row_write(&row, &out);
    assert_int_equal(store_usage_put(w, id, SLICE("a.enabled"), buf_slice(&out)), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    usage_row_done(&row);
    buf_done(&out);
}

/* A round for the step that the release is at. */
static void round_of(struct stage *s)
{
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    struct release *r = releases_find(s->releases, SLICE("demo"));
    struct release_round round = {.id = r->id, .step = r->record.step};
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    round.asked = r->record.state == RELEASE_MOVING ? r->plan->steps[round.step].guards : 0;
    memcpy(round.answers, s->answers, sizeof s->answers);
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    enum hoist_err err = release_take_round(s->releases, &work, &round);
    if (err)
        print_error("round: %s\n", err_last());
    assert_int_equal(err, HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    releases_committed(s->releases);
    answer_done(&a);
}

static void rounds(struct stage *s, int n)
{
    for (int i = 0; i < n; i++) {
        yield_more(s, "staging", 10);
        yield_more(s, "production", 10);
        hosts_have_it(s, true);
        round_of(s);
    }
}

/* Rounds until the release stands there. */
static void reach(struct stage *s, const char *state, int step)
{
    bool there = false;
    for (int i = 0; i < 30 && !there; i++) {
        rounds(s, 1);
        json_t *v = status_of(s);
        there = stands(v, state, step);
        json_decref(v);
    }
    is_at(s, state, step);
}

static json_t *start_body(void)
{
    return json_pack("{s:s, s:s}", "plan", plan_text, "commit", "0123abcd");
}

/* What signs and attests is bound to what `status` shows. */
static json_t *bound_body(struct stage *s, const char *name, const char *value)
{
    json_t *v = status_of(s);
    json_t *body = json_pack("{s:s, s:O, s:O, s:O, s:O, s:s}", "release", "demo", "step",
                             json_object_get(v, "step"), "plan", json_object_get(v, "plan"),
                             "definitions", json_object_get(v, "definitions"), "commit",
                             json_object_get(v, "commit"), name, value);
    json_decref(v);
    return body;
}

static json_t *check_body(struct stage *s, bool passed)
{
    json_t *body = bound_body(s, "check", "tests");
    json_object_set_new(body, "passed", json_boolean(passed));
    json_object_set_new(body, "evidence", json_string("{\"argv\":[\"true\"],\"exit\":0}"));
    return body;
}

static void sign_all(struct stage *s)
{
    tell_ok(s, "release_check", "ci", check_body(s, true));
    tell_ok(s, "release_sign", "quinn", bound_body(s, "role", "qa"));
    tell_ok(s, "release_sign", "rita", bound_body(s, "role", "boss"));
}

/* The release is in production, at ten percent. */
static void go_to_production(struct stage *s)
{
    tell_ok(s, "release_start", "mara", start_body());
    sign_all(s);
    reach(s, "live", 3);
}

/* ------------------------------------------------------------------ looking at flags */

static bool has_rule(struct stage *s, const char *env, const char *key)
{
    struct store_read *r;
    struct slice record;
    struct flag *f;
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(store_record_get(r, kit_env(s->kit, env).id, slice_str(key), &record),
                     HOIST_OK);
    assert_int_equal(record_decode(slice_str(key), record, &f, NULL), HOIST_OK);
    bool has = f->targeting.count > 0;
    flag_free(f);
    store_read_end(r);
    return has;
}

static void all_as(struct stage *s, const char *env, bool rules)
{
    assert_int_equal(has_rule(s, env, "a.enabled"), rules);
    assert_int_equal(has_rule(s, env, "b.enabled"), rules);
}

/* ------------------------------------------------------------------ setting up */

static int setup(void **state)
{
    struct stage *s = mem_zalloc(1, sizeof *s);
    fleet_setup((void **)&s->kit);
    kit_do(s->kit, "env_create", "{\"env\":\"staging\"}", "changed");
    for (int i = 0; i < 2; i++) {
        char body[128];
        for (int e = 0; e < 2; e++) {
            snprintf(body, sizeof body, "{\"env\":\"%s\",\"key\":\"%s\",\"value\":\"off\"}",
                     e ? "staging" : "production", i ? "b.enabled" : "a.enabled");
            kit_do(s->kit, "set", body, "changed");
        }
    }
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
    s->answers[0] = s->answers[1] = (struct release_answer){RELEASE_PASS, 0};
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    releases_close(s->releases);
    fleet_teardown((void **)&s->kit);
    mem_free(s);
    return 0;
}

/* As a primary that was killed and comes back. */
static void restart(struct stage *s)
{
    releases_close(s->releases);
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
}

/* ------------------------------------------------------------------ tests */

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
    all_as(s, "staging", false);
    rounds(s, 1);
    all_as(s, "production", false);
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

/* The next round begins in an interval's time, or at once if something was said or done. */
static void a_round_that_does_nothing_brings_no_other(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    struct release *r = releases_nth(s->releases, 0);
    round_of(s);
    r->due_ms = 12345;
    round_of(s);
    assert_int_equal(r->due_ms, 12345);
    tell_ok(s, "release_hold", "olga",
            json_pack("{s:s,s:s}", "release", "demo", "message", "a holiday"));
    assert_int_equal(r->due_ms, 0);
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

#define RELEASE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
        RELEASE_TEST(a_round_that_does_nothing_brings_no_other),
        RELEASE_TEST(a_restart_forgets_nothing),
        RELEASE_TEST(what_was_not_committed_did_not_happen),
        RELEASE_TEST(signatures_are_of_people_who_may_and_of_what_stands),
        RELEASE_TEST(a_plan_that_does_not_fit_is_not_started),
        RELEASE_TEST(its_log_tells_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
