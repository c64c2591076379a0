/* Commands about access: access_grant, access_revoke, token_create, token_revoke. Each is a change of
 * a flag in ACCESS_ENV, which is made at the first of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "flag/json.h"
#include "flag/json_read.h"
#include "primary/command_int.h"
#include "primary/query_int.h"
#include "wire/record.h"

enum { KEY_SIZE = ACCESS_NAME_MAX + 16, HEX_SIZE = 2 * HASH_SIZE, ENTRY_TEXT_MAX = 1 << 20 };

/* ------------------------------------------------------------------ what was asked */

static const char *text(const struct command *c, const char *name)
{
    return json_string_value(json_object_get(c->body, name));
}

static enum hoist_err bad(const struct command *c, const char *what)
{
    return err_set(HOIST_EINVAL, "'%s' %s", c->kind->name, what);
}

static enum hoist_err check_name(const struct command *c)
{
    const char *name = text(c, "name");
    return name ? access_name_check(slice_str(name)) : bad(c, "needs a name");
}

static enum hoist_err check_hex(const struct command *c, const char *member, const char *what)
{
    uint8_t bytes[HASH_SIZE];
    const char *hex = text(c, member);
    if (hex && strlen(hex) == HEX_SIZE &&
        text_unhex(slice_str(hex), bytes, sizeof bytes) == HOIST_OK)
        return HOIST_OK;
    return err_set(HOIST_EINVAL, "%s is %d hex digits", what, HEX_SIZE);
}

/* Names of environments that are there, or prefixes of keys. */
static enum hoist_err check_list(const struct command *c, struct store_read *r, const char *member,
                                 bool are_envs)
{
    const json_t *list = json_object_get(c->body, member);
    struct store_env env;
    size_t i;
    json_t *v;
    if (list && (!json_is_array(list) || json_array_size(list) > ACCESS_SCOPES_MAX))
        return err_set(HOIST_EINVAL, "'%s' is a list of %d at most", member, ACCESS_SCOPES_MAX);
    json_array_foreach(list, i, v)
    {
        const char *name = json_string_value(v);
        if (!name || flag_key_check(slice_str(name)) != HOIST_OK)
            return err_set(HOIST_EINVAL, "'%s' has a name in it that is none", member);
        if (are_envs && store_env_get(r, name, &env) != HOIST_OK)
            return err_set(HOIST_EINVAL, "there is no environment '%s' here", name);
    }
    return HOIST_OK;
}

static enum hoist_err check_role(const struct command *c, struct store_read *r)
{
    enum access_role role;
    const char *name = text(c, "role");
    if (!name)
        return bad(c, "needs a role");
    enum hoist_err err = access_role_read(slice_str(name), &role);
    if (err == HOIST_OK)
        err = check_list(c, r, "envs", true);
    return err == HOIST_OK ? check_list(c, r, "prefixes", false) : err;
}

/* ------------------------------------------------------------------ the entry */

struct entry { /* the flag of a grant or token */
    struct command *command;
    struct store_write *w;
    char key[KEY_SIZE];
    json_t *value; /* as it is, or is to be; NULL: it is not there */
};

static enum hoist_err refuse(struct answer *a, uint32_t exit, const char *code, const char *at,
                             const char *mend)
{
    a->exit = query_error(&a->body, exit, code, at, mend, NULL, "%s", err_last());
    return HOIST_OK;
}

static enum hoist_err value_read(struct slice key, struct slice record, json_t **ret)
{
    struct flag *f;
    struct buf out = BUF_INIT(ENTRY_TEXT_MAX);
    struct json_writer w = JSON_WRITER(&out, 0);
    enum hoist_err err = record_decode(key, record, &f, NULL);
    if (err != HOIST_OK)
        return err;
    json_put_tree(&w, f->variants[0].value);
    flag_free(f);
    err = buf_err(&out);
    if (err == HOIST_OK)
        err = json_read(buf_slice(&out), ret);
    buf_done(&out);
    return err;
}

/* The entry as it is; an environment of grants that is not there has none. */
static enum hoist_err entry_find(struct entry *e, const char *prefix)
{
    struct store_read *r = store_write_read(e->w);
    struct slice record;
    snprintf(e->key, sizeof e->key, "%s%s", prefix, text(e->command, "name"));
    enum hoist_err err = store_env_get(r, ACCESS_ENV, &e->command->env);
    if (err == HOIST_OK)
        err = store_record_get(r, e->command->env.id, slice_str(e->key), &record);
    if (err == HOIST_OK)
        err = value_read(slice_str(e->key), record, &e->value);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err make_env(struct entry *e, struct answer *a)
{
    struct command *c = e->command;
    struct buf change = BUF_INIT(CHANGE_BYTES_MAX);
    struct change_header head = {.time_ms = c->wall_ms, .author = c->author};
    if (store_env_get(store_write_read(e->w), ACCESS_ENV, &c->env) == HOIST_OK)
        return HOIST_OK;
    enum hoist_err err = command_make_env(e->w, c->key, ACCESS_ENV, &head, &c->env, &change);
    a->announce = err == HOIST_OK;
    buf_done(&change); /* who follows it fetches it: the next one is published */
    return err;
}

static enum hoist_err flag_of(const struct entry *e, struct flag_file **ret)
{
    struct problems problems = {0};
    json_t *file = json_pack("{s{s{s s s s s{sO}}}}", "flags", e->key, "state", "ENABLED",
                             "defaultVariant", "access", "variants", "access", e->value);
    char *json = file ? json_dumps(file, JSON_COMPACT) : NULL;
    enum hoist_err err = json ? flag_file_read(slice_str(json), ret, &problems)
                              : err_set(HOIST_ENOMEM, "out of memory");
    problems_done(&problems);
    free(json);
    json_decref(file);
    return err;
}

/* Put the entry's value, or delete it where there is none. */
static enum hoist_err entry_put(struct entry *e, struct answer *a)
{
    struct command *c = e->command;
    struct flag_file *file = NULL;
    struct plan plan;
    enum hoist_err err = e->value ? flag_of(e, &file) : HOIST_OK;
    if (err == HOIST_OK)
        err = make_env(e, a);
    if (err != HOIST_OK)
        goto out;
    snprintf(a->env, sizeof a->env, "%s", c->env.name);
    if (!command_check_set_back(c, a))
        goto out;
    plan_begin(&plan, store_write_read(e->w), &c->env);
    err = file ? plan_put(&plan, file->flags[0]) : plan_delete(&plan, slice_str(e->key));
    if (err == HOIST_OK)
        err = command_carry_out(c, e->w, file ? CHANGE_SET : CHANGE_DELETE, &plan, a);
    plan_done(&plan);
out:
    flag_file_free(file);
    return err;
}

/* ------------------------------------------------------------------ grants */

static size_t role_at(const json_t *roles, const char *role)
{
    size_t i = 0;
    while (i < json_array_size(roles) &&
           strcmp(json_string_value(json_object_get(json_array_get(roles, i), "role")), role) != 0)
        i++;
    return i;
}

/* The role with what it is for, in place of what that role was for. ENOMEM: nothing of it counts. */
static enum hoist_err put_role(const struct command *c, json_t *value)
{
    json_t *roles = json_object_get(value, "roles");
    json_t *envs = json_object_get(c->body, "envs"),
           *prefixes = json_object_get(c->body, "prefixes");
    json_t *role = json_pack("{ss}", "role", text(c, "role"));
    if (!roles)
        json_object_set_new(value, "roles", roles = json_array());
    bool whole =
        json_object_set_new(role, "envs", envs ? json_incref(envs) : json_array()) == 0 &&
        json_object_set_new(role, "prefixes", prefixes ? json_incref(prefixes) : json_array()) == 0;
    size_t at = role_at(roles, text(c, "role"));
    int failed = at < json_array_size(roles) ? json_array_set_new(roles, at, role)
                                             : json_array_append_new(roles, role);
    return whole && failed == 0 ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

/* A key, or a user, is one person's. */
static enum hoist_err check_own(const struct entry *e)
{
    struct grants g = {0};
    uint8_t key[SIGN_PUBLIC_SIZE];
    const char *hex = text(e->command, "key"), *name = text(e->command, "name");
    const json_t *uid = json_object_get(e->command->body, "uid");
    const struct access_subject *other = NULL;
    enum hoist_err err = grants_load(&g, store_write_read(e->w));
    if (err == HOIST_OK && hex && text_unhex(slice_str(hex), key, sizeof key) == HOIST_OK)
        other = grants_by_key(&g, slice_of(key, sizeof key));
    if (err == HOIST_OK && (!other || slice_eq(other->name, slice_str(name))) && uid)
        other = grants_by_uid(&g, (uint64_t)json_integer_value(uid));
    if (err == HOIST_OK && other && !slice_eq(other->name, slice_str(name)))
        err = err_set(HOIST_ECONFLICT, "that is %.*s already", SLICE_ARG(other->name));
    grants_done(&g);
    return err;
}

static enum hoist_err check_grant(const struct command *c, struct store_read *r)
{
    const json_t *uid = json_object_get(c->body, "uid");
    enum hoist_err err = check_name(c);
    if (err == HOIST_OK)
        err = check_role(c, r);
    if (err == HOIST_OK && text(c, "key"))
        err = check_hex(c, "key", "a public key");
    if (err == HOIST_OK && uid && (!json_is_integer(uid) || json_integer_value(uid) < 0))
        err = err_set(HOIST_EINVAL, "a user's id is a whole number");
    return err;
}

static const char whose[] = "say whose: --key PUB, as flagctl key show prints it, or --uid N";

enum hoist_err command_access_grant(struct command *c, struct store_write *w, struct answer *a)
{
    static const char *const own[] = {"key", "uid"};
    struct entry e = {.command = c, .w = w};
    if (check_grant(c, store_write_read(w)) != HOIST_OK)
        return refuse(a, EXIT_INPUT, "input", NULL, "flagctl access --help");
    enum hoist_err err = entry_find(&e, ACCESS_GRANT_PREFIX);
    if (err == HOIST_OK)
        err = check_own(&e);
    if (err == HOIST_ECONFLICT)
        return refuse(a, EXIT_CONFLICT, "conflict", NULL, "flagctl access revoke, first");
    if (err != HOIST_OK)
        goto out;
    if (!e.value)
        e.value = json_object();
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(c->body, own[i]))
            json_object_set(e.value, own[i], json_object_get(c->body, own[i]));
    err = put_role(c, e.value);
    if (err != HOIST_OK)
        goto out;
    if (json_object_get(e.value, "key") || json_object_get(e.value, "uid")) {
        err = entry_put(&e, a);
    } else {
        (void)bad(c, "of a name that is new needs a key or a user");
        err = refuse(a, EXIT_INPUT, "input", NULL, whose);
    }
out:
    json_decref(e.value);
    return err;
}

static enum hoist_err no_entry(const struct entry *e, struct answer *a)
{
    (void)err_set(HOIST_EINVAL, "there is no %s", e->key);
    return refuse(a, EXIT_NO, "not-found", "name",
                  "flagctl access list, flagctl access token list");
}

enum hoist_err command_access_revoke(struct command *c, struct store_write *w, struct answer *a)
{
    struct entry e = {.command = c, .w = w};
    const char *role = text(c, "role");
    if (check_name(c) != HOIST_OK)
        return refuse(a, EXIT_INPUT, "input", "name", NULL);
    enum hoist_err err = entry_find(&e, ACCESS_GRANT_PREFIX);
    json_t *roles = json_object_get(e.value, "roles");
    size_t at = role ? role_at(roles, role) : 0;
    if (err != HOIST_OK)
        goto out;
    if (!e.value || (role && at == json_array_size(roles))) {
        err = no_entry(&e, a);
        goto out;
    }
    if (role)
        json_array_remove(roles, at);
    if (!role || json_array_size(roles) == 0) {
        json_decref(e.value);
        e.value = NULL;
    }
    err = entry_put(&e, a);
out:
    json_decref(e.value);
    return err;
}

/* ------------------------------------------------------------------ tokens */

static enum hoist_err check_token(const struct command *c, struct store_read *r)
{
    const json_t *expires = json_object_get(c->body, "expires_ms");
    enum hoist_err err = check_name(c);
    if (err == HOIST_OK)
        err = check_role(c, r);
    if (err == HOIST_OK)
        err = check_hex(c, "hash", "a token's hash");
    if (err == HOIST_OK && expires &&
        (!json_is_integer(expires) || json_integer_value(expires) <= c->wall_ms))
        err = err_set(HOIST_EINVAL, "a token expires at a time that is to come");
    return err;
}

enum hoist_err command_token_create(struct command *c, struct store_write *w, struct answer *a)
{
    struct entry e = {.command = c, .w = w};
    json_t *expires = json_object_get(c->body, "expires_ms");
    if (check_token(c, store_write_read(w)) != HOIST_OK)
        return refuse(a, EXIT_INPUT, "input", NULL, "flagctl access --help");
    enum hoist_err err = entry_find(&e, ACCESS_TOKEN_PREFIX);
    if (err == HOIST_OK && e.value) {
        (void)err_set(HOIST_ECONFLICT, "there is a token '%s' already", text(c, "name"));
        err = refuse(a, EXIT_CONFLICT, "conflict", "name",
                     "choose another name: a token is replaced by a second one beside it");
        goto out;
    }
    if (err != HOIST_OK)
        goto out;
    e.value = json_pack("{ss}", "hash", text(c, "hash"));
    err = put_role(c, e.value);
    if (err == HOIST_OK && expires && json_object_set(e.value, "expires_ms", expires) != 0)
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK)
        err = entry_put(&e, a);
out:
    json_decref(e.value);
    return err;
}

enum hoist_err command_token_revoke(struct command *c, struct store_write *w, struct answer *a)
{
    struct entry e = {.command = c, .w = w};
    if (check_name(c) != HOIST_OK)
        return refuse(a, EXIT_INPUT, "input", "name", NULL);
    enum hoist_err err = entry_find(&e, ACCESS_TOKEN_PREFIX);
    bool there = e.value != NULL;
    json_decref(e.value);
    e.value = NULL;
    if (err != HOIST_OK)
        return err;
    return there ? entry_put(&e, a) : no_entry(&e, a);
}
