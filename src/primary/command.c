#include "primary/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
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

/* An answer as it is kept: the exit code with KEPT_PRINT, the command's print, then the JSON.
 * Earlier versions kept no print, and the exit code alone before the JSON. */
enum { KEPT_HEADER = 4, KEPT_HEADER_PRINT = KEPT_HEADER + HASH_SIZE };
static const uint32_t KEPT_PRINT = UINT32_C(1) << 31;

static bool has_request(const struct command *c)
{
    static const uint8_t none[REQUEST_ID_SIZE];
    return memcmp(c->request, none, sizeof none) != 0;
}

/* Whoever repeats a command gets its answer; whoever has its id alone gets none. */
static void give_kept(const struct command *c, struct slice kept, struct answer *a)
{
    uint32_t exit = be32_read(kept.ptr);
    bool has_print = exit & KEPT_PRINT && kept.len >= KEPT_HEADER_PRINT;
    size_t head = has_print ? KEPT_HEADER_PRINT : KEPT_HEADER;
    if (has_print && memcmp(kept.ptr + KEPT_HEADER, c->print, HASH_SIZE) != 0) {
        a->exit = query_error(&a->body, EXIT_REFUSED, "request-used", NULL,
                              "nothing was done; give each command an id of its own", NULL,
                              "another command had this request id before");
        return;
    }
    buf_clear(&a->body);
    buf_add(&a->body, kept.ptr + head, kept.len - head);
    a->exit = exit & ~KEPT_PRINT;
}

static bool answered_before(struct command *c, struct store_read *r, struct answer *a)
{
    struct slice kept;
    if (!has_request(c) || store_command_get(r, c->request, &kept) != HOIST_OK ||
        kept.len < KEPT_HEADER)
        return false;
    give_kept(c, kept, a);
    return true;
}

/* What changed something is kept, and of what was signed also that nothing changed, since somebody
 * who recorded it could send it again when it would. A refusal may be judged anew. */
enum hoist_err command_keep_answer(struct command *c, struct store_write *w, const struct answer *a)
{
    enum hoist_err err = buf_err(&a->body);
    if (err != HOIST_OK || !has_request(c))
        return err;
    struct buf kept = BUF_INIT(FRAME_COMMAND_MAX + KEPT_HEADER_PRINT);
    uint8_t exit[KEPT_HEADER];
    be32_write(exit, a->exit | KEPT_PRINT);
    buf_add(&kept, exit, sizeof exit);
    buf_add(&kept, c->print, sizeof c->print);
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
        if (item->what == PLAN_SAME)
            continue;
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
    head.proof = buf_slice(&c->proof);
    memcpy(head.request, c->request, sizeof head.request);
    return head;
}

enum hoist_err command_put_plan(struct store_write *w, const struct sign_key *key,
                                struct change_header *head, const struct store_env *env,
                                const struct plan *plan, struct buf *change)
{
    struct change_header next = next_header(env);
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    head->env = next.env;
    head->epoch = next.epoch;
    head->version = next.version;
    memcpy(head->prev, next.prev, HASH_SIZE);
    enum hoist_err err = plan_edits(plan, &edits);
    if (err == HOIST_OK)
        err = put_change(w, key, head, env, buf_slice(&edits), (uint32_t)plan->count, change);
    buf_done(&edits);
    return err;
}

static enum hoist_err commit_plan(struct command *c, struct store_write *w, enum change_kind kind,
                                  struct plan *plan, struct answer *a)
{
    struct change_header head = command_next(c, &c->env);
    head.kind = kind;
    head.restores = c->restores;
    /* The answer first: it reads what the plan borrows from the transaction. */
    command_put_result(c, &c->env, head.version, "changed", plan, a);
    enum hoist_err err = command_put_plan(w, c->key, &head, &c->env, plan, &a->change);
    if (err == HOIST_OK)
        err = command_keep_answer(c, w, a);
    a->changed = err == HOIST_OK;
    return err;
}

/* Each flag that would be another has to be within the reach of who asks. */
static bool may_edit_all(struct command *c, const struct plan *plan, struct answer *a)
{
    for (size_t i = 0; c->gate && i < plan->count; i++)
        if (plan->items[i].what != PLAN_SAME &&
            !gate_allows(c->gate, &c->person, c->need, slice_str(c->env.name), plan->items[i].key,
                         &a->body, &a->exit))
            return false;
    return true;
}

static enum hoist_err stay_unchanged(struct command *c, struct store_write *w,
                                     const struct plan *plan, struct answer *a)
{
    command_put_result(c, &c->env, c->env.head, "unchanged", plan, a);
    if (!c->claim.is_signed || !has_request(c))
        return buf_err(&a->body);
    enum hoist_err err = command_keep_answer(c, w, a);
    a->wrote = err == HOIST_OK;
    return err;
}

enum hoist_err command_carry_out(struct command *c, struct store_write *w, enum change_kind kind,
                                 struct plan *plan, struct answer *a)
{
    char mend[512] = "";
    enum hoist_err err = HOIST_OK;
    if (!may_edit_all(c, plan, a) || (!c->args.dry_run && !command_check_releases(c, plan, a)))
        return HOIST_OK;
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
        return stay_unchanged(c, w, plan, a);
    else
        return commit_plan(c, w, kind, plan, a);
    return buf_err(&a->body);
}

/* ------------------------------------------------------------------ running */

/* Whether there is no more than one environment beside Hoist's own. */
static bool is_only_one(struct store_read *r)
{
    struct store_env env;
    uint32_t count = 0;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        count += !access_env_is_own(slice_str(env.name));
    return count <= 1;
}

/* The environment that a write is about: named, unless there is but one. A kill goes on in the
 * first, and its answer says so: who has to stop something has no time for a second try. */
static bool find_env(struct command *c, struct store_read *r, struct answer *a)
{
    if (!c->args.env && c->kind->run != command_kill && !is_only_one(r)) {
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

bool command_check_set_back(struct command *c, struct answer *a)
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

/* ------------------------------------------------------------------ who may */

bool command_may(struct command *c, const struct access_need *need, const char *env,
                 struct answer *a)
{
    return !c->gate || gate_allows(c->gate, &c->person, need, slice_str(env), (struct slice){0},
                                   &a->body, &a->exit);
}

static enum hoist_err set_author(struct command *c, const char *name)
{
    char *copy = mem_dup_str(name);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");
    mem_free((void *)c->author.ptr);
    c->author = slice_str(copy);
    return HOIST_OK;
}

/* The author of what somebody signed is who was granted that key, and nobody else. */
static enum hoist_err settle_author(struct command *c, struct answer *a)
{
    char key[sizeof "key " + 16];
    if (*c->person.author && c->author_said && !slice_eq(c->author, slice_str(c->person.author))) {
        char why[GATE_NAME_SIZE + CHANGE_AUTHOR_MAX + 32];
        snprintf(why, sizeof why, "%s cannot sign as '%.*s'", c->person.author,
                 SLICE_ARG(c->author));
        a->exit = query_error(&a->body, EXIT_REFUSED, "denied", "author",
                              "leave --author out: the key says who it is by", NULL, "%s", why);
        gate_tell_denied(c->gate, &c->person, c->need, (struct slice){0}, (struct slice){0}, why);
        return HOIST_OK;
    }
    if (*c->person.author)
        return set_author(c, c->person.author);
    if (!c->claim.is_signed || c->author_said)
        return HOIST_OK;
    snprintf(key, sizeof key, "key ");
    text_hex(key + strlen(key), slice_of(c->claim.key, 8));
    return set_author(c, key);
}

/* Who it is, and whether they may do this anywhere at all; where, is for later. a->exit: they may
 * not. */
static enum hoist_err admit(struct command *c, struct store_read *r, struct answer *a)
{
    if (!c->gate)
        return HOIST_OK;
    enum hoist_err err = gate_look(c->gate, r);
    if (err != HOIST_OK)
        return err;
    if (!gate_check_signature(c->gate, &c->claim, c->need, r, c->wall_ms, &a->body, &a->exit))
        return HOIST_OK;
    gate_person(c->gate, &c->claim, &c->person);
    return command_may(c, c->need, NULL, a) ? settle_author(c, a) : HOIST_OK;
}

/* Nobody would know it again, so whoever recorded it could have it carried out a second time. */
static bool check_request(const struct command *c, struct answer *a)
{
    if (!c->claim.is_signed || has_request(c))
        return true;
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "request",
                          "give each command a request id of its own, as flagctl does", NULL,
                          "a command that is signed has a request id, and not zero");
    return false;
}

/* What only `flagctl access` changes, no other command does. */
static bool check_own(struct command *c, struct answer *a)
{
    if (!access_env_is_own(slice_str(c->env.name)) || c->kind->run == command_env_epoch)
        return true;
    a->exit =
        query_error(&a->body, EXIT_INPUT, "input", "env",
                    "flagctl access grant, revoke, token create, token revoke", NULL,
                    "%s is Hoist's own: '%s' changes nothing there", c->env.name, c->kind->name);
    return false;
}

/* Whether it is about no environment, or finds its own. */
static bool finds_env_itself(const struct command *c)
{
    return c->kind->run == command_env_create || c->kind->run == command_host_retire ||
           c->kind->run == command_key_rotate || c->kind->run == command_key_revoke ||
           c->kind->run == command_release_start || c->kind->run == command_release_say ||
           c->kind->run == command_access_grant || c->kind->run == command_access_revoke ||
           c->kind->run == command_token_create || c->kind->run == command_token_revoke;
}

static enum hoist_err run_admitted(struct command *c, struct store_write *w, struct answer *a)
{
    struct store_read *r = store_write_read(w);
    if (finds_env_itself(c))
        return c->kind->run(c, w, a);
    if (!find_env(c, r, a))
        return HOIST_OK;
    snprintf(a->env, sizeof a->env, "%s", c->env.name);
    if (!command_may(c, c->need, c->env.name, a) || !check_own(c, a))
        return HOIST_OK;
    enum hoist_err err = look_about(c, r);
    if (err != HOIST_OK)
        return err;
    if (!command_check_set_back(c, a) || !check_version(c, a) || !check_protected(c, a))
        return HOIST_OK;
    return c->kind->run(c, w, a);
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
    ret->exit = EXIT_DONE;
    if (!check_request(c, ret))
        return buf_err(&ret->body);
    enum hoist_err err = admit(c, r, ret);
    return err != HOIST_OK || ret->exit != EXIT_DONE ? err : run_admitted(c, w, ret);
}
