#include "client_kit.h"

#include <malloc.h>

static void each_type_is_read_by_key_and_bound(void **state)
{
    char *dir = kit_dir(), buf[64];
    struct store *s = kit_store(dir);
    static const unsigned options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE,
                                       HOIST_NO_CACHE | HOIST_NO_THREAD};
    for (size_t i = 0; i < 4; i++) {
        hoist *h = kit_hoist_with(dir, options[i]);
        for (int again = 0; again < 3; again++) {
            assert_true(hoist_bool(h, "flag.bool", NULL, false));
            assert_true(hoist_double(h, "flag.double", NULL, 0) == 2.5);
            assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
            assert_int_equal(hoist_string(h, "flag.text", NULL, "", buf, sizeof buf), 5);
            assert_string_equal(buf, "hello");
            assert_int_equal(hoist_object(h, "flag.object", NULL, "", buf, sizeof buf), 7);
            assert_string_equal(buf, "{\"n\":7}");

            assert_true(hoist_flag_bool(hoist_bind(h, "flag.bool"), NULL, false));
            assert_true(hoist_flag_double(hoist_bind(h, "flag.double"), NULL, 0) == 2.5);
            assert_int_equal(hoist_flag_int(hoist_bind(h, "flag.int"), NULL, 0), 42);
            assert_int_equal(
                hoist_flag_string(hoist_bind(h, "flag.text"), NULL, "", buf, sizeof buf), 5);
            assert_string_equal(buf, "hello");
            assert_int_equal(
                hoist_flag_object(hoist_bind(h, "flag.object"), NULL, "", buf, sizeof buf), 7);
            assert_string_equal(buf, "{\"n\":7}");
        }
        assert_ptr_equal(hoist_bind(h, "flag.bool"), hoist_bind(h, "flag.bool"));
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void another_type_answers_the_fallback(void **state)
{
    char *dir = kit_dir(), buf[64];
    struct store *s = kit_store(dir);
    static const unsigned options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE};
    for (size_t i = 0; i < 3; i++) {
        hoist *h = kit_hoist_with(dir, options[i]);
        for (int again = 0; again < 2; again++) {
            assert_true(hoist_bool(h, "flag.int", NULL, true));
            assert_false(hoist_bool(h, "flag.text", NULL, false));
            assert_int_equal(hoist_int(h, "flag.double", NULL, 5), 5); /* 2.5 is not whole */
            assert_int_equal(hoist_int(h, "flag.bool", NULL, 6), 6);
            assert_true(hoist_double(h, "flag.object", NULL, 1.5) == 1.5);
            assert_int_equal(hoist_string(h, "flag.object", NULL, "fb", buf, sizeof buf), 2);
            assert_string_equal(buf, "fb");
            assert_int_equal(hoist_object(h, "flag.text", NULL, "{}", buf, sizeof buf), 2);
            assert_string_equal(buf, "{}");
            assert_int_equal(hoist_string(h, "flag.bool", NULL, NULL, buf, sizeof buf), 0);
            assert_string_equal(buf, "");
            assert_true(hoist_double(h, "flag.int", NULL, 0) == 42);
        }
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void text_is_cut_like_snprintf(void **state)
{
    char *dir = kit_dir(), buf[4] = "xyz";
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(hoist_string(h, "flag.text", NULL, "", buf, sizeof buf), 5);
        assert_string_equal(buf, "hel");
        assert_int_equal(hoist_string(h, "flag.text", NULL, "", NULL, 0), 5);
        assert_int_equal(hoist_string(h, "flag.text", NULL, "", NULL, 10), 5);
        assert_int_equal(hoist_string(h, "absent", NULL, "fallback", buf, sizeof buf), 8);
        assert_string_equal(buf, "fal");
    }
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void an_evaluation_says_why(void **state)
{
    char *dir = kit_dir(), buf[64];
    struct store *s = kit_store(dir);
    struct node on = {.kind = NODE_TRUE, .span = 1}, off = {.kind = NODE_FALSE, .span = 1};
    struct tree values[] = {{&on, 1}, {&off, 1}};
    struct kit_edits e = kit_edits();
    kit_put_flag(&e, "disabled", HOIST_BOOL, values, 2, 0, NO, false, false);
    kit_put_flag(&e, "killed", HOIST_BOOL, values, 2, 0, 1, true, true);
    kit_put_flag(&e, "no.default", HOIST_BOOL, values, 2, NO, NO, true, false);
    kit_put_flag(&e, "targeted", HOIST_BOOL, values, 2, 0, NO, true, true);
    kit_put_raw(&e, "wrong", SLICE("\x93\1\2\3"));
    kit_change(s, "production", &e);

    static const struct {
        const char *key;
        enum hoist_type want;
        bool ok;
        enum hoist_reason reason;
        enum hoist_code code;
        const char *variant;
    } cases[] = {
        {"flag.bool", HOIST_BOOL, true, HOIST_STATIC, HOIST_CODE_NONE, "a"},
        {"flag.text", 0, true, HOIST_STATIC, HOIST_CODE_NONE, "value"},
        {"flag.object", HOIST_OBJECT, true, HOIST_STATIC, HOIST_CODE_NONE, "a"},
        {"flag.bool", HOIST_STRING, false, HOIST_ERROR, HOIST_CODE_TYPE_MISMATCH, ""},
        {"disabled", HOIST_BOOL, false, HOIST_DISABLED, HOIST_CODE_NONE, ""},
        {"killed", HOIST_BOOL, true, HOIST_STATIC, HOIST_CODE_NONE, "b"},
        {"no.default", HOIST_BOOL, false, HOIST_DEFAULT, HOIST_CODE_NONE, ""},
        {"targeted", HOIST_BOOL, true, HOIST_DEFAULT, HOIST_CODE_NONE, "a"},
        {"wrong", 0, false, HOIST_ERROR, HOIST_CODE_PARSE_ERROR, ""},
        {"absent", 0, false, HOIST_ERROR, HOIST_CODE_NOT_FOUND, ""},
        {"", 0, false, HOIST_ERROR, HOIST_CODE_NOT_FOUND, ""},
    };
    static const unsigned options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE};
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, options[o]);
        for (int bound = 0; bound < 2; bound++)
            for (int again = 0; again < 2; again++)
                for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                    struct hoist_result r;
                    memset(&r, 0xee, sizeof r);
                    bool ok = bound ? hoist_flag_evaluate(hoist_bind(h, cases[i].key), NULL,
                                                          cases[i].want, &r, buf, sizeof buf)
                                    : hoist_evaluate(h, cases[i].key, NULL, cases[i].want, &r, buf,
                                                     sizeof buf);
                    assert_int_equal(ok, cases[i].ok);
                    assert_int_equal(r.ok, cases[i].ok);
                    assert_string_equal(hoist_reason_name(r.reason),
                                        hoist_reason_name(cases[i].reason));
                    assert_string_equal(hoist_code_name(r.code), hoist_code_name(cases[i].code));
                    assert_string_equal(r.variant, cases[i].variant);
                    assert_int_equal(r.version, 2);
                    assert_int_equal(r.error[0] != '\0', cases[i].reason == HOIST_ERROR);
                }
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_bound_flag_follows_changes(void **state)
{
    char *dir = kit_dir(), buf[64], want[32];
    struct store *s = kit_store(dir);
    static const unsigned options[] = {0, HOIST_NO_THREAD};
    for (size_t o = 0; o < 2; o++) {
        hoist *h = kit_hoist_with(dir, options[o]);
        hoist_flag *b = hoist_bind(h, "flag.bool"), *t = hoist_bind(h, "flag.text"),
                   *n = hoist_bind(h, "new.flag"), *obj = hoist_bind(h, "flag.object");
        assert_int_equal(hoist_flag_int(n, NULL, -1), -1);
        for (int i = 0; i < 100; i++) {
            snprintf(want, sizeof want, "text %d", i);
            struct kit_edits e = kit_edits();
            kit_put_bool(&e, "flag.bool", i % 2);
            kit_put_object(&e, "flag.object", i);
            kit_put(&e, "flag.text", want);
            kit_put_number(&e, "new.flag", i);
            kit_change(s, "production", &e);
            assert_int_equal(hoist_flag_bool(b, NULL, i % 2 == 0), i % 2);
            assert_int_equal(hoist_flag_int(n, NULL, -1), i);
            assert_int_equal(hoist_int(h, "new.flag", NULL, -1), i);
            hoist_flag_string(t, NULL, "", buf, sizeof buf);
            assert_string_equal(buf, want);
            snprintf(want, sizeof want, "{\"n\":%d}", i);
            hoist_flag_object(obj, NULL, "", buf, sizeof buf);
            assert_string_equal(buf, want);
        }
        kit_unset(s, "production", "new.flag");
        assert_int_equal(hoist_flag_int(n, NULL, -1), -1);
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_flag_that_changes_its_type_is_of_the_new_one(void **state)
{
    char *dir = kit_dir(), buf[16];
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_flag *f = hoist_bind(h, "flag.bool");
    assert_true(hoist_flag_bool(f, NULL, false));
    kit_set(s, "production", "flag.bool", "now text");
    assert_false(hoist_flag_bool(f, NULL, false));
    assert_int_equal(hoist_flag_string(f, NULL, "", buf, sizeof buf), 8);
    kit_set_number(s, "production", "flag.bool", 3);
    assert_int_equal(hoist_flag_string(f, NULL, "fb", buf, sizeof buf), 2);
    assert_int_equal(hoist_flag_int(f, NULL, 0), 3);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void environments_are_apart(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    kit_set_bool(s, "staging", "flag.bool", false);
    hoist *production = kit_hoist(dir), *staging = NULL, *first = NULL, *none = NULL;
    OK(hoist_open(&staging, dir, "staging"));
    OK(hoist_open(&first, dir, NULL));
    assert_true(hoist_bool(production, "flag.bool", NULL, false));
    assert_false(hoist_bool(staging, "flag.bool", NULL, true));
    assert_true(hoist_bool(first, "flag.bool", NULL, false));
    assert_int_equal(hoist_version(staging), 1);

    IS(hoist_open(&none, dir, "nowhere"), HOIST_ENOTFOUND);
    assert_non_null(strstr(hoist_last_error(), "staging")); /* names those that are there */
    assert_non_null(none);
    assert_true(hoist_bool(none, "flag.bool", NULL, true));
    assert_int_equal(hoist_version(none), 0);
    hoist_flag *later = hoist_bind(none, "flag.int");
    assert_int_equal(hoist_flag_int(later, NULL, 9), 9);
    kit_set_number(s, "nowhere", "flag.int", 1);
    assert_int_equal(hoist_flag_int(later, NULL, 9), 1); /* it works as soon as it is there */
    hoist_close(none);
    hoist_close(first);
    hoist_close(staging);
    hoist_close(production);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void nothing_given_answers_fallbacks(void **state)
{
    char buf[8];
    struct hoist_result r;
    hoist *h = (hoist *)buf;
    IS(hoist_open(NULL, "/tmp", NULL), HOIST_EINVAL);
    IS(hoist_open(&h, "", NULL), HOIST_EINVAL);
    assert_null(h);
    IS(hoist_open(&h, "/tmp", "No Such Name!"), HOIST_EINVAL);
    IS(hoist_open_with(&h, "/tmp", NULL, 64), HOIST_EINVAL);
    assert_null(h);
    hoist_close(NULL);
    assert_true(hoist_bool(NULL, "x", NULL, true));
    assert_int_equal(hoist_int(NULL, NULL, NULL, 4), 4);
    assert_true(hoist_double(NULL, "x", NULL, 2) == 2);
    assert_int_equal(hoist_string(NULL, "x", NULL, "fb", buf, sizeof buf), 2);
    assert_string_equal(buf, "fb");
    assert_int_equal(hoist_object(NULL, "x", NULL, "{}", NULL, 0), 2);
    assert_false(hoist_evaluate(NULL, "x", NULL, 0, &r, NULL, 0));
    assert_int_equal(r.code, HOIST_CODE_NOT_READY);
    assert_false(hoist_evaluate(NULL, "x", NULL, 0, NULL, NULL, 0));
    assert_null(hoist_bind(NULL, "x"));
    assert_true(hoist_flag_bool(NULL, NULL, true));
    assert_int_equal(hoist_flag_int(NULL, NULL, 4), 4);
    assert_true(hoist_flag_double(NULL, NULL, 2) == 2);
    assert_int_equal(hoist_flag_string(NULL, NULL, NULL, buf, sizeof buf), 0);
    assert_int_equal(hoist_flag_object(NULL, NULL, "[]", buf, sizeof buf), 2);
    assert_false(hoist_flag_evaluate(NULL, NULL, 0, &r, NULL, 0));
    hoist_view *v = (hoist_view *)buf;
    IS(hoist_view_begin(NULL, &v), HOIST_EINVAL);
    assert_null(v);
    hoist_view_end(NULL);
    assert_int_equal(hoist_view_version(NULL), 0);
    assert_true(hoist_view_bool(NULL, "x", NULL, true));
    size_t length;
    assert_string_equal(hoist_view_string_ref(NULL, "x", NULL, "fb", &length), "fb");
    assert_int_equal(length, 2);
    assert_int_equal(hoist_version(NULL), 0);
    assert_int_equal(hoist_watch_fd(NULL), -1);
    hoist_watch_clear(NULL);
    (void)state;
}

static void keys_that_cannot_be_are_not_found(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    char *key = malloc(100000);
    memset(key, 'k', 99999);
    key[99999] = '\0';
    assert_true(hoist_bool(h, key, NULL, true));
    assert_true(hoist_flag_bool(hoist_bind(h, key), NULL, true));
    key[255] = '\0';
    assert_true(hoist_bool(h, key, NULL, true));
    assert_true(hoist_bool(h, "", NULL, true));
    assert_true(hoist_bool(h, "\xff\xfe\n", NULL, true));
    assert_true(hoist_bool(h, NULL, NULL, true));
    assert_null(hoist_bind(h, NULL));
    free(key);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void made_up_keys_do_not_fill_the_memory(void **state)
{
    char *dir = kit_dir(), key[32];
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 50000; i++) {
        snprintf(key, sizeof key, "user.%d", i);
        assert_int_equal(hoist_int(h, key, NULL, i), i);
    }
    assert_true(mallinfo2().uordblks < before + (2 << 20)); /* 50,000 handles are 6 MB */
    struct kit_edits e = kit_edits();
    kit_put_number(&e, "user.49999", 5);
    kit_change(s, "production", &e);
    assert_int_equal(hoist_int(h, "user.49999", NULL, 0), 5);
    assert_int_equal(hoist_int(h, "user.0", NULL, 7), 7);
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void many_flags_are_all_found(void **state)
{
    enum { FLAGS = 20000 };
    char *dir = kit_dir(), key[32];
    struct store *s = kit_open(dir);
    struct kit_edits e = kit_edits();
    for (int i = 0; i < FLAGS; i++) {
        snprintf(key, sizeof key, "flag.%05d", i);
        kit_put_number(&e, key, i);
    }
    kit_change(s, "production", &e);
    hoist *h = kit_hoist(dir);
    for (int again = 0; again < 2; again++)
        for (int i = 0; i < FLAGS; i++) {
            snprintf(key, sizeof key, "flag.%05d", i);
            assert_int_equal(hoist_int(h, key, NULL, -1), i);
        }
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_read_by_key_and_bound),
        cmocka_unit_test(another_type_answers_the_fallback),
        cmocka_unit_test(text_is_cut_like_snprintf),
        cmocka_unit_test(an_evaluation_says_why),
        cmocka_unit_test(a_bound_flag_follows_changes),
        cmocka_unit_test(a_flag_that_changes_its_type_is_of_the_new_one),
        cmocka_unit_test(environments_are_apart),
        cmocka_unit_test(nothing_given_answers_fallbacks),
        cmocka_unit_test(keys_that_cannot_be_are_not_found),
        cmocka_unit_test(made_up_keys_do_not_fill_the_memory),
        cmocka_unit_test(many_flags_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
