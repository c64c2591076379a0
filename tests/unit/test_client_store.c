/* Stores that are absent, half-made, broken, replaced or rotated away. */
#include "client_kit.h"

#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "client/keeper.h"
#include "store/files.h"

static void all_answer_fallbacks(hoist *h)
{
    char buf[8];
    struct hoist_result r;
    hoist_view *v = (hoist_view *)buf;
    assert_true(hoist_bool(h, "flag.bool", NULL, true));
    assert_int_equal(hoist_int(h, "flag.int", NULL, 3), 3);
    assert_int_equal(hoist_string(h, "flag.text", NULL, "fb", buf, sizeof buf), 2);
    assert_true(hoist_flag_bool(hoist_bind(h, "flag.bool"), NULL, true));
    assert_false(hoist_evaluate(h, "flag.bool", NULL, HOIST_BOOL, &r, NULL, 0));
    assert_string_equal(hoist_code_name(r.code), "PROVIDER_NOT_READY");
    assert_true(r.error[0]);
    assert_int_equal(hoist_version(h), 0);
    assert_int_not_equal(hoist_view_begin(h, &v), HOIST_OK);
    assert_null(v);
}

static void no_store_yet_answers_fallbacks_until_it_is_there(void **state)
{
    static const unsigned options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE};
    for (size_t i = 0; i < 3; i++) {
        char *dir = kit_dir();
        hoist *h = NULL;
        IS(hoist_open_with(&h, dir, "production", options[i]), HOIST_ENOTFOUND);
        assert_non_null(h);
        assert_non_null(strstr(hoist_last_error(), dir));
        hoist_flag *f = hoist_bind(h, "flag.int");
        assert_int_equal(hoist_flag_int(f, NULL, 3), 3);
        all_answer_fallbacks(h);
        struct store *s = kit_store(dir);
        WAIT_UNTIL(hoist_flag_int(f, NULL, 3) == 42, 1500);
        assert_false(hoist_bool(h, "absent", NULL, false));
        assert_true(hoist_bool(h, "flag.bool", NULL, false));
        hoist_close(h);
        store_close(s);
        kit_remove(dir);
    }
    (void)state;
}

static void write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static void a_store_that_is_none_answers_fallbacks(void **state)
{
    static char rubbish[20000];
    memset(rubbish, 0x5a, sizeof rubbish);
    for (int kind = 0; kind < 4; kind++) {
        char *dir = kit_dir();
        if (kind > 0) {
            assert_int_equal(mkdir(kit_path(dir, "1"), 0700), 0);
            assert_int_equal(symlink("1", kit_path(dir, "current")), 0);
        }
        if (kind > 1)
            write_file(kit_path(dir, "1/data.mdb"), rubbish, kind == 2 ? 0 : sizeof rubbish);
        if (kind > 2)
            write_file(kit_path(dir, "1/lock.mdb"), rubbish, 100);
        hoist *h = NULL;
        assert_int_not_equal(hoist_open(&h, dir, "production"), HOIST_OK);
        assert_non_null(h);
        assert_true(hoist_last_error()[0]);
        all_answer_fallbacks(h);
        hoist_close(h);
        kit_remove(dir);
    }
    hoist *h = NULL;
    assert_int_not_equal(hoist_open(&h, "/dev/null", NULL), HOIST_OK);
    all_answer_fallbacks(h);
    hoist_close(h);
    (void)state;
}

static void a_store_on_a_network_filesystem_gives_no_handle(void **state)
{
    static const unsigned options[] = {0, HOIST_NO_THREAD};
    char *dir = kit_dir();
    (void)state;
    store_close(kit_store(dir));
    for (size_t i = 0; i < 2; i++) {
        hoist *h = (hoist *)dir;
        files_set_fs_type(NFS_SUPER_MAGIC);
        IS(hoist_open_with(&h, dir, "production", options[i]), HOIST_EINVAL);
        assert_null(h);
        assert_non_null(strstr(hoist_last_error(), "network filesystem (NFS)"));
        all_answer_fallbacks(h);
        files_set_fs_type(0);
        h = kit_hoist_with(dir, options[i]);
        assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
        hoist_close(h);
    }
    kit_remove(dir);
}

static void reading_goes_on_when_the_writer_is_gone_and_the_directory_too(void **state)
{
    char *dir = kit_dir(), away[100], buf[16];
    snprintf(away, sizeof away, "%s.away", dir);
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_flag *f = hoist_bind(h, "flag.int");
    assert_int_equal(hoist_flag_int(f, NULL, 3), 42);
    store_close(s);
    assert_int_equal(rename(dir, away), 0);
    kit_sleep(700);
    assert_int_equal(hoist_flag_int(f, NULL, 3), 42);
    assert_true(hoist_bool(h, "flag.bool", NULL, false)); /* not read before: from the open file */
    assert_int_equal(hoist_string(h, "flag.text", NULL, "", buf, sizeof buf), 5);
    assert_int_equal(hoist_version(h), 1);
    hoist_close(h);
    kit_remove(away);
    (void)state;
}

static void a_replaced_directory_is_noticed(void **state)
{
    static const unsigned options[] = {0, HOIST_NO_THREAD};
    for (size_t i = 0; i < 2; i++) {
        char *dir = kit_dir(), *other = kit_dir(), away[100], buf[64];
        snprintf(away, sizeof away, "%s.away", dir);
        struct store *old = kit_store(dir);
        hoist *h = kit_hoist_with(dir, options[i]);
        hoist_flag *f = hoist_bind(h, "flag.int"), *t = hoist_bind(h, "flag.text");
        hoist_view *v;
        OK(hoist_view_begin(h, &v));
        assert_int_equal(hoist_flag_int(f, NULL, 0), 42);
        hoist_flag_string(t, NULL, "", buf, sizeof buf);
        /* So that the old store's transactions are far ahead of the new one's. */
        for (int n = 0; n < 50; n++)
            kit_set_bool(old, "production", "flag.bool", n % 2);
        assert_int_equal(hoist_flag_int(f, NULL, 0), 42);

        struct store *fresh = kit_open(other);
        kit_set_number(fresh, "production", "flag.int", 43);
        kit_set(fresh, "production", "flag.text", "new");
        store_close(fresh);
        assert_int_equal(rename(dir, away), 0);
        assert_int_equal(rename(other, dir), 0);

        /* A bound flag notices by itself only with the thread; else a slow read must come by. */
        WAIT_UNTIL((!options[i] || hoist_version(h)) && hoist_flag_int(f, NULL, 0) == 43, 1500);
        hoist_flag_string(t, NULL, "", buf, sizeof buf);
        assert_string_equal(buf, "new");
        assert_true(hoist_bool(h, "flag.bool", NULL, true)); /* absent in the new one */
        /* The view still is of the old store, to its end. */
        assert_int_equal(hoist_view_int(v, "flag.int", NULL, 0), 42);
        assert_string_equal(hoist_view_string_ref(v, "flag.text", NULL, "", NULL), "hello");
        hoist_view_end(v);
        hoist_close(h);
        store_close(old);
        kit_remove(dir);
        kit_remove(away);
    }
    (void)state;
}

static void a_rotation_is_survived(void **state)
{
    char *dir = kit_dir(), big[20000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct store *s = kit_store(dir);
    store_set_rotate_limit(s, 1 << 20);
    hoist *threaded = kit_hoist(dir), *plain = kit_hoist_with(dir, HOIST_NO_THREAD);
    hoist_flag *f = hoist_bind(threaded, "flag.int"), *g = hoist_bind(plain, "flag.int");
    struct store_stats stats = {0};
    hoist_view *v, *w;
    OK(hoist_view_begin(threaded, &v)); /* they stay: the file grows */
    OK(hoist_view_begin(plain, &w));
    int n = 0;
    int64_t until = clock_mono_ms() + 20000;
    while (stats.rotations == 0 && clock_mono_ms() < until) {
        bool more;
        big[0] = (char)('a' + n % 26);
        struct kit_edits e = kit_edits();
        kit_put(&e, "big", big);
        kit_put_number(&e, "flag.int", ++n);
        kit_change(s, "production", &e);
        assert_int_equal(hoist_flag_int(f, NULL, -1), n);
        assert_int_equal(hoist_flag_int(g, NULL, -1), n);
        OK(store_tick(s, clock_wall_ms(), &more));
        store_stats(s, &stats);
        kit_sleep(20);
    }
    assert_int_equal(stats.rotations, 1);
    for (int64_t more = n + 1; more < n + 100; more++) {
        kit_set_number(s, "production", "flag.int", (double)more);
        WAIT_UNTIL(hoist_flag_int(f, NULL, -1) == more, 1500);
        WAIT_UNTIL(hoist_flag_int(g, NULL, -1) == more, 1500);
    }
    assert_int_equal(hoist_view_int(v, "flag.int", NULL, -1), 42);
    assert_int_equal(hoist_view_int(w, "flag.int", NULL, -1), 42);
    hoist_view_end(v);
    hoist_close(plain);
    hoist_close(threaded);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void without_counters_every_read_is_cold_and_right(void **state)
{
    for (int kind = 0; kind < 2; kind++) {
        char *dir = kit_dir(), buf[64];
        struct store *s = kit_store(dir);
        if (kind == 0)
            assert_int_equal(unlink(kit_path(dir, "1/counters")), 0);
        else
            assert_int_equal(truncate(kit_path(dir, "1/counters"), 100), 0);
        hoist *h = kit_hoist(dir);
        hoist_flag *f = hoist_bind(h, "flag.int");
        assert_int_equal(hoist_flag_int(f, NULL, 0), 42);
        hoist_string(h, "flag.text", NULL, "", buf, sizeof buf);
        assert_string_equal(buf, "hello");
        if (kind == 0) {
            kit_set_number(s, "production", "flag.int", 43);
            assert_int_equal(hoist_flag_int(f, NULL, 0), 43);
        }
        hoist_close(h);
        if (kind == 0)
            store_close(s); /* with a shortened file under its map the writer is lost */
        kit_remove(dir);
    }
    (void)state;
}

static _Atomic bool no_eventfd;

/* The library's thread is not started without one. */
int eventfd(unsigned count, int flags)
{
    if (atomic_load(&no_eventfd)) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_eventfd2, count, flags);
}

static void without_its_thread_a_handle_finds_its_store_all_the_same(void **state)
{
    char *dir = kit_dir(), *other = kit_dir(), away[100];
    snprintf(away, sizeof away, "%s.away", dir);
    hoist *h = NULL;
    atomic_store(&no_eventfd, true);
    IS(hoist_open(&h, dir, "production"), HOIST_ENOTFOUND);
    assert_false(keeper_running());
    store_close(kit_store(dir));
    WAIT_UNTIL(hoist_int(h, "flag.int", NULL, 0) == 42, 3000);
    struct store *s = kit_open(other);
    kit_set_number(s, "production", "flag.int", 43);
    store_close(s);
    assert_int_equal(rename(dir, away), 0);
    assert_int_equal(rename(other, dir), 0);
    WAIT_UNTIL(hoist_version(h) && hoist_int(h, "flag.int", NULL, 0) == 43, 3000);
    assert_false(keeper_running());
    atomic_store(&no_eventfd, false);
    WAIT_UNTIL(hoist_version(h) && keeper_running(), 3000);
    hoist_close(h);
    kit_remove(dir);
    kit_remove(away);
    (void)state;
}

static void two_handles_share_a_store(void **state)
{
    char *dir = kit_dir(), other[100];
    snprintf(other, sizeof other, "%s.link", dir);
    struct store *s = kit_store(dir);
    assert_int_equal(symlink(dir, other), 0);
    hoist *a = kit_hoist(dir), *b = kit_hoist(other), *c = kit_hoist_with(dir, HOIST_NO_THREAD);
    struct store_stats stats;
    assert_int_equal(hoist_int(a, "flag.int", NULL, 0), 42);
    assert_int_equal(hoist_int(b, "flag.int", NULL, 0), 42);
    assert_int_equal(hoist_int(c, "flag.int", NULL, 0), 42);
    store_stats(s, &stats);
    assert_true(stats.readers <= 3); /* one parked transaction for all three, beside the writer's */
    hoist_close(a);
    kit_set_number(s, "production", "flag.int", 1);
    assert_int_equal(hoist_int(b, "flag.int", NULL, 0), 1);
    assert_int_equal(hoist_int(c, "flag.int", NULL, 0), 1);
    hoist_close(b);
    kit_set_number(s, "production", "flag.int", 2);
    assert_int_equal(hoist_int(c, "flag.int", NULL, 0), 2);
    hoist_close(c);
    unlink(other);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void the_directory_is_found_again_after_chdir(void **state)
{
    char *dir = kit_dir(), cwd[4096];
    struct store *s = kit_store(dir);
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir("/"), 0);
    hoist *h = kit_hoist(dir + 1); /* without its slash */
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
    hoist_close(h);
    assert_int_equal(setenv("HOIST_STORE", dir, 1), 0);
    assert_int_equal(setenv("HOIST_ENV", "production", 1), 0);
    assert_int_equal(setenv("HOIST_NO_THREAD", "1", 1), 0);
    OK(hoist_open(&h, NULL, NULL));
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
    hoist_close(h);
    unsetenv("HOIST_STORE");
    unsetenv("HOIST_ENV");
    unsetenv("HOIST_NO_THREAD");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_store_yet_answers_fallbacks_until_it_is_there),
        cmocka_unit_test(a_store_that_is_none_answers_fallbacks),
        cmocka_unit_test(a_store_on_a_network_filesystem_gives_no_handle),
        cmocka_unit_test(reading_goes_on_when_the_writer_is_gone_and_the_directory_too),
        cmocka_unit_test(a_replaced_directory_is_noticed),
        cmocka_unit_test(a_rotation_is_survived),
        cmocka_unit_test(without_counters_every_read_is_cold_and_right),
        cmocka_unit_test(without_its_thread_a_handle_finds_its_store_all_the_same),
        cmocka_unit_test(two_handles_share_a_store),
        cmocka_unit_test(the_directory_is_found_again_after_chdir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
