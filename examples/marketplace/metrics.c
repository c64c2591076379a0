#include "metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double bounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};
enum { BOUNDS = sizeof bounds / sizeof *bounds };

struct series {
    enum metric_kind kind;
    const char *name, *help;
    char *labels;
    _Atomic double value;                    /* a histogram's sum */
    atomic_uint_fast64_t counts[BOUNDS + 1]; /* a histogram's, the last one above all bounds */
    struct series *next;
};

static struct series *first, **end = &first; /* series of one name stand together */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct series *find(const char *name, const char *labels)
{
    for (struct series *s = first; s; s = s->next)
        if (strcmp(s->name, name) == 0 && strcmp(s->labels, labels) == 0)
            return s;
    return NULL;
}

/* Behind the last one of its name, or at the end. */
static struct series **place_for(const char *name)
{
    struct series **at = end;
    for (struct series *s = first; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            at = &s->next;
    return at;
}

struct series *metric(enum metric_kind kind, const char *name, const char *help, const char *labels)
{
    pthread_mutex_lock(&lock);
    struct series *s = find(name, labels);
    if (!s) {
        s = calloc(1, sizeof *s);
        char *own = strdup(labels);
        if (!s || !own) {
            fputs("marketplace: out of memory\n", stderr);
            exit(1);
        }
        *s = (struct series){.kind = kind, .name = name, .help = help, .labels = own};
        struct series **at = place_for(name);
        s->next = *at;
        *at = s;
        if (at == end)
            end = &s->next;
    }
    pthread_mutex_unlock(&lock);
    return s;
}

void metric_add(struct series *s, double by)
{
    double was = atomic_load_explicit(&s->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&s->value, &was, was + by))
        ;
}

void metric_set(struct series *s, double to)
{
    atomic_store(&s->value, to);
}

double metric_value(const struct series *s)
{
    return atomic_load(&s->value);
}

void metric_observe(struct series *s, double seconds)
{
    int i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    atomic_fetch_add(&s->counts[i], 1);
    metric_add(s, seconds);
}

static void put_histogram(FILE *out, const struct series *s)
{
    const char *comma = *s->labels ? "," : "";
    uint64_t sum = 0;
    for (int i = 0; i < BOUNDS; i++) {
        sum += atomic_load(&s->counts[i]);
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %ju\n", s->name, s->labels, comma, bounds[i],
                (uintmax_t)sum);
    }
    sum += atomic_load(&s->counts[BOUNDS]);
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %ju\n", s->name, s->labels, comma, (uintmax_t)sum);
    const char *open = *s->labels ? "{" : "", *shut = *s->labels ? "}" : "";
    fprintf(out, "%s_sum%s%s%s %.17g\n", s->name, open, s->labels, shut, metric_value(s));
    fprintf(out, "%s_count%s%s%s %ju\n", s->name, open, s->labels, shut, (uintmax_t)sum);
}

char *metrics_text(size_t *ret_length)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_length);
    if (!out)
        return NULL;
    pthread_mutex_lock(&lock);
    const char *last = "";
    for (const struct series *s = first; s; s = s->next) {
        if (strcmp(s->name, last) != 0)
            fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", s->name, s->help, s->name, kinds[s->kind]);
        last = s->name;
        if (s->kind == METRIC_HISTOGRAM)
            put_histogram(out, s);
        else
            fprintf(out, "%s%s%s%s %.17g\n", s->name, *s->labels ? "{" : "", s->labels,
                    *s->labels ? "}" : "", metric_value(s));
    }
    pthread_mutex_unlock(&lock);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
