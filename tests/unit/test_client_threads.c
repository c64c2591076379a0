/* Threads and forks. */
#include "client_kit.h"

#include <dirent.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "client/keeper.h"
#include "client/source.h"

struct shared {
    struct store *store;
    hoist *hoist;
    hoist_flag *number, *text, *object;
    _Atomic bool stop;
    _Atomic int wrong;
};

static void *read_and_exit(void *arg)
{
    struct shared *s = arg;
    hoist_view *v;
    if (hoist_int(s->hoist, "flag.int", NULL, 0) != 42 || hoist_version(s->hoist) != 1)
        atomic_fetch_add(&s->wrong, 1);
    if (hoist_view_begin(s->hoist, &v) == HOIST_OK)
        hoist_view_end(v);
    return NULL;
}

static void a_thousand_threads_leave_no_reader_slots_behind(void **state)
{
    char *dir = kit_dir();
    struct shared s = {.store = kit_store(dir), .hoist = kit_hoist_with(dir, HOIST_NO_CACHE)};
    for (int i = 0; i < 100; i++) {
        pthread_t threads[10];
        for (int t = 0; t < 10; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, read_and_exit, &s), 0);
        for (int t = 0; t < 10; t++)
            pthread_join(threads[t], NULL);
    }
    assert_int_equal(s.wrong, 0);
    struct store_stats stats;
    store_stats(s.store, &stats);
    assert_true(stats.readers <= 2 * STORE_PARKED);
    hoist_close(s.hoist);
    store_close(s.store);
    kit_remove(dir);
    (void)state;
}

/* Each reader sees numbers that only grow, and texts that agree with what it saw before. */
static void *read_growing(void *arg)
{
    struct shared *s = arg;
    char buf[32];
    int64_t last = 0, last_text = 0, last_object = 0;
    while (!atomic_load(&s->stop)) {
        int64_t now = hoist_flag_int(s->number, NULL, -1);
        hoist_flag_string(s->text, NULL, "-1", buf, sizeof buf);
        int64_t text = strtoll(buf, NULL, 10);
        hoist_flag_object(s->object, NULL, "{\"n\":-1}", buf, sizeof buf);
        int64_t object = strtoll(buf + 5, NULL, 10);
        if (now < last || text < last_text || object < last_object || text < now || object < text)
            atomic_fetch_add(&s->wrong, 1);
        last = now;
        last_text = text;
        last_object = object;
    }
    return NULL;
}

static void readers_never_go_back_while_changes_land(void **state)
{
    char *dir = kit_dir(), text[16];
    struct shared s = {.store = kit_store(dir), .hoist = kit_hoist(dir)};
    s.number = hoist_bind(s.hoist, "grow.number");
    s.text = hoist_bind(s.hoist, "grow.text");
    s.object = hoist_bind(s.hoist, "grow.object");
    pthread_t readers[3];
    for (int n = 0; n < 3000; n++) {
        snprintf(text, sizeof text, "%d", n);
        struct kit_edits e = kit_edits();
        kit_put_number(&e, "grow.number", n);
        kit_put(&e, "grow.text", text);
        kit_put_object(&e, "grow.object", n);
        kit_change(s.store, "production", &e);
        if (n == 0)
            for (int t = 0; t < 3; t++)
                pthread_create(&readers[t], NULL, read_growing, &s);
    }
    assert_int_equal(hoist_flag_int(s.number, NULL, 0), 2999);
    atomic_store(&s.stop, true);
    for (int t = 0; t < 3; t++)
        pthread_join(readers[t], NULL);
    assert_int_equal(s.wrong, 0);
    hoist_close(s.hoist);
    store_close(s.store);
    kit_remove(dir);
    (void)state;
}

/* ------------------------------------------------------------------ replaced stores */

struct guest {
    struct source *source;
    sem_t come, go;
};

static void *stay_in_the_era(void *arg)
{
    struct guest *g = arg;
    assert_non_null(source_enter(g->source));
    sem_post(&g->come);
    sem_wait(&g->go);
    source_leave(g->source);
    return NULL;
}

/* Put another store in the place of the one in `dir`, and have it found by opening it. */
static hoist *replace(const char *dir, char away[100], int n)
{
    char *other = kit_dir();
    struct store *s = kit_open(other);
    kit_set_number(s, "production", "flag.int", n);
    store_close(s);
    snprintf(away, 100, "%s.away%d", dir, n);
    assert_int_equal(rename(dir, away), 0);
    assert_int_equal(rename(other, dir), 0);
    hoist *h = kit_hoist(dir);
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), n);
    return h;
}

static bool is_over(struct era *e)
{
    pthread_mutex_lock(&sources_lock);
    bool over = !e->mount;
    pthread_mutex_unlock(&sources_lock);
    return over;
}

static void what_is_replaced_while_the_keeper_waits_stays_until_its_readers_have_left(void **state)
{
    char *dir = kit_dir(), away[2][100];
    store_close(kit_store(dir));
    hoist *h[3] = {kit_hoist(dir)};
    struct guest g = {.source = h[0]->source};
    struct era *first = atomic_load(&g.source->era);
    pthread_t thread;
    sem_init(&g.come, 0, 0);
    sem_init(&g.go, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, stay_in_the_era, &g), 0);
    sem_wait(&g.come);
    h[1] = replace(dir, away[0], 1);
    keeper_wake();
    kit_sleep(200); /* it begins to wait for the guest */
    struct era *second = source_enter(g.source);
    assert_ptr_not_equal(second, first);
    h[2] = replace(dir, away[1], 2);
    assert_false(is_over(first));
    sem_post(&g.go);
    WAIT_UNTIL(is_over(first), 5000);
    assert_false(is_over(second)); /* this thread is reading in it */
    source_leave(g.source);
    keeper_wake();
    WAIT_UNTIL(is_over(second), 5000);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++)
        hoist_close(h[i]);
    kit_remove(dir);
    kit_remove(away[0]);
    kit_remove(away[1]);
    (void)state;
}

/* ------------------------------------------------------------------ forks */

struct forked {
    hoist *hoist;
    hoist_flag *flag;
    hoist_view *view;
    int fds[2];
};

static int read_in_child(void *arg)
{
    struct forked *f = arg;
    char buf[16], go;
    if (hoist_flag_int(f->flag, NULL, 0) != 42)
        return 1;
    if (hoist_view_int(f->view, "flag.int", NULL, -1) != -1) /* views do not survive */
        return 2;
    hoist_view_end(f->view);
    if (!hoist_bool(f->hoist, "flag.bool", NULL, false)) /* never read by the parent */
        return 3;
    if (hoist_string(f->hoist, "flag.text", NULL, "", buf, sizeof buf) != 5)
        return 4;
    hoist_view *v;
    if (hoist_view_begin(f->hoist, &v) || hoist_view_int(v, "flag.int", NULL, 0) != 42)
        return 5;
    hoist_view_end(v);
    if (write(f->fds[1], "r", 1) != 1 || read(f->fds[1], &go, 1) != 1)
        return 6;
    if (hoist_flag_int(f->flag, NULL, 0) != 43) /* the parent has changed it meanwhile */
        return 7;
    if (hoist_string(f->hoist, "flag.text", NULL, "", buf, sizeof buf) != 3)
        return 8;
    hoist_close(f->hoist);
    return 0;
}

static void a_child_reads_with_what_it_inherited(void **state)
{
    static const unsigned options[] = {0, HOIST_NO_THREAD};
    for (size_t i = 0; i < 2; i++) {
        char *dir = kit_dir(), c;
        int fds[2], pair[2], status;
        pid_t writer = kit_writer(dir, fds);
        struct forked f = {.hoist = kit_hoist_with(dir, options[i])};
        f.flag = hoist_bind(f.hoist, "flag.int");
        assert_int_equal(hoist_flag_int(f.flag, NULL, 0), 42);
        OK(hoist_view_begin(f.hoist, &f.view));

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        f.fds[1] = pair[1];
        pid_t child = fork();
        if (child == 0)
            _exit(read_in_child(&f));
        close(pair[1]); /* so that the child's end is seen */
        assert_int_equal(read(pair[0], &c, 1), 1);
        assert_int_equal(write(fds[1], "c", 1), 1);
        assert_int_equal(read(fds[0], &c, 1), 1);
        assert_int_equal(write(pair[0], "g", 1), 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);

        /* The child's end has taken nothing from the parent. */
        assert_int_equal(hoist_view_int(f.view, "flag.int", NULL, 0), 42);
        hoist_view_end(f.view);
        assert_int_equal(hoist_flag_int(f.flag, NULL, 0), 43);
        hoist_close(f.hoist);
        close(fds[1]);
        assert_int_equal(waitpid(writer, &status, 0), writer);
        kit_remove(dir);
    }
    (void)state;
}

static void *read_on(void *arg)
{
    struct shared *s = arg;
    char buf[16];
    while (!atomic_load(&s->stop)) {
        hoist_int(s->hoist, "flag.int", NULL, 0);
        hoist_evaluate(s->hoist, "flag.text", NULL, 0, NULL, buf, sizeof buf);
        hoist_string(s->hoist, "flag.text", NULL, "", buf, sizeof buf);
    }
    return NULL;
}

static int read_a_little(void *arg)
{
    struct shared *s = arg;
    char buf[16];
    if (hoist_evaluate(s->hoist, "flag.bool", NULL, HOIST_BOOL, NULL, NULL, 0) != true)
        return 1;
    if (hoist_string(s->hoist, "flag.text", NULL, "", buf, sizeof buf) < 3)
        return 2;
    hoist_close(s->hoist);
    return 0;
}

static void forking_while_others_read_hangs_nobody(void **state)
{
#ifdef KIT_SANITIZED
    skip(); /* a sanitizer's own locks do not survive a fork from among threads that allocate */
#endif
    char *dir = kit_dir();
    int fds[2], status;
    pid_t writer = kit_writer(dir, fds);
    struct shared s = {.hoist = kit_hoist(dir)};
    pthread_t threads[3];
    for (int t = 0; t < 3; t++)
        pthread_create(&threads[t], NULL, read_on, &s);
    alarm(60); /* a hang ends the test */
    for (int i = 0; i < 100; i++)
        assert_int_equal(kit_in_child(read_a_little, &s), 0);
    alarm(0);
    atomic_store(&s.stop, true);
    for (int t = 0; t < 3; t++)
        pthread_join(threads[t], NULL);
    hoist_close(s.hoist);
    close(fds[1]);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    kit_remove(dir);
    (void)state;
}

/* ------------------------------------------------------------------ the thread of the library */

static int count_threads(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void the_thread_lives_from_the_first_open_to_the_last_close(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    int before = count_threads();
    hoist *a = kit_hoist_with(dir, HOIST_NO_THREAD);
    assert_int_equal(count_threads(), before);
    hoist *b = kit_hoist(dir), *c = kit_hoist(dir);
    assert_int_equal(count_threads(), before + 1);
    hoist_close(b);
    assert_int_equal(count_threads(), before + 1);
    hoist_close(c);
    assert_int_equal(count_threads(), before);
    hoist_close(a);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static int exit_while_reading(void *arg)
{
    struct shared *s = arg;
    pthread_t thread;
    if (pthread_create(&thread, NULL, read_on, s) != 0)
        return 1;
    kit_sleep(5);
    fclose(stderr);
    exit(0); /* with exit handlers, while threads read */
}

static void a_program_may_exit_while_its_threads_read(void **state)
{
    char *dir = kit_dir();
    int fds[2], status;
    pid_t writer = kit_writer(dir, fds);
    struct shared s = {.hoist = kit_hoist(dir)};
    for (int i = 0; i < 20; i++)
        assert_int_equal(kit_in_child(exit_while_reading, &s), 0);
    hoist_close(s.hoist);
    close(fds[1]);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_threads_leave_no_reader_slots_behind),
        cmocka_unit_test(readers_never_go_back_while_changes_land),
        cmocka_unit_test(what_is_replaced_while_the_keeper_waits_stays_until_its_readers_have_left),
        cmocka_unit_test(a_child_reads_with_what_it_inherited),
        cmocka_unit_test(forking_while_others_read_hangs_nobody),
        cmocka_unit_test(the_thread_lives_from_the_first_open_to_the_last_close),
        cmocka_unit_test(a_program_may_exit_while_its_threads_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
