/* kill, restore, rollback: what is done at the worst moment. */
#include <inttypes.h>
#include <stdio.h>

#include "flagctl.h"

static json_t *all_words(const struct call *c)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < c->word_count; i++)
        json_array_append_new(keys, json_string(c->words[i]));
    return keys;
}

static int override(struct call *c, const char *command, json_t *args)
{
    struct reply r;
    if (!source_choose(c, true)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    tell(c, command, args, &r);
    int exit = change_done(c, &r);
    if (exit == EXIT_DONE && !c->json && *text_of(r.body, "why"))
        printf("not by the fast lane: %s\n", text_of(r.body, "why"));
    reply_done(&r);
    return exit;
}

/* Whoever stops something wants to know that it has stopped: a kill always waits for all. */
int run_kill(struct call *c)
{
    if (!c->wait_percent)
        c->wait_percent = 100;
    const char *variant = options_get(c->options, "variant");
    json_t *args = json_pack("{so}", "keys", all_words(c));
    if (variant)
        json_object_set_new(args, "variant", json_string(variant));
    return override(c, "kill", args);
}

int run_restore(struct call *c)
{
    return override(c, "restore", json_pack("{so}", "keys", all_words(c)));
}

/* ------------------------------------------------------------------ rollback */

static void show_undone(const struct call *c, const json_t *body)
{
    size_t i;
    json_t *u, *key;
    char age[64];
    json_array_foreach(json_object_get(body, "undone"), i, u)
    {
        show_age(age, text_of(u, "time"));
        printf("undoes %sv%" PRIu64 "%s by %s, %s (%s)%s%s\n", look(c, LOOK_KEY),
               number_of(u, "version"), look(c, LOOK_PLAIN), text_of(u, "author"), age,
               text_of(u, "kind"), *text_of(u, "message") ? ": " : "", text_of(u, "message"));
    }
    if (number_of(body, "undone_count") > i)
        printf("and %" PRIu64 " more\n", number_of(body, "undone_count") - i);
    show_edits_of(c, body);
    json_array_foreach(json_object_get(body, "left"), i, key)
    {
        printf("%sleft as it is, since it is overridden:%s %s\n", look(c, LOOK_BAD),
               look(c, LOOK_PLAIN), json_string_value(key));
    }
}

int run_rollback(struct call *c)
{
    static const char *const names[][2] = {{"to", "to"}, {"flag", "key"}};
    struct reply r;
    json_t *args = json_object();
    if (!source_choose(c, true)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = options_get(c->options, names[i][0]);
        if (value)
            json_object_set_new(args, names[i][1], json_string(value));
    }
    if (options_on(c->options, "last"))
        json_object_set_new(args, "last", json_true());
    if (options_on(c->options, "with-overrides"))
        json_object_set_new(args, "with_overrides", json_true());
    tell(c, "rollback", args, &r);
    if (!c->json && r.body && !json_object_get(r.body, "error"))
        show_undone(c, r.body);
    int exit = change_done(c, &r);
    reply_done(&r);
    return exit;
}
