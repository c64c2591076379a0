#include "primary/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json_read.h"
#include "primary/command_int.h"
#include "primary/query_int.h"

static const struct command_kind kinds[] = {
    {"set", " env message if_version dry_run force key value type everyone only_default ",
     command_set},
    {"delete", " env message if_version dry_run force key ", command_delete},
    {"apply", " env message if_version dry_run force file prune ", command_apply},
    {"kill", " env message if_version dry_run keys variant ", command_kill},
    {"restore", " env message if_version dry_run force keys ", command_restore},
    {"rollback", " env message if_version dry_run force key to last with_overrides ",
     command_rollback},
    {"promote", " env message if_version dry_run force from keys prune with_percentages ",
     command_promote},
    {"env_create", " env message ", command_env_create},
    {"host_retire", " env host ", command_host_retire},
    {"env_epoch", " env message if_version new_epoch ", command_env_epoch},
};

static const struct command_kind *find_kind(struct slice name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_eq(slice_str(kinds[i].name), name))
            return &kinds[i];
    return NULL;
}

bool command_is(struct slice name)
{
    return find_kind(name) != NULL;
}

void answer_done(struct answer *a)
{
    buf_done(&a->body);
    buf_done(&a->change);
}

/* ------------------------------------------------------------------ reading what was sent */

static void refuse_input(struct command *c, const char *at, const char *mend)
{
    c->refused.exit =
        query_error(&c->refused.body, EXIT_INPUT, "input", at, mend, NULL, "%s", err_last());
}

/* Arguments that this command does not take are refused, not ignored: somebody meant something by
 * them. */
static bool takes_all(const struct command_kind *kind, json_t *body)
{
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        char word[64];
        snprintf(word, sizeof word, " %s ", name);
        if (strlen(name) + 3 > sizeof word || !strstr(kind->takes, word)) {
            (void)err_set(HOIST_EINVAL, "'%s' takes no argument '%.100s'", kind->name, name);
            return false;
        }
    }
    return true;
}

static bool unpack(struct command *c)
{
    struct command_args *a = &c->args;
    json_error_t e;
    if (!takes_all(c->kind, c->body))
        return false;
    int rc = json_unpack_ex(
        c->body, &e, 0,
        "{s?s s?s s?s s?s s?s s?s s?s s?s s?s s?o s?s% s?b s?b s?b s?b s?b s?b s?b s?b s?b}", "env",
        &a->env, "message", &a->message, "if_version", &a->if_version, "key", &a->key, "value",
        &a->value, "type", &a->type, "variant", &a->variant, "to", &a->to, "from", &a->from, "keys",
        &a->keys, "file", &a->file, &a->file_len, "dry_run", &a->dry_run, "force", &a->force,
        "everyone", &a->everyone, "only_default", &a->only_default, "prune", &a->prune, "new_epoch",
        &a->new_epoch, "last", &a->last, "with_overrides", &a->with_overrides, "with_percentages",
        &a->with_percentages);
    if (rc != 0)
        (void)err_set(HOIST_EINVAL, "the arguments of '%s': %s", c->kind->name, e.text);
    return rc == 0;
}

static bool check_texts(const struct command *c)
{
    bool plain = text_utf8(c->author);
    for (size_t i = 0; i < c->author.len; i++)
        plain = plain && c->author.ptr[i] >= 0x20 && c->author.ptr[i] != 0x7f;
    if (c->author.len > CHANGE_AUTHOR_MAX || !plain) {
        (void)err_set(HOIST_EINVAL,
                      "the author's name is longer than %d bytes, not UTF-8, or has control "
                      "characters in it",
                      CHANGE_AUTHOR_MAX);
        return false;
    }
    if (c->args.message && strlen(c->args.message) > CHANGE_MESSAGE_MAX) {
        (void)err_set(HOIST_EINVAL, "the message is %zu bytes long: %d at most",
                      strlen(c->args.message), CHANGE_MESSAGE_MAX);
        return false;
    }
    return true;
}

/* A file's problems are the answer; only memory that is out fails. */
static enum hoist_err read_file(struct command *c)
{
    struct problems problems = {0};
    struct slice text = slice_of(c->args.file, c->args.file_len);
    enum hoist_err err = flag_file_read(text, &c->file, &problems);
    if (err != HOIST_OK && err != HOIST_ENOMEM) {
        const char *first = problems.count ? problems.items[0].path : NULL;
        c->refused.exit = query_error(&c->refused.body, EXIT_INPUT, "input", first,
                                      "mend what is listed, and apply the file again", &problems,
                                      "the file has %zu problem%s, nothing was changed",
                                      problems.total, problems.total == 1 ? "" : "s");
        err = HOIST_OK;
    }
    problems_done(&problems);
    return err;
}

static enum hoist_err read_command(struct command *c, const struct frame_command *frame)
{
    enum hoist_err err = json_read(frame->body.len ? frame->body : SLICE("{}"), &c->body);
    if (err == HOIST_ENOMEM)
        return err;
    if (err != HOIST_OK || !unpack(c) || !check_texts(c)) {
        refuse_input(c, NULL, NULL);
        return HOIST_OK;
    }
    if (c->kind->run != command_apply)
        return HOIST_OK;
    if (!c->args.file) {
        (void)err_set(HOIST_EINVAL, "'apply' needs a file");
        refuse_input(c, "file", NULL);
        return HOIST_OK;
    }
    return read_file(c);
}

enum hoist_err command_new(const struct frame_command *frame, const char *author,
                           struct command **ret)
{
    struct command *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return err_set(HOIST_ENOMEM, "out of memory");
    c->refused = ANSWER_INIT;
    memcpy(c->request, frame->request, sizeof c->request);
    c->author = frame->author.len ? frame->author : slice_str(author);
    char *copy = mem_dup(c->author);
    c->author.ptr = (const uint8_t *)copy;
    c->kind = find_kind(frame->name);
    enum hoist_err err = copy ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK && !c->kind)
        c->refused.exit = query_error(&c->refused.body, EXIT_INPUT, "input", NULL, NULL, NULL,
                                      "'%.*s' is no command", SLICE_ARG(frame->name));
    else if (err == HOIST_OK)
        err = read_command(c, frame);
    if (err != HOIST_OK) {
        command_free(c);
        return err;
    }
    *ret = c;
    return HOIST_OK;
}

void command_free(struct command *c)
{
    if (!c)
        return;
    mem_free((void *)c->author.ptr);
    json_decref(c->body);
    flag_file_free(c->file);
    answer_done(&c->refused);
    mem_free(c);
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

static enum hoist_err put_change(struct store_write *w, struct change_header *head,
                                 const struct store_env *env, struct slice edits,
                                 uint32_t edits_count, struct buf *change)
{
    struct change c;
    head->edits_count = edits_count;
    enum hoist_err err = store_change_stage(w, env->id, edits, head->version, head->digest);
    if (err == HOIST_OK)
        err = change_encode(head, edits, (struct slice){0}, change, NULL);
    if (err == HOIST_OK)
        err = change_decode(buf_slice(change), &c);
    if (err == HOIST_OK)
        err = store_change_log(w, env->id, &c);
    return err;
}

enum hoist_err command_mark(struct store_write *w, struct change_header *head,
                            const struct store_env *env, struct buf *change)
{
    struct buf edits = BUF_INIT(16);
    edits_begin(&edits, 0);
    enum hoist_err err = buf_err(&edits);
    if (err == HOIST_OK)
        err = put_change(w, head, env, buf_slice(&edits), 0, change);
    buf_done(&edits);
    return err;
}

static enum hoist_err commit_plan(struct command *c, struct store_write *w, enum change_kind kind,
                                  struct plan *plan, struct answer *a)
{
    struct change_header head = next_header(&c->env);
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    head.time_ms = c->wall_ms;
    head.author = c->author;
    head.message = slice_str(c->args.message);
    head.kind = kind;
    head.restores = c->restores;
    memcpy(head.request, c->request, sizeof head.request);

    enum hoist_err err = plan_edits(plan, &edits);
    if (err == HOIST_OK) {
        /* The answer first: it reads what the plan borrows from the transaction. */
        command_put_result(c, &c->env, head.version, "changed", plan, a);
        err = put_change(w, &head, &c->env, buf_slice(&edits), (uint32_t)plan->count, &a->change);
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
    char mend[256] = "";
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
    if (c->kind->run == command_env_create || c->kind->run == command_host_retire)
        return c->kind->run(c, w, ret);
    if (!find_env(c, r, ret))
        return HOIST_OK;
    snprintf(ret->env, sizeof ret->env, "%s", c->env.name);
    if (!check_set_back(c, ret) || !check_version(c, ret))
        return HOIST_OK;
    return c->kind->run(c, w, ret);
}
