/* set, delete, get, is, list. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "flagctl.h"

/* ------------------------------------------------------------------ changes */

static void show_names(const struct call *c, const json_t *body, const char *list, const char *word,
                       enum look l)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(body, list), i, name)
    {
        printf("%s%s%s %s\n", look(c, l), word, look(c, LOOK_PLAIN), json_string_value(name));
    }
}

/* What --skip-invalid left out. */
static void show_skipped(const struct call *c, const json_t *body)
{
    size_t i, n;
    json_t *skipped, *problem;
    json_array_foreach(json_object_get(body, "skipped"), i, skipped)
    {
        const char *key = text_of(skipped, "key");
        printf("%sleft out%s %s\n", look(c, LOOK_BAD), look(c, LOOK_PLAIN),
               *key ? key : "a flag without a key");
        json_array_foreach(json_object_get(skipped, "problems"), n, problem)
        {
            show_problem(stdout, problem);
        }
    }
}

/* The rule that a flag has after `set`. */
static void show_rule(const json_t *body)
{
    const json_t *rule = json_object_get(body, "targeting");
    char *text = rule ? value_text(rule, false) : NULL;
    if (text)
        printf("its rule, which decides before the default: %s\n", text);
    mem_free(text);
}

int show_change(struct call *c, const struct reply *r)
{
    int exit;
    if (show_if_error(c, r, &exit))
        return exit;
    if (c->json) {
        show_json(r);
        return (int)r->exit;
    }
    const char *result = text_of(r->body, "result");
    if (json_object_get(r->body, "undone")) {
        /* they were shown, with what they were */
    } else if (json_object_get(r->body, "edits")) {
        show_edits_of(c, r->body);
    } else {
        show_names(c, r->body, "created", "created", LOOK_GOOD);
        show_names(c, r->body, "changed", "changed", LOOK_VALUE);
        show_names(c, r->body, "deleted", "deleted", LOOK_BAD);
    }
    show_rule(r->body);
    show_names(c, r->body, "override_kept", "still overridden:", LOOK_BAD);
    show_names(c, r->body, "override_dropped",
               "no longer overridden, for want of the variant:", LOOK_BAD);
    show_skipped(c, r->body);
    show_names(c, r->body, "percentages_kept", "rollout kept as it was:", LOOK_VALUE);
    if (json_object_get(r->body, "near"))
        printf("there is also %s\n", text_of(r->body, "near"));
    printf("%s: %s v%" PRIu64 "\n", result, text_of(r->body, "env"), number_of(r->body, "version"));
    return (int)r->exit;
}

bool can_ask(const struct call *c, int *ret_exit)
{
    char mend[128];
    if (c->terminal && isatty(STDIN_FILENO))
        return true;
    snprintf(mend, sizeof mend, "%s --yes does it without asking", c->sub->name);
    *ret_exit = show_failure(c, EXIT_INPUT, "input", mend,
                             "'%s' asks before it changes anything, and there is no terminal",
                             c->sub->name);
    return false;
}

/* What a dry run says would change, shown, and asked about. */
static bool is_wanted(struct call *c, const json_t *dry, int *ret_exit)
{
    char question[256];
    show_skipped(c, dry);
    if (json_array_size(json_object_get(dry, "edits")) == 0) {
        printf("unchanged: %s v%" PRIu64 "\n", text_of(dry, "env"), number_of(dry, "version"));
        *ret_exit = EXIT_DONE;
        return false;
    }
    show_edits_of(c, dry);
    snprintf(question, sizeof question, "%zu to create, %zu to change, %zu to delete in %s; do it?",
             json_array_size(json_object_get(dry, "created")),
             json_array_size(json_object_get(dry, "changed")),
             json_array_size(json_object_get(dry, "deleted")), text_of(dry, "env"));
    if (confirm(question))
        return true;
    *ret_exit = show_failure(c, EXIT_NO, "no", NULL, "nothing was changed");
    return false;
}

static int change_now(struct call *c, const char *command, json_t *args)
{
    struct reply r;
    tell(c, command, args, &r);
    int exit = change_done(c, &r);
    reply_done(&r);
    return exit;
}

int change(struct call *c, const char *command, json_t *args, bool yes)
{
    struct reply dry;
    int exit;
    char at[64];
    if (yes)
        return change_now(c, command, args);
    json_t *dry_args = json_deep_copy(args);
    json_object_set_new(dry_args, "dry_run", json_true());
    tell(c, command, dry_args, &dry);
    if (!show_if_error(c, &dry, &exit) && is_wanted(c, dry.body, &exit)) {
        /* Only if the environment is still what was shown. */
        snprintf(at, sizeof at, "%s:%" PRIu64, text_of(dry.body, "epoch"),
                 number_of(dry.body, "version"));
        json_object_set_new(args, "if_version", json_string(at));
        exit = change_now(c, command, json_incref(args));
    }
    reply_done(&dry);
    json_decref(args);
    return exit;
}

/* ------------------------------------------------------------------ set and delete */

static json_t *set_args(const struct call *c)
{
    json_t *args = json_pack("{ss ss}", "key", c->words[0], "value", c->words[1]);
    static const char *const texts[][2] = {{"type", "type"},
                                           {"percent", "percent"},
                                           {"by", "by"},
                                           {"if", "only_if"},
                                           {"also", "also"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = options_get(c->options, texts[i][0]);
        if (value)
            json_object_set_new(args, texts[i][1], json_string(value));
    }
    if (options_on(c->options, "everyone"))
        json_object_set_new(args, "everyone", json_true());
    if (options_on(c->options, "default"))
        json_object_set_new(args, "only_default", json_true());
    if (options_on(c->options, "create"))
        json_object_set_new(args, "create", json_true());
    return args;
}

/* A new key that looks like one that is there may be a slip: ask whoever can be asked. */
static bool is_meant(struct call *c)
{
    struct reply dry;
    char question[1024];
    if (!c->terminal || !isatty(STDIN_FILENO) || options_on(c->options, "create") ||
        options_on(c->options, "dry-run"))
        return true;
    json_t *args = set_args(c);
    json_object_set_new(args, "dry_run", json_true());
    tell(c, "set", args, &dry);
    bool near = dry.exit == EXIT_DONE && json_object_get(dry.body, "near");
    if (near)
        snprintf(question, sizeof question, "there is no flag %s, but there is %s; create it?",
                 c->words[0], text_of(dry.body, "near"));
    reply_done(&dry);
    return !near || confirm(question);
}

int run_set(struct call *c)
{
    struct reply r;
    if (!source_choose(c, true))
        return EXIT_INPUT;
    if (!is_meant(c))
        return show_failure(c, EXIT_NO, "no", "--create says that the new key is meant",
                            "nothing was changed");
    tell(c, "set", set_args(c), &r);
    int exit = change_done(c, &r);
    reply_done(&r);
    return exit;
}

int run_delete(struct call *c)
{
    if (!source_choose(c, true))
        return EXIT_INPUT;
    return change(c, "delete", json_pack("{ss}", "key", c->words[0]), true);
}

/* ------------------------------------------------------------------ promote */

int run_promote(struct call *c)
{
    bool yes = options_on(c->options, "yes") || options_on(c->options, "dry-run");
    int exit = EXIT_INPUT;
    if (!source_choose(c, true) || (!yes && !can_ask(c, &exit)))
        return exit;
    json_t *args = json_pack("{ss ss}", "from", c->words[0], "env", c->words[1]);
    json_t *keys = json_array();
    for (size_t i = 2; i < c->word_count; i++)
        json_array_append_new(keys, json_string(c->words[i]));
    if (json_array_size(keys) > 0)
        json_object_set(args, "keys", keys);
    json_decref(keys);
    if (options_on(c->options, "prune"))
        json_object_set_new(args, "prune", json_true());
    if (options_on(c->options, "with-percentages"))
        json_object_set_new(args, "with_percentages", json_true());
    return change(c, "promote", args, yes);
}

/* ------------------------------------------------------------------ questions */

static void show_value(const struct call *c, const json_t *flag)
{
    if (json_is_null(json_object_get(flag, "variant"))) {
        printf("%s: %sno value%s (%s)", text_of(flag, "key"), look(c, LOOK_BAD),
               look(c, LOOK_PLAIN), text_of(flag, "reason"));
        return;
    }
    char *value = value_text(json_object_get(flag, "value"), false);
    printf("%s%s%s = %s%s%s (%s)", look(c, LOOK_KEY), text_of(flag, "key"), look(c, LOOK_PLAIN),
           look(c, LOOK_VALUE), value ? value : "?", look(c, LOOK_PLAIN), text_of(flag, "variant"));
    mem_free(value);
}

static int show_get(struct call *c, const json_t *flag)
{
    char age[64];
    show_age(age, text_of(flag, "time"));
    show_value(c, flag);
    printf("  %s v%" PRIu64, text_of(flag, "env"), number_of(flag, "version"));
    if (json_is_integer(json_object_get(flag, "touched")))
        printf(", changed v%" PRIu64 " by %s %s", number_of(flag, "touched"),
               text_of(flag, "author"), age);
    putchar('\n');
    if (*text_of(flag, "why"))
        printf("  %s\n", text_of(flag, "why"));
    show_source(c, flag);
    return EXIT_DONE;
}

static int show_raw(struct call *c, const json_t *flag)
{
    if (json_is_null(json_object_get(flag, "variant")))
        return show_failure(c, EXIT_NO, "no-value", NULL, "flag '%s' has no value for all (%s)",
                            text_of(flag, "key"), text_of(flag, "reason"));
    char *value = value_text(json_object_get(flag, "value"), true);
    if (value)
        puts(value);
    mem_free(value);
    return value ? EXIT_DONE : EXIT_NO;
}

int run_get(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    json_t *args = json_pack("{ss}", "key", c->words[0]);
    const char *at = options_get(c->options, "at");
    if (at && !read_version(c, at, args, "at")) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, "get", args, &r);
    if (show_if_error(c, &r, &exit)) {
        reply_done(&r);
        return exit;
    }
    if (options_on(c->options, "raw"))
        exit = show_raw(c, r.body);
    else if (c->json)
        show_json(&r);
    else
        exit = show_get(c, r.body);
    if (c->json && !options_on(c->options, "raw"))
        exit = (int)r.exit;
    reply_done(&r);
    return exit;
}

int run_is(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    json_t *args =
        json_pack("{ss ss*}", "key", c->words[0], "context", options_get(c->options, "context"));
    if (c->word_count > 1)
        json_object_set_new(args, "variant", json_string(c->words[1]));
    ask(c, "is", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else if (c->terminal)
            printf("%s\n", exit == EXIT_DONE ? "yes" : "no");
    }
    reply_done(&r);
    return exit;
}

static void show_listed(const struct call *c, const json_t *flag)
{
    if (json_object_get(flag, "error")) {
        printf("%s: %s\n", text_of(flag, "key"), text_of(flag, "error"));
        return;
    }
    show_value(c, flag);
    if (json_is_true(json_object_get(flag, "targeting")))
        printf("  %stargeting%s", look(c, LOOK_FAINT), look(c, LOOK_PLAIN));
    if (json_is_string(json_object_get(flag, "override")))
        printf("  %soverridden%s", look(c, LOOK_BAD), look(c, LOOK_PLAIN));
    putchar('\n');
}

int run_list(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    json_t *args = json_object();
    if (c->word_count > 0)
        json_object_set_new(args, "prefix", json_string(c->words[0]));
    ask(c, "list", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        size_t i;
        json_t *flag;
        if (c->json)
            show_json(&r);
        else
            json_array_foreach(json_object_get(r.body, "flags"), i, flag)
            {
                show_listed(c, flag);
            }
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}
