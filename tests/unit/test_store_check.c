#include "check_kit.h"

/* A store with all that a history can have: flags made, changed and deleted, two environments. */
static struct store *make(const char *dir)
{
    struct store *s = kit_open(dir);
    kit_set(s, "production", "a", "1");
    kit_set(s, "production", "b", "1");
    kit_set(s, "staging", "b", "1");
    kit_set(s, "production", "a", "2");
    kit_unset(s, "production", "b");
    kit_set(s, "production", "c", "1");
    kit_set(s, "production", "b", "3");
    return s;
}

static void what_was_written_by_the_rules_has_no_faults(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    uint8_t request[REQUEST_ID_SIZE] = {1};
    struct store_write *w;
    for (int i = 0; i < 3; i++) { /* the second answers a request anew */
        OK(store_write_begin(s, &w));
        request[0] = i == 2 ? 2 : 1;
        OK(store_command_put(w, request, SLICE("answer"), 1000 + i));
        OK(store_host_put(w, SLICE("host1"), SLICE("12345678rest")));
        OK(store_write_commit(w));
    }
    kit_clean(s);
    assert_int_equal(kit_check(s)->sums.environments, 2);
    assert_int_equal(kit_check(s)->sums.flags, 4);
    assert_int_equal(kit_check(s)->sums.changes, 7);
    OK(rotate(s));
    kit_clean(s);
    store_close(s);
    s = kit_open_reader(dir);
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* In the middle of a change of many edits, too, which is cut off in pieces. */
static void a_log_that_is_cut_has_no_faults_at_any_time(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.log_min = 2});
    struct kit_edits e = kit_edits();
    bool more = true;
    for (int i = 0; i < 9000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        kit_put(&e, key, "1");
    }
    kit_change(s, "production", &e);
    for (int i = 0; i < 6; i++)
        kit_set(s, "production", "k00007", i % 2 ? "a" : "b");
    int pieces = 0;
    for (; more; pieces++) {
        kit_clean(s);
        OK(store_tick(s, clock_wall_ms(), &more));
    }
    kit_clean(s);
    assert_true(pieces > 2);
    assert_true(kit_env(s, "production").log_first > 2);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_follower_that_holds_back_has_no_faults(void **state)
{
    char *from_dir = kit_dir(), *to_dir = kit_dir();
    struct store *from = kit_open(from_dir), *to = kit_open(to_dir);
    struct kit_edits e = kit_edits();
    kit_set(from, "production", "a", "1");
    kit_set(from, "production", "b", "1");
    kit_put_raw(&e, "a", SLICE("no record"));
    kit_put_raw(&e, "z", SLICE("nor that"));
    kit_change(from, "production", &e);
    OK(kit_follow(to, from, "production"));
    assert_int_equal(kit_env(to, "production").held, 2);
    kit_clean(to);
    assert_int_equal(kit_check(from)->faults, 2); /* there they are not held back */
    store_close(from);
    store_close(to);
    kit_remove(from_dir);
    kit_remove(to_dir);
    (void)state;
}

static void a_load_under_way_and_what_it_leaves_are_no_faults(void **state)
{
    char *dir = kit_dir();
    struct store *s = make(dir);
    struct store_env env = kit_env(s, "production");
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct store_read *r;
    struct slice bytes;
    struct change base;
    struct store_load *l;
    bool more = true;
    OK(store_read_begin(s, false, &r));
    OK(store_log_get(r, env.id, env.head, &bytes));
    OK(change_decode(bytes, &base));
    OK(store_load_begin(s, "production", &base, &l));
    kit_record(&record, "a", "2");
    struct edit edit = {.put = true, .key = SLICE("a"), .record = buf_slice(&record)};
    OK(store_load_records(l, &edit, 1));
    kit_clean(s);
    store_load_abort(l);
    store_read_end(r);
    kit_clean(s);
    while (more)
        OK(store_tick(s, clock_wall_ms(), &more));
    kit_clean(s);
    buf_done(&record);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void load_record(struct store_load *l, const char *key, const char *text)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    kit_record(&record, key, text);
    struct edit edit = {.put = true, .key = slice_str(key), .record = buf_slice(&record)};
    OK(store_load_records(l, &edit, 1));
    buf_done(&record);
}

/* From a snapshot whose pages are newer than the change that it begins with: what was before the
 * changes that are replayed on it is not known. */
static void what_was_loaded_has_no_faults(void **state)
{
    char *dir = kit_dir(), *to_dir = kit_dir();
    struct store *from = make(dir), *to = kit_open(to_dir);
    struct store_env env = kit_env(from, "production");
    struct store_read *r;
    struct slice bytes;
    struct change c;
    struct store_load *l;
    OK(store_read_begin(from, false, &r));
    OK(store_log_get(r, env.id, env.head - 2, &bytes));
    OK(change_decode(bytes, &c));
    OK(store_load_begin(to, "production", &c, &l));
    load_record(l, "a", "2");
    load_record(l, "b", "3");
    for (uint64_t v = env.head - 1; v <= env.head; v++) {
        OK(store_log_get(r, env.id, v, &bytes));
        OK(change_decode(bytes, &c));
        OK(store_load_change(l, &c));
    }
    OK(store_load_finish(l));
    store_read_end(r);
    kit_clean(to);
    kit_set(from, "production", "a", "4");
    kit_unset(from, "production", "c");
    OK(kit_follow(to, from, "production"));
    kit_clean(to);
    store_close(from);
    store_close(to);
    kit_remove(dir);
    kit_remove(to_dir);
    (void)state;
}

/* ------------------------------------------------------------------ faults */

/* Put `row` at `key` of `name`, behind the store's back; `row.ptr` NULL: delete it. */
static void spoil(struct store *s, enum db_name name, struct row_key k, struct slice row)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    if (row.ptr)
        OK(write_put(w, name, val_key(&k), row, 0));
    else
        OK(write_del(w, name, val_key(&k)));
    OK(store_write_commit(w));
}

/* One bit of the row at `key` flipped; `text`: where it stands in the row. */
static void flip_at(struct store *s, enum db_name name, struct row_key k, size_t byte,
                    const char *text)
{
    struct store_read *r;
    uint8_t copy[8192];
    MDB_val key = val_key(&k), row;
    OK(store_read_begin(s, false, &r));
    assert_int_equal(db_get(r->db, r->txn, name, &key, &row), 0);
    assert_true(row.mv_size < sizeof copy && byte < row.mv_size);
    memcpy(copy, row.mv_data, row.mv_size);
    store_read_end(r);
    if (text)
        byte = (size_t)((uint8_t *)memmem(copy, row.mv_size, text, strlen(text)) - copy);
    copy[byte] ^= 4;
    spoil(s, name, k, slice_of(copy, row.mv_size));
}

static void flip(struct store *s, enum db_name name, struct row_key k, size_t byte)
{
    flip_at(s, name, k, byte, NULL);
}

static void has_fault(struct store *s, const char *database, const char *what)
{
    struct kit_found *found = kit_check(s);
    char start[64];
    snprintf(start, sizeof start, "%s: ", database);
    if (!strstr(found->text, start) || !strstr(found->text, what))
        fail_msg("wanted %s%s, found:\n%s", start, what, found->text);
}

#define FAULTY(database, what, ...)                                                                \
    do {                                                                                           \
        char *dir = kit_dir();                                                                     \
        struct store *s = make(dir);                                                               \
        uint16_t id = kit_env(s, "production").id;                                                 \
        (void)id;                                                                                  \
        __VA_ARGS__;                                                                               \
        has_fault(s, database, what);                                                              \
        store_close(s);                                                                            \
        kit_remove(dir);                                                                           \
    } while (0)

static const struct slice nothing;

static void each_fault_is_named_with_its_database(void **state)
{
    uint8_t v[8] = {0, 0, 0, 0, 0, 0, 0, 2};
    struct slice two = slice_of(v, sizeof v);
    struct row_key answers = {.bytes = "answers", .len = 7};
    FAULTY("flags", "cannot be read", flip(s, DB_FLAGS, row_flag(id, SLICE("a")), 0));
    FAULTY("meta", "state digest", flip(s, DB_FLAGS, row_flag(id, SLICE("a")), 12));
    FAULTY("meta", "flags, there are 2", spoil(s, DB_FLAGS, row_flag(id, SLICE("a")), nothing));
    FAULTY("flags", "of no environment", spoil(s, DB_FLAGS, row_flag(99, SLICE("a")), two));
    FAULTY("log", "versions 3 to 3 are missing", spoil(s, DB_LOG, row_log(id, 3), nothing));
    FAULTY("log", "versions 6 to 6 are missing", spoil(s, DB_LOG, row_log(id, 6), nothing));
    FAULTY("log", "cannot be read", flip(s, DB_LOG, row_log(id, 2), 0));
    FAULTY("log", "previous hash is another", flip_at(s, DB_LOG, row_log(id, 2), 0, "ana"));
    FAULTY("log", "none of the versions", spoil(s, DB_LOG, row_log(id, 9), two));
    FAULTY("log", "of which `touch` knows", spoil(s, DB_TOUCH, row_flag(id, SLICE("c")), nothing));
    FAULTY("touch", "no change of version 2", spoil(s, DB_TOUCH, row_flag(id, SLICE("c")), two));
    FAULTY("baseline", "is missing", spoil(s, DB_BASELINE, row_flag(id, SLICE("c")), nothing));
    FAULTY("baseline", "nothing in the log",
           spoil(s, DB_BASELINE, row_flag(id, SLICE("x")), SLICE("\0")));
    FAULTY("log", "what is kept of the past",
           spoil(s, DB_BASELINE, row_flag(id, SLICE("c")), SLICE("\1record")));
    FAULTY("meta", "held back", spoil(s, DB_HELD, row_flag(id, SLICE("x")), SLICE("short")));
    FAULTY("commands", "cut short", spoil(s, DB_COMMANDS, row_command((uint8_t[16]){1}), two));
    FAULTY("commands", "no answer", spoil(s, DB_COMMANDS, row_sequence(7), slice_of(v, 8)));
    FAULTY("meta", "bytes of answers", spoil(s, DB_META, answers, two));
    FAULTY("fleet", "cut short", spoil(s, DB_FLEET, row_flag(7, SLICE("h")), SLICE("x")));
    FAULTY("meta", "state hash", flip(s, DB_META, row_meta("sum:", id), 100));
    FAULTY("meta", "is missing", spoil(s, DB_META, row_meta("sum:", id), nothing));
    (void)state;
}

/* Every byte of an environment's row but when it was applied, and its change was made. */
static void each_byte_of_what_is_said_of_an_environment_counts(void **state)
{
    enum { TIMES = 4 + 16 + 64, TIMES_END = TIMES + 16 };
    for (size_t byte = 0; byte < ENV_ROW_SIZE; byte++) {
        char *dir = kit_dir();
        struct store *s = make(dir);
        flip(s, DB_META, row_env("production"), byte);
        struct kit_found *found = kit_check(s);
        if ((found->faults == 0) != (byte >= TIMES && byte < TIMES_END))
            fail_msg("byte %zu: %s", byte, found->text);
        store_close(s);
        kit_remove(dir);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_by_the_rules_has_no_faults),
        cmocka_unit_test(a_log_that_is_cut_has_no_faults_at_any_time),
        cmocka_unit_test(a_follower_that_holds_back_has_no_faults),
        cmocka_unit_test(a_load_under_way_and_what_it_leaves_are_no_faults),
        cmocka_unit_test(what_was_loaded_has_no_faults),
        cmocka_unit_test(each_fault_is_named_with_its_database),
        cmocka_unit_test(each_byte_of_what_is_said_of_an_environment_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
