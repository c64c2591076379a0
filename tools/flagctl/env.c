/* env: environments, listed, made, compared, and what is said about them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "flagctl.h"

static void show_env(const struct call *c, const json_t *e)
{
    printf("%s%s%s  v%" PRIu64 "  epoch %s, %" PRIu64 " flags%s\n", look(c, LOOK_KEY),
           text_of(e, "env"), look(c, LOOK_PLAIN), number_of(e, "version"), text_of(e, "epoch"),
           number_of(e, "flags"),
           json_is_true(json_object_get(e, "protected")) ? ", protected" : "");
}

static int env_list(struct call *c)
{
    struct reply r;
    int exit;
    size_t i;
    json_t *e;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    ask(c, "envs", json_object(), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            json_array_foreach(json_object_get(r.body, "environments"), i, e)
            {
                show_env(c, e);
            }
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

static void show_about(const struct call *c, const json_t *e)
{
    const char *name;
    json_t *v;
    char age[64];
    show_age(age, text_of(e, "time"));
    show_env(c, e);
    printf("  changed %s; %" PRIu64 " bytes; the log begins at v%" PRIu64 "; digest %.16s…\n", age,
           number_of(e, "bytes"), number_of(e, "first"), text_of(e, "digest"));
    json_object_foreach(json_object_get(e, "metadata"), name, v)
    {
        char *text = value_text(v, false);
        printf("  %s: %s\n", name, text ? text : "");
        mem_free(text);
    }
}

static int env_show(struct call *c, const char *env)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    ask(c, "env_show", json_pack("{ss}", "env", env), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            show_about(c, r.body);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* "NAME=VALUE" into metadata; "NAME=" takes NAME away. */
static bool add_metadata(struct call *c, json_t *metadata, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        (void)show_failure(c, EXIT_INPUT, "input",
                           "--metadata NAME=VALUE, or NAME= to take it away", "'%s' is no metadata",
                           text);
        return false;
    }
    char *name = mem_dup(slice_of(text, (size_t)(equals - text)));
    if (name)
        json_object_set_new(metadata, name, equals[1] ? json_string(equals + 1) : json_null());
    mem_free(name);
    return name != NULL;
}

/* What is to be said about `env`. NULL: nothing that could be, and that was shown. */
static json_t *settings(struct call *c, const char *env)
{
    const char *guard = options_get(c->options, "protected");
    const char *const *items;
    size_t count = options_list(c->options, "metadata", &items);
    bool on = guard && strcmp(guard, "on") == 0, ok = true;
    if ((guard && !on && strcmp(guard, "off") != 0) || (!guard && count == 0)) {
        (void)show_failure(
            c, EXIT_INPUT, "input", NULL,
            "say what to set: --protected on, --protected off, --metadata NAME=VALUE");
        return NULL;
    }
    json_t *args = json_pack("{ss}", "env", env), *metadata = json_object();
    for (size_t i = 0; i < count && ok; i++)
        ok = add_metadata(c, metadata, items[i]);
    if (guard)
        json_object_set_new(args, "protected", json_boolean(on));
    if (count)
        json_object_set(args, "metadata", metadata);
    json_decref(metadata);
    if (ok)
        return args;
    json_decref(args);
    return NULL;
}

/* What `env` would have to become the other: exit 0 nothing, 1 something. */
static int env_diff(struct call *c, const char *env, const char *other)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    ask(c, "env_diff", json_pack("{ss ss}", "env", env, "other", other), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = show_difference(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

static int env_change(struct call *c, const char *command, json_t *args)
{
    struct reply r;
    if (!source_choose(c, true)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    tell(c, command, args, &r);
    int exit = show_change(c, &r);
    reply_done(&r);
    return exit;
}

/* What only `env set` takes. */
static bool says_settings(const struct call *c)
{
    return options_on(c->options, "protected") || options_on(c->options, "metadata");
}

int run_env(struct call *c)
{
    const char *what = c->words[0];
    bool new = options_on(c->options, "new");
    if (strcmp(what, "set") != 0 && says_settings(c))
        return show_failure(
            c, EXIT_INPUT, "input",
            "say it once the environment is there: flagctl env set NAME --protected on",
            "'env %s' takes neither --protected nor --metadata", what);
    if (strcmp(what, "list") == 0 && c->word_count == 1 && !new)
        return env_list(c);
    if (strcmp(what, "show") == 0 && c->word_count == 2 && !new)
        return env_show(c, c->words[1]);
    if (strcmp(what, "set") == 0 && c->word_count == 2 && !new) {
        json_t *args = settings(c, c->words[1]);
        return args ? env_change(c, "env_set", args) : EXIT_INPUT;
    }
    if (strcmp(what, "diff") == 0 && c->word_count == 3 && !new)
        return env_diff(c, c->words[1], c->words[2]);
    if (strcmp(what, "create") == 0 && c->word_count == 2 && !new)
        return env_change(c, "env_create", json_pack("{ss}", "env", c->words[1]));
    if (strcmp(what, "epoch") == 0 && c->word_count == 1 && new)
        return env_change(c, "env_epoch", json_pack("{sb}", "new_epoch", 1));
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl env %s", c->sub->usage);
}
