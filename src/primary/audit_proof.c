#include "primary/audit_proof.h"

#include <string.h>

#include "access/grants.h"
#include "base/text.h"
#include "flag/json_read.h"
#include "primary/command_int.h"
#include "wire/certificate.h"

enum about {              /* what a command's arguments name: all that its change may touch */
             ABOUT_NONE,  /* no flag */
             ABOUT_KEY,   /* `key`; all flags, where there is none */
             ABOUT_KEYS,  /* `keys`; likewise */
             ABOUT_FILE,  /* the flags of `file`; with `prune` others go */
             ABOUT_GRANT, /* the grant, or the token, called `name` */
             ABOUT_TOKEN,
             ABOUT_SIGNER, /* the signing key `key`, in every environment */
};

struct asks {
    const char *command;
    enum about about;
    enum change_kind kind, or_kind; /* or_kind 0: no other */
};

/* The commands whose changes keep a proof. */
static const struct asks commands[] = {
    {"set", ABOUT_KEY, CHANGE_SET, 0},
    {"target", ABOUT_KEY, CHANGE_SET, 0},
    {"delete", ABOUT_KEY, CHANGE_DELETE, 0},
    {"apply", ABOUT_FILE, CHANGE_APPLY, 0},
    {"kill", ABOUT_KEYS, CHANGE_KILL, 0},
    {"restore", ABOUT_KEYS, CHANGE_RESTORE, 0},
    {"rollback", ABOUT_KEY, CHANGE_ROLLBACK, 0},
    {"promote", ABOUT_KEYS, CHANGE_PROMOTE, 0},
    {"env_create", ABOUT_NONE, CHANGE_CREATE, 0},
    {"env_epoch", ABOUT_NONE, CHANGE_EPOCH, CHANGE_CREATE},
    {"key_rotate", ABOUT_SIGNER, CHANGE_KEY, 0},
    {"key_revoke", ABOUT_SIGNER, CHANGE_KEY, 0},
    {"access_grant", ABOUT_GRANT, CHANGE_SET, 0},
    {"access_revoke", ABOUT_GRANT, CHANGE_SET, CHANGE_DELETE},
    {"token_create", ABOUT_TOKEN, CHANGE_SET, 0},
    {"token_revoke", ABOUT_TOKEN, CHANGE_DELETE, 0},
};

static const struct asks *asks_of(const struct proof *p, uint32_t kind)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (slice_eq(slice_str(commands[i].command), p->said.name) &&
            (commands[i].kind == kind || (commands[i].or_kind && commands[i].or_kind == kind)))
            return &commands[i];
    return NULL;
}

static struct slice text_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

/* ------------------------------------------------------------------ where */

/* Hoist's own environment is changed by what says so; an author who named none left it open. */
static bool is_env(const struct asks *asks, const json_t *body, struct slice env)
{
    const json_t *named = json_object_get(body, "env");
    if (asks->about == ABOUT_SIGNER)
        return true;
    if (asks->about == ABOUT_GRANT || asks->about == ABOUT_TOKEN)
        return slice_eq(env, SLICE(ACCESS_ENV));
    return named ? slice_eq(env, text_of(named)) : !access_env_is_own(env);
}

/* ------------------------------------------------------------------ of which flags */

static bool is_among(const json_t *keys, struct slice key)
{
    size_t i = 0;
    while (i < json_array_size(keys) && !slice_eq(text_of(json_array_get(keys, i)), key))
        i++;
    return i < json_array_size(keys);
}

static bool is_entry(const char *prefix, const json_t *name, struct slice key)
{
    size_t len = strlen(prefix);
    return key.len > len && memcmp(key.ptr, prefix, len) == 0 &&
           slice_eq(text_of(name), slice_of(key.ptr + len, key.len - len));
}

static bool names(const struct asks *asks, const json_t *body, const struct flag_file *file,
                  const struct edit *e)
{
    const json_t *key = json_object_get(body, "key"), *keys = json_object_get(body, "keys"),
                 *name = json_object_get(body, "name");
    switch (asks->about) {
    case ABOUT_KEY:
        return !key || slice_eq(text_of(key), e->key);
    case ABOUT_KEYS:
        return !keys || is_among(keys, e->key);
    case ABOUT_FILE:
        return command_file_names(file, e->key)
                   ? e->put
                   : !e->put && json_is_true(json_object_get(body, "prune"));
    case ABOUT_GRANT:
        return is_entry(ACCESS_GRANT_PREFIX, name, e->key);
    case ABOUT_TOKEN:
        return is_entry(ACCESS_TOKEN_PREFIX, name, e->key);
    case ABOUT_NONE:
    case ABOUT_SIGNER:
        break;
    }
    return false;
}

static enum hoist_err check_edits(const struct asks *asks, const json_t *body,
                                  const struct flag_file *file, const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    enum hoist_err err = edits_open(c->edits, &edits);
    while (!err && (err = edits_next(&edits, &e)) == HOIST_OK)
        if (!names(asks, body, file, &e))
            err = err_set(HOIST_ECORRUPT, "it edits flag '%.*s', which its author did not name",
                          SLICE_ARG(e.key));
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* An apply's file, as the primary has read it. */
static enum hoist_err read_file(const json_t *body, struct flag_file **ret)
{
    struct problems problems = {0};
    enum hoist_err err =
        flag_file_read_valid(text_of(json_object_get(body, "file")), ret, &problems);
    problems_done(&problems);
    return err;
}

/* ------------------------------------------------------------------ the whole of it */

static bool is_certified(const struct proof *p, const json_t *body, const struct change *c)
{
    struct certificate said;
    uint8_t key[SIGN_PUBLIC_SIZE];
    bool revokes = slice_eq(p->said.name, SLICE("key_revoke"));
    return certificate_decode(c->head.certificate, &said) == HOIST_OK &&
           said.kind == (revokes ? CERTIFICATE_REVOKE : CERTIFICATE_ROTATE) &&
           text_unhex(text_of(json_object_get(body, "key")), key, sizeof key) == HOIST_OK &&
           memcmp(key, said.key, sizeof key) == 0;
}

static enum hoist_err check_body(const struct asks *asks, const struct proof *p, const json_t *body,
                                 const struct change *c)
{
    struct flag_file *file = NULL;
    if (asks->about == ABOUT_SIGNER && !is_certified(p, body, c))
        return err_set(HOIST_ECORRUPT, "its author signed that command for another signing key");
    enum hoist_err err = asks->about == ABOUT_FILE ? read_file(body, &file) : HOIST_OK;
    if (err == HOIST_OK)
        err = check_edits(asks, body, file, c);
    flag_file_free(file);
    return err;
}

enum hoist_err audit_proof_check(const struct proof *proof, const struct change *c)
{
    const struct asks *asks = asks_of(proof, c->head.kind);
    json_t *body = NULL;
    enum hoist_err err = HOIST_OK;
    if (!asks)
        return err_set(HOIST_ECORRUPT,
                       "its author signed the command '%.*s', which makes no change of the kind %s",
                       SLICE_ARG(proof->said.name), change_kind_name(c->head.kind));
    if (proof->body.len)
        err = json_read(proof->body, &body);
    if (err == HOIST_OK && !is_env(asks, body, c->head.env))
        err = err_set(HOIST_ECORRUPT, "its author signed that command for another environment");
    if (err == HOIST_OK && proof->body.ptr)
        err = check_body(asks, proof, body, c);
    json_decref(body);
    return err == HOIST_OK || err == HOIST_ENOMEM ? err : HOIST_ECORRUPT;
}
