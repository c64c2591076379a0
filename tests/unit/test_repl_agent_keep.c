#include "base/mem.h"
#include "repl/agent_int.h"
#include "store_kit.h"

static bool has_keys(struct store *s, struct slice expected)
{
    struct store_read *r;
    struct slice kept;
    OK(store_read_begin(s, false, &r));
    bool has = store_keys_get(r, &kept) == HOIST_OK && slice_eq(kept, expected);
    store_read_end(r);
    return has;
}

static void keys_that_could_not_be_kept_are_kept_later(void **state)
{
    static struct agent a;
    struct slice first = SLICE("certificates"), revoked = SLICE("certificates, and a revocation");
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    (void)state;
    a.unkept_keys = BUF_INIT(1000);
    a.store = s;
    agent_keep_keys(&a, first);
    assert_true(has_keys(s, first));
    mem_fail_at(1); /* of the transaction */
    agent_keep_keys(&a, revoked);
    mem_fail_at(0);
    assert_true(has_keys(s, first));
    agent_keep_unkept_keys(&a);
    assert_true(has_keys(s, revoked));
    agent_keep_keys(&a, first);
    agent_keep_unkept_keys(&a); /* nothing waits any more */
    assert_true(has_keys(s, first));
    buf_done(&a.unkept_keys);
    store_close(s);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_could_not_be_kept_are_kept_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
