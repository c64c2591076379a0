#include "http/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "http/cursor.h"
#include "http/follow.h"
#include "http/news.h"
#include "http/sink.h"

enum {
    LOOK_MS = 250,       /* how often the logs are looked at */
    LOOK_CHANGES = 1000, /* at a time, so that no read transaction gets old */
    KEEP_MS = 30000,     /* how often a cursor is kept that passed what nobody is told of */
    FIRST_WAIT_MS = 1000,
    LAST_WAIT_MS = 60000,
    ASKED_WAIT_MS = 600000,
    REFUSALS_MAX = 3,
};

enum result { RESULT_SENT, RESULT_FAILED, RESULT_REFUSED, RESULT_LOST, RESULTS };
static const char *const result_names[RESULTS] = {"sent", "failed", "refused", "lost"};

struct teller { /* a sink, its place, its thread */
    struct notifier *notifier;
    struct sink sink;
    struct cursor cursor;
    struct follow follow; /* the releases that it is told of */
    bool moved;           /* the cursor, since it was kept */
    int64_t kept_ms;
    struct metric *results[RESULTS], *age;
    _Atomic int64_t oldest_ms; /* when what waits happened; 0: nothing waits */
    pthread_t thread;
};

struct notifier {
    struct store *store;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    struct teller *tellers;
    size_t count, running;
};

struct waiting {      /* the next one to be told of */
    uint64_t version; /* to which the cursor moves; 0: there is none */
    size_t at;        /* its environment or release, in the cursor */
    int64_t time_ms;
    char id[NEWS_ID_SIZE];
    struct buf body;
};

/* ------------------------------------------------------------------ the cursor */

static void keep(struct teller *t)
{
    if (cursor_write(&t->cursor) == HOIST_OK)
        t->moved = false;
    else
        log_error("notify: how far %s was told cannot be kept, so a restart may tell it again: %s",
                  t->sink.name, err_last());
    t->kept_ms = clock_mono_ms();
}

static void move(struct teller *t, struct cursor_at *at, uint64_t version)
{
    t->moved |= at->version != version;
    at->version = version;
}

/* ------------------------------------------------------------------ looking */

/* What a cursor cannot be true of: a store that was set back, or a log that was cut above it. */
static void mend(struct teller *t, struct cursor_at *at, const struct store_env *env)
{
    uint64_t first = env->log_first ? env->log_first : 1;
    if (at->version > env->head) {
        log_warn("notify: %s was told of %s up to v%" PRIu64 ", and there is v%" PRIu64
                 ": the store was set back; it hears what happens from here on",
                 t->sink.name, env->name, at->version, env->head);
        move(t, at, env->head);
    } else if (at->version + 1 < first) {
        if (at->version > 0) {
            log_error(
                "notify: v%" PRIu64 " to v%" PRIu64 " of %s are no longer in the log, and %s "
                "may not have been told of them: mend what keeps it from taking notifications "
                "sooner, or keep the log longer (--log-age)",
                at->version + 1, first - 1, env->name, t->sink.name);
            metric_inc(t->results[RESULT_LOST]);
        }
        move(t, at, first - 1);
    }
}

static void take(struct teller *t, const struct cursor_at *at, const struct change *c,
                 struct waiting *ret)
{
    ret->at = (size_t)(at - t->cursor.envs);
    buf_clear(&ret->body);
    if (t->sink.kind == SINK_JSON)
        news_put_json(&ret->body, c);
    else
        news_put_slack(&ret->body, c);
    news_id(&c->head, ret->id);
    ret->version = c->head.version;
    ret->time_ms = c->head.time_ms;
}

/* The change behind the place. False: it cannot be read, and is passed. */
static bool read_next(struct teller *t, struct store_read *r, const struct store_env *env,
                      struct cursor_at *at, struct change *ret)
{
    struct slice bytes;
    err_clear();
    enum hoist_err err = store_log_get(r, env->id, at->version + 1, &bytes);
    if (!err)
        err = change_decode(bytes, ret);
    if (!err)
        return true;
    log_error("notify: v%" PRIu64 " of %s cannot be read, so %s may not have been told of it: %s; "
              "flagctl fsck says what is damaged",
              at->version + 1, env->name, t->sink.name, *err_last() ? err_last() : err_word(err));
    metric_inc(t->results[RESULT_LOST]);
    move(t, at, at->version + 1);
    return false;
}

/* Pass what nobody is told of. A change that somebody is, and that happened before *ret, takes its
 * place. Gives whether there is more to look at. */
static bool look_at(struct teller *t, struct store_read *r, const struct store_env *env,
                    struct waiting *ret)
{
    struct cursor_at *at = cursor_get(&t->cursor, env);
    if (!at)
        return false; /* memory is out: the next look */
    mend(t, at, env);
    for (int i = 0; at->version < env->head; i++) {
        struct change c;
        if (i == LOOK_CHANGES)
            return true;
        if (!read_next(t, r, env, at, &c))
            continue;
        if (news_is(&c.head)) {
            if (ret->version == 0 || c.head.time_ms < ret->time_ms)
                take(t, at, &c, ret);
            return false;
        }
        move(t, at, at->version + 1);
    }
    return false;
}

struct offering {
    struct teller *teller;
    struct waiting *waiting;
};

static void take_release(void *arg, size_t at, const struct release_news *news)
{
    struct offering *o = arg;
    struct waiting *w = o->waiting;
    if (w->version && w->time_ms <= news->time_ms)
        return;
    w->at = at;
    w->version = news->sequence;
    w->time_ms = news->time_ms;
    news_release_id(news, w->id);
    buf_clear(&w->body);
    if (o->teller->sink.kind == SINK_JSON)
        news_put_release_json(&w->body, news);
    else
        news_put_release_slack(&w->body, news);
}

static bool look_at_releases(struct teller *t, struct store_read *r, struct waiting *ret)
{
    struct offering o = {t, ret};
    bool more = follow_look(&t->follow, r, take_release, &o);
    t->moved |= t->follow.moved;
    t->follow.moved = false;
    for (; t->follow.lost > 0; t->follow.lost--)
        metric_inc(t->results[RESULT_LOST]);
    return more;
}

/* The next one to be told of, in *ret; its version 0: none. Gives whether there is more to look at. */
static bool look(struct teller *t, struct waiting *ret)
{
    struct store_read *r;
    struct store_env env;
    bool more = false;
    ret->version = 0;
    if (store_read_begin(t->notifier->store, false, &r) != HOIST_OK)
        return false;
    more = look_at_releases(t, r, ret); /* first: it may let places go */
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        more |= look_at(t, r, &env, ret);
    store_read_end(r);
    return more;
}

/* ------------------------------------------------------------------ telling */

/* Gives whether it goes on. */
static bool rest(struct notifier *n, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&n->lock);
    while (!n->stopping && pthread_cond_timedwait(&n->stop, &n->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&n->lock);
    return !n->stopping;
}

/* After the n-th failure in a row. */
static int64_t wait_ms(int failures, int64_t asked_ms)
{
    int64_t ms = FIRST_WAIT_MS;
    for (int i = 1; i < failures && ms < LAST_WAIT_MS; i++)
        ms *= 2;
    if (ms > LAST_WAIT_MS)
        ms = LAST_WAIT_MS;
    ms = ms / 2 + (int64_t)hash_random_below((uint64_t)ms / 2 + 1);
    if (asked_ms > ASKED_WAIT_MS)
        asked_ms = ASKED_WAIT_MS;
    return ms > asked_ms ? ms : asked_ms;
}

/* Often at first, then less and less. */
static bool is_worth_a_line(int failures)
{
    return (failures & (failures - 1)) == 0;
}

/* True: it needs no telling any more. */
static bool tell_once(struct teller *t, const struct waiting *w, int *failures, int *refusals,
                      int64_t *ret_wait_ms)
{
    int64_t asked_ms;
    enum sink_outcome outcome =
        sink_send(&t->sink, w->id, buf_slice(&w->body), &t->notifier->stopping, &asked_ms);
    if (outcome == SINK_SENT) {
        metric_inc(t->results[RESULT_SENT]);
        if (*failures)
            log_info("notify: %s takes notifications again", t->sink.name);
        return true;
    }
    if (t->notifier->stopping)
        return false;
    ++*failures;
    *refusals += outcome == SINK_REFUSED;
    if (*refusals >= REFUSALS_MAX) {
        metric_inc(t->results[RESULT_REFUSED]);
        log_error("notify: %s has refused %s %d times, so it is left out: %s", t->sink.name, w->id,
                  *refusals, err_last());
        return true;
    }
    metric_inc(t->results[RESULT_FAILED]);
    *ret_wait_ms = wait_ms(*failures, asked_ms);
    if (is_worth_a_line(*failures))
        log_warn("notify: %s was not told of %s (attempt %d): %s; once more in %" PRId64 " ms",
                 t->sink.name, w->id, *failures, err_last(), *ret_wait_ms);
    return false;
}

/* Until it is told, left out, or all ends. */
static void tell(struct teller *t, const struct waiting *w)
{
    int failures = 0, refusals = 0;
    int64_t ms = 0;
    t->oldest_ms = w->time_ms;
    while (!t->notifier->stopping) {
        if (tell_once(t, w, &failures, &refusals, &ms)) {
            move(t, &t->cursor.envs[w->at], w->version);
            keep(t);
            break;
        }
        (void)rest(t->notifier, ms);
    }
}

static void *run(void *arg)
{
    struct teller *t = arg;
    struct waiting w = {.body = BUF_INIT(NEWS_BODY_MAX)};
    do {
        bool more = look(t, &w), waits = w.version && !w.body.err;
        if (waits)
            tell(t, &w);
        else
            t->oldest_ms = 0;
        if (t->moved && clock_mono_ms() - t->kept_ms >= KEEP_MS)
            keep(t);
        if (!more && !waits)
            (void)rest(t->notifier, LOOK_MS);
    } while (!t->notifier->stopping);
    if (t->moved)
        keep(t);
    buf_done(&w.body);
    return NULL;
}

/* ------------------------------------------------------------------ metrics */

static void show_ages(void *arg)
{
    struct notifier *n = arg;
    for (size_t i = 0; i < n->count; i++) {
        struct teller *t = &n->tellers[i];
        int64_t oldest_ms = t->oldest_ms, age_ms = clock_wall_ms() - oldest_ms;
        metric_set(t->age, oldest_ms && age_ms > 0 ? (double)age_ms / 1000 : 0);
    }
}

static void find_metrics(struct teller *t)
{
    struct buf labels = BUF_INIT(256);
    metric_label(&labels, "sink", t->sink.name);
    t->age = metric_series(METRIC_GAUGE, "hoist_notification_oldest_age_seconds",
                           "How long ago that happened which a sink is to be told of next; 0: it "
                           "was told all.",
                           buf_str(&labels), NULL);
    for (int i = 0; i < RESULTS; i++) {
        buf_clear(&labels);
        metric_label(&labels, "sink", t->sink.name);
        metric_label(&labels, "result", result_names[i]);
        t->results[i] = metric_series(METRIC_COUNTER, "hoist_notifications_total",
                                      "Attempts to tell a sink of something, by what came of them.",
                                      buf_str(&labels), NULL);
    }
    buf_done(&labels);
}

/* ------------------------------------------------------------------ start and stop */

static bool is_taken(const struct notifier *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->tellers[i].sink.name, name) == 0)
            return true;
    return false;
}

/* The first time it hears what happens from now on. */
static enum hoist_err begin(struct teller *t)
{
    struct store_read *r;
    struct store_env env;
    bool is_new = t->cursor.is_new;
    enum hoist_err err = store_read_begin(t->notifier->store, false, &r);
    if (err)
        return err;
    err = follow_begin(&t->follow, t->sink.name, &t->cursor, r);
    for (uint32_t n = 0; is_new && !err && store_env_at(r, n, &env) == HOIST_OK; n++)
        if (!cursor_get(&t->cursor, &env))
            err = err_set(HOIST_ENOMEM, "out of memory");
    store_read_end(r);
    t->cursor.is_new = false;
    return err || !is_new ? err : cursor_write(&t->cursor);
}

static enum hoist_err add(struct notifier *n, const struct notifier_config *config, size_t i)
{
    struct teller *t = &n->tellers[n->count];
    enum hoist_err err = sink_read(config->sinks[i], config->insecure, &t->sink);
    if (!err && is_taken(n, t->sink.name))
        err = err_set(HOIST_EINVAL,
                      "--notify %s: there are two of that name; how far each was told "
                      "is kept by name",
                      t->sink.name);
    if (!err)
        err = cursor_open(config->dir, t->sink.name, &t->cursor);
    if (err)
        return err;
    t->notifier = n;
    find_metrics(t);
    n->count++;
    return begin(t);
}

static enum hoist_err start_threads(struct notifier *n)
{
    for (; n->running < n->count; n->running++) {
        struct teller *t = &n->tellers[n->running];
        int rc = pthread_create(&t->thread, NULL, run, t);
        if (rc)
            return err_set(HOIST_EIO, "no thread for --notify %s: %s", t->sink.name, strerror(rc));
    }
    return HOIST_OK;
}

static struct notifier *make(const struct notifier_config *config)
{
    pthread_condattr_t monotonic;
    struct notifier *n = mem_zalloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->tellers = mem_zalloc(config->count, sizeof *n->tellers);
    if (!n->tellers) {
        mem_free(n);
        return NULL;
    }
    n->store = config->store;
    pthread_mutex_init(&n->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&n->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    metrics_on_write(show_ages, n);
    return n;
}

enum hoist_err notifier_start(const struct notifier_config *config, struct notifier **ret)
{
    enum hoist_err err = HOIST_OK;
    if (config->count > SINKS_MAX)
        return err_set(HOIST_EINVAL, "--notify: %d are the most", SINKS_MAX);
    struct notifier *n = make(config);
    if (!n)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (size_t i = 0; i < config->count && !err; i++)
        err = add(n, config, i);
    if (!err)
        err = start_threads(n);
    if (err)
        notifier_stop(n);
    else
        *ret = n;
    return err;
}

void notifier_stop(struct notifier *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_broadcast(&n->stop);
    pthread_mutex_unlock(&n->lock);
    for (size_t i = 0; i < n->running; i++)
        pthread_join(n->tellers[i].thread, NULL);
    metrics_off_write(show_ages, n);
    for (size_t i = 0; i < n->count; i++) {
        follow_done(&n->tellers[i].follow);
        cursor_done(&n->tellers[i].cursor);
    }
    pthread_cond_destroy(&n->stop);
    pthread_mutex_destroy(&n->lock);
    mem_free(n->tellers);
    mem_free(n);
}
