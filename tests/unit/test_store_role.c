#include "store_kit.h"

static const struct store_options for_primary = {.write = true, .primary = true};

static void a_followers_store_is_taken_over_only_when_that_is_said(void **state)
{
    char *dir = kit_dir();
    struct store_options o = for_primary;
    struct store_write *w;
    struct store *s = kit_open(dir);
    kit_set(s, "production", "k", "on");
    assert_false(store_was_follower(s));
    store_close(s);
    struct stat st;
    IS(store_open(dir, &o, &s), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--take-over"));
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750); /* its readers were not shut out */
    o.take_over = true;
    for (int i = 0; i < 2; i++) { /* a crash in between leaves it a follower's */
        OK(store_open(dir, &o, &s));
        assert_true(store_was_follower(s));
        if (i == 1) {
            OK(store_write_begin(s, &w));
            OK(store_own(w));
            OK(store_write_commit(w));
        }
        store_close(s);
    }
    OK(store_open(dir, &for_primary, &s));
    assert_false(store_was_follower(s));
    store_close(s);
    store_close(kit_open(dir)); /* and it may follow again: then it is a copy again */
    IS(store_open(dir, &for_primary, &s), HOIST_EINVAL);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_followers_store_is_taken_over_only_when_that_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
