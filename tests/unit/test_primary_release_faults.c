/* Releases when things fail: memory, room, rows that are damaged, plans that cannot be read; and many of them. */
#include "stage_kit.h"

#include <inttypes.h>
#include <math.h>

#include "store/write_int.h"

/* ------------------------------------------------------------------ plans of any name */

static const char plan_of_one[] =
    "release: %s\n"
    "title: One flag\n"
    "owner: mara\n"
    "author: mara\n"
    "flags: [%s]\n"
    "interval: 100ms\n"
    "guards:\n"
    "  - {name: freshness, query: 'time() - min(timestamp(up) and up == 1)', "
    "pass: '<= 30'}\n"
    "announce: {contact: '#demo'}\n"
    "phases:\n"
    "  flags: {steps: []}\n"
    "  monitoring: {steps: []}\n"
    "  staging: {env: staging, %s steps: [{percent: 100, soak: 1h, exposed: 5}]}\n"
    "  production: {env: production, steps: [{percent: 100, soak: 1h, exposed: 5}]}\n"
    "  watch: {steps: []}\n";

static json_t *start_of(const char *name, const char *key, const char *window)
{
    char text[1200];
    snprintf(text, sizeof text, plan_of_one, name, key, window);
    return json_pack("{s:s, s:s}", "plan", text, "commit", "0123abcd");
}

static json_t *say(const char *name, const char *message)
{
    return json_pack("{s:s, s:s}", "release", name, "message", message);
}

static struct release *demo(struct stage *s)
{
    return releases_find(s->releases, SLICE("demo"));
}

static uint32_t rows_of(struct stage *s, uint32_t id)
{
    struct store_read *r;
    struct store_release_row row;
    uint32_t n = 0;
    uint64_t at = 0;
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    for (; store_release_next(r, id, at, &row) == HOIST_OK; n++)
        at = row.sequence + 1;
    store_read_end(r);
    return n;
}

/* ------------------------------------------------------------------ what is refused leaves nothing */

/* A window that is closed now: an hour of the day before yesterday's and tomorrow's. */
static void closed_window(char out[64])
{
    static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    snprintf(out, 64, "window: '%s 00:00-24:00 UTC',", days[(t.tm_wday + 3) % 7]);
}

static void a_start_that_is_refused_leaves_no_row_though_its_batch_is_committed(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    char window[64];
    closed_window(window);
    json_t *body = start_of("closed", "a.enabled", window);
    char *text = json_dumps(body, 0);
    struct command *c = kit_command(s->kit, "release_start", text);
    struct answer a = ANSWER_INIT;
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    command_release_with(c, s->releases);
    assert_int_equal(command_run(c, w, s->kit->fleet, wall(), &a), HOIST_OK);
    assert_int_equal(a.exit, EXIT_CONFLICT);
    assert_false(a.wrote || a.changed);
    assert_int_equal(store_write_commit(w), HOIST_OK); /* for the sake of others in the batch */
    releases_committed(s->releases);
    assert_int_equal(rows_of(s, 1), 0);
    restart(s);
    assert_null(releases_nth(s->releases, 0));
    assert_null(releases_owner(s->releases, SLICE("staging"), SLICE("a.enabled")));
    answer_done(&a);
    command_free(c);
    free(text);
    json_decref(body);
}

static void a_name_that_its_log_cannot_hold_is_refused(void **state)
{
    struct stage *s = *state;
    char name[101];
    memset(name, 'x', 100);
    name[100] = '\0';
    refused(s, "release_start", name, start_body(), EXIT_INPUT, "at most 63 bytes");
    tell_ok(s, "release_start", "mara", start_body());
    refused(s, "release_abort", name, say("demo", "no"), EXIT_INPUT, "at most 63 bytes");
    name[63] = '\0';
    tell_ok(s, "release_hold", name, say("demo", "wait"));
    restart(s);
    assert_string_equal(demo(s)->record.holder, name);
}

static void no_event_is_put_that_the_next_start_could_not_read(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    struct release_effects fx;
    char name[101];
    memset(name, 'x', sizeof name);
    tell_ok(s, "release_start", "mara", start_body());
    struct release_event e = release_event_now(RELEASE_NOTED, wall());
    e.by = slice_of(name, sizeof name);
    e.text = SLICE("of somebody with a long name");
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    assert_int_not_equal(release_take(demo(s), &work, &e, &fx), HOIST_OK);
    store_write_abort(w);
    assert_int_equal(rows_of(s, 1), 2);
}

/* `value` of so many bytes. */
static json_t *long_text(size_t len)
{
    char *text = mem_alloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    json_t *v = json_string(text);
    mem_free(text);
    return v;
}

static json_t *with(json_t *body, const char *name, json_t *value)
{
    json_object_set_new(body, name, value);
    return body;
}

static void forged_arguments_are_refused(void **state)
{
    struct stage *s = *state;
    json_t *start = start_body();
    refused(s, "release_start", "mara", with(json_copy(start), "plan", long_text(1 << 20)),
            EXIT_INPUT, "problem");
    refused(s, "release_start", "mara", with(json_copy(start), "plan", long_text((1 << 20) + 1)),
            EXIT_INPUT, "1 to 1048576 bytes");
    refused(s, "release_start", "mara", with(json_copy(start), "commit", long_text(65)), EXIT_INPUT,
            "1 to 64 bytes");
    refused(s, "release_start", "mara", with(json_copy(start), "plan", json_integer(1)), EXIT_INPUT,
            "plan");
    refused(s, "release_start", "mara", with(json_copy(start), "more", json_integer(1)), EXIT_INPUT,
            "more");
    assert_null(releases_nth(s->releases, 0));
    tell_ok(s, "release_start", "mara", start);
    json_t *steps[] = {json_integer(-1), json_integer(INT64_MAX),
                       json_integer(65), json_string("1"),
                       json_null(),      json_real(1.5)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        refused(s, "release_sign", "quinn", with(bound_body(s, "role", "qa"), "step", steps[i]),
                EXIT_CONFLICT, "the release is at step 1");
    refused(s, "release_sign", "quinn",
            with(bound_body(s, "role", "qa"), "definitions", long_text(64)), EXIT_INPUT,
            "64 hexadecimal digits");
    refused(s, "release_sign", "quinn", with(bound_body(s, "role", "qa"), "role", json_null()),
            EXIT_INPUT, "no role ''");
    refused(s, "release_check", "ci",
            with(check_body(s, true), "evidence", long_text((16 << 10) + 1)), EXIT_INPUT,
            "evidence");
    refused(s, "release_hold", "olga", with(say("demo", ""), "message", long_text(513)), EXIT_INPUT,
            "1 to 512 bytes");
    refused(s, "release_abort", "olga", with(say("demo", "no"), "release", long_text(64)),
            EXIT_INPUT, "1 to 63 bytes");
    assert_int_equal(rows_of(s, 1), 2);
    tell_ok(s, "release_check", "ci",
            with(check_body(s, true), "evidence", long_text(16 << 10))); /* the most it may be */
    tell_ok(s, "release_note", "olga", with(say("demo", ""), "message", long_text(512)));
    restart(s);
    assert_int_equal(rows_of(s, 1), 4);
    assert_non_null(demo(s));
}

static void a_round_without_values_is_read_again(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    s->answers[0] = (struct release_answer){RELEASE_NODATA, NAN};
    s->answers[1] = (struct release_answer){RELEASE_ERROR, NAN};
    rounds(s, 1);
    struct release_record before = demo(s)->record;
    assert_int_equal(before.guards[0].verdict, RELEASE_NODATA);
    restart(s);
    assert_memory_equal(&demo(s)->record, &before, sizeof before);
}

/* ------------------------------------------------------------------ one transaction, one time */

static void it_is_started_and_aborted_in_one_batch(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    struct answer a = ANSWER_INIT, b = ANSWER_INIT;
    json_t *start = start_body(), *no = say("demo", "no");
    char *texts[] = {json_dumps(start, 0), json_dumps(no, 0)};
    struct command *first = kit_command(s->kit, "release_start", texts[0]);
    struct command *second = kit_command(s->kit, "release_abort", texts[1]);
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    command_release_with(first, s->releases);
    command_release_with(second, s->releases);
    assert_int_equal(command_run(first, w, s->kit->fleet, wall(), &a), HOIST_OK);
    assert_int_equal(command_run(second, w, s->kit->fleet, wall(), &b), HOIST_OK);
    assert_int_equal(a.exit, EXIT_DONE);
    assert_int_equal(b.exit, EXIT_DONE);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    releases_committed(s->releases);
    is_at(s, "rolled_back", 1);
    restart(s);
    is_at(s, "rolled_back", 1);
    answer_done(&a);
    answer_done(&b);
    command_free(first);
    command_free(second);
    free(texts[0]);
    free(texts[1]);
    json_decref(start);
    json_decref(no);
}

static void a_signature_that_is_said_again_is_answered_and_not_put_again(void **state)
{
    struct stage *s = *state;
    tell_ok(s, "release_start", "mara", start_body());
    for (int i = 0; i < 2; i++) {
        tell_ok(s, "release_sign", "quinn", bound_body(s, "role", "qa"));
        s->kit->next_request--; /* the same request, again */
    }
    assert_int_equal(rows_of(s, 1), 3);
}

/* As when another job of its batch fails, and each is run again alone. */
static void round_that_is_not_committed(struct stage *s)
{
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    struct release_round round = {.id = 1, .step = demo(s)->record.step, .asked = 3};
    memcpy(round.answers, s->answers, sizeof s->answers);
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    releases_begin(s->releases);
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    assert_int_equal(release_take_round(s->releases, &work, &round), HOIST_OK);
    store_write_abort(w);
    answer_done(&a);
}

static void exposures_of_a_round_that_was_not_committed_count_in_the_next(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    rounds(s, 1);
    uint64_t before = demo(s)->record.exposed;
    yield_more(s, "production", 100);
    hosts_have_it(s, true);
    round_that_is_not_committed(s);
    round_of(s);
    assert_true(demo(s)->record.exposed >= before + 100);
}

static void verdicts_of_a_round_that_was_not_committed_count_once(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    uint64_t before = demo(s)->verdicts[1][0];
    round_that_is_not_committed(s);
    assert_true(demo(s)->verdicts[1][0] == before);
    round_of(s);
    assert_true(demo(s)->verdicts[1][0] == before + 1);
    round_that_is_not_committed(s);
    rounds(s, 2);
    assert_true(demo(s)->verdicts[1][0] == before + 3);
}

/* ------------------------------------------------------------------ memory, room */

/* True once there was no allocation left to fail. */
static bool told_without(struct stage *s, int n, const char *name, json_t *body)
{
    struct answer a = ANSWER_INIT;
    char *text = json_dumps(body, 0);
    s->kit->author = "mara";
    struct command *c = kit_command(s->kit, name, text);
    mem_fail_at(n);
    enum hoist_err err = try_tell(s, c, &a);
    bool failed = mem_did_fail();
    mem_fail_at(0);
    if (err)
        assert_int_equal(err, HOIST_ENOMEM);
    bool done = !err && a.exit == EXIT_DONE;
    assert_true(failed || done);
    answer_done(&a);
    command_free(c);
    free(text);
    json_decref(body);
    return done;
}

static void any_allocation_may_fail_from_the_start_to_the_end(void **state)
{
    struct stage *s = *state;
    int n = 1;
    for (; !told_without(s, n, "release_start", start_of("demo", "a.enabled", "")); n++) {
        assert_true(n < 5000);
        assert_false(has_rule(s, "staging", "a.enabled"));
    }
    assert_true(n > 10);
    assert_int_equal(rows_of(s, 1), 3); /* plan, start, change */
    assert_true(has_rule(s, "staging", "a.enabled"));
    for (n = 1;; n++) {
        struct release_record before = demo(s)->record;
        mem_fail_at(n);
        enum hoist_err err = try_round(s, SLICE("demo"));
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (err)
            assert_memory_equal(&demo(s)->record, &before, sizeof before);
        if (!failed)
            break;
    }
    assert_true(n > 1);
    for (n = 1; !told_without(s, n, "release_abort", say("demo", "no")); n++)
        assert_true(has_rule(s, "staging", "a.enabled"));
    assert_true(n > 2);
    assert_false(has_rule(s, "staging", "a.enabled"));
    struct release_record live = demo(s)->record;
    restart(s);
    assert_memory_equal(&demo(s)->record, &live, sizeof live);
    for (n = 1;; n++) {
        struct releases *again = NULL;
        mem_fail_at(n);
        enum hoist_err err = releases_open(s->kit->store, &again);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        releases_close(again);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        if (!failed)
            break;
    }
}

/* The store again, with room for what is there and hardly more. */
static void reopen(struct stage *s, uint64_t quota_bytes)
{
    struct store_options options = {.write = true, .primary = true, .quota_bytes = quota_bytes};
    releases_close(s->releases);
    s->releases = NULL;
    store_close(s->kit->store);
    assert_int_equal(store_open(s->kit->dir, &options, &s->kit->store), HOIST_OK);
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
}

static void is_held_by_hoist(struct stage *s, const char *words)
{
    json_t *v = status_of(s);
    assert_string_equal(kit_text(v, "state"), "holding");
    json_decref(v);
    assert_string_equal(demo(s)->record.holder, "hoist");
    if (!strstr(demo(s)->record.reason, words))
        print_error("reason: %s\n", demo(s)->record.reason);
    assert_non_null(strstr(demo(s)->record.reason, words));
}

static void a_full_store_keeps_it_where_it_is_and_not_from_going_back(void **state)
{
    struct stage *s = *state;
    struct store_stats stats;
    tell_ok(s, "release_start", "mara", start_body());
    sign_all(s);
    reach(s, "live", 2);
    store_stats(s->kit->store, &stats);
    reopen(s, stats.record_bytes + 8);
    enum hoist_err err = HOIST_OK;
    for (int i = 0; i < 30 && !err; i++) {
        yield_more(s, "staging", 10);
        hosts_have_it(s, true);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        err = try_round(s, SLICE("demo"));
    }
    assert_int_equal(err, HOIST_ENOSPC);
    is_at(s, "live", 2);
    all_as(s, "production", false);
    demo(s)->due_ms = 12345;
    yield_more(s, "staging", 10);
    rounds(s, 1);
    assert_int_equal(demo(s)->due_ms, 12345);
    is_held_by_hoist(s, "cannot begin: the store has no room for it");
    struct release_record before = demo(s)->record;
    restart(s);
    assert_memory_equal(&demo(s)->record, &before, sizeof before);
    tell_ok(s, "release_abort", "olga", say("demo", "no room"));
    all_as(s, "staging", false);
    rounds(s, 1);
    is_at(s, "rolled_back", 2);
}

/* ------------------------------------------------------------------ a step that cannot be made */

static const char requires_g[] =
    "{\"flags\":{\"a.enabled\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
    "\"defaultVariant\":\"off\",\"requires\":{\"flags\":{\"g\":\"on\"},\"otherwise\":\"off\"}}}}";

/* Flag a.enabled of production requires g, which is not there any more. */
static void lose_what_is_required(struct stage *s)
{
    char before[32];
    snprintf(before, sizeof before, "%" PRIu64, kit_env(s->kit, "production").head);
    tell_ok(s, "set", "ana",
            json_pack("{s:s,s:s,s:s}", "env", "production", "key", "g", "value", "on"));
    tell_ok(s, "apply", "ana", json_pack("{s:s,s:s}", "env", "production", "file", requires_g));
    tell_ok(s, "release_start", "mara", start_body());
    tell_ok(s, "rollback", "olga",
            json_pack("{s:s,s:s,s:s}", "env", "production", "key", "g", "to", before));
}

static void a_step_that_cannot_be_made_stands_and_says_why(void **state)
{
    struct stage *s = *state;
    lose_what_is_required(s);
    sign_all(s);
    reach(s, "live", 2);
    for (int i = 0; i < 30 && !demo(s)->record.holder[0]; i++)
        rounds(s, 1);
    is_at(s, "live", 2);
    is_held_by_hoist(s, "step 3 of 4, production: 10% of production cannot begin: "
                        "flag 'a.enabled' requires flag 'g'");
    all_as(s, "production", false);
    uint32_t rows = rows_of(s, 1);
    demo(s)->due_ms = 12345;
    rounds(s, 1);
    assert_int_equal(demo(s)->due_ms, 12345); /* at the ordinary interval, … */
    assert_int_equal(rows_of(s, 1), rows + 1);
    restart(s);
    is_held_by_hoist(s, "cannot begin");
    tell_ok(s, "set", "ana",
            json_pack("{s:s,s:s,s:s}", "env", "production", "key", "g", "value", "on"));
    tell_ok(s, "release_resume", "olga", json_pack("{s:s}", "release", "demo"));
    reach(s, "live", 3); /* … and on, once that is mended */
    all_as(s, "production", true);
}

static void a_step_that_cannot_be_made_goes_back_like_any(void **state)
{
    struct stage *s = *state;
    lose_what_is_required(s);
    sign_all(s);
    reach(s, "live", 2);
    for (int i = 0; i < 30 && !demo(s)->record.holder[0]; i++)
        rounds(s, 1);
    is_held_by_hoist(s, "cannot begin");
    tell_ok(s, "release_abort", "olga", say("demo", "no"));
    reach(s, "rolled_back", 2);
    all_as(s, "staging", false);
}

/* ------------------------------------------------------------------ damage */

static void spoil(struct stage *s, uint32_t id, uint64_t sequence)
{
    struct store_write *w;
    uint8_t key[12];
    be32_write(key, id);
    be64_write(key + 4, sequence);
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    assert_int_equal(
        write_put(w, DB_RELEASES, val_of(slice_of(key, sizeof key)), SLICE("12345678 damaged"), 0),
        HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

static void start_two(struct stage *s)
{
    tell_ok(s, "release_start", "mara", start_of("one", "a.enabled", ""));
    tell_ok(s, "release_start", "mara", start_of("two", "b.enabled", ""));
}

static void count_fault(void *arg, const struct store_fault *fault)
{
    *(uint64_t *)arg += strcmp(fault->database, "releases") == 0;
}

static uint64_t faults_in_releases(struct stage *s)
{
    struct store_read *r;
    struct store_checked checked;
    uint64_t faults = 0;
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(store_check(r, count_fault, &faults, &checked), HOIST_OK);
    store_read_end(r);
    return faults;
}

static void only_two_is_left(struct stage *s)
{
    restart(s);
    assert_null(releases_find(s->releases, SLICE("one")));
    assert_non_null(releases_find(s->releases, SLICE("two")));
    tell_ok(s, "release_abort", "olga", say("two", "no"));
}

static void a_damaged_row_costs_one_release_and_not_the_others(void **state)
{
    struct stage *s = *state;
    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        start_two(s);
        assert_int_equal(faults_in_releases(s), sequence);
        spoil(s, (uint32_t)(2 * sequence + 1), sequence);
        assert_int_equal(faults_in_releases(s), sequence + 1);
        only_two_is_left(s);
        tell_ok(s, "rollback", "olga",
                json_pack("{s:s,s:s,s:s}", "env", "staging", "key", "a.enabled", "to", "3"));
        hosts_have_it(s, true);
        assert_int_equal(try_round(s, SLICE("two")), HOIST_OK);
    }
    assert_int_equal(releases_live(s->releases), 0);
}

static void a_damaged_plan_costs_no_release_before_it(void **state)
{
    struct stage *s = *state;
    start_two(s);
    spoil(s, 2, 0);
    restart(s);
    assert_non_null(releases_find(s->releases, SLICE("one")));
    assert_null(releases_find(s->releases, SLICE("two")));
    tell_ok(s, "release_abort", "olga", say("one", "no"));
}

static void a_plan_that_cannot_be_read_any_more_costs_its_release_alone(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    start_two(s);
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    assert_int_equal(store_release_put(w, 1, 0, SLICE("release: one\nof_another_version: yes\n")),
                     HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    only_two_is_left(s);
}

/* Another row in a database of the store; of no bytes: none. */
static void put_row(struct stage *s, enum db_name db, struct row_key k, struct slice row)
{
    struct store_write *w;
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    assert_int_equal(
        row.len ? write_put(w, db, val_key(&k), row, 0) : write_del(w, db, val_key(&k)), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

/* The changes up to the baseline: lost in production, damaged in staging. */
static void spoil_log(struct stage *s)
{
    for (int e = 0; e < 2; e++) {
        struct store_env env = kit_env(s->kit, e ? "production" : "staging");
        for (uint64_t v = env.log_first; v <= demo(s)->record.envs[e].baseline; v++)
            put_row(s, DB_LOG, row_log(env.id, v), e ? SLICE("") : SLICE("damaged"));
    }
}

static void what_cannot_be_read_of_a_count_is_no_exposure(void **state)
{
    struct stage *s = *state;
    yield_more(s, "production", 1000); /* long before */
    go_to_production(s);
    rounds(s, 1);
    uint64_t had = demo(s)->record.exposed;
    struct row_key k = row_flag(kit_env(s->kit, "production").id, SLICE("a.enabled"));
    put_row(s, DB_USAGE, k, SLICE("damaged"));
    hosts_have_it(s, true);
    round_of(s);
    put_row(s, DB_USAGE, k, SLICE(""));
    yield_more(s, "production", 2000);
    hosts_have_it(s, true);
    round_of(s);
    assert_true(demo(s)->record.exposed == had);
}

static void the_way_back_needs_no_sound_log(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    spoil_log(s);
    tell_ok(s, "release_abort", "olga", say("demo", "no"));
    all_as(s, "production", false);
    reach(s, "rolled_back", 3);
    all_as(s, "staging", false);
}

static void a_flag_that_cannot_be_read_keeps_no_other_from_going_back(void **state)
{
    struct stage *s = *state;
    struct store_read *r;
    struct slice record;
    struct buf saved = BUF_INIT(FLAG_RECORD_MAX);
    go_to_production(s);
    struct row_key k = row_flag(kit_env(s->kit, "production").id, SLICE("a.enabled"));
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(
        store_record_get(r, kit_env(s->kit, "production").id, SLICE("a.enabled"), &record),
        HOIST_OK);
    buf_add_slice(&saved, record);
    store_read_end(r);
    put_row(s, DB_FLAGS, k, SLICE("damaged"));
    rounds(s, 4);
    is_at(s, "rolling_back", 3);
    assert_string_equal(demo(s)->record.reason, "its flags cannot be read");
    assert_false(has_rule(s, "production", "b.enabled"));
    all_as(s, "staging", false);
    demo(s)->due_ms = 12345;
    rounds(s, 2);
    assert_int_equal(demo(s)->due_ms, 12345);
    is_at(s, "rolling_back", 3); /* as long as one has not gone back */
    put_row(s, DB_FLAGS, k, buf_slice(&saved));
    reach(s, "rolled_back", 3);
    all_as(s, "production", false);
    buf_done(&saved);
}

/* ------------------------------------------------------------------ a log that was cut */

static void the_way_back_needs_no_log(void **state)
{
    struct stage *s = *state;
    struct store_options options = {.write = true, .primary = true, .log_bytes = 1};
    go_to_production(s);
    releases_close(s->releases);
    s->releases = NULL;
    store_close(s->kit->store);
    assert_int_equal(store_open(s->kit->dir, &options, &s->kit->store), HOIST_OK);
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
    uint64_t baseline = demo(s)->record.envs[1].baseline;
    tell_ok(s, "set", "ana",
            json_pack("{s:s,s:s,s:s}", "env", "production", "key", "k", "value", "on"));
    for (bool more = true; more;)
        assert_int_equal(store_tick(s->kit->store, wall(), &more), HOIST_OK);
    assert_true(kit_env(s->kit, "production").log_first > baseline + 1);
    tell_ok(s, "release_abort", "olga", say("demo", "late"));
    reach(s, "rolled_back", 3);
    all_as(s, "production", false);
    all_as(s, "staging", false);
}

static void the_way_back_leads_over_a_new_epoch(void **state)
{
    struct stage *s = *state;
    go_to_production(s);
    tell_ok(s, "env_epoch", "ana", json_pack("{s:s,s:b}", "env", "production", "new_epoch", 1));
    round_of(s);
    json_t *v = status_of(s);
    assert_int_equal(json_integer_value(
                         json_object_get(json_array_get(json_object_get(v, "envs"), 1), "lagging")),
                     2); /* nobody has followed into it */
    json_decref(v);
    reach(s, "live", 4);
    tell_ok(s, "env_epoch", "ana", json_pack("{s:s,s:b}", "env", "production", "new_epoch", 1));
    tell_ok(s, "release_abort", "olga", say("demo", "late"));
    reach(s, "rolled_back", 4);
    all_as(s, "production", false);
    all_as(s, "staging", false);
}

/* ------------------------------------------------------------------ many */

static void make_flag(struct stage *s, const char *key)
{
    for (int e = 0; e < 2; e++)
        tell_ok(s, "set", "ana",
                json_pack("{s:s,s:s,s:s}", "env", e ? "staging" : "production", "key", key, "value",
                          "off"));
}

static void start_number(struct stage *s, int n)
{
    char name[32], key[32];
    snprintf(name, sizeof name, "r%d", n);
    snprintf(key, sizeof key, "f%d", n % RELEASES_LIVE);
    tell_ok(s, "release_start", "mara", start_of(name, key, ""));
}

static void end_number(struct stage *s, int n)
{
    char name[32];
    snprintf(name, sizeof name, "r%d", n);
    tell_ok(s, "release_abort", "olga", say(name, "enough"));
    hosts_have_it(s, true);
    assert_int_equal(try_round(s, slice_str(name)), HOIST_OK);
    assert_int_equal(releases_find(s->releases, slice_str(name))->record.state, RELEASE_ENDED);
}

static void two_hundred_at_a_time_and_what_is_looked_at_stays(void **state)
{
    struct stage *s = *state;
    for (int i = 0; i < RELEASES_LIVE; i++) {
        char key[32];
        snprintf(key, sizeof key, "f%d", i);
        make_flag(s, key);
        start_number(s, i);
    }
    refused(s, "release_start", "mara", start_of("more", "a.enabled", ""), EXIT_CONFLICT,
            "200 releases are under way");
    restart(s);
    assert_int_equal(releases_live(s->releases), RELEASES_LIVE);
    struct release *r = releases_borrow(s->releases, SLICE("r0"));
    for (int i = 0; i < 60; i++) {
        end_number(s, i);
        start_number(s, RELEASES_LIVE + i);
    }
    assert_null(releases_find(s->releases, SLICE("r0"))); /* the oldest made room … */
    assert_true(slice_eq(r->plan->name, SLICE("r0")));    /* … but not for who looks at it */
    releases_give_back(s->releases, r);
    assert_non_null(releases_find(s->releases, SLICE("r259")));
    assert_int_equal(releases_live(s->releases), RELEASES_LIVE);
    restart(s);
    assert_int_equal(releases_live(s->releases), RELEASES_LIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELEASE_TEST(a_start_that_is_refused_leaves_no_row_though_its_batch_is_committed),
        RELEASE_TEST(a_name_that_its_log_cannot_hold_is_refused),
        RELEASE_TEST(no_event_is_put_that_the_next_start_could_not_read),
        RELEASE_TEST(forged_arguments_are_refused),
        RELEASE_TEST(a_round_without_values_is_read_again),
        RELEASE_TEST(it_is_started_and_aborted_in_one_batch),
        RELEASE_TEST(a_signature_that_is_said_again_is_answered_and_not_put_again),
        RELEASE_TEST(exposures_of_a_round_that_was_not_committed_count_in_the_next),
        RELEASE_TEST(verdicts_of_a_round_that_was_not_committed_count_once),
        RELEASE_TEST(any_allocation_may_fail_from_the_start_to_the_end),
        RELEASE_TEST(a_full_store_keeps_it_where_it_is_and_not_from_going_back),
        RELEASE_TEST(a_step_that_cannot_be_made_stands_and_says_why),
        RELEASE_TEST(a_step_that_cannot_be_made_goes_back_like_any),
        RELEASE_TEST(a_damaged_row_costs_one_release_and_not_the_others),
        RELEASE_TEST(a_damaged_plan_costs_no_release_before_it),
        RELEASE_TEST(a_plan_that_cannot_be_read_any_more_costs_its_release_alone),
        RELEASE_TEST(what_cannot_be_read_of_a_count_is_no_exposure),
        RELEASE_TEST(the_way_back_needs_no_sound_log),
        RELEASE_TEST(a_flag_that_cannot_be_read_keeps_no_other_from_going_back),
        RELEASE_TEST(the_way_back_needs_no_log),
        RELEASE_TEST(the_way_back_leads_over_a_new_epoch),
        RELEASE_TEST(two_hundred_at_a_time_and_what_is_looked_at_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
