#include "http/prometheus.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "http/prometheus_int.h"

enum {
    RUNNING_MAX = 16, /* at a time; Prometheus itself runs 20, and has others that ask */
    POLL_MS = 1000,
    MS_NS = 1000000,
};

struct set;

struct asked {          /* one query */
    struct asked *next; /* that waits for its turn */
    uint32_t slot;      /* in `running` */
    struct set *set;
    struct prometheus_query query; /* its text is the set's */
    struct prometheus_call call;
};

struct set { /* what was asked together */
    struct queue_item item;
    prometheus_done_fn *done;
    void *arg;
    int64_t asked_ns;
    struct prometheus_secrets secrets;
    struct prometheus_answer *answers;
    char *texts;
    uint32_t count, left;
    struct asked asked[];
};

struct prometheus {
    struct prometheus_config config; /* its texts are our own */
    pthread_t thread;
    CURLM *multi;
    struct queue sets;
    _Atomic uint32_t asked; /* queries that have no answer yet */
    struct asked *waiting, **waiting_end;
    struct asked *running[RUNNING_MAX];
    uint32_t running_count;
    struct metric *seconds, *errors;
};

/* ------------------------------------------------------------------ sets */

static void set_free(struct set *s)
{
    if (!s)
        return;
    prometheus_secrets_done(&s->secrets);
    mem_free(s->answers);
    mem_free(s->texts);
    mem_free(s);
}

static enum hoist_err check_queries(const struct prometheus_query *queries, uint32_t count,
                                    size_t *ret_bytes)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(queries[i].text);
        if (len == 0 || len > PROMETHEUS_QUERY_MAX)
            return err_set(HOIST_EINVAL, "a query of %zu bytes: 1 to %d are meant", len,
                           PROMETHEUS_QUERY_MAX);
        bytes += len + 1;
    }
    if (count == 0)
        return err_set(HOIST_EINVAL, "there is no query to ask");
    *ret_bytes = bytes;
    return HOIST_OK;
}

static void copy_queries(struct set *s, const struct prometheus_query *queries)
{
    char *text = s->texts;
    for (uint32_t i = 0; i < s->count; i++) {
        size_t size = strlen(queries[i].text) + 1;
        memcpy(text, queries[i].text, size);
        s->asked[i] = (struct asked){.set = s, .query = queries[i]};
        s->asked[i].query.text = text;
        text += size;
    }
}

static struct set *set_new(const struct prometheus_query *queries, uint32_t count, size_t bytes)
{
    struct set *s = mem_zalloc(1, sizeof *s + count * sizeof s->asked[0]);
    if (!s)
        return NULL;
    s->count = s->left = count;
    s->texts = mem_alloc(bytes);
    s->answers = mem_zalloc(count, sizeof *s->answers);
    if (!s->texts || !s->answers) {
        set_free(s);
        return NULL;
    }
    copy_queries(s, queries);
    return s;
}

enum hoist_err prometheus_ask(struct prometheus *p, const struct prometheus_query *queries,
                              uint32_t count, prometheus_done_fn *done, void *arg)
{
    size_t bytes = 0;
    enum hoist_err err = check_queries(queries, count, &bytes);
    if (err)
        return err;
    if (atomic_fetch_add(&p->asked, count) + count > PROMETHEUS_ASKED_MAX) {
        atomic_fetch_sub(&p->asked, count);
        return HOIST_EAGAIN;
    }
    struct set *s = set_new(queries, count, bytes);
    if (!s) {
        atomic_fetch_sub(&p->asked, count);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    s->done = done;
    s->arg = arg;
    s->asked_ns = clock_mono_ns();
    if (!queue_push(&p->sets, &s->item, count)) { /* it ends */
        set_free(s);
        atomic_fetch_sub(&p->asked, count);
        return HOIST_EAGAIN;
    }
    (void)curl_multi_wakeup(p->multi); /* if it fails, the poll's own end wakes it */
    return HOIST_OK;
}

/* ------------------------------------------------------------------ one query's way */

/* It has its answer; the last one of a set ends the set. */
static void finish(struct prometheus *p, struct asked *a)
{
    struct set *s = a->set;
    const struct prometheus_answer *answer = &s->answers[a - s->asked];
    metric_observe(p->seconds, (double)(clock_mono_ns() - s->asked_ns) / 1e9);
    if (answer->verdict == RELEASE_ERROR)
        metric_inc(p->errors);
    prometheus_call_done(&a->call);
    atomic_fetch_sub(&p->asked, 1);
    if (--s->left > 0)
        return;
    s->done(s->arg, s->answers, s->count);
    set_free(s);
}

PRINTF_LIKE(3, 4)
static void fail(struct prometheus *p, struct asked *a, const char *fmt, ...)
{
    char why[PROMETHEUS_WHY_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    prometheus_no_value(&a->set->answers[a - a->set->asked], RELEASE_ERROR, "%s", why);
    finish(p, a);
}

static int64_t left_ms(const struct prometheus *p, const struct asked *a)
{
    return p->config.timeout_ms - (clock_mono_ns() - a->set->asked_ns) / MS_NS;
}

static void begin(struct prometheus *p, struct asked *a)
{
    int64_t left = left_ms(p, a);
    if (left <= 0) {
        fail(p, a,
             "not asked within %lld ms, for others had no answer: is Prometheus overloaded? "
             "--prometheus-timeout gives it longer",
             (long long)p->config.timeout_ms);
        return;
    }
    if (prometheus_call_init(&a->call, &p->config, &a->set->secrets, a->query.text, NULL, left)) {
        fail(p, a, "%s", err_last());
        return;
    }
    curl_easy_setopt(a->call.curl, CURLOPT_PRIVATE, a);
    if (curl_multi_add_handle(p->multi, a->call.curl) != CURLM_OK) {
        fail(p, a, "out of memory");
        return;
    }
    a->slot = p->running_count;
    p->running[p->running_count++] = a;
}

static void leave(struct prometheus *p, struct asked *a)
{
    curl_multi_remove_handle(p->multi, a->call.curl);
    p->running[a->slot] = p->running[--p->running_count];
    p->running[a->slot]->slot = a->slot;
}

static struct asked *take_waiting(struct prometheus *p)
{
    struct asked *a = p->waiting;
    p->waiting = a->next;
    if (!p->waiting)
        p->waiting_end = &p->waiting;
    return a;
}

/* As many as may run; those that waited too long have their answer. All have the same time, so the
 * first one is the first to run out of it. */
static void begin_waiting(struct prometheus *p)
{
    while (p->waiting && (p->running_count < RUNNING_MAX || left_ms(p, p->waiting) <= 0))
        begin(p, take_waiting(p));
}

/* A set's last answer frees it: it is not looked at afterwards. */
static void fail_set(struct prometheus *p, struct set *s, const char *why)
{
    for (uint32_t i = 0, count = s->count; i < count; i++)
        fail(p, &s->asked[i], "%s", why);
}

static void take_set(struct prometheus *p, struct set *s)
{
    if (prometheus_secrets_read(&p->config, &s->secrets) != HOIST_OK) {
        fail_set(p, s, err_last());
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        *p->waiting_end = &s->asked[i];
        p->waiting_end = &s->asked[i].next;
    }
}

static void take_sets(struct prometheus *p)
{
    for (struct queue_item *next, *item = queue_take(&p->sets, 0); item; item = next) {
        next = item->next;
        take_set(p, (struct set *)item);
    }
}

static struct asked *asked_of(CURL *curl)
{
    char *a = NULL;
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &a);
    return (struct asked *)a;
}

static void collect(struct prometheus *p)
{
    CURLMsg *m;
    int more;
    while ((m = curl_multi_info_read(p->multi, &more))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct asked *a = asked_of(m->easy_handle);
        prometheus_call_answer(&a->call, m->data.result, &p->config, &a->query,
                               &a->set->answers[a - a->set->asked]);
        leave(p, a);
        finish(p, a);
    }
}

/* ------------------------------------------------------------------ the thread */

static int poll_ms(const struct prometheus *p)
{
    if (!p->waiting)
        return POLL_MS;
    int64_t left = p->running_count < RUNNING_MAX ? 0 : left_ms(p, p->waiting);
    return left < 0 ? 0 : left < POLL_MS ? (int)left : POLL_MS;
}

static void *run(void *arg)
{
    struct prometheus *p = arg;
    int running;
    while (!queue_is_closed(&p->sets)) {
        take_sets(p);
        begin_waiting(p);
        (void)curl_multi_perform(p->multi, &running); /* what fails in it fails a transfer */
        collect(p);
        (void)curl_multi_poll(p->multi, NULL, 0, poll_ms(p), NULL);
    }
    return NULL;
}

/* The thread has ended; whoever waits for an answer has one. */
static void end_all(struct prometheus *p)
{
    static const char why[] = "was not waited for: this program ends";
    take_sets(p);
    while (p->waiting)
        fail(p, take_waiting(p), "%s", why);
    while (p->running_count > 0) {
        struct asked *a = p->running[0];
        leave(p, a);
        fail(p, a, "%s", why);
    }
}

/* ------------------------------------------------------------------ start and stop */

static void config_done(struct prometheus_config *c)
{
    const char *texts[] = {c->url, c->token_file, c->user_file, c->ca, c->cert, c->key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free((char *)texts[i]);
}

static bool copy(const char **text)
{
    return !*text || (*text = mem_dup_str(*text));
}

static enum hoist_err config_copy(const struct prometheus_config *from,
                                  struct prometheus_config *ret)
{
    struct prometheus_config c = *from;
    const char **texts[] = {&c.url, &c.token_file, &c.user_file, &c.ca, &c.cert, &c.key};
    size_t count = sizeof texts / sizeof *texts, i = 0;
    if (c.timeout_ms == 0)
        c.timeout_ms = PROMETHEUS_TIMEOUT_MS;
    if (c.stale_ms == 0)
        c.stale_ms = PROMETHEUS_STALE_MS;
    while (i < count && copy(texts[i]))
        i++;
    if (i == count) {
        *ret = c;
        return HOIST_OK;
    }
    while (i < count)
        *texts[i++] = NULL; /* not ours */
    config_done(&c);
    return err_set(HOIST_ENOMEM, "out of memory");
}

enum hoist_err prometheus_check(const struct prometheus_config *c)
{
    struct prometheus_secrets secrets;
    enum hoist_err err = prometheus_check_url(c);
    if (!err)
        err = prometheus_secrets_read(c, &secrets);
    if (!err)
        prometheus_secrets_done(&secrets);
    return err;
}

static void release(struct prometheus *p)
{
    curl_multi_cleanup(p->multi);
    queue_done(&p->sets);
    config_done(&p->config);
    mem_free(p);
}

static void find_metrics(struct prometheus *p)
{
    static const double buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 0};
    p->seconds =
        metric_series(METRIC_HISTOGRAM, "hoist_prometheus_query_duration_seconds",
                      "Time from asking a guard's query until it had its answer.", "", buckets);
    p->errors = metric_series(METRIC_COUNTER, "hoist_prometheus_query_errors_total",
                              "Queries of guards that Prometheus did not answer, or not as it "
                              "should.",
                              "", NULL);
}

static enum hoist_err start_thread(struct prometheus *p)
{
    int rc = p->multi ? pthread_create(&p->thread, NULL, run, p) : ENOMEM;
    if (rc == 0)
        return HOIST_OK;
    return err_set(rc == ENOMEM ? HOIST_ENOMEM : HOIST_EIO, "no thread for --prometheus: %s",
                   strerror(rc));
}

enum hoist_err prometheus_start(const struct prometheus_config *config, struct prometheus **ret)
{
    enum hoist_err err = prometheus_check(config);
    struct prometheus *p = err ? NULL : mem_zalloc(1, sizeof *p);
    if (!p)
        return err ? err : err_set(HOIST_ENOMEM, "out of memory");
    err = config_copy(config, &p->config);
    if (!err)
        err = queue_init(&p->sets, PROMETHEUS_ASKED_MAX, PROMETHEUS_ASKED_MAX);
    if (err) {
        config_done(&p->config);
        mem_free(p);
        return err;
    }
    p->waiting_end = &p->waiting;
    p->multi = curl_multi_init();
    find_metrics(p);
    err = start_thread(p);
    if (err)
        release(p);
    else
        *ret = p;
    return err;
}

void prometheus_stop(struct prometheus *p)
{
    if (!p)
        return;
    queue_close(&p->sets);
    (void)curl_multi_wakeup(p->multi);
    pthread_join(p->thread, NULL);
    end_all(p);
    release(p);
}

/* ------------------------------------------------------------------ waiting */

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    struct prometheus_answer *answers;
};

static void on_done(void *arg, const struct prometheus_answer *answers, uint32_t count)
{
    struct wait *w = arg;
    pthread_mutex_lock(&w->lock);
    memcpy(w->answers, answers, count * sizeof *answers);
    w->is_done = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

enum hoist_err prometheus_ask_wait(struct prometheus *p, const struct prometheus_query *queries,
                                   uint32_t count, struct prometheus_answer *ret_answers)
{
    struct wait w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, ret_answers};
    enum hoist_err err = prometheus_ask(p, queries, count, on_done, &w);
    pthread_mutex_lock(&w.lock);
    while (!err && !w.is_done)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.done);
    return err;
}
