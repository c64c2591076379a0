/* Forks beside what other threads do. All stores are written in processes of their own: so this one
 * opens its first store as a reader, like a program. */
#include "client_kit.h"

#include <semaphore.h>

#include "client/grace.h"
#include "client/keeper.h"
#include "usage/tally.h"

struct beside {
    const char *dir;
    hoist *hoist;
    _Atomic bool stop;
    _Atomic int rounds;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *open_and_close(void *arg)
{
    struct beside *b = arg;
    hoist *h;
    while (!atomic_load(&b->stop)) {
        if (hoist_open(&h, b->dir, "production"))
            break;
        hoist_close(h);
        atomic_fetch_add(&b->rounds, 1);
    }
    return NULL;
}

static void forking_while_others_open_and_close_hangs_nobody(void **state)
{
#ifdef KIT_SANITIZED
    skip(); /* a sanitizer's own locks do not survive a fork from among threads that allocate */
#endif
    char *dir = kit_dir();
    int fds[2], status;
    pid_t writer = kit_writer(dir, fds);
    struct beside b = {.dir = dir};
    pthread_t threads[2];
    (void)state;
    alarm(30); /* a hang ends the test */
    hoist_close(kit_hoist(dir));
    for (int t = 0; t < 2; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, open_and_close, &b), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(kit_in_child(nothing, NULL), 0);
    atomic_store(&b.stop, true);
    for (int t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    alarm(0);
    assert_true(atomic_load(&b.rounds) > 0);
    close(fds[1]);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    kit_remove(dir);
}

struct slow_reader {
    sem_t begun;
    uint32_t slot;
};

/* A reader that is long about its flag, and then counts a variant that nobody has counted yet. */
static void *read_slowly(void *arg)
{
    struct slow_reader *r = arg;
    static const uint8_t store[SEGMENT_STORE_ID] = {1};
    grace_enter();
    sem_post(&r->begun);
    kit_sleep(300); /* the keeper begins to wait for it, and then the fork begins */
    r->slot = tally_slot(tally_domain(store, "production"), SLICE("key"), SLICE("variant"));
    grace_leave();
    return NULL;
}

static void forking_while_the_keeper_waits_for_a_reader_hangs_nobody(void **state)
{
    char *dir = kit_dir(), c, buf[16];
    int fds[2], status;
    pid_t writer = kit_writer(dir, fds);
    hoist *h = kit_hoist(dir);
    struct slow_reader r = {0};
    pthread_t thread;
    (void)state;
    alarm(30); /* a hang ends the test */
    hoist_flag *text = hoist_bind(h, "flag.text");
    hoist_flag_string(text, NULL, "", buf, sizeof buf);
    assert_string_equal(buf, "hello");
    assert_int_equal(write(fds[1], "c", 1), 1);
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(sem_init(&r.begun, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &r), 0);
    sem_wait(&r.begun);
    hoist_flag_string(text, NULL, "", buf, sizeof buf); /* leaves the old text to the keeper */
    assert_string_equal(buf, "bye");
    keeper_wake();
    kit_sleep(100);
    assert_int_equal(kit_in_child(nothing, NULL), 0);
    pthread_join(thread, NULL);
    alarm(0);
    assert_int_not_equal(r.slot, 0);
    sem_destroy(&r.begun);
    hoist_close(h);
    close(fds[1]);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    kit_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forking_while_others_open_and_close_hangs_nobody),
        cmocka_unit_test(forking_while_the_keeper_waits_for_a_reader_hangs_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
