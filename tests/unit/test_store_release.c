#include "check_kit.h"

static struct store *open_primary(const char *dir, bool take_over)
{
    return kit_open_with(dir, (struct store_options){.primary = true, .take_over = take_over});
}

static void put(struct store *s, uint32_t id, uint64_t sequence, const char *row)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    OK(store_release_put(w, id, sequence, slice_str(row)));
    OK(store_releases_end(w, id - 1));
    OK(store_write_commit(w));
}

static bool has_any(struct store *s)
{
    struct store_read *r;
    uint32_t id;
    OK(store_read_begin(s, false, &r));
    enum hoist_err err = store_release_find(r, 0, &id);
    store_read_end(r);
    assert_true(err == HOIST_OK || err == HOIST_ENOTFOUND);
    return err == HOIST_OK;
}

/* Releases are numbered anew then: those that go on are not to be taken for ones that have ended. */
static bool knows_what_ended(struct store *s)
{
    struct store_read *r;
    uint32_t id;
    OK(store_read_begin(s, false, &r));
    enum hoist_err err = store_releases_ended(r, &id);
    store_read_end(r);
    assert_true(err == HOIST_OK || err == HOIST_ENOTFOUND);
    return err == HOIST_OK;
}

static struct store *primary_with_a_release(const char *dir)
{
    struct store *s = open_primary(dir, false);
    kit_set(s, "production", "a", "1");
    put(s, 1, 0, "a plan");
    put(s, 1, 1, "started");
    return s;
}

static void rows_come_back_in_their_order(void **state)
{
    char *dir = kit_dir();
    struct store *s = primary_with_a_release(dir);
    struct store_release_row row;
    struct store_read *r;
    store_close(s);
    s = open_primary(dir, false);
    assert_true(knows_what_ended(s));
    OK(store_read_begin(s, false, &r));
    OK(store_release_next(r, 1, 0, &row));
    assert_true(row.sequence == 0 && slice_eq(row.row, SLICE("a plan")));
    OK(store_release_next(r, 1, 1, &row));
    assert_true(row.sequence == 1 && slice_eq(row.row, SLICE("started")));
    IS(store_release_next(r, 1, 2, &row), HOIST_ENOTFOUND);
    store_read_end(r);
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* Else it would go on from where it stood once somebody makes this store a primary's again. */
static void a_follower_forgets_releases(void **state)
{
    char *dir = kit_dir();
    store_close(primary_with_a_release(dir));
    struct store *s = kit_open(dir);
    assert_false(has_any(s) || knows_what_ended(s));
    kit_clean(s);
    store_close(s);
    s = open_primary(dir, true);
    assert_false(has_any(s));
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* A follower's store may have been kept by a version that forgot nothing. */
static void who_takes_over_finds_none(void **state)
{
    char *dir = kit_dir();
    store_close(primary_with_a_release(dir));
    struct store *s = kit_open(dir);
    put(s, 1, 0, "a plan");
    store_close(s);
    s = open_primary(dir, true);
    assert_true(store_was_follower(s));
    assert_false(has_any(s) || knows_what_ended(s));
    kit_clean(s);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_in_their_order),
        cmocka_unit_test(a_follower_forgets_releases),
        cmocka_unit_test(who_takes_over_finds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
