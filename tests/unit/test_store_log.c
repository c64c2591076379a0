#include "store_kit.h"

#include "base/uuid.h"
#include "store/write_int.h"

static struct store_read *begin(struct store *s, struct store_env *env)
{
    struct store_read *r;
    OK(store_read_begin(s, false, &r));
    OK(store_env_get(r, "production", env));
    return r;
}

/* The text of `key` as of `version`; "(none)", or the word of the error. */
static const char *at(struct store *s, const char *key, uint64_t version)
{
    struct store_env env;
    struct slice record;
    struct store_read *r = begin(s, &env);
    enum hoist_err err = store_record_at(r, env.id, slice_str(key), version, &record);
    const char *text = err == HOIST_ENOTFOUND ? "(none)"
                       : err                  ? err_word(err)
                                              : kit_text(key, record);
    store_read_end(r);
    return text;
}

static uint64_t touched(struct store *s, const char *key, uint64_t version)
{
    struct store_env env;
    uint64_t v = 0;
    struct store_read *r = begin(s, &env);
    enum hoist_err err = store_touched(r, env.id, slice_str(key), version, &v);
    assert_true(err == HOIST_OK || err == HOIST_ENOTFOUND);
    store_read_end(r);
    return v;
}

/* Ticks until there is nothing more to do. */
static void settle(struct store *s)
{
    bool more = true;
    for (int i = 0; more && i < 10000; i++)
        OK(store_tick(s, clock_wall_ms(), &more));
    assert_false(more);
}

static void a_change_is_logged_byte_for_byte(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_env env;
    struct slice bytes;
    struct change c;
    kit_set(s, "production", "a", "1");
    kit_set(s, "production", "a", "2");
    struct store_read *r = begin(s, &env);
    OK(store_log_get(r, env.id, 2, &bytes));
    OK(change_decode(bytes, &c));
    assert_int_equal(c.head.version, 2);
    assert_memory_equal(c.hash, env.hash, HASH_SIZE);
    IS(store_log_get(r, env.id, 3, &bytes), HOIST_ENOTFOUND);
    IS(store_log_get(r, env.id, 0, &bytes), HOIST_ENOTFOUND);
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void the_next_change_is_found_behind_a_hole(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_env env;
    struct slice bytes;
    struct change c;
    struct store_write *w;
    uint64_t v;
    kit_set(s, "production", "a", "1");
    kit_set(s, "staging", "a", "1"); /* whose rows are the next ones */
    for (int i = 0; i < 4; i++)
        kit_set(s, "production", "a", i % 2 ? "1" : "2"); /* up to 5 */
    env = kit_env(s, "production");
    OK(store_write_begin(s, &w));
    for (uint64_t gone = 2; gone <= 4; gone++) {
        struct row_key k = row_log(env.id, gone);
        OK(write_del(w, DB_LOG, val_key(&k)));
    }
    OK(store_write_commit(w));
    struct store_read *r = begin(s, &env);
    OK(store_log_next(r, env.id, 0, &v, &bytes));
    assert_int_equal(v, 1);
    OK(store_log_next(r, env.id, 1, &v, &bytes));
    assert_int_equal(v, 5);
    OK(change_decode(bytes, &c));
    assert_int_equal(c.head.version, 5);
    IS(store_log_next(r, env.id, 5, &v, &bytes), HOIST_ENOTFOUND);
    IS(store_log_next(r, env.id, UINT64_MAX, &v, &bytes), HOIST_ENOTFOUND);
    assert_int_equal(v, 5);
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void the_record_of_any_version_can_be_told(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    kit_set(s, "production", "a", "1"); /* 1 */
    kit_set(s, "production", "b", "x"); /* 2 */
    kit_set(s, "production", "a", "3"); /* 3 */
    kit_unset(s, "production", "a");    /* 4 */
    kit_set(s, "production", "a", "5"); /* 5 */
    assert_string_equal(at(s, "a", 0), "(none)");
    assert_string_equal(at(s, "a", 1), "1");
    assert_string_equal(at(s, "a", 2), "1");
    assert_string_equal(at(s, "a", 3), "3");
    assert_string_equal(at(s, "a", 4), "(none)");
    assert_string_equal(at(s, "a", 5), "5");
    assert_string_equal(at(s, "b", 1), "(none)");
    assert_string_equal(at(s, "b", 5), "x");
    assert_string_equal(at(s, "never", 3), "(none)");
    assert_int_equal(touched(s, "a", 5), 5);
    assert_int_equal(touched(s, "a", 2), 1);
    assert_int_equal(touched(s, "a", 0), 0);
    assert_int_equal(touched(s, "a", UINT64_MAX), 5);
    assert_int_equal(touched(s, "never", 5), 0);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_cut_log_leaves_every_kept_version_as_it_was(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.log_min = 5});
    enum { VERSIONS = 60, KEYS = 7 };
    char expected[VERSIONS + 1][KEYS][32], key[8], text[32];
    for (int k = 0; k < KEYS; k++)
        strcpy(expected[0][k], "(none)");
    srand(7);
    for (int v = 1; v <= VERSIONS; v++) {
        memcpy(expected[v], expected[v - 1], sizeof expected[v]);
        struct kit_edits e = kit_edits();
        for (int k = 0; k < KEYS; k++) {
            int dice = rand() % 10;
            snprintf(key, sizeof key, "k%d", k);
            snprintf(text, sizeof text, "%d-%d", v, k);
            if (dice < 2) {
                kit_put(&e, key, text);
                strcpy(expected[v][k], text);
            } else if (dice == 2) {
                kit_delete(&e, key);
                strcpy(expected[v][k], "(none)");
            }
        }
        kit_change(s, "production", &e);
        if (v % 3 == 0)
            settle(s);
        struct store_env env = kit_env(s, "production");
        assert_true(env.head + 1 - env.log_first <= 5 + 3);
        for (uint64_t past = env.log_first - 1; past <= env.head; past++)
            for (int k = 0; k < KEYS; k++) {
                snprintf(key, sizeof key, "k%d", k);
                assert_string_equal(at(s, key, past), expected[past][k]);
            }
    }
    settle(s);
    struct store_env env = kit_env(s, "production");
    assert_int_equal(env.log_first, VERSIONS - 4);
    struct store_read *r = begin(s, &env);
    struct slice bytes;
    uint64_t sum = 0;
    for (uint64_t v = 1; v <= env.head; v++) {
        enum hoist_err err = store_log_get(r, env.id, v, &bytes);
        assert_int_equal(err, v < env.log_first ? HOIST_ENOTFOUND : HOIST_OK);
        sum += err ? 0 : bytes.len;
    }
    assert_int_equal(sum, env.log_bytes);
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_huge_change_is_cut_in_pieces_between_which_history_stays_right(void **state)
{
    char *dir = kit_dir(), key[16];
    struct store *s = kit_open_with(dir, (struct store_options){.log_min = 1});
    enum { KEYS = 10000 };
    struct kit_edits e = kit_edits();
    for (int k = 0; k < KEYS; k++) {
        snprintf(key, sizeof key, "k%05d", k);
        kit_put(&e, key, "old");
    }
    kit_change(s, "production", &e);
    kit_set(s, "production", "k00001", "new");
    kit_set(s, "production", "k09999", "new");
    int pieces = 0;
    for (bool more = true; more; pieces++) {
        OK(store_tick(s, clock_wall_ms(), &more));
        struct store_env env = kit_env(s, "production");
        for (uint64_t v = env.log_first - 1; v <= 3; v++) {
            if (v == 0)
                continue;
            assert_string_equal(at(s, "k00001", v), v < 2 ? "old" : "new");
            assert_string_equal(at(s, "k09999", v), v < 3 ? "old" : "new");
            assert_string_equal(at(s, "k05000", v), "old");
        }
        if (pieces == 1) { /* and it goes on after a crash */
            store_close(s);
            s = kit_open_with(dir, (struct store_options){.log_min = 1});
        }
    }
    assert_true(pieces > 2);
    assert_int_equal(kit_env(s, "production").log_first, 3);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void the_log_is_cut_by_bytes_and_by_age(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.log_bytes = 4000});
    for (int i = 0; i < 100; i++)
        kit_set(s, "production", "a", i % 2 ? "1" : "2");
    settle(s);
    struct store_env env = kit_env(s, "production");
    assert_true(env.log_bytes <= 4000);
    assert_true(env.log_first > 50);
    assert_true(env.log_first < env.head);
    store_close(s);
    kit_remove(dir);

    dir = kit_dir();
    s = kit_open_with(dir,
                      (struct store_options){.primary = true, .log_min = 3, .log_age_ms = 1000});
    for (int i = 0; i < 10; i++)
        kit_set(s, "production", "a", i % 2 ? "1" : "2");
    bool more;
    OK(store_tick(s, clock_wall_ms() + 5000, &more));
    assert_int_equal(kit_env(s, "production").log_first, 8);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_pinned_log_is_not_cut_above_the_pin(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.log_min = 2});
    for (int i = 0; i < 20; i++)
        kit_set(s, "production", "a", i % 2 ? "1" : "2");
    uint16_t id = kit_env(s, "production").id;
    store_log_pin(s, id, 10);
    settle(s);
    assert_int_equal(kit_env(s, "production").log_first, 11);
    store_log_pin(s, id, UINT64_MAX);
    settle(s);
    assert_int_equal(kit_env(s, "production").log_first, 19);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_answer_is_kept_with_its_request_until_it_is_old_and_one_of_many(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_write *w;
    struct store_read *r;
    struct slice answer;
    uint8_t request[REQUEST_ID_SIZE] = {0};
    enum { MANY = 12000, MS = 1000000 };
    OK(store_write_begin(s, &w));
    for (int i = 0; i < MANY; i++) {
        memcpy(request, &i, sizeof i);
        OK(store_command_put(w, request, SLICE("{\"exit\":0}"), i < 100 ? MS : 2 * MS));
    }
    int twice = 7;
    memcpy(request, &twice, sizeof twice);
    OK(store_command_put(w, request, SLICE("again"), 2 * MS));
    OK(store_command_get(store_write_read(w), request, &answer));
    OK(store_write_commit(w));

    bool more = true;
    while (more)
        OK(store_tick(s, MS + 11 * 60 * 1000, &more));
    OK(store_read_begin(s, false, &r));
    OK(store_command_get(r, request, &answer)); /* it is young again */
    assert_true(slice_eq(answer, SLICE("again")));
    int first = 5;
    memcpy(request, &first, sizeof first);
    IS(store_command_get(r, request, &answer), HOIST_ENOTFOUND); /* old, and many are behind it */
    int later = 150;
    memcpy(request, &later, sizeof later);
    OK(store_command_get(r, request, &answer));
    store_read_end(r);

    more = true;
    while (more)
        OK(store_tick(s, 3 * MS + 11 * 60 * 1000, &more));
    OK(store_read_begin(s, false, &r));
    IS(store_command_get(r, request, &answer), HOIST_ENOTFOUND);
    int last = MANY - 1;
    memcpy(request, &last, sizeof last);
    OK(store_command_get(r, request, &answer)); /* old, but one of the last 10,000 */
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static uint64_t used_bytes(struct store *s)
{
    struct store_stats stats;
    store_stats(s, &stats);
    return stats.used_bytes;
}

/* Of random ids the pages get emptier for half an hour: a fifth more of them. */
static void the_room_for_answers_stands_still_once_those_of_ten_minutes_are_there(void **state)
{
    enum { A_SECOND = 20, A_COMMIT = 10, SETTLED_S = 12 * 60, END_S = 40 * 60 };
    char *dir = kit_dir(), text[200];
    struct store *s = kit_open(dir);
    struct store_write *w;
    uint8_t request[REQUEST_ID_SIZE];
    uint64_t settled = 0;
    bool more;
    memset(text, 'x', sizeof text);
    for (int i = 0; i < END_S * A_SECOND / A_COMMIT; i++) {
        int64_t now = INT64_C(1000) * i * A_COMMIT / A_SECOND;
        OK(store_write_begin(s, &w));
        for (int64_t ms = now; ms < now + A_COMMIT; ms++) {
            uuid_new(request, ms);
            OK(store_command_put(w, request, slice_of(text, sizeof text), now));
        }
        OK(store_write_commit(w));
        OK(store_tick(s, now, &more));
        if (now == INT64_C(1000) * SETTLED_S)
            settled = used_bytes(s);
    }
    assert_in_range(used_bytes(s), settled / 2, settled + settled / 20);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_epoch_begins_with_the_next_version(void **state)
{
    char *here = kit_dir(), *there = kit_dir();
    struct store *s = kit_open(here), *agent = kit_open(there);
    kit_set(s, "production", "a", "1");
    struct store_write *w;
    struct store_env env = kit_env(s, "production");
    OK(store_write_begin(s, &w));
    IS(store_epoch_set(w, env.id, KIT_EPOCH), HOIST_EINVAL);
    OK(store_epoch_set(w, env.id, KIT_EPOCH + 1));
    struct kit_edits none = kit_edits();
    OK(kit_change_in(w, env.id, &none, 1, CHANGE_SET));
    OK(store_write_commit(w));
    env = kit_env(s, "production");
    assert_int_equal(env.epoch, KIT_EPOCH + 1);
    assert_int_equal(env.head, 2);
    /* A change of another epoch that does not say that it begins one is refused. */
    IS(kit_follow(agent, s, "production"), HOIST_ECORRUPT);
    store_close(s);
    store_close(agent);
    kit_remove(here);
    kit_remove(there);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_logged_byte_for_byte),
        cmocka_unit_test(the_next_change_is_found_behind_a_hole),
        cmocka_unit_test(the_record_of_any_version_can_be_told),
        cmocka_unit_test(a_cut_log_leaves_every_kept_version_as_it_was),
        cmocka_unit_test(a_huge_change_is_cut_in_pieces_between_which_history_stays_right),
        cmocka_unit_test(the_log_is_cut_by_bytes_and_by_age),
        cmocka_unit_test(a_pinned_log_is_not_cut_above_the_pin),
        cmocka_unit_test(an_answer_is_kept_with_its_request_until_it_is_old_and_one_of_many),
        cmocka_unit_test(the_room_for_answers_stands_still_once_those_of_ten_minutes_are_there),
        cmocka_unit_test(an_epoch_begins_with_the_next_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
