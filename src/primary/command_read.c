/* command_read.c - a command as it was sent, read and checked for what can be told without a store. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/json_read.h"
#include "primary/command_int.h"
#include "primary/query_int.h"
#include "wire/statement.h"

static const struct command_kind kinds[] = {
    {"set",
     " env message if_version dry_run force key value type everyone only_default create percent by "
     "only_if also ",
     command_set},
    {"target", " env message if_version dry_run force key rule clear ", command_target},
    {"delete", " env message if_version dry_run force key ", command_delete},
    {"apply", " env message if_version dry_run force file prune skip_invalid ", command_apply},
    {"kill", " env message if_version dry_run keys variant ", command_kill},
    {"restore", " env message if_version dry_run force keys ", command_restore},
    {"rollback", " env message if_version dry_run force key to last with_overrides ",
     command_rollback},
    {"promote", " env message if_version dry_run force from keys prune with_percentages ",
     command_promote},
    {"env_create", " env message ", command_env_create},
    {"host_retire", " env host silent_ms ", command_host_retire},
    {"key_rotate", " env message key ", command_key_rotate},
    {"key_revoke", " env message key ", command_key_revoke},
    {"env_set", " env message protected metadata ", command_env_set},
    {"env_epoch", " env message if_version new_epoch ", command_env_epoch},
    {"release_start", " env plan commit ", command_release_start},
    {"release_sign", " env release step plan definitions commit role ", command_release_say},
    {"release_check", " env release step plan definitions commit check passed evidence ",
     command_release_say},
    {"release_hold", " env release message ", command_release_say},
    {"release_resume", " env release ", command_release_say},
    {"release_abort", " env release message ", command_release_say},
    {"release_note", " env release message ", command_release_say},
    {"access_grant", " message name role key uid envs prefixes ", command_access_grant},
    {"access_revoke", " message name role ", command_access_revoke},
    {"token_create", " message name role hash envs prefixes expires_ms ", command_token_create},
    {"token_revoke", " message name ", command_token_revoke},
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

size_t command_count(void)
{
    return sizeof kinds / sizeof *kinds;
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
    /* clang-format off */
    int rc = json_unpack_ex(c->body, &e, 0,
        "{s?s s?s s?s s?s s?s s?s s?s s?s s?s s?s s?s s?s s?s s?o s?s% s?s%"
        " s?b s?b s?b s?b s?b s?b s?b s?b s?b s?b s?b s?b}",
        "env", &a->env, "message", &a->message, "if_version", &a->if_version,
        "key", &a->key, "value", &a->value, "type", &a->type, "variant", &a->variant,
        "percent", &a->percent, "by", &a->by, "only_if", &a->only_if, "also", &a->also,
        "to", &a->to, "from", &a->from, "keys", &a->keys, "file", &a->file, &a->file_len,
        "rule", &a->rule, &a->rule_len, "clear", &a->clear,
        "skip_invalid", &a->skip_invalid,
        "dry_run", &a->dry_run, "force", &a->force, "create", &a->create,
        "everyone", &a->everyone, "only_default", &a->only_default, "prune", &a->prune,
        "new_epoch", &a->new_epoch, "last", &a->last,
        "with_overrides", &a->with_overrides, "with_percentages", &a->with_percentages);
    /* clang-format on */
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
static enum hoist_err refuse_problems(struct command *c, const struct problems *problems,
                                      const char *what, const char *mend)
{
    const char *first = problems->count ? problems->items[0].path : NULL;
    c->refused.exit = query_error(&c->refused.body, EXIT_INPUT, "input", first, mend, problems,
                                  "the %s has %zu problem%s, nothing was changed", what,
                                  problems->total, problems->total == 1 ? "" : "s");
    return HOIST_OK;
}

static enum hoist_err read_file(struct command *c)
{
    struct slice text = slice_of(c->args.file, c->args.file_len);
    enum hoist_err err = c->args.skip_invalid ? flag_file_read_valid(text, &c->file, &c->problems)
                                              : flag_file_read(text, &c->file, &c->problems);
    if (err != HOIST_OK && err != HOIST_ENOMEM)
        err = refuse_problems(c, &c->problems, "file",
                              "mend what is listed, and apply the file again");
    return err;
}

static enum hoist_err read_rule(struct command *c)
{
    struct problems problems = {0};
    if (!c->args.rule)
        return HOIST_OK;
    struct slice text = slice_of(c->args.rule, c->args.rule_len);
    enum hoist_err err = flag_rule_read(text, &c->rule_arena, &c->rule, &problems);
    if (err != HOIST_OK && err != HOIST_ENOMEM)
        err = refuse_problems(c, &problems, "rule", "mend what is listed, and try again");
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
    if (c->kind->run == command_target)
        return read_rule(c);
    if (c->kind->run != command_apply)
        return HOIST_OK;
    if (c->args.dry_run) /* which only shows what differs */
        c->need = access_need_of(SLICE("diff"));
    if (!c->args.file) {
        (void)err_set(HOIST_EINVAL, "'apply' needs a file");
        refuse_input(c, "file", NULL);
        return HOIST_OK;
    }
    return read_file(c);
}

/* What tells a repeated command from another that has its request id. */
static void take_print(const struct frame_command *frame, uint8_t ret[HASH_SIZE])
{
    struct hash_stream h;
    uint8_t body[HASH_SIZE];
    hash_blake2b(body, frame->body);
    hash_begin(&h);
    hash_add(&h, body, sizeof body);
    hash_add(&h, frame->key.ptr, frame->key.len);
    hash_add(&h, frame->name.ptr, frame->name.len);
    hash_end(&h, ret);
}

enum hoist_err command_new(const struct frame_command *frame, const char *author,
                           struct command **ret)
{
    struct command *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return err_set(HOIST_ENOMEM, "out of memory");
    c->refused = ANSWER_INIT;
    memcpy(c->request, frame->request, sizeof c->request);
    take_print(frame, c->print);
    c->author_said = frame->author.len > 0;
    c->author = c->author_said ? frame->author : slice_str(author);
    char *copy = mem_dup(c->author);
    c->author.ptr = (const uint8_t *)copy;
    c->kind = find_kind(frame->name);
    c->need = access_need_of(frame->name);
    c->proof = BUF_INIT(CHANGE_PROOF_MAX);
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

enum hoist_err command_claim(struct command *c, const struct frame_command *frame,
                             const struct claim *claim)
{
    c->claim = *claim;
    return c->claim.is_signed && !c->claim.forged ? proof_put(frame, &c->proof) : HOIST_OK;
}

void command_judge_by(struct command *c, struct gate *gate)
{
    c->gate = gate;
}

void command_release_with(struct command *c, struct releases *rs)
{
    c->releases = rs;
}

void command_sign_with(struct command *c, const struct sign_key *key)
{
    c->key = key;
}

void command_free(struct command *c)
{
    if (!c)
        return;
    mem_free((void *)c->author.ptr);
    json_decref(c->body);
    flag_file_free(c->file);
    problems_done(&c->problems);
    arena_done(&c->rule_arena);
    answer_done(&c->refused);
    buf_done(&c->proof);
    mem_free(c);
}
