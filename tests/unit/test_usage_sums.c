/* Evaluations that were counted, on their way up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "store_kit.h"
#include "usage/counts.h"
#include "usage/heard.h"
#include "usage/sums.h"

enum { THREADS = 4, EACH = 20000, WHOLE = FRAME_USAGE_MAX };

static int begin(void **state)
{
    struct sums *s;
    assert_int_equal(sums_new(&s), HOIST_OK);
    *state = s;
    return 0;
}

static int end(void **state)
{
    sums_free(*state);
    return 0;
}

static void add(struct sums *s, const char *key, const char *variant, uint64_t n)
{
    sums_add(s, SLICE("production"), slice_str(key), slice_str(variant), n);
}

/* "key:variant:n " of each that is taken, in order. */
static const char *taken(struct sums *s, size_t max, uint64_t *sequence)
{
    static char shown[1024];
    struct arena arena = {0};
    struct frame_usage f = {0};
    struct slice frame = sums_take(s, max, sequence);
    size_t len = 0;
    shown[0] = '\0';
    if (frame.len > 0)
        assert_int_equal(frame_get_usage(frame, &arena, &f), HOIST_OK);
    for (uint32_t i = 0; i < f.count && len < sizeof shown; i++)
        len += (size_t)snprintf(shown + len, sizeof shown - len, "%.*s:%.*s:%llu ",
                                SLICE_ARG(f.counts[i].key), SLICE_ARG(f.counts[i].variant),
                                (unsigned long long)f.counts[i].n);
    arena_done(&arena);
    return shown;
}

static void what_is_counted_is_added_up_and_taken_once(void **state)
{
    uint64_t sequence;
    add(*state, "a", "on", 2);
    add(*state, "b", "", 1);
    add(*state, "a", "on", 3);
    add(*state, "a", "off", 1);
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:5 b::1 a:off:1 ");
    assert_int_equal(sequence, 1);
    sums_passed_on(*state, sequence);
    assert_string_equal(taken(*state, WHOLE, &sequence), "");
}

static void a_frame_stays_as_it_is_until_it_has_arrived(void **state)
{
    uint64_t sequence;
    add(*state, "a", "on", 1);
    struct slice first = sums_take(*state, WHOLE, &sequence);
    char *copy = mem_dup(first);
    add(*state, "a", "on", 7);
    struct slice again = sums_take(*state, WHOLE, &sequence);
    assert_int_equal(again.len, first.len);
    assert_memory_equal(again.ptr, copy, first.len);
    sums_passed_on(*state, sequence + 1); /* nobody's */
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:1 ");
    sums_passed_on(*state, sequence);
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:7 ");
    sums_passed_on(*state, sequence - 1); /* an answer that comes twice */
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:7 ");
    mem_free(copy);
}

static void what_does_not_fit_goes_with_the_next_frame(void **state)
{
    char key[16];
    uint64_t sequence, sum = 0, frames = 0;
    for (int i = 0; i < 30000; i++) {
        snprintf(key, sizeof key, "flag%d", i);
        add(*state, key, "on", 1);
    }
    for (;; frames++) {
        struct arena arena = {0};
        struct frame_usage f;
        struct slice frame = sums_take(*state, WHOLE, &sequence);
        if (frame.len == 0)
            break;
        assert_true(frame.len <= FRAME_USAGE_MAX);
        assert_int_equal(frame_get_usage(frame, &arena, &f), HOIST_OK);
        assert_int_equal(f.sequence, frames + 1);
        for (uint32_t i = 0; i < f.count; i++)
            sum += f.counts[i].n;
        sums_passed_on(*state, sequence);
        arena_done(&arena);
    }
    assert_int_equal(sum, 30000);
    assert_in_range(frames, 3, 12);
    add(*state, "a", "on", 1);
    add(*state, "b", "on", 1);
    assert_string_equal(taken(*state, 1, &sequence), "a:on:1 "); /* one at the least */
}

/* What a program has counted is what it says it has. */
static void a_made_up_count_can_be_told_and_keeps_no_other_back(void **state)
{
    uint64_t sequence;
    add(*state, "a", "on", UINT64_MAX);
    add(*state, "b", "on", 1);
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:9223372036854775807 b:on:1 ");
}

static void what_another_host_repeats_counts_once(void **state)
{
    struct usage_count count = {SLICE("production"), SLICE("a"), SLICE("on"), 5};
    struct frame_usage f = {.incarnation = 9, .sequence = 1, .counts = &count, .count = 1};
    uint64_t sequence;
    add(*state, "a", "on", 1);
    sums_hear(*state, &f, 1000);
    sums_hear(*state, &f, 1500);
    f.sequence = 2;
    sums_hear(*state, &f, 2000);
    f.sequence = 1; /* late, by another way */
    sums_hear(*state, &f, 2500);
    f.incarnation = 8;
    sums_hear(*state, &f, 3000);
    assert_string_equal(taken(*state, WHOLE, &sequence), "a:on:16 ");
}

static void senders_are_forgotten_after_an_hour_and_the_oldest_when_there_are_too_many(void **state)
{
    struct heard h = {0};
    assert_true(heard_is_new(&h, 7, 3, 0));
    assert_false(heard_is_new(&h, 7, 3, HEARD_KEEP_MS - 1));
    assert_true(heard_is_new(&h, 8, 1, 2 * HEARD_KEEP_MS));
    assert_int_equal(h.count, 1);
    for (uint64_t i = 0; i < HEARD_MAX; i++)
        assert_true(heard_is_new(&h, 100 + i, 1, 2 * HEARD_KEEP_MS + 1 + (int64_t)i / 1000));
    assert_in_range(h.count, HEARD_MAX - 1, HEARD_MAX);
    assert_false(heard_is_new(&h, 100 + HEARD_MAX - 1, 1, 2 * HEARD_KEEP_MS + 100));
    assert_true(heard_is_new(&h, 8, 1, 2 * HEARD_KEEP_MS + 100)); /* it gave way */
    heard_done(&h);
    (void)state;
}

static void rows_beyond_the_bound_are_counted_as_left_out(void **state)
{
    struct metric *left_out =
        metric_series(METRIC_COUNTER, "hoist_evaluations_left_out_total", "", "", NULL);
    double before = metric_value(left_out);
    char key[16];
    for (int i = 0; i < SUMS_PENDING_MAX + 2; i++) {
        snprintf(key, sizeof key, "%d", i);
        add(*state, key, "on", 3);
    }
    assert_true(metric_value(left_out) == before + 6);
    add(*state, "0", "on", 1); /* it has its row */
    assert_true(metric_value(left_out) == before + 6);
}

static bool is_odd(void *arg, const struct count *row)
{
    (void)arg;
    return row->key.ptr[0] & 1;
}

static void a_table_finds_its_rows_again_whatever_goes(void **state)
{
    struct counts c = {.max = 1000};
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 250; i++) {
            uint8_t key = (uint8_t)i;
            assert_true(counts_add(&c, SLICE("e"), slice_of(&key, 1), SLICE("v"), 1));
        }
        assert_int_equal(c.count, 250);
        counts_filter(&c, is_odd, NULL);
        assert_int_equal(c.count, 125);
        for (const struct count *row = c.first; row; row = row->next)
            assert_int_equal(row->n, round);
    }
    counts_drop_first(&c);
    assert_int_equal(c.first->key.ptr[0], 3);
    while (c.first)
        counts_drop_first(&c);
    assert_int_equal(c.count, 0);
    assert_true(counts_add(&c, SLICE("e"), SLICE("k"), SLICE("v"), INT64_MAX));
    assert_true(counts_add(&c, SLICE("e"), SLICE("k"), SLICE("v"), 5));
    assert_true(c.first->n == INT64_MAX);
    assert_true(
        counts_add(&c, SLICE("ek"), SLICE(""), SLICE("v"), 1)); /* other parts, same bytes */
    assert_int_equal(c.count, 2);
    counts_done(&c);
    (void)state;
}

static void *count_away(void *arg)
{
    for (int i = 0; i < EACH; i++)
        add(arg, i % 2 ? "a" : "b", "on", 1);
    return NULL;
}

static void threads_count_beside_a_taker(void **state)
{
    pthread_t threads[THREADS];
    uint64_t sum = 0, sequence;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_away, *state), 0);
    for (int ended = 0; ended < 2;) {
        struct arena arena = {0};
        struct frame_usage f = {0};
        struct slice frame = sums_take(*state, WHOLE, &sequence);
        if (frame.len > 0)
            assert_int_equal(frame_get_usage(frame, &arena, &f), HOIST_OK);
        for (uint32_t i = 0; i < f.count; i++)
            sum += f.counts[i].n;
        sums_passed_on(*state, sequence);
        arena_done(&arena);
        for (int i = 0; frame.len == 0 && ended == 0 && i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        ended += frame.len == 0;
    }
    assert_int_equal(sum, THREADS * EACH);
}

static void without_memory_nothing_that_has_a_row_is_lost(void **state)
{
    struct sums *s = *state;
    uint64_t sequence;
    add(s, "a", "on", 1);
    for (int n = 1;; n++) {
        mem_fail_at(n);
        struct slice frame = sums_take(s, WHOLE, &sequence);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed)
            break;
        assert_int_equal(frame.len, 0);
    }
    assert_string_equal(taken(s, WHOLE, &sequence), "a:on:1 ");
    sums_passed_on(s, sequence);
    mem_fail_at(1);
    add(s, "b", "on", 1); /* left out */
    mem_fail_at(0);
    add(s, "b", "on", 2);
    assert_string_equal(taken(s, WHOLE, &sequence), "b:on:2 ");
}

/* ------------------------------------------------------------------ as metrics */

static const char *written(void)
{
    static char text[64 << 10];
    struct buf out = BUF_INIT(sizeof text - 1);
    metrics_write(&out);
    assert_int_equal(buf_err(&out), HOIST_OK);
    snprintf(text, sizeof text, "%s", buf_str(&out));
    buf_done(&out);
    return text;
}

static bool shows(const char *labels, const char *value)
{
    char line[256];
    snprintf(line, sizeof line, "hoist_client_evaluations_total{%s} %s\n", labels, value);
    return strstr(written(), line) != NULL;
}

static void this_hosts_own_are_metrics_until_their_flag_is_deleted(void **state)
{
    char *dir = kit_dir();
    struct store *store = kit_open(dir);
    struct usage_count other = {SLICE("production"), SLICE("a"), SLICE("on"), 100};
    struct sums *s = *state;
    uint64_t sequence;
    kit_set(store, "production", "a", "1");
    kit_set(store, "production", "b \"c\"", "1");
    sums_metrics_begin(s, store);
    assert_true(shows("env=\"\",flag=\"\",variant=\"\"", "0"));
    add(s, "a", "on", 3);
    add(s, "b \"c\"", "", 1);
    add(s, "nobody", "on", 1);
    sums_hear(s, &(struct frame_usage){.sequence = 1, .counts = &other, .count = 1}, 0);
    (void)sums_take(s, WHOLE, &sequence);
    sums_passed_on(s, sequence);
    assert_true(shows("env=\"production\",flag=\"a\",variant=\"on\"", "3"));
    assert_true(shows("env=\"production\",flag=\"b \\\"c\\\"\",variant=\"\"", "1"));
    assert_null(strstr(written(), "nobody"));
    add(s, "a", "on", 1);
    assert_true(shows("env=\"production\",flag=\"a\",variant=\"on\"", "4"));
    kit_unset(store, "production", "a");
    assert_null(strstr(written(), "flag=\"a\""));
    for (int i = 0; i < SUMS_SERIES_MAX; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        add(s, key, "on", 1);
    }
    assert_true(shows("env=\"\",flag=\"\",variant=\"\"", "1")); /* b has a row */
    sums_metrics_end();
    assert_null(strstr(written(), "hoist_client_evaluations_total{"));
    store_close(store);
    kit_remove(dir);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_is_counted_is_added_up_and_taken_once),
        CASE(a_frame_stays_as_it_is_until_it_has_arrived),
        CASE(what_does_not_fit_goes_with_the_next_frame),
        CASE(a_made_up_count_can_be_told_and_keeps_no_other_back),
        CASE(what_another_host_repeats_counts_once),
        CASE(senders_are_forgotten_after_an_hour_and_the_oldest_when_there_are_too_many),
        CASE(rows_beyond_the_bound_are_counted_as_left_out),
        CASE(a_table_finds_its_rows_again_whatever_goes),
        CASE(threads_count_beside_a_taker),
        CASE(without_memory_nothing_that_has_a_row_is_lost),
        CASE(this_hosts_own_are_metrics_until_their_flag_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
