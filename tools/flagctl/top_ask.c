/* The questions of a frame: to the primary how the fleet is, and now and then how flags are used; to
 * Alertmanager what fires. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "top.h"

/* Hosts tell what they have counted every two seconds or so. */
enum { USAGE_MS = 3000, USAGE_FLAGS = 100 };

const char *top_sort_name(enum top_sort sort)
{
    static const char *const names[TOP_SORTS] = {"lag", "silence", "name"};
    return names[sort];
}

void top_news_done(struct top_news *n)
{
    json_decref(n->fleet);
    json_decref(n->flags);
    json_decref(n->alerts);
    reply_done(&n->error);
    *n = (struct top_news){0};
}

/* What came last, over what there was: the last answer stays until there is another. */
static void take(struct top_news *n, struct top_news *from)
{
    if (from->fleet) {
        json_decref(n->fleet);
        n->fleet = from->fleet;
        n->fleet_ms = from->fleet_ms;
    }
    if (from->counted) {
        json_decref(n->flags);
        n->counted = true;
        n->flags = from->flags;
        memcpy(n->flags_why, from->flags_why, TOP_WHY);
    }
    if (from->rounds) {
        reply_done(&n->error);
        json_decref(n->alerts);
        n->error = from->error;
        n->alerts = from->alerts;
        memcpy(n->alerts_why, from->alerts_why, TOP_WHY);
        n->rounds += from->rounds;
    }
    *from = (struct top_news){0};
}

/* ------------------------------------------------------------------ one round */

static void ask_primary(struct call *c, const struct top_wish *wish, struct top_news *n)
{
    struct reply r;
    json_t *args = json_pack("{ss sI sI si si}", "sort", top_sort_name(wish->sort), "skip",
                             (json_int_t)wish->skip, "hosts", (json_int_t)wish->hosts, "changes",
                             TOP_CHANGES, "killed", TOP_KILLED);
    if (*wish->env)
        json_object_set_new(args, "env", json_string(wish->env));
    ask(c, "top", args, &r);
    if (!r.body || json_object_get(r.body, "error")) {
        n->error = r;
        return;
    }
    n->fleet = json_incref(r.body);
    n->fleet_ms = clock_mono_ms();
    reply_done(&r);
}

static void ask_usage(struct call *c, const struct top_wish *wish, struct top_usage *used,
                      struct top_news *n)
{
    struct reply r;
    int64_t now_ms = clock_mono_ms();
    bool other = strcmp(used->env, wish->env) != 0;
    if (used->count && !other && now_ms - used->asked_ms < USAGE_MS)
        return;
    snprintf(used->env, sizeof used->env, "%s", wish->env);
    used->asked_ms = now_ms;
    json_t *args = json_pack("{si}", "limit", USAGE_FLAGS);
    if (*wish->env)
        json_object_set_new(args, "env", json_string(wish->env));
    ask(c, "usage", args, &r);
    n->counted = true;
    if (!r.body || json_object_get(r.body, "error")) {
        snprintf(n->flags_why, TOP_WHY, "%s", text_of(json_object_get(r.body, "error"), "message"));
    } else {
        top_usage_add(used, json_incref(r.body), clock_mono_ms());
        n->flags = top_usage_flags(used);
    }
    reply_done(&r);
}

void top_ask(struct call *c, const struct top_wish *wish, struct top_usage *used,
             struct top_news *ret)
{
    const char *alertmanager = options_get(c->options, "alertmanager");
    *ret = (struct top_news){.rounds = 1};
    ask_primary(c, wish, ret);
    if (ret->fleet) /* who is away is not asked twice */
        ask_usage(c, wish, used, ret);
    if (alertmanager)
        ret->alerts = top_alerts_get(alertmanager, ret->alerts_why);
}

/* ------------------------------------------------------------------ the thread */

static void *ask_on(void *arg)
{
    struct top_asker *a = arg;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        struct top_news n;
        uint64_t one = 1;
        while (!a->wished && !a->ending)
            pthread_cond_wait(&a->wake, &a->lock);
        if (a->ending)
            break;
        struct top_wish wish = a->wish;
        a->wished = false;
        a->busy = true;
        pthread_mutex_unlock(&a->lock);
        top_ask(a->call, &wish, &a->used, &n);
        pthread_mutex_lock(&a->lock);
        a->busy = false;
        take(&a->fresh, &n);
        ssize_t written = write(a->ready, &one, sizeof one);
        (void)written; /* a counter that is full is as good */
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

enum hoist_err top_asker_begin(struct top_asker *a, struct call *c)
{
    *a = (struct top_asker){.call = c, .ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (a->ready < 0)
        return err_set(HOIST_EIO, "eventfd: %m");
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    int rc = pthread_create(&a->thread, NULL, ask_on, a);
    return rc == 0 ? HOIST_OK : err_set(HOIST_ENOMEM, "a thread: %s", strerror(rc));
}

void top_asker_wish(struct top_asker *a, const struct top_wish *wish)
{
    pthread_mutex_lock(&a->lock);
    a->wish = *wish;
    a->wished = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

const struct top_news *top_asker_take(struct top_asker *a)
{
    uint64_t count;
    ssize_t n = read(a->ready, &count, sizeof count);
    (void)n; /* nothing new is fine */
    pthread_mutex_lock(&a->lock);
    take(&a->shown, &a->fresh);
    pthread_mutex_unlock(&a->lock);
    return &a->shown;
}

bool top_asker_end(struct top_asker *a)
{
    pthread_mutex_lock(&a->lock);
    bool busy = a->busy;
    a->ending = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    if (busy)
        return false;
    pthread_join(a->thread, NULL);
    top_news_done(&a->fresh);
    top_news_done(&a->shown);
    top_usage_done(&a->used);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    close(a->ready);
    return true;
}
