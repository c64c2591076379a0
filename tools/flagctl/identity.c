/* key: who signs what flagctl asks for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "flagctl.h"

enum { PATH_SIZE = 4096 };

/* The file that is named, else the user's own. False: there is no such place. */
static bool place(const struct call *c, const char *named, char out[PATH_SIZE])
{
    const char *home = getenv("HOME");
    if (!named)
        named = options_get(c->options, "identity");
    if (named)
        snprintf(out, PATH_SIZE, "%s", named);
    else if (home && *home)
        snprintf(out, PATH_SIZE, "%s/.config/hoist/key", home);
    else
        return false;
    return true;
}

enum hoist_err identity_load(struct call *c)
{
    char path[PATH_SIZE];
    bool named = options_get(c->options, "identity") != NULL;
    if (c->signs || !place(c, NULL, path))
        return HOIST_OK;
    enum hoist_err err = sign_key_open(path, false, NULL, &c->signer.key);
    if (err == HOIST_ENOTFOUND && !named)
        return HOIST_OK;
    c->signs = err == HOIST_OK;
    return err == HOIST_OK ? err : err_prefix(HOIST_EINVAL, "--identity");
}

static void show_public(const struct call *c, const struct sign_key *key, const char *path)
{
    char hex[2 * SIGN_PUBLIC_SIZE + 1];
    text_hex(hex, slice_of(key->public, sizeof key->public));
    if (c->json)
        printf("{\"key\":\"%s\"}\n", hex);
    else
        puts(hex);
    if (c->terminal)
        fprintf(stderr, "the public half of %s, for flagctl access grant NAME ROLE --key\n", path);
}

/* The folders above the user's own key, its owner's alone. */
static void make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700); /* one that cannot be made shows when the key is written */
        *at = '/';
    }
}

int identity_key(struct call *c)
{
    char path[PATH_SIZE];
    struct sign_key key;
    bool makes = strcmp(c->words[0], "new") == 0;
    if (!place(c, c->word_count == 2 ? c->words[1] : NULL, path))
        return show_failure(c, EXIT_INPUT, "input", "flagctl key new FILE", "$HOME is not set");
    if (makes && c->word_count == 1)
        make_folders(path);
    enum hoist_err err = makes ? sign_key_make(path, &key) : sign_key_open(path, false, NULL, &key);
    if (err != HOIST_OK)
        return show_failure(c, EXIT_NO, "failed",
                            makes ? "a key is never overwritten: name another FILE"
                                  : "flagctl key new",
                            "%s", err_last());
    show_public(c, &key, path);
    return EXIT_DONE;
}
