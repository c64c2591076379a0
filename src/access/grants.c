#include "access/grants.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "flag/json.h"
#include "flag/json_read.h"
#include "wire/record.h"

enum { GRANT_TEXT_MAX = 1 << 20 };

/* ------------------------------------------------------------------ reading one */

static bool read_hex(const json_t *value, const char *name, uint8_t *out, size_t len, bool *ret_has)
{
    const json_t *v = json_object_get(value, name);
    *ret_has = v != NULL;
    return !v ||
           (json_is_string(v) && text_unhex(slice_str(json_string_value(v)), out, len) == HOIST_OK);
}

static bool read_names(struct arena *arena, const json_t *list, struct slice **ret,
                       uint32_t *ret_count)
{
    size_t i, count = json_array_size(list);
    json_t *v;
    struct slice *names = arena_alloc(arena, count + 1, sizeof *names);
    if (!names || count > ACCESS_SCOPES_MAX || !json_is_array(list))
        return false;
    json_array_foreach(list, i, v)
    {
        names[i] = slice_str(json_string_value(v));
        if (!json_is_string(v) || arena_own(arena, &names[i]) != HOIST_OK)
            return false;
    }
    *ret = names;
    *ret_count = (uint32_t)count;
    return true;
}

static bool read_roles(struct arena *arena, const json_t *list, struct access_subject *s)
{
    size_t i;
    json_t *v;
    if (!json_is_array(list) || json_array_size(list) > ACCESS_ROLES)
        return false;
    json_array_foreach(list, i, v)
    {
        struct access_given *given = &s->given[i];
        const char *role = json_string_value(json_object_get(v, "role"));
        if (access_role_read(slice_str(role), &given->role) != HOIST_OK ||
            !read_names(arena, json_object_get(v, "envs"), &given->envs, &given->env_count) ||
            !read_names(arena, json_object_get(v, "prefixes"), &given->prefixes,
                        &given->prefix_count))
            return false;
        s->given_count++;
    }
    return true;
}

static bool read_value(struct arena *arena, const json_t *value, struct access_subject *s)
{
    bool has_hash;
    const json_t *uid = json_object_get(value, "uid");
    const json_t *expires = json_object_get(value, "expires_ms");
    s->has_uid = json_is_integer(uid);
    s->uid = (uint64_t)json_integer_value(uid);
    s->expires_ms = json_integer_value(expires);
    return read_hex(value, "key", s->key, sizeof s->key, &s->has_key) &&
           read_hex(value, "hash", s->hash, sizeof s->hash, &has_hash) && has_hash == s->is_token &&
           read_roles(arena, json_object_get(value, "roles"), s);
}

/* The value of a grant's one variant. */
static enum hoist_err value_of(struct slice key, struct slice record, json_t **ret)
{
    struct flag *f;
    struct buf text = BUF_INIT(GRANT_TEXT_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    enum hoist_err err = record_decode(key, record, &f, NULL);
    if (err != HOIST_OK)
        return err;
    json_put_tree(&w, f->variants[0].value);
    err = buf_err(&text);
    if (err == HOIST_OK)
        err = json_read(buf_slice(&text), ret);
    flag_free(f);
    buf_done(&text);
    return err;
}

/* Its name without the prefix; false: it is neither a grant nor a token. */
static bool name_of(struct slice key, struct access_subject *s)
{
    struct slice grant = SLICE(ACCESS_GRANT_PREFIX), token = SLICE(ACCESS_TOKEN_PREFIX);
    s->is_token = slice_starts_with(key, token);
    if (!s->is_token && !slice_starts_with(key, grant))
        return false;
    size_t len = s->is_token ? token.len : grant.len;
    s->name = slice_of(key.ptr + len, key.len - len);
    return true;
}

static enum hoist_err read_one(struct arena *arena, struct slice key, struct slice record,
                               struct access_subject *s)
{
    json_t *value = NULL;
    enum hoist_err err = name_of(key, s) ? arena_own(arena, &s->name) : HOIST_EINVAL;
    if (err == HOIST_OK)
        err = value_of(key, record, &value);
    if (err == HOIST_OK && !read_value(arena, value, s))
        err = HOIST_EINVAL;
    json_decref(value);
    return err;
}

/* ------------------------------------------------------------------ reading all */

static enum hoist_err read_all(struct grants *g, struct store_read *r, const struct store_env *env)
{
    struct slice key = {0}, record;
    enum hoist_err err;
    g->subjects = arena_alloc(&g->arena, env->flags + 1, sizeof *g->subjects);
    if (!g->subjects)
        return err_set(HOIST_ENOMEM, "out of memory");
    while ((err = store_record_next(r, env->id, key, &key, &record)) == HOIST_OK) {
        struct access_subject *s = &g->subjects[g->count];
        enum hoist_err bad =
            g->count < env->flags ? read_one(&g->arena, key, record, s) : HOIST_EINVAL;
        if (bad == HOIST_ENOMEM)
            return bad;
        if (bad == HOIST_OK) {
            g->count++;
            continue;
        }
        memset(s, 0, sizeof *s);
        log_error("access: '%.*s' in " ACCESS_ENV " cannot be read, so it grants nothing: grant it "
                  "anew",
                  SLICE_ARG(key));
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

enum hoist_err grants_load(struct grants *g, struct store_read *r)
{
    struct store_env env;
    enum hoist_err err = store_env_get(r, ACCESS_ENV, &env);
    if (err == HOIST_OK && g->any && memcmp(g->hash, env.hash, HASH_SIZE) == 0)
        return HOIST_OK;
    grants_done(g);
    if (err == HOIST_ENOTFOUND)
        return HOIST_OK;
    g->any = true;
    if (err == HOIST_OK)
        err = read_all(g, r, &env);
    if (err == HOIST_OK)
        memcpy(g->hash, env.hash, HASH_SIZE);
    else
        g->count = 0;
    return err;
}

void grants_done(struct grants *g)
{
    arena_done(&g->arena);
    *g = (struct grants){0};
}

/* ------------------------------------------------------------------ finding */

const struct access_subject *grants_by_key(const struct grants *g, struct slice key)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const struct access_subject *s = &g->subjects[i];
        if (!s->is_token && s->has_key && slice_eq(slice_of(s->key, sizeof s->key), key))
            return s;
    }
    return NULL;
}

const struct access_subject *grants_by_uid(const struct grants *g, uint64_t uid)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (!g->subjects[i].is_token && g->subjects[i].has_uid && g->subjects[i].uid == uid)
            return &g->subjects[i];
    return NULL;
}

const struct access_subject *grants_by_token(const struct grants *g, struct slice token)
{
    const struct access_subject *found = NULL;
    uint8_t hash[HASH_SIZE];
    if (token.len != ACCESS_TOKEN_LEN)
        return NULL;
    hash_blake2b(hash, token);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->subjects[i].is_token && hash_equal(g->subjects[i].hash, hash))
            found = &g->subjects[i];
    return found;
}

/* ------------------------------------------------------------------ judging */

static bool is_for_env(const struct access_given *given, struct slice env)
{
    for (uint32_t i = 0; i < given->env_count; i++)
        if (slice_eq(given->envs[i], env))
            return true;
    return given->env_count == 0 || !env.ptr;
}

static bool is_for_key(const struct access_given *given, struct slice key)
{
    for (uint32_t i = 0; i < given->prefix_count; i++)
        if (slice_starts_with(key, given->prefixes[i]))
            return true;
    return given->prefix_count == 0 || !key.ptr;
}

static bool reaches(const struct access_given *given, enum access_reach reach, struct slice env,
                    struct slice key)
{
    switch (reach) {
    case REACH_NONE:
        return true;
    case REACH_ENV:
        return is_for_env(given, env);
    case REACH_FLAGS:
        return is_for_env(given, env) && is_for_key(given, key);
    case REACH_WHOLE:
        return is_for_env(given, env) && given->prefix_count == 0;
    case REACH_ALL:
        return given->env_count == 0 && given->prefix_count == 0;
    }
    return false;
}

bool access_allows(const struct access_subject *s, const struct access_need *need, struct slice env,
                   struct slice key)
{
    for (uint32_t i = 0; s && i < s->given_count; i++)
        if (access_role_has(s->given[i].role, need->right) &&
            reaches(&s->given[i], need->reach, env, key))
            return true;
    return false;
}

enum hoist_err access_name_check(struct slice name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-";
    bool ok = name.len > 0 && name.len <= ACCESS_NAME_MAX;
    for (size_t i = 0; ok && i < name.len; i++)
        ok = memchr(allowed, name.ptr[i], sizeof allowed - 1) != NULL;
    return ok ? HOIST_OK
              : err_set(HOIST_EINVAL,
                        "a name is 1 to %d of letters, digits and . _ @ + -: '%.*s' is none",
                        ACCESS_NAME_MAX, name.len > 255 ? 255 : (int)name.len,
                        (const char *)name.ptr);
}

bool access_env_is_own(struct slice env)
{
    return slice_starts_with(env, SLICE(ACCESS_OWN_PREFIX));
}
