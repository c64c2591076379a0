/* Commands about the keys that sign: key_rotate, key_revoke. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "primary/command_int.h"
#include "primary/keys.h"
#include "primary/query_int.h"

/* The key that the command names. False: it names none, and that is answered. */
static bool read_key(const struct command *c, uint8_t key[SIGN_PUBLIC_SIZE], struct answer *a)
{
    const char *text = c->args.key;
    if (text && strlen(text) == 2 * SIGN_PUBLIC_SIZE &&
        text_unhex(slice_str(text), key, SIGN_PUBLIC_SIZE) == HOIST_OK)
        return true;
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "key",
                          "it stands in a trust file behind hoist-trust-1", NULL,
                          "'%s' needs a public key: 64 hex digits", c->kind->name);
    return false;
}

static uint32_t refuse(struct answer *a, const char *mend, const char *message)
{
    return query_error(&a->body, EXIT_REFUSED, "refused", "key", mend, NULL, "%s", message);
}

/* Whether that can be said, and would be news. */
static bool check_key(const struct command *c, const struct keys *known, const uint8_t *key,
                      enum certificate_kind kind, struct answer *a)
{
    enum key_state state = keys_state(known, key);
    if (!c->key)
        a->exit = refuse(a, NULL, "this primary has no key to sign that with");
    else if (memcmp(key, c->key->public, SIGN_PUBLIC_SIZE) == 0)
        a->exit = kind == CERTIFICATE_ROTATE
                      ? refuse(a, NULL, "this primary signs with that key already")
                      : refuse(a,
                               "rotate to another key, start this primary with it (--sign-key), "
                               "then revoke this one",
                               "a key cannot revoke itself: hosts would be left with none");
    else if (state == KEY_REVOKED)
        a->exit = refuse(a, NULL, "that key was revoked, which is for ever");
    else if (state == KEY_TRUSTED && kind == CERTIFICATE_ROTATE)
        a->exit = refuse(a, "flagctl key list", "that key was rotated to already");
    return a->exit == EXIT_DONE;
}

/* No environment may be in a history that hosts are ahead of: the change would reach nobody. */
static bool check_envs(struct command *c, struct store_read *r, struct answer *a)
{
    struct store_env env;
    char why[FLEET_WHY_SIZE];
    for (uint32_t n = 0; c->fleet && store_env_at(r, n, &env) == HOIST_OK; n++)
        if (fleet_set_back(c->fleet, env.name, env.epoch, why)) {
            a->exit = query_error(&a->body, EXIT_REFUSED, "set-back", NULL,
                                  "flagctl env epoch --new", NULL, "%s", why);
            return false;
        }
    return true;
}

struct key_change {
    struct slice certificate;
    const char *key;
    struct store_env *envs; /* as they were before */
    uint32_t env_count;
};

/* The answer is about the first environment; this tells of all. */
static void put_environments(struct json_writer *w, struct command *c)
{
    const struct key_change *k = c->more;
    json_key(w, "key");
    json_put_str(w, k->key);
    json_key(w, "environments");
    json_array_begin(w);
    for (uint32_t i = 0; i < k->env_count; i++) {
        json_object_begin(w);
        json_key(w, "env");
        json_put_str(w, k->envs[i].name);
        json_key(w, "epoch");
        json_put_hex64(w, k->envs[i].epoch);
        json_key(w, "version");
        json_put_u64(w, k->envs[i].head + 1);
        json_object_end(w);
    }
    json_array_end(w);
}

/* The change of one environment. The first one's is published with the answer; the heartbeat that
 * goes out at once tells of the others. */
static enum hoist_err put_one(struct command *c, struct store_write *w, const struct store_env *env,
                              const struct key_change *k, struct buf *change)
{
    struct change_header head = command_next(c, env);
    head.kind = CHANGE_KEY;
    head.certificate = k->certificate;
    return command_mark(w, c->key, &head, env, change);
}

static enum hoist_err put_all(struct command *c, struct store_write *w, const struct key_change *k,
                              struct answer *a)
{
    struct buf other = BUF_INIT(CHANGE_BYTES_MAX);
    enum hoist_err err = HOIST_OK;
    for (uint32_t n = 0; n < k->env_count && err == HOIST_OK; n++) {
        buf_clear(&other);
        err = put_one(c, w, &k->envs[n], k, n == 0 ? &a->change : &other);
    }
    buf_done(&other);
    return err;
}

static enum hoist_err find_envs(struct store_read *r, struct arena *arena, struct key_change *k)
{
    struct store_env env;
    while (store_env_at(r, k->env_count, &env) == HOIST_OK)
        k->env_count++;
    if (k->env_count == 0)
        return err_set(HOIST_EINVAL, "there is no environment whose history could say so");
    k->envs = arena_alloc(arena, k->env_count, sizeof *k->envs);
    if (!k->envs)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t n = 0; n < k->env_count; n++) {
        enum hoist_err err = store_env_at(r, n, &k->envs[n]);
        if (err != HOIST_OK)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err certify(struct command *c, struct store_write *w, struct keys *known,
                              struct key_change *k, struct answer *a)
{
    enum hoist_err err = find_envs(store_write_read(w), &known->arena, k);
    if (err == HOIST_OK)
        err = keys_add(known, w, k->certificate);
    if (err == HOIST_OK)
        err = put_all(c, w, k, a);
    if (err != HOIST_OK)
        return err;
    c->env = k->envs[0];
    snprintf(a->env, sizeof a->env, "%s", c->env.name);
    c->put_more = put_environments;
    c->more = k;
    command_put_result(c, &c->env, c->env.head + 1, "changed", NULL, a);
    a->changed = a->announce = true;
    return command_keep_answer(c, w, a);
}

static enum hoist_err say(struct command *c, struct store_write *w, enum certificate_kind kind,
                          struct answer *a)
{
    uint8_t key[SIGN_PUBLIC_SIZE];
    struct keys known = {0};
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    if (!read_key(c, key, a) || !check_envs(c, store_write_read(w), a))
        return HOIST_OK;
    enum hoist_err err = keys_read(store_write_read(w), &known);
    if (err == HOIST_OK && !check_key(c, &known, key, kind, a))
        goto out;
    if (err == HOIST_OK)
        err = certificate_put(kind, key, c->wall_ms, c->key, &certificate);
    if (err == HOIST_OK) {
        struct key_change k = {.certificate = buf_slice(&certificate), .key = c->args.key};
        err = certify(c, w, &known, &k, a);
    }
out:
    buf_done(&certificate);
    keys_done(&known);
    return err;
}

enum hoist_err command_key_rotate(struct command *c, struct store_write *w, struct answer *a)
{
    return say(c, w, CERTIFICATE_ROTATE, a);
}

enum hoist_err command_key_revoke(struct command *c, struct store_write *w, struct answer *a)
{
    return say(c, w, CERTIFICATE_REVOKE, a);
}
