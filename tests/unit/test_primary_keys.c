/* What a primary knows of the keys that sign: it judges them as a host does that heard the same. */
#include "store_kit.h"

#include "primary/keys.h"

enum { OWNER, NEXT, THIEF, LATER, KEYS };

static struct sign_key all[KEYS];
static char *dir;
static struct store *store;

static int begin(void **state)
{
    for (int i = 0; i < KEYS; i++)
        sign_key_random(&all[i]);
    dir = kit_dir();
    store = kit_open_with(dir, (struct store_options){.primary = true});
    (void)state;
    return 0;
}

static int end(void **state)
{
    store_close(store);
    kit_remove(dir);
    (void)state;
    return 0;
}

static void say(enum certificate_kind kind, int key, int by)
{
    struct store_write *w;
    struct keys keys;
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    OK(certificate_put(kind, all[key].public, 1, &all[by], &certificate));
    OK(store_write_begin(store, &w));
    OK(keys_read(store_write_read(w), &keys));
    OK(keys_add(&keys, w, buf_slice(&certificate)));
    OK(store_write_commit(w));
    keys_done(&keys);
    buf_done(&certificate);
}

static enum key_state state_of(int key)
{
    struct store_read *r;
    struct keys keys;
    OK(store_read_begin(store, false, &r));
    OK(keys_read(r, &keys));
    enum key_state state = keys_state(&keys, all[key].public);
    keys_done(&keys);
    store_read_end(r);
    return state;
}

/* Whether what `key` signs is `own`'s, too. */
static bool is_trusted(int key, int own)
{
    struct store_read *r;
    struct trust trust;
    bool found = false;
    OK(store_read_begin(store, false, &r));
    OK(keys_trusted(r, &all[own], &trust));
    store_read_end(r);
    for (uint32_t i = 0; i < trust.count; i++)
        found |= memcmp(trust.keys[i], all[key].public, SIGN_PUBLIC_SIZE) == 0;
    return found;
}

static void what_a_revoked_key_had_brought_in_goes_with_it(void **state)
{
    say(CERTIFICATE_ROTATE, THIEF, OWNER);
    say(CERTIFICATE_ROTATE, NEXT, OWNER);
    assert_int_equal(state_of(THIEF), KEY_TRUSTED);
    assert_int_equal(state_of(OWNER), KEY_TRUSTED);
    say(CERTIFICATE_REVOKE, OWNER, NEXT);
    assert_int_equal(state_of(OWNER), KEY_REVOKED);
    assert_int_equal(state_of(NEXT), KEY_TRUSTED);
    assert_int_equal(state_of(THIEF), KEY_DROPPED);
    assert_int_equal(state_of(LATER), KEY_UNKNOWN);
    OK(keys_check_own(store, &all[NEXT]));
    IS(keys_check_own(store, &all[OWNER]), HOIST_EINVAL);
    IS(keys_check_own(store, &all[THIEF]), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "had rotated to it was revoked"));
    assert_false(is_trusted(THIEF, NEXT));
    say(CERTIFICATE_ROTATE, THIEF, NEXT); /* it may be brought in again */
    assert_int_equal(state_of(THIEF), KEY_TRUSTED);
    assert_true(is_trusted(THIEF, NEXT));
    (void)state;
}

static void a_key_that_leads_to_ours_is_not_ours(void **state)
{
    say(CERTIFICATE_ROTATE, NEXT, OWNER);
    assert_true(is_trusted(NEXT, OWNER));
    assert_false(is_trusted(OWNER, NEXT));
    assert_true(is_trusted(NEXT, NEXT));
    (void)state;
}

static void a_key_that_hosts_were_given_by_hand_goes_on_from_there(void **state)
{
    say(CERTIFICATE_ROTATE, NEXT, OWNER);
    say(CERTIFICATE_REVOKE, OWNER, NEXT);
    say(CERTIFICATE_ROTATE, THIEF, LATER); /* both keys were lost, and LATER is a new one */
    assert_int_equal(state_of(LATER), KEY_TRUSTED);
    assert_int_equal(state_of(THIEF), KEY_TRUSTED);
    assert_int_equal(state_of(NEXT), KEY_TRUSTED);
    say(CERTIFICATE_REVOKE, LATER, THIEF);
    assert_int_equal(state_of(LATER), KEY_REVOKED);
    assert_int_equal(state_of(THIEF), KEY_TRUSTED);
    (void)state;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_revoked_key_had_brought_in_goes_with_it, begin, end),
        cmocka_unit_test_setup_teardown(a_key_that_leads_to_ours_is_not_ours, begin, end),
        cmocka_unit_test_setup_teardown(a_key_that_hosts_were_given_by_hand_goes_on_from_there,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
