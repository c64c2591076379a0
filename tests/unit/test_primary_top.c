#include "fleet_kit.h"

#include "base/text.h"
#include "primary/query_top.h"

struct site { /* a kit, and what the question keeps between two answers */
    struct kit *k;
    struct killed killed;
};

static int setup(void **state)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    fleet_setup((void **)&s->k);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    killed_done(&s->killed);
    fleet_teardown((void **)&s->k);
    mem_free(s);
    return 0;
}

static struct told top(struct site *s, const char *args)
{
    struct store_read *r;
    struct buf out = BUF_INIT(64 << 20);
    json_t *a = json_loads(args, 0, NULL);
    assert_non_null(a);
    assert_int_equal(store_read_begin(s->k->store, false, &r), HOIST_OK);
    uint32_t exit = top_answer(&s->killed, s->k->fleet, r, a, &out);
    store_read_end(r);
    struct told t = {exit, kit_json(&out)};
    json_decref(a);
    buf_done(&out);
    return t;
}

static uint64_t count(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static const json_t *nth(const json_t *object, const char *name, size_t i)
{
    return json_array_get(json_object_get(object, name), i);
}

/* The ids of the hosts that are shown, with blanks between them. */
static void assert_hosts(struct site *s, const char *args, const char *want)
{
    char ids[1024] = "";
    struct told t = top(s, args);
    assert_int_equal(t.exit, EXIT_DONE);
    size_t i, len = 0;
    json_t *h;
    json_array_foreach(json_object_get(t.body, "hosts"), i, h)
    {
        len +=
            (size_t)snprintf(ids + len, sizeof ids - len, "%s%s", i ? " " : "", kit_text(h, "id"));
    }
    assert_string_equal(ids, want);
    told_done(&t);
}

/* `host` has the head but for `lag` versions, and was heard `ago_ms` ago. */
static void hear_of(struct site *s, const char *host, uint64_t lag, int64_t ago_ms)
{
    struct env_head head = our_head(s->k);
    head.version -= lag;
    hear(s->k, host, head, clock_mono_ms() - ago_ms);
}

static void the_slowest_hosts_stand_first_and_others_can_be_scrolled_to(void **state)
{
    struct site *s = *state;
    hear_of(s, "a-current", 0, 0);
    hear_of(s, "b-current", 0, 3000);
    hear_of(s, "one-behind", 1, 0);
    hear_of(s, "two-behind", 2, 0);
    hear_of(s, "silent", 0, FLEET_SILENT_MS + 5000);
    assert_hosts(s, "{}", "two-behind one-behind silent a-current b-current");
    assert_hosts(s, "{\"hosts\":2}", "two-behind one-behind");
    assert_hosts(s, "{\"hosts\":2,\"skip\":1}", "one-behind silent");
    assert_hosts(s, "{\"hosts\":2,\"skip\":1000000}", "a-current b-current");
    assert_hosts(s, "{\"sort\":\"name\",\"hosts\":3}", "a-current b-current one-behind");
    assert_hosts(s, "{\"sort\":\"silence\",\"hosts\":2}", "silent b-current");
    assert_hosts(s, "{\"hosts\":0}", "");
    struct told t = top(s, "{\"hosts\":1,\"skip\":4}");
    assert_int_equal(count(t.body, "skip"), 4);
    assert_int_equal(count(t.body, "hosts_count"), 5);
    told_done(&t);
}

static void
an_environment_has_its_hosts_by_state_and_the_worst_lag_of_those_that_are_heard(void **state)
{
    struct site *s = *state;
    kit_do(s->k, "env_create", "{\"env\":\"staging\"}", "changed");
    hear_of(s, "fine", 0, 0);
    hear_of(s, "behind", 1, 0);
    hear_of(s, "gone", 2, FLEET_SILENT_MS + 5000);
    struct told t = top(s, "{\"env\":\"production\"}");
    const json_t *env = nth(t.body, "environments", 0), *counts = json_object_get(env, "counts");
    assert_string_equal(kit_text(env, "env"), "production");
    assert_int_equal(count(env, "head"), 3);
    assert_int_equal(count(env, "lag"), 1);
    assert_int_equal(count(counts, "current"), 1);
    assert_int_equal(count(counts, "behind"), 1);
    assert_int_equal(count(counts, "silent"), 1);
    env = nth(t.body, "environments", 1);
    assert_string_equal(kit_text(env, "env"), "staging");
    assert_int_equal(count(json_object_get(env, "counts"), "current"), 0);
    assert_int_equal(count(t.body, "environments_count"), 2);
    told_done(&t);
}

static void the_last_changes_are_told_and_how_many_there_were(void **state)
{
    struct site *s = *state;
    char body[64];
    for (int i = 0; i < 40; i++) {
        snprintf(body, sizeof body, "{\"key\":\"k\",\"value\":\"%s\"}", i % 2 ? "off" : "on");
        kit_do(s->k, "set", body, "changed");
    }
    struct told t = top(s, "{\"changes\":2}");
    const json_t *env = nth(t.body, "environments", 0), *change = nth(t.body, "changes", 0);
    assert_int_equal(json_array_size(json_object_get(t.body, "changes")), 2);
    assert_int_equal(count(change, "version"), 43);
    assert_string_equal(kit_text(change, "author"), "ana");
    assert_string_equal(kit_text(change, "kind"), "set");
    assert_string_equal(json_string_value(nth(change, "keys", 0)), "k");
    /* The kit's commands are of 2023. */
    assert_int_equal(count(env, "changes_10s"), 0);
    assert_int_equal(count(env, "changes_60s"), 0);
    told_done(&t);
}

static void what_is_killed_follows_kills_restores_and_deletions(void **state)
{
    struct site *s = *state;
    kit_do(s->k, "set", "{\"key\":\"j\",\"value\":\"on\"}", "changed");
    kit_do(s->k, "kill", "{\"keys\":[\"k\"],\"message\":\"smoke\"}", "changed");
    for (int again = 0; again < 2; again++) { /* by reading all, then by the log */
        struct told t = top(s, "{}");
        const json_t *k = nth(t.body, "killed", 0);
        assert_int_equal(count(t.body, "killed_count"), 1);
        assert_string_equal(kit_text(k, "key"), "k");
        assert_string_equal(kit_text(k, "variant"), "off");
        assert_string_equal(kit_text(k, "author"), "ana");
        assert_string_equal(kit_text(k, "message"), "smoke");
        assert_int_equal(count(nth(t.body, "environments", 0), "killed"), 1);
        told_done(&t);
    }
    static const struct {
        const char *name, *body;
        uint64_t killed;
        const char *first;
    } steps[] = {
        {"kill", "{\"keys\":[\"j\"]}", 2, "j"},
        {"set", "{\"key\":\"k\",\"value\":\"on\"}", 2, "j"},
        {"restore", "{\"keys\":[\"j\"]}", 1, "k"},
        {"delete", "{\"key\":\"k\"}", 0, ""},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        kit_do(s->k, steps[i].name, steps[i].body, "changed");
        struct told t = top(s, "{}");
        assert_int_equal(count(t.body, "killed_count"), steps[i].killed);
        assert_string_equal(kit_text(nth(t.body, "killed", 0), "key"), steps[i].first);
        told_done(&t);
    }
}

static void a_long_way_is_not_walked_and_comes_to_the_same(void **state)
{
    struct site *s = *state;
    char body[64];
    kit_do(s->k, "kill", "{\"keys\":[\"k\"]}", "changed");
    struct told t = top(s, "{}");
    told_done(&t);
    for (int i = 0; i < 1100; i++) {
        snprintf(body, sizeof body, "{\"key\":\"j\",\"value\":\"%s\"}", i % 2 ? "off" : "on");
        kit_do(s->k, "set", body, "changed");
    }
    kit_do(s->k, "kill", "{\"keys\":[\"j\"],\"variant\":\"on\"}", "changed");
    t = top(s, "{\"killed\":1}");
    assert_int_equal(count(t.body, "killed_count"), 2);
    assert_int_equal(json_array_size(json_object_get(t.body, "killed")), 1);
    assert_string_equal(kit_text(nth(t.body, "killed", 0), "variant"), "on");
    told_done(&t);
}

static void the_answer_stays_small_whatever_the_fleet_is(void **state)
{
    struct site *s = *state;
    char id[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "host-%04d", i);
        hear_of(s, id, (uint64_t)(i % 3), 0);
    }
    struct told t = top(s, "{\"hosts\":100000,\"skip\":2600,\"sort\":\"name\"}");
    assert_int_equal(count(t.body, "hosts_count"), 3000);
    assert_int_equal(json_array_size(json_object_get(t.body, "hosts")), TOP_HOSTS_MAX);
    assert_string_equal(kit_text(nth(t.body, "hosts", 0), "id"), "host-2500");
    assert_string_equal(kit_text(nth(t.body, "hosts", TOP_HOSTS_MAX - 1), "id"), "host-2999");
    told_done(&t);
}

static void wrong_arguments_are_bad_input(void **state)
{
    struct site *s = *state;
    static const char *const asked[] = {
        "{\"env\":5}",      "{\"env\":\"nowhere\"}", "{\"sort\":\"age\"}", "{\"hosts\":-1}",
        "{\"skip\":\"x\"}", "{\"changes\":[]}",      "{\"killed\":true}",  "{\"sort\":1}"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct told t = top(s, asked[i]);
        assert_int_equal(t.exit, EXIT_INPUT);
        assert_true(*kit_error(&t));
        told_done(&t);
    }
}

static void without_memory_it_fails_and_the_next_answer_is_right(void **state)
{
    struct site *s = *state;
    hear_of(s, "host", 0, 0);
    kit_do(s->k, "kill", "{\"keys\":[\"k\"]}", "changed");
    for (int n = 1;; n++) {
        struct store_read *r;
        struct buf out = BUF_INIT(1 << 20);
        json_t *args = json_object();
        assert_int_equal(store_read_begin(s->k->store, false, &r), HOIST_OK);
        killed_done(&s->killed);
        mem_fail_at(n);
        uint32_t exit = top_answer(&s->killed, s->k->fleet, r, args, &out);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        store_read_end(r);
        json_decref(args);
        buf_done(&out);
        struct told t = top(s, "{}");
        assert_int_equal(t.exit, EXIT_DONE);
        assert_int_equal(count(t.body, "killed_count"), 1);
        told_done(&t);
        if (!failed) {
            assert_int_equal(exit, EXIT_DONE);
            break;
        }
    }
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(the_slowest_hosts_stand_first_and_others_can_be_scrolled_to),
        WITH(an_environment_has_its_hosts_by_state_and_the_worst_lag_of_those_that_are_heard),
        WITH(the_last_changes_are_told_and_how_many_there_were),
        WITH(what_is_killed_follows_kills_restores_and_deletions),
        WITH(a_long_way_is_not_walked_and_comes_to_the_same),
        WITH(the_answer_stays_small_whatever_the_fleet_is),
        WITH(wrong_arguments_are_bad_input),
        WITH(without_memory_it_fails_and_the_next_answer_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
