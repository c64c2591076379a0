/* log, history, show, diff: changes as they were. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "flagctl.h"

void show_logged(const struct call *c, const json_t *change)
{
    const char *message = text_of(change, "message");
    printf("%sv%" PRIu64 "%s  %.19s  %s  %s", look(c, LOOK_KEY), number_of(change, "version"),
           look(c, LOOK_PLAIN), text_of(change, "time"), text_of(change, "author"),
           text_of(change, "kind"));
    if (number_of(change, "restores"))
        printf(" to v%" PRIu64, number_of(change, "restores"));
    printf("%s%s\n", *message ? "  " : "", message);
    const json_t *edits = json_object_get(change, "edits");
    show_edits(c, edits);
    uint64_t all = number_of(change, "edits_count");
    bool whole = json_array_size(edits) == 0 || json_array_size(edits) == 1000;
    if (whole && all > json_array_size(edits))
        printf("  … and %" PRIu64 " more\n", all - json_array_size(edits));
}

/* Ask, print the changes of the answer, or the answer as JSON. */
static int show_changes(struct call *c, const char *question, json_t *args)
{
    struct reply r;
    int exit;
    ask(c, question, args, &r);
    if (!show_if_error(c, &r, &exit)) {
        size_t i;
        json_t *change;
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            json_array_foreach(json_object_get(r.body, "changes"), i, change)
            {
                show_logged(c, change);
            }
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ log and history */

bool read_count(struct call *c, const char *option, json_t *args)
{
    uint64_t count;
    if (text_u64(options_get(c->options, option), &count) != HOIST_OK || count > INT64_MAX) {
        (void)show_failure(c, EXIT_INPUT, "input", NULL, "--%s: %s", option, err_last());
        return false;
    }
    json_object_set_new(args, option, json_integer((json_int_t)count));
    return true;
}

/* --since: a version, how long ago, or a time. */
static bool read_since(struct call *c, json_t *args)
{
    const char *since = options_get(c->options, "since");
    uint64_t version;
    int64_t ms;
    if (!since)
        return true;
    if (text_u64(since, &version) == HOIST_OK && version <= INT64_MAX) {
        json_object_set_new(args, "from", json_integer((json_int_t)version));
        return true;
    }
    if (read_moment(since, &ms) != HOIST_OK) {
        (void)show_failure(c, EXIT_INPUT, "input",
                           "write a version (42), how long ago (2h, 7d), or a time "
                           "(2026-01-31T14:02:00Z)",
                           "--since: '%s' is none of these", since);
        return false;
    }
    json_object_set_new(args, "from_ms", json_integer(ms));
    return true;
}

int run_log(struct call *c)
{
    const char *author = options_get(c->options, "author");
    const char *flag = options_get(c->options, "flag");
    json_t *args = json_object();
    if (!read_count(c, "limit", args) || !read_since(c, args) || !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    if (author)
        json_object_set_new(args, "author", json_string(author));
    if (flag)
        json_object_set_new(args, "flag", json_string(flag));
    return show_changes(c, "log", args);
}

int run_history(struct call *c)
{
    json_t *args = json_pack("{ss}", "key", c->words[0]);
    if (!read_count(c, "limit", args) || !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    return show_changes(c, "history", args);
}

/* ------------------------------------------------------------------ show and diff */

bool read_version(struct call *c, const char *text, json_t *args, const char *name)
{
    uint64_t version;
    if (text_u64(*text == 'v' ? text + 1 : text, &version) != HOIST_OK || version > INT64_MAX) {
        (void)show_failure(c, EXIT_INPUT, "input", "flagctl log lists them", "'%s' is no version",
                           text);
        return false;
    }
    json_object_set_new(args, name, json_integer((json_int_t)version));
    return true;
}

int run_show(struct call *c)
{
    struct reply r;
    int exit;
    json_t *args = json_object();
    if (!read_version(c, c->words[0], args, "version") || !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, "show", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            show_logged(c, r.body);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

int show_difference(struct call *c, struct reply *r)
{
    bool same = json_array_size(json_object_get(r->body, "edits")) == 0;
    if (c->json)
        show_json(r);
    else if (same)
        printf("no difference\n");
    else
        show_edits_of(c, r->body);
    return same ? EXIT_DONE : EXIT_NO;
}

int run_diff(struct call *c)
{
    struct reply r;
    int exit;
    if (c->word_count == 1)
        return diff_file(c);
    json_t *args = json_object();
    if (!read_version(c, c->words[0], args, "from") || !read_version(c, c->words[1], args, "to") ||
        !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, "diff", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = show_difference(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}
