/* Alertmanager's webhook: each flag that an alert may kill is a command like any other in the writer's
 * queue, by hoistd's own user, and each release that it takes back a job there; the answer goes out when
 * all of them are committed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flag/json.h"
#include "flag/json_read.h"
#include "primary/primary_int.h"
#include "primary/query.h"

enum {
    WAIT_S = 5,
    PAST_MAX = 1000, /* changes of a flag among which an alert's kill is looked for */
    STATUS_OK = 200, /* HTTP's */
    STATUS_BAD = 400,
    STATUS_TOO_LONG = 413,
    STATUS_AGAIN = 503,
};

struct waiting { /* for what one message brings about; shared by its thread and the writer's */
    pthread_mutex_t lock;
    pthread_cond_t done;
    uint32_t holders, left;
    uint32_t killed, unchanged, failed;
    bool again; /* something failed that may not the next time */
};

enum hoist_err webhook_begin(struct primary *p, const struct primary_config *config)
{
    static const char *const results[WEBHOOK_RESULTS] = {"ok", "refused", "failed"};
    for (int i = 0; i < WEBHOOK_RESULTS; i++) {
        struct buf labels = BUF_INIT(64);
        metric_label(&labels, "result", results[i]);
        p->webhooks[i] = metric_series(METRIC_COUNTER, "hoist_alertmanager_webhooks_total",
                                       "Messages of Alertmanager, by what came of them.",
                                       buf_str(&labels), NULL);
        buf_done(&labels);
    }
    p->detect = primary_metrics_detect("alert");
    p->truncated = metric_series(METRIC_COUNTER, "hoist_alertmanager_truncated_alerts_total",
                                 "Alerts that were left out of messages of Alertmanager, or of "
                                 "what was done for one.",
                                 "", NULL);
    enum hoist_err err =
        alert_rules_read(config->kill_on_alert, config->kill_count, &p->alert_rules);
    return err ? err_prefix(HOIST_EINVAL, "--kill-on-alert") : HOIST_OK;
}

/* ------------------------------------------------------------------ waiting */

static struct waiting *waiting_new(uint32_t kills)
{
    pthread_condattr_t monotonic;
    struct waiting *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    w->holders = kills + 1;
    w->left = kills;
    return w;
}

/* Called with the lock held, which ends with it. */
static void let_go(struct waiting *w)
{
    bool last = --w->holders == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

/* What is wrong with the flag, or with the rule that names it, stays so: Alertmanager need not ask
 * again. A full disk does not. */
static bool may_work_next_time(const struct answer *a)
{
    json_t *body;
    if (!a || json_read(buf_slice(&a->body), &body) != HOIST_OK)
        return true;
    const char *code = json_string_value(json_object_get(json_object_get(body, "error"), "code"));
    bool stays = a->exit == EXIT_INPUT || (code && strcmp(code, "not-found") == 0);
    json_decref(body);
    return !stays;
}

static void on_done(void *arg, const struct answer *a)
{
    struct waiting *w = arg;
    pthread_mutex_lock(&w->lock);
    w->left--;
    if (a && a->exit == EXIT_DONE) {
        w->killed += a->changed;
        w->unchanged += !a->changed;
    } else {
        w->failed++;
        w->again |= may_work_next_time(a);
        if (a)
            log_error("primary: an alert could not kill a flag: %.*s",
                      SLICE_ARG(buf_slice(&a->body)));
    }
    pthread_cond_signal(&w->done);
    let_go(w);
}

static void on_abort_begins(void *arg)
{
    struct waiting *w = arg;
    pthread_mutex_lock(&w->lock);
    w->holders++;
    w->left++;
    pthread_mutex_unlock(&w->lock);
}

static void on_aborted(void *arg, const struct answer *a)
{
    struct waiting *w = arg;
    bool failed = !a || a->exit != EXIT_DONE;
    pthread_mutex_lock(&w->lock);
    w->left--;
    w->failed += failed;
    w->again |= failed && may_work_next_time(a);
    pthread_cond_signal(&w->done);
    let_go(w);
}

/* ------------------------------------------------------------------ asking */

/* Whether this alert has killed the flag before: then whoever restored it since knew of the alert. The
 * answers that the writer keeps by request do not reach so far back as an alert may last. */
static bool is_known(struct primary *p, const struct alert_kill *kill)
{
    struct store_read *r;
    struct store_env env;
    char name[STORE_ENV_NAME_MAX + 1];
    bool known = false;
    if (store_read_begin(p->store, false, &r) != HOIST_OK)
        return false;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(kill->rule->env));
    if (store_env_get(r, name, &env) == HOIST_OK) {
        uint64_t at = env.head;
        for (int i = 0; i < PAST_MAX && at > 0 && !known; i++, at--) {
            struct slice bytes;
            struct change c;
            if (store_touched(r, env.id, kill->rule->flag, at, &at) != HOIST_OK ||
                store_log_get(r, env.id, at, &bytes) != HOIST_OK ||
                change_decode(bytes, &c) != HOIST_OK)
                break;
            known = memcmp(c.head.request, kill->request, REQUEST_ID_SIZE) == 0;
        }
    }
    store_read_end(r);
    return known;
}

static enum hoist_err put_body(const struct alert_kill *kill, struct arena *own, struct slice *ret)
{
    struct buf text = BUF_INIT(64 << 10);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_slice(&w, kill->rule->env);
    json_key(&w, "keys");
    json_array_begin(&w);
    json_put_slice(&w, kill->rule->flag);
    json_array_end(&w);
    json_key(&w, "message");
    json_put_slice(&w, kill->message);
    json_object_end(&w);
    enum hoist_err err = buf_err(&text);
    if (!err) {
        *ret = buf_slice(&text);
        err = arena_own(own, ret);
    }
    buf_done(&text);
    return err;
}

/* One kill into the queue; on_done() is called for it, come what may. */
static void ask(struct primary *p, const struct alert_kill *kill, struct waiting *w)
{
    struct job *j = mem_zalloc(1, sizeof *j);
    if (!j) {
        on_done(w, NULL);
        return;
    }
    j->done = on_done;
    j->done_arg = w;
    j->trigger = TRIGGER_ALERT;
    j->answer = ANSWER_INIT;
    j->asked_ns = clock_mono_ns();
    j->frame = (struct frame_command){.name = SLICE("kill"), .author = SLICE("alertmanager")};
    memcpy(j->frame.request, kill->request, REQUEST_ID_SIZE);
    snprintf(j->peer, sizeof j->peer, "uid:%ju", (uintmax_t)geteuid());
    if (atomic_load(&p->stopping) || put_body(kill, &j->own, &j->frame.body) != HOIST_OK ||
        !queue_push(&p->changes, &j->item, j->frame.body.len))
        job_drop(j);
}

/* ------------------------------------------------------------------ one message */

static unsigned await(struct waiting *w, struct buf *out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (w->left > 0 && rc == 0)
        rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
    unsigned status = w->left > 0 || w->again ? STATUS_AGAIN : STATUS_OK;
    buf_printf(out, "{\"killed\":%" PRIu32 ",\"unchanged\":%" PRIu32 ",\"failed\":%" PRIu32 "}\n",
               w->killed, w->unchanged, w->failed + w->left);
    let_go(w);
    return status;
}

/* The clocks of two machines may differ. */
void webhook_detected(struct primary *p, int64_t began_ms)
{
    int64_t ms = clock_wall_ms() - began_ms;
    if (began_ms)
        metric_observe(p->detect, ms > 0 ? (double)ms / 1000 : 0);
}

static void kill_all(struct primary *p, const struct alerts_said *said, struct waiting *w)
{
    for (uint32_t i = 0; i < said->count; i++) {
        const struct alert_kill *kill = &said->kills[i];
        if (is_known(p, kill)) {
            struct answer before = {.exit = EXIT_DONE};
            on_done(w, &before);
            continue;
        }
        log_warn("primary: %.*s is killed in %.*s by %.*s", SLICE_ARG(kill->rule->flag),
                 SLICE_ARG(kill->rule->env), SLICE_ARG(kill->message));
        webhook_detected(p, kill->began_ms);
        ask(p, kill, w);
    }
}

static unsigned take_back(struct primary *p, const struct alerts_said *said, struct buf *out)
{
    struct waiting *w = waiting_new(said->count);
    const struct releasing_waiter aborts = {on_abort_begins, on_aborted, w};
    if (!w)
        return STATUS_AGAIN;
    kill_all(p, said, w);
    for (uint32_t i = 0; i < said->name_count; i++)
        releasing_alert(p, &said->names[i], &aborts);
    return await(w, out);
}

static void tell_rest(struct primary *p, const struct alerts_said *said)
{
    /* HoistAlertsTruncated calls somebody. */
    metric_add(p->truncated, (double)said->truncated + said->left_out);
    if (said->resolved)
        log_info("primary: %" PRIu32 " alerts are resolved; what they killed stays off until "
                 "somebody restores it",
                 said->resolved);
    if (said->truncated)
        log_error("primary: Alertmanager left %" PRIu64 " alerts out of a message: what they would "
                  "kill or abort goes on; set max_alerts to 0",
                  said->truncated);
    if (said->left_out)
        log_error("primary: a message of Alertmanager has more than %d flags to kill, or names of "
                  "alerts: left %" PRIu32 " alerts out, and what they would kill or abort goes on; "
                  "group_by: ['...'] makes a message of each alert",
                  ALERTS_KILLS_MAX, said->left_out);
}

/* Of how many alerts nobody knows; it counts as one. */
static unsigned refuse_too_long(struct primary *p, struct buf *out)
{
    metric_inc(p->truncated);
    log_error(
        "primary: a message of Alertmanager is longer than %d bytes: left all its alerts out, and "
        "what they would kill or abort goes on; group_by: ['...'] makes a message of each",
        ALERTS_BODY_MAX);
    query_fail(out, err_set(HOIST_ELIMIT, "a message of %d bytes is the most", ALERTS_BODY_MAX),
               "group_by: ['...'] makes a message of each alert");
    return STATUS_TOO_LONG;
}

static unsigned take_message(struct primary *p, struct slice body, struct buf *out)
{
    struct arena arena = {0};
    struct alerts_said said;
    unsigned status;
    enum hoist_err err = alerts_read(&p->alert_rules, body, &arena, &said);
    if (err) {
        status = err == HOIST_ENOMEM ? STATUS_AGAIN : STATUS_BAD;
        log_warn("primary: a message of Alertmanager was not understood: %s", err_last());
        query_fail(out, err, NULL);
    } else {
        tell_rest(p, &said);
        status = take_back(p, &said, out);
    }
    arena_done(&arena);
    return status;
}

unsigned primary_alerts(struct primary *p, struct slice body, bool too_long, struct buf *out)
{
    unsigned status = too_long ? refuse_too_long(p, out) : take_message(p, body, out);
    metric_inc(p->webhooks[status == STATUS_OK      ? WEBHOOK_OK
                           : status == STATUS_AGAIN ? WEBHOOK_FAILED
                                                    : WEBHOOK_REFUSED]);
    return status;
}
