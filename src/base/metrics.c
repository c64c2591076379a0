#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum {
    SERIES_MAX = 20000, /* of all metrics; beyond that counting goes to the spare */
    BUCKETS_MAX = 32,
    UPDATES_MAX = 2048,
};

struct family;

struct metric {
    const struct family *family; /* NULL: the spare */
    struct metric *next;
    char *labels;
    _Atomic double value;       /* counter, gauge; sum of a histogram */
    _Atomic uint64_t buckets[]; /* of a histogram: one for each bound, and one for what is above */
};

struct family { /* a name with its series */
    struct family *next;
    char *name;
    char *help;
    enum metric_type type;
    double bounds[BUCKETS_MAX];
    size_t bound_count;
    struct metric *series, **series_end;
    void (*write)(void *arg, struct buf *out); /* or NULL: more than the series */
    void *write_arg;
};

struct update {
    void (*call)(void *arg);
    void *arg;
};

/* Families and series are only ever added, under the lock; counting needs none. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct family *families; /* sorted by name */
static size_t series_count;

/* Held while the updates run, so that metrics_off_write() returns when none does any more. */
static pthread_mutex_t updates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct update updates[UPDATES_MAX];

static struct metric spare; /* takes what there was no room for */

/* ------------------------------------------------------------------ registering */

static struct family *family_new(enum metric_type type, const char *name, const char *help,
                                 const double *buckets)
{
    struct family *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->name = mem_dup_str(name);
    f->help = mem_dup_str(help);
    if (!f->name || !f->help) {
        mem_free(f->name);
        mem_free(f->help);
        mem_free(f);
        return NULL;
    }
    f->type = type;
    f->series_end = &f->series;
    while (type == METRIC_HISTOGRAM && buckets && f->bound_count < BUCKETS_MAX &&
           buckets[f->bound_count] != 0) {
        f->bounds[f->bound_count] = buckets[f->bound_count];
        f->bound_count++;
    }
    return f;
}

static struct family *family_get(enum metric_type type, const char *name, const char *help,
                                 const double *buckets)
{
    struct family **at = &families;
    int order = 1;
    while (*at && (order = strcmp((*at)->name, name)) < 0)
        at = &(*at)->next;
    if (*at && order == 0) {
        assert((*at)->type == type); /* one name, one type: ours to get right */
        return *at;
    }
    struct family *f = family_new(type, name, help, buckets);
    if (!f)
        return NULL;
    f->next = *at;
    *at = f;
    return f;
}

static struct metric *series_get(struct family *f, const char *labels)
{
    for (struct metric *m = f->series; m; m = m->next)
        if (strcmp(m->labels, labels) == 0)
            return m;
    if (series_count == SERIES_MAX)
        return NULL;
    size_t counts = f->type == METRIC_HISTOGRAM ? f->bound_count + 1 : 0;
    struct metric *m = mem_zalloc(1, sizeof *m + counts * sizeof *m->buckets);
    char *own = mem_dup_str(labels);
    if (!m || !own) {
        mem_free(m);
        mem_free(own);
        return NULL;
    }
    m->family = f;
    m->labels = own;
    *f->series_end = m;
    f->series_end = &m->next;
    series_count++;
    return m;
}

struct metric *metric_series(enum metric_type type, const char *name, const char *help,
                             const char *labels, const double *buckets)
{
    pthread_mutex_lock(&registry_lock);
    struct family *f = family_get(type, name, help, buckets);
    struct metric *m = f ? series_get(f, labels) : NULL;
    pthread_mutex_unlock(&registry_lock);
    return m ? m : &spare;
}

/* ------------------------------------------------------------------ counting */

void metric_add(struct metric *m, double v)
{
    double old = atomic_load_explicit(&m->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&m->value, &old, old + v))
        ;
}

void metric_inc(struct metric *m)
{
    metric_add(m, 1);
}

void metric_set(struct metric *m, double v)
{
    atomic_store(&m->value, v);
}

void metric_observe(struct metric *m, double v)
{
    const struct family *f = m->family;
    if (!f)
        return;
    assert(f->type == METRIC_HISTOGRAM);
    size_t i = 0;
    while (i < f->bound_count && v > f->bounds[i])
        i++;
    atomic_fetch_add(&m->buckets[i], 1);
    metric_add(m, v);
}

double metric_value(const struct metric *m)
{
    return atomic_load(&m->value);
}

/* ------------------------------------------------------------------ writing */

static void add_number(struct buf *out, double v)
{
    char text[TEXT_NUMBER_SIZE];
    text_number(text, v);
    buf_add_str(out, text);
}

/* name[suffix]{labels[,le="…"]} value */
static void write_sample(struct buf *out, const struct metric *m, const char *suffix,
                         const char *le, double v)
{
    bool labelled = m->labels[0] != '\0';
    buf_add_str(out, m->family->name);
    buf_add_str(out, suffix);
    if (labelled || le) {
        buf_add_byte(out, '{');
        buf_add_str(out, m->labels);
        if (le)
            buf_printf(out, "%sle=\"%s\"", labelled ? "," : "", le);
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ' ');
    add_number(out, v);
    buf_add_byte(out, '\n');
}

static void write_histogram(struct buf *out, const struct metric *m)
{
    const struct family *f = m->family;
    uint64_t count = 0;
    for (size_t i = 0; i < f->bound_count; i++) {
        char le[TEXT_NUMBER_SIZE];
        text_number(le, f->bounds[i]);
        count += atomic_load(&m->buckets[i]);
        write_sample(out, m, "_bucket", le, (double)count);
    }
    count += atomic_load(&m->buckets[f->bound_count]);
    write_sample(out, m, "_bucket", "+Inf", (double)count);
    write_sample(out, m, "_sum", NULL, metric_value(m));
    write_sample(out, m, "_count", NULL, (double)count);
}

static void write_help(struct buf *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\n')
            buf_add_str(out, "\\n");
        else if (*help == '\\')
            buf_add_str(out, "\\\\");
        else
            buf_add_byte(out, (uint8_t)*help);
    }
}

static void write_family(struct buf *out, const struct family *f)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s ", f->name);
    write_help(out, f->help);
    buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
    for (const struct metric *m = f->series; m; m = m->next) {
        if (f->type == METRIC_HISTOGRAM)
            write_histogram(out, m);
        else
            write_sample(out, m, "", NULL, metric_value(m));
    }
    if (f->write)
        f->write(f->write_arg, out);
}

void metrics_write(struct buf *out)
{
    pthread_mutex_lock(&updates_lock);
    for (size_t i = 0; i < UPDATES_MAX; i++)
        if (updates[i].call)
            updates[i].call(updates[i].arg);
    pthread_mutex_unlock(&updates_lock);

    pthread_mutex_lock(&registry_lock);
    for (const struct family *f = families; f; f = f->next)
        write_family(out, f);
    pthread_mutex_unlock(&registry_lock);
}

void metric_lines(enum metric_type type, const char *name, const char *help,
                  void (*write)(void *arg, struct buf *out), void *arg)
{
    pthread_mutex_lock(&registry_lock);
    struct family *f = family_get(type, name, help, NULL);
    if (f) {
        f->write = write;
        f->write_arg = arg;
    }
    pthread_mutex_unlock(&registry_lock);
}

void metric_clear(const char *name)
{
    pthread_mutex_lock(&registry_lock);
    for (struct family *f = families; f; f = f->next)
        for (struct metric *m = f->series; m && strcmp(f->name, name) == 0; m = m->next)
            atomic_store(&m->value, 0);
    pthread_mutex_unlock(&registry_lock);
}

void metric_label(struct buf *labels, const char *name, const char *value)
{
    bool utf8 = text_utf8(slice_str(value));
    buf_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_add_str(labels, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(labels, "\\%c", *value);
        else if (!utf8 && (unsigned char)*value >= 0x80)
            buf_add_byte(labels, '?'); /* a scrape with one bad byte is refused as a whole */
        else
            buf_add_byte(labels, (uint8_t)*value);
    }
    buf_add_byte(labels, '"');
}

void metrics_on_write(void (*update)(void *arg), void *arg)
{
    pthread_mutex_lock(&updates_lock);
    size_t i = 0;
    while (i < UPDATES_MAX && updates[i].call)
        i++;
    assert(i < UPDATES_MAX);
    updates[i] = (struct update){update, arg};
    pthread_mutex_unlock(&updates_lock);
}

void metrics_off_write(void (*update)(void *arg), void *arg)
{
    pthread_mutex_lock(&updates_lock);
    for (size_t i = 0; i < UPDATES_MAX; i++)
        if (updates[i].call == update && updates[i].arg == arg)
            updates[i] = (struct update){0};
    pthread_mutex_unlock(&updates_lock);
}
