#include "primary_kit.h"

#include "primary/fleet.h"

static int setup(void **state)
{
    struct kit *k = mem_zalloc(1, sizeof *k);
    kit_init(k, 0);
    kit_do(k, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", "changed");
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    kit_done(*state);
    mem_free(*state);
    return 0;
}

/* What a host that has all of ours would say. */
static struct env_head our_head(struct kit *k)
{
    struct store_env env = kit_env(k, "production");
    struct env_head head = {
        .name = SLICE("production"), .epoch = env.epoch, .version = env.head, .state = ENV_CURRENT};
    memcpy(head.hash, env.hash, HASH_SIZE);
    return head;
}

static void hear(struct kit *k, const char *id, struct env_head head, int64_t now_ms)
{
    struct store_read *r;
    struct frame_status status = {.id = slice_str(id), .envs = &head, .env_count = 1};
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    fleet_heard(k->fleet, r, &status, now_ms);
    store_read_end(r);
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
    head.epoch += 2; /* of a greater one: another history, which this store is not a part of */
    hear(k, "h4", head, 0);
    assert_false(set_back(k, why));
    assert_true(fleet_epoch(k->fleet, "production") == head.epoch);
}

static void a_version_that_we_do_not_have_shows_that_we_were_set_back(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.version++;
    hear(k, "h7", head, 0);
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
    head.hash[0] ^= 1;
    hear(k, "h1", head, 0);
    assert_true(set_back(k, why));
}

static void another_hash_at_an_older_version_shows_it_too(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k);
    head.version--;
    hear(k, "h1", head, 0);
    assert_true(set_back(k, why));
}

static void a_new_epoch_above_all_heard_of_is_the_way_on(void **state)
{
    struct kit *k = *state;
    char why[FLEET_WHY_SIZE];
    struct env_head head = our_head(k), far = head;
    head.version += 5;
    hear(k, "h1", head, 0);
    far.epoch += (uint64_t)1 << 50; /* somebody's clock was years ahead */
    hear(k, "h2", far, 0);
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    assert_true(kit_env(k, "production").epoch > far.epoch);
    assert_false(set_back(k, why));
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
}

static void an_epoch_that_nothing_could_follow_is_not_believed(void **state)
{
    struct kit *k = *state;
    struct env_head head = our_head(k);
    head.epoch = UINT64_MAX;
    hear(k, "liar", head, 0);
    assert_int_equal(fleet_epoch(k->fleet, "production"), 0);
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
    hear(k, "d", (head.state = ENV_DIVERGED, head), 100000);
    hear(k, "a", our_head(k), 100000); /* again */
    fleet_counts(k->fleet, "production", 100000, counts);
    assert_int_equal(counts[FLEET_CURRENT], 1);
    assert_int_equal(counts[FLEET_BEHIND], 2);
    assert_int_equal(counts[FLEET_SILENT], 1);
    assert_int_equal(counts[FLEET_REFUSING], 2);
    fleet_counts(k->fleet, "nowhere", 100000, counts);
    assert_int_equal(counts[FLEET_CURRENT], 0);
}

static void environments_that_are_not_ours_take_no_memory(void **state)
{
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    head.name = SLICE("nowhere");
    hear(k, "h", head, 0);
    fleet_counts(k->fleet, "nowhere", 0, counts);
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
        struct store_read *r;
        struct frame_status status = {.id = ids[i], .envs = &head, .env_count = 1};
        assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
        fleet_heard(k->fleet, r, &status, 0);
        store_read_end(r);
    }
    fleet_counts(k->fleet, "production", 0, counts);
    assert_int_equal(counts[FLEET_CURRENT], 3);
}

static void the_host_silent_longest_is_forgotten_when_there_are_too_many(void **state)
{
    struct kit *k = *state;
    uint32_t counts[FLEET_STATES];
    struct env_head head = our_head(k);
    char id[16];
    for (int i = 0; i < FLEET_HOSTS_MAX + 10; i++) {
        snprintf(id, sizeof id, "h%d", i);
        hear(k, id, head, i);
    }
    fleet_counts(k->fleet, "production", 0, counts);
    assert_int_equal(counts[FLEET_CURRENT], FLEET_HOSTS_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(hosts_at_our_versions_are_no_cause_for_alarm),
        T(a_version_that_we_do_not_have_shows_that_we_were_set_back),
        T(another_hash_at_one_of_our_versions_shows_it_too),
        T(another_hash_at_an_older_version_shows_it_too),
        T(a_new_epoch_above_all_heard_of_is_the_way_on),
        T(an_epoch_that_nothing_could_follow_is_not_believed),
        T(hosts_are_counted_by_how_they_stand),
        T(environments_that_are_not_ours_take_no_memory),
        T(ids_with_odd_bytes_stay_apart),
        T(the_host_silent_longest_is_forgotten_when_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
