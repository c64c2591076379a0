/* Commands about environments: env_create, env_set, env_epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "primary/command_int.h"
#include "primary/env_about.h"
#include "primary/gate.h"
#include "primary/query_int.h"

uint64_t command_new_epoch(int64_t wall_ms, uint64_t above)
{
    uint64_t seconds = wall_ms > 0 ? (uint64_t)wall_ms / 1000 : 0;
    uint64_t epoch = seconds << 24 | hash_random_below(1 << 24);
    return epoch > above ? epoch : above + 1;
}

enum hoist_err command_make_env(struct store_write *w, const struct sign_key *key, const char *name,
                                struct change_header *head, struct store_env *ret,
                                struct buf *change)
{
    struct store_env env;
    uint64_t above =
        gate_epoch(store_write_read(w), NULL, 0); /* so no command signed before it is about it */
    enum hoist_err err = store_env_create(w, name, &env);
    if (err != HOIST_OK)
        return err;
    env.epoch = command_new_epoch(head->time_ms, above);
    err = store_epoch_set(w, env.id, env.epoch);
    if (err != HOIST_OK)
        return err;
    head->env = slice_str(env.name);
    head->epoch = env.epoch;
    head->version = 1;
    head->kind = CHANGE_CREATE;
    err = command_mark(w, key, head, &env, change);
    if (err == HOIST_OK)
        err = store_env_get(store_write_read(w), name, ret);
    return err;
}

/* Who, when and why: the part of a header that comes from the command. */
static struct change_header header_of(const struct command *c)
{
    struct change_header head = {
        .time_ms = c->wall_ms,
        .author = c->author,
        .message = slice_str(c->args.message),
        .proof = buf_slice(&c->proof),
    };
    memcpy(head.request, c->request, sizeof head.request);
    return head;
}

enum hoist_err command_env_create(struct command *c, struct store_write *w, struct answer *a)
{
    const char *name = c->args.env;
    struct store_env there;
    if (!name || flag_env_check(slice_str(name)) != HOIST_OK) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "env",
                              "a name is 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a "
                              "letter or digit",
                              NULL, "%s", name ? err_last() : "'env_create' needs a name");
        return HOIST_OK;
    }
    if (access_env_is_own(slice_str(name))) {
        a->exit =
            query_error(&a->body, EXIT_INPUT, "input", "env", "choose another name", NULL,
                        "'%s': names that begin with " ACCESS_OWN_PREFIX " are Hoist's own", name);
        return HOIST_OK;
    }
    if (store_env_get(store_write_read(w), name, &there) == HOIST_OK) {
        a->exit = query_error(&a->body, EXIT_CONFLICT, "conflict", "env", NULL, NULL,
                              "there is an environment '%s' already, at version %" PRIu64, name,
                              there.head);
        return HOIST_OK;
    }
    snprintf(a->env, sizeof a->env, "%s", name);
    struct change_header head = header_of(c);
    enum hoist_err err = command_make_env(w, c->key, name, &head, &c->env, &a->change);
    if (err != HOIST_OK)
        return err;
    a->changed = a->announce = true;
    command_put_result(c, &c->env, c->env.head, "changed", NULL, a);
    return command_keep_answer(c, w, a);
}

static void put_about(struct json_writer *w, struct command *c)
{
    env_about_put(w, c->more);
}

/* No version: what is said about an environment is no part of its history. */
enum hoist_err command_env_set(struct command *c, struct store_write *w, struct answer *a)
{
    struct env_about about;
    bool changed = false;
    enum hoist_err err = env_about_read(store_write_read(w), c->env.name, &about);
    if (err != HOIST_OK)
        return err;
    err = env_about_change(&about, c->body, &changed);
    if (err == HOIST_EINVAL) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", NULL, NULL, NULL, "%s", err_last());
        err = HOIST_OK;
        goto out;
    }
    if (err != HOIST_OK)
        goto out;
    c->put_more = put_about;
    c->more = &about;
    command_put_result(c, &c->env, c->env.head, changed ? "changed" : "unchanged", NULL, a);
    if (changed)
        err = env_about_write(w, c->env.name, &about);
    bool keep = changed || c->claim.is_signed;
    if (err == HOIST_OK && keep)
        err = command_keep_answer(c, w, a);
    a->wrote = keep && err == HOIST_OK;
out:
    env_about_done(&about);
    return err;
}

enum hoist_err command_begin_epoch(struct store_write *w, const struct sign_key *key,
                                   struct change_header *head, uint64_t above,
                                   struct store_env *env, struct buf *change)
{
    head->env = slice_str(env->name);
    head->version = env->head + 1;
    head->kind = env->head > 0 ? CHANGE_EPOCH : CHANGE_CREATE;
    head->old_epoch = env->head > 0 ? env->epoch : 0;
    head->epoch = command_new_epoch(head->time_ms, above > env->epoch ? above : env->epoch);
    if (env->head > 0)
        memcpy(head->prev, env->hash, HASH_SIZE);
    enum hoist_err err = store_epoch_set(w, env->id, head->epoch);
    if (err == HOIST_OK)
        err = command_mark(w, key, head, env, change);
    if (err == HOIST_OK)
        env->epoch = head->epoch;
    return err;
}

/* A history ends here and another begins, above every epoch that hosts have proved: the way on for
 * a primary that was set back, since hosts follow a greater epoch and never a smaller one. It is the
 * greatest of all environments, so no command signed before it holds. */
enum hoist_err command_env_epoch(struct command *c, struct store_write *w, struct answer *a)
{
    if (!c->args.new_epoch) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "new_epoch", "flagctl env epoch --new",
                              NULL, "'env_epoch' begins a new epoch, and wants to be told so");
        return HOIST_OK;
    }
    uint64_t above = gate_epoch(store_write_read(w), NULL, 0);
    uint64_t heard = c->fleet ? fleet_epoch(c->fleet, c->env.name) : 0;
    struct store_env now = c->env;
    struct change_header head = header_of(c);
    enum hoist_err err =
        command_begin_epoch(w, c->key, &head, heard > above ? heard : above, &now, &a->change);
    if (err != HOIST_OK)
        return err;
    a->changed = a->announce = true;
    command_put_result(c, &now, head.version, "changed", NULL, a);
    return command_keep_answer(c, w, a);
}
