/* When rounds begin: a primary of which only this runs, and guards that answer when the test wants. */
#include "stage_kit.h"

#include "primary/primary_int.h"

static struct asked { /* of the guards */
    uint32_t count;
    void (*done)(void *arg, const struct release_answer *answers);
    void *done_arg;
} asked;

static enum hoist_err ask(void *arg, const struct release_plan *plan, uint32_t guards,
                          void (*done)(void *done_arg, const struct release_answer *answers),
                          void *done_arg)
{
    asked = (struct asked){asked.count + 1, done, done_arg};
    (void)arg;
    (void)plan;
    (void)guards;
    return HOIST_OK;
}

static void answer(const struct stage *s)
{
    asked.done(asked.done_arg, s->answers);
    asked.done = NULL;
}

static void begin(struct primary *p, const struct stage *s)
{
    *p = (struct primary){.store = s->kit->store,
                          .fleet = s->kit->fleet,
                          .releases = s->releases,
                          .guards = {.ask = ask}};
    asked = (struct asked){0};
    assert_int_equal(queue_init(&p->changes, JOBS_MAX, JOBS_BYTES_MAX), HOIST_OK);
}

/* What waits in the queue, as the writer takes it; how many jobs. */
static int run_jobs(struct primary *p)
{
    int n = 0;
    struct queue_item *next;
    for (struct queue_item *item = queue_take(&p->changes, 0); item; item = next, n++) {
        struct job *j = (struct job *)item;
        struct store_write *w;
        next = item->next;
        assert_int_equal(store_write_begin(p->store, &w), HOIST_OK);
        releases_begin(p->releases);
        assert_int_equal(releasing_run(p, j, w, wall()), HOIST_OK);
        assert_int_equal(store_write_commit(w), HOIST_OK);
        releases_committed(p->releases);
        job_answer(j);
    }
    return n;
}

static void no_round_begins_while_one_has_no_answers(void **state)
{
    struct stage *s = *state;
    struct primary p;
    go_to_production(s);
    begin(&p, s);
    struct release *r = releases_find(s->releases, SLICE("demo"));
    r->due_ms = 0;
    releasing_tick(&p);
    assert_int_equal(asked.count, 1);
    r->due_ms = 0; /* something made one due at once */
    releasing_tick(&p);
    assert_int_equal(asked.count, 1);
    answer(s);
    assert_int_equal(run_jobs(&p), 1);
    releasing_tick(&p);
    assert_int_equal(asked.count, 2);
    answer(s);
    assert_int_equal(run_jobs(&p), 1);
    r->due_ms = INT64_MAX;
    releasing_tick(&p); /* not before its time */
    assert_int_equal(asked.count, 2);
    queue_done(&p.changes);
}

static void the_way_back_waits_for_no_answers(void **state)
{
    struct stage *s = *state;
    struct primary p;
    go_to_production(s);
    begin(&p, s);
    releases_find(s->releases, SLICE("demo"))->due_ms = 0;
    releasing_tick(&p);
    assert_int_equal(asked.count, 1);
    tell_ok(s, "release_abort", "olga", json_pack("{s:s,s:s}", "release", "demo", "message", "no"));
    all_as(s, "staging", true);
    releasing_tick(&p);
    assert_int_equal(run_jobs(&p), 1);
    all_as(s, "staging", false);
    answer(s); /* late, and harmless */
    assert_int_equal(run_jobs(&p), 1);
    is_at(s, "rolling_back", 3);
    hosts_have_it(s, true);
    releasing_tick(&p);
    assert_int_equal(run_jobs(&p), 1);
    is_at(s, "rolled_back", 3);
    assert_int_equal(asked.count, 1);
    queue_done(&p.changes);
}

static void count_begun(void *arg)
{
    ++*(int *)arg;
}

static void keep_answer(void *arg, const struct answer *a)
{
    *(int *)arg = a ? (int)a->exit : -1;
}

/* So that Alertmanager is told to come again. */
static void an_alert_that_cannot_take_it_back_yet_is_not_done(void **state)
{
    struct stage *s = *state;
    struct primary p;
    int exit = 0;
    const struct releasing_waiter waiter = {count_begun, keep_answer, &exit};
    const struct alert_name alert = {.name = SLICE("Burning")};
    go_to_production(s);
    begin(&p, s);
    was_set_back(s);
    releasing_alert(&p, &alert, &waiter);
    assert_int_equal(exit, 1);
    assert_int_equal(run_jobs(&p), 1);
    assert_int_equal(exit, EXIT_REFUSED);
    is_at(s, "rolling_back", 3);
    queue_done(&p.changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELEASE_TEST(no_round_begins_while_one_has_no_answers),
        RELEASE_TEST(the_way_back_waits_for_no_answers),
        RELEASE_TEST(an_alert_that_cannot_take_it_back_yet_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
