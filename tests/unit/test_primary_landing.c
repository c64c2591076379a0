#include "fleet_kit.h"

static const int64_t START_MS = 100000;

static struct fleet_commit commit_of(struct kit *k, uint64_t first, uint64_t version)
{
    static struct store_env env;
    env = kit_env(k, "production");
    return (struct fleet_commit){
        .env = env.name, .epoch = env.epoch, .first = first, .version = version};
}

static struct metric *duration(void)
{
    return metric_series(METRIC_HISTOGRAM, "landing_of_the_test", "", "", fleet_landing_buckets);
}

/* The next version is committed at `ms`. */
static uint64_t commit(struct kit *k, int64_t ms)
{
    static int n;
    char body[96];
    snprintf(body, sizeof body, "{\"env\":\"production\",\"key\":\"k%d\",\"value\":\"on\"}", n++);
    kit_do(k, "set", body, "changed");
    uint64_t version = kit_env(k, "production").head;
    struct fleet_commit c = commit_of(k, version, version);
    c.duration = duration();
    fleet_committed(k->fleet, &c, ms * NS);
    return version;
}

static void report(struct kit *k, const char *id, uint64_t version, int64_t ms)
{
    struct store_env env = kit_env(k, "production");
    struct env_head head = our_head(k);
    struct store_read *r;
    struct slice bytes;
    struct change c;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_log_get(r, env.id, version, &bytes), HOIST_OK);
    assert_int_equal(change_decode(bytes, &c), HOIST_OK);
    head.version = version;
    memcpy(head.hash, c.hash, HASH_SIZE);
    store_read_end(r);
    hear(k, id, head, ms);
}

struct asked {
    struct arena arena;
    struct fleet_landing l;
    char missing[256], silent[256];
};

static void join(char *out, size_t size, const struct slice *ids, uint32_t count)
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", i ? " " : "", SLICE_ARG(ids[i]));
}

static struct asked ask_as(struct kit *k, const void *asker, uint64_t version, uint32_t percent,
                           int64_t ms)
{
    struct asked a = {.l = {0}};
    struct fleet_commit c = commit_of(k, version, version);
    struct fleet_wait wait = {.percent = percent, .asker = asker};
    assert_int_equal(fleet_landing(k->fleet, &c, &wait, ms * NS, &a.arena, &a.l), HOIST_OK);
    join(a.missing, sizeof a.missing, a.l.missing, a.l.missing_count);
    join(a.silent, sizeof a.silent, a.l.silent, a.l.silent_count);
    arena_done(&a.arena);
    return a;
}

static struct asked ask_percent(struct kit *k, uint64_t version, uint32_t percent, int64_t ms)
{
    return ask_as(k, k, version, percent, ms);
}

static struct asked ask(struct kit *k, uint64_t version, int64_t ms)
{
    return ask_percent(k, version, 100, ms);
}

/* ------------------------------------------------------------------ */

static void a_version_has_landed_when_the_last_live_host_says_so(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    report(k, "b", 3, START_MS);
    uint64_t v = commit(k, START_MS + 100);
    struct asked asked = ask(k, v, START_MS + 101);
    assert_false(asked.l.reached);
    assert_int_equal(asked.l.hosts, 2);
    assert_int_equal(asked.l.have, 0);
    assert_int_equal(asked.l.ns, NS); /* as long as it has been */
    assert_string_equal(asked.missing, "a b");
    report(k, "a", v, START_MS + 105);
    report(k, "b", v - 1, START_MS + 106); /* it speaks, and has it not */
    asked = ask(k, v, START_MS + 107);
    assert_int_equal(asked.l.have, 1);
    assert_string_equal(asked.missing, "b");
    report(k, "b", v, START_MS + 109);
    report(k, "a", v, START_MS + 500); /* says it again: that was known */
    asked = ask(k, v, START_MS + 900);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.have, 2);
    assert_int_equal(asked.l.ns, 9 * NS); /* from the commit to the last report */
    assert_string_equal(asked.missing, "");
}

static void a_later_version_or_an_epoch_of_ours_is_as_good(void **state)
{
    struct kit *k = *state;
    struct arena arena = {0};
    struct fleet_landing l;
    report(k, "a", 3, START_MS);
    report(k, "b", 3, START_MS);
    uint64_t v = commit(k, START_MS);
    struct fleet_commit c = commit_of(k, v, v);
    commit(k, START_MS);
    report(k, "a", v + 1, START_MS + 1);
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    hear(k, "b", our_head(k), START_MS + 1);
    struct fleet_wait wait = {.percent = 100, .asker = k};
    assert_int_equal(fleet_landing(k->fleet, &c, &wait, (START_MS + 2) * NS, &arena, &l), HOIST_OK);
    assert_true(l.reached);
    arena_done(&arena);
}

static void who_is_ahead_of_us_has_nothing_of_ours(void **state)
{
    struct kit *k = *state;
    struct env_head epoch = our_head(k), version = epoch, diverged = epoch;
    epoch.epoch++;
    version.version += 2;
    diverged.state = ENV_DIVERGED;
    diverged.version += 1;
    hear(k, "epoch", epoch, START_MS);
    hear(k, "version", version, START_MS);
    report(k, "diverged", 3, START_MS);
    report(k, "later", 3, START_MS);
    commit(k, START_MS);
    uint64_t v = commit(k, START_MS);
    hear(k, "diverged", diverged, START_MS + 1);
    hear(k, "later", epoch, START_MS + 1);
    hear(k, "version", version, START_MS + 1); /* as far as we are by now, and still not ours */
    assert_int_equal(ask(k, v - 1, START_MS + 2).l.have, 0);
    assert_string_equal(ask(k, v, START_MS + 2).missing, "diverged epoch later version");
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    v = commit(k, START_MS + 3);
    assert_int_equal(ask(k, v, START_MS + 4).l.have, 0);
    static const char *const ids[] = {"diverged", "epoch", "later", "version"};
    for (int i = 0; i < 4; i++)
        report(k, ids[i], v, START_MS + 5);
    assert_true(ask(k, v, START_MS + 6).l.reached);
}

static void versions_that_were_committed_together_land_together(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    for (int i = 0; i < 3; i++)
        kit_do(k, "set",
               i % 2 ? "{\"key\":\"k\",\"value\":\"off\"}" : "{\"key\":\"k\",\"value\":\"on\"}",
               "changed");
    struct fleet_commit c = commit_of(k, 4, 6);
    fleet_committed(k->fleet, &c, START_MS * NS);
    report(k, "a", 5, START_MS + 3);
    assert_false(ask(k, 4, START_MS + 4).l.reached);
    report(k, "a", 6, START_MS + 5);
    assert_int_equal(ask(k, 4, START_MS + 9).l.ns, 5 * NS);
    assert_int_equal(ask(k, 6, START_MS + 9).l.ns, 5 * NS);
}

static void who_was_silent_before_is_named_and_not_waited_for(void **state)
{
    struct kit *k = *state;
    report(k, "live", 3, START_MS);
    report(k, "edge", 3, START_MS - FLEET_SILENT_MS);
    report(k, "gone", 3, START_MS - FLEET_SILENT_MS - 1);
    uint64_t v = commit(k, START_MS);
    struct asked asked = ask(k, v, START_MS);
    assert_int_equal(asked.l.hosts, 2);
    assert_string_equal(asked.missing, "edge live");
    assert_string_equal(asked.silent, "gone");
    report(k, "live", v, START_MS + 1);
    report(k, "edge", v, START_MS + 1);
    assert_true(ask(k, v, START_MS + 2).l.reached);
}

static void who_falls_silent_meanwhile_is_waited_for(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    uint64_t v = commit(k, START_MS + 1);
    struct asked asked = ask(k, v, START_MS + FLEET_SILENT_MS + 2);
    assert_false(asked.l.reached);
    assert_int_equal(asked.l.hosts, 1);
    assert_string_equal(asked.missing, "a");
    assert_string_equal(asked.silent, "a");
}

static void who_joins_later_is_not_waited_for(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    uint64_t v = commit(k, START_MS);
    report(k, "new", 3, START_MS + 1);
    report(k, "a", v, START_MS + 2);
    struct asked asked = ask(k, v, START_MS + 3);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.hosts, 1);
}

static void a_host_that_follows_something_else_is_not_waited_for(void **state)
{
    struct kit *k = *state;
    struct env_head none[1];
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    struct env_head other = our_head(k);
    other.name = SLICE("staging");
    hear(k, "other", other, START_MS);
    report(k, "a", 3, START_MS);
    uint64_t v = commit(k, START_MS);
    assert_int_equal(ask(k, v, START_MS).l.hosts, 1);
    struct frame_status status = says("a", none); /* started anew with other environments */
    status.env_count = 0;
    hear_status(k, &status, START_MS + 1);
    struct asked asked = ask(k, v, START_MS + 2);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.hosts, 0);
}

static void a_host_that_is_retired_is_not_waited_for_any_more(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    report(k, "b", 3, START_MS);
    uint64_t v = commit(k, START_MS);
    report(k, "a", v, START_MS + 4);
    fleet_retire(k->fleet, SLICE("b"));
    struct asked asked = ask(k, v, START_MS + 9);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.hosts, 1);
    assert_int_equal(asked.l.ns, 4 * NS);
}

static void enough_of_them_may_be_enough(void **state)
{
    struct kit *k = *state;
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        report(k, ids[i], 3, START_MS);
    uint64_t v = commit(k, START_MS);
    for (int i = 0; i < 3; i++)
        report(k, ids[i], v, START_MS + 1 + i);
    assert_true(ask_percent(k, v, 75, START_MS + 9).l.reached);
    assert_int_equal(ask_percent(k, v, 75, START_MS + 9).l.ns, 3 * NS);
    assert_false(ask_percent(k, v, 76, START_MS + 9).l.reached);
    assert_string_equal(ask_percent(k, v, 75, START_MS + 9).missing, "d");
}

static void a_report_that_overtakes_the_commits_own_word_counts(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    kit_do(k, "set", "{\"key\":\"z\",\"value\":\"on\"}", "changed");
    struct fleet_commit c = commit_of(k, 4, 4);
    c.duration = duration();
    double before = metric_value(c.duration);
    report(k, "a", 4, START_MS + 2);
    fleet_committed(k->fleet, &c, (START_MS + 1) * NS); /* it was committed then */
    struct asked asked = ask(k, 4, START_MS + 5);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.hosts, 1);
    assert_int_equal(asked.l.ns, NS);
    assert_true(metric_value(c.duration) > before);
}

static void the_time_of_the_last_report_is_measured_once(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    report(k, "b", 3, START_MS);
    double before = metric_value(duration());
    uint64_t v = commit(k, START_MS);
    report(k, "a", v, START_MS + 1000);
    assert_true(metric_value(duration()) == before);
    report(k, "b", v, START_MS + 3000);
    double after = metric_value(duration());
    assert_true(after - before > 2.999 && after - before < 3.001);
    report(k, "b", v, START_MS + 5000);
    assert_true(metric_value(duration()) == after);
}

static void a_kill_is_measured_from_its_request_on(void **state)
{
    struct kit *k = *state;
    struct metric *since =
        metric_series(METRIC_HISTOGRAM, "landing_since_asked", "", "", fleet_landing_buckets);
    report(k, "a", 3, START_MS);
    kit_do(k, "set", "{\"key\":\"z\",\"value\":\"on\"}", "changed");
    struct fleet_commit c = commit_of(k, 4, 4);
    c.since_asked = since;
    c.asked_ns = (START_MS + 1) * NS;
    fleet_committed(k->fleet, &c, (START_MS + 500) * NS);
    assert_true(metric_value(since) == 0);
    report(k, "a", 4, START_MS + 1001);
    assert_true(metric_value(since) > 0.999 && metric_value(since) < 1.001);
}

static void a_version_of_long_ago_is_watched_from_when_it_is_asked_for(void **state)
{
    struct kit *k = *state;
    report(k, "a", 2, START_MS);
    report(k, "b", 3, START_MS);
    struct asked asked = ask(k, 3, START_MS + 10); /* no commit was ever told */
    assert_int_equal(asked.l.hosts, 2);
    assert_string_equal(asked.missing, "a");
    report(k, "late", 2, START_MS + 11);
    report(k, "a", 3, START_MS + 13);
    asked = ask(k, 3, START_MS + 20);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.hosts, 2);
    assert_int_equal(asked.l.ns, 3 * NS);
}

static void of_many_commits_those_that_are_waited_for_stay(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    uint64_t v = commit(k, START_MS);
    ask(k, v, START_MS);
    for (int i = 0; i < 2 * FLEET_LANDINGS; i++)
        commit(k, START_MS + 1);
    report(k, "a", v, START_MS + 5);
    struct asked asked = ask(k, v, START_MS + 6);
    assert_true(asked.l.reached);
    assert_int_equal(asked.l.ns, 5 * NS);
    uint64_t head = kit_env(k, "production").head;
    report(k, "a", head, START_MS + 7); /* the newest is watched, too */
    assert_int_equal(ask(k, head, START_MS + 8).l.ns, 6 * NS);
}

static void what_was_waited_for_in_vain_is_not_mixed_up_with_what_comes_later(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    for (int i = 0; i < FLEET_LANDINGS; i++)
        commit(k, START_MS); /* all wait for it, until others take their places */
    int64_t later = START_MS + FLEET_SILENT_MS + 1;
    report(k, "b", 3, later);
    uint64_t v = 0;
    for (int i = 0; i < FLEET_LANDINGS; i++)
        v = commit(k, later);
    assert_string_equal(ask(k, v, later).missing, "b");
    report(k, "a", v, later + 1);
    assert_int_equal(ask(k, v, later + 2).l.have, 0);
    report(k, "b", v, later + 3);
    assert_int_equal(ask(k, v, later + 4).l.have, 1);
}

static void an_earlier_version_is_not_taken_for_a_later_one(void **state)
{
    struct kit *k = *state;
    report(k, "a", 3, START_MS);
    commit(k, START_MS);
    assert_true(ask(k, 3, START_MS + 1).l.reached);
    assert_false(ask(k, 4, START_MS + 1).l.reached);
}

static void more_cannot_be_waited_for_than_are_watched(void **state)
{
    struct kit *k = *state;
    char askers[2];
    struct arena arena = {0};
    struct fleet_landing l;
    report(k, "a", 3, START_MS);
    for (int i = 0; i < FLEET_LANDINGS; i++)
        ask_as(k, &askers[i % 2], commit(k, START_MS), 100, START_MS);
    uint64_t v = commit(k, START_MS); /* not watched */
    struct fleet_commit c = commit_of(k, v, v);
    struct fleet_wait wait = {.percent = 100, .asker = k};
    assert_int_equal(fleet_landing(k->fleet, &c, &wait, START_MS * NS, &arena, &l), HOIST_EBUSY);
    int64_t later = START_MS + FLEET_SILENT_MS + 1; /* the others have stopped asking */
    assert_int_equal(fleet_landing(k->fleet, &c, &wait, later * NS, &arena, &l), HOIST_OK);
    arena_done(&arena);
}

static void one_asker_leaves_waits_to_the_others(void **state)
{
    struct kit *k = *state;
    struct arena arena = {0};
    struct fleet_landing l;
    uint64_t v = 0, first = 0;
    report(k, "a", 3, START_MS);
    for (int i = 0; i < FLEET_ASKER_LANDINGS; i++) {
        v = commit(k, START_MS);
        first = first ? first : v;
        ask(k, v, START_MS);
    }
    v = commit(k, START_MS);
    struct fleet_commit c = commit_of(k, v, v);
    struct fleet_wait wait = {.percent = 100, .asker = k};
    assert_int_equal(fleet_landing(k->fleet, &c, &wait, START_MS * NS, &arena, &l), HOIST_EBUSY);
    assert_false(ask(k, first, START_MS).l.reached); /* what it waits for it may go on to */
    for (int i = FLEET_ASKER_LANDINGS; i < FLEET_LANDINGS; i++, v = commit(k, START_MS))
        assert_int_equal(ask_as(k, &arena, v, 100, START_MS).l.hosts, 1);
    arena_done(&arena);
}

static void a_host_is_behind_since_the_first_commit_that_it_lacks(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    report(k, "a", 3, now_ms - 5000);
    assert_int_equal(shown(k, "a").host.behind_ms, 0);
    uint64_t v = commit(k, now_ms - 3000);
    commit(k, now_ms - 1000);
    report(k, "a", v, now_ms - 500); /* nearer, and still below */
    assert_in_range(shown(k, "a").host.behind_ms, 3000, 60000);
    report(k, "a", v + 1, now_ms);
    assert_int_equal(shown(k, "a").host.behind_ms, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)
    const struct CMUnitTest tests[] = {
        T(a_version_has_landed_when_the_last_live_host_says_so),
        T(a_later_version_or_an_epoch_of_ours_is_as_good),
        T(who_is_ahead_of_us_has_nothing_of_ours),
        T(versions_that_were_committed_together_land_together),
        T(who_was_silent_before_is_named_and_not_waited_for),
        T(who_falls_silent_meanwhile_is_waited_for),
        T(who_joins_later_is_not_waited_for),
        T(a_host_that_follows_something_else_is_not_waited_for),
        T(a_host_that_is_retired_is_not_waited_for_any_more),
        T(enough_of_them_may_be_enough),
        T(a_report_that_overtakes_the_commits_own_word_counts),
        T(the_time_of_the_last_report_is_measured_once),
        T(a_kill_is_measured_from_its_request_on),
        T(a_version_of_long_ago_is_watched_from_when_it_is_asked_for),
        T(of_many_commits_those_that_are_waited_for_stay),
        T(what_was_waited_for_in_vain_is_not_mixed_up_with_what_comes_later),
        T(an_earlier_version_is_not_taken_for_a_later_one),
        T(more_cannot_be_waited_for_than_are_watched),
        T(one_asker_leaves_waits_to_the_others),
        T(a_host_is_behind_since_the_first_commit_that_it_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
