/* top.h - what the files of `flagctl top` share.
 *
 *   top.c         the command: one frame, or the loop over keys, signals, time and answers
 *   top_ask.c     the questions, in a thread of their own, so that no key waits for an answer
 *   top_alerts.c  what Alertmanager says
 *   top_usage.c   how often flags are evaluated
 *   top_view.c    a frame: panels, and how many lines each of them gets
 *   top_panels.c  what stands in each panel
 *   top_screen.c  the terminal: its size, its keys, and how it is left
 */
#ifndef FLAGCTL_TOP_H
#define FLAGCTL_TOP_H

#include <pthread.h>

#include "flagctl.h"

enum {
    TOP_WHY = 256,
    TOP_CHANGES = 10,
    TOP_KILLED = 10,
    TOP_FLAGS = 10,
    TOP_ONCE_HOSTS = 20,
    TOP_SAMPLES = 4,
};

enum top_sort { TOP_BY_LAG, TOP_BY_SILENCE, TOP_BY_NAME, TOP_SORTS };
const char *top_sort_name(enum top_sort sort);

/* ------------------------------------------------------------------ evaluations */

struct top_usage { /* of one environment; all zero: nothing yet */
    struct top_sample {
        json_t *answer; /* to the question `usage` */
        int64_t ms;     /* when it came, by the monotonic clock */
    } samples[TOP_SAMPLES];
    size_t count;
    int64_t asked_ms;                 /* the last time, */
    char env[STORE_ENV_NAME_MAX + 1]; /* and about which one */
};
/* One sample more, which it takes over; the oldest goes, and of another environment all. */
void top_usage_add(struct top_usage *u, json_t *answer, int64_t now_ms);
/* The TOP_FLAGS most evaluated flags of the newest, each with "per_second" since the oldest (null where
 * that is not known). A new array that shares nothing. */
json_t *top_usage_flags(const struct top_usage *u);
void top_usage_done(struct top_usage *u);

/* ------------------------------------------------------------------ asking */

struct top_wish {                     /* what an answer is to be about */
    char env[STORE_ENV_NAME_MAX + 1]; /* empty: the first one */
    enum top_sort sort;
    uint64_t skip, hosts;
};

struct top_news {             /* all zero: nothing yet */
    json_t *fleet;            /* the primary's last answer, or NULL */
    int64_t fleet_ms;         /* when it came, by the monotonic clock */
    struct reply error;       /* why there was none the last time; without a body: there was */
    bool counted;             /* evaluations were asked for: */
    json_t *flags;            /* as top_usage_flags() gives them; NULL: nothing yet, or … */
    char flags_why[TOP_WHY];  /* … why they are not known */
    json_t *alerts;           /* as top_alerts_get() gives them; NULL: nobody was asked, or … */
    char alerts_why[TOP_WHY]; /* … why they are not known */
    uint64_t rounds;          /* in which everybody was asked */
};
void top_news_done(struct top_news *n);

/* Ask everybody once; for evaluations, for which the primary ranks all flags, every few seconds. */
void top_ask(struct call *c, const struct top_wish *wish, struct top_usage *used,
             struct top_news *ret);

struct top_asker {
    struct call *call;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct top_wish wish;
    bool wished, busy, ending;
    struct top_usage used; /* the thread's */
    struct top_news fresh; /* not taken yet */
    struct top_news shown; /* the taker's */
    int ready;             /* an eventfd: there is something to be taken */
};
MUST_USE enum hoist_err top_asker_begin(struct top_asker *a, struct call *c);
/* Ask for that, at once or when the question under way is answered. */
void top_asker_wish(struct top_asker *a, const struct top_wish *wish);
/* What there is now; borrowed until the next call. */
const struct top_news *top_asker_take(struct top_asker *a);
/* False: a question is under way, and its thread goes on with `a` and the call. */
bool top_asker_end(struct top_asker *a);

/* The alerts that fire, an array of {name, severity, env, since, summary, state}, worst and newest first.
 * NULL: why says what is wrong. */
json_t *top_alerts_get(const char *url, char why[TOP_WHY]);

/* ------------------------------------------------------------------ showing */

struct top_view {
    const struct call *call;
    const struct top_news *news;
    const char *alertmanager; /* or NULL */
    struct top_wish wish;
    int64_t now_ms; /* monotonic */
    bool paused, help;
    bool plain; /* lines of text, and no terminal's */
    size_t rows, columns;
    uint64_t scroll;    /* the host that stands first; made smaller where there are fewer */
    size_t hosts_shown; /* set by top_view_draw() */
};
void top_view_draw(struct top_view *v, struct buf *out);

enum { TOP_CELLS = 12, TOP_CELL = 600 };

struct top_row {
    char cells[TOP_CELLS][TOP_CELL];
    enum look looks[TOP_CELLS];
};

struct top_panel {
    const char *titles[TOP_CELLS + 1];
    size_t least, most; /* rows that it gets before others get more; and at all */
    size_t (*count)(const struct top_view *v);
    void (*fill)(const struct top_view *v, size_t i, struct top_row *row); /* which is all zero */
    /* What stands behind the first title where there are no rows. */
    void (*nothing)(const struct top_view *v, char out[TOP_CELL]);
};
enum {
    PANEL_ENVS,
    PANEL_HOSTS,
    PANEL_FLAGS,
    PANEL_CHANGES,
    PANEL_KILLED,
    PANEL_ALERTS,
    TOP_PANELS,
};
extern const struct top_panel top_panels[TOP_PANELS];

/* The row of environments that the frame is about. */
size_t top_env_row(const struct top_view *v);

/* ------------------------------------------------------------------ the terminal */

enum top_key {
    KEY_NONE,
    KEY_QUIT,
    KEY_ENV,
    KEY_SORT,
    KEY_PAUSE,
    KEY_HELP,
    KEY_UP,
    KEY_DOWN,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_HOME,
    KEY_END,
};

/* Take the terminal, until it is left: on every way out of the program, a crash among them. False: there
 * is none that can be used so. */
bool top_screen_enter(void);
void top_screen_leave(void);
void top_screen_size(size_t *ret_rows, size_t *ret_columns);
/* False, with errno: it is gone, or (EINTR) a signal came in between. */
bool top_screen_write(struct slice bytes);
/* Until a key, a signal, `ready` (a descriptor) or that long; *ret_signal: 0 or the signal. */
enum top_key top_screen_wait(int ready, int64_t ms, int *ret_signal);

#endif
