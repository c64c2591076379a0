/* This host's own sums as Prometheus reads them. */
#include <inttypes.h>
#include <stdio.h>

#include "flag/flag.h"
#include "store/store.h"
#include "usage/sums_int.h"

static const char name[] = "hoist_client_evaluations_total";
static const char help[] =
    "Evaluations of flags by programs on this host, by what they yielded; without a variant their "
    "own "
    "fallback. Without a flag: those of flags beyond the first 10,000 series.";

struct look { /* into the store, for one environment after the other */
    struct store_read *r;
    char env[FLAG_ENV_MAX + 1];
    struct store_env found;
    bool is_there;
};

static void find_env(struct look *l, struct slice env)
{
    snprintf(l->env, sizeof l->env, "%.*s", SLICE_ARG(env));
    l->is_there = store_env_get(l->r, l->env, &l->found) == HOIST_OK;
}

static bool is_there(void *arg, const struct count *row)
{
    struct look *l = arg;
    struct slice record;
    if (!slice_eq(slice_str(l->env), row->env))
        find_env(l, row->env);
    return l->is_there && store_record_get(l->r, l->found.id, row->key, &record) != HOIST_ENOTFOUND;
}

static void forget_deleted(struct sums *s)
{
    struct look l = {0};
    if (store_read_begin(s->store, false, &l.r) != HOIST_OK)
        return; /* at the next scrape */
    counts_filter(&s->own, is_there, &l);
    store_read_end(l.r);
}

static void put_label(struct buf *labels, const char *label, struct slice value)
{
    char text[FLAG_KEY_MAX + 1];
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(value));
    metric_label(labels, label, text);
}

static void put_line(struct buf *out, struct slice env, struct slice key, struct slice variant,
                     uint64_t n)
{
    struct buf labels = BUF_INIT(4096);
    put_label(&labels, "env", env);
    put_label(&labels, "flag", key);
    put_label(&labels, "variant", variant);
    buf_printf(out, "%s{%s} %" PRIu64 "\n", name, buf_str(&labels), n);
    buf_done(&labels);
}

static void write_lines(void *arg, struct buf *out)
{
    static const struct slice none;
    struct sums *s = arg;
    pthread_mutex_lock(&s->lock);
    forget_deleted(s);
    put_line(out, none, none, none, s->rest);
    for (const struct count *c = s->own.first; c; c = c->next)
        put_line(out, c->env, c->key, c->variant, c->n);
    pthread_mutex_unlock(&s->lock);
}

void sums_metrics_begin(struct sums *s, struct store *store)
{
    s->store = store;
    metric_lines(METRIC_COUNTER, name, help, write_lines, s);
}

void sums_metrics_end(void)
{
    metric_lines(METRIC_COUNTER, name, help, NULL, NULL);
}
