/* drill: the way back, tried before it is needed, with a flag that no program reads. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json.h"
#include "flagctl.h"
#include "http/fetch.h"
#include "primary/drill.h"

#define DRILL_ALERT "HoistDrill"

enum { STEPS_MAX = 8, ALERT_LOOK_MS = 50 };

struct drill {
    struct call *call;
    const char *what;
    json_t *steps; /* "step", "ms", "hosts", "have" */
    int exit;
    bool failed;
};

static void note(struct drill *d, const char *name, const json_t *landing)
{
    double ms = json_number_value(json_object_get(landing, "ms"));
    uint64_t hosts = number_of(landing, "hosts"), have = number_of(landing, "have");
    json_array_append_new(d->steps, json_pack("{ss sf sI sI}", "step", name, "ms", ms, "hosts",
                                              (json_int_t)hosts, "have", (json_int_t)have));
    if (!d->call->json)
        printf("%-10s on %" PRIu64 " of %" PRIu64 " live hosts after %.1f ms\n", name, have, hosts,
               ms);
}

/* Wait for every live host. */
static void land(struct drill *d, const char *name, const json_t *change)
{
    json_t *landing = NULL;
    bool reached = wait_landed(d->call, change, &landing);
    note(d, name, landing);
    if (!reached) {
        d->exit = show_failure(d->call, EXIT_NOT_EVERYWHERE, "not-everywhere",
                               "flagctl fleet --behind shows how they stand",
                               "%s: not every live host has it", name);
        d->failed = true;
    }
    json_decref(landing);
}

/* One change, on every live host. What an earlier step could not do is not gone on with. */
static void step(struct drill *d, const char *name, const char *command, json_t *args)
{
    struct reply r;
    if (d->failed) {
        json_decref(args);
        return;
    }
    json_object_set_new(args, "message", json_string("a drill"));
    tell(d->call, command, args, &r);
    d->failed = show_if_error(d->call, &r, &d->exit);
    if (!d->failed)
        land(d, name, r.body);
    reply_done(&r);
}

static json_t *value(const char *variant)
{
    return json_pack("{ss ss sb sb}", "key", DRILL_FLAG, "value", variant, "everyone", 1, "create",
                     1);
}

static json_t *flag_list(void)
{
    return json_pack("{s[s]}", "keys", DRILL_FLAG);
}

/* Whether the flag yields `variant` now. */
static bool yields(struct drill *d, const char *variant)
{
    struct reply r;
    ask(d->call, "is", json_pack("{ss ss}", "key", DRILL_FLAG, "variant", variant), &r);
    bool yes = r.exit == EXIT_DONE;
    reply_done(&r);
    return yes;
}

static void must_yield(struct drill *d, const char *variant)
{
    if (d->failed || yields(d, variant))
        return;
    d->exit = show_failure(d->call, EXIT_GATE, "drill-failed", "see flagctl log",
                           "flag " DRILL_FLAG " does not yield '%s' now", variant);
    d->failed = true;
}

/* ------------------------------------------------------------------ the drills */

static void drill_kill(struct drill *d)
{
    step(d, "set", "set", value("on"));
    step(d, "kill", "kill", flag_list());
    must_yield(d, "off");
    step(d, "restore", "restore", flag_list());
    must_yield(d, "on");
}

static void drill_rollback(struct drill *d)
{
    step(d, "set", "set", value("on"));
    step(d, "change", "set", value("off"));
    step(d, "rollback", "rollback", json_pack("{ss}", "key", DRILL_FLAG));
    must_yield(d, "on");
}

static void put_label(struct json_writer *w, const char *name, const char *text)
{
    json_key(w, name);
    json_put_str(w, text);
}

/* Alertmanager's POST /api/v2/alerts: the alert fires for `for_s` from now on, or has ended. */
static bool send_alert(struct drill *d, const char *url, int64_t began_ms, int64_t for_ms)
{
    struct buf body = BUF_INIT(4096), at = BUF_INIT(4096), answer = BUF_INIT(64 << 10);
    struct json_writer w = JSON_WRITER(&body, 0);
    long status = 0;
    json_array_begin(&w);
    json_object_begin(&w);
    json_key(&w, "labels");
    json_object_begin(&w);
    put_label(&w, "alertname", DRILL_ALERT);
    put_label(&w, "env", d->call->env ? d->call->env : "");
    put_label(&w, "severity", "critical");
    put_label(&w, "hoist_action", "kill");
    json_object_end(&w);
    json_key(&w, "annotations");
    json_object_begin(&w);
    put_label(&w, "summary", "a drill");
    json_object_end(&w);
    json_key(&w, "startsAt");
    json_put_time(&w, began_ms);
    json_key(&w, "endsAt");
    json_put_time(&w, clock_wall_ms() + for_ms);
    json_object_end(&w);
    json_array_end(&w);
    buf_printf(&at, "%s/api/v2/alerts", url);
    struct fetch f = {
        .url = buf_str(&at), .body = buf_slice(&body), .timeout_ms = d->call->timeout_ms};
    enum hoist_err err = fetch_post(&f, &status, &answer);
    if (err || status / 100 != 2) {
        d->exit = show_failure(d->call, EXIT_NO_ANSWER, "no-answer",
                               "--alertmanager URL, as in http://127.0.0.1:9093",
                               err ? "Alertmanager: %s" : "Alertmanager does not take the alert%s",
                               err ? err_last() : "");
        d->failed = true;
    }
    buf_done(&body);
    buf_done(&at);
    buf_done(&answer);
    return !d->failed;
}

static void wait_for_alert(struct drill *d)
{
    int64_t began_ms = clock_mono_ms(), until_ms = began_ms + d->call->timeout_ms;
    bool killed = false;
    while (!(killed = yields(d, "off")) && clock_mono_ms() < until_ms)
        nanosleep(&(struct timespec){.tv_nsec = ALERT_LOOK_MS * 1000000}, NULL);
    if (killed) {
        double ms = (double)(clock_mono_ms() - began_ms);
        json_array_append_new(d->steps, json_pack("{ss sf}", "step", "alert", "ms", ms));
        if (!d->call->json)
            printf("%-10s killed the flag after %.0f ms\n", "alert", ms);
        return;
    }
    d->exit = show_failure(d->call, EXIT_GATE, "drill-failed",
                           "hoistd primary needs --kill-on-alert ENV:" DRILL_ALERT "=" DRILL_FLAG
                           ", and Alertmanager its webhook: docs/monitoring.md",
                           "the alert did not come back and kill " DRILL_FLAG " in time");
    d->failed = true;
}

static void drill_alert(struct drill *d)
{
    const char *url = options_get(d->call->options, "alertmanager");
    int64_t began_ms = clock_wall_ms();
    if (!url) {
        d->exit = show_failure(d->call, EXIT_INPUT, "input", "--alertmanager http://HOST:9093",
                               "say where Alertmanager is");
        d->failed = true;
        return;
    }
    step(d, "set", "set", value("on"));
    if (!d->failed && send_alert(d, url, began_ms, 5 * 60 * 1000)) {
        wait_for_alert(d);
        (void)send_alert(d, url, began_ms, 0); /* over, whatever came of it */
    }
    step(d, "restore", "restore", flag_list());
}

/* ------------------------------------------------------------------ the verb */

static void show_result(struct drill *d)
{
    json_t *all = json_pack("{ss ss sO}", "drill", d->what, "result",
                            d->failed ? "failed" : "passed", "steps", d->steps);
    char *text = value_text(all, false);
    puts(text);
    mem_free(text);
    json_decref(all);
}

int run_drill(struct call *c)
{
    static const struct {
        const char *name;
        void (*run)(struct drill *d);
    } drills[] = {{"kill", drill_kill}, {"rollback", drill_rollback}, {"alert", drill_alert}};
    size_t i = 0, count = sizeof drills / sizeof *drills;
    while (i < count && strcmp(c->words[0], drills[i].name) != 0)
        i++;
    if (i == count)
        return show_failure(c, EXIT_INPUT, "input", "flagctl drill kill, rollback or alert",
                            "there is no drill '%s'", c->words[0]);
    if (!c->env)
        return show_failure(c, EXIT_INPUT, "input", "--env NAME", "say where it is tried");
    if (!source_choose(c, true))
        return EXIT_INPUT;
    struct drill d = {.call = c, .what = c->words[0], .steps = json_array()};
    drills[i].run(&d);
    if (c->json)
        show_result(&d);
    json_decref(d.steps);
    return d.failed ? d.exit : EXIT_DONE;
}
