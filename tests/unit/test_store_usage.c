/* What a primary keeps of how often flags are evaluated. */
#include "check_kit.h"

static struct store *open_primary(const char *dir)
{
    return kit_open_with(dir, (struct store_options){.primary = true});
}

static void put(struct store *s, const char *key, const char *row)
{
    struct store_write *w;
    uint16_t id = kit_env(s, "production").id;
    OK(store_write_begin(s, &w));
    OK(store_usage_put(w, id, slice_str(key), slice_str(row)));
    OK(store_write_commit(w));
}

/* The row, or "" when there is none. */
static const char *row_of(struct store *s, const char *key)
{
    static char text[64];
    struct store_read *r;
    struct slice row = {0};
    uint16_t id = kit_env(s, "production").id;
    OK(store_read_begin(s, false, &r));
    enum hoist_err err = store_usage_get(r, id, slice_str(key), &row);
    assert_true(err == HOIST_OK || err == HOIST_ENOTFOUND);
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(row));
    store_read_end(r);
    return text;
}

/* -1: nothing is counted. */
static int64_t since(struct store *s)
{
    struct store_read *r;
    int64_t ms = -1;
    OK(store_read_begin(s, false, &r));
    enum hoist_err err = store_usage_since(r, &ms);
    assert_true(err == HOIST_OK || err == HOIST_ENOTFOUND);
    store_read_end(r);
    return ms;
}

static void begin_at(struct store *s, int64_t ms)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    OK(store_usage_begin(w, ms));
    OK(store_write_commit(w));
}

static void rows_are_kept_by_flag_and_over_a_restart(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    kit_set(s, "production", "a", "1");
    kit_set(s, "production", "b", "1");
    assert_string_equal(row_of(s, "a"), "");
    assert_int_equal(since(s), -1);
    put(s, "a", "first");
    put(s, "b", "b's");
    put(s, "a", "second");
    begin_at(s, 123456789);
    kit_clean(s);
    store_close(s);
    s = open_primary(dir);
    assert_string_equal(row_of(s, "a"), "second");
    assert_string_equal(row_of(s, "b"), "b's");
    assert_int_equal(since(s), 123456789);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_row_goes_with_its_flag(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    kit_set(s, "production", "a", "1");
    put(s, "a", "counted");
    kit_set(s, "production", "a", "2");
    assert_string_equal(row_of(s, "a"), "counted");
    kit_unset(s, "production", "a");
    assert_string_equal(row_of(s, "a"), "");
    kit_set(s, "production", "a", "3");
    assert_string_equal(row_of(s, "a"), "");
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void rows_are_no_part_of_the_digest(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    kit_set(s, "production", "a", "1");
    struct store_env before = kit_env(s, "production");
    put(s, "a", "counted");
    struct store_env after = kit_env(s, "production");
    assert_memory_equal(&before, &after, sizeof before);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_follower_forgets_what_was_counted(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    kit_set(s, "production", "a", "1");
    put(s, "a", "counted");
    begin_at(s, 1);
    store_close(s);
    s = kit_open(dir);
    assert_string_equal(row_of(s, "a"), "");
    assert_int_equal(since(s), -1);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_backup_leaves_them_out(void **state)
{
    char *dir = kit_dir(), *other = kit_dir(), path[] = "/tmp/hoist-test-XXXXXX";
    const struct store_options primary = {.write = true, .primary = true};
    struct store *s = open_primary(dir), *again;
    struct store_backup_info info;
    struct store_read *r;
    int fd = mkstemp(path);
    unlink(path);
    kit_set(s, "production", "a", "1");
    put(s, "a", "counted");
    begin_at(s, 1);
    OK(store_read_begin(s, false, &r));
    OK(store_backup_write(r, fd, &info));
    store_read_end(r);
    OK(store_recover_begin(other, &primary, fd, &again, &info));
    kit_clean(again);
    assert_string_equal(kit_get(again, "production", "a"), "1");
    assert_string_equal(row_of(again, "a"), "");
    assert_int_equal(since(again), -1);
    OK(store_recover_finish(again));
    store_close(again);
    store_close(s);
    close(fd);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

/* ------------------------------------------------------------------ damage */

static void spoil(struct store *s, struct slice at, struct slice row)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    OK(write_put(w, DB_USAGE, val_of(at), row, 0));
    OK(store_write_commit(w));
}

static void damage_is_found_and_refused(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    struct store_read *r;
    struct slice row;
    int64_t ms;
    kit_set(s, "production", "a", "1");
    uint16_t id = kit_env(s, "production").id;
    struct row_key a = row_flag(id, SLICE("a"));
    put(s, "nobody", "counted");
    begin_at(s, 1);
    assert_non_null(strstr(kit_check(s)->text, "usage: it is of a flag that is not there"));
    spoil(s, slice_of(a.bytes, a.len), SLICE("12345678 of another row"));
    assert_non_null(strstr(kit_check(s)->text, "usage: the row is not what was written"));
    spoil(s, SLICE("s"), SLICE("short"));
    assert_int_equal(kit_check(s)->faults, 3);
    OK(store_read_begin(s, false, &r));
    IS(store_usage_get(r, id, SLICE("a"), &row), HOIST_ECORRUPT);
    IS(store_usage_since(r, &ms), HOIST_ECORRUPT);
    store_read_end(r);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* As a program that knows no such database left it. */
static void a_store_without_the_database_is_read_and_gets_one_when_it_is_written(void **state)
{
    char *dir = kit_dir();
    struct store *s = open_primary(dir);
    struct db *db = atomic_load(&s->db);
    MDB_txn *txn;
    kit_set(s, "production", "a", "1");
    assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, db->dbi[DB_USAGE], 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_close(s);
    struct store *reader = kit_open_reader(dir);
    assert_string_equal(row_of(reader, "a"), "");
    assert_int_equal(since(reader), -1);
    store_close(reader);
    s = open_primary(dir);
    put(s, "a", "counted");
    assert_string_equal(row_of(s, "a"), "counted");
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_kept_by_flag_and_over_a_restart),
        cmocka_unit_test(a_row_goes_with_its_flag),
        cmocka_unit_test(rows_are_no_part_of_the_digest),
        cmocka_unit_test(a_follower_forgets_what_was_counted),
        cmocka_unit_test(a_backup_leaves_them_out),
        cmocka_unit_test(damage_is_found_and_refused),
        cmocka_unit_test(a_store_without_the_database_is_read_and_gets_one_when_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
