#include "fleet_kit.h"
#include "primary/keys.h"
#include "wire/certificate.h"

static double refused(const char *labels)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_frames_refused_total",
                                      "Frames that could not be read or were not believed.", labels,
                                      NULL));
}

static bool set_back(struct kit *k, char why[FLEET_WHY_SIZE])
{
    return fleet_set_back(k->fleet, "production", kit_env(k, "production").epoch, why);
}

static void hosts_at_our_versions_are_no_cause_for_alarm(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    hear(k, "h1", head, 0);
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    hear(k, "h2", head, 0); /* a version behind, with the hash of then */
    head.epoch--;
    head.version = 999; /* of an epoch that is over */
    hear(k, "h3", head, 0);
    assert_false(set_back(k, why));
}

static void a_version_that_we_do_not_have_shows_that_we_were_set_back(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.version++;
    hear(k, "h7", head, 0); /* as it says first */
    assert_false(set_back(k, why));
    hear_proven(k, "h7", head, &fleet_key);
    assert_true(set_back(k, why));
    assert_non_null(strstr(why, "h7"));

    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_int_equal(t.exit, EXIT_REFUSED);
    assert_non_null(strstr(kit_error(&t), "set back"));
    assert_non_null(strstr(kit_mend(&t), "env epoch --new"));
    told_done(&t);
}

static void another_hash_at_one_of_our_versions_shows_it_too(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    hear_proven(k, "h1", head, &fleet_key);
    assert_true(set_back(k, why));
}

static void another_hash_at_an_older_version_shows_it_too(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.version--;
    hear_proven(k, "h1", head, &fleet_key);
    assert_true(set_back(k, why));
}

/* Anybody can say it: the change that it says it has is signed by none of ours, or by nobody, or it
 * gives none. */
static void who_invents_a_version_is_shown_and_not_believed(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    struct sign_key other;
    double forged = refused("reason=\"forged\""), unproven = refused("reason=\"unproven\"");
    sign_key_random(&other);
    head.version = 1000000;
    hear(k, "bare", head, 0);
    hear_proven(k, "unsigned", head, NULL);
    hear_proven(k, "stranger", head, &other);
    hear_with(k, "junk", head, SLICE("\x93"));
    assert_false(set_back(k, why));
    assert_true(refused("reason=\"unproven\"") == unproven + 1);
    assert_true(refused("reason=\"forged\"") == forged + 3);
    assert_int_equal(shown(k, "stranger").host.version, 1000000);
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
}

/* A change that the primary did sign proves nothing but itself. */
static void a_proof_of_something_else_is_none(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct buf change = BUF_INIT(FRAME_PROOF_MAX);
    struct env_head head = our_head(k), other = head;
    head.version += 5;
    other.version = head.version - 1;
    prove(&other, &fleet_key, &change);
    hear_with(k, "version", head, buf_slice(&change));
    memcpy(head.hash, other.hash, HASH_SIZE);
    hear_with(k, "version-too", head, buf_slice(&change));

    other = head;
    other.epoch--;
    buf_clear(&change);
    prove(&other, &fleet_key, &change);
    memcpy(head.hash, other.hash, HASH_SIZE);
    hear_with(k, "epoch", head, buf_slice(&change));

    other = head;
    other.name = SLICE("staging");
    buf_clear(&change);
    prove(&other, &fleet_key, &change);
    memcpy(head.hash, other.hash, HASH_SIZE);
    hear_with(k, "env", head, buf_slice(&change));

    buf_clear(&change);
    prove(&head, &fleet_key, &change);
    head.hash[0] ^= 1;
    hear_with(k, "hash", head, buf_slice(&change));
    assert_false(set_back(k, why));
    head.hash[0] ^= 1;
    hear_with(k, "right", head, buf_slice(&change));
    assert_true(set_back(k, why));
    buf_done(&change);
}

static void rotate(struct kit *k, const struct sign_key *to, const struct sign_key *by)
{
    struct store_write *w;
    struct keys keys;
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    assert_int_equal(certificate_put(CERTIFICATE_ROTATE, to->public, 1, by, &certificate),
                     HOIST_OK);
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(keys_read(store_write_read(w), &keys), HOIST_OK);
    assert_int_equal(keys_add(&keys, w, buf_slice(&certificate)), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    keys_done(&keys);
    buf_done(&certificate);
}

static void a_key_that_ours_leads_to_proves(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    struct sign_key other;
    sign_key_random(&other);
    head.version++;
    rotate(k, &fleet_key, &other); /* that anybody can say */
    hear_proven(k, "h", head, &other);
    assert_false(set_back(k, why));
    rotate(k, &other, &fleet_key);
    hear_proven(k, "h", head, &other);
    assert_true(set_back(k, why));
}

static void without_a_key_nothing_is_proven(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    fleet_sign_with(k->fleet, NULL);
    head.version++;
    hear_proven(k, "h", head, &fleet_key);
    hear_proven(k, "unsigned", head, NULL);
    assert_false(set_back(k, why));
}

static void a_new_epoch_above_all_heard_of_is_the_way_on(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k), far = head;
    head.version += 5;
    hear_proven(k, "h1", head, &fleet_key);
    far.epoch += (uint64_t)1 << 50; /* somebody's clock was years ahead */
    hear_proven(k, "h2", far, &fleet_key);
    assert_true(fleet_epoch(k->fleet, "production") == far.epoch);
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    assert_true(kit_env(k, "production").epoch > far.epoch);
    assert_false(set_back(k, why));
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
}

static void a_greater_epoch_that_is_proven_shows_that_we_were_set_back(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.epoch += 1000;
    head.version = 1; /* lower than ours: another history */
    hear_proven(k, "h7", head, &fleet_key);
    assert_true(set_back(k, why));
    assert_non_null(strstr(why, "h7"));
    assert_non_null(strstr(why, "another has taken over"));
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_int_equal(t.exit, EXIT_REFUSED);
    told_done(&t);
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    assert_true(kit_env(k, "production").epoch > head.epoch);
    assert_false(set_back(k, why));
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
}

/* Nor does it move the epoch that `env epoch --new` begins, by which heartbeats are counted. */
static void a_greater_epoch_that_is_not_proven_changes_nothing(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct sign_key other;
    struct env_head head = our_head(k);
    uint64_t tomorrow = head.epoch + ((uint64_t)24 * 60 * 60 << 24);
    double forged = refused("reason=\"forged\""), unproven = refused("reason=\"unproven\"");
    sign_key_random(&other);
    head.epoch = UINT64_MAX / 4;
    hear(k, "bare", head, 0);
    hear_proven(k, "stranger", head, &other);
    assert_true(refused("reason=\"unproven\"") == unproven + 1);
    assert_true(refused("reason=\"forged\"") == forged + 1);
    assert_false(set_back(k, why));
    assert_int_equal(fleet_epoch(k->fleet, "production"), 0);
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    assert_true(kit_env(k, "production").epoch < tomorrow);
}

static void an_epoch_that_nothing_could_follow_is_not_believed(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.epoch = UINT64_MAX;
    hear_proven(k, "liar", head, &fleet_key);
    assert_false(set_back(k, why));
    assert_int_equal(fleet_epoch(k->fleet, "production"), 0);
}

/* Of an environment that may not be there. */
static void count(struct kit *k, const char *name, int64_t now_ms, uint32_t ret[FLEET_STATES])
{
    struct store_env env = kit_env(k, "production");
    snprintf(env.name, sizeof env.name, "%s", name);
    fleet_counts(k->fleet, &env, now_ms, ret);
}

static void hosts_are_counted_by_how_they_stand(void **state)
{
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    hear(k, "a", head, 100000);
    hear(k, "silent", head, 100000 - FLEET_SILENT_MS - 1);
    head.state = ENV_BEHIND;
    hear(k, "b", head, 100000);
    hear(k, "loading", (head.state = ENV_LOADING, head), 100000);
    hear(k, "r", (head.state = ENV_REFUSING, head), 100000);
    head.state = ENV_CURRENT;
    head.held = 1; /* it takes all but one flag */
    hear(k, "h", head, 100000);
    head.held = 0;
    head.version--; /* it does not know yet that there is more */
    hear(k, "old", head, 100000);
    head.version++;
    hear(k, "d", (head.state = ENV_DIVERGED, head), 100000);
    head.state = ENV_CURRENT;
    head.version++; /* it follows another primary, or this one was set back */
    hear(k, "v", head, 100000);
    head.version--;
    head.epoch++;
    hear(k, "e", head, 100000);
    hear(k, "a", our_head(k), 100000); /* again */
    count(k, "production", 100000, counts);
    assert_int_equal(counts[FLEET_CURRENT], 1);
    assert_int_equal(counts[FLEET_BEHIND], 3);
    assert_int_equal(counts[FLEET_SILENT], 1);
    assert_int_equal(counts[FLEET_REFUSING], 5);
    count(k, "nowhere", 100000, counts);
    assert_int_equal(counts[FLEET_CURRENT], 0);
}

static void environments_that_are_not_ours_take_no_memory(void **state)
{
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    head.name = SLICE("nowhere");
    hear(k, "h", head, 0);
    count(k, "nowhere", 0, counts);
    assert_int_equal(counts[FLEET_CURRENT], 0);
    assert_int_equal(fleet_epoch(k->fleet, "nowhere"), 0);
}

static void ids_with_odd_bytes_stay_apart(void **state)
{
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    struct slice ids[] = {SLICE("h\0a"), SLICE("h\0b"), SLICE("h"), SLICE("h\0a")};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct frame_status status = {.id = ids[i], .envs = &head, .env_count = 1};
        hear_status(k, &status, 0);
    }
    count(k, "production", 0, counts);
    assert_int_equal(counts[FLEET_CURRENT], 3);
}

static void a_host_silent_long_is_forgotten_when_there_are_too_many(void **state)
{
    enum { ROOM = 8 }; /* so few that the longest of all is found */
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    char id[16];
    fleet_set_room(k->fleet, ROOM);
    for (int i = 0; i < ROOM + 10; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, i);
    }
    count(k, "production", 0, counts);
    assert_int_equal(counts[FLEET_CURRENT], ROOM);
    assert_false(shown(k, "h9").there);
    assert_true(shown(k, "h10").there);
}

/* ------------------------------------------------------------------ the log */

static int lines_about_hosts(FILE *f)
{
    char line[1024];
    int n = 0;
    rewind(f);
    while (fgets(line, sizeof line, f))
        n += strstr(line, "refuses version") || strstr(line, "80 lines about other hosts");
    return n;
}

static void the_log_does_not_speak_of_every_name_that_is_made_up(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    struct refusal refusal = {SLICE("production"), SLICE(""), 3, SLICE("no")};
    FILE *f = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(f);
    dup2(fileno(f), STDERR_FILENO);
    for (int i = 0; i <= 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "h%d", i);
        struct frame_status status = says(id, &head);
        status.refusals = &refusal;
        status.refusal_count = 1;
        hear_status(k, &status, clock_mono_ms() + (i == 100 ? 60000 : 0));
    }
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(lines_about_hosts(f), 20 + 1 + 1); /* and one in the next minute */
    fclose(f);
}

/* ------------------------------------------------------------------ looking */

static void a_host_is_shown_with_what_it_said_of_itself(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    struct frame_status status = says("h1", &head);
    struct label label = {SLICE("ring"), SLICE("canary")};
    struct refusal refusal = {SLICE("production"), SLICE("k"), 3, SLICE("of another version")};
    head.version--;
    status.labels = &label;
    status.label_count = 1;
    status.refusals = &refusal;
    status.refusal_count = 1;
    int64_t now_ms = clock_mono_ms();
    hear_status(k, &status, now_ms - 500);
    struct shown s = shown(k, "h1");
    assert_true(s.there);
    assert_int_equal(s.host.state, FLEET_BEHIND);
    assert_int_equal(s.host.version, 2);
    assert_int_equal(s.host.lag, 1);
    assert_in_range(s.host.seen_ms, 500, 500 + 60000);
    assert_in_range(s.host.behind_ms, 500, 500 + 60000);
    assert_string_equal(s.software, "0.1.0");
    assert_string_equal(s.labels, "ring=canary");
    assert_string_equal(s.why, "k: of another version");
    assert_false(s.host.duplicate);
    assert_false(shown(k, "h2").there);

    head.version++; /* and it is no longer what it was */
    status.labels = NULL;
    status.label_count = status.refusal_count = 0;
    hear_status(k, &status, now_ms);
    s = shown(k, "h1");
    assert_int_equal(s.host.state, FLEET_CURRENT);
    assert_int_equal(s.host.lag + (uint64_t)s.host.behind_ms, 0);
    assert_int_equal(s.host.label_count + s.host.refusal_count, 0);
}

static void a_hello_does_not_take_labels_and_refusals_away(void **state)
{
    struct kit *k = *state;
    struct store_read *r;
    struct env_head head = our_head(k);
    struct frame_status status = says("h1", &head);
    struct label label = {SLICE("ring"), SLICE("canary")};
    struct refusal refusal = {SLICE("production"), SLICE("k"), 3, SLICE("why")};
    status.labels = &label;
    status.label_count = 1;
    status.refusals = &refusal;
    status.refusal_count = 1;
    hear_status(k, &status, clock_mono_ms());
    status.labels = NULL;
    status.refusals = NULL;
    status.label_count = status.refusal_count = 0;
    status.software = SLICE("0.2.0");
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    fleet_heard(k->fleet, r, &(struct told_host){.status = status}, clock_mono_ns());
    store_read_end(r);
    struct shown s = shown(k, "h1");
    assert_string_equal(s.labels, "ring=canary");
    assert_string_equal(s.why, "k: why");
    assert_string_equal(s.software, "0.2.0");
}

static void a_host_behind_a_relay_counts_like_any_and_names_it(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    hear_via(k, "h1", "relay1", our_head(k), 3, now_ms);
    struct shown s = shown(k, "h1");
    assert_string_equal(s.via, "relay1");
    assert_int_equal(s.host.state, FLEET_CURRENT);
    assert_in_range(s.host.seen_ms, 3, 1000);
    hear_via(k, "h1", "relay2", our_head(k), 0, now_ms);
    assert_string_equal(shown(k, "h1").via, "relay2");
    hear(k, "h1", our_head(k), now_ms + 1); /* it has come to the primary itself */
    assert_string_equal(shown(k, "h1").via, "");
}

static void what_comes_late_by_a_way_that_was_left_is_dropped(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms();
    struct env_head old = our_head(k);
    old.version = 2;
    hear_via(k, "h1", "relay2", our_head(k), 0, now_ms);
    hear_via(k, "h1", "relay1", old, 500, now_ms + 10);
    assert_string_equal(shown(k, "h1").via, "relay2");
    assert_int_equal(shown(k, "h1").host.version, 3);
    hear_via(k, "h1", "relay1", old, 5, now_ms + 10); /* heard later than what relay2 heard */
    assert_string_equal(shown(k, "h1").via, "relay1");
    assert_int_equal(shown(k, "h1").host.version, 2);
}

static void a_word_of_one_way_that_travelled_faster_is_not_taken_for_an_older_one(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k), old = head;
    int64_t now_ms = clock_mono_ms();
    old.version--;
    hear_via(k, "h1", "relay1", old, 0, now_ms);
    hear_via(k, "h1", "relay1", head, 6, now_ms + 2);
    assert_int_equal(shown(k, "h1").host.version, head.version);
    hear_via(k, "h1", "relay1", old, 1000, now_ms + 3); /* this one was kept up on the way */
    assert_int_equal(shown(k, "h1").host.version, head.version);
}

static void a_host_whose_relay_kept_its_word_for_long_is_silent(void **state)
{
    struct kit *k = *state;
    hear_via(k, "h1", "relay1", our_head(k), FLEET_SILENT_MS + 1, clock_mono_ms());
    assert_int_equal(shown(k, "h1").host.state, FLEET_SILENT);
}

static void count_hosts(void *arg, const struct fleet_host *h)
{
    int *count = arg;
    (void)h;
    (*count)++;
}

static void all_of_many_hosts_are_shown_once(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    struct store_env env = kit_env(k, "production");
    char id[16];
    int seen = 0;
    fleet_each(k->fleet, &env, count_hosts, &seen);
    assert_int_equal(seen, 0);
    for (int i = 0; i < 1024; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, 0);
    }
    fleet_each(k->fleet, &env, count_hosts, &seen);
    assert_int_equal(seen, 1024);
}

/* Whether it is one now, after a status of that incarnation. */
static bool is_duplicate(struct kit *k, const char *id, uint64_t incarnation, int64_t ms)
{
    struct env_head head = our_head(k);
    struct frame_status status = says(id, &head);
    status.incarnation = incarnation;
    hear_status(k, &status, ms);
    return shown(k, id).host.duplicate;
}

static void two_hosts_of_one_id_are_seen_by_their_taking_turns(void **state)
{
    struct kit *k = *state;
    int64_t now_ms = clock_mono_ms(), before_ms = now_ms - FLEET_SILENT_MS - 1;
    assert_false(is_duplicate(k, "h1", 1, now_ms));
    assert_false(is_duplicate(k, "h1", 1, now_ms));
    assert_false(is_duplicate(k, "h1", 2, now_ms)); /* started anew */
    assert_false(is_duplicate(k, "h1", 3, now_ms)); /* and again */
    assert_true(is_duplicate(k, "h1", 2, now_ms));
    assert_true(is_duplicate(k, "h1", 2, now_ms));

    assert_false(is_duplicate(k, "h2", 1, before_ms));
    assert_false(is_duplicate(k, "h2", 2, before_ms));
    assert_false(is_duplicate(k, "h2", 1, before_ms)); /* that was a while ago */
    assert_false(is_duplicate(k, "h2", 1, now_ms));    /* since then one is alone */
}

static void a_retired_host_is_forgotten_until_it_speaks_again(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    char near[FRAME_ID_MAX + 1];
    hear(k, "host1", head, 0);
    hear(k, "other", head, 0);
    assert_true(fleet_near(k->fleet, SLICE("hots1"), near));
    assert_string_equal(near, "host1");
    assert_false(fleet_near(k->fleet, SLICE("nothing like it"), near));
    fleet_retire(k->fleet, SLICE("host1"));
    fleet_retire(k->fleet, SLICE("nobody"));
    assert_false(fleet_has(k->fleet, SLICE("host1")));
    assert_false(shown(k, "host1").there);
    assert_true(shown(k, "other").there);
    hear(k, "host1", head, 0);
    assert_true(shown(k, "host1").there);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)
    const struct CMUnitTest tests[] = {
        T(hosts_at_our_versions_are_no_cause_for_alarm),
        T(a_version_that_we_do_not_have_shows_that_we_were_set_back),
        T(another_hash_at_one_of_our_versions_shows_it_too),
        T(another_hash_at_an_older_version_shows_it_too),
        T(who_invents_a_version_is_shown_and_not_believed),
        T(a_proof_of_something_else_is_none),
        T(a_key_that_ours_leads_to_proves),
        T(without_a_key_nothing_is_proven),
        T(a_new_epoch_above_all_heard_of_is_the_way_on),
        T(a_greater_epoch_that_is_proven_shows_that_we_were_set_back),
        T(a_greater_epoch_that_is_not_proven_changes_nothing),
        T(an_epoch_that_nothing_could_follow_is_not_believed),
        T(hosts_are_counted_by_how_they_stand),
        T(environments_that_are_not_ours_take_no_memory),
        T(ids_with_odd_bytes_stay_apart),
        T(a_host_silent_long_is_forgotten_when_there_are_too_many),
        T(a_host_is_shown_with_what_it_said_of_itself),
        T(the_log_does_not_speak_of_every_name_that_is_made_up),
        T(a_hello_does_not_take_labels_and_refusals_away),
        T(a_host_behind_a_relay_counts_like_any_and_names_it),
        T(what_comes_late_by_a_way_that_was_left_is_dropped),
        T(a_word_of_one_way_that_travelled_faster_is_not_taken_for_an_older_one),
        T(a_host_whose_relay_kept_its_word_for_long_is_silent),
        T(all_of_many_hosts_are_shown_once),
        T(two_hosts_of_one_id_are_seen_by_their_taking_turns),
        T(a_retired_host_is_forgotten_until_it_speaks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
