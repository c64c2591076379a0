/* Forks beside what other threads do. All stores are written in processes of their own: so this one
 * opens its first store as a reader, like a program. */
#include "client_kit.h"

#include "client/client_int.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forking_while_others_open_and_close_hangs_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
