#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/metrics.h"

/* The registry lives as long as the process: each test has names of its own. */

static char *written(void)
{
    static char text[1 << 20];
    struct buf out = BUF_INIT(sizeof text - 1);
    metrics_write(&out);
    assert_int_equal(buf_err(&out), HOIST_OK);
    snprintf(text, sizeof text, "%s", buf_str(&out));
    buf_done(&out);
    return text;
}

static void assert_written(const char *part)
{
    const char *all = written();
    if (!strstr(all, part))
        fail_msg("this:\n%s\nis not in:\n%s", part, all);
}

static void a_series_stands_at_zero_before_it_is_counted(void **state)
{
    (void)state;
    struct metric *m = metric_series(METRIC_COUNTER, "t_zero_total", "Help.", "", NULL);
    assert_written("# HELP t_zero_total Help.\n# TYPE t_zero_total counter\nt_zero_total 0\n");
    metric_inc(m);
    metric_add(m, 2.5);
    assert_true(metric_value(m) == 3.5);
    assert_written("\nt_zero_total 3.5\n");
}

static void the_same_name_and_labels_are_the_same_series(void **state)
{
    (void)state;
    struct metric *a = metric_series(METRIC_GAUGE, "t_same", "One.", "env=\"a\"", NULL);
    struct metric *b = metric_series(METRIC_GAUGE, "t_same", "Other.", "env=\"b\"", NULL);
    assert_ptr_equal(metric_series(METRIC_GAUGE, "t_same", "One.", "env=\"a\"", NULL), a);
    assert_ptr_not_equal(a, b);
    metric_set(a, -1);
    metric_set(b, 7);
    assert_written("# HELP t_same One.\n# TYPE t_same gauge\n"
                   "t_same{env=\"a\"} -1\nt_same{env=\"b\"} 7\n");
}

static void all_series_of_a_name_are_cleared_and_no_others(void **state)
{
    (void)state;
    struct metric *a = metric_series(METRIC_GAUGE, "t_set", "One.", "x=\"a\"", NULL);
    struct metric *b = metric_series(METRIC_GAUGE, "t_set", "One.", "x=\"b\"", NULL);
    struct metric *other = metric_series(METRIC_GAUGE, "t_set_other", "One.", "", NULL);
    metric_set(a, 1);
    metric_set(b, 1);
    metric_set(other, 1);
    metric_clear("t_set");
    metric_set(b, 1);
    assert_true(metric_value(a) == 0 && metric_value(b) == 1 && metric_value(other) == 1);
    metric_clear("t_nobody");
}

static void write_two(void *arg, struct buf *out)
{
    buf_printf(out, "t_lines{x=\"%s\"} 1\nt_lines{x=\"b\"} 2\n", (const char *)arg);
}

static void a_metric_may_write_its_own_lines_until_it_ends(void **state)
{
    (void)state;
    char first[] = "a";
    metric_lines(METRIC_COUNTER, "t_lines", "Own.", write_two, first);
    assert_written(
        "# HELP t_lines Own.\n# TYPE t_lines counter\nt_lines{x=\"a\"} 1\nt_lines{x=\"b\"} 2\n");
    metric_lines(METRIC_COUNTER, "t_lines", "Own.", NULL, NULL);
    assert_null(strstr(written(), "t_lines{"));
}

static void metrics_are_sorted_by_name(void **state)
{
    (void)state;
    metric_series(METRIC_GAUGE, "t_sort_b", "B.", "", NULL);
    metric_series(METRIC_GAUGE, "t_sort_c", "C.", "", NULL);
    metric_series(METRIC_GAUGE, "t_sort_a", "A.", "", NULL);
    const char *all = written();
    const char *a = strstr(all, "# HELP t_sort_a"), *b = strstr(all, "# HELP t_sort_b"),
               *c = strstr(all, "# HELP t_sort_c");
    assert_true(a && b && c && a < b && b < c);
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 1, 10, 0};
    struct metric *m = metric_series(METRIC_HISTOGRAM, "t_seconds", "Times.", "op=\"x\"", bounds);
    metric_observe(m, 0.1); /* a bound is within its bucket */
    metric_observe(m, 0.5);
    metric_observe(m, 10);
    metric_observe(m, 11);
    assert_written("# TYPE t_seconds histogram\n"
                   "t_seconds_bucket{op=\"x\",le=\"0.1\"} 1\n"
                   "t_seconds_bucket{op=\"x\",le=\"1\"} 2\n"
                   "t_seconds_bucket{op=\"x\",le=\"10\"} 3\n"
                   "t_seconds_bucket{op=\"x\",le=\"+Inf\"} 4\n"
                   "t_seconds_sum{op=\"x\"} 21.6\n"
                   "t_seconds_count{op=\"x\"} 4\n");
}

static void odd_values_are_spelled_as_prometheus_does(void **state)
{
    (void)state;
    metric_set(metric_series(METRIC_GAUGE, "t_odd", "O.", "v=\"inf\"", NULL), INFINITY);
    metric_set(metric_series(METRIC_GAUGE, "t_odd", "O.", "v=\"ninf\"", NULL), -INFINITY);
    metric_set(metric_series(METRIC_GAUGE, "t_odd", "O.", "v=\"nan\"", NULL), NAN);
    assert_written("t_odd{v=\"inf\"} +Inf\nt_odd{v=\"ninf\"} -Inf\nt_odd{v=\"nan\"} NaN\n");
}

static void labels_and_help_are_escaped(void **state)
{
    (void)state;
    struct buf labels = BUF_INIT(1000);
    metric_label(&labels, "a", "q\"b\\n\nz");
    metric_label(&labels, "b", "\xc3\xa9");
    metric_label(&labels, "c", "cut \xc3");
    assert_string_equal(buf_str(&labels), "a=\"q\\\"b\\\\n\\nz\",b=\"\xc3\xa9\",c=\"cut ?\"");
    metric_series(METRIC_GAUGE, "t_escaped", "Two\nlines \\ here.", buf_str(&labels), NULL);
    assert_written("# HELP t_escaped Two\\nlines \\\\ here.\n");
    assert_written("t_escaped{a=\"q\\\"b\\\\n\\nz\",b=");
    buf_done(&labels);
}

static void count_calls(void *arg)
{
    metric_set(metric_series(METRIC_GAUGE, "t_updated", "U.", "", NULL), ++*(int *)arg);
}

static void gauges_are_brought_up_to_date_before_each_writing(void **state)
{
    (void)state;
    int calls = 0;
    metrics_on_write(count_calls, &calls);
    assert_written("\nt_updated 1\n");
    assert_written("\nt_updated 2\n");
    metrics_off_write(count_calls, &calls);
    assert_written("\nt_updated 2\n");
    assert_int_equal(calls, 2);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *count_many(void *arg)
{
    static const double bounds[] = {1, 0};
    struct metric *counter = metric_series(METRIC_COUNTER, "t_many_total", "M.", "", NULL);
    struct metric *histogram = metric_series(METRIC_HISTOGRAM, "t_many", "M.", "", bounds);
    for (int i = 0; i < ROUNDS; i++) {
        metric_inc(counter);
        metric_observe(histogram, 2);
        if (i % 5000 == 0) {
            struct buf out = BUF_INIT(1 << 20);
            metrics_write(&out);
            buf_done(&out);
        }
    }
    return arg;
}

static void threads_lose_no_count(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_written("\nt_many_total 80000\n");
    assert_written("t_many_bucket{le=\"1\"} 0\nt_many_bucket{le=\"+Inf\"} 80000\n"
                   "t_many_sum 160000\n");
}

static void without_memory_counting_goes_nowhere_and_goes_on(void **state)
{
    (void)state;
    static const double bounds[] = {1, 0};
    for (int n = 1; n <= 5; n++) { /* family, name, help, series, labels */
        char name[32];
        snprintf(name, sizeof name, "t_memory_%d", n);
        mem_fail_at(n);
        struct metric *m = metric_series(METRIC_HISTOGRAM, name, "M.", "", bounds);
        assert_true(mem_did_fail());
        mem_fail_at(0);
        assert_non_null(m);
        metric_inc(m);
        metric_observe(m, 1);
    }
    written();
    metric_observe(metric_series(METRIC_HISTOGRAM, "t_memory_1", "M.", "", bounds), 1);
    assert_written("t_memory_1_count 1\n");
}

static void the_number_of_series_is_bounded(void **state)
{
    (void)state;
    struct metric *last = NULL, *before = NULL;
    int made = 0;
    for (int i = 0; i < 30000; i += 1000) {
        for (int j = 0; j < 1000; j++) { /* names of their own keep each list short */
            char name[32], label[32];
            snprintf(name, sizeof name, "t_bound_%d", i);
            snprintf(label, sizeof label, "n=\"%d\"", j);
            before = last;
            last = metric_series(METRIC_GAUGE, name, "B.", label, NULL);
            made += last != before;
        }
    }
    assert_ptr_equal(last, before); /* the spare takes them all */
    assert_true(made <= 20001);
    metric_set(last, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_stands_at_zero_before_it_is_counted),
        cmocka_unit_test(the_same_name_and_labels_are_the_same_series),
        cmocka_unit_test(all_series_of_a_name_are_cleared_and_no_others),
        cmocka_unit_test(a_metric_may_write_its_own_lines_until_it_ends),
        cmocka_unit_test(metrics_are_sorted_by_name),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(odd_values_are_spelled_as_prometheus_does),
        cmocka_unit_test(labels_and_help_are_escaped),
        cmocka_unit_test(gauges_are_brought_up_to_date_before_each_writing),
        cmocka_unit_test(threads_lose_no_count),
        cmocka_unit_test(without_memory_counting_goes_nowhere_and_goes_on),
        cmocka_unit_test(the_number_of_series_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
