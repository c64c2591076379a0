#include "check_kit.h"

/* Rows that no hash of flags or changes covers: what each is, and how it gets there. */
static struct store *make(const char *dir)
{
    static const uint8_t request[REQUEST_ID_SIZE] = {1, 2, 3};
    struct store *s = kit_open_with(dir, (struct store_options){.host = SLICE("labels")});
    struct store_write *w;
    kit_set(s, "production", "a", "1");
    OK(store_write_begin(s, &w));
    OK(store_command_put(w, request, SLICE("an answer"), 1000));
    OK(store_host_put(w, SLICE("host1"), SLICE("12345678 and more")));
    OK(store_env_about_put(w, "production", SLICE("{\"protected\":true}")));
    OK(store_write_commit(w));
    kit_clean(s);
    return s;
}

/* Put a row as nobody who knows of seals would. */
static void spoil(struct store *s, enum db_name name, struct slice key, struct slice row)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    MDB_val at = val_of(key), value = val_of(row);
    assert_int_equal(mdb_put(w->txn, w->db->dbi[name], &at, &value, 0), 0);
    OK(store_write_commit(w));
}

static struct slice get(struct store *s, enum db_name name, struct slice key, uint8_t room[4096])
{
    struct store_read *r;
    MDB_val at = val_of(key), row;
    OK(store_read_begin(s, false, &r));
    assert_int_equal(db_get(r->db, r->txn, name, &at, &row), 0);
    assert_true(row.mv_size <= 4096);
    memcpy(room, row.mv_data, row.mv_size);
    store_read_end(r);
    return slice_of(room, row.mv_size);
}

static void each_bit_of_a_sealed_row_is_noticed(void **state)
{
    static const struct {
        enum db_name name;
        struct slice key;
    } rows[] = {
        {DB_META, {(const uint8_t *)"store", 5}},
        {DB_META, {(const uint8_t *)"host", 4}},
        {DB_META, {(const uint8_t *)"role", 4}},
        {DB_META, {(const uint8_t *)"about:production", 16}},
        {DB_META, {(const uint8_t *)"answers", 7}},
        {DB_FLEET, {(const uint8_t *)"host1", 5}},
        {DB_COMMANDS, {(const uint8_t *)"i\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0", 17}},
        {DB_META, {(const uint8_t *)"env:production", 14}},
        {DB_LOG, {(const uint8_t *)"\0\1\0\0\0\0\0\0\0\1", 10}},
        {DB_BASELINE, {(const uint8_t *)"\0\1a", 3}},
    };
    char *dir = kit_dir();
    struct store *s = make(dir);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t room[4096];
        struct slice row = get(s, rows[i].name, rows[i].key, room);
        for (size_t bit = 0; bit < 8 * row.len; bit++) {
            room[bit / 8] ^= (uint8_t)(1u << bit % 8);
            spoil(s, rows[i].name, rows[i].key, row);
            assert_true(kit_check(s)->faults > 0);
            room[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        spoil(s, rows[i].name, rows[i].key, row);
        kit_clean(s);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_row_that_is_missing_or_one_too_many_is_noticed(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    struct store_write *w;
    spoil(s, DB_FLEET, SLICE("host2"), SLICE("12345678"));
    assert_non_null(strstr(kit_check(s)->text, "checksum"));
    OK(store_write_begin(s, &w));
    OK(store_host_delete(w, SLICE("host2")));
    OK(store_write_commit(w));
    kit_clean(s);
    OK(store_write_begin(s, &w));
    MDB_val key = val_of(SLICE("host1"));
    assert_int_equal(mdb_del(w->txn, w->db->dbi[DB_FLEET], &key, NULL), 0);
    OK(store_write_commit(w));
    assert_non_null(strstr(kit_check(s)->text, "not as many checksums as rows"));
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void put_raw(MDB_txn *txn, struct db *db, enum db_name name, struct slice key,
                    struct slice row)
{
    MDB_val at = val_of(key), value = val_of(row);
    assert_int_equal(mdb_put(txn, db->dbi[name], &at, &value, 0), 0);
}

/* A program that knows no seals: it counts its start, and may write more. */
static void write_without_seals(struct store *s, bool counts, bool more)
{
    uint8_t room[4096];
    struct slice row = get(s, DB_META, SLICE("store"), room);
    struct db *db = atomic_load(&s->db);
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
    room[row.len - 1] += counts;
    put_raw(txn, db, DB_META, SLICE("store"), row);
    if (more)
        put_raw(txn, db, DB_FLEET, SLICE("host1"), SLICE("12345678 of an older one"));
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void what_a_program_without_seals_wrote_is_sealed_at_the_next_start(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    write_without_seals(s, true, true);
    kit_clean(s);
    store_close(s);
    s = kit_open_with(dir, (struct store_options){.check = true});
    kit_clean(s);
    spoil(s, DB_FLEET, SLICE("host1"), SLICE("12345678 of nobody"));
    assert_true(kit_check(s)->faults > 0);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_program_without_seals_that_only_started_is_no_fault(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    write_without_seals(s, true, false);
    kit_clean(s);
    store_close(s);
    s = kit_open_with(dir, (struct store_options){.check = true});
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_commit_that_is_not_of_such_a_program_is_a_fault(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    write_without_seals(s, false, true);
    assert_non_null(strstr(kit_check(s)->text, "number of the last commit"));
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_store_from_before_there_were_seals_gets_them(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    struct db *db = atomic_load(&s->db);
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, db->dbi[DB_SEALS], 1), 0);
    db->dbi[DB_SEALS] = 0;
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_close(s);
    s = kit_open_reader(dir);
    kit_clean(s);
    store_close(s);
    remove(kit_path(dir, "1/counters")); /* then the start moves it into another file first */
    s = kit_open(dir);
    kit_clean(s);
    spoil(s, DB_FLEET, SLICE("host1"), SLICE("12345678 of nobody"));
    assert_true(kit_check(s)->faults > 0);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bit_of_a_sealed_row_is_noticed),
        cmocka_unit_test(a_row_that_is_missing_or_one_too_many_is_noticed),
        cmocka_unit_test(what_a_program_without_seals_wrote_is_sealed_at_the_next_start),
        cmocka_unit_test(a_program_without_seals_that_only_started_is_no_fault),
        cmocka_unit_test(a_commit_that_is_not_of_such_a_program_is_a_fault),
        cmocka_unit_test(a_store_from_before_there_were_seals_gets_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
