/* Each allocation fails once: nothing ends, nothing leaks, and what was asked is answered. */
#include "client_kit.h"

static void use(hoist *h)
{
    char buf[32];
    struct hoist_result r;
    hoist_view *v;
    bool bound = hoist_flag_bool(hoist_bind(h, "flag.bool"), NULL, false);
    (void)bound;
    hoist_int(h, "flag.int", NULL, 0);
    for (int again = 0; again < 2; again++) {
        size_t len = hoist_string(h, "flag.text", NULL, "fb", buf, sizeof buf);
        assert_true(len == 5 || len == 2);
        len = hoist_object(h, "flag.object", NULL, "{}", buf, sizeof buf);
        assert_true(len == 7 || len == 2);
        hoist_evaluate(h, "flag.object", NULL, 0, &r, buf, sizeof buf);
        assert_true(r.ok || r.reason == HOIST_ERROR);
    }
    if (hoist_view_begin(h, &v) == HOIST_OK) {
        hoist_view_bool(v, "flag.bool", NULL, false);
        const char *text = hoist_view_string_ref(v, "flag.text", NULL, "fb", NULL);
        assert_true(strcmp(text, "hello") == 0 || strcmp(text, "fb") == 0);
        hoist_view_object_ref(v, "flag.object", NULL, "", NULL);
        hoist_view_end(v);
    }
}

static void every_allocation_may_fail(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    static const unsigned options[] = {HOIST_NO_THREAD, 0, HOIST_NO_CACHE};
    for (size_t i = 0; i < 3; i++) {
        int n = 1;
        for (;; n++) {
            hoist *h = NULL;
            mem_fail_at(n);
            enum hoist_err err = hoist_open_with(&h, dir, "production", options[i]);
            assert_true(!h == (err == HOIST_ENOMEM));
            use(h);
            bool failed = mem_did_fail();
            mem_fail_at(0);
            if (h) /* it works again */
                WAIT_UNTIL(hoist_int(h, "flag.int", NULL, 0) == 42, 1500);
            hoist_close(h);
            if (!failed)
                break;
            assert_true(n < 1000);
        }
        assert_true(n > 5);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
