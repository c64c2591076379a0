#include "primary/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "primary/command_int.h"
#include "primary/env_about.h"
#include "primary/query_int.h"

void answer_done(struct answer *a)
{
    buf_done(&a->body);
    buf_done(&a->change);
}

/* ------------------------------------------------------------------ answers given before */

/* An answer as it is kept: the exit code, then the JSON. */
enum { KEPT_HEADER = 4 };

static bool has_request(const struct command *c)
{
    static const uint8_t none[REQUEST_ID_SIZE];
    return memcmp(c->request, none, sizeof none) != 0;
}

static bool answered_before(struct command *c, struct store_read *r, struct answer *a)
{
    struct slice kept;
    if (!has_request(c) || store_command_get(r, c->request, &kept) != HOIST_OK ||
        kept.len < KEPT_HEADER)
        return false;
    buf_clear(&a->body);
    buf_add(&a->body, kept.ptr + KEPT_HEADER, kept.len - KEPT_HEADER);
    a->exit = be32_read(kept.ptr);
    return true;
}

/* Only what changed something is kept: a refusal, or "unchanged", may be judged anew. */
enum hoist_err command_keep_answer(struct command *c, struct store_write *w, const struct answer *a)
{
    enum hoist_err err = buf_err(&a->body);
    if (err != HOIST_OK || !has_request(c))
        return err;
    struct buf kept = BUF_INIT(FRAME_COMMAND_MAX + KEPT_HEADER);
    uint8_t exit[KEPT_HEADER];
    be32_write(exit, a->exit);
    buf_add(&kept, exit, sizeof exit);
    buf_add_slice(&kept, buf_slice(&a->body));
    err = buf_err(&kept);
    if (err == HOIST_OK)
        err = store_command_put(w, c->request, buf_slice(&kept), c->wall_ms);
    buf_done(&kept);
    return err;
}

/* ------------------------------------------------------------------ answers */

static void put_names(struct json_writer *w, const char *name, const struct plan_names *names)
{
    json_key(w, name);
    json_array_begin(w);
    for (size_t i = 0; names && i < names->count; i++)
        json_put_slice(w, names->keys[i]);
    json_array_end(w);
}

static void put_items(struct json_writer *w, const char *name, const struct plan *plan,
                      enum plan_what what)
{
    json_key(w, name);
    json_array_begin(w);
    for (size_t i = 0; plan && i < plan->count; i++)
        if (plan->items[i].what == what)
            json_put_slice(w, plan->items[i].key);
    json_array_end(w);
}

void command_put_edits(struct json_writer *w, const struct plan *plan)
{
    enum { SHOWN_MAX = 1000 };
    json_key(w, "edits");
    json_array_begin(w);
    for (size_t i = 0; i < plan->count && i < SHOWN_MAX; i++) {
        const struct plan_item *item = &plan->items[i];
        json_object_begin(w);
        json_key(w, "key");
        json_put_slice(w, item->key);
        json_key(w, "before");
        if (item->what == PLAN_CREATE)
            json_put_null(w);
        else
            query_put_record(w, item->key, item->before);
        json_key(w, "after");
        if (item->what == PLAN_DELETE)
            json_put_null(w);
        else
            query_put_record(w, item->key, item->record);
        json_object_end(w);
    }
    json_array_end(w);
}

void command_put_result(struct command *c, const struct store_env *env, uint64_t version,
                        const char *result, const struct plan *plan, struct answer *a)
{
    buf_clear(&a->body);
    struct json_writer w = JSON_WRITER(&a->body, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env->name);
    json_key(&w, "epoch");
    json_put_hex64(&w, env->epoch);
    json_key(&w, "version");
    json_put_u64(&w, version);
    json_key(&w, "result");
    json_put_str(&w, result);
    put_items(&w, "created", plan, PLAN_CREATE);
    put_items(&w, "changed", plan, PLAN_CHANGE);
    put_items(&w, "deleted", plan, PLAN_DELETE);
    put_names(&w, "override_kept", plan ? &plan->kept : NULL);
    if (plan && plan->dropped.count)
        put_names(&w, "override_dropped", &plan->dropped);
    if (plan && plan->near.len) {
        json_key(&w, "near");
        json_put_slice(&w, plan->near);
    }
    if (plan && c->args.dry_run)
        command_put_edits(&w, plan);
    if (c->put_more)
        c->put_more(&w, c);
    json_key(&w, "request");
    json_put_hex(&w, slice_of(c->request, sizeof c->request));
    json_object_end(&w);
    a->exit = EXIT_DONE;
}

/* ------------------------------------------------------------------ putting a change */

/* What stands in the header of the next change of `env`. */
static struct change_header next_header(const struct store_env *env)
{
    struct change_header head = {
        .env = slice_str(env->name), .epoch = env->epoch, .version = env->head + 1};
    if (env->head > 0)
        memcpy(head.prev, env->hash, HASH_SIZE);
    return head;
}

static enum hoist_err put_change(struct store_write *w, const struct sign_key *key,
                                 struct change_header *head, const struct store_env *env,
                                 struct slice edits, uint32_t edits_count, struct buf *change)
{
    struct change c;
    head->edits_count = edits_count;
    enum hoist_err err = store_change_stage(w, env->id, edits, head->version, head->digest);
    if (err == HOIST_OK)
        err = change_encode(head, edits, key ? change_unsigned : SLICE(""), change, NULL);
    if (err == HOIST_OK && key)
        err = change_sign(change->ptr, change->len, key);
    if (err == HOIST_OK)
        err = change_decode(buf_slice(change), &c);
    if (err == HOIST_OK)
        err = store_change_log(w, env->id, &c);
    return err;
}

enum hoist_err command_mark(struct store_write *w, const struct sign_key *key,
                            struct change_header *head, const struct store_env *env,
                            struct buf *change)
{
    struct buf edits = BUF_INIT(16);
    edits_begin(&edits, 0);
    enum hoist_err err = buf_err(&edits);
    if (err == HOIST_OK)
        err = put_change(w, key, head, env, buf_slice(&edits), 0, change);
    buf_done(&edits);
    return err;
}

struct change_header command_next(const struct command *c, const struct store_env *env)
{
    struct change_header head = next_header(env);
    head.time_ms = c->wall_ms;
    head.author = c->author;
    head.message = slice_str(c->args.message);
    memcpy(head.request, c->request, sizeof head.request);
    return head;
}

static enum hoist_err commit_plan(struct command *c, struct store_write *w, enum change_kind kind,
                                  struct plan *plan, struct answer *a)
{
    struct change_header head = command_next(c, &c->env);
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    head.kind = kind;
    head.restores = c->restores;

    enum hoist_err err = plan_edits(plan, &edits);
    if (err == HOIST_OK) {
        /* The answer first: it reads what the plan borrows from the transaction. */
        command_put_result(c, &c->env, head.version, "changed", plan, a);
        err = put_change(w, c->key, &head, &c->env, buf_slice(&edits), (uint32_t)plan->count,
                         &a->change);
    }
    if (err == HOIST_OK)
        err = command_keep_answer(c, w, a);
    a->changed = err == HOIST_OK;
    buf_done(&edits);
    return err;
}

enum hoist_err command_carry_out(struct command *c, struct store_write *w, enum change_kind kind,
                                 struct plan *plan, struct answer *a)
{
    char mend[512] = "";
    enum hoist_err err = HOIST_OK;
    if (c->fast)
        plan_sort(plan);
    else
        err = plan_check(plan, c->args.force, mend, sizeof mend);
    if (err != HOIST_OK) {
        a->exit = query_fail(&a->body, err, mend);
        return HOIST_OK;
    }
    if (c->args.dry_run)
        command_put_result(c, &c->env, c->env.head, "dry-run", plan, a);
    else if (plan->count == 0)
        command_put_result(c, &c->env, c->env.head, "unchanged", plan, a);
    else
        return commit_plan(c, w, kind, plan, a);
    return buf_err(&a->body);
}

/* ------------------------------------------------------------------ running */

/* The environment that a write is about: named, unless there is but one. A kill goes on in the
 * first, and its answer says so: who has to stop something has no time for a second try. */
static bool find_env(struct command *c, struct store_read *r, struct answer *a)
{
    struct store_env second;
    if (!c->args.env && c->kind->run != command_kill && store_env_at(r, 1, &second) == HOIST_OK) {
        struct buf mend = BUF_INIT(8192);
        buf_add_str(&mend, "name one by --env or HOIST_ENV: ");
        query_env_names(r, &mend);
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "env", buf_str(&mend), NULL,
                              "there is more than one environment here");
        buf_done(&mend);
        return false;
    }
    return query_env(r, c->args.env, &c->env, &a->body, &a->exit);
}

bool command_version(const char *text, const char *at, uint64_t *ret_epoch, uint64_t *ret_version,
                     struct answer *a)
{
    const char *colon = strchr(text, ':');
    uint8_t epoch[8];
    enum hoist_err err = text_u64(colon ? colon + 1 : text, ret_version);
    if (err == HOIST_OK && colon)
        err = text_unhex(slice_of(text, (size_t)(colon - text)), epoch, sizeof epoch);
    if (err == HOIST_OK && colon)
        *ret_epoch = be64_read(epoch);
    if (err == HOIST_OK)
        return true;
    a->exit = query_error(&a->body, EXIT_INPUT, "input", at,
                          "give a version, as in 42, or with its epoch, as status prints it", NULL,
                          "'%s' is no version", text);
    return false;
}

static bool check_version(struct command *c, struct answer *a)
{
    const char *want = c->args.if_version;
    uint64_t version, epoch = c->env.epoch;
    if (!want)
        return true;
    if (!command_version(want, "if_version", &epoch, &version, a))
        return false;
    if (version == c->env.head && epoch == c->env.epoch)
        return true;
    a->exit = query_error(&a->body, EXIT_CONFLICT, "conflict", "if_version",
                          "look at what has changed, then try again", NULL,
                          "%s has moved on: it is at %016" PRIx64 ":%" PRIu64 ", not at %s",
                          c->env.name, c->env.epoch, c->env.head, want);
    return false;
}

static bool may_always(const struct command *c)
{
    return c->kind->run == command_kill || c->kind->run == command_restore ||
           c->kind->run == command_rollback || c->kind->run == command_env_set ||
           c->kind->run == command_env_epoch;
}

/* Where people are careful, a change says why, and which version it was made for. */
static bool check_protected(struct command *c, struct answer *a)
{
    char mend[128];
    if (!c->is_protected || may_always(c) || c->args.dry_run)
        return true;
    if (!c->args.message || !*c->args.message) {
        a->exit = query_error(&a->body, EXIT_INPUT, "protected", "message", "say why: -m MESSAGE",
                              NULL, "%s is protected: a change needs a message", c->env.name);
        return false;
    }
    if (c->args.if_version)
        return true;
    snprintf(mend, sizeof mend, "it is at %016" PRIx64 ":%" PRIu64 " now: --if-version",
             c->env.epoch, c->env.head);
    a->exit = query_error(&a->body, EXIT_INPUT, "version-needed", "if_version", mend, NULL,
                          "%s is protected: a change names the version that it was made for",
                          c->env.name);
    return false;
}

static enum hoist_err look_about(struct command *c, struct store_read *r)
{
    struct env_about about;
    enum hoist_err err = env_about_read(r, c->env.name, &about);
    if (err != HOIST_OK)
        return err;
    c->is_protected = about.is_protected;
    env_about_done(&about);
    return HOIST_OK;
}

static bool check_set_back(struct command *c, struct answer *a)
{
    char why[FLEET_WHY_SIZE], mend[256];
    if (!c->fleet || c->kind->run == command_env_epoch ||
        !fleet_set_back(c->fleet, c->env.name, c->env.epoch, why))
        return true;
    snprintf(mend, sizeof mend,
             "bring the newer store back, or go on from here: flagctl env epoch --new --env %s",
             c->env.name);
    a->exit = query_error(&a->body, EXIT_REFUSED, "set-back", NULL, mend, NULL, "%s", why);
    return false;
}

enum hoist_err command_run(struct command *c, struct store_write *w, struct fleet *fleet,
                           int64_t wall_ms, struct answer *ret)
{
    struct store_read *r = store_write_read(w);
    c->fleet = fleet;
    c->wall_ms = wall_ms;
    if (c->refused.exit) {
        ret->exit = c->refused.exit;
        buf_clear(&ret->body);
        buf_add_slice(&ret->body, buf_slice(&c->refused.body));
        return buf_err(&ret->body);
    }
    if (answered_before(c, r, ret))
        return buf_err(&ret->body);
    if (c->kind->run == command_env_create || c->kind->run == command_host_retire ||
        c->kind->run == command_key_rotate || c->kind->run == command_key_revoke)
        return c->kind->run(c, w, ret);
    if (!find_env(c, r, ret))
        return HOIST_OK;
    snprintf(ret->env, sizeof ret->env, "%s", c->env.name);
    enum hoist_err err = look_about(c, r);
    if (err != HOIST_OK)
        return err;
    if (!check_set_back(c, ret) || !check_version(c, ret) || !check_protected(c, ret))
        return HOIST_OK;
    return c->kind->run(c, w, ret);
}
