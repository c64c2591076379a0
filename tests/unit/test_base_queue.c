#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/queue.h"

struct job {
    struct queue_item link;
    int number;
};

static int count_items(const struct queue_item *i)
{
    int n = 0;
    for (; i; i = i->next)
        n++;
    return n;
}

static void queue_gives_all_that_waits_in_order(void **state)
{
    (void)state;
    struct queue q;
    struct job jobs[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    assert_int_equal(queue_init(&q, 10, 1000), HOIST_OK);
    for (int i = 0; i < 3; i++)
        assert_true(queue_push(&q, &jobs[i].link, 1));

    struct queue_item *item = queue_take(&q, 0);
    for (int i = 0; i < 3; i++, item = item->next)
        assert_int_equal(((struct job *)item)->number, i);
    assert_null(item);
    assert_null(queue_take(&q, 0));
    queue_done(&q);
}

static void queue_refuses_beyond_its_count_and_its_weight(void **state)
{
    (void)state;
    struct queue q;
    struct job jobs[4] = {0};
    assert_int_equal(queue_init(&q, 2, 100), HOIST_OK);
    assert_true(queue_push(&q, &jobs[0].link, 60));
    assert_false(queue_push(&q, &jobs[1].link, 41));
    assert_true(queue_push(&q, &jobs[1].link, 40));
    assert_false(queue_push(&q, &jobs[2].link, 0));
    assert_true(queue_push_over(&q, &jobs[2].link, 500));
    assert_int_equal(count_items(queue_take(&q, 0)), 3);

    /* What is heavier than all the room there is goes through alone, instead of never. */
    assert_true(queue_push(&q, &jobs[3].link, 101));
    assert_false(queue_push(&q, &jobs[0].link, 0));
    assert_int_equal(count_items(queue_take(&q, 0)), 1);
    queue_done(&q);
}

static void queue_closed_lets_nothing_in_and_what_is_in_out(void **state)
{
    (void)state;
    struct queue q;
    struct job jobs[2] = {0};
    assert_int_equal(queue_init(&q, 2, 100), HOIST_OK);
    assert_true(queue_push(&q, &jobs[0].link, 1));
    queue_close(&q);
    assert_true(queue_is_closed(&q));
    assert_false(queue_push(&q, &jobs[1].link, 1));
    assert_false(queue_push_over(&q, &jobs[1].link, 1));
    assert_int_equal(count_items(queue_take(&q, 10000)), 1);
    assert_null(queue_take(&q, 10000)); /* at once: nothing can come any more */
    queue_done(&q);
}

static void queue_waits_no_longer_than_told(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 2, 100), HOIST_OK);
    int64_t begin = clock_mono_ms();
    assert_null(queue_take(&q, 30));
    int64_t took = clock_mono_ms() - begin;
    assert_in_range(took, 29, 2000);

    queue_wake(&q);
    begin = clock_mono_ms();
    assert_null(queue_take(&q, 20000));
    assert_true(clock_mono_ms() - begin < 10000);
    queue_done(&q);
}

enum { PUSHERS = 4, JOBS_EACH = 5000 };

struct pusher {
    struct queue *q;
    struct job *jobs;
};

static void *push_jobs(void *arg)
{
    struct pusher *p = arg;
    for (int i = 0; i < JOBS_EACH; i++) {
        p->jobs[i].number = i;
        while (!queue_push(p->q, &p->jobs[i].link, 1))
            sched_yield();
    }
    return NULL;
}

static void queue_loses_and_doubles_nothing_under_many_pushers(void **state)
{
    (void)state;
    static struct job jobs[PUSHERS][JOBS_EACH];
    struct pusher pushers[PUSHERS];
    pthread_t threads[PUSHERS];
    struct queue q;
    assert_int_equal(queue_init(&q, 64, 1000), HOIST_OK);
    for (int i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){&q, jobs[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, push_jobs, &pushers[i]), 0);
    }

    int next[PUSHERS] = {0}, seen = 0;
    while (seen < PUSHERS * JOBS_EACH) {
        struct queue_item *item = queue_take(&q, 10000);
        assert_non_null(item);
        while (item) {
            struct job *job = (struct job *)item;
            item = item->next;
            int who = (int)((job - &jobs[0][0]) / JOBS_EACH);
            assert_int_equal(job->number, next[who]++);
            seen++;
        }
    }
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(queue_take(&q, 0));
    queue_done(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_gives_all_that_waits_in_order),
        cmocka_unit_test(queue_refuses_beyond_its_count_and_its_weight),
        cmocka_unit_test(queue_closed_lets_nothing_in_and_what_is_in_out),
        cmocka_unit_test(queue_waits_no_longer_than_told),
        cmocka_unit_test(queue_loses_and_doubles_nothing_under_many_pushers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
