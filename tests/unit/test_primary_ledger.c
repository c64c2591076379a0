#include "fleet_kit.h"

#include "primary/ledger.h"

/* All that is due. */
static void save(struct kit *k)
{
    bool more = true;
    for (int i = 0; more && i < 1000; i++) {
        more = false;
        assert_int_equal(ledger_tick(k->fleet, k->store, &more), HOIST_OK);
    }
    assert_false(more);
}

static void start_anew(struct kit *k, int64_t now_ms)
{
    fleet_free(k->fleet);
    assert_int_equal(fleet_new(&k->fleet), HOIST_OK);
    fleet_sign_with(k->fleet, &fleet_key);
    assert_int_equal(ledger_load(k->fleet, k->store, now_ms * NS), HOIST_OK);
}

static uint32_t rows(struct kit *k)
{
    struct store_read *r;
    struct slice id = {0}, row;
    uint32_t count = 0;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    while (store_host_next(r, id, &id, &row) == HOIST_OK)
        count++;
    store_read_end(r);
    return count;
}

/* The store's newest transaction. */
static uint64_t commits(struct kit *k)
{
    struct store_read *r;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    uint64_t txn = store_read_txn(r);
    store_read_end(r);
    return txn;
}

static void hear_labelled(struct kit *k, const char *id, const char *value, int64_t now_ms)
{
    struct env_head head = our_head(k);
    struct frame_status status = says(id, &head);
    struct label label = {SLICE("ring"), slice_str(value)};
    struct refusal refusal = {SLICE("production"), SLICE("k"), 3, SLICE("why")};
    status.labels = &label;
    status.label_count = 1;
    status.refusals = &refusal;
    status.refusal_count = 1;
    hear_status(k, &status, now_ms);
}

static void a_primary_that_starts_knows_its_hosts(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    hear_labelled(k, "h1", "canary", now_ms);
    save(k);
    start_anew(k, now_ms);
    struct shown s = shown(k, "h1");
    assert_true(s.there);
    assert_string_equal(s.labels, "ring=canary");
    assert_string_equal(s.software, "0.1.0");
    assert_string_equal(s.why, "k: why");
    assert_int_equal(s.host.version, 3);
    assert_int_equal(s.host.state, FLEET_CURRENT);
}

static void the_relay_that_a_host_hangs_on_is_kept(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    hear(k, "h1", our_head(k), now_ms);
    hear_via(k, "h2", "relay1", our_head(k), 0, now_ms);
    save(k);
    uint64_t before = commits(k);
    hear_via(k, "h2", "relay1", our_head(k), 0, now_ms + 1);
    save(k);
    assert_int_equal(commits(k), before);
    start_anew(k, now_ms);
    assert_string_equal(shown(k, "h1").via, "");
    assert_string_equal(shown(k, "h2").via, "relay1");
    assert_int_equal(shown(k, "h2").host.version, 3);
}

static void for_10_s_they_all_count_as_live_and_then_those_that_spoke(void **state)
{
    struct kit *k = *state;
    struct store_env env = kit_env(k, "production");
    uint32_t counts[FLEET_STATES];
    hear(k, "h1", our_head(k), 0);
    hear(k, "h2", our_head(k), 0);
    save(k);
    start_anew(k, 1000000);
    fleet_counts(k->fleet, &env, 1000000 + FLEET_SILENT_MS, counts);
    assert_int_equal(counts[FLEET_CURRENT], 2);
    hear(k, "h1", our_head(k), 1000000 + FLEET_SILENT_MS);
    fleet_counts(k->fleet, &env, 1000000 + FLEET_SILENT_MS + 1, counts);
    assert_int_equal(counts[FLEET_CURRENT], 1);
    assert_int_equal(counts[FLEET_SILENT], 1);
}

static void nothing_is_written_for_a_status_that_tells_nothing_new_of_a_host(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    hear_labelled(k, "h1", "canary", now_ms);
    save(k);
    uint64_t before = commits(k);
    struct env_head head = our_head(k);
    head.version--;
    hear_labelled(k, "h1", "canary", now_ms);
    save(k);
    assert_int_equal(commits(k), before);
    hear_labelled(k, "h1", "everyone", now_ms);
    save(k);
    assert_int_equal(commits(k), before + 1);
    start_anew(k, now_ms);
    assert_string_equal(shown(k, "h1").labels, "ring=everyone");
}

static void an_environment_more_is_written(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    struct env_head heads[2] = {our_head(k), our_head(k)};
    struct frame_status status = says("h1", heads);
    hear_status(k, &status, now_ms);
    save(k);
    uint64_t before = commits(k);
    struct store_env staging = kit_env(k, "staging");
    heads[1].name = SLICE("staging");
    heads[1].epoch = staging.epoch;
    heads[1].version = staging.head;
    status.env_count = 2;
    hear_status(k, &status, now_ms);
    save(k);
    assert_int_equal(commits(k), before + 1);
    start_anew(k, now_ms);
    uint32_t counts[FLEET_STATES];
    fleet_counts(k->fleet, &staging, now_ms, counts);
    assert_int_equal(counts[FLEET_CURRENT], 1);
}

static void when_a_host_was_last_heard_is_written_once_it_is_silent(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    hear(k, "h1", our_head(k), now_ms - 60000);
    save(k);
    hear(k, "h1", our_head(k), now_ms - 30000); /* its last word */
    uint64_t before = commits(k);
    save(k);
    assert_int_equal(commits(k), before + 1);
    save(k);
    assert_int_equal(commits(k), before + 1);
    start_anew(k, now_ms);
    assert_in_range(shown(k, "h1").host.seen_ms, 30000, 59000);
    save(k);
    assert_int_equal(commits(k), before + 1); /* what was loaded is there already */
}

static void many_hosts_are_written_piece_by_piece(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    int64_t now_ms = clock_mono_ms();
    char id[16];
    bool more = false;
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, now_ms);
    }
    assert_int_equal(ledger_tick(k->fleet, k->store, &more), HOIST_OK);
    assert_true(more);
    assert_in_range(rows(k), 1, 300);
    save(k);
    for (int i = 0; i < 2; i++) { /* more hosts than are looked at in one go */
        more = false;
        assert_int_equal(ledger_tick(k->fleet, k->store, &more), HOIST_OK);
    }
    assert_int_equal(rows(k), 3000);
}

static void one_that_ends_writes_all_of_them(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    char id[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, 0);
    }
    assert_int_equal(ledger_finish(k->fleet, k->store), HOIST_OK);
    assert_int_equal(rows(k), 3000);
    hear_labelled(k, "h0", "canary", 0); /* wherever it stands */
    hear_labelled(k, "h999", "canary", 0);
    assert_int_equal(ledger_finish(k->fleet, k->store), HOIST_OK);
    start_anew(k, 0);
    assert_string_equal(shown(k, "h0").labels, "ring=canary");
    assert_string_equal(shown(k, "h999").labels, "ring=canary");
}

static void hosts_forgotten_for_want_of_room_go_from_the_store(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    char id[16];
    hear(k, "first", head, 0);
    save(k);
    assert_int_equal(rows(k), 1);
    fleet_set_room(k->fleet, 8);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, 1);
    }
    bool more = false;
    assert_int_equal(ledger_tick(k->fleet, k->store, &more), HOIST_OK);
    struct store_read *r;
    struct slice first, row;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_host_next(r, (struct slice){0}, &first, &row), HOIST_OK);
    assert_false(slice_eq(first, SLICE("first")));
    store_read_end(r);
}

static void put_row(struct kit *k, const char *id, struct slice row)
{
    struct store_write *w;
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(store_host_put(w, slice_str(id), row), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

static void rows_that_cannot_be_read_are_left_out(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    struct frame_status status = says("another", &head);
    struct buf row = BUF_INIT(4096);
    hear(k, "good", head, 0);
    save(k);
    buf_add(&row, "\0\0\0\0\0\0\0\0", 8);
    frame_put_status(&row, &status);
    put_row(k, "short", SLICE("1234"));
    put_row(k, "junk", SLICE("12345678 this is no frame"));
    put_row(k, "named", buf_slice(&row)); /* it is of another host */
    start_anew(k, clock_mono_ms());
    assert_true(shown(k, "good").there);
    assert_false(shown(k, "short").there);
    assert_false(shown(k, "junk").there);
    assert_false(shown(k, "named").there);
    assert_false(shown(k, "another").there);
    buf_done(&row);
}

static void what_the_ledger_says_shows_nothing_of_being_set_back(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    uint64_t epoch = kit_env(k, "production").epoch;
    head.version += 5;
    hear_proven(k, "h1", head, &fleet_key);
    assert_true(fleet_set_back(k->fleet, "production", epoch, why));
    save(k);
    start_anew(k, 0);
    assert_false(fleet_set_back(k->fleet, "production", epoch, why));
    hear_proven(k, "h1", head, &fleet_key); /* the same, but from the host itself */
    assert_true(fleet_set_back(k->fleet, "production", epoch, why));
}

static void a_command_retires_a_host_for_good(void **state)
{
    struct kit *k = *state;
    hear(k, "host1", our_head(k), 0);
    hear(k, "host2", our_head(k), 0);
    save(k);
    kit_refused(k, "host_retire", "{\"host\":\"hosts1\"}", EXIT_NO, "hosts1");
    kit_refused(k, "host_retire", "{}", EXIT_INPUT, "id");
    kit_do(k, "host_retire", "{\"host\":\"host1\"}", "retired");
    assert_false(shown(k, "host1").there);
    assert_true(shown(k, "host2").there);
    kit_refused(k, "host_retire", "{\"host\":\"host1\"}", EXIT_NO, "host1");
    start_anew(k, 0);
    assert_false(shown(k, "host1").there);
    assert_true(shown(k, "host2").there);
}

static void a_command_retires_all_that_were_silent_for_long(void **state)
{
    struct kit *k = *state;
    enum { SILENT = 1500 }; /* more than one command takes */
    int64_t now_ms = clock_mono_ms();
    char id[16];
    for (int i = 0; i < SILENT; i++) {
        snprintf(id, sizeof id, "gone%d", i);
        hear(k, id, our_head(k), now_ms - 3600000);
    }
    hear(k, "here", our_head(k), now_ms);
    hear(k, "late", our_head(k), now_ms - 3000000);
    save(k);
    kit_refused(k, "host_retire", "{\"silent_ms\":59999}", EXIT_INPUT, "a minute");
    kit_refused(k, "host_retire", "{\"silent_ms\":\"1h\"}", EXIT_INPUT, "a minute");
    kit_refused(k, "host_retire", "{\"silent_ms\":3600000,\"host\":\"here\"}", EXIT_INPUT, "host");
    const size_t counts[] = {1000, 500, 0};
    for (int i = 0; i < 3; i++) {
        struct told t = kit_tell(k, "host_retire", "{\"silent_ms\":3600000}");
        assert_int_equal(t.exit, EXIT_DONE);
        assert_int_equal(json_integer_value(json_object_get(t.body, "hosts")), counts[i]);
        assert_int_equal(json_is_true(json_object_get(t.body, "more")), i == 0);
        told_done(&t);
    }
    start_anew(k, 0);
    assert_true(shown(k, "here").there && shown(k, "late").there);
    assert_false(shown(k, "gone0").there || shown(k, "gone1499").there);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)
    const struct CMUnitTest tests[] = {
        T(a_primary_that_starts_knows_its_hosts),
        T(the_relay_that_a_host_hangs_on_is_kept),
        T(for_10_s_they_all_count_as_live_and_then_those_that_spoke),
        T(nothing_is_written_for_a_status_that_tells_nothing_new_of_a_host),
        T(an_environment_more_is_written),
        T(when_a_host_was_last_heard_is_written_once_it_is_silent),
        T(many_hosts_are_written_piece_by_piece),
        T(one_that_ends_writes_all_of_them),
        T(hosts_forgotten_for_want_of_room_go_from_the_store),
        T(rows_that_cannot_be_read_are_left_out),
        T(what_the_ledger_says_shows_nothing_of_being_set_back),
        T(a_command_retires_a_host_for_good),
        T(a_command_retires_all_that_were_silent_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
