/* How the hosts stand, counted once: the same as looking at each of them. */
#include "fleet_kit.h"

#include "primary/roll.h"

enum { HOSTS = 500, VERSIONS = 12 };

struct looked {
    uint64_t epoch, version;
    uint32_t live, silent, lagging;
};

static void look(void *arg, const struct fleet_host *host)
{
    struct looked *l = arg;
    l->silent += host->state == FLEET_SILENT;
    if (host->state == FLEET_SILENT)
        return;
    l->live++;
    l->lagging +=
        host->epoch != l->epoch || host->version < l->version || host->state == FLEET_REFUSING;
}

static void hear_number(struct kit *k, uint32_t n, struct env_head head)
{
    char id[16];
    snprintf(id, sizeof id, "h%u", n);
    hear(k, id, head, clock_mono_ms() - (n % 11 == 0 ? FLEET_SILENT_MS + 60000 : 0));
}

static void hear_some(struct kit *k)
{
    for (uint32_t n = 0; n < HOSTS; n++) {
        struct env_head head = our_head(k);
        head.version = hash_random_below(VERSIONS);
        head.epoch -= n % 7 == 0;
        if (n % 5 == 0)
            head.state = ENV_REFUSING;
        hear_number(k, n, head);
    }
}

static void a_roll_says_what_looking_at_each_host_says(void **state)
{
    struct kit *k = *state;
    struct store_env env = kit_env(k, "production");
    struct rolls rolls = {0};
    const struct roll *roll;
    assert_int_equal(rolls_get(&rolls, k->fleet, &env, &roll), HOIST_OK);
    assert_int_equal(roll->live + roll->silent + roll_lagging(roll, 1), 0);
    rolls_clear(&rolls);
    hear_some(k);
    for (uint64_t version = 0; version <= VERSIONS; version++) {
        struct looked l = {.epoch = env.epoch, .version = version};
        assert_int_equal(rolls_get(&rolls, k->fleet, &env, &roll), HOIST_OK);
        fleet_each(k->fleet, &env, look, &l);
        assert_int_equal(roll->live, l.live);
        assert_int_equal(roll->silent, l.silent);
        assert_int_equal(roll_lagging(roll, version), l.lagging);
    }
    assert_true(roll->silent > 0 && roll->live > roll->off && roll->off > 0);
    assert_true(roll->count <= VERSIONS);
    rolls_done(&rolls);
}

static void hosts_are_counted_once_for_each_environment_and_epoch(void **state)
{
    struct kit *k = *state;
    struct store_env env = kit_env(k, "production"), other = env;
    struct rolls rolls = {0};
    const struct roll *roll;
    hear_number(k, 1, our_head(k));
    assert_int_equal(rolls_get(&rolls, k->fleet, &env, &roll), HOIST_OK);
    assert_int_equal(roll->live, 1);
    hear_number(k, 2, our_head(k));
    assert_int_equal(rolls_get(&rolls, k->fleet, &env, &roll), HOIST_OK);
    assert_int_equal(roll->live, 1);
    other.epoch++;
    assert_int_equal(rolls_get(&rolls, k->fleet, &other, &roll), HOIST_OK);
    assert_int_equal(roll->off, 2);
    other = env;
    snprintf(other.name, sizeof other.name, "staging");
    assert_int_equal(rolls_get(&rolls, k->fleet, &other, &roll), HOIST_OK);
    assert_int_equal(roll->live, 0); /* nobody follows it */
    rolls_clear(&rolls);
    assert_int_equal(rolls_get(&rolls, k->fleet, &env, &roll), HOIST_OK);
    assert_int_equal(roll->live, 2);
    rolls_done(&rolls);
}

static void without_memory_nothing_is_counted(void **state)
{
    struct kit *k = *state;
    struct store_env env = kit_env(k, "production");
    struct rolls rolls = {0};
    const struct roll *roll = NULL;
    int n = 1;
    hear_some(k);
    for (;; n++) {
        mem_fail_at(n);
        enum hoist_err err = rolls_get(&rolls, k->fleet, &env, &roll);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed)
            break;
        assert_int_equal(err, HOIST_ENOMEM);
        assert_int_equal(rolls.count, 0);
        assert_null(roll);
    }
    assert_true(n > 2);
    assert_non_null(roll);
    rolls_done(&rolls);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fleet_setup, fleet_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_roll_says_what_looking_at_each_host_says),
        CASE(hosts_are_counted_once_for_each_environment_and_epoch),
        CASE(without_memory_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
