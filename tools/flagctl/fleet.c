/* The hosts: fleet, and host retire. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "flagctl.h"

enum { WATCH_MS = 500, CELL = 256 };

/* ------------------------------------------------------------------ the table */

enum column { ID, STATE, VERSION, BEHIND, SEEN, VIA, SOFTWARE, LABELS, COLUMNS };

static const char *const titles[COLUMNS] = {"HOST", "STATE", "VERSION",  "BEHIND",
                                            "SEEN", "VIA",   "SOFTWARE", "LABELS"};

struct row {
    char cells[COLUMNS][CELL];
};

static void put_labels(char out[CELL], const json_t *labels)
{
    size_t len = 0;
    const char *name;
    json_t *value;
    out[0] = '\0';
    json_object_foreach((json_t *)labels, name, value)
    {
        if (len < CELL)
            len += (size_t)snprintf(out + len, CELL - len, "%s%s=%s", len ? " " : "", name,
                                    json_string_value(value));
    }
}

static void fill(struct row *row, const json_t *host)
{
    char span[SHOW_SPAN];
    uint64_t lag = number_of(host, "lag");
    snprintf(row->cells[ID], CELL, "%s", text_of(host, "id"));
    snprintf(row->cells[STATE], CELL, "%s", text_of(host, "state"));
    snprintf(row->cells[VERSION], CELL, "v%" PRIu64, number_of(host, "version"));
    show_span(span, number_of(host, "behind_ms"));
    snprintf(row->cells[BEHIND], CELL, lag ? "%" PRIu64 ", %s" : "-", lag, span);
    show_span(row->cells[SEEN], number_of(host, "last_seen_ms"));
    snprintf(row->cells[VIA], CELL, "%s", text_of(host, "via"));
    snprintf(row->cells[SOFTWARE], CELL, "%s", text_of(host, "software"));
    put_labels(row->cells[LABELS], json_object_get(host, "labels"));
    for (int i = 0; i < COLUMNS; i++)
        show_tame(row->cells[i]);
}

static void print_row(const struct call *c, const struct row *row, const int widths[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++) {
        const char *cell = row->cells[i];
        enum look l = i == ID ? LOOK_KEY : i == STATE ? look_of_state(cell) : LOOK_PLAIN;
        if (widths[i] == 0)
            continue; /* nobody has any */
        printf("%s%s%s%*s", look(c, l), cell, look(c, LOOK_PLAIN),
               i + 1 < COLUMNS ? widths[i] - show_width(cell) + 2 : 0, "");
    }
    putchar('\n');
}

static void print_titles(const struct call *c, const int widths[COLUMNS])
{
    fputs(look(c, LOOK_FAINT), stdout);
    for (int i = 0; i < COLUMNS; i++)
        if (widths[i])
            printf("%-*s", i + 1 < COLUMNS ? widths[i] + 2 : 0, titles[i]);
    printf("%s\n", look(c, LOOK_PLAIN));
}

/* What else there is to say of a host. */
static void print_troubles(const struct call *c, const json_t *host)
{
    size_t i;
    json_t *p;
    if (json_is_true(json_object_get(host, "duplicate")))
        printf("  %stwo hosts have this id%s, and only one of them is counted\n", look(c, LOOK_BAD),
               look(c, LOOK_PLAIN));
    json_array_foreach(json_object_get(host, "refused"), i, p)
    {
        char line[2048];
        snprintf(line, sizeof line, "%s of v%" PRIu64 ": %s",
                 *text_of(p, "key") ? text_of(p, "key") : "the change", number_of(p, "version"),
                 text_of(p, "why"));
        show_tame(line);
        printf("  %srefuses%s %s\n", look(c, LOOK_BAD), look(c, LOOK_PLAIN), line);
    }
}

static void print_hosts(const struct call *c, const json_t *hosts)
{
    int widths[COLUMNS] = {0};
    struct row row;
    size_t i;
    json_t *host;
    json_array_foreach(hosts, i, host)
    {
        fill(&row, host);
        for (int k = 0; k < COLUMNS; k++)
            if (show_width(row.cells[k]) > widths[k])
                widths[k] = show_width(row.cells[k]);
    }
    for (int k = 0; k < COLUMNS; k++)
        if (widths[k] && show_width(titles[k]) > widths[k])
            widths[k] = show_width(titles[k]);
    if (i > 0)
        print_titles(c, widths);
    json_array_foreach(hosts, i, host)
    {
        fill(&row, host);
        print_row(c, &row, widths);
        print_troubles(c, host);
    }
}

static void print_fleet(const struct call *c, const struct reply *r)
{
    static const char *const states[] = {"current", "behind", "silent", "refusing"};
    const json_t *counts = json_object_get(r->body, "counts");
    if (c->json) {
        show_json(r);
        return;
    }
    print_hosts(c, json_object_get(r->body, "hosts"));
    printf("%s%s%s v%" PRIu64, look(c, LOOK_KEY), text_of(r->body, "env"), look(c, LOOK_PLAIN),
           number_of(r->body, "head"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        uint64_t count = number_of(counts, states[i]);
        printf("%s %s%" PRIu64 " %s%s", i ? "," : ":",
               look(c, count ? look_of_state(states[i]) : LOOK_PLAIN), count, states[i],
               look(c, LOOK_PLAIN));
    }
    putchar('\n');
}

/* ------------------------------------------------------------------ watching */

/* What there is to see, without the times, which always change. */
static json_t *sight_of(const json_t *body)
{
    json_t *sight = json_deep_copy(body);
    size_t i;
    json_t *host;
    json_array_foreach(json_object_get(sight, "hosts"), i, host)
    {
        json_object_del(host, "behind_ms");
        json_object_del(host, "last_seen_ms");
    }
    return sight;
}

struct watch {
    struct call *call;
    json_t *seen;
    bool silent; /* nobody answered the last time, and it was said */
};

static void watch_take(struct watch *w, const struct reply *r)
{
    json_t *sight = sight_of(r->body);
    bool redraw = w->call->terminal && !w->call->json;
    w->silent = false;
    if (redraw)
        fputs("\x1b[H\x1b[2J", stdout);
    if (redraw || !w->seen || !json_equal(sight, w->seen))
        print_fleet(w->call, r);
    fflush(stdout);
    json_decref(w->seen);
    w->seen = sight;
}

/* ------------------------------------------------------------------ the subcommands */

/* NULL: a label is not written as one; that was said. */
static json_t *fleet_args(struct call *c)
{
    const char *const *labels;
    size_t count = options_list(c->options, "label", &labels);
    json_t *args = json_object(), *wanted = json_object();
    if (options_on(c->options, "behind"))
        json_object_set_new(args, "behind", json_true());
    json_object_set_new(args, "labels", wanted);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(labels[i], '=');
        char *name = equals ? mem_dup(slice_of(labels[i], (size_t)(equals - labels[i]))) : NULL;
        if (!name) {
            (void)show_failure(c, EXIT_INPUT, "input", "as in --label ring=canary",
                               "--label: '%s' is no label", labels[i]);
            json_decref(args);
            return NULL;
        }
        json_object_set_new(wanted, name, json_string(equals + 1));
        mem_free(name);
    }
    return args;
}

/* Only where it never began does it end by itself. */
static int watch_fleet(struct call *c, json_t *args)
{
    struct watch w = {.call = c};
    int exit = EXIT_DONE;
    while (exit == EXIT_DONE) {
        struct reply r;
        ask(c, "fleet", json_incref(args), &r);
        if (r.body && !json_object_get(r.body, "error")) {
            watch_take(&w, &r);
        } else {
            int shown = w.silent ? (int)r.exit : show_error(c, &r);
            w.silent = true;
            exit = w.seen ? EXIT_DONE : shown;
        }
        reply_done(&r);
        if (exit == EXIT_DONE)
            nanosleep(&(struct timespec){.tv_nsec = WATCH_MS * 1000000L}, NULL);
    }
    return exit;
}

static int show_fleet(struct call *c, json_t *args)
{
    struct reply r;
    int exit;
    ask(c, "fleet", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        print_fleet(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

int run_fleet(struct call *c)
{
    if (!source_choose(c, true))
        return EXIT_INPUT;
    json_t *args = fleet_args(c);
    if (!args)
        return EXIT_INPUT;
    if (!options_on(c->options, "watch"))
        return show_fleet(c, args);
    int exit = watch_fleet(c, args);
    json_decref(args);
    return exit;
}

/* Ask until no more of them are left. */
static int retire_silent(struct call *c, const char *silent)
{
    struct reply r = {0};
    int64_t ms = 0;
    uint64_t hosts = 0;
    int exit;
    if (read_duration(silent, &ms) != HOIST_OK)
        return show_failure(c, EXIT_INPUT, "input", NULL, "--silent: %s", err_last());
    do {
        reply_done(&r);
        tell(c, "host_retire", json_pack("{sI}", "silent_ms", (json_int_t)ms), &r);
        if (show_if_error(c, &r, &exit)) {
            reply_done(&r);
            return exit;
        }
        hosts += number_of(r.body, "hosts");
    } while (json_is_true(json_object_get(r.body, "more")));
    json_object_set_new(r.body, "hosts", json_integer((json_int_t)hosts));
    if (c->json)
        show_json(&r);
    else
        printf("%sretired%s %ju host%s\n", look(c, LOOK_GOOD), look(c, LOOK_PLAIN),
               (uintmax_t)hosts, hosts == 1 ? "" : "s");
    reply_done(&r);
    return EXIT_DONE;
}

int run_host(struct call *c)
{
    struct reply r;
    int exit;
    const char *silent = options_get(c->options, "silent");
    if (strcmp(c->words[0], "retire") != 0 || (c->word_count == 1) != (silent != NULL))
        return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl host %s", c->sub->usage);
    if (!source_choose(c, true))
        return EXIT_INPUT;
    if (silent)
        return retire_silent(c, silent);
    tell(c, "host_retire", json_pack("{ss}", "host", c->words[1]), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            printf("%sretired%s %s\n", look(c, LOOK_GOOD), look(c, LOOK_PLAIN),
                   text_of(r.body, "host"));
    }
    reply_done(&r);
    return exit;
}
