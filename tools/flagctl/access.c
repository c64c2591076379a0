/* access: who may do what, and what was denied. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/grants.h"
#include "base/clock.h"
#include "base/text.h"
#include "flagctl.h"

/* ------------------------------------------------------------------ showing */

static void show_names(const char *before, const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        printf("%s%s", i ? ", " : before, json_string_value(name));
    }
}

static void show_subject(const struct call *c, const json_t *s)
{
    size_t i;
    json_t *role;
    printf("%s%s%s", look(c, LOOK_KEY), text_of(s, "name"), look(c, LOOK_PLAIN));
    if (*text_of(s, "key"))
        printf("  key %s", text_of(s, "key"));
    if (json_object_get(s, "uid"))
        printf("  user %" PRIu64, number_of(s, "uid"));
    if (*text_of(s, "expires"))
        printf("  until %s", text_of(s, "expires"));
    putchar('\n');
    json_array_foreach(json_object_get(s, "roles"), i, role)
    {
        printf("  %s", text_of(role, "role"));
        show_names(" in ", json_object_get(role, "envs"));
        show_names(" of flags ", json_object_get(role, "prefixes"));
        putchar('\n');
    }
}

static void show_subjects(const struct call *c, const json_t *subjects)
{
    size_t i;
    json_t *s;
    json_array_foreach(subjects, i, s)
    {
        show_subject(c, s);
    }
}

static void show_denied(const struct call *c, const json_t *denied)
{
    size_t i;
    json_t *d;
    json_array_foreach(denied, i, d)
    {
        char why[1024];
        snprintf(why, sizeof why, "%s", text_of(d, "why"));
        show_tame(why);
        printf("%s%s%s  %s", look(c, LOOK_FAINT), text_of(d, "time"), look(c, LOOK_PLAIN), why);
        if (number_of(d, "left_out"))
            printf(" (%" PRIu64 " more before it)", number_of(d, "left_out"));
        putchar('\n');
    }
}

/* Ask for `question`, and show `member` of the answer. */
static int show_answer(struct call *c, const char *question, json_t *args, const char *member,
                       void (*show)(const struct call *c, const json_t *value))
{
    struct reply r;
    int exit;
    if (!source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, question, args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            show(c, json_object_get(r.body, member));
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

static int list_denied(struct call *c)
{
    uint64_t limit;
    const char *text = options_get(c->options, "limit");
    if (text_u64(text, &limit) != HOIST_OK || limit == 0)
        return show_failure(c, EXIT_INPUT, "input", NULL, "--limit %s is no number", text);
    return show_answer(c, "access_denied", json_pack("{sI}", "limit", (json_int_t)limit), "denied",
                       show_denied);
}

/* ------------------------------------------------------------------ changing */

/* NULL without memory for it: a scope that were left out would be all there is. */
static json_t *names_of(const struct call *c, const char *option)
{
    const char *const *names;
    const char *origin = options_origin(c->options, option);
    json_t *list = json_array();
    /* An environment that is somebody's usual one is no scope. */
    bool said = origin && strcmp(origin, "argument") == 0;
    size_t count = said ? options_list(c->options, option, &names) : 0;
    for (size_t i = 0; list && i < count; i++)
        if (json_array_append_new(list, json_string(names[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

/* A role, and what it is for; NULL, and it was said, without memory for that. */
static json_t *role_args(const struct call *c, const char *name, const char *role)
{
    json_t *args = json_pack("{ss ss so so}", "name", name, "role", role, "envs",
                             names_of(c, "env"), "prefixes", names_of(c, "prefix"));
    if (!args)
        show_failure(c, EXIT_NO, "failed", NULL, "out of memory: nothing was granted");
    return args;
}

/* Takes over `args`. *ret_done, unless NULL: whether it was done. */
static int make_change(struct call *c, const char *command, json_t *args, bool *ret_done)
{
    struct reply r;
    if (!source_choose(c, true)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    tell(c, command, args, &r);
    if (ret_done)
        *ret_done = r.exit == EXIT_DONE;
    int exit = ret_done && r.exit == EXIT_DONE ? EXIT_DONE : show_change(c, &r);
    reply_done(&r);
    return exit;
}

static int grant(struct call *c, const char *name, const char *role)
{
    const char *key = options_get(c->options, "key"), *uid = options_get(c->options, "uid");
    uint64_t number;
    if (uid && (text_u64(uid, &number) != HOIST_OK || number > UINT32_MAX))
        return show_failure(c, EXIT_INPUT, "input", "id -u NAME prints it",
                            "--uid %s is no user's number", uid);
    json_t *args = role_args(c, name, role);
    if (!args)
        return EXIT_NO;
    if (key)
        json_object_set_new(args, "key", json_string(key));
    if (uid)
        json_object_set_new(args, "uid", json_integer((json_int_t)number));
    return make_change(c, "access_grant", args, NULL);
}

static int revoke(struct call *c, const char *name, const char *role)
{
    json_t *args = json_pack("{ss}", "name", name);
    if (role)
        json_object_set_new(args, "role", json_string(role));
    return make_change(c, "access_revoke", args, NULL);
}

/* ------------------------------------------------------------------ tokens */

/* "hoist_" and 32 random bytes as base64url; the hash of the text in hex. */
static void make_token(char token[ACCESS_TOKEN_LEN + 1], char hex[2 * HASH_SIZE + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[32 + 1] = {0}, hash[HASH_SIZE];
    size_t at = (size_t)snprintf(token, ACCESS_TOKEN_LEN + 1, "hoist_");
    hash_random(bytes, 32);
    for (size_t i = 0; at < ACCESS_TOKEN_LEN; i++, at++) {
        size_t bit = i * 6, byte = bit / 8;
        unsigned pair = (unsigned)bytes[byte] << 8 | bytes[byte + 1];
        token[at] = digits[pair >> (10 - bit % 8) & 63];
    }
    token[at] = '\0';
    hash_blake2b(hash, slice_str(token));
    text_hex(hex, slice_of(hash, sizeof hash));
}

/* The token is printed here and kept nowhere. */
static void show_token(const struct call *c, const char *name, const char *token)
{
    if (c->json)
        printf("{\"name\":\"%s\",\"token\":\"%s\"}\n", name, token);
    else
        puts(token);
    if (c->terminal)
        fprintf(stderr, "this is token '%s'; it is shown once, and only its hash is kept\n", name);
}

static int token_create(struct call *c, const char *name, const char *role)
{
    char token[ACCESS_TOKEN_LEN + 1], hash[2 * HASH_SIZE + 1];
    const char *expires = options_get(c->options, "expires");
    int64_t ms = 0;
    bool done = false;
    if (expires && (read_duration(expires, &ms) != HOIST_OK || ms == 0))
        return show_failure(c, EXIT_INPUT, "input", "as in --expires 90d",
                            "--expires %s is no time", expires);
    make_token(token, hash);
    json_t *args = role_args(c, name, role);
    if (!args)
        return EXIT_NO;
    json_object_set_new(args, "hash", json_string(hash));
    if (expires &&
        json_object_set_new(args, "expires_ms", json_integer(clock_wall_ms() + ms)) != 0) {
        json_decref(args);
        return show_failure(c, EXIT_NO, "failed", NULL, "out of memory");
    }
    int exit = make_change(c, "token_create", args, &done);
    if (done)
        show_token(c, name, token);
    return exit;
}

static int run_token(struct call *c)
{
    const char *what = c->word_count > 1 ? c->words[1] : "";
    if (strcmp(what, "create") == 0 && c->word_count == 4)
        return token_create(c, c->words[2], c->words[3]);
    if (strcmp(what, "list") == 0 && c->word_count == 2)
        return show_answer(c, "access_list", json_object(), "tokens", show_subjects);
    if (strcmp(what, "revoke") == 0 && c->word_count == 3)
        return make_change(c, "token_revoke", json_pack("{ss}", "name", c->words[2]), NULL);
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl access %s", c->sub->usage);
}

int run_access(struct call *c)
{
    const char *what = c->words[0];
    c->env = NULL; /* what is asked and changed here is of all environments */
    if (strcmp(what, "grant") == 0 && c->word_count == 3)
        return grant(c, c->words[1], c->words[2]);
    if (strcmp(what, "revoke") == 0 && (c->word_count == 2 || c->word_count == 3))
        return revoke(c, c->words[1], c->word_count == 3 ? c->words[2] : NULL);
    if (strcmp(what, "list") == 0 && c->word_count == 1)
        return show_answer(c, "access_list", json_object(), "grants", show_subjects);
    if (strcmp(what, "denied") == 0 && c->word_count == 1)
        return list_denied(c);
    if (strcmp(what, "token") == 0)
        return run_token(c);
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl access %s", c->sub->usage);
}
