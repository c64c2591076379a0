/* key: the keys of persons (identity.c), and those that sign changes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sign.h"
#include "base/text.h"
#include "flagctl.h"

/* ------------------------------------------------------------------ list */

static void show_keys(const struct call *c, const json_t *answer)
{
    size_t i;
    json_t *k;
    printf("%s%s%s  signs\n", look(c, LOOK_KEY), text_of(answer, "signs"), look(c, LOOK_PLAIN));
    json_array_foreach(json_object_get(answer, "keys"), i, k)
    {
        bool trusted = strcmp(text_of(k, "state"), "trusted") == 0;
        printf("%s%s%s  %s%s%s\n", look(c, LOOK_KEY), text_of(k, "key"), look(c, LOOK_PLAIN),
               look(c, trusted ? LOOK_GOOD : LOOK_BAD), text_of(k, "state"), look(c, LOOK_PLAIN));
    }
    json_array_foreach(json_object_get(answer, "certificates"), i, k)
    {
        printf("%s  %s %.16s… by %.16s…\n", text_of(k, "time"), text_of(k, "kind"),
               text_of(k, "key"), text_of(k, "by"));
    }
}

/* A trust file. What stands in one is trusted by itself, so it has the key that signs alone: one that
 * this one leads to would outlive a revocation that is to take it along. */
static void show_trust(const json_t *answer)
{
    printf("hoist-trust-1 %s\n", text_of(answer, "signs"));
}

static int list(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, true))
        return EXIT_INPUT;
    ask(c, "keys", json_object(), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else if (options_on(c->options, "raw"))
            show_trust(r.body);
        else
            show_keys(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ rotate and revoke */

static int say(struct call *c, const char *command, const char *text)
{
    uint8_t key[SIGN_PUBLIC_SIZE];
    char hex[2 * SIGN_PUBLIC_SIZE + 1];
    struct reply r;
    if (public_key_read(text, key) != HOIST_OK)
        return show_failure(c, EXIT_INPUT, "input", "64 hex digits, or a trust file with one key",
                            "'%s' is no public key: %s", text, err_last());
    if (!source_choose(c, true))
        return EXIT_INPUT;
    text_hex(hex, slice_of(key, sizeof key));
    tell(c, command, json_pack("{ss}", "key", hex), &r);
    int exit = change_done(c, &r);
    reply_done(&r);
    return exit;
}

int run_key(struct call *c)
{
    const char *what = c->words[0];
    if (strcmp(what, "new") == 0 || strcmp(what, "show") == 0)
        return identity_key(c);
    if (strcmp(what, "list") == 0 && c->word_count == 1)
        return list(c);
    if (strcmp(what, "rotate") == 0 && c->word_count == 2)
        return say(c, "key_rotate", c->words[1]);
    if (strcmp(what, "revoke") == 0 && c->word_count == 2)
        return say(c, "key_revoke", c->words[1]);
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl key %s", c->sub->usage);
}
