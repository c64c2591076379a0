#include "client_kit.h"

#include <sys/inotify.h>

static void a_change_turns_the_descriptor_readable(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    static const unsigned options[] = {0, HOIST_NO_THREAD};
    for (size_t i = 0; i < 2; i++) {
        hoist *h = kit_hoist_with(dir, options[i]);
        int fd = hoist_watch_fd(h);
        assert_true(fd >= 0);
        assert_int_equal(hoist_watch_fd(h), fd);
        assert_false(kit_readable(fd, 50));
        for (int n = 0; n < 20; n++) {
            kit_set_number(s, "production", "flag.int", n);
            assert_true(kit_readable(fd, 1000));
            hoist_watch_clear(h);
            assert_int_equal(hoist_int(h, "flag.int", NULL, -1), n);
        }
        kit_sleep(50);
        hoist_watch_clear(h);
        assert_false(kit_readable(fd, 50));
        hoist_close(h);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
    }
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void clearing_one_handle_leaves_the_other_readable(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist *a = kit_hoist(dir), *b = kit_hoist(dir);
    int fa = hoist_watch_fd(a), fb = hoist_watch_fd(b);
    kit_set_number(s, "production", "flag.int", 1);
    assert_true(kit_readable(fa, 1000));
    assert_true(kit_readable(fb, 1000));
    kit_sleep(20);
    hoist_watch_clear(a);
    assert_false(kit_readable(fa, 0));
    assert_true(kit_readable(fb, 0));
    hoist_close(a);
    hoist_close(b);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_store_that_appears_is_told(void **state)
{
    char *dir = kit_dir();
    hoist *h = NULL;
    IS(hoist_open(&h, dir, "production"), HOIST_ENOTFOUND);
    int fd = hoist_watch_fd(h);
    assert_true(fd >= 0);
    struct store *s = kit_store(dir);
    assert_true(kit_readable(fd, 1500));
    hoist_watch_clear(h);
    WAIT_UNTIL(hoist_int(h, "flag.int", NULL, 0) == 42, 1500);
    hoist_watch_clear(h);
    kit_set_number(s, "production", "flag.int", 1);
    assert_true(kit_readable(fd, 1000));
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

struct child {
    hoist *hoist;
    int inherited;
    const char *dir;
};

static int watch_in_child(void *arg)
{
    struct child *c = arg;
    int fd = hoist_watch_fd(c->hoist);
    if (fd < 0 || fd == c->inherited)
        return 1;
    struct store *s = kit_open(c->dir);
    kit_set_number(s, "production", "flag.int", 8);
    if (!kit_readable(fd, 1000))
        return 2;
    hoist_watch_clear(c->hoist);
    if (hoist_int(c->hoist, "flag.int", NULL, 0) != 8)
        return 3;
    store_close(s);
    hoist_close(c->hoist);
    return 0;
}

static void a_child_watches_for_itself(void **state)
{
    char *dir = kit_dir();
    store_close(kit_store(dir));
    hoist *h = kit_hoist(dir);
    struct child c = {h, hoist_watch_fd(h), dir};
    assert_int_equal(kit_in_child(watch_in_child, &c), 0);
    assert_true(kit_readable(c.inherited, 1000)); /* what the child cleared was its own */
    hoist_close(h);
    kit_remove(dir);
    (void)state;
}

/* In a process of its own, since inotify instances are made scarce by a limit on descriptors. */
static int watch_without_inotify(void *arg)
{
    int fds[200], n = 0;
    struct child *c = arg;
    hoist *h = NULL;
    if (hoist_open(&h, c->dir, "production"))
        return 1;
    struct store *s = kit_open(c->dir);
    while (n < 200 && (fds[n] = inotify_init()) >= 0)
        n++;
    if (n == 200)
        return 0; /* this user may have more than that */
    int fd = hoist_watch_fd(h);
    if (fd < 0)
        return 2;
    kit_sleep(600);
    hoist_watch_clear(h);
    kit_set_number(s, "production", "flag.int", 9);
    if (!kit_readable(fd, 1500))
        return 3;
    return 0;
}

static void without_inotify_the_thread_tells(void **state)
{
    char *dir = kit_dir();
    store_close(kit_store(dir));
    struct child c = {.dir = dir};
    assert_int_equal(kit_in_child(watch_without_inotify, &c), 0);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_turns_the_descriptor_readable),
        cmocka_unit_test(clearing_one_handle_leaves_the_other_readable),
        cmocka_unit_test(a_store_that_appears_is_told),
        cmocka_unit_test(a_child_watches_for_itself),
        cmocka_unit_test(without_inotify_the_thread_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
