#include "store/store_int.h"
#include "store_kit.h"

static void put(struct store *s, const char *id, const char *row)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    OK(store_host_put(w, slice_str(id), slice_str(row)));
    OK(store_write_commit(w));
}

/* "id=row …" of all hosts, in their order. */
static const char *all(struct store *s)
{
    static char text[256];
    struct store_read *r;
    struct slice id = {0}, row;
    size_t len = 0;
    text[0] = '\0';
    OK(store_read_begin(s, false, &r));
    while (store_host_next(r, id, &id, &row) == HOIST_OK)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", len ? " " : "",
                                SLICE_ARG(id), SLICE_ARG(row));
    store_read_end(r);
    return text;
}

static void hosts_are_kept_by_id_and_walked_in_order(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_write *w;
    assert_string_equal(all(s), "");
    put(s, "b", "2");
    put(s, "a", "1");
    put(s, "ab", "3");
    put(s, "b", "4");
    assert_string_equal(all(s), "a=1 ab=3 b=4");
    store_close(s);

    s = kit_open(dir);
    OK(store_write_begin(s, &w));
    OK(store_host_delete(w, SLICE("ab")));
    OK(store_host_delete(w, SLICE("nobody")));
    OK(store_write_commit(w));
    assert_string_equal(all(s), "a=1 b=4");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_id_that_is_none_is_refused(void **state)
{
    char *dir = kit_dir(), longest[257];
    struct store *s = kit_open(dir);
    struct store_write *w;
    memset(longest, 'x', sizeof longest);
    OK(store_write_begin(s, &w));
    IS(store_host_put(w, SLICE(""), SLICE("row")), HOIST_EINVAL);
    IS(store_host_put(w, slice_of(longest, 256), SLICE("row")), HOIST_EINVAL);
    OK(store_host_put(w, slice_of(longest, 255), SLICE("row")));
    OK(store_host_delete(w, slice_of(longest, 256)));
    OK(store_write_commit(w));
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* As an older program would have made it. */
static void take_the_ledger_out(struct store *s)
{
    struct db *db = atomic_load(&s->db);
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(db->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, db->dbi[DB_FLEET], 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void an_older_store_is_read_and_gets_a_ledger_when_it_is_written(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    kit_set(s, "production", "k", "on");
    put(s, "a", "1");
    take_the_ledger_out(s);
    store_close(s);

    struct store *reader = kit_open_reader(dir);
    assert_string_equal(kit_get(reader, "production", "k"), "on");
    assert_string_equal(all(reader), "");
    s = kit_open(dir);
    assert_string_equal(all(s), "");
    put(s, "b", "2");
    assert_string_equal(all(s), "b=2");
    assert_string_equal(all(reader), ""); /* it opened its databases before there was this one */
    assert_string_equal(kit_get(reader, "production", "k"), "on");
    store_close(reader);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_kept_by_id_and_walked_in_order),
        cmocka_unit_test(an_id_that_is_none_is_refused),
        cmocka_unit_test(an_older_store_is_read_and_gets_a_ledger_when_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
