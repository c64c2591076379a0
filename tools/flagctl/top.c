/* top: the fleet on a terminal, as top(1) has processes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "top.h"

enum {
    ASK_MS = 2000,    /* for one answer, while another question waits behind it */
    REDRAW_MS = 1000, /* at the latest: it says how long there was no answer */
    INTERVAL_LEAST_MS = 100,
};

/* ------------------------------------------------------------------ one frame */

/* The answer of the primary, with the evaluations and the alerts. */
static void print_json(const struct call *c, struct top_news *n)
{
    const char *alertmanager = options_get(c->options, "alertmanager");
    json_object_set_new(n->fleet, "evaluations", n->flags ? json_incref(n->flags) : json_null());
    json_object_set_new(n->fleet, "alertmanager",
                        alertmanager ? json_string(alertmanager) : json_null());
    json_object_set_new(n->fleet, "alerts", n->alerts ? json_incref(n->alerts) : json_null());
    if (*n->alerts_why)
        json_object_set_new(n->fleet, "alerts_error", json_string(n->alerts_why));
    char *text = value_text(n->fleet, false);
    puts(text);
    mem_free(text);
}

static void print_frame(const struct call *c, const struct top_wish *wish, const struct top_news *n)
{
    struct buf out = BUF_INIT(16 << 20);
    struct top_view v = {.call = c,
                         .news = n,
                         .alertmanager = options_get(c->options, "alertmanager"),
                         .wish = *wish,
                         .now_ms = clock_mono_ms(),
                         .plain = true};
    top_view_draw(&v, &out);
    fputs(buf_str(&out), stdout);
    buf_done(&out);
}

static int once(struct call *c, const struct top_wish *wish)
{
    struct top_news n;
    struct top_usage used = {.count = 0};
    int exit = EXIT_DONE;
    top_ask(c, wish, &used, &n);
    if (!n.fleet)
        exit = show_error(c, &n.error);
    else if (c->json)
        print_json(c, &n);
    else
        print_frame(c, wish, &n);
    top_news_done(&n);
    top_usage_done(&used);
    return exit;
}

/* ------------------------------------------------------------------ keys */

struct top {
    struct top_asker asker;
    struct top_view view;
    struct buf frame, shown; /* being made; on the screen */
    int64_t interval_ms, next_ms;
    int exit;
    bool ending;
};

static void ask_now(struct top *t)
{
    struct top_wish *w = &t->view.wish;
    top_screen_size(&t->view.rows, &t->view.columns);
    w->skip = t->view.scroll;
    w->hosts = t->view.rows;
    top_asker_wish(&t->asker, w);
    t->next_ms = clock_mono_ms() + t->interval_ms;
}

static void next_env(struct top *t)
{
    const json_t *envs = json_object_get(t->view.news->fleet, "environments");
    size_t count = json_array_size(envs);
    if (count == 0)
        return;
    const json_t *next = json_array_get(envs, (top_env_row(&t->view) + 1) % count);
    snprintf(t->view.wish.env, sizeof t->view.wish.env, "%s", text_of(next, "env"));
    t->view.scroll = 0;
    ask_now(t);
}

/* Behind the last host there is none: the frame puts that right. */
static void scroll_by(struct top *t, int64_t by)
{
    struct top_view *v = &t->view;
    uint64_t back = by < 0 ? (uint64_t)-by : 0;
    v->scroll = by >= 0 ? v->scroll + (uint64_t)by : v->scroll > back ? v->scroll - back : 0;
    ask_now(t);
}

static void on_key(struct top *t, enum top_key key)
{
    struct top_view *v = &t->view;
    int64_t page = v->hosts_shown > 1 ? (int64_t)v->hosts_shown - 1 : 1;
    int64_t all = (int64_t)number_of(v->news->fleet, "hosts_count");
    switch (key) {
    case KEY_NONE:
        break;
    case KEY_QUIT:
        t->ending = true;
        break;
    case KEY_ENV:
        next_env(t);
        break;
    case KEY_SORT:
        v->wish.sort = (v->wish.sort + 1) % TOP_SORTS;
        v->scroll = 0;
        ask_now(t);
        break;
    case KEY_PAUSE:
        v->paused = !v->paused;
        t->next_ms = clock_mono_ms();
        break;
    case KEY_HELP:
        v->help = !v->help;
        break;
    case KEY_UP:
        scroll_by(t, -1);
        break;
    case KEY_DOWN:
        scroll_by(t, 1);
        break;
    case KEY_PAGE_UP:
        scroll_by(t, -page);
        break;
    case KEY_PAGE_DOWN:
        scroll_by(t, page);
        break;
    case KEY_HOME:
        scroll_by(t, -all);
        break;
    case KEY_END:
        scroll_by(t, all);
        break;
    }
}

/* ------------------------------------------------------------------ signals */

static void end_by(int number)
{
    top_screen_leave();
    signal(number, SIG_DFL);
    raise(number);
}

static void on_signal(struct top *t, int number)
{
    switch (number) {
    case SIGWINCH: /* more hosts may have room */
        ask_now(t);
        buf_clear(&t->shown);
        break;
    case SIGTSTP:
        top_screen_leave();
        raise(SIGSTOP);
        /* fall through */
    case SIGCONT:
        t->ending = !top_screen_enter();
        buf_clear(&t->shown);
        break;
    default:
        end_by(number);
    }
}

/* ------------------------------------------------------------------ the loop */

/* One write, and none where nothing is new. */
static void draw(struct top *t)
{
    struct top_view *v = &t->view;
    v->now_ms = clock_mono_ms();
    top_screen_size(&v->rows, &v->columns);
    buf_clear(&t->frame);
    top_view_draw(v, &t->frame);
    if (buf_err(&t->frame) != HOIST_OK || slice_same(buf_slice(&t->frame), buf_slice(&t->shown)))
        return;
    struct buf before = t->shown;
    t->shown = t->frame;
    t->frame = before;
    if (top_screen_write(buf_slice(&t->shown)))
        return;
    buf_clear(&t->shown); /* after a signal it is drawn again */
    t->ending = errno != EINTR && errno != EAGAIN;
}

/* What it is refused at the start it will be refused again; who does not answer may do so later. */
static bool is_hopeless(const struct top_news *n)
{
    return n->error.body && !n->fleet && n->error.exit != EXIT_NO_ANSWER;
}

static void take_news(struct top *t)
{
    t->view.news = top_asker_take(&t->asker);
    if (!is_hopeless(t->view.news))
        return;
    top_screen_leave();
    t->exit = show_error(t->asker.call, &t->view.news->error);
    t->ending = true;
}

static void step(struct top *t)
{
    int number;
    int64_t left_ms = t->view.paused ? REDRAW_MS : t->next_ms - clock_mono_ms();
    on_key(t, top_screen_wait(t->asker.ready, left_ms < REDRAW_MS ? left_ms : REDRAW_MS, &number));
    if (number)
        on_signal(t, number);
    take_news(t);
    if (!t->view.paused && clock_mono_ms() >= t->next_ms)
        ask_now(t);
}

static int watch(struct call *c, const struct top_wish *wish, int64_t interval_ms)
{
    struct top t = {
        .view = {.call = c, .alertmanager = options_get(c->options, "alertmanager"), .wish = *wish},
        .frame = BUF_INIT(4 << 20),
        .shown = BUF_INIT(4 << 20),
        .interval_ms = interval_ms};
    if (c->timeout_ms > ASK_MS)
        c->timeout_ms = ASK_MS;
    if (top_asker_begin(&t.asker, c) != HOIST_OK)
        return show_failure(c, EXIT_NO, "failed", NULL, "%s", err_last());
    t.view.news = top_asker_take(&t.asker);
    t.ending = !top_screen_enter();
    if (t.ending)
        t.exit = show_failure(c, EXIT_NO, "failed", NULL, "the terminal cannot be used: %m");
    else
        ask_now(&t);
    while (!t.ending) {
        draw(&t);
        step(&t);
    }
    top_screen_leave();
    if (!top_asker_end(&t.asker))
        _exit(t.exit); /* the question under way ends with us: nobody waits for its answer */
    buf_done(&t.frame);
    buf_done(&t.shown);
    return t.exit;
}

/* ------------------------------------------------------------------ the command */

static bool read_interval(const struct call *c, int64_t *ret_ms)
{
    const char *text = options_get(c->options, "interval");
    if (read_duration(text, ret_ms) == HOIST_OK && *ret_ms >= INTERVAL_LEAST_MS)
        return true;
    (void)show_failure(c, EXIT_INPUT, "input", "write 500ms, 1s or 1m, at least 100ms",
                       "--interval: '%s' is no time to wait", text);
    return false;
}

static bool is_screen(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

int run_top(struct call *c)
{
    int64_t interval_ms;
    struct top_wish wish = {.hosts = TOP_ONCE_HOSTS};
    if (!read_interval(c, &interval_ms) || !source_choose(c, true))
        return EXIT_INPUT;
    if (c->json || options_on(c->options, "once") || !is_screen())
        return once(c, &wish);
    snprintf(wish.env, sizeof wish.env, "%s", c->env ? c->env : "");
    return watch(c, &wish, interval_ms);
}
