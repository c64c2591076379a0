/* A frame: a title, panels one below the other, and what the keys do. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/columns.h"
#include "primary/query_top.h"
#include "top.h"

enum { GAP = 2, LINE = 1024, ANY_WIDTH = 100000 };

/* ------------------------------------------------------------------ a line */

struct canvas {
    const struct call *call;
    struct buf *out;
    size_t width, column; /* of the line */
    size_t blanks;        /* to come before the next text */
    size_t lines, height;
    bool plain;
};

static const char *style(const struct canvas *c, enum look l)
{
    return c->plain ? "" : look(c->call, l);
}

static void put(struct canvas *c, enum look l, const char *text)
{
    size_t at = c->column + c->blanks;
    if (!*text || at >= c->width)
        return;
    buf_printf(c->out, "%*s%s", (int)c->blanks, "", l != LOOK_PLAIN ? style(c, l) : "");
    c->column = at + columns_add(c->out, slice_str(text), c->width - at);
    c->blanks = 0;
    if (l != LOOK_PLAIN)
        buf_add_str(c->out, style(c, LOOK_PLAIN));
}

/* The next text begins at column `at`. */
static void move_to(struct canvas *c, size_t at)
{
    c->blanks = at > c->column ? at - c->column : 0;
}

/* What stood behind it goes: but not of a full line, where the cursor is still on the last letter. Behind
 * the last line the cursor stays. */
static void end_line(struct canvas *c)
{
    if (!c->plain && c->column < c->width)
        buf_add_str(c->out, "\x1b[K");
    c->lines++;
    c->column = c->blanks = 0;
    if (c->plain)
        buf_add_byte(c->out, '\n');
    else if (c->lines < c->height)
        buf_add_str(c->out, "\r\n");
}

static bool is_full(const struct canvas *c)
{
    return !c->plain && c->lines >= c->height;
}

static void whole_line(struct canvas *c, enum look l, const char *text)
{
    if (is_full(c))
        return;
    put(c, l, text);
    end_line(c);
}

/* ------------------------------------------------------------------ a panel */

struct share { /* of the frame that a panel gets */
    size_t count, rows, first;
    bool shown;
};

static size_t titles_of(const struct top_panel *p)
{
    size_t n = 0;
    while (p->titles[n])
        n++;
    return n;
}

static size_t width_of(const char *text)
{
    struct buf unused = BUF_INIT(LINE);
    size_t width = columns_add(&unused, slice_str(text), ANY_WIDTH);
    buf_done(&unused);
    return width;
}

/* As wide as what stands in it; a column of nothing but its title has none. */
static void measure(const struct top_view *v, const struct top_panel *p, const struct share *s,
                    size_t widths[TOP_CELLS])
{
    size_t columns = titles_of(p);
    for (size_t i = s->first; i < s->first + s->rows; i++) {
        struct top_row row = {0};
        p->fill(v, i, &row);
        for (size_t k = 0; k < columns; k++) {
            size_t width = width_of(row.cells[k]);
            if (width > widths[k])
                widths[k] = width;
        }
    }
    for (size_t k = 0; k < columns; k++)
        if (widths[k] && widths[k] < strlen(p->titles[k]))
            widths[k] = strlen(p->titles[k]);
    /* A long name must not push everything else out. */
    if (!v->plain && widths[0] > v->columns / 2)
        widths[0] = v->columns / 2;
}

static void put_cells(struct canvas *c, const struct top_panel *p, const struct top_row *row,
                      const size_t widths[TOP_CELLS])
{
    size_t at = 0, line = c->width;
    for (size_t k = 0; p->titles[k]; k++) {
        if (widths[k] == 0)
            continue;
        bool last = p->titles[k + 1] == NULL;
        move_to(c, at);
        if (!last && at + widths[k] < line)
            c->width = at + widths[k];
        put(c, row ? row->looks[k] : LOOK_FAINT, row ? row->cells[k] : p->titles[k]);
        c->width = line;
        at += widths[k] + GAP;
    }
    end_line(c);
}

static void put_panel(struct canvas *c, const struct top_view *v, const struct top_panel *p,
                      const struct share *s)
{
    size_t widths[TOP_CELLS] = {0};
    if (s->count == 0) {
        char text[TOP_CELL] = "none";
        p->nothing(v, text);
        put(c, LOOK_FAINT, p->titles[0]);
        move_to(c, strlen(p->titles[0]) + GAP);
        whole_line(c, LOOK_PLAIN, text);
        return;
    }
    measure(v, p, s, widths);
    put_cells(c, p, NULL, widths);
    for (size_t i = s->first; i < s->first + s->rows && !is_full(c); i++) {
        struct top_row row = {0};
        p->fill(v, i, &row);
        put_cells(c, p, &row, widths);
    }
}

/* ------------------------------------------------------------------ how the lines are shared out */

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t wants(const struct top_panel *p, const struct share *s)
{
    return least_of(s->count, p->most) - s->rows;
}

/* Up to `most` rows more, and first of all the line of titles, which has none below it where there is
 * nothing to show. */
static void give(const struct top_panel *p, struct share *s, size_t most, size_t *left)
{
    size_t titles = !s->shown, rows = least_of(most, wants(p, s));
    if (rows + titles == 0 || *left < titles + (s->count > 0))
        return;
    rows = least_of(rows, *left - titles);
    s->shown = true;
    s->rows += rows;
    *left -= rows + titles;
}

/* First a few rows for each, from above; of what is left half for hosts, then the others as many as they
 * have, and what then is left for hosts again. */
static void share_out(const struct top_view *v, size_t left, struct share shares[TOP_PANELS])
{
    for (size_t i = 0; i < TOP_PANELS; i++) {
        shares[i] = (struct share){.count = top_panels[i].count(v)};
        give(&top_panels[i], &shares[i], top_panels[i].least, &left);
    }
    give(&top_panels[PANEL_HOSTS], &shares[PANEL_HOSTS], left / 2, &left);
    for (size_t i = 0; i < TOP_PANELS; i++)
        if (i != PANEL_HOSTS)
            give(&top_panels[i], &shares[i], SIZE_MAX, &left);
    give(&top_panels[PANEL_HOSTS], &shares[PANEL_HOSTS], SIZE_MAX, &left);
}

/* ------------------------------------------------------------------ title and keys */

static void put_title(struct canvas *c, const struct top_view *v)
{
    char text[LINE];
    const json_t *fleet = v->news->fleet;
    snprintf(text, sizeof text, "%s%s", fleet ? text_of(fleet, "env") : "hoist",
             v->paused ? " (paused)" : "");
    put(c, LOOK_KEY, text);
    if (fleet) {
        snprintf(text, sizeof text, "v%" PRIu64, number_of(fleet, "head"));
        move_to(c, c->column + GAP);
        put(c, LOOK_KEY, text);
        snprintf(text, sizeof text, "%.19sZ", text_of(fleet, "time"));
        move_to(c, c->column + GAP);
        put(c, LOOK_FAINT, text);
    }
    move_to(c, c->column + GAP);
    put(c, LOOK_PLAIN, v->call->source.where);
    end_line(c);
}

/* What is on the screen then is old. */
static void put_trouble(struct canvas *c, const struct top_view *v)
{
    char text[LINE];
    const struct top_news *n = v->news;
    const char *why = text_of(json_object_get(n->error.body, "error"), "message");
    if (n->rounds == 0) {
        whole_line(c, LOOK_FAINT, "asking …");
        return;
    }
    if (!n->error.body)
        return;
    if (n->fleet)
        snprintf(text, sizeof text, "no answer for %" PRId64 " s, trying on: %s",
                 (v->now_ms - n->fleet_ms) / 1000, why);
    else
        snprintf(text, sizeof text, "no answer yet, trying on: %s", why);
    whole_line(c, LOOK_BAD, text);
}

static void put_keys(struct canvas *c, const struct top_view *v)
{
    char text[LINE];
    if (v->hosts_shown) {
        snprintf(text, sizeof text, "hosts %" PRIu64 "-%" PRIu64 " of %" PRIu64, v->scroll + 1,
                 v->scroll + v->hosts_shown, number_of(v->news->fleet, "hosts_count"));
        put(c, LOOK_PLAIN, text);
        move_to(c, c->column + GAP);
    }
    snprintf(text, sizeof text, "q quit  e environment  s by %s  p %s  ? help",
             top_sort_name(v->wish.sort), v->paused ? "go on" : "pause");
    whole_line(c, LOOK_FAINT, text);
}

static void put_help(struct canvas *c)
{
    static const char *const lines[] = {
        "",
        "q              quit",
        "e              the next environment",
        "s              hosts by lag, by silence (not heard of for longest), by name",
        "up, down       the host list; page up, page down, home, end",
        "p              pause: nothing is asked, until p again; e, s and arrows ask once",
        "?              back to the fleet",
        "",
        "LAG            versions that the host has not, and since when; of an",
        "               environment the worst of the hosts that are not silent",
        "SILENT         not heard of for 10 seconds",
        "REFUSING       who cannot take a change, or read a flag in it",
        "PER S          evaluations in the last 9 seconds; YIELDS is of 30 days",
        "CHANGES/S      in the last 10 seconds, and in the last minute",
        "KILLED         flags that yield one variant for everybody until restored",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        whole_line(c, LOOK_PLAIN, lines[i]);
}

/* ------------------------------------------------------------------ the frame */

/* Which rows of each panel: the environments around the one that is looked at, hosts from where the
 * list was scrolled to. The answer may still be about hosts further up or down. */
static void choose_rows(struct top_view *v, struct share shares[TOP_PANELS])
{
    struct share *envs = &shares[PANEL_ENVS], *hosts = &shares[PANEL_HOSTS];
    uint64_t all = number_of(v->news->fleet, "hosts_count"), most = TOP_SKIP_MAX + hosts->rows;
    uint64_t skip = number_of(v->news->fleet, "skip");
    size_t row = top_env_row(v);
    envs->first = row >= envs->rows ? row + 1 - envs->rows : 0;
    if (all > most)
        all = most; /* no answer has more */
    if (v->scroll + hosts->rows > all)
        v->scroll = all > hosts->rows ? all - hosts->rows : 0;
    hosts->first = v->scroll > skip ? (size_t)(v->scroll - skip) : 0;
    if (hosts->first + hosts->rows > hosts->count)
        hosts->first = hosts->count - hosts->rows;
    v->hosts_shown = hosts->rows;
}

static void put_panels(struct canvas *c, struct top_view *v)
{
    struct share shares[TOP_PANELS];
    size_t used = c->lines + 1; /* and the keys */
    size_t left = v->plain ? SIZE_MAX / 2 : v->rows > used ? v->rows - used : 0;
    share_out(v, left, shares);
    choose_rows(v, shares);
    for (size_t i = 0; i < TOP_PANELS && !is_full(c); i++)
        if (shares[i].shown)
            put_panel(c, v, &top_panels[i], &shares[i]);
}

void top_view_draw(struct top_view *v, struct buf *out)
{
    struct canvas c = {.call = v->call,
                       .out = out,
                       .width = v->plain ? ANY_WIDTH : v->columns,
                       .height = v->rows,
                       .plain = v->plain};
    v->hosts_shown = 0;
    if (!v->plain)
        buf_add_str(out, "\x1b[H");
    put_title(&c, v);
    put_trouble(&c, v);
    if (v->help)
        put_help(&c);
    else if (v->news->fleet)
        put_panels(&c, v);
    if (v->plain)
        return;
    while (c.lines + 1 < c.height)
        end_line(&c);
    if (!is_full(&c))
        put_keys(&c, v);
}
