#include "store_kit.h"

#include <lmdb.h>
#include <sched.h>

static void flags_are_walked_in_the_order_of_their_keys(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_read *r;
    kit_set(s, "other", "zzz", "x");
    struct kit_edits e = kit_edits();
    for (int i = 499; i >= 0; i--) {
        char key[16];
        snprintf(key, sizeof key, "k%03d", i);
        kit_put(&e, key, "x");
    }
    kit_change(s, "production", &e);
    uint16_t id = kit_env(s, "production").id;
    OK(store_read_begin(s, false, &r));
    for (int round = 0; round < 2; round++) { /* twice: the cursor is there already */
        struct slice after = {0}, key, record;
        for (int i = 0; i < 500; i++) {
            char expected[16];
            snprintf(expected, sizeof expected, "k%03d", i);
            OK(store_record_next(r, id, after, &key, &record));
            assert_true(slice_eq(key, slice_str(expected)));
            after = key;
        }
        IS(store_record_next(r, id, after, &key, &record), HOIST_ENOTFOUND);
        /* From a key that is not there, and from one far off. */
        OK(store_record_next(r, id, SLICE("k2"), &key, &record));
        assert_true(slice_eq(key, SLICE("k200")));
        OK(store_record_next(r, id, SLICE("k123"), &key, &record));
        assert_true(slice_eq(key, SLICE("k124")));
        store_read_end(r);
        OK(store_read_begin(s, false, &r));
    }
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void environments_are_named_in_the_order_that_was_asked_for(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_read *r;
    struct store_env env;
    kit_set(s, "b", "k", "x");
    kit_set(s, "a", "k", "x");
    kit_set(s, "c", "k", "x");
    static const char *const first[] = {"b", "a", "c"}, *const then[] = {"c", "a", "b"};
    for (int round = 0; round < 2; round++) {
        OK(store_read_begin(s, false, &r));
        for (uint32_t n = 0; n < 3; n++) {
            OK(store_env_at(r, n, &env));
            assert_string_equal(env.name, (round ? then : first)[n]);
        }
        IS(store_env_at(r, 3, &env), HOIST_ENOTFOUND);
        OK(store_env_get(r, NULL, &env));
        assert_string_equal(env.name, (round ? then : first)[0]);
        store_read_end(r);
        OK(store_env_order(s, (const char *const[]){"c", "nowhere", "a"}, 3));
    }
    struct store_write *w;
    OK(store_write_begin(s, &w));
    IS(store_env_create(w, "a", &env), HOIST_EINVAL);
    IS(store_env_create(w, "No Good", &env), HOIST_EINVAL);
    store_write_abort(w);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void keys_that_no_flag_can_have_are_not_found(void **state)
{
    char *dir = kit_dir(), name[80];
    struct store *s = kit_open(dir);
    struct store_read *r;
    struct store_env env;
    struct slice record;
    static uint8_t long_key[300];
    memset(long_key, 'k', sizeof long_key);
    memset(name, 'n', sizeof name);
    name[79] = '\0';
    kit_set(s, "production", "a", "1");
    OK(store_read_begin(s, false, &r));
    OK(store_env_get(r, NULL, &env));
    IS(store_env_get(r, name, &env), HOIST_ENOTFOUND);
    IS(store_env_get(r, "", &env), HOIST_ENOTFOUND);
    for (int held = 0; held < 2; held++) {
        IS(store_flag_get(r, env.id, held, (struct slice){0}, &record), HOIST_ENOTFOUND);
        IS(store_flag_get(r, env.id, held, slice_of(long_key, 256), &record), HOIST_ENOTFOUND);
        IS(store_flag_get(r, env.id, held, slice_of(long_key, 255), &record), HOIST_ENOTFOUND);
        OK(store_flag_get(r, env.id, held, SLICE("a"), &record));
    }
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_view_pins_its_version_while_changes_land(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    struct store_read *view;
    struct store_env env;
    struct slice record;
    kit_set(w, "production", "a", "old");
    OK(store_read_begin(s, true, &view));
    for (int i = 0; i < 100; i++)
        kit_set(w, "production", "a", "new");
    OK(store_env_get(view, NULL, &env));
    assert_int_equal(env.head, 1);
    OK(store_flag_get(view, env.id, false, SLICE("a"), &record));
    assert_string_equal(kit_text("a", record), "old");
    assert_string_equal(kit_get(s, "production", "a"), "new");
    store_read_end(view);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void reads_beyond_those_parked_are_told_to_come_again(void **state)
{
    char *dir = kit_dir();
    store_close(kit_open(dir));
    struct store *s = kit_open_reader(dir);
    struct store_read *r[2][STORE_PARKED], *one_more;
    for (int view = 0; view < 2; view++) {
        for (int i = 0; i < STORE_PARKED; i++)
            OK(store_read_begin(s, view, &r[view][i]));
        int64_t before = clock_mono_ms();
        IS(store_read_begin(s, view, &one_more), HOIST_EAGAIN);
        assert_true(clock_mono_ms() - before < 500);
    }
    store_read_end(r[1][7]);
    OK(store_read_begin(s, true, &r[1][7]));
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < STORE_PARKED; i++)
            store_read_end(r[view][i]);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* One read at a time, on each processor in turn, takes one slot: the table is the whole host's. */
static void a_program_takes_as_many_slots_as_it_reads_at_once(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    struct store_stats before, after;
    struct store_read *one, *two;
    cpu_set_t all, cpu;
    store_stats(w, &before);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all))
            continue;
        CPU_ZERO(&cpu);
        CPU_SET(i, &cpu);
        assert_int_equal(sched_setaffinity(0, sizeof cpu, &cpu), 0);
        OK(store_read_begin(s, false, &one));
        store_read_end(one);
        store_stats(w, &after);
        assert_int_equal(after.readers - before.readers, 1);
    }
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    OK(store_read_begin(s, false, &one));
    OK(store_read_begin(s, false, &two));
    store_read_end(one);
    store_read_end(two);
    store_stats(w, &after);
    assert_int_equal(after.readers - before.readers, 2);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void a_small_map_is_made_anew_beside_the_old_one_when_the_file_outgrows_it(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s;
    kit_set(w, "production", "first", "1");
    OK(store_open_reader(dir, 256 << 10, &s));
    struct store_read *view;
    OK(store_read_begin(s, true, &view));
    struct kit_edits e = kit_edits();
    for (int i = 0; i < 20000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        kit_put(&e, key, "some text that makes the file grow");
    }
    kit_change(w, "production", &e);
    assert_string_equal(kit_get(s, "production", "k19999"), "some text that makes the file grow");
    struct store_env env;
    struct slice record;
    OK(store_env_get(view, NULL, &env)); /* the old map still stands */
    assert_int_equal(env.head, 1);
    OK(store_flag_get(view, env.id, false, SLICE("first"), &record));
    assert_string_equal(kit_text("first", record), "1");
    store_read_end(view);
    assert_false(store_is_replaced(s));
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void a_store_put_in_place_of_another_is_noticed(void **state)
{
    char *dir = kit_dir(), *other = kit_dir(), away[128];
    snprintf(away, sizeof away, "%s-away", dir);
    store_close(kit_open(dir));
    store_close(kit_open(other));
    struct store *s = kit_open_reader(dir);
    assert_false(store_is_replaced(s));
    assert_int_equal(rename(dir, away), 0);
    assert_false(store_is_replaced(s)); /* gone is not replaced: the last known goes on */
    assert_int_equal(rename(other, dir), 0);
    assert_true(store_is_replaced(s));
    store_close(s);
    kit_remove(dir);
    kit_remove(away);
    (void)state;
}

static void a_child_opens_anew_and_leaves_its_parents_reads_alone(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir);
    kit_set(w, "production", "a", "1");
    struct store *s = kit_open_reader(dir);
    struct store_read *r;
    OK(store_read_begin(s, true, &r));
    pid_t child = fork();
    if (child == 0) {
        struct store_read *mine;
        if (store_read_begin(s, false, &mine) != HOIST_EIO)
            _exit(1);
        store_read_end(r);
        store_abandon(s);
        store_close(w); /* the same as to abandon it */
        if (store_open_reader(dir, 0, &s) != HOIST_OK)
            _exit(2);
        _exit(strcmp(kit_get(s, "production", "a"), "1") != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* The parent's slot still keeps its version's pages. */
    for (int i = 0; i < 50; i++)
        kit_set(w, "production", "a", "2");
    struct store_env env;
    struct slice record;
    OK(store_env_get(r, NULL, &env));
    OK(store_flag_get(r, env.id, false, SLICE("a"), &record));
    assert_string_equal(kit_text("a", record), "1");
    store_read_end(r);
    assert_string_equal(kit_get(w, "production", "a"), "2");
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void many_stores_of_one_directory_read_in_one_process(void **state)
{
    enum { MANY = 40 };
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s[MANY];
    struct store_read *r[MANY];
    kit_set(w, "production", "a", "1");
    for (int i = 0; i < MANY; i++) {
        s[i] = kit_open_reader(dir);
        OK(store_read_begin(s[i], false, &r[i]));
    }
    for (int i = 0; i < MANY; i += 2) { /* closing some takes no slot from the others */
        store_read_end(r[i]);
        store_close(s[i]);
    }
    kit_set(w, "production", "a", "2");
    for (int i = 1; i < MANY; i += 2) {
        struct store_env env;
        OK(store_env_get(r[i], NULL, &env));
        assert_int_equal(env.head, 1);
        store_read_end(r[i]);
        store_close(s[i]);
    }
    store_close(w);
    kit_remove(dir);
    (void)state;
}

/* A program with an LMDB of its own, which was not told of 4,096 readers, comes first. */
static void who_opens_first_does_not_make_the_table_of_readers_small(void **state)
{
    char *dir = kit_dir();
    store_close(kit_open(dir));
    MDB_env *env;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, kit_path(dir, "current"), MDB_RDONLY, 0), 0);
    struct store *w = kit_open(dir);
    struct store_stats stats;
    store_stats(w, &stats);
    assert_true(stats.readers_max >= STORE_READERS);
    enum { STORES = 3 };
    struct store *s[STORES];
    for (int i = 0; i < STORES; i++) { /* more than 126 slots */
        s[i] = kit_open_reader(dir);
        struct store_read *r[STORE_PARKED];
        for (int k = 0; k < STORE_PARKED; k++)
            OK(store_read_begin(s[i], false, &r[k]));
        for (int k = 0; k < STORE_PARKED; k++)
            store_read_end(r[k]);
    }
    store_stats(w, &stats);
    assert_true(stats.readers > 126);
    for (int i = 0; i < STORES; i++)
        store_close(s[i]);
    store_close(w);
    mdb_env_close(env);
    kit_remove(dir);
    (void)state;
}

/* A branch page that says it has no keys: LMDB asserts that there is none such. */
static void a_damaged_page_is_an_error_and_not_the_end_of_the_program(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir);
    struct kit_edits e = kit_edits();
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        kit_put(&e, key, "some text");
    }
    kit_change(w, "production", &e);
    uint16_t id = kit_env(w, "production").id;
    store_close(w);
    enum { PAGE = 4096, FLAGS_AT = 10, LOWER_AT = 12, BRANCH = 1, HEADER = 16 };
    int fd = open(kit_path(dir, "1/data.mdb"), O_RDWR);
    struct stat st;
    fstat(fd, &st);
    for (off_t at = 2 * PAGE; at < st.st_size; at += PAGE) {
        uint16_t flags, none = HEADER;
        assert_int_equal(pread(fd, &flags, 2, at + FLAGS_AT), 2);
        if (flags == BRANCH)
            assert_int_equal(pwrite(fd, &none, 2, at + LOWER_AT), 2);
    }
    close(fd);
    struct store *s = kit_open_reader(dir);
    struct store_read *r;
    struct slice record;
    OK(store_read_begin(s, false, &r));
    IS(store_flag_get(r, id, false, SLICE("k00077"), &record), HOIST_ECORRUPT);
    store_read_end(r);
    IS(store_read_begin(s, false, &r), HOIST_ECORRUPT); /* and it is left alone */
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void reading_allocates_nothing_that_may_fail(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir);
    kit_set(w, "production", "a", "1");
    struct store_read *r;
    struct store_env env;
    struct slice record;
    mem_fail_at(1);
    OK(store_read_begin(w, false, &r));
    OK(store_env_get(r, NULL, &env));
    OK(store_flag_get(r, env.id, true, SLICE("a"), &record));
    store_read_end(r);
    assert_false(mem_did_fail());
    OK(store_read_begin(w, false, &r)); /* the place in a change is the one thing that is kept */
    IS(store_record_at(r, env.id, SLICE("a"), 1, &record), HOIST_ENOMEM);
    mem_fail_at(0);
    OK(store_record_at(r, env.id, SLICE("a"), 1, &record));
    store_read_end(r);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_walked_in_the_order_of_their_keys),
        cmocka_unit_test(environments_are_named_in_the_order_that_was_asked_for),
        cmocka_unit_test(keys_that_no_flag_can_have_are_not_found),
        cmocka_unit_test(a_view_pins_its_version_while_changes_land),
        cmocka_unit_test(reads_beyond_those_parked_are_told_to_come_again),
        cmocka_unit_test(a_program_takes_as_many_slots_as_it_reads_at_once),
        cmocka_unit_test(a_small_map_is_made_anew_beside_the_old_one_when_the_file_outgrows_it),
        cmocka_unit_test(a_store_put_in_place_of_another_is_noticed),
        cmocka_unit_test(a_child_opens_anew_and_leaves_its_parents_reads_alone),
        cmocka_unit_test(many_stores_of_one_directory_read_in_one_process),
        cmocka_unit_test(who_opens_first_does_not_make_the_table_of_readers_small),
        cmocka_unit_test(a_damaged_page_is_an_error_and_not_the_end_of_the_program),
        cmocka_unit_test(reading_allocates_nothing_that_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
