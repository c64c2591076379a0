#include "client_kit.h"

#include <inttypes.h>

static void a_view_shows_one_version(void **state)
{
    char *dir = kit_dir(), buf[16];
    struct store *s = kit_store(dir);
    static const unsigned options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE};
    for (size_t i = 0; i < 3; i++) {
        hoist *h = kit_hoist_with(dir, options[i]);
        hoist_view *before, *after;
        kit_set_number(s, "production", "flag.int", 42);
        kit_set(s, "production", "flag.text", "hello");
        assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
        OK(hoist_view_begin(h, &before));
        uint64_t version = hoist_version(h);
        assert_int_equal(hoist_view_version(before), version);
        kit_set_number(s, "production", "flag.int", 43);
        kit_set(s, "production", "flag.text", "goodbye");
        assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 43);
        hoist_string(h, "flag.text", NULL, "", buf, sizeof buf);
        OK(hoist_view_begin(h, &after));
        for (int again = 0; again < 2; again++) {
            assert_int_equal(hoist_view_int(before, "flag.int", NULL, 0), 42);
            assert_int_equal(hoist_view_int(after, "flag.int", NULL, 0), 43);
            assert_string_equal(hoist_view_string_ref(before, "flag.text", NULL, "", NULL),
                                "hello");
            assert_string_equal(hoist_view_string_ref(after, "flag.text", NULL, "", NULL),
                                "goodbye");
            assert_true(hoist_view_bool(before, "flag.bool", NULL, false));
            assert_true(hoist_view_double(before, "flag.double", NULL, 0) == 2.5);
        }
        struct hoist_result r;
        assert_true(hoist_view_evaluate(before, "flag.text", NULL, 0, &r, buf, sizeof buf));
        assert_string_equal(buf, "hello");
        assert_string_equal(r.variant, "value");
        assert_int_equal(r.version, version);
        hoist_view_end(before);
        assert_int_equal(hoist_view_version(after), version + 2);
        hoist_view_end(after);
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void lent_text_stays_until_the_view_ends(void **state)
{
    char *dir = kit_dir(), key[32], want[32];
    struct store *s = kit_store(dir);
    struct kit_edits e = kit_edits();
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "text.%d", i);
        kit_put(&e, key, key);
    }
    kit_change(s, "production", &e);
    hoist *h = kit_hoist(dir);
    hoist_view *v;
    const char *texts[200];
    OK(hoist_view_begin(h, &v));
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "text.%d", i);
        texts[i] = hoist_view_string_ref(v, key, NULL, NULL, NULL);
    }
    e = kit_edits();
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "text.%d", i);
        kit_put(&e, key, "other");
    }
    kit_change(s, "production", &e);
    for (int i = 0; i < 200; i++) {
        snprintf(want, sizeof want, "text.%d", i);
        assert_string_equal(texts[i], want);
        assert_ptr_equal(hoist_view_string_ref(v, want, NULL, NULL, NULL), texts[i]);
    }
    size_t length = 0;
    assert_string_equal(hoist_view_object_ref(v, "flag.object", NULL, NULL, &length), "{\"n\":7}");
    assert_int_equal(length, 7);
    assert_null(hoist_view_object_ref(v, "flag.text", NULL, NULL, &length));
    assert_int_equal(length, 0);
    assert_string_equal(hoist_view_string_ref(v, "absent", NULL, "fb", &length), "fb");
    assert_int_equal(length, 2);
    hoist_view_end(v);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void the_65th_view_is_told_to_come_again(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_view *views[64], *more = NULL;
    for (int i = 0; i < 64; i++)
        OK(hoist_view_begin(h, &views[i]));
    IS(hoist_view_begin(h, &more), HOIST_EAGAIN);
    assert_null(more);
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42); /* reads have their own */
    assert_int_equal(hoist_view_int(views[63], "flag.int", NULL, 0), 42);
    hoist_view_end(views[10]);
    OK(hoist_view_begin(h, &more));
    hoist_view_end(more);
    hoist_close(h); /* ends the other 63 */
    h = kit_hoist(dir);
    OK(hoist_view_begin(h, &more));
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

enum { INHERITED = 64 };

struct inherited {
    hoist *hoist;
    hoist_view *views[INHERITED];
};

static int begin_64_more(void *arg)
{
    struct inherited *i = arg;
    hoist_view *views[64], *more;
    for (int n = 0; n < 32; n++)
        hoist_view_end(i->views[n]);
    for (int n = 0; n < 64; n++)
        if (hoist_view_begin(i->hoist, &views[n]))
            return 1;
    for (int n = 32; n < INHERITED; n++) {
        if (hoist_view_int(i->views[n], "flag.int", NULL, 7) != 7)
            return 2;
        hoist_view_end(i->views[n]);
    }
    if (hoist_view_begin(i->hoist, &more) != HOIST_EAGAIN) /* those took no place away */
        return 3;
    for (int n = 0; n < 64; n++)
        if (hoist_view_int(views[n], "flag.int", NULL, 7) != 42)
            return 4;
    for (int n = 0; n < 32; n++)
        hoist_view_end(views[n]);
    hoist_close(i->hoist);
    return 0;
}

static int begin_64_in_a_child_of_the_child(void *arg)
{
    struct inherited *i = arg;
    hoist_view *own;
    if (hoist_view_begin(i->hoist, &own))
        return 5;
    return kit_in_child(begin_64_more, arg);
}

static void a_childs_views_have_all_the_places(void **state)
{
    char *dir = kit_dir();
    store_close(kit_store(dir));
    struct inherited i = {.hoist = kit_hoist(dir)};
    for (int n = 0; n < INHERITED; n++)
        OK(hoist_view_begin(i.hoist, &i.views[n]));
    assert_int_equal(kit_in_child(begin_64_more, &i), 0);
    assert_int_equal(kit_in_child(begin_64_in_a_child_of_the_child, &i), 0);
    for (int n = 0; n < INHERITED; n++)
        assert_int_equal(hoist_view_int(i.views[n], "flag.int", NULL, 0), 42);
    hoist_close(i.hoist);
    kit_remove(dir);
    (void)state;
}

/* ------------------------------------------------------------------ under load */

enum { FLAGS = 8, CHANGES = 4000 };

struct load {
    struct store *store;
    hoist *hoist;
    _Atomic bool stop;
    _Atomic int views;
    _Atomic int mixed;
};

/* Every change sets all flags to its own number. */
static void *write_changes(void *arg)
{
    struct load *l = arg;
    char key[16];
    for (int n = 1; n <= CHANGES; n++) {
        struct kit_edits e = kit_edits();
        for (int i = 0; i < FLAGS; i++) {
            snprintf(key, sizeof key, "n.%d", i);
            kit_put_number(&e, key, n);
        }
        char text[16];
        snprintf(text, sizeof text, "%d", n);
        kit_put(&e, "text", text);
        if (kit_try_change(l->store, "production", &e))
            break;
    }
    atomic_store(&l->stop, true);
    return NULL;
}

static void *read_views(void *arg)
{
    struct load *l = arg;
    char key[16];
    while (!atomic_load(&l->stop)) {
        hoist_view *v;
        if (hoist_view_begin(l->hoist, &v))
            continue;
        int64_t first = (int64_t)hoist_view_version(v) - 1; /* version 1 set up the store */
        bool mixed = atoi(hoist_view_string_ref(v, "text", NULL, "0", NULL)) != first;
        for (int i = 0; i < FLAGS; i++) {
            snprintf(key, sizeof key, "n.%d", i);
            mixed |= hoist_view_int(v, key, NULL, 0) != first;
            /* and fill the cache with what is newest, which may be too new for the view */
            if (hoist_int(l->hoist, key, NULL, 0) < first)
                mixed = true;
        }
        atomic_fetch_add(&l->mixed, mixed);
        atomic_fetch_add(&l->views, 1);
        hoist_view_end(v);
    }
    return NULL;
}

static void no_view_mixes_two_versions(void **state)
{
    char *dir = kit_dir();
    struct load l = {.store = kit_store(dir), .hoist = kit_hoist(dir)};
    pthread_t writer, readers[3];
    int64_t begin_ms = clock_mono_ms();
    pthread_create(&writer, NULL, write_changes, &l);
    for (int i = 0; i < 3; i++)
        pthread_create(&readers[i], NULL, read_views, &l);
    pthread_join(writer, NULL);
    print_message("%" PRId64 " changes/s\n", CHANGES * 1000 / (clock_mono_ms() - begin_ms + 1));
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    assert_true(l.views > 100);
    assert_int_equal(l.mixed, 0);
    assert_int_equal(hoist_int(l.hoist, "n.0", NULL, 0), CHANGES);
    hoist_close(l.hoist);
    store_close(l.store);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_shows_one_version),
        cmocka_unit_test(lent_text_stays_until_the_view_ends),
        cmocka_unit_test(the_65th_view_is_told_to_come_again),
        cmocka_unit_test(a_childs_views_have_all_the_places),
        cmocka_unit_test(no_view_mixes_two_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
