/* --wait: after a change, until the hosts that were live at its commit have it.
 *
 * The primary tells how far a version has landed, and by its own clock how long that took; here it
 * is asked again until that is enough or the time is over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "flagctl.h"

enum {
    ASK_FIRST_MS = 2, /* between two questions; then doubling to … */
    ASK_MOST_MS = 50,
    NAMES_SHOWN = 20,
    BAR_WIDTH = 30,
};

enum hoist_err wait_read(struct call *c)
{
    const char *text = options_get(c->options, "wait");
    char digits[4];
    uint64_t percent = 0;
    size_t len = text ? strlen(text) : 0;
    if (!text)
        return HOIST_OK;
    if (!*text || strcmp(text, "all") == 0) {
        percent = 100;
    } else if (len > 1 && len <= sizeof digits && text[len - 1] == '%') {
        snprintf(digits, sizeof digits, "%.*s", (int)len - 1, text);
        if (text_u64(digits, &percent) != HOIST_OK)
            percent = 0;
    }
    if (percent < 1 || percent > 100)
        return err_set(HOIST_EINVAL, "--wait=%s: write --wait, --wait=all or --wait=99%%", text);
    c->wait_percent = (uint32_t)percent;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ waiting */

struct wait {
    struct call *call;
    const json_t *change; /* the primary's answer: env, epoch, version */
    int64_t began_ms, until_ms;
    json_t *landing; /* the last answer of how far it landed; NULL: nobody said */
    bool reached;
};

static bool shows_progress(const struct call *c)
{
    return !c->json && isatty(STDERR_FILENO);
}

static void show_progress(const struct wait *w)
{
    uint64_t hosts = number_of(w->landing, "hosts"), have = number_of(w->landing, "have");
    uint64_t full = hosts ? have * BAR_WIDTH / hosts : BAR_WIDTH;
    if (!shows_progress(w->call))
        return;
    fputs("\r[", stderr);
    for (uint64_t i = 0; i < BAR_WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %" PRIu64 " of %" PRIu64 " hosts\x1b[K", have, hosts);
    fflush(stderr);
}

static void end_progress(const struct wait *w)
{
    if (shows_progress(w->call))
        fputs("\r\x1b[K", stderr);
}

/* A primary that does not answer now may do so again; what it refuses, it will refuse again. */
static bool is_worth_asking_again(const struct reply *r)
{
    const char *code = text_of(json_object_get(r->body, "error"), "code");
    return r->exit == EXIT_NO_ANSWER || strcmp(code, "busy") == 0 || strcmp(code, "no-answer") == 0;
}

/* False: there is no use in asking again. */
static bool ask_once(struct wait *w)
{
    struct reply r;
    int64_t left_ms = w->until_ms - clock_mono_ms(), timeout_ms = w->call->timeout_ms;
    json_t *args =
        json_pack("{sO sO sO si}", "env", json_object_get(w->change, "env"), "epoch",
                  json_object_get(w->change, "epoch"), "version",
                  json_object_get(w->change, "version"), "percent", (int)w->call->wait_percent);
    w->call->timeout_ms = left_ms > ASK_MOST_MS ? left_ms : ASK_MOST_MS;
    ask(w->call, "wait", args, &r);
    w->call->timeout_ms = timeout_ms;
    bool answered = r.exit == EXIT_DONE;
    bool again = !answered && is_worth_asking_again(&r);
    if (answered) {
        json_decref(w->landing);
        w->landing = json_incref(r.body);
        w->reached = json_is_true(json_object_get(r.body, "reached"));
        again = !w->reached;
    } else if (!again) {
        end_progress(w);
        (void)show_error(w->call, &r);
    }
    reply_done(&r);
    return again;
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void wait_for_version(struct wait *w)
{
    int64_t pause = ASK_FIRST_MS;
    while (ask_once(w) && clock_mono_ms() < w->until_ms) {
        show_progress(w);
        pause_ms(pause);
        pause = pause < ASK_MOST_MS / 2 ? 2 * pause : ASK_MOST_MS;
    }
    end_progress(w);
}

/* For each environment's, where the change was one of several. */
static void wait_for_hosts(struct wait *w)
{
    const json_t *change = w->change, *envs = json_object_get(change, "environments");
    size_t i;
    json_t *e;
    w->began_ms = clock_mono_ms();
    w->until_ms = w->began_ms + w->call->timeout_ms;
    if (!envs)
        wait_for_version(w);
    json_array_foreach(envs, i, e)
    {
        w->change = e;
        w->reached = false;
        wait_for_version(w);
        if (!w->reached)
            return;
    }
}

/* ------------------------------------------------------------------ what came of it */

/* "wait" in the answer: as it landed, or how long nobody said so. */
static void put_wait(const struct wait *w, struct reply *r)
{
    static const char *const shown[] = {"ms", "hosts", "have", "missing", "silent"};
    json_t *wait =
        json_pack("{sI si si s[] s[]}", "ms", (json_int_t)(clock_mono_ms() - w->began_ms), "hosts",
                  0, "have", 0, "missing", "silent");
    for (size_t i = 0; w->landing && i < sizeof shown / sizeof *shown; i++)
        json_object_set(wait, shown[i], json_object_get(w->landing, shown[i]));
    reply_put(r, "wait", wait);
}

static bool is_among(const json_t *names, const json_t *name)
{
    size_t i;
    json_t *other;
    json_array_foreach(names, i, other)
    {
        if (json_equal(other, name))
            return true;
    }
    return false;
}

/* The names that are not in `except`, the first of them. */
static void put_names(struct buf *out, const json_t *names, const json_t *except)
{
    size_t i, shown = 0, more = 0;
    json_t *name;
    char text[FRAME_ID_MAX + 1];
    json_array_foreach(names, i, name)
    {
        if (is_among(except, name))
            continue;
        snprintf(text, sizeof text, "%s", json_string_value(name));
        show_tame(text);
        if (shown == NAMES_SHOWN)
            more++;
        else
            buf_printf(out, "%s%s", shown++ ? ", " : "", text);
    }
    if (more)
        buf_printf(out, " and %zu more", more);
}

/* A line of names, where there are any. */
static void show_hosts(const struct call *c, const char *what, const json_t *names,
                       const json_t *except)
{
    struct buf line = BUF_INIT(64 << 10);
    put_names(&line, names, except);
    if (line.len)
        printf("%s%s:%s %s\n", look(c, LOOK_BAD), what, look(c, LOOK_PLAIN), buf_str(&line));
    buf_done(&line);
}

static void show_silent(const struct call *c, const json_t *wait)
{
    show_hosts(c, "silent before, and not waited for", json_object_get(wait, "silent"),
               json_object_get(wait, "missing"));
}

static void show_landed(const struct call *c, const json_t *wait)
{
    uint64_t hosts = number_of(wait, "hosts"), have = number_of(wait, "have");
    double ms = json_number_value(json_object_get(wait, "ms"));
    printf("%son %" PRIu64 " of %" PRIu64 " live hosts%s after %.1f ms\n", look(c, LOOK_GOOD), have,
           hosts, look(c, LOOK_PLAIN), ms);
    show_hosts(c, "not yet", json_object_get(wait, "missing"), NULL);
    show_silent(c, wait);
}

static int not_everywhere(const struct wait *w, const json_t *wait)
{
    const struct call *c = w->call;
    uint64_t hosts = number_of(wait, "hosts"), lack = hosts - number_of(wait, "have");
    double seconds = (double)(clock_mono_ms() - w->began_ms) / 1000;
    if (!w->landing)
        return show_failure(c, EXIT_NOT_EVERYWHERE, "not-everywhere",
                            "flagctl fleet, when it answers",
                            "it is committed; the primary has not said within %.1f s which hosts "
                            "have it",
                            seconds);
    struct buf names = BUF_INIT(64 << 10);
    if (!c->json)
        show_silent(c, wait);
    fflush(stdout);
    put_names(&names, json_object_get(wait, "missing"), NULL);
    int exit = show_failure(
        c, EXIT_NOT_EVERYWHERE, "not-everywhere",
        "flagctl fleet --behind shows how they stand; flagctl host retire ID, when one is gone",
        "it is committed; %" PRIu64 " of %" PRIu64 " live hosts %s not got it within %.1f s: %s",
        lack, hosts, lack == 1 ? "has" : "have", seconds, buf_str(&names));
    buf_done(&names);
    return exit;
}

/* Whether there is a version to wait for: committed now, or before. */
static bool is_waited_for(const struct call *c, const struct reply *r)
{
    return c->wait_percent && r->exit == EXIT_DONE && r->body &&
           strcmp(text_of(r->body, "result"), "dry-run") != 0;
}

bool wait_landed(struct call *c, const json_t *change, json_t **ret)
{
    struct wait w = {.call = c, .change = change};
    c->wait_percent = 100;
    wait_for_hosts(&w);
    *ret = w.landing;
    return w.reached;
}

int change_done(struct call *c, struct reply *r)
{
    struct wait w = {.call = c, .change = r->body};
    if (c->approximated && r->body && !json_object_get(r->body, "error"))
        reply_put(r, "approximated", json_incref(c->approximated));
    if (!is_waited_for(c, r))
        return show_change(c, r);
    wait_for_hosts(&w);
    put_wait(&w, r);
    const json_t *wait = json_object_get(r->body, "wait");
    int exit = show_change(c, r);
    if (!w.reached)
        exit = not_everywhere(&w, wait);
    else if (!c->json)
        show_landed(c, wait);
    json_decref(w.landing);
    return exit;
}
